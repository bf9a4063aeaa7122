//! `--read-data`: packs are read whole; what seems wrong is read again in other ways before it is damage.

use super::catalogue::{Catalogue, Pack};
use super::pack_parts::{Problem, Scope, join};
use super::pack_read::PackRead;
use super::presence::wrong;
use super::report::{FindingKind as Kind, Findings};
use crate::egress::Meter;
use crate::format::name::Name;
use crate::id::ObjectId;
use crate::repo::Repository;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::AtomicU64;

/// In so many other ways at most is a pack read that seems wrong: versions of one object may be many.
const MOST_WAYS: u32 = 8;

/// What reading a pack came to, from good to bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Outcome {
    /// Everything in it is right.
    Sound,
    /// The store did not give all of it.
    Unread,
    /// Something in it is wrong, or only a newer program can tell.
    Bad,
}

impl Outcome {
    fn of(problem: &Problem) -> Self {
        if problem.kind == Kind::Unreadable { Self::Unread } else { Self::Bad }
    }
}

/// Reads packs and checks everything in them that the keys at hand can check.
pub(super) struct PackCheck<'a> {
    pub repo: &'a Repository,
    pub catalogue: &'a Catalogue,
    pub findings: &'a Findings<'a>,
    pub meter: &'a Meter,
    pub condemned: &'a HashSet<ObjectId>,
    pub read_bytes: AtomicU64,
}

impl PackCheck<'_> {
    /// Reads and checks a pack of which the meter has taken the bytes. What is wrong with it is collected.
    pub fn one(&self, name: &Name, size_bytes: u64) -> Outcome {
        let numbers = self.catalogue.numbers(name);
        if numbers.is_empty() {
            return self.described(name, size_bytes, None);
        }
        let mut worst = Outcome::Sound;
        for (nth, number) in numbers.into_iter().enumerate() {
            // Index objects differ about it: it is read for each.
            self.meter.charge(if nth > 0 { size_bytes } else { 0 });
            worst = worst.max(self.described(name, size_bytes, Some(number)));
        }
        worst
    }

    /// Checks a pack as one index object describes it, or as it describes itself.
    fn described(&self, name: &Name, size_bytes: u64, number: Option<u32>) -> Outcome {
        let read = PackRead { check: self, name, size_bytes, number };
        let mut problems = read.attempt(None).unwrap_or_default();
        for again in 0..MOST_WAYS {
            if problems.iter().all(|p| p.kind == Kind::Newer) || self.findings.go_on().is_err() {
                break;
            }
            // Whether it is damage must be known, whatever the budget says.
            self.meter.charge(size_bytes);
            let Some(found) = read.attempt(Some(again)) else { break };
            problems = found;
            if problems.is_empty() {
                self.read_right(name, again);
            }
        }
        let mut outcome = problems.iter().map(Outcome::of).max().unwrap_or(Outcome::Sound);
        if read.pack().is_some_and(|p| p.info.size_bytes != size_bytes) {
            outcome = Outcome::Bad;
        }
        let pack = read.pack();
        let mut said: BTreeMap<(Kind, String), Vec<String>> = BTreeMap::new();
        for problem in problems {
            let place = match problem.scope {
                Scope::Frame => None,
                Scope::Whole => {
                    pack.map(Pack::mark_bad);
                    None
                }
                Scope::Segment(ordinal) => {
                    // What the listing has shown to be cut off is known already.
                    if pack.is_some_and(|p| !p.mark_segment(ordinal)) {
                        continue;
                    }
                    Some(format!("segment {ordinal}"))
                }
                Scope::Blob(segment, offset, key) => {
                    number.inspect(|n| self.catalogue.mark_place(*n, segment, offset, key));
                    Some(format!("the blob at {offset} of segment {segment}"))
                }
            };
            said.entry((problem.kind, problem.what)).or_default().extend(place);
        }
        for ((kind, what), places) in said {
            let what = join(&places, &what);
            match pack {
                Some(pack) => wrong(self.findings, kind, pack, what),
                None if name.id().is_some_and(|id| self.condemned.contains(&id)) => {
                    self.findings.note(kind, name, what)
                }
                None => self.findings.error(kind, name, what),
            }
        }
        outcome
    }

    /// A pack was wrong at first and right when it was read in another way.
    fn read_right(&self, name: &Name, again: u32) {
        if again == 0 {
            self.findings.transient(name);
        } else {
            let what = "the version of it that counts is damaged; another version in the bucket is right and is read";
            self.findings.note(Kind::Damaged, name, what);
        }
    }
}
