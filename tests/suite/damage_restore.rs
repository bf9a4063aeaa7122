//! Restoring from damaged repositories: what is not hit comes back exactly, what is hit is named, as the check names it.

use crate::damage_world::{Objects, World, open, read_all, store_of};
use panther::format::header::BlobKind;
use panther::ops::Silent;
use panther::ops::check::{Amount, CheckOptions, check};
use panther::ops::restore::{RestoreOptions, restore};
use std::collections::BTreeSet;
use std::fs;

fn restore_all(world: &World, what: &str, objects: &Objects) {
    let repo = open(store_of(objects), &world.admin).unwrap();
    let state = world.new_state(&repo);
    let everything = CheckOptions { read_data: Some(Amount::All), threads: 1, ..CheckOptions::default() };
    let report = check(&repo, &state, &everything, &Silent).unwrap();
    read_all(&repo, &state).unwrap();
    for snapshot in repo.snapshots(&repo.statements().unwrap()).unwrap().snapshots {
        let target = tempfile::tempdir_in(world.folder.path()).unwrap();
        let options = RestoreOptions { threads: 1, ..RestoreOptions::new(None, target.path().to_owned()) };
        let id = snapshot.head.id;
        let affected: BTreeSet<&str> =
            report.affected.iter().filter(|a| a.snapshot == id).map(|a| a.path.as_str()).collect();
        let restored = restore(&repo, &state, &snapshot, &options, &Silent).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(restored.problem_count == 0, affected.is_empty(), "{what}: {:?} {affected:?}", restored.problems);
        for ((_, path), bytes) in world.files.iter().filter(|((of, _), _)| *of == id) {
            let there = fs::read(target.path().join(path.trim_start_matches('/')));
            let is_hit = affected.iter().any(|a| a == path || (a.ends_with('/') && path.starts_with(a)));
            match there {
                Ok(there) => assert!(there == *bytes, "{what}: {path} is restored as something else"),
                Err(error) => assert!(is_hit, "{what}: {path} is not restored: {error}"),
            }
        }
        for problem in &restored.problems {
            let named = affected.iter().any(|a| a.trim_end_matches('/') == problem.path.trim_end_matches('/'));
            assert!(named, "{what}: {problem:?} is not in {affected:?}");
        }
    }
}

#[test]
fn what_is_not_hit_is_restored() {
    let world = World::new();
    restore_all(&world, "sound", &world.objects);
    let mut cases = 1;
    let packs = [world.packs(BlobKind::Data), world.packs(BlobKind::Tree)].concat();
    for name in packs {
        let bytes = &world.objects[&name];
        let len = bytes.len();
        for at in [0, 20, 70, 100, 128, len / 3, len / 2, len - 300, len - 17, len - 10] {
            let mut objects = world.objects.clone();
            objects.get_mut(&name).unwrap()[at] ^= 0x55;
            restore_all(&world, &format!("{name}: byte {at} flipped"), &objects);
            cases += 1;
        }
        for cut in [0, 100, len / 2, len - 1] {
            let mut objects = world.objects.clone();
            objects.insert(name.clone(), bytes[..cut].to_vec());
            restore_all(&world, &format!("{name}: cut to {cut}"), &objects);
            cases += 1;
        }
        let mut objects = world.objects.clone();
        objects.remove(&name);
        restore_all(&world, &format!("{name}: missing"), &objects);
        cases += 1;
    }
    println!("restored from damaged repositories: {cases} cases");
}
