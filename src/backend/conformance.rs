//! Checks that a backend keeps the promises of [`super`], for the tests of each.
//!
//! What cannot be seen from outside is not checked: power cuts (promise 1), damage (2), other processes (6).

use super::{Backend, Body, Listed};
use crate::error::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

type Outcome = Result<(), String>;
type Check = fn(&dyn Backend) -> Outcome;

const MIB: usize = 1 << 20;
const NO_LIMIT: u64 = u64::MAX;

/// Checks every promise, each on a new, empty store from `make`.
///
/// # Errors
/// The first promise that is broken, and how.
pub fn check(make: &dyn Fn() -> Box<dyn Backend>) -> Outcome {
    let checks: [(&str, Check); 9] = [
        ("1 (all or nothing)", round_trips),
        ("1 (all or nothing)", files),
        ("2 (write once)", repeats),
        ("3 (exact reads)", exact_reads),
        ("4 (honest listing)", listing),
        ("4 (honest listing), folders", folders),
        ("5 (missing)", missing),
        ("5 (missing), after a delete", deletes),
        ("6 (side by side)", side_by_side),
    ];
    for (promise, check) in checks {
        check(&*make()).map_err(|how| format!("promise {promise} is broken: {how}"))?;
    }
    Ok(())
}

/// Bytes that differ from place to place, and with the seed.
fn sample(seed: u64, len_bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let step = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(step).take(len_bytes).collect()
}

fn ok<T>(what: &str, done: Result<T, StoreError>) -> Result<T, String> {
    done.map_err(|error| format!("{what} failed: {error:?}"))
}

fn same<T: PartialEq + Debug>(what: &str, actual: &T, expected: &T) -> Outcome {
    if actual == expected {
        return Ok(());
    }
    Err(format!("{what} is {actual:?}, not {expected:?}"))
}

fn put(store: &dyn Backend, name: &str, bytes: &[u8]) -> Outcome {
    ok(&format!("put of {name}"), store.put(name, Body::Bytes(bytes)))
}

/// The listing as a map; a name that is visited twice is an error.
fn listed(store: &dyn Backend, prefix: &str) -> Result<BTreeMap<String, u64>, String> {
    let mut found = BTreeMap::new();
    let mut twice = None;
    let done = store.list(prefix, &mut |Listed { name, size_bytes, .. }| {
        if found.insert(name.clone(), size_bytes).is_some() {
            twice = Some(name);
        }
    });
    ok(&format!("list of {prefix:?}"), done)?;
    match twice {
        Some(name) => Err(format!("list of {prefix:?} visits {name} twice")),
        None => Ok(found),
    }
}

/// That an object is there, with these bytes, in all calls.
fn present(store: &dyn Backend, name: &str, bytes: &[u8]) -> Outcome {
    let size_bytes = bytes.len() as u64;
    same(&format!("size of {name}"), &ok("size", store.size(name))?, &size_bytes)?;
    // The limit is exactly the size: that must do.
    let whole = ok(&format!("get of {name}"), store.get(name, size_bytes))?;
    let part = ok("get_range", store.get_range(name, 0, bytes.len()))?;
    if whole != bytes || part != bytes {
        return Err(format!("{name} is read back with other bytes"));
    }
    let list = listed(store, "")?;
    same(&format!("listed size of {name}"), &list.get(name), &Some(&size_bytes))
}

/// That there is no trace of an object in any call.
fn absent(store: &dyn Backend, name: &str) -> Outcome {
    let not_found = |what: &str, done: Result<(), StoreError>| match done {
        Err(StoreError::NotFound) => Ok(()),
        other => Err(format!("{what} of {name}, which is missing, gives {other:?}")),
    };
    not_found("get", store.get(name, NO_LIMIT).map(drop))?;
    not_found("get_range", store.get_range(name, 0, 1).map(drop))?;
    not_found("empty get_range", store.get_range(name, 0, 0).map(drop))?;
    not_found("size", store.size(name).map(drop))?;
    not_found("delete", store.delete(name))?;
    match listed(store, "")?.contains_key(name) {
        true => Err(format!("{name}, which is missing, is listed")),
        false => Ok(()),
    }
}

fn too_long_or_short(what: &str, done: Result<Vec<u8>, StoreError>, size_bytes: u64) -> Outcome {
    match done {
        Err(StoreError::Length { actual_bytes, .. }) if actual_bytes == size_bytes => Ok(()),
        Ok(bytes) => Err(format!("{what} gives {} bytes", bytes.len())),
        Err(other) => Err(format!("{what} gives {other:?}, not the length {size_bytes}")),
    }
}

