//! A source that changes while it is read, or that cannot be read.

use super::assert_says;
use crate::cli_common::{Sandbox, document, run};
use crate::common::{Lab, noise, settle, write};
use crate::crash::packs::assert_nothing_twice;
use panther::ops::backup::{BackupReport, backup};
use panther::ops::{Progress, Totals};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// What is whole consists of one byte, so many times.
fn whole(byte: u8) -> Vec<u8> {
    vec![byte; 500 + usize::from(byte) * 700]
}

/// Changes the tree below `source` until told to stop. In `atomic` files are only ever replaced as a whole.
fn stir(source: &Path, stop: &AtomicBool) -> u64 {
    let mut chance = ChaCha8Rng::seed_from_u64(3);
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        done += 1;
        let name = format!("file{}", chance.random_range(0..300));
        let wild = source.join("wild").join(&name);
        let new = source.join("new");
        // Whatever fails because it is not there, or is there already, is part of the stir.
        let _ = match chance.random_range(0..9) {
            0..3 => fs::write(&new, whole(chance.random()))
                .and_then(|()| fs::rename(&new, source.join("atomic").join(name))),
            3 => fs::remove_file(wild),
            4 => fs::write(wild, noise(done, chance.random_range(0..3 << 20))),
            5 => {
                let len = chance.random_range(0..4 << 20);
                fs::File::options().write(true).open(wild).and_then(|file| file.set_len(len))
            }
            6 => fs::hard_link(source.join("wild/file1"), wild),
            7 => fs::remove_file(&wild)
                .and_then(|()| fs::create_dir(&wild))
                .and_then(|()| fs::write(wild.join("x"), "x")),
            _ => fs::remove_dir_all(wild),
        };
    }
    done
}

#[test]
fn a_source_that_changes_all_the_time() {
    let sandbox = Sandbox::new();
    let source = sandbox.path("source");
    for n in 0..300_u64 {
        write(&source.join(format!("wild/file{n}")), &noise(n, 50_000));
        write(&source.join(format!("atomic/file{n}")), &whole(n as u8));
    }
    let stop = AtomicBool::new(false);
    let stirred = std::thread::scope(|scope| {
        let stirring = scope.spawn(|| stir(&source, &stop));
        for _ in 0..5 {
            let run = sandbox.run(&["backup", "source", "--json", "-q"]);
            assert!(run.code == 0 || run.code == 3, "{}: {}", run.code, run.err);
            let report = document(&run.out);
            assert_eq!(run.code == 3, report["summary"]["unreadable"].as_u64().unwrap() > 0, "{report}");
            for unreadable in report["unreadable"].as_array().unwrap() {
                assert!(run.err.contains(unreadable["path"].as_str().unwrap()), "{unreadable} in {}", run.err);
            }
        }
        stop.store(true, Ordering::Relaxed);
        stirring.join().unwrap()
    });
    println!("{stirred} changes during 5 backups");
    sandbox.ok(&["check", "--read-data"]);
    assert_nothing_twice(&sandbox);
    let listing = sandbox.json(&["snapshots"]);
    for snapshot in listing["snapshots"].as_array().unwrap() {
        let what = format!("{}:{}", snapshot["id"].as_str().unwrap(), source.canonicalize().unwrap().display());
        sandbox.ok(&["restore", &what, "--target", "target", "--verify", "-q"]);
        for entry in fs::read_dir(sandbox.path("target/atomic")).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            assert_eq!(bytes, whole(bytes[0]), "what was replaced as a whole is restored as a whole");
        }
        fs::remove_dir_all(sandbox.path("target")).unwrap();
    }
}

/// Does something when the walk hands on its n-th batch: what is in it was listed then, and will be read only after.
struct OnBatch<F>(u32, AtomicU32, F);

