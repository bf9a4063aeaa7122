//! `panther snapshot create|list|prune` through the real program, on a real Btrfs.

use crate::btrfs_kit::{BtrfsLab, open_dir};
use crate::cli_common::{Sandbox, document};
use crate::common::{noise, write};
use crate::words;
use panther::source::btrfs::{is_read_only, subvol_info};
use serde_json::Value;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

struct World {
    fs: BtrfsLab,
    sandbox: Sandbox,
}

impl World {
    fn new() -> Option<Self> {
        Some(Self { fs: BtrfsLab::new()?, sandbox: Sandbox::empty() })
    }

    fn json(&self, arguments: &[&str], paths: &[&Path]) -> Value {
        let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
        self.sandbox.json(&[&["snapshot"], arguments, &paths].concat())
    }

    fn fails(&self, code: i32, arguments: &[&str], paths: &[&Path]) -> String {
        let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
        let run = self.sandbox.run(&[&["snapshot"], arguments, &paths, &["--json"]].concat());
        assert_eq!(run.code, code, "{}{}", run.out, run.err);
        document(&run.out);
        run.err
    }

    /// A snapshot in the subvolume's folder under this name.
    fn snapshot(&self, subvolume: &Path, name: &str, read_only: bool) -> PathBuf {
        let path = subvolume.join(".panther").join(name);
        self.fs.snapshot(subvolume, path.strip_prefix(self.fs.root()).unwrap().to_str().unwrap(), read_only)
    }
}

