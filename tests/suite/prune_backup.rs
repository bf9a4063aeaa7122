//! A backup while packs are being condemned: it stores anew what they held, and nobody has to do anything.

use crate::common::{Lab, noise, settle, write};
use crate::prune::{assert_sound, forget_ids, id_of, in_days, options, prune_in};
use panther::format::gc::{Condemned, Gc};
use panther::format::header::Kind;
use panther::format::name::Name;
use panther::format::time::Time;
use panther::id::{ObjectId, WriterName};
use panther::ops::backup::backup;
use panther::ops::copy::copy;
use panther::ops::prune::prune;
use panther::ops::rewrite::{RewriteOptions, rewrite};
use panther::ops::{Progress, Silent, Totals};
use panther::seal::system_random;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Writes a gc object that condemns these packs.
fn condemn(lab: &Lab, names: &[String]) -> Name {
    let mut packs: BTreeMap<WriterName, Vec<ObjectId>> = BTreeMap::new();
    for name in names {
        let Some(Name::Pack(writer, id)) = Name::parse(name) else { panic!("{name}") };
        packs.entry(writer).or_default().push(id);
    }
    packs.values_mut().for_each(|ids| ids.sort());
    let created = Time::now();
    let not_before = Time { secs: created.secs + 7 * 86_400, ..created };
    let condemned = Some(Condemned { not_before, packs: packs.into_iter().collect() });
    let gc = Gc { created, condemned, ..Gc::default() };
    let signer = lab.repo.keys().signer(Some(&crate::prune::lab_writer())).unwrap();
    let object = signer.seal(Kind::Gc, lab.repo.keys().current_epoch(), gc.encode(), &mut system_random());
    let name = Name::Gc(ObjectId::of(&object));
    lab.repo.put(&name, &object).unwrap();
    name
}

fn packs(lab: &Lab) -> Vec<String> {
    lab.objects("writers/").into_iter().filter(|name| name.contains("/packs/")).collect()
}

/// Condemns all packs that there are at the beginning of a stage.
struct Meanwhile<'a> {
    lab: &'a Lab,
    stage: &'static str,
    left: Mutex<u32>,
    condemned: Mutex<Vec<String>>,
}

impl Progress for Meanwhile<'_> {
    fn stage(&self, what: &'static str, _: Totals) {
        let mut left = self.left.lock().unwrap();
        if what == self.stage && *left > 0 {
            *left -= 1;
            let names = packs(self.lab);
            condemn(self.lab, &names);
            self.condemned.lock().unwrap().extend(names);
        }
    }
    fn advance(&self, _: u64, _: u64) {}
    fn warn(&self, message: &str) {
        panic!("{message}");
    }
    fn note(&self, message: &str) {
        // Between two passes, too.
        if message.contains("condemned") {
            self.stage(self.stage, Totals::default());
        }
    }
}

/// No snapshot but forgotten ones rests on these packs: without them everything can still be read.
fn assert_rests_on_none(lab: &Lab, names: &[String]) {
    let due = in_days(8);
    let report = prune(&lab.repo, &lab.state, &options(due), &Silent).unwrap();
    assert_eq!(report.needed_packs, 0, "{report:?}");
    assert!(names.iter().all(|name| !packs(lab).contains(name)));
    assert_sound(lab);
}

fn source(lab: &Lab) {
    // The content list of a longer one would not be remembered here: it would be read again.
    for n in 0..5u64 {
        write(&lab.source().join(format!("larger-{n}")), &noise(n, 1_050_000));
    }
    for n in 0..40u64 {
        write(&lab.source().join(format!("folder-{}/file-{n}", n % 5)), &noise(100 + n, 20_000));
    }
    settle();
}

#[test]
fn what_is_condemned_meanwhile_is_stored_anew() {
    for rounds in [1, 2] {
        let lab = Lab::new();
        source(&lab);
        let first = id_of(&lab.backup());
        write(&lab.source().join("folder-1/new"), &noise(7, 300_000));
        // The last one there is too, at the second round.
        let meanwhile =
            Meanwhile { lab: &lab, stage: "back up", left: Mutex::new(rounds), condemned: Mutex::default() };
        let report = backup(&lab.repo, &lab.state, &lab.options(), &meanwhile).unwrap();
        assert!(report.snapshot.is_some() && report.packs >= 2, "{report:?}");
        assert_eq!((report.summary.files, report.summary.files_new), (46, 1), "{report:?}");
        assert!(report.unreadable.is_empty() && report.vanished.is_empty());
        forget_ids(&lab, &[first]);
        let condemned = meanwhile.condemned.lock().unwrap().clone();
        assert!(!condemned.is_empty());
        assert_rests_on_none(&lab, &condemned);
    }
}

