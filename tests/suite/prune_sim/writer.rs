//! A writer: sessions step by step, by the rules of spec 11.3, with crashes and lost answers between any two.

use super::world::{BLOBS, Broken, DAY, HOUR, PACKS, World};
use panther::prune::rest::{Look, is_good, is_long, is_stale, last_look, looks_back};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Start,
    Store,
    Name,
    Look,
    Manifest,
    LookBack,
}

pub struct Writer {
    id: u8,
    pub next: i64,
    step: Step,
    source: u16,
    began: i64,
    looked_at: i64,
    /// All packs that any gc object condemns that was seen in this session, and those that were missing.
    unusable: u128,
    /// Packs that index objects name that were listed; and those that this session has named itself.
    named: u128,
    own: u128,
    /// Packs that are stored and not named yet: the number and when that was confirmed.
    unnamed: Vec<(usize, i64)>,
    /// Whether the manifest is written already.
    is_written: bool,
}

impl Writer {
    pub fn new(id: u8, world: &mut World) -> Self {
        let next = world.now + world.chance.upto(DAY);
        let source = world.chance.next() as u16 & ((1 << BLOBS) - 1);
        Self {
            id,
            next,
            step: Step::Start,
            source,
            began: 0,
            looked_at: 0,
            unusable: 0,
            named: 0,
            own: 0,
            unnamed: Vec::new(),
            is_written: false,
        }
    }

    /// Does one step, and says when the next one comes.
    pub fn step(&mut self, world: &mut World) {
        if world.packs.len() + 4 >= PACKS {
            self.next = i64::MAX;
            return;
        }
        if self.step != Step::Start && world.chance.once_in(12) {
            return self.crash(world);
        }
        world
            .tell(|| format!("writer {} {:?} of {:012b}, waiting {:?}", self.id, self.step, self.source, self.unnamed));
        match self.step {
            Step::Start => self.start(world),
            Step::Store => self.store(world),
            Step::Name => self.name(world),
            Step::Look => self.look(world),
            Step::Manifest => self.manifest(world),
            Step::LookBack => self.look_back(world),
        }
        // As a rule minutes, at times hours; now and then the machine sleeps for days.
        let pause = match world.chance.upto(40) {
            0 => world.chance.upto(3 * DAY),
            1..=6 => world.chance.upto(6 * HOUR),
            _ => world.chance.upto(50 * 60),
        };
        self.next = self.next.max(world.now) + pause;
    }

    /// What was stored is remembered, as a rule.
    fn crash(&mut self, world: &mut World) {
        world.tell(|| format!("writer {} is killed at {:?}", self.id, self.step));
        if world.chance.once_in(3) {
            self.unnamed.clear();
        }
        self.rest(world);
    }

    fn rest(&mut self, world: &mut World) {
        self.step = Step::Start;
        self.next = world.now + HOUR + world.chance.upto(30 * HOUR);
    }

    fn start(&mut self, world: &mut World) {
        // A few blobs go, a few come: also such as were there long ago, and such as others have.
        let (going, coming) = (world.chance.next() as u16, world.chance.next() as u16);
        let rare = world.chance.next() as u16;
        self.source = (self.source & !(going & rare) | (coming & rare)) & ((1 << BLOBS) - 1);
        (self.began, self.is_written) = (world.now, false);
        self.unusable = world.list_condemned();
        self.named = world.list_indexes().into_iter().fold(0, |all, n| all | world.indexes[n].packs);
        self.own = 0;
        self.step = Step::Store;
    }

    /// The blobs that a new snapshot may rest on.
    fn good(&self, world: &World, packs: u128) -> u16 {
        let (isolated, id) = (world.isolated, self.id);
        let trusted = |pack: &super::world::Pack| !isolated || pack.by_admin || pack.writer == id;
        let all = world.blobs_of(packs & !self.unusable, |pack| is_good(trusted(pack), false));
        all | world.blobs_of(self.own & !self.unusable, |_| true)
    }

    fn store(&mut self, world: &mut World) {
        let waiting = self.unnamed.iter().fold(0, |all, (n, _)| all | 1u128 << n) & !self.unusable;
        let have = self.good(world, self.named) | world.blobs_of(waiting, |_| true);
        let missing = self.source & !have;
        if missing == 0 {
            self.step = Step::Name;
            return;
        }
        let part = match world.chance.once_in(2) {
            true => missing,
            false => missing & (world.chance.next() as u16 | missing & missing.wrapping_neg()),
        };
        // The request is lost; or the answer is, and the same bytes are written again.
        if world.chance.once_in(10) {
            return;
        }
        let pack = world.put_pack(part, self.id, false);
        if world.chance.once_in(12) {
            // Nobody remembers it: an orphan.
            return self.crash(world);
        }
        self.unnamed.push((pack, world.now));
    }

    fn name(&mut self, world: &mut World) {
        if self.unnamed.is_empty() {
            self.step = Step::Look;
            return;
        }
        if self.unnamed.iter().any(|(_, confirmed)| is_stale(world.now - confirmed)) {
            self.unusable |= world.list_condemned();
            let there = world.list_packs();
            self.unnamed.iter().filter(|(n, _)| there >> n & 1 == 0).for_each(|(n, _)| self.unusable |= 1 << n);
        }
        let packs = self.unnamed.drain(..).fold(0, |all, (n, _)| all | 1u128 << n) & !self.unusable;
        if packs != 0 {
            world.put_index(packs, self.id);
            if world.chance.once_in(12) {
                return self.crash(world);
            }
            self.own |= packs;
        }
        self.step = Step::Look;
    }

    fn look(&mut self, world: &mut World) {
        self.looked_at = world.now;
        if world.broken == Broken::LastLook {
            self.step = Step::Manifest;
            return;
        }
        let unusable = world.list_condemned();
        let mut went = false;
        if is_long(world.now - self.began) {
            let named = world.list_indexes().into_iter().fold(0, |all, n| all | world.indexes[n].packs);
            went = self.named & !named != 0;
            let there = world.list_packs();
            self.named = named;
            // What this session has named itself may have been condemned, swept and forgotten since.
            self.unusable |= (named | self.own) & !there;
        }
        let grew = unusable & !self.unusable != 0;
        self.unusable |= unusable;
        // What has changed does not matter if nothing rests on it.
        let stands = self.source & !self.good(world, self.named) == 0;
        self.step = match last_look(grew, went) {
            Look::Changed if !stands => Step::Store,
            _ if !stands => Step::Store,
            _ if self.is_written => Step::LookBack,
            _ => Step::Manifest,
        };
    }

    fn manifest(&mut self, world: &mut World) {
        if is_stale(world.now - self.looked_at) {
            self.step = Step::Look;
            return;
        }
        world.put_manifest(self.source, self.id);
        self.is_written = true;
        // Written twice: the second changes nothing.
        self.step = Step::LookBack;
        if world.chance.once_in(12) {
            self.crash(world);
        }
    }

    fn look_back(&mut self, world: &mut World) {
        if looks_back(world.now - self.looked_at) {
            let unusable = world.list_condemned();
            if unusable & !self.unusable != 0 {
                self.unusable |= unusable;
                self.looked_at = world.now;
                self.step = Step::Store;
                return;
            }
        }
        self.rest(world);
    }
}
