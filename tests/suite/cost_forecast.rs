//! The forecast beside what then happens: steady workloads, simulated page by page over 15 months with a policy and weekly prunes.

use jiff::tz::TimeZone;
use panther::cost::{Day, PriceTable, Stored, bill};
use panther::format::entry::{Entry, Node};
use panther::format::snapshot::{Cover, Manifest, Root, Summary};
use panther::format::time::Time;
use panther::id::{ObjectId, WriterName};
use panther::ops::cost::{CostInput, CostOptions, Inventory, Limits, Past, REMOVAL_DAYS, WhatIf, cost, used_days};
use panther::ops::forget::GroupBy;
use panther::repo::snapshots::{Snapshot, SnapshotHead};
use panther::repo::statements::Statements;
use panther::retention::{Item, Policy, Preset, decide};

const PAGE_BYTES: u64 = 100_000_000;
const DAY: i64 = 86_400;

/// What changes in a night, in pages.
#[derive(Clone, Copy, Debug)]
struct Workload {
    pages: usize,
    /// Always the same ones.
    hot: usize,
    /// Others each night.
    spread: usize,
    /// On top.
    grows: usize,
}

struct Shot {
    time: Time,
    /// Of each page the night in which it was written.
    versions: Vec<u16>,
    summary: Summary,
    first: bool,
}

/// A machine, its repository, and when what was stored.
struct World {
    load: Workload,
    policy: Policy,
    seed: u64,
    pages: Vec<u16>,
    kept: Vec<Shot>,
    /// Per page: the versions that are stored, and since when nobody needs them.
    stored: Vec<Vec<(u16, i64, Option<i64>)>>,
    gone: Vec<Stored>,
    now: i64,
}

impl World {
    fn new(load: Workload, policy: Policy, start: Day) -> Self {
        let now = start.start_secs() + 3 * 3_600;
        let (pages, kept, stored) = (vec![0; load.pages], Vec::new(), vec![Vec::new(); load.pages]);
        Self { load, policy, seed: 1, pages, kept, stored, gone: Vec::new(), now }
    }

    fn random(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as usize % below
    }

    fn night(&mut self, night: u16) {
        if night > 0 {
            for page in 0..self.load.hot {
                self.pages[page] = night;
            }
            for _ in 0..self.load.spread {
                let page = self.load.hot + self.random(self.load.pages - self.load.hot);
                self.pages[page] = night;
            }
            self.pages.resize(self.pages.len() + self.load.grows, night);
            self.stored.resize(self.pages.len(), Vec::new());
        }
        let mut new = 0;
        for (page, version) in self.pages.iter().enumerate() {
            if self.stored[page].last().is_none_or(|last| last.0 != *version) {
                self.stored[page].push((*version, self.now, None));
                new += 1;
            }
        }
        let summary = Summary {
            source_bytes: self.pages.len() as u64 * PAGE_BYTES * 2,
            stored_bytes: new * PAGE_BYTES,
            data_bytes: new * PAGE_BYTES * 2,
            ..Summary::default()
        };
        let time = Time { secs: self.now, nanos: 0 };
        self.kept.push(Shot { time, versions: self.pages.clone(), summary, first: night == 0 });
        self.forget();
        if night % 7 == 6 {
            self.prune();
        }
        self.now += DAY;
    }

    fn forget(&mut self) {
        let item =
            |(at, shot): (usize, &Shot)| Item { id: at, time: shot.time, tags: Vec::new(), pinned: false, group: () };
        let items: Vec<_> = self.kept.iter().enumerate().map(item).collect();
        let decisions = decide(&self.policy, &items, Time { secs: self.now, nanos: 0 }, &TimeZone::UTC).unwrap();
        let mut decisions = decisions.iter();
        self.kept.retain(|_| decisions.next().unwrap().keeps());
    }

    /// What nobody has needed for a week goes; what nobody needs from now on is condemned.
    fn prune(&mut self) {
        for page in 0..self.stored.len() {
            let used: Vec<u16> = self.kept.iter().filter_map(|shot| shot.versions.get(page).copied()).collect();
            let (now, gone) = (self.now, &mut self.gone);
            self.stored[page].retain_mut(|(version, from_secs, condemned)| {
                if used.contains(version) {
                    *condemned = None;
                    return true;
                }
                let since = *condemned.get_or_insert(now);
                let goes = now - since >= 7 * DAY;
                if goes {
                    gone.push(Stored { bytes: PAGE_BYTES, from_secs: *from_secs, until_secs: Some(now) });
                }
                !goes
            });
        }
    }

    fn there(&self) -> Vec<Stored> {
        let versions = self.stored.iter().flatten();
        versions
            .map(|(_, from_secs, _)| Stored { bytes: PAGE_BYTES, from_secs: *from_secs, until_secs: None })
            .collect()
    }

    /// What the months have really come to.
    fn billed(&self, month: Day) -> f64 {
        let all: Vec<Stored> = self.there().into_iter().chain(self.gone.iter().copied()).collect();
        bill(&PriceTable::b2(), &used_days(&all, &Past::default(), month, self.now)).total_dollars.as_f64()
    }

    fn snapshots(&self) -> Vec<Snapshot> {
        let writer = WriterName::new("yoga").unwrap();
        let entry = Entry {
            name: Vec::new(),
            node: Node::Fifo,
            mode: 0,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            mtime: Time::default(),
            btime: None,
            xattrs: Default::default(),
            link: None,
            flags: 0,
            boundary: None,
        };
        let snapshot = |shot: &Shot| Snapshot {
            head: SnapshotHead {
                id: ObjectId(*blake3::hash(&shot.time.secs.to_le_bytes()).as_bytes()),
                writer: writer.clone(),
                cover: Cover {
                    sequence: 1,
                    predecessors: Vec::new(),
                    started: shot.time,
                    finished: shot.time,
                    host: "yoga".into(),
                },
            },
            manifest: Manifest {
                user: String::new(),
                program: String::new(),
                tags: Vec::new(),
                roots: vec![Root { path: b"/home".to_vec(), entry: entry.clone() }],
                summary: shot.summary,
                excludes: Vec::new(),
                parent: (!shot.first).then_some(ObjectId([1; 32])),
                origin: None,
            },
            by_admin: false,
            uploaded: Some(shot.time),
        };
        self.kept.iter().map(snapshot).collect()
    }

