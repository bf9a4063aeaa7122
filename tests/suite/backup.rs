//! What a backup stores, and what it does not store again.

use crate::common::{Lab, noise, settle, write};
use panther::ops::Silent;
use panther::ops::backup::backup;
use panther::repo::snapshots::Snapshot;
use panther::source::ExcludeOptions;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn fill(lab: &Lab) {
    let source = lab.source();
    for n in 0..200u32 {
        let text = format!("file {n}\n").repeat(n as usize + 1);
        write(&source.join(format!("dir{}/file{n}", n % 7)), text.as_bytes());
    }
    write(&source.join("large"), &noise(1, 8 << 20));
    symlink("large", source.join("link")).unwrap();
}

fn last(lab: &Lab) -> Snapshot {
    let statements = lab.repo.statements().unwrap();
    lab.repo.snapshots(&statements).unwrap().snapshots.pop().unwrap()
}

#[test]
fn an_unchanged_tree_writes_no_pack_and_reads_nothing() {
    let lab = Lab::new();
    fill(&lab);
    settle();
    let first = lab.backup();
    assert_eq!(first.summary.files, 201);
    assert_eq!(first.summary.files_new, 201);
    let packs = lab.objects("writers/lab/packs/");
    let second = lab.backup();
    assert_eq!(second.summary.files_unchanged, 201);
    assert_eq!(second.summary.read_bytes, 0);
    assert_eq!((second.summary.data_blobs, second.summary.tree_blobs, second.packs), (0, 0, 0));
    assert_eq!(lab.objects("writers/lab/packs/"), packs);
    assert_eq!(second.parent, first.snapshot);
    assert_eq!(lab.objects("writers/lab/snapshots/").len(), 2);
    // The snapshots have the same trees.
    let statements = lab.repo.statements().unwrap();
    let both = lab.repo.snapshots(&statements).unwrap().snapshots;
    assert_eq!(both[0].manifest.roots, both[1].manifest.roots);
    assert_eq!(both[1].head.cover.predecessors, vec![both[0].head.id]);
}

#[test]
fn reading_everything_again_gives_the_same_trees() {
    let lab = Lab::new();
    fill(&lab);
    settle();
    lab.backup();
    let before = last(&lab).manifest.roots;
    let mut options = lab.options();
    options.force = true;
    let forced = lab.backup_with(&options);
    assert!(forced.summary.read_bytes > 8 << 20);
    assert_eq!((forced.summary.data_blobs, forced.summary.tree_blobs), (0, 0));
    assert_eq!(last(&lab).manifest.roots, before);
}

#[test]
fn renames_copies_and_insertions_store_only_what_is_new() {
    let lab = Lab::new();
    fill(&lab);
    settle();
    lab.backup();
    let source = lab.source();
    fs::rename(source.join("dir3"), source.join("elsewhere")).unwrap();
    let renamed = lab.backup();
    assert_eq!(renamed.summary.data_blobs, 0, "a renamed folder stores no data");
    assert_eq!(renamed.summary.files_unchanged, 201, "and reads none");
    fs::copy(source.join("large"), source.join("copy")).unwrap();
    let copied = lab.backup();
    assert_eq!(copied.summary.data_blobs, 0, "a copied file stores no data");
    let mut bytes = fs::read(source.join("large")).unwrap();
    bytes.insert(0, b'!');
    fs::write(source.join("large"), bytes).unwrap();
    let inserted = lab.backup();
    assert!((1..=2).contains(&inserted.summary.data_blobs), "{:?}", inserted.summary);
    assert!(inserted.summary.data_bytes <= 512 << 10);
}

#[test]
fn a_run_from_an_empty_state_stores_nothing_again() {
    let lab = Lab::new();
    fill(&lab);
    settle();
    lab.backup();
    let before = last(&lab).manifest.roots;
    fs::remove_dir_all(lab.folder.path().join("state")).unwrap();
    let lab = lab.reopen();
    let again = lab.backup();
    assert_eq!((again.summary.data_blobs, again.summary.tree_blobs), (0, 0));
    assert_eq!(last(&lab).manifest.roots, before);
}

#[test]
fn a_dry_run_changes_nothing_and_counts() {
    let lab = Lab::new();
    fill(&lab);
    settle();
    let before = lab.objects("");
    let mut options = lab.options();
    options.dry_run = true;
    let dry = lab.backup_with(&options);
    assert_eq!(lab.objects(""), before);
    assert_eq!(dry.snapshot, None);
    let real = lab.backup();
    assert_eq!(dry.summary.data_bytes, real.summary.data_bytes);
    assert_eq!(dry.summary.files, real.summary.files);
}

