//! Names of users and groups by number.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::{Arc, PoisonError, RwLock};

type Cache = RwLock<HashMap<u32, Option<Arc<str>>>>;

/// A cache of the names that the system has for user and group numbers, for any number of threads.
///
/// The system is asked once a number (through NSS: files, or a directory service that may be slow).
#[derive(Debug, Default)]
pub struct OwnerNames {
    users: Cache,
    groups: Cache,
}

impl OwnerNames {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name of user `uid`; `None` if there is none or it is not UTF-8.
    pub fn user(&self, uid: u32) -> Option<Arc<str>> {
        cached(&self.users, uid, || text(uzers::get_user_by_uid(uid)?.name()))
    }

    /// The name of group `gid`; `None` if there is none or it is not UTF-8.
    pub fn group(&self, gid: u32) -> Option<Arc<str>> {
        cached(&self.groups, gid, || text(uzers::get_group_by_gid(gid)?.name()))
    }
}

fn text(name: &OsStr) -> Option<Arc<str>> {
    name.to_str().filter(|name| !name.is_empty()).map(Arc::from)
}

fn cached(cache: &Cache, id: u32, ask: impl Fn() -> Option<Arc<str>>) -> Option<Arc<str>> {
    // A map is whole at any time, also after a panic elsewhere.
    if let Some(known) = cache.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
        return known.clone();
    }
    // Not under the lock: it may take long. Two threads may ask the same; both get the same answer.
    let name = ask();
    let mut cache = cache.write().unwrap_or_else(PoisonError::into_inner);
    cache.entry(id).or_insert(name).clone()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn root_has_a_name_and_nobody_asks_twice() {
        let names = OwnerNames::new();
        assert_eq!(names.user(0).as_deref(), Some("root"));
        assert_eq!(names.user(0).as_deref(), Some("root"));
        assert_eq!(names.group(0).as_deref(), Some("root"));
        assert_eq!(names.user(4_000_000_000), None);
        assert_eq!(names.group(4_000_000_000), None);

        let cache = Cache::default();
        let asked = Cell::new(0);
        let ask = || {
            asked.set(asked.get() + 1);
            None
        };
        assert_eq!(cached(&cache, 1, ask), None);
        assert_eq!(cached(&cache, 1, ask), None);
        assert_eq!(asked.get(), 1, "that there is none is remembered as well");
    }

    #[test]
    fn many_threads() {
        let names = OwnerNames::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for id in 0..50 {
                        assert_eq!(names.user(id), names.user(id));
                        assert_eq!(names.group(id), names.group(id));
                    }
                });
            }
        });
    }

    #[test]
    fn names_that_are_not_text() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(text(OsStr::from_bytes(b"\xff")), None);
        assert_eq!(text(OsStr::new("")), None);
        assert_eq!(text(OsStr::new("alice")).as_deref(), Some("alice"));
    }
}
