//! gc objects that say what was forgotten: put together, and removed when nobody needs them any more (spec 11.5).

use super::write_gc;
use crate::error::{Error, Result};
use crate::format::gc::Gc;
use crate::format::name::Name;
use crate::format::time::Time;
use crate::id::ObjectId;
use crate::ops::prune::sweep::remove_unless_locked;
use crate::repo::Repository;
use crate::seal::Signer;
use std::collections::{BTreeMap, BTreeSet, HashSet};

const DAY_SECS: i64 = 86_400;
/// Statements of one quarter are put together, those of different quarters are not: each quarter's can go when its time has come.
const QUARTER_SECS: i64 = 91 * DAY_SECS;
/// So many of a quarter are put together.
const MOST: usize = 4;
/// What another one says is removed when that is so old: no listing lacks it any more.
const SETTLED_SECS: i64 = DAY_SECS;
/// What no manifest names is removed when it is so old: a machine that was off for a year still learns of it.
const EXPIRED_SECS: i64 = 400 * DAY_SECS;
/// For so long manifests of forgotten snapshots are kept, so that these can be brought back.
pub const KEPT_SECS: i64 = 30 * DAY_SECS;
/// A joint gc object holds at most so much of them.
const KEPT_BYTES: usize = 4 << 20;

/// A gc object that says nothing but what was forgotten, and keeps manifests of that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stated {
    /// Its id.
    pub id: ObjectId,
    /// When it was made.
    pub created: Time,
    /// The snapshots.
    pub forgotten: BTreeSet<ObjectId>,
    /// Those of them of which it keeps the manifests.
    pub kept: BTreeSet<ObjectId>,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tidying {
    /// Snapshots that a new gc object is to name; none if it is empty.
    pub join: BTreeSet<ObjectId>,
    /// Snapshots of which it is to keep the manifests.
    pub keep: BTreeSet<ObjectId>,
    /// gc objects that can go.
    pub remove: Vec<ObjectId>,
}

/// Which statements to put together and which to remove. `named` are the predecessors that manifests name.
pub fn plan(all: &[Stated], named: &HashSet<ObjectId>, now: Time) -> Tidying {
    let order = |s: &Stated| (s.forgotten.len(), s.created, s.id);
    // Of two that say the same, the later one counts as saying more.
    let age_secs = |s: &Stated| now.secs.saturating_sub(s.created.secs);
    let keeps = |s: &Stated| age_secs(s) < KEPT_SECS;
    let covers = |big: &Stated, small: &Stated| {
        order(big) > order(small)
            && small.forgotten.is_subset(&big.forgotten)
            && (!keeps(small) || small.kept.is_subset(&big.kept))
    };
    let is_said_elsewhere = |s: &Stated| all.iter().any(|other| covers(other, s) && age_secs(other) >= SETTLED_SECS);
    let is_named = |s: &Stated| s.forgotten.iter().any(|id| named.contains(id));
    let is_expired = |s: &Stated| age_secs(s) >= EXPIRED_SECS && !is_named(s);
    let remove = all.iter().filter(|s| is_said_elsewhere(s) || is_expired(s)).map(|s| s.id).collect();
    let quarter = |time: Time| time.secs.div_euclid(QUARTER_SECS);
    let of_now: Vec<&Stated> = all
        .iter()
        .filter(|s| quarter(s.created) == quarter(now) && !all.iter().any(|other| covers(other, s)))
        .collect();
    if of_now.len() < MOST {
        return Tidying { remove, ..Tidying::default() };
    }
    let join = of_now.iter().flat_map(|s| &s.forgotten).copied().collect();
    let keep = of_now.iter().filter(|s| keeps(s)).flat_map(|s| &s.kept).copied().collect();
    Tidying { join, keep, remove }
}

