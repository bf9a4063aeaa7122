//! What is shown and what a key does to it. Knows no terminal and no repository.

use std::collections::BTreeSet;

/// A row of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// As it is shown, safe for a terminal.
    pub text: String,
    /// What it stands for: the absolute path of an entry, else empty.
    pub path: Vec<u8>,
    /// Whether it can be entered.
    pub is_dir: bool,
}

/// A list with a place in it.
#[derive(Clone, Default, Debug)]
pub struct List {
    /// All rows.
    pub rows: Vec<Row>,
    /// Of those that are shown, the one that keys concern.
    pub cursor: usize,
    /// Only rows with this in their text are shown.
    pub filter: String,
}

impl List {
    fn new(rows: Vec<Row>) -> Self {
        Self { rows, ..Self::default() }
    }

    /// The rows that are shown, with their numbers.
    pub fn shown(&self) -> impl Iterator<Item = (usize, &Row)> {
        let wanted = self.filter.to_lowercase();
        self.rows.iter().enumerate().filter(move |(_, row)| row.text.to_lowercase().contains(&wanted))
    }

    fn current(&self) -> Option<(usize, &Row)> {
        self.shown().nth(self.cursor)
    }

    fn go(&mut self, to: usize) {
        self.cursor = to.min(self.shown().count().saturating_sub(1));
    }
}

/// What is looked at.
pub enum Screen {
    /// All snapshots.
    Snapshots,
    /// A folder of one; the path, empty for the roots.
    Folder(Vec<u8>),
    /// All versions of a file, of any snapshot.
    Versions(Vec<u8>),
}

/// What a line of text is typed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Typing {
    /// What shown rows must have.
    Filter,
    /// The folder to restore into.
    Target,
}

/// Keys that mean something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// One up, one down, a page up, a page down, the first, the last.
    Move(isize),
    /// Return, to the right.
    Enter,
    /// Escape, to the left, the key that erases.
    Back,
    /// The erasing key while something is typed.
    Erase,
    /// A character.
    Char(char),
}

/// What is to be done for the model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Do {
    /// Nothing.
    Nothing,
    /// Leave.
    Quit,
    /// Read a folder of a snapshot and call [`Model::opened`].
    Open(usize, Vec<u8>),
    /// Look for all versions of a file and call [`Model::versions_found`].
    Versions(Vec<u8>),
    /// Restore these paths of a snapshot.
    Restore(usize, Vec<Vec<u8>>, String),
}

/// All of it.
pub struct Model {
    /// The snapshots; each folder on the way down; versions.
    stack: Vec<(Screen, List)>,
    snapshot: usize,
    /// The snapshot of each row of versions.
    version_of: Vec<usize>,
    /// What is marked, of the snapshot at hand.
    pub marked: BTreeSet<Vec<u8>>,
    /// What is typed, and what for.
    pub typing: Option<(Typing, String)>,
    /// Said in the last line.
    pub message: String,
}

impl Model {
    /// Begins with all snapshots.
    pub fn new(snapshots: Vec<Row>) -> Self {
        Self {
            stack: vec![(Screen::Snapshots, List::new(snapshots))],
            snapshot: 0,
            version_of: Vec::new(),
            marked: BTreeSet::new(),
            typing: None,
            message: String::new(),
        }
    }

    /// What is looked at.
    pub fn screen(&self) -> &Screen {
        self.stack.last().map_or(&Screen::Snapshots, |(screen, _)| screen)
    }

    /// Its list.
    pub fn list(&self) -> Option<&List> {
        self.stack.last().map(|(_, list)| list)
    }

    /// The snapshot at hand, by its row.
    pub fn snapshot(&self) -> usize {
        self.snapshot
    }

    /// What a folder of a snapshot has.
    pub fn opened(&mut self, snapshot: usize, path: Vec<u8>, rows: Vec<Row>) {
        if self.snapshot != snapshot {
            self.marked.clear();
        }
        self.snapshot = snapshot;
        self.stack.push((Screen::Folder(path), List::new(rows)));
    }