fn round_trips(store: &dyn Backend) -> Outcome {
    same("the listing of an empty store", &listed(store, "")?, &BTreeMap::new())?;
    for (seed, len_bytes) in [(0, 0), (1, 1), (2, MIB)] {
        let name = format!("keys/{len_bytes}");
        let bytes = sample(seed, len_bytes);
        put(store, &name, &bytes)?;
        present(store, &name, &bytes)?;
    }
    // Two names with the same bytes are two objects.
    put(store, "twin/a", b"same")?;
    put(store, "twin/b", b"same")?;
    ok("delete of one of two", store.delete("twin/a"))?;
    absent(store, "twin/a")?;
    present(store, "twin/b", b"same")
}

/// Tells the files of checks that run at the same time apart.
static NEXT_FILE: AtomicU64 = AtomicU64::new(0);

fn files(store: &dyn Backend) -> Outcome {
    let staging = ok("staging", store.staging())?;
    let folder = staging.unwrap_or_else(std::env::temp_dir);
    if !folder.is_dir() {
        return Err("staging is not a folder".to_owned());
    }
    let new_path = || {
        let count = NEXT_FILE.fetch_add(1, Ordering::Relaxed);
        folder.join(format!("conformance-{}-{count}", std::process::id()))
    };
    for (seed, len_bytes) in [(3, 0), (4, MIB + 1)] {
        let path = new_path();
        let name = format!("writers/w/packs/{len_bytes}");
        let bytes = sample(seed, len_bytes);
        std::fs::write(&path, &bytes).map_err(|e| format!("cannot write a file: {e}"))?;
        let before = listed(store, "")?;
        let done = ok("put of a file", store.put(&name, Body::File(&path)));
        // The backend may have taken it away or not.
        let _ = std::fs::remove_file(&path);
        done?;
        present(store, &name, &bytes)?;
        // What waits in the staging folder is not an object.
        let mut after = listed(store, "")?;
        after.remove(&name);
        same("the listing beside a put", &after, &before)?;
    }
    // A put that fails leaves no trace.
    match store.put("gc/nothing", Body::File(&new_path())) {
        Ok(()) => Err("a file that does not exist is put".to_owned()),
        Err(_) => absent(store, "gc/nothing"),
    }
}

fn repeats(store: &dyn Backend) -> Outcome {
    let bytes = sample(5, 4096);
    for _ in 0..3 {
        put(store, "gc/again", &bytes)?;
        present(store, "gc/again", &bytes)?;
    }
    same("the number of objects", &listed(store, "")?.len(), &1)
}

fn exact_reads(store: &dyn Backend) -> Outcome {
    let name = "writers/w/packs/00/p";
    let bytes = sample(6, 100_000);
    put(store, name, &bytes)?;
    for (start, len_bytes) in
        [(0, 1), (0, 4096), (4095, 2), (33_333, 33_333), (99_999, 1), (0, 100_000), (0, 0), (50_000, 0), (100_000, 0)]
    {
        let part = store.get_range(name, start as u64, len_bytes);
        let what = format!("get_range of {len_bytes} bytes from {start} on");
        if ok(&what, part)? != bytes[start..start + len_bytes] {
            return Err(format!("{what} gives other bytes"));
        }
    }
    for (start, len_bytes) in
        [(0, 100_001), (99_999, 2), (100_000, 1), (100_001, 0), (1 << 40, 1), (u64::MAX, 1), (u64::MAX - 1, 4096)]
    {
        let what = format!("get_range of {len_bytes} bytes from {start} on, past the end,");
        too_long_or_short(&what, store.get_range(name, start, len_bytes), 100_000)?;
    }
    for max_bytes in [0, 1, 99_999] {
        let what = format!("get of 100,000 bytes with a limit of {max_bytes}");
        too_long_or_short(&what, store.get(name, max_bytes), 100_000)?;
    }
    if ok("get", store.get(name, NO_LIMIT))? != bytes {
        return Err("get without a limit gives other bytes".to_owned());
    }
    Ok(())
}

/// Objects at several depths; the size of each is its place in the list.
const NAMES: [&str; 9] = [
    "panther.cbor",
    "gc/1",
    "keys/1.age",
    "writers/a/index/1",
    "writers/a/packs/00/1",
    "writers/a/packs/ff/1",
    "writers/a-b/index/1",
    "writers/ab/index/1",
    "writers/ab/snapshots/1",
];

fn put_names(store: &dyn Backend) -> Outcome {
    for (len_bytes, name) in NAMES.into_iter().enumerate() {
        put(store, name, &sample(7, len_bytes))?;
    }
    Ok(())
}

fn listing(store: &dyn Backend) -> Outcome {
    put_names(store)?;
    for prefix in [
        "",
        "gc/",
        "writers/",
        "writers/a/",
        "writers/ab/",
        "writers/a/packs/",
        "writers/a/packs/0/",
        "panther.cbor/",
        "nothing/here/",
        "tmp/",
    ] {
        let names = (0..).zip(NAMES).filter(|(_, name)| name.starts_with(prefix));
        let expected = names.map(|(size, name)| (name.to_owned(), size)).collect();
        same(&format!("list of {prefix:?}"), &listed(store, prefix)?, &expected)?;
    }
    Ok(())
}

