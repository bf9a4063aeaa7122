//! The first stage: goes through the trees, makes directories, and says what is to be made in them.

use super::dirs::{Dir, Step};
use super::levels::{Frame, Level};
use super::links::{LinkKey, LinkMap};
use super::run::{Run, text_of};
use super::select::Verdict;
use super::window::{From, LinkTask, Task, Window};
use super::{Plan, Target};
use crate::format::entry::{Entry, Node};
use crate::format::limits::DIRECTORY_DEPTH;
use crate::ops::view::cursor::{Cursor, Next};
use crate::repo::tree::parts;
use crossbeam_channel::Sender;
use std::collections::HashMap;
use std::sync::Arc;

/// Goes through the trees.
pub(super) struct Walker<'r, 'a> {
    pub run: &'r Run<'a>,
    out: Sender<Window>,
    pub window: Window,
    pub stack: Vec<Frame>,
    /// The path in the snapshot of what the walk is at.
    path: Vec<u8>,
    pub links: LinkMap,
    regions: u32,
    /// Packs that cannot be opened, and why.
    pub bad_packs: HashMap<u32, Arc<str>>,
}

impl<'r, 'a> Walker<'r, 'a> {
    /// A walker that sends its windows to `out`.
    pub fn new(run: &'r Run<'a>, out: Sender<Window>) -> Self {
        let (window, links) = (Window::default(), LinkMap::new());
        Self { run, out, window, stack: Vec::new(), path: Vec::new(), links, regions: 0, bad_packs: HashMap::new() }
    }

    /// Goes through all of it, or until the run is stopped.
    pub fn walk(mut self, plan: Plan, target: Target) {
        let fresh = target.is_empty;
        let verdict = self.run.selector.at_top();
        match plan {
            Plan::Into(path, mut entry) => {
                let step = parts(&path).fold(Step::top(), |above, name| Step::new(&above, name));
                self.path = path;
                let cursor = take_content(&mut entry).map(Cursor::new);
                self.run.tally.dirs.add(1);
                // The verdict on the directory itself, so that an include of it means all of it.
                let at = if self.path.is_empty() { b"/" } else { &self.path[..] };
                let verdict = match self.run.selector.judge(at, true, 0, verdict) {
                    Verdict::Out => verdict,
                    other => other,
                };
                self.start(target, fresh, step, Some(Arc::new(*entry)), cursor, verdict);
                self.directory();
            }
            Plan::Below(skipped, roots) => {
                let Some(first) = roots.first() else { return };
                let above = parts(&first.path).take(skipped);
                let step = above.fold(Step::top(), |above, name| Step::new(&above, name));
                if skipped > 0 {
                    self.path = step.path();
                }
                self.start(target, fresh, step, None, None, verdict);
                for root in roots {
                    self.root(skipped, &root.path, root.entry);
                }
                self.pop();
            }
        }
        self.flush();
    }

    fn start(
        &mut self,
        target: Target,
        fresh: bool,
        step: Arc<Step>,
        entry: Option<Arc<Entry>>,
        cursor: Option<Cursor>,
        verdict: Verdict,
    ) {
        let dir = Arc::new(Dir { handle: target.handle, step: Arc::clone(&step), fresh, entry: entry.clone() });
        let region = self.new_region();
        let prune = if entry.is_some() { self.prune_of(&dir, verdict) } else { None };
        let link_dir = Some(LinkMap::TOP);
        let (name, gap, path_bytes) = (Vec::new(), false, self.path.len());
        let level = Level::Open(dir);
        self.stack.push(Frame { level, step, name, entry, cursor, verdict, region, link_dir, prune, gap, path_bytes });
    }

    /// A root, with the directories that lead to it from the `skipped`th component on.
    fn root(&mut self, skipped: usize, path: &[u8], mut entry: Entry) {
        let names: Vec<&[u8]> = parts(path).skip(skipped).collect();
        let Some((last, leading)) = names.split_last() else { return };
        for name in leading {
            let len = self.path.len();
            self.path.push(b'/');
            self.path.extend_from_slice(name);
            let verdict = match self.run.selector.judge(&self.path, true, 0, self.run.selector.at_top()) {
                Verdict::Out => {
                    self.path.truncate(len);
                    break;
                }
                verdict => verdict,
            };
            let region = self.new_region();
            self.push(name.to_vec(), None, None, verdict, region, len);
        }
        if self.stack.len() == leading.len() + 1 {
            entry.name = last.to_vec();
            let region = self.new_region();
            if let Some(frame) = self.stack.last_mut() {
                frame.region = region;
            }
            self.entry(entry);
            self.directory();
        }
        while self.stack.len() > 1 {
            self.pop();
        }
    }

    /// Goes on until the directory on top of the stack, and all above it that have content, are done.
    fn directory(&mut self) {
        while !self.run.is_stopped() {
            let run = self.run;
            let Some(cursor) = self.stack.last_mut().and_then(|frame| frame.cursor.as_mut()) else { return };
            match cursor.next(&run.reader) {
                Next::Entry(entry) => self.entry(*entry),
                Next::Gap(error) => {
                    run.read_problem(&error);
                    run.problem(&self.here(), format!("a part of this directory cannot be read: {}", text_of(&error)));
                    if let Some(frame) = self.stack.last_mut() {
                        frame.gap = true;
                    }
                }
                Next::End => self.pop(),
            }
        }
    }

    /// The path, never empty.
    fn here(&self) -> Vec<u8> {
        if self.path.is_empty() { b"/".to_vec() } else { self.path.clone() }
    }

