//! The rules, one by one and over random facts.

use super::plan::{MarkRules, MaxUnused};
use super::rest::{Look, last_look};
use super::*;
use crate::format::time::Time;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashSet;

const DAY_SECS: i64 = 86_400;

fn at(secs: i64) -> Time {
    Time { secs, nanos: 0 }
}

/// A data pack of everybody's, stored long ago.
fn pack(size_bytes: u64, plain_bytes: u64) -> PackFacts {
    PackFacts {
        group: 0,
        folder: 0,
        kind: BlobKind::Data,
        size_bytes,
        plain_bytes,
        listed: true,
        named: true,
        condemned: false,
        due: false,
        age_secs: Some(100 * DAY_SECS),
        trust: Trust::All,
    }
}

fn rules() -> MarkRules {
    MarkRules {
        grace_secs: 7 * DAY_SECS,
        max_unused: MaxUnused::Share(0.1),
        max_repack_bytes: u64::MAX,
        egress_left_bytes: None,
        repack_small: false,
    }
}

type Copies = Vec<(u32, u32)>;

fn chosen(live: &[(Copies, u64)], packs: &[PackFacts], rules: &MarkRules) -> (Choice, Vec<(u32, u32)>) {
    let mut kept = Vec::new();
    let blobs = || live.iter().map(|(copies, groups)| (&copies[..], *groups));
    let choice = choose(blobs, packs, |pack| rules.is_young(pack), |copy| kept.push(*copy));
    (choice, kept)
}

#[test]
fn the_time_of_a_gc_object() {
    let gc = GcFacts { created: at(100), not_before: at(100 + 7 * DAY_SECS), uploaded: None };
    assert!(!gc.is_due(at(99 + 7 * DAY_SECS)) && gc.is_due(at(100 + 7 * DAY_SECS)));
    // The store received it a day later than the admin's clock says: the admin's clock was wrong, or is.
    let late = GcFacts { uploaded: Some(at(100 + DAY_SECS)), ..gc };
    assert!(!late.is_due(at(99 + 8 * DAY_SECS)) && late.is_due(at(100 + 8 * DAY_SECS)));
    assert!(!GcFacts { uploaded: Some(at(0)), ..gc }.is_due(at(99 + 7 * DAY_SECS)));

    assert!(gc.may_be_taken_back(at(100)) && !gc.may_be_taken_back(at(7 * DAY_SECS - 7_100)));
    let due = at(200 + 7 * DAY_SECS);
    let day_ago = Some(at(due.secs - DAY_SECS));
    assert!(gc.may_go(false, day_ago, due));
    assert!(!gc.may_go(true, day_ago, due) && !gc.may_go(false, None, due));
    assert!(!gc.may_go(false, Some(at(due.secs - DAY_SECS + 1)), due));
    assert!(!gc.may_go(false, day_ago, at(100)), "before its time nothing of it is removed");
}

#[test]
fn a_sweep_leaves_the_only_copy() {
    let condemned = PackFacts { condemned: true, due: true, ..pack(100, 100) };
    let packs = [condemned, condemned, pack(100, 100), PackFacts { listed: false, ..pack(100, 100) }];
    let live: [Copies; 3] = [vec![(0, 10), (1, 10)], vec![(1, 20), (2, 20)], vec![(1, 5), (3, 5)]];
    let (needed, lost) = needed(live.iter().map(|copies| &copies[..]), &packs);
    // The first blob stays in the least pack, the second is elsewhere; of the third the other copy is not there.
    assert_eq!((&needed[..], lost), (&[true, true, false, false][..], 0));
    let (needed, lost) = super::needed([&live[1][..]].into_iter(), &packs);
    assert_eq!((&needed[..], lost), (&[false; 4][..], 0));
    assert!(sweep::is_removed(&packs[0], false) && !sweep::is_removed(&packs[0], true));
    assert!(!sweep::is_removed(&PackFacts { due: false, ..condemned }, false));
    let nowhere = [(3u32, 5u32)];
    assert_eq!(super::needed([&nowhere[..]].into_iter(), &packs).1, 1);
}

#[test]
fn each_writer_keeps_what_it_relies_on() {
    let of = |group, trust| PackFacts { group, trust, ..pack(100, 100) };
    let packs = [of(1, Trust::Own), of(2, Trust::Own), of(0, Trust::All), of(1, Trust::Own)];
    // Both writers' snapshots have it, and each has a copy.
    let (_, kept) = chosen(&[(vec![(0, 9), (1, 9), (3, 9)], 0b110)], &packs, &rules());
    assert_eq!(kept, [(0, 9), (1, 9)]);
    // What everybody relies on is enough.
    let (_, kept) = chosen(&[(vec![(0, 9), (1, 9), (2, 9)], 0b110)], &packs, &rules());
    assert_eq!(kept, [(2, 9)]);
    // Only the snapshots of the second have it, which lies with the first only.
    let (choice, kept) = chosen(&[(vec![(0, 9)], 0b100)], &packs, &rules());
    assert_eq!((kept, choice.live_blobs), (vec![(0, 9)], vec![1, 0, 0, 0]));
    // The admin's snapshots have it: one of them.
    let (_, kept) = chosen(&[(vec![(0, 9), (1, 9)], 0b1)], &packs, &rules());
    assert_eq!(kept, [(0, 9)]);
}