fn folders(store: &dyn Backend) -> Outcome {
    put_names(store)?;
    // "a" comes before "a-b", although "a/" would come after "a-b/".
    for (prefix, expected) in [
        ("", &["gc", "keys", "writers"][..]),
        ("writers/", &["a", "a-b", "ab"]),
        ("writers/a/", &["index", "packs"]),
        ("writers/a/packs/", &["00", "ff"]),
        ("writers/a/index/", &[]),
        ("nothing/here/", &[]),
        ("tmp/", &[]),
    ] {
        let found = ok("list_folders", store.list_folders(prefix))?;
        let expected = expected.iter().map(|&folder| folder.to_owned()).collect();
        same(&format!("list_folders of {prefix:?}"), &found, &expected)?;
    }
    ok("delete", store.delete("writers/a-b/index/1"))?;
    let found = ok("list_folders", store.list_folders("writers/"))?;
    let expected = vec!["a".to_owned(), "ab".to_owned()];
    same("list_folders without the last object of one", &found, &expected)
}

fn missing(store: &dyn Backend) -> Outcome {
    absent(store, "gc/1")?;
    put_names(store)?;
    // Beside, above and below what is there.
    for name in ["gc/2", "writers/a/packs", "writers", "gc/1/x", "panther.cbor/x"] {
        absent(store, name)?;
    }
    same("the number of objects", &listed(store, "")?.len(), &NAMES.len())
}

fn deletes(store: &dyn Backend) -> Outcome {
    put_names(store)?;
    for (done, name) in NAMES.into_iter().enumerate() {
        ok(&format!("delete of {name}"), store.delete(name))?;
        absent(store, name)?;
        same("the number of objects", &listed(store, "")?.len(), &(NAMES.len() - done - 1))?;
    }
    put_names(store)?;
    present(store, NAMES[8], &sample(7, 8))
}

fn side_by_side(store: &dyn Backend) -> Outcome {
    const THREADS: u64 = 8;
    let shared = sample(8, 300_000);
    put(store, "shared/1", &shared)?;
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|i| {
                let shared = &shared;
                scope.spawn(move || one_of_many(store, i, shared))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".to_owned())))
            .collect()
    });
    outcomes.into_iter().collect::<Outcome>()?;
    let found: BTreeSet<String> = listed(store, "")?.into_keys().collect();
    let own = (0..THREADS).flat_map(|i| (0..ROUNDS).step_by(2).map(move |k| own_name(i, k)));
    let expected = own.chain(["shared/1".to_owned()]).collect();
    same("the listing after all threads", &found, &expected)?;
    present(store, "shared/1", &shared)
}

const ROUNDS: u64 = 12;

/// In few folders, so that threads make the same ones at the same time.
fn own_name(thread: u64, round: u64) -> String {
    format!("writers/w{}/packs/{:02x}/{thread}", thread % 2, round)
}

fn one_of_many(store: &dyn Backend, thread: u64, shared: &[u8]) -> Outcome {
    for round in 0..ROUNDS {
        let name = own_name(thread, round);
        let bytes = sample(thread * ROUNDS + round, 1000 + MIB / 8 * (round % 2) as usize);
        put(store, &name, &bytes)?;
        present(store, &name, &bytes)?;
        // Everybody puts and reads this one: a reader never sees a part of it.
        put(store, "shared/1", shared)?;
        if ok("get of a shared object", store.get("shared/1", NO_LIMIT))? != shared {
            return Err("an object that is put again meanwhile is read in part".to_owned());
        }
        if round % 2 == 1 {
            ok("delete", store.delete(&name))?;
            absent(store, &name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::fault::{Call, Fault, FaultBackend, Op, connection_reset};
    use crate::backend::memory::MemoryBackend;

    fn verdict(plan: fn(&Call<'_>) -> Option<Fault>) -> String {
        check(&|| Box::new(FaultBackend::new(MemoryBackend::new(), plan))).unwrap_err()
    }

    #[test]
    fn broken_stores_are_found() {
        let lost = verdict(|call| (call.op == Op::Put && call.ordinal == 2).then_some(Fault::LostAnswer));
        assert!(lost.starts_with("promise 1") && lost.contains("keys/1"), "{lost}");
        let flipped = verdict(|call| (call.op == Op::Get).then_some(Fault::FlipByte(MIB - 1)));
        assert!(flipped.starts_with("promise 1") && flipped.contains("keys/1048576"), "{flipped}");
        let short = verdict(|call| (call.op != Op::Put && call.name.ends_with("/p")).then_some(Fault::Truncate(9)));
        assert!(short.starts_with("promise 3"), "{short}");
        let blind = verdict(|call| (call.name == "writers/ab/").then_some(Fault::Error(connection_reset)));
        assert!(blind.starts_with("promise 4"), "{blind}");
        let denied = verdict(|call| (call.name == "gc/1/x").then_some(Fault::Error(connection_reset)));
        assert!(denied.starts_with("promise 5"), "{denied}");
    }
}
