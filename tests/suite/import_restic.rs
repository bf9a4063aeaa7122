//! `import restic`: from repositories that Debian's restic has made.

use crate::cli_common::{Sandbox, document};
use crate::common::{noise, write};
use crate::crash::packs::{assert_nothing_twice, stored};
use crate::generations::manifest::Manifest;
use crate::import_kit::{IMPORT, import, packs, restic, sandbox, snapshots};
use crate::restore_kit::is_root;
use rustix::fs::{Timespec, Timestamps, XattrFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

fn stamp(path: &Path, secs: i64, nanos: i64) {
    let time = Timespec { tv_sec: secs, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn odd(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Something of everything that restic keeps.
fn everything(at: &Path) {
    write(&at.join("plain"), b"some text\n");
    write(&at.join("empty"), b"");
    write(&at.join("folder/deep/er/file"), &noise(1, 3_000));
    write(&at.join("large"), &noise(2, 4_000_000));
    write(&at.join("zeros in the middle"), &[noise(3, 700_000), vec![0; 40_000], noise(4, 900_000)].concat());
    fs::create_dir(at.join("empty folder")).unwrap();
    for n in 0..60u64 {
        write(&at.join(format!("many/{n:03}")), &noise(100 + n, 500 + 90 * n as usize));
    }
    let sparse = fs::File::create(at.join("sparse")).unwrap();
    sparse.set_len(12_000_000).unwrap();
    sparse.write_all_at(&noise(5, 600_000), 5_000_000).unwrap();
    for name in
        [&b"\xff\xfe odd"[..], b"quote\" and \\ back", b"line\nfeed\ttab", "é\u{200b}ü😀".as_bytes(), b"\x7f\x01"]
    {
        write(&at.join(odd(name)).join("in it"), name);
        write(&at.join("names").join(odd(name)), name);
    }
    symlink("plain", at.join("link")).unwrap();
    symlink("nowhere/at all", at.join("dangling")).unwrap();
    fs::create_dir(at.join("linked")).unwrap();
    for n in 0..3 {
        fs::hard_link(at.join("large"), at.join(format!("linked/{n}"))).unwrap();
    }
    fs::hard_link(at.join("plain"), at.join("linked/plain")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at.join("fifo"), rustix::fs::FileType::Fifo, 0o640.into(), 0).unwrap();
    for (name, mode) in [("plain", 0o4751), ("folder", 0o2770), ("empty folder", 0o1777), ("many/003", 0o000)] {
        fs::set_permissions(at.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    for (name, value) in [("user.text", &b"value"[..]), ("user.bytes", b"\0\xff\n"), ("user.empty", b"")] {
        for path in ["plain", "folder"] {
            rustix::fs::setxattr(at.join(path), name, value, XattrFlags::empty()).unwrap();
        }
    }
    if is_root() {
        let device = |name: &str, kind, major, minor| {
            let number = rustix::fs::makedev(major, minor);
            rustix::fs::mknodat(rustix::fs::CWD, at.join(name), kind, 0o620.into(), number).unwrap();
        };
        device("char", rustix::fs::FileType::CharacterDevice, 1, 3);
        device("block", rustix::fs::FileType::BlockDevice, 259, 70_000);
        chown(at.join("many/001"), Some(1234), Some(54_321)).unwrap();
        lchown(at.join("link"), Some(33), Some(33)).unwrap();
        rustix::fs::setxattr(at.join("many/002"), "trusted.x", b"y", XattrFlags::empty()).unwrap();
    }
    for (name, secs, nanos) in [
        ("plain", 1, 1),
        ("many/000", -86_400, 250_000_000),
        ("link", 1_600_000_000, 123_456_789),
        ("folder", 7, 999_999_999),
    ] {
        stamp(&at.join(name), secs, nanos);
    }
}

/// Ten snapshots of `source`, each a little different.
fn ten(sandbox: &Sandbox) {
    let source = sandbox.path("source");
    fs::create_dir(&source).unwrap();
    everything(&source);
    for n in 0..10u64 {
        if n > 0 {
            write(&source.join(format!("new/{n}")), &noise(500 + n, 20_000));
            write(&source.join("many/010"), &noise(600 + n, 7_000));
            let large = fs::OpenOptions::new().write(true).open(source.join("large")).unwrap();
            large.write_all_at(&n.to_le_bytes(), n * 350_000).unwrap();
            fs::remove_file(source.join(format!("many/{:03}", 20 + n))).unwrap();
            stamp(&source.join("empty"), n as i64, 5);
        }
        let time = format!("2020-01-{:02} 03:04:05", n + 1);
        let tags = if n % 2 == 0 { vec!["--tag", "even,b", "--tag", "a"] } else { vec![] };
        let path = source.to_str().unwrap();
        let arguments = ["backup", path, "--host", if n < 8 { "old-laptop" } else { "server" }, "--time", &time];
        restic(sandbox, ".", &[&arguments[..], &["--exclude", "*.tmp"], &tags].concat());
    }
}

/// Restores a snapshot by both programs; both trees.
fn both(sandbox: &Sandbox, old: &str, new: &str) -> (Manifest, Manifest) {
    let path = sandbox.path("source");
    for name in ["by-restic", "by-panther"] {
        let _ = fs::remove_dir_all(sandbox.path(name));
    }
    restic(sandbox, ".", &["restore", old, "--target", "by-restic"]);
    sandbox.ok(&["restore", &format!("{new}:{}", path.display()), "--target", "by-panther", "-q"]);
    let below = path.strip_prefix("/").unwrap();
    (Manifest::of(&sandbox.path("by-restic").join(below)), Manifest::of(&sandbox.path("by-panther")))
}

fn ids(report: &Value, field: &str) -> Vec<String> {
    let all = report[field].as_array().unwrap();
    all.iter().map(|one| one.as_str().or(one["snapshot"].as_str()).unwrap().to_owned()).collect()
}

#[test]
fn ten_snapshots_restore_as_restic_restores_them() {
    let sandbox = sandbox(2);
    ten(&sandbox);
    let old = snapshots(&sandbox);
    assert_eq!(old.len(), 10);
    let before = Manifest::of(&sandbox.path("restic"));

    let planned = import(&sandbox, &["--dry-run"]);
    assert_eq!(ids(&document(&planned.out), "imported").len(), 10, "{}", planned.err);
    assert_eq!(sandbox.json(&["snapshots"])["snapshots"], Value::Array(vec![]));
    let done = import(&sandbox, &[]);
    assert_eq!((done.code, &done.err[..]), (0, ""), "{}", done.err);
    let report = document(&done.out);
    assert_eq!(before.difference(&Manifest::of(&sandbox.path("restic"))), None, "it is only read");
    // What several snapshots share is read once.
    let read: Vec<u64> =
        report["imported"].as_array().unwrap().iter().map(|i| i["read_bytes"].as_u64().unwrap()).collect();
    assert!((17_000_000..20_000_000).contains(&read[0]) && read[1..].iter().all(|read| *read < 5_000_000), "{read:?}");

    let new = sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().clone();
    assert_eq!(new.len(), 10);
    let source = sandbox.path("source");
    for (n, (old, new)) in old.iter().zip(&new).enumerate() {
        let id = old["id"].as_str().unwrap();
        assert_eq!(new["origin"]["snapshot"], id);
        assert_eq!(new["started"], format!("2020-01-{:02}T03:04:05Z", n + 1));
        assert_eq!((&new["host"], &new["writer"]), (&old["hostname"], &old["hostname"]));
        assert_eq!(new["user"], old["username"]);
        assert_eq!(new["paths"][0]["path"], source.to_str().unwrap());
        assert_eq!(new["excludes"], serde_json::json!(["*.tmp"]));
        let tags = if n % 2 == 0 { serde_json::json!(["a", "b", "even"]) } else { serde_json::json!([]) };
        assert_eq!(new["tags"], tags);
        assert_eq!((new["parent"].is_null(), old["parent"].is_null()), (n == 0 || n == 8, n == 0 || n == 8));
        let (by_restic, by_panther) = both(&sandbox, id, new["id"].as_str().unwrap());
        assert_eq!(by_restic.difference(&by_panther), None, "snapshot {n}");
        assert_eq!(
            by_restic.len() as u64,
            ["files", "dirs", "others"].iter().map(|f| new["summary"][f].as_u64().unwrap()).sum::<u64>()
        );
    }
    // The last one is also what is there.
    Manifest::of(&source).without_holes().assert_is(&sandbox.path("by-panther"), "the source");

    sandbox.ok(&["check", "--read-data"]);
    assert_nothing_twice(&sandbox);
    // Again, also by a machine that remembers nothing.
    fs::remove_dir_all(sandbox.path("state")).unwrap();
    let again = document(&import(&sandbox, &[]).out);
    assert_eq!((ids(&again, "imported").len(), ids(&again, "skipped").len()), (0, 10), "{again}");
    // A backup of the same files meets what was imported.
    fs::remove_file(source.join("sparse")).unwrap();
    let made = sandbox.json(&["backup", source.to_str().unwrap(), "--host", "server"]);
    assert_eq!(made["summary"]["data_blobs"], 0, "{made}");
}

#[test]
fn the_first_version_and_paths_of_all_kinds() {
    let sandbox = sandbox(1);
    fs::create_dir_all(sandbox.path("home/me/b")).unwrap();
    for n in 0..4u64 {
        write(&sandbox.path(&format!("home/me/{n}")), &noise(n, 1_500_000));
        write(&sandbox.path(&format!("home/me/b/{n}")), &noise(n, 900));
        write(&sandbox.path(&format!("etc/{n}")), &noise(n, 9_000));
    }
    let (home, etc) = (sandbox.path("home/me"), sandbox.path("etc"));
    let (home, etc) = (home.to_str().unwrap(), etc.to_str().unwrap());
    restic(&sandbox, "home/me", &["backup", ".", "--time", "2021-01-01 00:00:00"]);
    restic(&sandbox, "home/me", &["backup", "b", "2", "--time", "2021-01-02 00:00:00"]);
    restic(&sandbox, ".", &["backup", home, etc, "--time", "2021-01-03 00:00:00"]);
    let done = import(&sandbox, &[]);
    assert_eq!((done.code, &done.err[..]), (0, ""), "{}", done.err);
    let new = sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().clone();
    let want =
        [vec![home.to_owned()], vec![format!("{home}/2"), format!("{home}/b")], vec![etc.to_owned(), home.to_owned()]];
    for (new, want) in new.iter().zip(&want) {
        let paths: Vec<_> = new["paths"].as_array().unwrap().iter().map(|p| p["path"].as_str().unwrap()).collect();
        assert_eq!(paths, *want);
        for path in want {
            let _ = fs::remove_dir_all(sandbox.path("out"));
            sandbox.ok(&["restore", &format!("{}:{path}", new["id"].as_str().unwrap()), "--target", "out", "-q"]);
            if Path::new(path).is_dir() {
                // Of the folder of `backup .` restic keeps nothing but its content.
                let (was, is) = (Manifest::of(Path::new(path)), Manifest::of(&sandbox.path("out")));
                let differs = was.difference(&is).filter(|_| want.len() > 1);
                assert_eq!(differs, None, "{path}");
                assert_eq!((was.len(), was.content_bytes()), (is.len(), is.content_bytes()));
            }
        }
    }
    // Chosen by name, path and time.
    let rest = Sandbox::new();
    let of = |more: &[&str]| {
        let from = sandbox.path("restic");
        let password = sandbox.path("restic-password");
        let arguments =
            ["import", "restic", from.to_str().unwrap(), "--from-password-file", password.to_str().unwrap()];
        ids(&rest.json(&[&arguments[..], &["--dry-run"], more].concat()), "imported")
    };
    let old: Vec<_> = snapshots(&sandbox).iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(of(&["--path", etc]), old[2..]);
    assert_eq!(of(&["latest", "--path", home]), old[2..]);
    assert_eq!(of(&[&old[1][..8], &old[0]]), old[..2]);
    assert!(of(&["--host", "nobody's"]).is_empty());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let sandbox = sandbox(2);
    write(&sandbox.path("source/a"), b"abc");
    restic(&sandbox, ".", &["backup", "source"]);
    sandbox.write("wrong", "not it\n");
    let from = |folder: &str, password: &str| {
        sandbox.run(&["import", "restic", folder, "--from-password-file", password, "--json"])
    };
    let wrong = from("restic", "wrong");
    assert_eq!(wrong.code, 12, "{}", wrong.err);
    assert!(document(&wrong.out)["error"]["hint"].as_str().unwrap().contains("--from-password-file"));
    assert_eq!(from("nowhere", "wrong").code, 2);
    assert_eq!(from("source", "wrong").code, 2);
    assert_eq!(from("sftp:host:/x", "wrong").code, 2);
    assert_eq!(sandbox.run(&["import", "restic", "restic"]).code, 2, "nobody to ask");
    assert_eq!(import(&sandbox, &["ffffffff"]).code, 2);
    assert_eq!(import(&sandbox, &["ff"]).code, 2);
    assert_eq!(sandbox.json(&["snapshots"])["snapshots"], Value::Array(vec![]));
    // As restic does it.
    let env = |name: &str, value: &str| {
        let mut command = sandbox.command(&["import", "restic", "restic", "--dry-run", "--json"]);
        crate::cli_common::run(command.env(name, value)).code
    };
    assert_eq!(env("RESTIC_PASSWORD_FILE", "restic-password"), 0);
    assert_eq!(env("RESTIC_PASSWORD_COMMAND", "cat restic-password"), 0);
    assert_eq!(env("RESTIC_PASSWORD", crate::import_kit::RESTIC_PASSWORD), 0);
    assert_eq!(env("RESTIC_PASSWORD", "other"), 12);
}

#[test]
fn what_is_lost_is_named_and_the_rest_is_imported() {
    let sandbox = sandbox(2);
    write(&sandbox.path("source/a"), &noise(1, 3_000_000));
    restic(&sandbox, ".", &["backup", "source", "--time", "2022-01-01 00:00:00"]);
    let first = packs(&sandbox);
    write(&sandbox.path("source/b"), &noise(2, 3_000_000));
    restic(&sandbox, ".", &["backup", "source", "--time", "2022-01-02 00:00:00"]);
    let new: Vec<_> = packs(&sandbox).into_iter().filter(|pack| !first.contains(pack)).collect();
    let data = new.iter().max_by_key(|pack| pack.metadata().unwrap().len()).unwrap();
    let name = data.file_name().unwrap().to_str().unwrap();
    let whole = fs::read(data).unwrap();
    fs::set_permissions(data, fs::Permissions::from_mode(0o600)).unwrap();

    let mut changed = whole.clone();
    changed[1_000] ^= 1;
    let short = whole[..whole.len() / 2].to_vec();
    for (bytes, says) in [(Some(changed), "seal"), (Some(short), "truncated"), (None, "missing")] {
        match bytes {
            Some(bytes) => fs::write(data, bytes).unwrap(),
            None => fs::remove_file(data).unwrap(),
        }
        let done = import(&sandbox, &[]);
        let report = document(&done.out);
        assert_eq!((done.code, ids(&report, "failed").len()), (3, 1), "{}", done.err);
        let why = report["failed"][0]["why"].as_str().unwrap();
        assert!(why.contains(name) && why.contains(says), "{why}");
        assert!(done.err.contains(name));
        assert_eq!(sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().len(), 1);
    }
    // Once it is mended; and without a single index, for packs say themselves what is in them.
    fs::write(data, whole).unwrap();
    fs::remove_dir_all(sandbox.path("restic/index")).unwrap();
    fs::create_dir(sandbox.path("restic/index")).unwrap();
    let report = document(&import(&sandbox, &[]).out);
    assert_eq!((ids(&report, "imported").len(), ids(&report, "skipped").len()), (1, 1), "{report}");
    sandbox.ok(&["restore", "latest", "--target", "out", "-q"]);
    sandbox.ok(&["check", "--read-data"]);

    // A snapshot's file, and one of the indexes.
    let snapshot = fs::read_dir(sandbox.path("restic/snapshots")).unwrap().next().unwrap().unwrap().path();
    fs::set_permissions(&snapshot, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&snapshot, b"nonsense").unwrap();
    sandbox.write(&format!("restic/index/{}", "ab".repeat(32)), "nonsense");
    write(&sandbox.path("source/c"), b"ccc");
    restic(&sandbox, ".", &["rebuild-index"]);
    sandbox.write(&format!("restic/index/{}", "ab".repeat(32)), "nonsense");
    let done = import(&sandbox, &[]);
    assert_eq!(done.code, 3, "{}", done.err);
    assert!(done.err.contains(snapshot.file_name().unwrap().to_str().unwrap()), "{}", done.err);
}

#[test]
fn a_writer_imports_what_it_cannot_read_and_nothing_twice() {
    let sandbox = sandbox(2);
    write(&sandbox.path("source/a"), &noise(1, 200_000));
    restic(&sandbox, ".", &["backup", "source", "--host", "elsewhere"]);
    sandbox.write("writer-password", "a writer's\n");
    sandbox.ok(&["key", "add", "--role", "writer", "--writer", "hetzner", "--new-password-file", "writer-password"]);
    let as_writer = || {
        let arguments = [&IMPORT[..], &["--json", "--password-file", "writer-password"]].concat();
        let done = crate::cli_common::run(sandbox.bare().args(arguments));
        assert_eq!(done.code, 0, "{}", done.err);
        document(&done.out)
    };
    assert_eq!(ids(&as_writer(), "imported").len(), 1);
    assert_eq!(ids(&as_writer(), "skipped").len(), 1);
    let all = sandbox.json(&["snapshots"])["snapshots"].as_array().unwrap().clone();
    assert_eq!((all.len(), &all[0]["writer"], &all[0]["host"]), (1, &"hetzner".into(), &"elsewhere".into()));
    assert_eq!(ids(&document(&import(&sandbox, &[]).out), "skipped").len(), 1);
}

#[test]
fn an_import_that_was_stopped_goes_on() {
    const FILE_BYTES: usize = 24 << 20;
    let from = sandbox(2);
    for n in 0..8 {
        write(&from.path(&format!("source/{n}/large")), &noise(n, FILE_BYTES));
        (0..20).for_each(|m| write(&from.path(&format!("source/{n}/{m}")), &noise(n * 100 + m, 2_000)));
    }
    restic(&from, ".", &["backup", from.path("source").to_str().unwrap(), "--time", "2022-01-01 00:00:00"]);
    write(&from.path("source/more"), &noise(99, 10_000));
    restic(&from, ".", &["backup", from.path("source").to_str().unwrap(), "--time", "2022-01-02 00:00:00"]);
    for signal in [Signal::INT, Signal::KILL] {
        // Another repository of panther's beside the same of restic's.
        let _ = fs::remove_dir_all(from.path("repo"));
        let _ = fs::remove_dir_all(from.path("state"));
        from.ok(&["init"]);
        let mut import = from.command(&[&IMPORT[..], &["-q"]].concat());
        let mut child = import.stderr(std::process::Stdio::piped()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() && stored(&from).is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let _ = kill_process(Pid::from_child(&child), signal);
        let ended = child.wait_with_output().unwrap();
        if signal == Signal::INT {
            assert_eq!(ended.status.code(), Some(130), "{}", String::from_utf8_lossy(&ended.stderr));
        } else {
            assert_eq!(ended.status.code(), None, "it has ended by itself");
        }
        let kept: u64 = stored(&from).iter().map(|(_, bytes)| bytes).sum();
        let before = from.json(&["snapshots"])["snapshots"].as_array().unwrap().len();
        let report = from.json(&IMPORT);
        assert_eq!((ids(&report, "imported").len(), ids(&report, "skipped").len()), (2 - before, before));
        let new =
            report["imported"].as_array().unwrap().iter().map(|i| i["stored_bytes"].as_u64().unwrap()).sum::<u64>();
        let whole = 8 * FILE_BYTES as u64;
        assert!(kept > 0 && new + kept < whole + (whole >> 5), "{new} after {kept} bytes were stored of {whole}");
        assert_nothing_twice(&from);
        from.ok(&["check", "--read-data"]);
    }
    let (old, new) = both(&from, "latest", "latest");
    assert_eq!(old.difference(&new), None);
}
