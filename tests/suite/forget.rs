//! `forget`, `pin` and `unpin` on histories of manifests in memory.

use crate::damage_check::STRUCTURE;
use crate::damage_world::{Objects, objects_of, open, store_of, writer};
use panther::backend::fault::{Fault, FaultBackend, Op, connection_reset};
use panther::backend::memory::MemoryBackend;
use panther::backend::{Backend, Body};
use panther::error::Error;
use panther::format::entry::{Entry, Node};
use panther::format::gc::{Condemned, Gc};
use panther::format::header::Kind;
use panther::format::keyfile::Role;
use panther::format::name::Name;
use panther::format::snapshot::{Manifest, Root, Summary};
use panther::format::time::Time;
use panther::id::{ObjectId, WriterName};
use panther::keys::wrap::{Recipient, new_identity};
use panther::ops::Silent;
use panther::ops::check::check;
use panther::ops::forget::{ForgetOptions, ForgetReport, GroupBy, forget};
use panther::ops::pins::{pin, unpin};
use panther::repo::Repository;
use panther::repo::snapshots::SnapshotHead;
use panther::retention::{Count, PerUnit, Policy};
use panther::seal::system_random;
use panther::state::State;
use std::sync::Arc;

const DAY_SECS: i64 = 86_400;
/// 2026-05-01 12:00 UTC.
const START_SECS: i64 = 1_777_636_800;

fn day(number: i64) -> Time {
    Time { secs: START_SECS + number * DAY_SECS, nanos: 0 }
}

/// A repository of manifests, an admin, a reader and the writer gamma.
struct History {
    store: MemoryBackend,
    admin: String,
    reader: String,
    gamma: String,
    folder: tempfile::TempDir,
}

impl History {
    fn new() -> Self {
        let store = MemoryBackend::new();
        let (admin, recipient) = new_identity();
        let repo =
            Repository::init(Arc::new(store.clone()), &Recipient::Recipients(vec![recipient]), "admin", 1).unwrap();
        let add_key = |role, name: Option<&WriterName>| {
            let (secret, recipient) = new_identity();
            let key = repo.keys().derive_key(role, "another", name, &mut system_random()).unwrap();
            let object = Recipient::Recipients(vec![recipient]).wrap(&key, 1).unwrap();
            repo.put(&Name::Key(ObjectId::of(&object)), &object).unwrap();
            secret.to_string()
        };
        let (reader, gamma) = (add_key(Role::Reader, None), add_key(Role::Writer, Some(&writer("gamma"))));
        Self { store, admin: admin.to_string(), reader, gamma, folder: tempfile::tempdir().unwrap() }
    }

    fn repo(&self) -> Repository {
        open(self.store.clone(), &self.admin).unwrap()
    }

    fn state(&self, name: &str) -> State {
        State::open(&self.folder.path().join(name), &self.repo().keys().repo()).unwrap()
    }