#[test]
fn a_night_after_packs_were_condemned_looks_only_once() {
    let lab = Lab::new();
    source(&lab);
    let first = id_of(&lab.backup());
    condemn(&lab, &packs(&lab));
    let second = lab.backup();
    assert!(second.uploaded_bytes > 5 << 20, "{second:?}");
    // What was found good then need not be looked up again, though the packs are still condemned.
    let third = lab.backup();
    assert_eq!((third.summary.read_bytes, third.summary.data_blobs, third.summary.tree_blobs), (0, 0, 0), "{third:?}");
    forget_ids(&lab, &[first]);
    assert_rests_on_none(&lab, &[]);
    // The index objects were replaced: everything is looked up, and nothing is read or stored.
    let fourth = lab.backup();
    assert_eq!(
        (fourth.summary.read_bytes, fourth.summary.data_blobs, fourth.summary.tree_blobs),
        (0, 0, 0),
        "{fourth:?}"
    );
    assert_eq!(fourth.summary.files_unchanged, 45);
    assert_sound(&lab);
}

/// What an earlier run remembers of the source may rest on packs that a later prune has removed while this machine was off.
#[test]
fn a_machine_that_was_off_finds_out() {
    let lab = Lab::new();
    source(&lab);
    let first = id_of(&lab.backup());
    write(&lab.source().join("folder-0/file-0"), b"");
    settle();
    // Another machine's state: it has done the last backup, and prunes.
    let other = panther::state::State::open(&lab.folder.path().join("other"), &lab.repo.keys().repo()).unwrap();
    let empty = lab.folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let options_of = panther::ops::backup::BackupOptions { paths: vec![empty], ..lab.options() };
    backup(&lab.repo, &other, &options_of, &Silent).unwrap();
    let mut forgotten = panther::ops::forget::ForgetOptions {
        filter: Default::default(),
        ids: vec![first.to_hex()],
        policy: Default::default(),
        group_by: Default::default(),
        zone: jiff::tz::TimeZone::UTC,
        dry_run: false,
        remove_all: true,
        writer: crate::prune::lab_writer(),
    };
    forgotten.remove_all = true;
    panther::ops::forget::forget(&lab.repo, &other, &forgotten, &Silent).unwrap();
    for days in [30, 38, 40] {
        prune(&lab.repo, &other, &options(in_days(days)), &Silent).unwrap();
    }
    assert_eq!(lab.objects("gc/").len(), 1, "only what says that the snapshot is forgotten");
    let back = lab.backup();
    assert!(back.summary.data_bytes > 5 << 20 && back.vanished.is_empty(), "{back:?}");
    assert_sound(&lab);
    assert_eq!(prune_in(&lab, 50).condemned_packs, 0);
}

/// A copy and a rewrite do not store twice on their own: they say so, and the next run does.
#[test]
fn what_else_writes_manifests_looks_too() {
    let (from, to) = (Lab::new(), Lab::new());
    source(&from);
    from.backup();
    write(&from.source().join("folder-1/new"), &noise(7, 300_000));
    from.backup();
    let all = from.repo.snapshots(&from.repo.statements().unwrap()).unwrap().snapshots;
    let sides = || {
        use panther::ops::copy::Side;
        (Side { repo: &from.repo, state: &from.state }, Side { repo: &to.repo, state: &to.state })
    };
    copy(sides().0, sides().1, &[&all[0]], false, &Silent).unwrap();
    let meanwhile = Meanwhile { lab: &to, stage: "copy", left: Mutex::new(1), condemned: Mutex::default() };
    let error = copy(sides().0, sides().1, &[&all[1]], false, &meanwhile).unwrap_err();
    assert!(error.to_string().contains("were condemned while this ran"), "{error}");
    let condemned = meanwhile.condemned.into_inner().unwrap();
    assert!(!condemned.is_empty());
    let done = copy(sides().0, sides().1, &[&all[1]], false, &Silent).unwrap();
    assert_eq!(done.copied.len(), 1);
    // The first copy may go: what the second needs is stored anew.
    let copies = to.repo.snapshots(&to.repo.statements().unwrap()).unwrap().snapshots;
    forget_ids(&to, &[copies[0].head.id]);
    assert_rests_on_none(&to, &condemned);

    let rewritten = |progress: &dyn Progress| {
        let statements = from.repo.statements().unwrap();
        let all = from.repo.snapshots(&statements).unwrap().snapshots;
        let chosen: Vec<_> = all.iter().collect();
        let options = RewriteOptions {
            patterns: vec!["folder-2".to_owned()],
            case_insensitive_patterns: Vec::new(),
            forget: true,
        };
        let yes = &mut |_: &_| Ok(true);
        rewrite(
            &from.repo,
            &from.state,
            &statements,
            &all,
            &chosen,
            &options,
            &crate::prune::lab_writer(),
            progress,
            yes,
        )
    };
    let meanwhile =
        Meanwhile { lab: &from, stage: "look at the snapshots", left: Mutex::new(1), condemned: Mutex::default() };
    let error = rewritten(&meanwhile).unwrap_err();
    assert!(error.to_string().contains("were condemned while this ran"), "{error}");
    let condemned = meanwhile.condemned.into_inner().unwrap();
    let done = rewritten(&Silent).unwrap();
    assert!(done.snapshots.iter().all(|one| one.new.is_some() && one.forgotten), "{done:?}");
    assert_rests_on_none(&from, &condemned);
}