/// Puts statements together and removes what nobody needs. Returns how many were removed.
///
/// # Errors
/// [`Error::Store`]; what is wrong with a gc object.
pub(crate) fn tidy(repo: &Repository, signer: &Signer, named: &HashSet<ObjectId>, now: Time) -> Result<u64> {
    let (mut all, mut manifests) = (Vec::new(), BTreeMap::new());
    for (name, _) in repo.list("gc/")? {
        let Some(id) = name.id() else { continue };
        match repo.signed(&name, |opened| Ok((Gc::decode(&opened.plaintext)?, opened.plaintext))) {
            // One that says something else as well, known or not, is left alone.
            Ok((gc, plaintext)) => {
                let says = [gc.pinned.is_empty(), gc.revoked.is_empty(), gc.records.is_empty()];
                let more = gc.condemned.is_some() || says.contains(&false);
                if !more && !gc.forgotten.is_empty() && gc.encode() == plaintext {
                    let kept = gc.manifests.iter().map(|(_, object)| ObjectId::of(object)).collect();
                    let forgotten = gc.forgotten.into_iter().collect();
                    all.push(Stated { id, created: gc.created, forgotten, kept });
                    manifests.extend(gc.manifests.into_iter().map(|m| (ObjectId::of(&m.1), m)));
                }
            }
            Err(Error::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let tidying = plan(&all, named, now);
    if !tidying.join.is_empty() {
        let kept: Vec<_> = tidying.keep.iter().filter_map(|id| manifests.remove(id)).collect();
        // Those that do not fit stay where they are.
        if kept.iter().map(|(_, object)| object.len()).sum::<usize>() <= KEPT_BYTES {
            let forgotten = tidying.join.into_iter().collect();
            write_gc(repo, signer, &Gc { created: now, forgotten, manifests: kept, ..Gc::default() })?;
        }
    }
    let mut removed = 0;
    for id in &tidying.remove {
        removed += u64::from(remove_unless_locked(repo, &Name::Gc(*id))?);
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> ObjectId {
        ObjectId::of(&number.to_le_bytes())
    }

    /// Ten years of nights of five hosts, each of which forgets one snapshot a night. What is forgotten stays known for a year, and for as long as a manifest
    /// names it; and the number of gc objects does not grow.
    #[test]
    fn ten_years_of_statements() {
        let (mut all, mut most, mut next) = (Vec::<Stated>::new(), 0, 0);
        let for_ever = id(7);
        let named = HashSet::from([for_ever]);
        let start = 1_700_000_000;
        let mut forgotten_at = Vec::new();
        for night in 0..3_650i64 {
            let now = Time { secs: start + night * DAY_SECS, nanos: 0 };
            for _ in 0..5 {
                next += 1;
                let statement = Stated {
                    id: id(1 << 40 | next),
                    created: now,
                    forgotten: BTreeSet::from([id(next)]),
                    kept: BTreeSet::from([id(next)]),
                };
                forgotten_at.push((id(next), night));
                all.push(statement);
                let Tidying { join, keep, remove } = plan(&all, &named, now);
                if !join.is_empty() {
                    next += 1;
                    all.push(Stated { id: id(1 << 40 | next), created: now, forgotten: join, kept: keep });
                }
                all.retain(|s| !remove.contains(&s.id));
            }
            most = most.max(all.len());
            let kept: HashSet<ObjectId> = all.iter().flat_map(|s| &s.kept).copied().collect();
            let is_recent = |(_, at): &&(ObjectId, i64)| night - at < 30;
            assert!(forgotten_at.iter().rev().take_while(is_recent).all(|(id, _)| kept.contains(id)), "night {night}");
            let most_bytes: usize = all.iter().map(|s| s.kept.len()).sum();
            assert!(most_bytes < 4_000, "{most_bytes} manifests are kept");
            if night % 50 == 0 {
                let said: HashSet<ObjectId> = all.iter().flat_map(|s| &s.forgotten).copied().collect();
                for (id, at) in &forgotten_at {
                    let is_needed = *id == for_ever || night - at < 365;
                    assert!(!is_needed || said.contains(id), "night {night}: {id:?} of night {at}");
                    // Whole quarters stay a little longer; that of the one that is named, for ever.
                    assert!(!said.contains(id) || night - at < 400 + 91 + 2 || *at < 100, "night {night}, {at}");
                }
            }
        }
        assert!(most <= 50, "{most} gc objects");
    }

    #[test]
    fn nothing_goes_before_its_time() {
        let now = Time { secs: 1_700_000_000, nanos: 0 };
        let ago = |secs: i64| Time { secs: now.secs - secs, nanos: 0 };
        let stated = |number, created, ids: &[u64]| Stated {
            id: id(number),
            created,
            forgotten: ids.iter().map(|n| id(*n)).collect(),
            kept: BTreeSet::new(),
        };
        let small = stated(100, ago(10 * DAY_SECS), &[1]);
        // The joint one is too young for a listing to be sure to have it.
        let all = [small.clone(), stated(101, ago(DAY_SECS - 1), &[1, 2])];
        assert_eq!(plan(&all, &HashSet::new(), now), Tidying::default());
        let all = [small.clone(), stated(101, ago(DAY_SECS), &[1, 2])];
        assert_eq!(plan(&all, &HashSet::new(), now).remove, [small.id]);
        // Two that say the same: one stays.
        let all = [small.clone(), stated(101, ago(2 * DAY_SECS), &[1])];
        assert_eq!(plan(&all, &HashSet::new(), now).remove, [small.id]);
        // What is kept must be kept by the joint one, too, for 30 days.
        let keeping = Stated { kept: BTreeSet::from([id(1)]), ..small.clone() };
        let joint = stated(101, ago(2 * DAY_SECS), &[1, 2]);
        assert_eq!(plan(&[keeping.clone(), joint.clone()], &HashSet::new(), now), Tidying::default());
        let all = [keeping.clone(), Stated { kept: BTreeSet::from([id(1)]), ..joint.clone() }];
        assert_eq!(plan(&all, &HashSet::new(), now).remove, [small.id]);
        let all = [Stated { created: ago(KEPT_SECS), ..keeping }, joint];
        assert_eq!(plan(&all, &HashSet::new(), now).remove, [small.id]);
        let old = stated(102, ago(EXPIRED_SECS), &[5]);
        assert_eq!(plan(std::slice::from_ref(&old), &HashSet::new(), now).remove, [old.id]);
        assert_eq!(plan(std::slice::from_ref(&old), &HashSet::from([id(5)]), now).remove, []);
    }
}