    /// Writes a manifest as `who`, started then.
    fn snapshot(&self, secret: &str, who: &str, host: &str, started: Time, tags: &[&str]) -> ObjectId {
        let repo = open(self.store.clone(), secret).unwrap();
        let name = writer(who);
        let signer = repo.keys().signer(Some(&name)).unwrap();
        let entry = Entry {
            name: Vec::new(),
            node: Node::Inline(b"x".to_vec()),
            mode: 0o644,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            mtime: started,
            btime: None,
            xattrs: Vec::new(),
            link: None,
            flags: 0,
            boundary: None,
        };
        let manifest = Manifest {
            user: String::new(),
            program: "test".into(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            roots: vec![Root { path: b"/data".to_vec(), entry }],
            summary: Summary::default(),
            excludes: Vec::new(),
            parent: None,
            origin: None,
        };
        let state = self.state("writing");
        let chain: Vec<SnapshotHead> = repo.heads(&name, &state, &repo.statements().unwrap()).unwrap().snapshots;
        repo.write_snapshot(&signer, &chain, started, host, &manifest).unwrap().id
    }

    /// A snapshot of each of so many days, by an admin.
    fn days(&self, count: i64) -> Vec<ObjectId> {
        (0..count).map(|n| self.snapshot(&self.admin, "alpha", "alpha", day(n), &[])).collect()
    }

    fn options(&self) -> ForgetOptions {
        ForgetOptions {
            filter: Default::default(),
            ids: Vec::new(),
            policy: daily(3),
            group_by: GroupBy::default(),
            zone: jiff::tz::TimeZone::UTC,
            dry_run: false,
            remove_all: false,
            writer: writer("alpha"),
        }
    }

    fn forget(&self, options: &ForgetOptions) -> ForgetReport {
        forget(&self.repo(), &self.state("forgetting"), options, &Silent).unwrap()
    }

    fn refused(&self, options: &ForgetOptions) -> String {
        let before = objects_of(&self.store);
        let error = forget(&self.repo(), &self.state("forgetting"), options, &Silent).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert_eq!(objects_of(&self.store), before, "nothing may have changed");
        error.to_string()
    }

    /// The snapshots that are there.
    fn there(&self) -> Vec<ObjectId> {
        let repo = self.repo();
        let all = repo.snapshots(&repo.statements().unwrap()).unwrap().snapshots;
        all.iter().map(|s| s.head.id).collect()
    }

    fn put_gc(&self, gc: &Gc) -> Name {
        let repo = self.repo();
        let signer = repo.keys().signer(Some(&writer("alpha"))).unwrap();
        let object = signer.seal(Kind::Gc, repo.keys().current_epoch(), gc.encode(), &mut system_random());
        let name = Name::Gc(ObjectId::of(&object));
        repo.put(&name, &object).unwrap();
        name
    }

    fn name_of(&self, id: ObjectId) -> Name {
        let names = self.repo().snapshot_names(None).unwrap();
        names.into_iter().find(|name| name.id() == Some(id)).unwrap()
    }

    fn errors_of_check(&self) -> Vec<String> {
        let report = check(&self.repo(), &self.state("checking"), &STRUCTURE, &Silent).unwrap();
        report.errors.iter().map(|f| format!("{}: {}", f.object, f.what)).collect()
    }
}

fn daily(count: u32) -> Policy {
    Policy { every: PerUnit { daily: Count(count), ..PerUnit::default() }, ..Policy::default() }
}

fn named(ids: &[ObjectId], history: &History) -> ForgetOptions {
    ForgetOptions { ids: ids.iter().map(ObjectId::to_hex).collect(), policy: Policy::default(), ..history.options() }
}

#[test]
fn what_no_rule_keeps_goes_and_everybody_knows_why() {
    let history = History::new();
    let all = history.days(6);
    assert_eq!(history.errors_of_check(), [] as [String; 0]);
    let before = objects_of(&history.store);
    let dry = history.forget(&ForgetOptions { dry_run: true, ..history.options() });
    assert_eq!((&dry.removed[..], dry.statement), (&all[..3], None));
    assert_eq!(objects_of(&history.store), before);

    let done = history.forget(&history.options());
    assert_eq!((&done.removed[..], history.there()), (&all[..3], all[3..].to_vec()));
    let statements = history.repo().statements().unwrap();
    assert!(statements.forgotten == all[..3].iter().copied().collect() && done.statement.is_some());
    // The chain names what is gone, and this machine has seen it: that is no alarm, for nobody.
    assert_eq!(history.errors_of_check(), [] as [String; 0]);
    // Again there is nothing to do, and nothing is written.
    let before = objects_of(&history.store);
    let again = history.forget(&history.options());
    assert!(again.removed.is_empty() && again.statement.is_none());
    assert_eq!(objects_of(&history.store), before);
}

#[test]
fn the_statement_comes_first_and_the_rest_is_done_next_time() {
    let history = History::new();
    let all = history.days(6);
    for answer in [Fault::Error(connection_reset), Fault::LostAnswer] {
        // Everything up to the statement fails: nothing is gone.
        let store = FaultBackend::new(history.store.clone(), move |call| (call.op == Op::Put).then_some(answer));
        let repo = open(store, &history.admin).unwrap();
        let failed = forget(&repo, &history.state("forgetting"), &history.options(), &Silent).unwrap_err();
        assert_eq!((failed.exit_code(), history.there()), (5, all.clone()));
    }
    // The statement with the lost answer holds. Who reads sees it; the snapshots can still be used.
    assert_eq!(history.repo().statements().unwrap().forgotten.len(), 3);
    let done = history.forget(&ForgetOptions { policy: daily(2), ..history.options() });
    assert_eq!((&done.leftovers[..], &done.removed[..]), (&all[..3], &all[3..4]));
    assert_eq!(history.there(), all[4..]);

    let more: Vec<_> = (6..9).map(|n| history.snapshot(&history.admin, "alpha", "alpha", day(n), &[])).collect();
    let store = FaultBackend::new(history.store.clone(), |call| {
        (call.op == Op::Delete && call.ordinal == 2).then_some(Fault::Error(connection_reset))
    });
    let repo = open(store, &history.admin).unwrap();
    let options = ForgetOptions { policy: daily(2), ..history.options() };
    forget(&repo, &history.state("forgetting"), &options, &Silent).unwrap_err();
    assert_eq!(history.there(), [&all[5..], &more[..]].concat());
    // What is forgotten and still there takes no place from others.
    let done = history.forget(&options);
    assert_eq!((done.leftovers.len(), done.removed.len(), history.there()), (2, 0, more[1..].to_vec()));
    assert_eq!(history.errors_of_check(), [] as [String; 0]);
}

#[test]
fn groups_and_whole_groups() {
    let history = History::new();
    let alpha = history.days(4);
    let tagged = history.snapshot(&history.admin, "alpha", "alpha", day(9), &["keep"]);
    let beta = history.snapshot(&history.admin, "beta", "beta", day(0), &[]);
    // By tags alone the host beta would lose all.
    let by_tag = Policy { tags: vec![vec!["keep".into()]], ..Policy::default() };
    let options = ForgetOptions { policy: by_tag, ..history.options() };
    let said = history.refused(&options);
    assert!(said.contains("beta") && said.contains("--remove-all"), "{said}");
    // One group for all hosts is still apart by writer.
    let one = GroupBy { host: false, paths: false, tags: false };
    history.refused(&ForgetOptions { group_by: one, ..options.clone() });
    let only_alpha = panther::ops::list::SnapshotFilter { hosts: vec!["alpha".into()], ..Default::default() };
    let done = history.forget(&ForgetOptions { filter: only_alpha, dry_run: true, ..options.clone() });
    assert_eq!(done.removed, alpha);
    // By tags, the group without one goes whole.
    history.refused(&ForgetOptions { group_by: GroupBy { tags: true, ..GroupBy::default() }, ..options.clone() });
    let done = history.forget(&ForgetOptions { remove_all: true, ..options });
    assert_eq!(done.removed.len(), 5);
    assert_eq!(history.there(), [tagged]);
    assert!(history.refused(&ForgetOptions { policy: Policy::default(), ..history.options() }).contains("no rule"));
    assert!(!history.there().contains(&beta));
}

#[test]
fn by_name() {
    let history = History::new();
    let all = history.days(4);
    let done = history.forget(&named(&all[1..2], &history));
    assert_eq!((&done.removed[..], history.there()), (&all[1..2], vec![all[0], all[2], all[3]]));
    assert_eq!(done.groups[0].snapshots.len(), 4);
    let said = history.refused(&named(&[all[0], all[2], all[3]], &history));
    assert!(said.contains("--remove-all"), "{said}");
    let short = ForgetOptions { ids: vec!["latest".into()], ..history.options() };
    assert_eq!(history.forget(&short).removed, [all[3]]);
    let unknown = ForgetOptions { ids: vec!["abcdef12".into()], ..history.options() };
    assert!(history.refused(&unknown).contains("no snapshot"));

    // One that somebody has removed by hand: it is an alarm until an admin says that it is right.
    history.store.delete(&history.name_of(all[2]).to_string()).unwrap();
    let state = history.state("seeing");
    state.see(&history.repo().config().repo, &[(all[2], writer("alpha"))]).unwrap();
    let found = |state: &State| check(&history.repo(), state, &STRUCTURE, &Silent).unwrap().errors.len();
    assert_eq!(found(&state), 1);
    let done = history.forget(&named(&all[2..3], &history));
    assert_eq!((&done.missing[..], done.removed.len()), (&all[2..3], 0));
    assert_eq!(found(&state), 0);
    assert_eq!(history.forget(&named(&all[2..3], &history)).statement, None);
}

/// Forged times gain nothing where the store tells its own.
#[test]
fn a_forged_clock_gains_nothing() {
    for store_tells in [true, false] {
        let history = History::new();
        let uploaded = |id: ObjectId, time: Time| {
            if store_tells {
                history.store.set_uploaded(&history.name_of(id).to_string(), time);
            }
        };
        let write = |started: Time, stored: Time| {
            let id = history.snapshot(&history.gamma, "gamma", "web", started, &[]);
            uploaded(id, stored);
            id
        };
        let genuine: Vec<_> = (0..10).map(|n| write(day(n), day(n))).collect();
        // The key is stolen on the tenth day, and a snapshot of nothing is signed for the end of each of these days, all in one night.
        let evening = |n| Time { secs: day(n).secs + 11 * 3_600, nanos: 0 };
        let forged: Vec<_> = (0..10).map(|n| write(evening(n), evening(9))).collect();
        let done = history.forget(&ForgetOptions { policy: daily(7), dry_run: true, ..history.options() });
        let lost: Vec<_> = genuine.iter().filter(|id| done.removed.contains(id)).collect();
        match store_tells {
            // Three are too old anyway, and on the day of the theft one of the thief's is the last.
            true => assert_eq!(lost, [&genuine[0], &genuine[1], &genuine[2], &genuine[9]]),
            false => assert_eq!(lost.len(), 10, "without the store's time they would have been pushed out"),
        }
        let stay = forged.iter().filter(|id| !done.removed.contains(id)).count();
        assert_eq!(stay, if store_tells { 1 } else { 7 });
    }
}

#[test]
fn whose_time_counts() {
    let history = History::new();
    let at = |n: i64, id: ObjectId| history.store.set_uploaded(&history.name_of(id).to_string(), day(n));
    // An admin may upload what is older; a clock that is ahead counts for nothing.
    let copied = history.snapshot(&history.admin, "alpha", "alpha", day(1), &[]);
    at(9, copied);
    let ahead = history.snapshot(&history.admin, "alpha", "alpha", day(400), &[]);
    at(8, ahead);
    let by_writer = history.snapshot(&history.gamma, "gamma", "alpha", day(1), &[]);
    at(7, by_writer);
    let repo = history.repo();
    let all = repo.snapshots(&repo.statements().unwrap()).unwrap().snapshots;
    let time = |id| all.iter().find(|s| s.head.id == id).unwrap().judged_time();
    assert_eq!([time(copied), time(ahead), time(by_writer)], [day(1), day(8), day(7)]);
}

#[test]
fn a_stolen_writer_pushes_out_nobody_else() {
    let history = History::new();
    let all = history.days(3);
    for n in 0..20 {
        // It claims to be the host alpha.
        history.snapshot(&history.gamma, "gamma", "alpha", day(n), &[]);
    }
    let one = GroupBy { host: true, paths: false, tags: false };
    let done = history.forget(&ForgetOptions { group_by: one, dry_run: true, ..history.options() });
    assert!(all.iter().all(|id| !done.removed.contains(id)), "{:?}", done.removed);
}

#[test]
fn pins_hold() {
    let history = History::new();
    let all = history.days(6);
    let (repo, alpha) = (history.repo(), writer("alpha"));
    let names = [history.name_of(all[0]), history.name_of(all[1])];
    let changed = |done: Vec<panther::ops::pins::Pinned>| done.iter().map(|p| p.changed).collect::<Vec<_>>();
    assert_eq!(changed(pin(&repo, &names, &alpha).unwrap()), [true, true]);
    assert_eq!(changed(pin(&repo, &names[..1], &alpha).unwrap()), [false]);
    let done = history.forget(&history.options());
    assert_eq!(done.removed, [all[2]]);
    assert_eq!(done.groups[0].snapshots[0].decision.reasons, [panther::retention::Reason::Pinned]);
    assert!(history.refused(&named(&all[..1], &history)).contains("pinned"));

    // One of two that are pinned by one statement.
    assert_eq!(changed(unpin(&repo, &all[..1], &alpha).unwrap()), [true]);
    assert_eq!(changed(unpin(&repo, &all[..1], &alpha).unwrap()), [false]);
    assert_eq!(repo.statements().unwrap().pinned, [all[1]].into());
    assert_eq!(history.forget(&history.options()).removed, [all[0]]);
    // What else the statement says stays said.
    let packs = vec![(writer("alpha"), vec![ObjectId::of(b"pack")])];
    let gc = Gc {
        created: day(0),
        condemned: Some(Condemned { not_before: day(7), packs }),
        pinned: vec![all[1], all[5]],
        ..Gc::default()
    };
    history.put_gc(&gc);
    unpin(&repo, &[all[1], all[5]], &alpha).unwrap();
    let statements = repo.statements().unwrap();
    assert!(statements.pinned.is_empty() && statements.condemned.len() == 1);
    assert_eq!(history.forget(&history.options()).removed, [all[1]]);
    assert_eq!(history.there(), all[3..]);
    assert_eq!(history.errors_of_check(), [] as [String; 0]);
}

#[test]
fn a_pin_and_a_forget_at_once() {
    let history = History::new();
    let all = history.days(5);
    // Somebody pins the oldest between the statement and the removal.
    let repo = history.repo();
    let signer = repo.keys().signer(Some(&writer("beta"))).unwrap();
    let gc = Gc { created: day(9), pinned: vec![all[0]], ..Gc::default() };
    let pin_object = signer.seal(Kind::Gc, repo.keys().current_epoch(), gc.encode(), &mut system_random());
    let inner = history.store.clone();
    let store = FaultBackend::new(history.store.clone(), move |call| {
        if call.op == Op::Put && call.name.starts_with("gc/") {
            inner.put(&Name::Gc(ObjectId::of(&pin_object)).to_string(), Body::Bytes(&pin_object)).unwrap();
        }
        None
    });
    let repo = open(store, &history.admin).unwrap();
    let done = forget(&repo, &history.state("forgetting"), &history.options(), &Silent).unwrap();
    assert_eq!((&done.rescued[..], &done.removed[..]), (&all[..1], &all[1..2]));
    assert_eq!(history.there(), [all[0], all[2], all[3], all[4]]);
    // It stays as long as it is pinned, and goes after that.
    assert!(history.forget(&history.options()).leftovers.is_empty());
    unpin(&history.repo(), &all[..1], &writer("alpha")).unwrap();
    assert_eq!(history.forget(&history.options()).leftovers, all[..1]);
    // A pin that comes too late says so.
    let alpha = writer("alpha");
    let gone = Name::Snapshot(alpha.clone(), all[0]);
    assert!(matches!(pin(&history.repo(), &[gone], &alpha), Err(Error::Usage(_))));
    history.put_gc(&Gc { created: day(9), forgotten: vec![all[4]], ..Gc::default() });
    let dying = history.name_of(all[4]);
    assert!(pin(&history.repo(), &[dying], &alpha).unwrap_err().to_string().contains("forgotten"));
}

#[test]
fn only_an_admin_forgets_and_pins() {
    let history = History::new();
    let all = history.days(5);
    let names = [history.name_of(all[0])];
    let before = objects_of(&history.store);
    for (secret, may_look) in [(&history.reader, true), (&history.gamma, false)] {
        let repo = open(history.store.clone(), secret).unwrap();
        let state = history.state("other");
        let is_role = |error: Error| error.exit_code() == 13;
        assert!(is_role(forget(&repo, &state, &history.options(), &Silent).unwrap_err()));
        assert!(is_role(pin(&repo, &names, &writer("alpha")).unwrap_err()));
        assert!(is_role(unpin(&repo, &all[..1], &writer("alpha")).unwrap_err()));
        let dry = forget(&repo, &state, &ForgetOptions { dry_run: true, ..history.options() }, &Silent);
        assert_eq!(dry.is_ok(), may_look);
    }
    assert_eq!(objects_of(&history.store), before);
    // A gc object that cannot be read stops it: it may hold a pin.
    let mut objects: Objects = before;
    objects.insert(Name::Gc(ObjectId::of(b"junk")).to_string(), b"junk".to_vec());
    let repo = open(store_of(&objects), &history.admin).unwrap();
    assert_eq!(forget(&repo, &history.state("other"), &history.options(), &Silent).unwrap_err().exit_code(), 4);
}

#[test]
fn statements_are_put_together() {
    let history = History::new();
    history.days(3);
    for n in 3..15 {
        history.snapshot(&history.admin, "alpha", "alpha", day(n), &[]);
        assert_eq!(history.forget(&history.options()).removed.len(), 1);
    }
    let repo = history.repo();
    let names = repo.list("gc/").unwrap();
    // Twelve statements, and those that unite four at a time; they are not a day old, so none is removed yet.
    assert!((13..=18).contains(&names.len()), "{}", names.len());
    assert_eq!(repo.statements().unwrap().forgotten.len(), 12);
    let largest =
        names.iter().map(|(name, _)| repo.signed(name, |o| Gc::decode(&o.plaintext)).unwrap().forgotten.len()).max();
    assert_eq!(largest, Some(10));
    assert_eq!(history.errors_of_check(), [] as [String; 0]);
}