    fn entry(&mut self, entry: Entry) {
        self.prune(Some(&entry.name));
        let path_bytes = self.path.len();
        self.path.push(b'/');
        self.path.extend_from_slice(&entry.name);
        let (above, region) = self.stack.last().map_or((Verdict::In, 0), |frame| (frame.verdict, frame.region));
        let is_dir = matches!(entry.node, Node::Dir(_));
        match self.run.selector.judge(&self.path, is_dir, entry.size_bytes(), above) {
            Verdict::Out => {}
            verdict if is_dir => return self.enter(entry, verdict, region, path_bytes),
            _ => self.object(entry, region),
        }
        self.path.truncate(path_bytes);
    }

    /// Goes into a directory, whose name is the last of the path already.
    fn enter(&mut self, mut entry: Entry, verdict: Verdict, region: u32, path_bytes: usize) {
        if self.stack.len() > DIRECTORY_DEPTH {
            let path = self.here();
            self.run.problem(&path, "it lies too deep");
            self.path.truncate(path_bytes);
            return;
        }
        let cursor = take_content(&mut entry).map(Cursor::new);
        let region = if entry.boundary.is_some() { self.new_region() } else { region };
        self.push(entry.name.clone(), Some(Arc::new(entry)), cursor, verdict, region, path_bytes);
        if verdict == Verdict::In && self.dir().is_none() {
            // Everything below it is lost with it.
            self.pop();
        }
    }

    fn push(
        &mut self,
        name: Vec<u8>,
        entry: Option<Arc<Entry>>,
        cursor: Option<Cursor>,
        verdict: Verdict,
        region: u32,
        path_bytes: usize,
    ) {
        let above = self.stack.last().map_or_else(Step::top, |frame| Arc::clone(&frame.step));
        let (level, step) = (Level::Pending, Step::new(&above, &name));
        let (link_dir, prune, gap) = (None, None, false);
        self.stack.push(Frame { level, step, name, entry, cursor, verdict, region, link_dir, prune, gap, path_bytes });
    }

    /// Leaves the directory on top of the stack.
    fn pop(&mut self) {
        if !self.run.is_stopped() {
            self.prune(None);
        }
        let Some(frame) = self.stack.pop() else { return };
        self.path.truncate(frame.path_bytes);
        let Level::Open(dir) = frame.level else {
            self.lost(&frame.level);
            return;
        };
        self.reopen(&dir);
        if frame.entry.is_some() {
            self.room();
            self.window.note_dir(&dir);
            self.window.ends.push(dir);
        }
    }

    /// Removes what the directory on top of the stack has before `name`, or after all names.
    fn prune(&mut self, name: Option<&[u8]>) {
        let Some(frame) = self.stack.last_mut() else { return };
        let gap = std::mem::take(&mut frame.gap);
        if let (Some(prune), Level::Open(dir)) = (&mut frame.prune, &frame.level) {
            let path = if self.path.is_empty() { b"/" } else { &self.path[..] };
            prune.pass(self.run, dir, path, frame.verdict, name, gap);
        }
    }

    fn new_region(&mut self) -> u32 {
        self.regions += 1;
        self.regions
    }

    /// Anything but a directory.
    fn object(&mut self, entry: Entry, region: u32) {
        let Some(dir) = self.dir() else { return };
        self.room();
        let key = entry.link.map(|link| LinkKey { link, region, kind: entry.kind() as u8 });
        if let Some(key) = key {
            if self.is_linked(&dir, &entry, key) {
                return;
            }
            let link_dir = self.link_dir(self.stack.len() - 1);
            self.links.add(key, link_dir, &entry.name);
        }
        self.window.note_dir(&dir);
        if matches!(entry.node, Node::Inline(_) | Node::File(_)) {
            self.file(dir, entry, key);
        } else if self.run.options.dry_run {
            self.run.tally.others.add(1);
        } else {
            self.window.tasks.push(Task::Other { dir, entry: Box::new(entry), key });
        }
    }

    /// Whether it is another name of what was met before.
    fn is_linked(&mut self, dir: &Arc<Dir>, entry: &Entry, key: LinkKey) -> bool {
        let Some(first) = self.links.get(&key) else { return false };
        if self.run.options.dry_run {
            self.run.tally.links.add(1);
            return true;
        }
        let here = self.stack.last().and_then(|frame| frame.link_dir);
        let from = if here == Some(first.dir) {
            From::Dir(Arc::clone(dir))
        } else {
            From::Steps(first.dir, self.links.steps(first.dir))
        };
        let (name, first_name) = (entry.name.clone(), self.links.name(&first).to_vec());
        self.window.note_dir(dir);
        self.window.links.push(LinkTask { dir: Arc::clone(dir), name, from, first_name, key });
        true
    }

    /// Sends the window on its way if it is full.
    fn room(&mut self) {
        if self.window.is_full() {
            self.flush();
        }
    }

    /// Sends the window on its way.
    pub fn flush(&mut self) {
        let window = std::mem::take(&mut self.window);
        if !window.is_empty() {
            // Nobody listens only after a panic, which ends the run anyway.
            let _ = self.out.send(window);
        }
    }
}

/// The content list of a directory, taken out of its entry, which is kept much longer.
fn take_content(entry: &mut Entry) -> Option<crate::format::content::ContentRoot> {
    match &mut entry.node {
        Node::Dir(content) => Some(std::mem::take(content)),
        _ => None,
    }
}