#[test]
fn copies_stay_where_they_cannot_be_removed() {
    let young = PackFacts { age_secs: Some(10), ..pack(100, 100) };
    let packs = [pack(100, 100), young, pack(100, 100)];
    // A killed prune left doubles in a new pack: the old one goes.
    let live = [(vec![(0, 10), (1, 10)], 1), (vec![(0, 20), (1, 20)], 1)];
    let (choice, _) = chosen(&live, &packs, &rules());
    let plan = plan(&packs, &choice, &rules());
    assert_eq!((choice.live_bytes, plan.unused), (vec![0, 30, 0], vec![0, 2]));
    // Else they stay where more stays.
    let live = [(vec![(0, 10), (2, 10)], 1), (vec![(2, 20)], 1)];
    assert_eq!(chosen(&live, &packs, &rules()).0.live_bytes, [0, 0, 30]);
}

#[test]
fn orphans_wait_until_their_age_is_known() {
    let orphan = PackFacts { named: false, trust: Trust::Nobody, plain_bytes: 0, ..pack(100, 0) };
    let unknown = PackFacts { age_secs: None, ..orphan };
    let fresh = PackFacts { age_secs: Some(7 * DAY_SECS - 1), ..orphan };
    let named = PackFacts { age_secs: None, ..pack(100, 100) };
    let packs = [orphan, unknown, fresh, named];
    let found = plan(&packs, &chosen(&[], &packs, &rules()).0, &rules());
    assert_eq!((found.unused, found.young_packs, found.young_bytes), (vec![0, 3], 2, 200));
}

#[test]
fn what_pays_most_is_repacked_first() {
    // Of use: a tenth, a half, all, nine tenths.
    let packs = [pack(1_000, 1_000), pack(1_000, 2_000), pack(1_000, 1_000), pack(1_000, 1_000)];
    let live = [(vec![(0, 100)], 1), (vec![(1, 1_000)], 1), (vec![(2, 1_000)], 1), (vec![(3, 900)], 1)];
    let choice = chosen(&live, &packs, &rules()).0;
    let with = |max_unused, max_repack_bytes, egress_left_bytes| {
        let plan = plan(&packs, &choice, &MarkRules { max_unused, max_repack_bytes, egress_left_bytes, ..rules() });
        (plan.repack, plan.left_unused_bytes, plan.limited)
    };
    assert_eq!(with(MaxUnused::Share(0.1), u64::MAX, None), (vec![0, 1], 100, false));
    assert_eq!(with(MaxUnused::Share(0.2), u64::MAX, None), (vec![0], 600, false));
    assert_eq!(with(MaxUnused::Share(0.0), u64::MAX, None), (vec![0, 1, 3], 0, false));
    assert_eq!(with(MaxUnused::Bytes(1_500), u64::MAX, None), (vec![], 1_500, false));
    assert_eq!(with(MaxUnused::Unlimited, u64::MAX, None), (vec![], 1_500, false));
    assert_eq!(with(MaxUnused::Bytes(0), 1_999, None), (vec![0], 600, true));
    assert_eq!(with(MaxUnused::Bytes(0), u64::MAX, Some(2_000)), (vec![0, 1], 100, true));
}

#[test]
fn small_packs_are_put_together_when_there_are_many() {
    let rules = MarkRules { repack_small: true, ..rules() };
    let small = |folder| PackFacts { folder, ..pack(1_000, 1_000) };
    let mut packs: Vec<PackFacts> = (0..12).map(|_| small(3)).collect();
    packs.extend((0..11).map(|_| small(4)));
    packs.push(PackFacts { folder: 4, kind: BlobKind::Tree, ..small(4) });
    let live: Vec<_> = (0..24).map(|n| (vec![(n, 1_000)], 1)).collect();
    let found = plan(&packs, &chosen(&live, &packs, &rules).0, &rules);
    assert_eq!(found.repack, (0..12).collect::<Vec<_>>());
    assert_eq!((found.repack_bytes, found.rewritten_bytes), (12_000, 12_000));
}