#[test]
fn an_unchanged_tree_can_make_no_snapshot_at_all() {
    let lab = Lab::new();
    fill(&lab);
    settle();
    lab.backup();
    let before = lab.objects("");
    let mut options = lab.options();
    options.skip_if_unchanged = true;
    assert_eq!(lab.backup_with(&options).snapshot, None);
    assert_eq!(lab.objects(""), before);
    write(&lab.source().join("new"), b"x");
    assert!(lab.backup_with(&options).snapshot.is_some());
}

#[test]
fn a_snapshot_that_is_suddenly_far_smaller_is_noticed() {
    let lab = Lab::new();
    fill(&lab);
    lab.backup();
    for n in 0..5 {
        fs::remove_dir_all(lab.source().join(format!("dir{n}"))).unwrap();
    }
    fs::remove_file(lab.source().join("large")).unwrap();
    let report = lab.backup();
    assert!(report.warnings.iter().any(|w| w.contains("far smaller")), "{:?}", report.warnings);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_there() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root can read everything (the tests of the binary drop their rights)");
        return;
    }
    let lab = Lab::new();
    fill(&lab);
    fs::set_permissions(lab.source().join("dir2"), fs::Permissions::from_mode(0o000)).unwrap();
    let report = lab.backup();
    fs::set_permissions(lab.source().join("dir2"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(report.summary.unreadable, 1);
    assert!(report.unreadable[0].path.ends_with("dir2"));
    assert!(report.snapshot.is_some());
}

#[test]
fn excludes_leave_out() {
    let lab = Lab::new();
    fill(&lab);
    write(&lab.source().join("cache/CACHEDIR.TAG"), b"Signature: 8a477f597d28d172789f06886806bc55\n");
    write(&lab.source().join("cache/rubbish"), b"x");
    let mut options = lab.options();
    options.excludes = ExcludeOptions {
        patterns: vec!["*.tmp".into(), "dir[0-4]".into()],
        caches: true,
        larger_than_bytes: Some(1 << 20),
        ..Default::default()
    };
    write(&lab.source().join("dir6/a.tmp"), b"x");
    let report = lab.backup_with(&options);
    let kept = (0..200).filter(|n| n % 7 > 4).count() as u64;
    assert_eq!(report.summary.files, kept + 1, "and the tag of the cache folder");
}

#[test]
fn roots_are_resolved_sorted_and_never_nested() {
    let lab = Lab::new();
    fill(&lab);
    let mut options = lab.options();
    let source = lab.source();
    options.paths =
        vec![source.join("dir2"), source.join("large"), source.join("dir2/../dir1/"), source.join("dir1/file1")];
    lab.backup_with(&options);
    let roots: Vec<String> =
        last(&lab).manifest.roots.iter().map(|r| String::from_utf8_lossy(&r.path).into_owned()).collect();
    let at = |name: &str| source.join(name).to_str().unwrap().to_owned();
    assert_eq!(roots, [at("dir1"), at("dir2"), at("large")]);
    options.paths = vec![source.join("not there")];
    let error = backup(&lab.repo, &lab.state, &options, &Silent).unwrap_err();
    assert!(error.to_string().contains("not there"), "{error}");
}

#[test]
fn two_runs_side_by_side_both_succeed() {
    let lab = Lab::new();
    fill(&lab);
    settle();
    std::thread::scope(|scope| {
        for n in 0..3 {
            let lab = &lab;
            scope.spawn(move || {
                let state =
                    panther::state::State::open(&lab.folder.path().join("state"), &lab.repo.keys().repo()).unwrap();
                let mut options = lab.options();
                options.tags = vec![format!("run{n}")];
                backup(&lab.repo, &state, &options, &Silent).unwrap();
            });
        }
    });
    let statements = lab.repo.statements().unwrap();
    let snapshots = lab.repo.snapshots(&statements).unwrap().snapshots;
    assert_eq!(snapshots.len(), 3);
    assert!(snapshots.iter().all(|s| s.manifest.roots == snapshots[0].manifest.roots));
    // The next one names all heads: nothing of the chain is lost by running side by side.
    lab.backup();
    let all = lab.repo.snapshots(&statements).unwrap().snapshots;
    let named: std::collections::HashSet<_> = all.iter().flat_map(|s| s.head.cover.predecessors.clone()).collect();
    assert_eq!(all.iter().filter(|s| !named.contains(&s.head.id)).count(), 1);
}