fn names(subvolume: &Path) -> Vec<String> {
    let entries = fs::read_dir(subvolume.join(".panther")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn sets_are_made_and_listed() {
    let Some(world) = World::new() else { return };
    let (a, b) = (world.fs.subvolume("a"), world.fs.subvolume("b"));
    write(&a.join("file"), &noise(1, 3 << 20));
    write(&b.join("file"), b"b");
    let made = world.json(&["create", "--label", "before-upgrade"], &[&a, &b, &a.join(".")]);
    let name = made["name"].as_str().unwrap();
    assert!(name.ends_with("Z-before-upgrade") && made["label"] == "before-upgrade", "{made}");
    assert_eq!((names(&a), names(&b)), (vec![name.to_owned()], vec![name.to_owned()]));
    assert_eq!(made["snapshots"].as_array().unwrap().len(), 2, "{made}");
    fs::write(a.join("file"), noise(2, 3 << 20)).unwrap();
    for subvolume in [&a, &b] {
        let root = open_dir(&subvolume.join(".panther").join(name));
        let (snapshot, of) = (subvol_info(root.as_fd()).unwrap(), subvol_info(open_dir(subvolume).as_fd()).unwrap());
        assert!(is_read_only(root.as_fd()).unwrap() && snapshot.parent_uuid == Some(of.uuid));
    }
    assert_eq!(fs::read(a.join(".panther").join(name).join("file")).unwrap(), noise(1, 3 << 20));

    // As many in a second as anybody likes, in the order in which they were made.
    let more: Vec<String> =
        (0..5).map(|_| world.json(&["create"], &[&a])["name"].as_str().unwrap().to_owned()).collect();
    assert!(more.is_sorted() && *more[0] > *name.strip_suffix("-before-upgrade").unwrap(), "{more:?}");
    assert_eq!(names(&a).len(), 6);

    let listed = world.json(&["list"], &[&a, &b]);
    let of_a = &listed["subvolumes"][0];
    assert_eq!((&of_a["count"], &listed["subvolumes"][1]["count"]), (&Value::from(6), &Value::from(1)), "{listed}");
    assert_eq!(of_a["snapshots"][0]["label"], "before-upgrade", "{listed}");
    let age_secs = of_a["snapshots"][0]["age_secs"].as_i64().unwrap();
    assert!((0..600).contains(&age_secs), "{listed}");
    assert_eq!(of_a["snapshots"][0]["exclusive_bytes"], Value::Null, "no quota groups, no figure: {listed}");

    crate::btrfs_kit::run("btrfs", words!["quota", "enable", &world.fs.root()]);
    crate::btrfs_kit::run("btrfs", words!["quota", "rescan", "-w", &world.fs.root()]);
    crate::btrfs_kit::run("btrfs", words!["filesystem", "sync", &world.fs.root()]);
    let listed = world.json(&["list"], &[&a]);
    let exclusive = |n: usize| listed["subvolumes"][0]["snapshots"][n]["exclusive_bytes"].as_u64().unwrap();
    // Only the first has what the file was then.
    assert!((3 << 20..4 << 20).contains(&exclusive(0)) && exclusive(3) < 1 << 20, "{listed}");
    let text = world.sandbox.ok(&["snapshot", "list", a.to_str().unwrap()]);
    assert!(text.contains(": 6 snapshots\n") && text.contains("Exclusive") && text.contains(name), "{text}");
}

#[test]
fn a_set_is_whole_or_not_there() {
    let Some(world) = World::new() else { return };
    let (a, b) = (world.fs.subvolume("a"), world.fs.subvolume("b"));
    fs::create_dir(a.join("folder")).unwrap();
    for path in [a.join("folder"), world.sandbox.temp.path().to_owned()] {
        let told = world.fails(2, &["create"], &[&a, &path]);
        assert!(told.contains("is not the root of a Btrfs subvolume"), "{told}");
    }
    assert!(!a.join(".panther").exists());
    world.fails(2, &["create", "--label", "a/b"], &[&a]);
    world.fails(2, &["list"], &[&a.join("folder")]);
    // The last one of a set cannot be made: the first ones are taken back.
    fs::create_dir(b.join(".panther")).unwrap();
    crate::btrfs_kit::run("chattr", words!["+i", &b.join(".panther")]);
    let told = world.fails(1, &["create"], &[&a, &b]);
    crate::btrfs_kit::run("chattr", words!["-i", &b.join(".panther")]);
    assert!(told.contains(&format!("cannot take a snapshot of {}", b.display())), "{told}");
    assert_eq!((names(&a).len(), names(&b).len()), (0, 0));
    assert_eq!(world.json(&["list"], &[&b])["subvolumes"][0]["count"], 0);
}

#[test]
fn pruning_goes_by_the_rules_and_spares_what_is_not_its_own() {
    let Some(world) = World::new() else { return };
    let (a, other) = (world.fs.subvolume("a"), world.fs.subvolume("other"));
    write(&a.join("file"), b"content");
    fs::create_dir(a.join(".panther")).unwrap();
    let mut wanted = Vec::new();
    for (name, stays) in [
        ("20260101T120000Z", false),
        ("20260102T010000Z", false),
        ("20260102T230000Z-evening", false),
        ("20260103T120000Z", true),  // pinned
        ("20260104T120000Z", false), // in use: stays as long as it is
        ("20260105T120000Z", false),
        ("20260106T010000Z", true),
        ("20260107T010000Z", false),
        ("20260107T020000Z.1-x", true),
    ] {
        world.snapshot(&a, name, true);
        wanted.extend(stays.then(|| name.to_owned()));
    }
    // Nothing of these is a snapshot of panther's.
    world.snapshot(&a, "20250101T000000Z-writable", false);
    world.snapshot(&a, "mine", true);
    world.snapshot(&a, "backup-20250101T000000Z-0123456789abcdef", true);
    fs::create_dir(a.join(".panther/20250101T000000Z-folder")).unwrap();
    fs::write(a.join(".panther/20250101T000000Z-file"), b"").unwrap();
    std::os::unix::fs::symlink("20260103T120000Z", a.join(".panther/pin-0123456789abcdef")).unwrap();
    std::os::unix::fs::symlink("20260101T120000Z", a.join(".panther/20250101T000000Z-link")).unwrap();
    wanted.extend(
        ["20250101T000000Z-writable", "mine", "backup-20250101T000000Z-0123456789abcdef", "20250101T000000Z-folder"]
            .map(str::to_owned),
    );
    wanted.extend(["20250101T000000Z-file", "pin-0123456789abcdef", "20250101T000000Z-link"].map(str::to_owned));
    wanted.sort();
    let all = names(&a);

    assert!(world.fails(2, &["prune"], &[&a]).contains("no rule"));
    assert!(world.fails(2, &["prune", "--keep-last", "0"], &[&a]).contains("no rule"));
    let held = open_dir(&a.join(".panther/20260104T120000Z"));
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockShared).unwrap();
    let counts = |report: &Value| ["kept", "removed", "failed"].map(|what| report[what].as_u64().unwrap());
    let dry = world.json(&["prune", "--keep-daily", "2", "--dry-run"], &[&a, &other]);
    assert_eq!((counts(&dry), names(&a)), ([4, 5, 0], all), "{dry}");
    let done = world.json(&["prune", "--keep-daily", "2"], &[&a, &other]);
    assert_eq!(counts(&done), [4, 5, 0], "{done}");
    assert_eq!(dry["snapshots"], done["snapshots"]);
    let why = |name: &str| {
        let rows = done["snapshots"].as_array().unwrap();
        let row = rows.iter().find(|row| row["snapshot"]["path"].as_str().unwrap().ends_with(name)).unwrap();
        row["reasons"][0].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!((&*why("20260103T120000Z"), &*why("20260104T120000Z")), ("pinned", "a backup reads it"));
    assert!(why("20260107T020000Z.1-x").starts_with("daily 1"), "{done}");
    let mut with_held = wanted.clone();
    with_held.push("20260104T120000Z".into());
    with_held.sort();
    assert_eq!(names(&a), with_held);

    drop(held);
    world.json(&["prune", "--keep-daily", "2"], &[&a]);
    assert_eq!(names(&a), wanted);
    // By the same presets as forget.
    assert_eq!(counts(&world.json(&["prune", "--policy", "laptop"], &[&a])), [3, 0, 0]);
    world.fails(2, &["prune", "--policy", "nobody's"], &[&a]);
}

/// What `backup --newest-in` compares with is pinned in the folder, and stays.
#[test]
fn what_a_backup_compares_with_is_not_pruned() {
    let Some(world) = World::new() else { return };
    let a = world.fs.subvolume("a");
    write(&a.join("file"), &noise(1, 50_000));
    world.sandbox.ok(&["init"]);
    let folder = a.join(".panther");
    let backup = || {
        let arguments = ["backup", a.to_str().unwrap(), "--newest-in", folder.to_str().unwrap(), "--json"];
        let run = world.sandbox.run(&arguments);
        assert_eq!(run.code, 0, "{}", run.err);
        run.err.contains("everything is looked at")
    };
    let first = world.json(&["create"], &[&a])["name"].as_str().unwrap().to_owned();
    assert!(backup());
    let second = world.json(&["create"], &[&a])["name"].as_str().unwrap().to_owned();
    let third = world.json(&["create"], &[&a])["name"].as_str().unwrap().to_owned();
    let done = world.json(&["prune", "--keep-last", "1"], &[&a]);
    assert_eq!((&done["kept"], &done["removed"]), (&Value::from(2), &Value::from(1)), "{done}");
    assert!(folder.join(&first).exists() && !folder.join(second).exists() && folder.join(&third).exists());
    assert_eq!(world.json(&["list"], &[&a])["subvolumes"][0]["snapshots"][0]["pinned"], true);
    assert!(!backup(), "the parent was there");
    world.json(&["prune", "--keep-last", "1"], &[&a]);
    assert!(!folder.join(&first).exists() && folder.join(&third).exists());
}
