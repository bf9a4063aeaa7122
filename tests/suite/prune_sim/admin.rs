//! An admin who forgets and prunes: listings, the rules of `panther::prune`, and what they decide on, step by step, with crashes between any two.

use super::world::{BLOBS, Broken, Gc, HOUR, Life, PACKS, World};
use panther::format::header::BlobKind;
use panther::format::time::Time;
use panther::prune::sweep::{LISTING_SECS, is_removed};
use panther::prune::{BlobCopy, GcFacts, MarkRules, MaxUnused, PackFacts, Trust, choose, needed, plan};
use std::collections::HashMap;

#[derive(Clone, Debug)]
enum Op {
    /// An index object that names these packs, in a folder, and those that it replaces.
    Replace(u8, u128, Vec<usize>),
    RemoveIndex(usize),
    RemovePack(usize),
    /// What is needed of packs, stored anew in a folder; then an index object.
    Repack(u8, u16),
    Condemn(u128, u128),
    RemoveGc(usize),
    Emptied(Vec<usize>),
}

/// A copy of a blob.
#[derive(Clone, Copy)]
struct At {
    pack: u32,
    blob: u8,
}

impl BlobCopy for At {
    fn pack(&self) -> u32 {
        self.pack
    }
    fn len_bytes(&self) -> u32 {
        10
    }
}

pub struct Admin {
    pub next: i64,
    /// How far the clock is off.
    pub skew: i64,
    grace: i64,
    left: Vec<Op>,
    listed_at: i64,
    /// Since when the packs of a gc object are gone, by this admin's state.
    emptied: HashMap<usize, i64>,
    /// How often it has planned.
    pub runs: u64,
}

fn at(secs: i64) -> Time {
    Time { secs, nanos: 0 }
}

impl Admin {
    pub fn new(world: &mut World, skew: i64) -> Self {
        let grace = match world.broken {
            Broken::Grace => 0,
            _ => 24 * HOUR + world.chance.upto(24 * HOUR),
        };
        let next = world.now + world.chance.upto(24 * HOUR);
        Self { next, skew, grace, left: Vec::new(), listed_at: 0, emptied: HashMap::new(), runs: 0 }
    }

    fn clock(&self, world: &World) -> i64 {
        world.now + self.skew
    }

    pub fn step(&mut self, world: &mut World) {
        if self.left.is_empty() {
            self.forget(world);
            self.plan(world);
            self.left.reverse();
        }
        let Some(op) = self.left.pop() else {
            self.next = world.now + 2 * HOUR + world.chance.upto(22 * HOUR);
            return;
        };
        let crashes = world.chance.once_in(15);
        // Killed before, or after.
        if !(crashes && world.chance.once_in(2)) {
            self.carry_out(op, world);
        }
        if crashes {
            self.left.clear();
            if world.chance.once_in(4) {
                self.emptied.clear();
            }
        }
        let pause = if world.chance.once_in(20) { world.chance.upto(15 * HOUR) } else { world.chance.upto(30 * 60) };
        self.next = world.now + pause;
    }

    /// One whole run, without pause or crash.
    pub fn run(&mut self, world: &mut World) {
        self.left.clear();
        self.plan(world);
        self.left.reverse();
        while let Some(op) = self.left.pop() {
            self.carry_out(op, world);
        }
    }

    /// Of each writer all but the newest may go.
    fn forget(&mut self, world: &mut World) {
        for writer in 0..4 {
            let of: Vec<usize> = (0..world.manifests.len())
                .filter(|n| world.manifests[*n].writer == writer && world.manifests[*n].life.is_there())
                .collect();
            let keep = usize::from(!world.chance.once_in(6));
            for number in of.iter().take(of.len().saturating_sub(keep)) {
                let old = world.manifests[*number].life.added < world.now - 3 * HOUR;
                if old && !world.chance.once_in(3) {
                    world.manifests[*number].life.removed = world.now;
                }
            }
        }
    }

