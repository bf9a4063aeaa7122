//! Hard links: where the first name of each group is.

use std::collections::HashMap;

/// A hard-link group (spec 8.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct LinkKey {
    /// The group's number.
    pub link: u64,
    /// The region: counts the roots and boundary directories of this run.
    pub region: u32,
    /// The kind's number: equal groups of other kinds are other objects.
    pub kind: u8,
}

/// Where the first name of a group is.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    /// The directory, by its number in the map.
    pub dir: u32,
    name_at: usize,
    name_bytes: u16,
}

#[derive(Debug)]
struct LinkDir {
    above: u32,
    name: Box<[u8]>,
}

/// All groups met so far. A group takes some 50 bytes and its name.
#[derive(Debug)]
pub(super) struct LinkMap {
    firsts: HashMap<LinkKey, First>,
    dirs: Vec<LinkDir>,
    names: Vec<u8>,
}

impl LinkMap {
    /// The number of the target itself.
    pub const TOP: u32 = 0;

    /// No groups.
    pub fn new() -> Self {
        let top = LinkDir { above: Self::TOP, name: Box::default() };
        Self { firsts: HashMap::new(), dirs: vec![top], names: Vec::new() }
    }

    /// Gives a directory a number.
    pub fn add_dir(&mut self, above: u32, name: &[u8]) -> u32 {
        self.dirs.push(LinkDir { above, name: name.into() });
        // Four thousand million directories with hard links do not fit in memory anyway.
        u32::try_from(self.dirs.len() - 1).unwrap_or(u32::MAX)
    }

    /// The first name of a group, if it was met.
    pub fn get(&self, key: &LinkKey) -> Option<First> {
        self.firsts.get(key).copied()
    }

    /// Remembers the first name of a group. Names have at most 4,096 bytes (spec 1.6).
    pub fn add(&mut self, key: LinkKey, dir: u32, name: &[u8]) {
        let Ok(name_bytes) = u16::try_from(name.len()) else { return };
        let first = First { dir, name_at: self.names.len(), name_bytes };
        self.names.extend_from_slice(name);
        self.firsts.insert(key, first);
    }

    /// The name of a first.
    pub fn name(&self, first: &First) -> &[u8] {
        self.names.get(first.name_at..first.name_at + usize::from(first.name_bytes)).unwrap_or_default()
    }

    /// The names that lead from the target to a directory.
    pub fn steps(&self, dir: u32) -> Vec<Vec<u8>> {
        let mut steps = Vec::new();
        let mut at = dir;
        while at != Self::TOP {
            let Some(dir) = self.dirs.get(at as usize) else { break };
            steps.push(dir.name.to_vec());
            at = dir.above;
        }
        steps.reverse();
        steps
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn firsts_and_their_places() {
        let mut map = LinkMap::new();
        let a = map.add_dir(LinkMap::TOP, b"a");
        let b = map.add_dir(a, b"b");
        let key = LinkKey { link: 7, region: 0, kind: 0 };
        assert!(map.get(&key).is_none());
        map.add(key, b, b"name");
        let first = map.get(&key).unwrap();
        assert_eq!(map.name(&first), b"name");
        assert_eq!(map.steps(first.dir), [b"a".to_vec(), b"b".to_vec()]);
        assert!(map.steps(LinkMap::TOP).is_empty());
        for other in [LinkKey { region: 1, ..key }, LinkKey { kind: 2, ..key }, LinkKey { link: 8, ..key }] {
            assert!(map.get(&other).is_none());
        }
    }
}
