//! Which owner a restored object gets.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::{Error, Result};

/// One of users and groups.
#[derive(Debug, Default)]
struct Side {
    by_id: HashMap<u32, u32>,
    by_name: HashMap<String, u32>,
    /// What the system said of names.
    known: RwLock<HashMap<String, Option<u32>>>,
}

impl Clone for Side {
    fn clone(&self) -> Self {
        // What the system said can be asked again.
        Self { by_id: self.by_id.clone(), by_name: self.by_name.clone(), known: RwLock::default() }
    }
}

/// Maps the owners of a snapshot to owners here.
///
/// For users and groups alike, the first that applies: an explicit map of the name, an explicit map of the number,
/// with [`OwnerMap::by_name`] the number that the name has here, the number as it is. For any number of threads.
#[derive(Debug, Default, Clone)]
pub struct OwnerMap {
    names: bool,
    users: Side,
    groups: Side,
}

impl OwnerMap {
    /// Keeps the numbers as they are.
    pub fn numeric() -> Self {
        Self::default()
    }

    /// Gives a name that exists here its number here; other owners keep theirs.
    pub fn by_name() -> Self {
        Self { names: true, ..Self::default() }
    }

    /// Adds an explicit map of a user, as `--map-user old:new` has it: each a name or a number.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is no such text or there is no user `new` here.
    pub fn map_user(&mut self, map: &str) -> Result<()> {
        self.users.add(map, "user", find_user)
    }

    /// Adds an explicit map of a group, as `--map-group old:new` has it: each a name or a number.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is no such text or there is no group `new` here.
    pub fn map_group(&mut self, map: &str) -> Result<()> {
        self.groups.add(map, "group", find_group)
    }

    /// The user that an object gets whose owner in the snapshot is `uid`, called `name`.
    pub fn user(&self, uid: u32, name: Option<&str>) -> u32 {
        self.users.get(uid, name, self.names, find_user)
    }

    /// The group that an object gets whose group in the snapshot is `gid`, called `name`.
    pub fn group(&self, gid: u32, name: Option<&str>) -> u32 {
        self.groups.get(gid, name, self.names, find_group)
    }
}

fn find_user(name: &str) -> Option<u32> {
    uzers::get_user_by_name(name).map(|user| user.uid())
}

fn find_group(name: &str) -> Option<u32> {
    uzers::get_group_by_name(name).map(|group| group.gid())
}

/// A number as people write it; `None` for a name. 2^32−1 is nobody's: chown(2) takes it for "leave it".
fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| is_number && *id != u32::MAX)
}

impl Side {
    fn add(&mut self, map: &str, what: &str, find: fn(&str) -> Option<u32>) -> Result<()> {
        let malformed = || Error::Usage(format!("`{map}` maps no {what}; write old:new, each a name or a number"));
        let (old, new) = map.split_once(':').ok_or_else(malformed)?;
        if old.is_empty() || new.is_empty() || new.contains(':') {
            return Err(malformed());
        }
        let new_id = number(new)
            .or_else(|| find(new))
            .ok_or_else(|| Error::Usage(format!("`{map}`: there is no {what} `{new}` here")))?;
        match number(old) {
            Some(old_id) => self.by_id.insert(old_id, new_id),
            None => self.by_name.insert(old.to_owned(), new_id),
        };
        Ok(())
    }

    fn get(&self, id: u32, name: Option<&str>, names: bool, find: fn(&str) -> Option<u32>) -> u32 {
        let mapped = name.and_then(|name| self.by_name.get(name));
        if let Some(mapped) = mapped.or_else(|| self.by_id.get(&id)) {
            return *mapped;
        }
        let name = name.filter(|_| names);
        name.and_then(|name| self.known(name, find)).unwrap_or(id)
    }

    fn known(&self, name: &str, find: fn(&str) -> Option<u32>) -> Option<u32> {
        // A map is whole at any time, also after a panic elsewhere.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = known.get(name) {
            return *id;
        }
        drop(known);
        let id = find(name);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known.entry(name.to_owned()).or_insert(id)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay() {
        let map = OwnerMap::numeric();
        assert_eq!(map.user(1234, Some("root")), 1234);
        assert_eq!(map.group(1234, None), 1234);
    }

    #[test]
    fn names_have_their_number_here() {
        let map = OwnerMap::by_name();
        for _ in 0..2 {
            assert_eq!(map.user(1234, Some("root")), 0);
            assert_eq!(map.group(1234, Some("root")), 0);
            assert_eq!(map.user(1234, Some("no such user, surely")), 1234);
            assert_eq!(map.user(1234, None), 1234);
        }
    }

    #[test]
    fn explicit_maps_come_first() {
        let mut map = OwnerMap::by_name();
        map.map_user("root:7").unwrap();
        map.map_user("1000:root").unwrap();
        map.map_user("alice:8").unwrap();
        map.map_group("1000:9").unwrap();
        assert_eq!(map.user(0, Some("root")), 7);
        assert_eq!(map.user(0, None), 0);
        assert_eq!(map.user(1000, None), 0);
        assert_eq!(map.user(1000, Some("alice")), 8, "the name comes before the number");
        assert_eq!(map.group(1000, Some("root")), 9);
        assert_eq!(map.group(1001, Some("root")), 0);
    }

    #[test]
    fn what_maps_nothing_is_refused() {
        let mut map = OwnerMap::numeric();
        for text in ["", "a", ":", "a:", ":1", "1:2:3", "1:no such user, surely", "1:4294967295", "1:-1", "1:+1"] {
            for result in [map.map_user(text), map.map_group(text)] {
                let error = result.unwrap_err();
                assert!(matches!(error, Error::Usage(_)));
                assert!(error.to_string().contains(text));
            }
        }
    }
}