    /// Lists in the order of the protocol, and decides by the rules.
    fn plan(&mut self, world: &mut World) {
        self.runs += 1;
        self.listed_at = world.now;
        let clock = self.clock(world);
        let gc: Vec<usize> = world.list_gc().into_iter().filter(|n| world.gc[*n].life.is_there()).collect();
        let mut manifests: Vec<usize> = world.list_manifests();
        manifests.retain(|n| world.manifests[*n].life.is_there());
        let seen = manifests.iter().fold(0u128, |all, n| all | 1 << (n % 128));
        let indexes = world.list_indexes();
        if indexes.iter().any(|n| !world.indexes[*n].life.is_there()) {
            // One that was listed cannot be read: the run begins anew.
            return;
        }
        let there = world.list_packs();
        let facts_of = |gc: &Gc, tells: bool| GcFacts {
            created: at(gc.created),
            not_before: at(gc.not_before),
            uploaded: tells.then(|| at(gc.life.added)),
        };
        let named = indexes.iter().fold(0, |all, n| all | world.indexes[*n].packs);
        let condemned = gc.iter().fold(0, |all, n| all | world.gc[*n].packs);
        let is_due = |n: &&usize| facts_of(&world.gc[**n], world.tells).is_due(at(clock));
        let due = gc.iter().filter(is_due).fold(0, |all, n| all | world.gc[*n].packs);
        let mut facts: Vec<PackFacts> = (0u32..)
            .zip(&world.packs)
            .map(|(n, pack)| PackFacts {
                group: if world.isolated && !pack.by_admin { pack.writer + 1 } else { 0 },
                folder: u32::from(pack.writer),
                kind: BlobKind::Data,
                size_bytes: 10 * u64::from(pack.blobs.count_ones()),
                plain_bytes: 10 * u64::from(pack.blobs.count_ones()),
                listed: there >> n & 1 == 1,
                named: named >> n & 1 == 1,
                condemned: condemned >> n & 1 == 1,
                due: due >> n & 1 == 1,
                age_secs: Some(clock - pack.life.added),
                trust: if world.isolated && !pack.by_admin { Trust::Own } else { Trust::All },
            })
            .collect();
        let mut copies: [Vec<At>; BLOBS] = Default::default();
        let mut live = [0u64; BLOBS];
        let mut left = named;
        while left != 0 {
            let pack = left.trailing_zeros();
            left &= left - 1;
            let mut blobs = world.packs[pack as usize].blobs;
            while blobs != 0 {
                let blob = blobs.trailing_zeros() as u8;
                blobs &= blobs - 1;
                copies[usize::from(blob)].push(At { pack, blob });
            }
        }
        let mut reached_by = |number: usize| {
            let manifest = &world.manifests[number];
            let group = if world.isolated { manifest.writer + 1 } else { 0 };
            (0..BLOBS).filter(|b| manifest.blobs >> b & 1 == 1).for_each(|b| live[b] |= 1 << group);
        };
        manifests.iter().for_each(|n| reached_by(*n));
        let blobs = |live: [u64; BLOBS]| copies.iter().zip(live).filter(|(_, groups)| *groups != 0);
        if blobs(live).any(|(copies, _)| copies.is_empty()) {
            return;
        }
        let (mut kept, lost) = needed(blobs(live).map(|(copies, _)| &copies[..]), &facts);
        if lost > 0 {
            return;
        }
        world.rescues += kept.iter().filter(|needed| **needed).count() as u64;
        match world.broken {
            Broken::Rescue => kept.fill(false),
            Broken::Relist => {
                // Only what the mark has seen is kept.
                let known = gc.iter().filter(is_due).fold(0, |all, n| all | world.gc[*n].listed);
                let mut old = [0u64; BLOBS];
                for n in manifests.iter().filter(|n| known >> (**n % 128) & 1 == 1) {
                    let manifest = &world.manifests[*n];
                    (0..BLOBS).filter(|b| manifest.blobs >> b & 1 == 1).for_each(|b| old[b] |= 1);
                }
                kept = needed(blobs(old).map(|(copies, _)| &copies[..]), &facts).0;
            }
            _ => {}
        }
        let removed: Vec<bool> = facts.iter().zip(&kept).map(|(pack, needed)| is_removed(pack, *needed)).collect();
        self.sweep(world, &indexes, &removed, there);
        for (pack, _) in facts.iter_mut().zip(&removed).filter(|(_, goes)| **goes) {
            (pack.listed, pack.named) = (false, false);
        }
        let rules = MarkRules {
            grace_secs: self.grace,
            max_unused: MaxUnused::Share(0.2),
            max_repack_bytes: if world.chance.once_in(4) { 60 } else { u64::MAX },
            egress_left_bytes: None,
            repack_small: world.chance.once_in(3),
        };
        self.mark(world, &facts, (&copies, live), &rules, seen);
        self.tidy(world, &gc, clock, (there | named, &removed));
    }

    fn sweep(&mut self, world: &World, indexes: &[usize], removed: &[bool], there: u128) {
        let going = (0..).zip(removed).filter(|(_, goes)| **goes).fold(0u128, |all, (n, _)| all | 1 << n);
        for writer in 0..4 {
            let of = || indexes.iter().copied().filter(|n| world.indexes[*n].writer == writer);
            let hit: Vec<usize> = of().filter(|n| world.indexes[*n].packs & going != 0 || of().count() > 6).collect();
            if hit.is_empty() {
                continue;
            }
            let rest = hit.iter().fold(0, |all, n| all | world.indexes[*n].packs) & !going;
            self.left.push(Op::Replace(writer, rest, hit));
        }
        let packs = (0..removed.len()).filter(|n| removed[*n] && there >> n & 1 == 1);
        self.left.extend(packs.map(Op::RemovePack));
    }