impl<F: Fn() + Sync> Progress for OnBatch<F> {
    fn stage(&self, _: &'static str, _: Totals) {}
    fn advance(&self, _: u64, _: u64) {}
    fn warn(&self, _: &str) {}
    fn cancelled(&self) -> bool {
        if self.1.fetch_add(1, Ordering::Relaxed) + 1 == self.0 {
            (self.2)();
        }
        false
    }
}

/// A lab in which a file has a name at the beginning and two at the end of a long folder.
fn linked() -> Lab {
    let lab = Lab::new();
    let source = lab.source();
    write(&source.join("a"), &[b'1'; 3_000]);
    ["y", "z"].iter().for_each(|name| fs::hard_link(source.join("a"), source.join(name)).unwrap());
    (0..3_000).for_each(|n| write(&source.join(format!("file{n}")), b"x"));
    settle();
    lab
}

fn backup_and(lab: &Lab, batch: u32, change: impl Fn() + Sync) -> BackupReport {
    backup(&lab.repo, &lab.state, &lab.options(), &OnBatch(batch, AtomicU32::new(0), change)).unwrap()
}

/// What the last snapshot has under a name.
fn content(lab: &Lab, name: &str) -> Vec<u8> {
    use panther::format::entry::Node;
    use panther::format::header::BlobKind;
    use panther::repo::reader::BlobReader;
    use panther::repo::tree::Found;
    use std::os::unix::ffi::OsStrExt;
    let statements = lab.repo.statements().unwrap();
    let snapshot = lab.repo.snapshots(&statements).unwrap().snapshots.pop().unwrap();
    let reader = BlobReader::new(&lab.repo, &lab.state).unwrap();
    let path = lab.source().canonicalize().unwrap().join(name);
    let Found::Entry(entry) = reader.find(&snapshot.manifest, path.as_os_str().as_bytes()).unwrap() else { panic!() };
    let Node::File(root) = entry.node else { panic!("{:?}", entry.node) };
    let blob = |record: &panther::format::content::Record| {
        reader.blob(BlobKind::Data, &record.id, record.len_bytes).unwrap().to_vec()
    };
    root.records.iter().flat_map(blob).collect()
}

#[test]
fn a_file_that_changes_between_two_of_its_names_is_read_again() {
    let lab = linked();
    let changed = AtomicBool::new(false);
    backup_and(&lab, 4, || {
        // The first name has been read, the other one has not been met.
        std::thread::sleep(Duration::from_millis(200));
        fs::write(lab.source().join("z"), [b'2'; 3_000]).unwrap();
        settle();
        changed.store(true, Ordering::Relaxed);
    });
    assert!(changed.load(Ordering::Relaxed));
    settle();
    lab.backup();
    ["a", "y", "z"].iter().for_each(|name| assert_eq!(content(&lab, name), [b'2'; 3_000], "{name}"));
}

#[test]
fn a_name_that_becomes_another_files_does_not_lend_its_content() {
    for is_replaced in [true, false] {
        let lab = linked();
        let report = backup_and(&lab, 1, || {
            // The first name has been met, but not been read.
            let (a, new) = (lab.source().join("a"), lab.folder.path().join("new"));
            if is_replaced {
                fs::write(&new, [b'3'; 3_000]).unwrap();
                fs::rename(new, a).unwrap();
            } else {
                fs::remove_file(a).unwrap();
            }
        });
        ["y", "z"].iter().for_each(|name| assert_eq!(content(&lab, name), [b'1'; 3_000], "{name}"));
        assert_eq!(report.summary.unreadable, u64::from(!is_replaced), "{:?}", report.unreadable);
        if is_replaced {
            assert_eq!(content(&lab, "a"), [b'3'; 3_000]);
        }
    }
}

/// The command, run by a user who may not read everything.
fn as_nobody(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let usual = sandbox.command(arguments);
    if !rustix::process::geteuid().is_root() {
        return usual;
    }
    let program = sandbox.path("panther");
    if !program.exists() {
        // That user may not be allowed to where it lies.
        fs::copy(usual.get_program(), &program).unwrap();
    }
    let mut command = Command::new(program);
    command.args(usual.get_args()).env_clear().current_dir(sandbox.temp.path()).uid(65_534).gid(65_534);
    command.envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_there() {
    let sandbox = Sandbox::empty();
    sandbox.write("source/readable", "text");
    sandbox.write("source/secret file", "secret");
    sandbox.write("source/locked folder/inside", "secret");
    sandbox.write("source/empty/readable too", "text");
    let locked = ["source/secret file", "source/locked folder"];
    if rustix::process::geteuid().is_root() {
        chown(sandbox.temp.path(), Some(65_534), Some(65_534)).unwrap();
    }
    locked.iter().for_each(|name| fs::set_permissions(sandbox.path(name), Permissions::from_mode(0o000)).unwrap());

    assert_says(&run(&mut as_nobody(&sandbox, &["init"])), 0, &[]);
    for _ in 0..2 {
        let done = run(&mut as_nobody(&sandbox, &["backup", "source", "--json", "-q"]));
        assert_says(&done, 3, &["secret file", "locked folder", "Permission denied"]);
        let report = document(&done.out);
        assert!(report["snapshot"].is_string());
        assert_eq!(report["summary"]["unreadable"], 2);
        for (unreadable, name) in report["unreadable"].as_array().unwrap().iter().zip(["locked folder", "secret file"])
        {
            assert!(unreadable["path"].as_str().unwrap().ends_with(name), "{report}");
        }
    }
    let what = format!("latest:{}", sandbox.path("source").canonicalize().unwrap().display());
    assert_says(&run(&mut as_nobody(&sandbox, &["restore", &what, "--target", "target", "-q"])), 0, &[]);
    let mut names: Vec<_> = fs::read_dir(sandbox.path("target")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["empty", "readable"]);
    assert_says(&run(&mut as_nobody(&sandbox, &["check", "--read-data"])), 0, &[]);
    // So that whoever clears up can.
    locked.iter().for_each(|name| fs::set_permissions(sandbox.path(name), Permissions::from_mode(0o755)).unwrap());
}