    fn forecast(&self, what_if: Option<WhatIf>) -> panther::ops::cost::CostReport {
        let mut inventory = Inventory { is_dated: true, ..Inventory::default() };
        inventory.by_writer.insert(Some(WriterName::new("yoga").unwrap()), self.there());
        let options = CostOptions {
            now: Time { secs: self.now - DAY + 3_600, nanos: 0 },
            zone: TimeZone::UTC,
            prices: PriceTable::b2(),
            policy: self.policy.clone(),
            group_by: GroupBy::default(),
            removal_days: REMOVAL_DAYS,
            limits: Limits::default(),
            what_if,
        };
        let (past, snapshots, statements) = (Past::default(), self.snapshots(), Statements::default());
        let input = CostInput { inventory: &inventory, past: &past, snapshots: &snapshots, statements: &statements };
        cost(&input, &options).unwrap()
    }
}

#[test]
fn a_steady_workload_costs_what_was_forecast() {
    let start = Day::of_date(jiff::civil::date(2026, 6, 1));
    let load = |pages, hot, spread, grows| Workload { pages, hot, spread, grows };
    let mut worst = 0.0_f64;
    for (load, preset) in [
        (load(2_000, 12, 0, 0), Preset::Server),
        (load(2_000, 0, 20, 0), Preset::Server),
        (load(2_000, 10, 10, 4), Preset::Server),
        (load(1_500, 3, 3, 2), Preset::Laptop),
        (load(1_000, 0, 60, 0), Preset::Laptop),
        (load(3_000, 0, 0, 6), Preset::Server),
    ] {
        let mut world = World::new(load, preset.policy(), start);
        // June to September, then the forecast, then what happens.
        for night in 0..115 {
            world.night(night);
        }
        let report = world.forecast(None);
        let today = Day::of_secs(world.now - DAY);
        assert_eq!(report.ahead.len(), 13);
        for night in 115..520 {
            world.night(night);
        }
        for months in [1, 6, 12] {
            let month = today.month_after(months);
            let (found, want) = (report.ahead[months as usize].bill.total_dollars.as_f64(), world.billed(month));
            assert_eq!(report.ahead[months as usize].month, month.month_text());
            let error = (found - want).abs() / want;
            worst = worst.max(error);
            assert!(error < 0.1, "{load:?} {preset:?}, {months} months: ${found:.2}, then ${want:.2}");
        }
    }
    println!("the worst forecast was off by {:.1} %", worst * 100.0);
}

#[test]
fn what_if_things_were_different() {
    let start = Day::of_date(jiff::civil::date(2026, 6, 1));
    let mut world = World::new(Workload { pages: 1_000, hot: 4, spread: 10, grows: 1 }, Preset::Server.policy(), start);
    for night in 0..70 {
        world.night(night);
    }
    let plain = world.forecast(None);
    let year = |what_if: WhatIf| world.forecast(Some(what_if)).what_if.unwrap().twelve_months_dollars.as_f64();
    let base = plain.twelve_months_dollars.as_f64();
    assert!((year(WhatIf::default()) - base).abs() < 1e-9);
    let double = year(WhatIf { storage_tb: Some(panther::cost::NanoDollars::cents(1_390)), ..WhatIf::default() });
    assert!((double / base - 2.0).abs() < 0.01, "{double} {base}");
    let fewer = Policy { last: panther::retention::Count(2), ..Policy::default() };
    assert!(year(WhatIf { policy: Some(fewer), ..WhatIf::default() }) < base * 0.95);
    assert!(year(WhatIf { growth_bytes: Some(2_000_000_000), ..WhatIf::default() }) > base * 1.5);
    let like = vec![WriterName::new("yoga").unwrap()];
    assert!((year(WhatIf { like, ..WhatIf::default() }) / base) > 1.99);
    // A terabyte more for a year, free gigabytes apart.
    let more = year(WhatIf { hosts_bytes: vec![1_000_000_000_000], ..WhatIf::default() }) - base;
    assert!((more - 6.95 * 365.0 / 30.0).abs() < 0.5, "{more}");
    // By host, source and snapshot it is the same money.
    let month = plain.ahead[0].bill.storage_dollars.to_cents();
    assert!((plain.hosts[0].month_dollars.to_cents() - month).abs() <= 1);
    assert_eq!((plain.sources.len(), plain.sources[0].paths[0].as_str(), plain.hosts.len()), (1, "/home", 1));
    assert_eq!(plain.snapshots.len() as u64, plain.sources[0].snapshots);
    // The estimate of what one frees is near what it would: what no other snapshot has.
    let at = 5;
    let shot = &world.kept[at];
    let only = (0..shot.versions.len()).filter(|page| {
        let others = world.kept.iter().enumerate().filter(|(n, _)| *n != at);
        !others.into_iter().any(|(_, other)| other.versions.get(*page) == Some(&shot.versions[*page]))
    });
    let (exact, estimate) = (only.count() as f64 * PAGE_BYTES as f64, plain.snapshots[at].frees_bytes as f64);
    assert!((estimate - exact).abs() < 0.5 * exact, "{estimate}, exactly {exact}");
}
