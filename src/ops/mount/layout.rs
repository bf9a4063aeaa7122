//! What is above the snapshots: `ids/ID` are the snapshots themselves; `snapshots`, `hosts/NAME` and `tags/TAG` have links to them by time, and `latest`.

use crate::format::entry::Entry;
use crate::format::time::Time;
use crate::ops::view::tree::Item;
use crate::repo::snapshots::Snapshot;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// What the program shows without the repository having it, and the roots of snapshots. Its number is its inode number less 1.
#[derive(Debug)]
pub enum Fixed {
    /// A folder.
    Folder {
        /// Its children.
        children: BTreeMap<Vec<u8>, usize>,
        /// The folder above.
        parent: usize,
        /// When the newest snapshot below was begun.
        time: Time,
    },
    /// A link.
    Link {
        /// Where to.
        target: Vec<u8>,
        /// The time of that snapshot.
        time: Time,
    },
    /// A root of a snapshot.
    Root {
        /// What is there.
        entry: Box<Entry>,
        /// Which snapshot.
        snapshot: usize,
        /// Its path.
        path: Vec<u8>,
        /// The folder above.
        parent: usize,
    },
}

/// All of it.
#[derive(Debug)]
pub struct Layout {
    /// By number; 0 is the top.
    pub all: Vec<Fixed>,
}

impl Layout {
    /// Of these snapshots, oldest first.
    pub fn new(snapshots: &[Snapshot], zone: &TimeZone) -> Self {
        let mut layout = Self { all: Vec::new() };
        let newest = snapshots.last().map_or(Time { secs: 0, nanos: 0 }, |snapshot| snapshot.head.cover.started);
        layout.all.push(Fixed::Folder { children: BTreeMap::new(), parent: 0, time: newest });
        let [ids, times, hosts, tags] =
            ["ids", "snapshots", "hosts", "tags"].map(|name| layout.folder(0, name.as_bytes(), newest));
        for (number, snapshot) in snapshots.iter().enumerate() {
            let time = snapshot.head.cover.started;
            let id = layout.free_name(ids, snapshot.head.id.short().as_bytes());
            layout.item(ids, &id, Item::top(&snapshot.manifest), &mut Vec::new(), (number, time));
            let stamp = stamp(time, zone);
            layout.links(times, "../ids/", &id, &stamp, time);
            let host = layout.folder(hosts, &harmless(&snapshot.head.cover.host), time);
            layout.links(host, "../../ids/", &id, &stamp, time);
            for tag in &snapshot.manifest.tags {
                let tag = layout.folder(tags, &harmless(tag), time);
                layout.links(tag, "../../ids/", &id, &stamp, time);
            }
        }
        layout
    }

    fn add(&mut self, above: usize, name: &[u8], fixed: Fixed) -> usize {
        let number = self.all.len();
        self.all.push(fixed);
        if let Some(Fixed::Folder { children, .. }) = self.all.get_mut(above) {
            children.insert(name.to_vec(), number);
        }
        number
    }

    /// The folder of this name; made if need be.
    fn folder(&mut self, above: usize, name: &[u8], now: Time) -> usize {
        if let Some(number) = self.child(above, name) {
            if let Some(Fixed::Folder { time, .. }) = self.all.get_mut(number) {
                *time = now;
            }
            return number;
        }
        self.add(above, name, Fixed::Folder { children: BTreeMap::new(), parent: above, time: now })
    }

    /// The child of a folder.
    pub fn child(&self, above: usize, name: &[u8]) -> Option<usize> {
        match self.all.get(above)? {
            Fixed::Folder { children, .. } => children.get(name).copied(),
            _ => None,
        }
    }

    fn free_name(&self, above: usize, name: &[u8]) -> Vec<u8> {
        let tries = std::iter::once(name.to_vec()).chain((1..).map(|n| [name, format!("-{n}").as_bytes()].concat()));
        tries.into_iter().find(|name| self.child(above, name).is_none()).unwrap_or_default()
    }

    fn links(&mut self, above: usize, to: &str, id: &[u8], stamp: &str, time: Time) {
        let target = [to.as_bytes(), id].concat();
        let name = self.free_name(above, stamp.as_bytes());
        self.add(above, &name, Fixed::Link { target: target.clone(), time });
        // Of the last one that comes.
        self.add(above, b"latest", Fixed::Link { target, time });
    }

    fn item(&mut self, above: usize, name: &[u8], item: Item, path: &mut Vec<u8>, of: (usize, Time)) {
        match item {
            Item::Entry(entry) => {
                let path = if path.is_empty() { b"/".to_vec() } else { path.clone() };
                self.add(above, name, Fixed::Root { entry, snapshot: of.0, path, parent: above });
            }
            Item::Above(children) => {
                let folder = self.folder(above, name, of.1);
                for (name, child) in children {
                    let len = path.len();
                    path.push(b'/');
                    path.extend_from_slice(&name);
                    self.item(folder, &name, child, path, of);
                    path.truncate(len);
                }
            }
        }
    }
}

/// A time as a name: RFC 3339 in `zone`, to the second.
fn stamp(time: Time, zone: &TimeZone) -> String {
    match jiff::Timestamp::new(time.secs, 0) {
        Ok(stamp) => stamp.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        Err(_) => time.secs.to_string(),
    }
}

/// What somebody has chosen, as a name of one folder.
fn harmless(text: &str) -> Vec<u8> {
    let mut name: Vec<u8> =
        text.bytes().map(|byte| if matches!(byte, b'/' | 0) { b'_' } else { byte }).take(255).collect();
    if matches!(&name[..], b"" | b"." | b"..") {
        name.insert(0, b'_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere() {
        for (text, name) in [("yoga", "yoga"), ("..", "_.."), (".", "_."), ("", "_"), ("a/b\0", "a_b_")] {
            assert_eq!(harmless(text), name.as_bytes());
        }
        assert_eq!(harmless(&"x".repeat(300)).len(), 255);
        assert_eq!(stamp(Time { secs: 1_777_639_296, nanos: 5 }, &TimeZone::UTC), "2026-05-01T12:41:36+00:00");
    }
}