    /// The versions of a file, each with its snapshot.
    pub fn versions_found(&mut self, path: Vec<u8>, rows: Vec<(usize, Row)>) {
        let (snapshots, rows) = rows.into_iter().unzip();
        self.version_of = snapshots;
        self.stack.push((Screen::Versions(path), List::new(rows)));
    }

    /// A key was pressed.
    pub fn press(&mut self, key: Key) -> Do {
        self.message.clear();
        if self.typing.is_some() {
            return self.typed(key);
        }
        let Some((screen, list)) = self.stack.last_mut() else { return Do::Quit };
        match (key, &*screen) {
            (Key::Move(by), _) => {
                let to = list.cursor.saturating_add_signed(by);
                list.go(to);
            }
            (Key::Enter, _) => return self.enter(),
            (Key::Back | Key::Erase | Key::Char('h'), _) => {
                if !std::mem::take(&mut list.filter).is_empty() {
                    list.cursor = 0;
                } else if self.stack.len() > 1 {
                    self.stack.pop();
                }
            }
            (Key::Char('q'), _) => return Do::Quit,
            (Key::Char('/'), _) => self.typing = Some((Typing::Filter, String::new())),
            (Key::Char(' '), Screen::Folder(_)) => self.mark(),
            (Key::Char('v'), Screen::Folder(_)) => match list.current() {
                Some((_, row)) if !row.is_dir => return Do::Versions(row.path.clone()),
                _ => self.message = "versions are shown of files".into(),
            },
            (Key::Char('r'), Screen::Folder(_) | Screen::Versions(_)) => {
                if !self.wanted().1.is_empty() {
                    self.typing = Some((Typing::Target, "restored".into()));
                }
            }
            (Key::Char('j'), _) => return self.press(Key::Move(1)),
            (Key::Char('k'), _) => return self.press(Key::Move(-1)),
            (Key::Char('l'), _) => return self.press(Key::Enter),
            (Key::Char(_), _) => {}
        }
        Do::Nothing
    }

    fn enter(&mut self) -> Do {
        let Some((screen, list)) = self.stack.last() else { return Do::Quit };
        match (screen, list.current()) {
            (Screen::Snapshots, Some((number, _))) => Do::Open(number, Vec::new()),
            (Screen::Folder(_), Some((_, row))) if row.is_dir => Do::Open(self.snapshot, row.path.clone()),
            (Screen::Folder(_), Some((_, row))) => Do::Versions(row.path.clone()),
            _ => Do::Nothing,
        }
    }

    fn mark(&mut self) {
        let Some((_, list)) = self.stack.last_mut() else { return };
        let Some(path) = list.current().map(|(_, row)| row.path.clone()) else { return };
        if !self.marked.remove(&path) {
            self.marked.insert(path);
        }
        let next = list.cursor + 1;
        list.go(next);
    }

    /// What `r` would restore: what is marked, else the row at hand; of which snapshot.
    fn wanted(&self) -> (usize, Vec<Vec<u8>>) {
        let current = self.list().and_then(List::current);
        match (self.screen(), current) {
            (Screen::Versions(path), Some((number, _))) => {
                let snapshot = self.version_of.get(number).copied().unwrap_or_default();
                (snapshot, vec![path.clone()])
            }
            (_, Some((_, row))) if self.marked.is_empty() => (self.snapshot, vec![row.path.clone()]),
            _ => (self.snapshot, self.marked.iter().cloned().collect()),
        }
    }

    fn typed(&mut self, key: Key) -> Do {
        let Some((what, mut text)) = self.typing.take() else { return Do::Nothing };
        match key {
            Key::Char(c) => text.push(c),
            Key::Erase => drop(text.pop()),
            Key::Back => {
                text.clear();
                self.filter(what, &text);
                return Do::Nothing;
            }
            Key::Enter if what == Typing::Target => {
                let (snapshot, paths) = self.wanted();
                return if text.is_empty() { Do::Nothing } else { Do::Restore(snapshot, paths, text) };
            }
            Key::Enter => return Do::Nothing,
            Key::Move(_) => {}
        }
        self.filter(what, &text);
        self.typing = Some((what, text));
        Do::Nothing
    }