    fn mark(
        &mut self,
        world: &World,
        facts: &[PackFacts],
        (copies, live): (&[Vec<At>; BLOBS], [u64; BLOBS]),
        rules: &MarkRules,
        seen: u128,
    ) {
        let mut kept_in = vec![0u16; facts.len()];
        let blobs = || copies.iter().zip(live).filter(|(_, groups)| *groups != 0).map(|(c, groups)| (&c[..], groups));
        let choice =
            choose(blobs, facts, |pack| rules.is_young(pack), |copy| kept_in[copy.pack as usize] |= 1 << copy.blob);
        let found = plan(facts, &choice, rules);
        if world.packs.len() + 8 >= PACKS {
            return;
        }
        for folder in 0..4u8 {
            let of = found.repack.iter().filter(|n| facts[**n as usize].folder == u32::from(folder));
            let blobs = of.fold(0, |all, n| all | kept_in[*n as usize]);
            if blobs != 0 {
                self.left.push(Op::Repack(folder, blobs));
            }
        }
        let all = found.unused.iter().chain(&found.repack).filter(|n| !facts[**n as usize].condemned);
        let packs = all.fold(0u128, |all, n| all | 1 << n);
        if packs != 0 {
            self.left.push(Op::Condemn(packs, seen));
        }
    }

    fn tidy(&mut self, world: &World, gc: &[usize], clock: i64, (there, removed): (u128, &[bool])) {
        let going = (0..).zip(removed).filter(|(_, goes)| **goes).fold(0u128, |all, (n, _)| all | 1 << n);
        let mut emptied = Vec::new();
        for number in gc {
            let object = world.gc[*number];
            let uploaded = world.tells.then(|| at(object.life.added));
            let facts = GcFacts { created: at(object.created), not_before: at(object.not_before), uploaded };
            if !facts.is_due(at(clock)) || object.packs & there & !going != 0 {
                continue;
            }
            let is_there = object.packs & there != 0;
            let since = self.emptied.get(number).copied();
            let at_once = world.broken == Broken::Listing;
            if (is_there && !at_once) || since.is_none() {
                emptied.push(*number);
            }
            if at_once || facts.may_go(is_there, since.map(at), at(clock)) {
                self.left.push(Op::RemoveGc(*number));
            }
        }
        if !emptied.is_empty() {
            self.left.push(Op::Emptied(emptied));
        }
    }

    /// A sweep whose listings are old begins anew.
    fn is_late(&mut self, world: &World) -> bool {
        let is_late = world.now - self.listed_at > LISTING_SECS && world.broken != Broken::Listing;
        if is_late {
            self.left.clear();
        }
        is_late
    }

    fn carry_out(&mut self, op: Op, world: &mut World) {
        world.tell(|| format!("admin {:+}: {op:x?}", self.skew));
        match op {
            Op::Replace(writer, packs, old) => {
                if self.is_late(world) {
                    return;
                }
                if packs != 0 {
                    world.put_index(packs, writer);
                }
                self.left.extend(old.into_iter().map(Op::RemoveIndex));
            }
            Op::RemoveIndex(number) => {
                if !self.is_late(world) {
                    world.remove_index(number);
                }
            }
            Op::RemovePack(number) => {
                if !self.is_late(world) {
                    world.remove_pack(number);
                }
            }
            Op::Repack(folder, blobs) => {
                // Every blob is read before it is stored anew.
                let is_readable = world.packs.iter().filter(|p| p.life.is_there()).fold(0, |all, p| all | p.blobs);
                if blobs & !is_readable != 0 {
                    self.left.clear();
                    return;
                }
                let pack = world.put_pack(blobs, folder, true);
                world.put_index(1 << pack, folder);
            }
            Op::Condemn(packs, listed) => {
                let created = self.clock(world);
                world.ever_condemned |= packs;
                let life = Life::from(world.now);
                world.gc.push(Gc { life, packs, created, not_before: created + self.grace, listed });
            }
            Op::RemoveGc(number) => world.gc[number].life.removed = world.gc[number].life.removed.min(world.now),
            Op::Emptied(which) => {
                let clock = self.clock(world);
                self.emptied.extend(which.into_iter().map(|number| (number, clock)));
            }
        }
    }
}
