//! Repositories of released formats, committed once and readable for ever.
//!
//! `tests/golden/v1` was made by `cargo test --test suite -- --ignored make_golden` from the tree that [`tree`] describes. It is never made again.

use crate::common::{noise, write};
use panther::backend::local::LocalBackend;
use panther::keys::wrap::{Opener, Recipient};
use panther::ops::Silent;
use panther::ops::backup::{BackupOptions, backup};
use panther::ops::check::{Amount, CheckOptions, check};
use panther::ops::restore::{RestoreOptions, restore};
use panther::repo::Repository;
use panther::source::ExcludeOptions;
use panther::state::State;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

fn passphrase() -> age::secrecy::SecretString {
    age::secrecy::SecretString::from("golden for ever".to_owned())
}

/// What the snapshot holds, in paths below its root.
fn tree() -> Vec<(&'static [u8], Vec<u8>)> {
    vec![
        (b"empty", Vec::new()),
        (b"inline", b"a small file lives in its entry\n".to_vec()),
        (b"text/blob", b"one blob of text. ".repeat(100)),
        (b"text/again", b"one blob of text. ".repeat(100)),
        (b"noise", noise(1, 300_000)),
        (b"deep/er/and/deeper/file", b"found".to_vec()),
        (b"not utf-8 \xff\xfe", b"raw name".to_vec()),
    ]
}

/// Made once. Kept so that it can be seen how.
#[test]
#[ignore = "it made the golden repository, which is never made again"]
fn make_golden() {
    assert!(!golden().exists(), "the golden repository is never made again");
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    for (name, content) in tree() {
        write(&source.join(std::ffi::OsStr::from_bytes(name)), &content);
    }
    symlink("text/blob", source.join("link")).unwrap();
    fs::hard_link(source.join("noise"), source.join("hard")).unwrap();
    fs::set_permissions(source.join("inline"), fs::Permissions::from_mode(0o640)).unwrap();
    let sparse = fs::File::create(source.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 1 << 20).unwrap();
    let backend = Arc::new(LocalBackend::create(&golden()).unwrap());
    let repo = Repository::init(backend, &Recipient::Passphrase(passphrase()), "golden", 10).unwrap();
    let state = State::open(&temp.path().join("state"), &repo.keys().repo()).unwrap();
    let mut options = BackupOptions {
        paths: vec![source.clone()],
        tags: vec!["golden".into()],
        host: "golden".into(),
        writer: None,
        excludes: ExcludeOptions::default(),
        level: 3,
        dry_run: false,
        force: false,
        skip_if_unchanged: false,
        threads: 1,
        snapshots: Default::default(),
        databases: Vec::new(),
        hooks: Default::default(),
        subvolumes: Default::default(),
    };
    backup(&repo, &state, &options, &Silent).unwrap();
    write(&source.join("second"), b"only in the second snapshot");
    options.tags = vec!["second".into()];
    backup(&repo, &state, &options, &Silent).unwrap();
    let _ = fs::remove_dir_all(golden().join("tmp"));
}

#[test]
fn version_1_is_read() {
    let temp = tempfile::tempdir().unwrap();
    let backend = Arc::new(LocalBackend::open(&golden()).unwrap());
    let repo = Repository::open(backend, &Opener::Passphrase(passphrase())).unwrap();
    let state = State::open(&temp.path().join("state"), &repo.keys().repo()).unwrap();
    let statements = repo.statements().unwrap();
    repo.sync(&state, None, &statements).unwrap();
    let options = CheckOptions { read_data: Some(Amount::All), threads: 1, ..CheckOptions::default() };
    let report = check(&repo, &state, &options, &Silent).unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    let snapshots = repo.snapshots(&statements).unwrap().snapshots;
    let tags: Vec<_> = snapshots.iter().map(|s| s.manifest.tags.join(",")).collect();
    assert_eq!(tags, ["golden", "second"]);
    assert_eq!(snapshots[1].head.cover.predecessors, vec![snapshots[0].head.id]);
    for (number, snapshot) in snapshots.iter().enumerate() {
        let target = temp.path().join(format!("out{number}"));
        let options = RestoreOptions {
            verify: true,
            threads: 1,
            ..RestoreOptions::new(Some(snapshot.manifest.roots[0].path.clone()), target.clone())
        };
        restore(&repo, &state, snapshot, &options, &Silent).unwrap();
        for (name, content) in tree() {
            assert_eq!(fs::read(target.join(std::ffi::OsStr::from_bytes(name))).unwrap(), content);
        }
        assert_eq!(fs::read_link(target.join("link")).unwrap(), Path::new("text/blob"));
        let ino = |name: &str| target.join(name).metadata().unwrap().ino();
        assert_eq!(ino("hard"), ino("noise"));
        assert_eq!(target.join("inline").metadata().unwrap().permissions().mode() & 0o7777, 0o640);
        let sparse = fs::read(target.join("sparse")).unwrap();
        assert!(sparse.len() == (1 << 20) + 3 && sparse.ends_with(b"\0end"));
        assert_eq!(target.join("second").exists(), number == 1);
    }
}