    fn filter(&mut self, what: Typing, text: &str) {
        if let (Typing::Filter, Some((_, list))) = (what, self.stack.last_mut()) {
            list.filter = text.to_owned();
            list.cursor = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, is_dir: bool) -> Row {
        Row { text: path.to_owned(), path: path.as_bytes().to_vec(), is_dir }
    }

    fn model() -> Model {
        Model::new(vec![row("new", true), row("old", true)])
    }

    fn press(model: &mut Model, keys: &str) -> Do {
        keys.chars().fold(Do::Nothing, |_, key| model.press(Key::Char(key)))
    }

    #[test]
    fn down_and_up_again() {
        let mut model = model();
        model.press(Key::Move(1));
        assert_eq!(model.press(Key::Enter), Do::Open(1, Vec::new()));
        model.opened(1, Vec::new(), vec![row("/home", true)]);
        assert_eq!(model.press(Key::Enter), Do::Open(1, b"/home".to_vec()));
        model.opened(1, b"/home".to_vec(), vec![row("/home/a", false), row("/home/b", true)]);
        assert_eq!(model.press(Key::Enter), Do::Versions(b"/home/a".to_vec()));
        model.press(Key::Back);
        model.press(Key::Back);
        model.press(Key::Back);
        assert!(matches!(model.screen(), Screen::Snapshots));
        assert_eq!(press(&mut model, "q"), Do::Quit);
    }

    #[test]
    fn what_is_marked_is_restored() {
        let mut model = model();
        model.opened(0, Vec::new(), vec![row("/a", false), row("/b", false), row("/c", false)]);
        let all = |paths: &[&str]| paths.iter().map(|path| path.as_bytes().to_vec()).collect::<Vec<_>>();
        press(&mut model, "r");
        assert_eq!(model.press(Key::Enter), Do::Restore(0, all(&["/a"]), "restored".into()));
        press(&mut model, "  ");
        press(&mut model, "r");
        assert_eq!(model.typing, Some((Typing::Target, "restored".into())));
        press(&mut model, "2");
        assert_eq!(model.press(Key::Enter), Do::Restore(0, all(&["/a", "/b"]), "restored2".into()));
        // Another snapshot's paths are others.
        model.press(Key::Back);
        model.opened(1, Vec::new(), vec![row("/a", false)]);
        assert!(model.marked.is_empty());
    }

    #[test]
    fn a_version_is_restored_from_its_own_snapshot() {
        let mut model = model();
        model.opened(0, Vec::new(), vec![row("/a", false)]);
        model.versions_found(b"/a".to_vec(), vec![(0, row("now", false)), (1, row("then", false))]);
        model.press(Key::Move(1));
        press(&mut model, "r");
        assert_eq!(model.press(Key::Enter), Do::Restore(1, vec![b"/a".to_vec()], "restored".into()));
    }

    #[test]
    fn filters_narrow_and_go_away() {
        let mut model = model();
        model.opened(0, Vec::new(), vec![row("/one", false), row("/two", true), row("/Twofold", true)]);
        press(&mut model, "/tw");
        assert_eq!(model.list().map(|list| list.shown().count()), Some(2));
        model.press(Key::Enter);
        model.press(Key::Move(7));
        assert_eq!(model.press(Key::Enter), Do::Open(0, b"/Twofold".to_vec()));
        model.press(Key::Back);
        assert_eq!(model.list().map(|list| list.shown().count()), Some(3));
        assert!(matches!(model.screen(), Screen::Folder(_)), "the first goes back to all rows");
        press(&mut model, "/nothing");
        model.press(Key::Enter);
        assert_eq!(model.press(Key::Enter), Do::Nothing);
    }
}