#[test]
fn the_last_look() {
    assert_eq!(last_look(false, false), Look::Same);
    assert_eq!((last_look(true, false), last_look(false, true)), (Look::Changed, Look::Changed));
    assert!(!rest::is_long(12 * 3_600) && rest::is_long(12 * 3_600 + 1));
    assert!(!rest::is_stale(3_600) && rest::is_stale(3_601));
    assert!(!rest::looks_back(60) && rest::looks_back(61));
    assert!(rest::is_good(true, false) && !rest::is_good(true, true) && !rest::is_good(false, false));
}

fn facts() -> impl Strategy<Value = PackFacts> {
    let trust = prop_oneof![Just(Trust::All), Just(Trust::Own), Just(Trust::Nobody)];
    let flags = (any::<bool>(), prop::bool::weighted(0.9), prop::bool::weighted(0.9), prop::bool::weighted(0.3));
    (flags, any::<bool>(), 0u8..3, 0u32..3, 1u64..1_000, trust, proptest::option::of(0i64..14 * DAY_SECS)).prop_map(
        |((tree, listed, named, condemned), due, group, folder, size_bytes, trust, age_secs)| PackFacts {
            group,
            folder,
            kind: if tree { BlobKind::Tree } else { BlobKind::Data },
            size_bytes,
            plain_bytes: 100_000,
            listed,
            named,
            condemned,
            due: due && condemned,
            age_secs,
            trust,
        },
    )
}

fn world() -> impl Strategy<Value = (Vec<PackFacts>, Vec<(Copies, u64)>)> {
    (1usize..12).prop_flat_map(|count| {
        let copies = proptest::collection::btree_set(0..count as u32, 0..4)
            .prop_map(|packs| packs.into_iter().map(|pack| (pack, 1_000)).collect::<Copies>());
        (vec(facts(), count), vec((copies, 1u64..8), 0..20))
    })
}

proptest! {
    /// What a sweep takes away leaves a copy of everything that had one.
    #[test]
    fn a_sweep_loses_nothing((packs, live) in world()) {
        let (needed, lost) = needed(live.iter().map(|(copies, _)| &copies[..]), &packs);
        let is_there = |pack: u32| packs[pack as usize].listed && packs[pack as usize].named;
        let mut missing = 0;
        for (copies, _) in &live {
            if !copies.iter().any(|copy| is_there(copy.0)) {
                missing += 1;
                continue;
            }
            let stays = |copy: &(u32, u32)| {
                is_there(copy.0) && !sweep::is_removed(&packs[copy.0 as usize], needed[copy.0 as usize])
            };
            prop_assert!(copies.iter().any(stays));
        }
        prop_assert_eq!(lost, missing);
    }

    /// What is condemned leaves a good copy of everything that had one, and to each writer the one that it relies on.
    #[test]
    fn a_plan_loses_nothing((packs, live) in world(), share in 0.0f64..1.0, most in 0u64..5_000, repack_small: bool) {
        let rules = MarkRules {
            max_unused: MaxUnused::Share(share),
            max_repack_bytes: most,
            egress_left_bytes: Some(4_000),
            repack_small,
            ..rules()
        };
        let (choice, kept) = chosen(&live, &packs, &rules);
        let plan = plan(&packs, &choice, &rules);
        let unused: HashSet<u32> = plan.unused.iter().copied().collect();
        let repack: HashSet<u32> = plan.repack.iter().copied().collect();
        prop_assert!(unused.is_disjoint(&repack) && unused.len() == plan.unused.len() && repack.len() == plan.repack.len());
        prop_assert!(kept.iter().all(|copy| !unused.contains(&copy.0)));
        prop_assert!(plan.repack_bytes <= most.min(4_000));
        for number in unused.iter().chain(&repack) {
            let pack = &packs[*number as usize];
            let stranded = choice.stranded[*number as usize];
            prop_assert!(pack.listed && (stranded || (!pack.condemned && !rules.is_young(pack))));
        }
        for (copies, groups) in &live {
            let good: Vec<_> = copies.iter().filter(|c| packs[c.0 as usize].is_good()).collect();
            prop_assert!(good.is_empty() || good.iter().any(|copy| kept.contains(copy)));
            if good.iter().any(|c| packs[c.0 as usize].trust == Trust::All) {
                prop_assert!(good.iter().any(|c| packs[c.0 as usize].trust == Trust::All && kept.contains(c)));
                continue;
            }
            for group in (1..3).filter(|group| groups >> group & 1 == 1) {
                let is_own = |c: &&&(u32, u32)| {
                    let pack = &packs[c.0 as usize];
                    pack.group == group && pack.trust == Trust::Own
                };
                let own: Vec<_> = good.iter().filter(is_own).collect();
                prop_assert!(own.is_empty() || own.iter().any(|copy| kept.contains(copy)));
            }
        }
    }
}
