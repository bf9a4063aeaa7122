//! A store in which everything can be stale: objects, who sees them when, and what must never happen.

/// A small, fast generator (splitmix64).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to `most`, both included.
    pub fn upto(&mut self, most: i64) -> i64 {
        (self.next() % (most.unsigned_abs() + 1)).cast_signed()
    }

    /// True once in so many.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }
}

pub const HOUR: i64 = 3_600;
pub const DAY: i64 = 24 * HOUR;
/// Packs that a history can make: sets of them are bits.
pub const PACKS: usize = 128;
/// Blobs that there are.
pub const BLOBS: usize = 12;

/// When an object was there.
#[derive(Clone, Copy)]
pub struct Life {
    pub added: i64,
    pub removed: i64,
}

impl Life {
    pub fn from(added: i64) -> Self {
        Self { added, removed: i64::MAX }
    }

    pub fn is_there(&self) -> bool {
        self.removed == i64::MAX
    }
}

#[derive(Clone, Copy)]
pub struct Pack {
    pub life: Life,
    pub blobs: u16,
    pub writer: u8,
    /// Whether an admin wrote it.
    pub by_admin: bool,
}

#[derive(Clone, Copy)]
pub struct Index {
    pub life: Life,
    pub writer: u8,
    /// The packs that it names.
    pub packs: u128,
}

#[derive(Clone, Copy)]
pub struct Manifest {
    pub life: Life,
    pub writer: u8,
    pub blobs: u16,
}

#[derive(Clone, Copy)]
pub struct Gc {
    pub life: Life,
    pub packs: u128,
    /// By the clock of the admin who wrote it.
    pub created: i64,
    pub not_before: i64,
    /// The manifests that its writer had listed.
    pub listed: u128,
}

/// What is broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    Nothing,
    /// The time before a sweep is skipped.
    Grace,
    /// A sweep removes what is condemned, whoever needs it.
    Rescue,
    /// A sweep goes by the manifests that the mark has seen.
    Relist,
    /// Writers do not look again before they write a manifest.
    LastLook,
    /// A gc object is removed at once with its packs, and a sweep goes on by listings of any age.
    Listing,
}

/// Everything that is stored, and the time.
pub struct World {
    pub now: i64,
    pub chance: Chance,
    pub packs: Vec<Pack>,
    pub indexes: Vec<Index>,
    pub manifests: Vec<Manifest>,
    pub gc: Vec<Gc>,
    /// How stale a listing may be.
    pub lag: i64,
    /// Whether writers rely on nothing but their own packs and those of admins.
    pub isolated: bool,
    /// Whether the store tells when it received an object.
    pub tells: bool,
    pub broken: Broken,
    /// What went wrong.
    pub loss: Option<String>,
    /// Packs that were condemned at any time, and how often the sweep left one alone.
    pub ever_condemned: u128,
    pub rescues: u64,
    /// Whether everything is told.
    pub tells_all: bool,
}

impl World {
    pub fn new(seed: u64, broken: Broken) -> Self {
        let mut chance = Chance::new(seed);
        Self {
            now: 1_000_000_000,
            lag: chance.upto(50) * 60,
            isolated: chance.once_in(3),
            tells: chance.once_in(2),
            chance,
            packs: Vec::with_capacity(PACKS),
            indexes: Vec::with_capacity(PACKS),
            manifests: Vec::with_capacity(PACKS),
            gc: Vec::with_capacity(32),
            broken,
            loss: None,
            ever_condemned: 0,
            rescues: 0,
            tells_all: false,
        }
    }

    /// For whoever looks into one history.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.tells_all {
            let at = self.now - 1_000_000_000;
            println!("{:3}:{:02}:{:02} {}", at / HOUR, at % HOUR / 60, at % 60, what());
        }
    }

    /// Whether a listing shows an object: what has just come may be missing, what has just gone may still be there.
    pub fn shows(&mut self, life: Life) -> bool {
        let since = self.now - self.lag;
        if life.is_there() {
            return life.added <= since || self.chance.once_in(2);
        }
        life.removed > since && life.added <= since && self.chance.once_in(2)
    }

    pub fn list_gc(&mut self) -> Vec<usize> {
        let mut found = Vec::with_capacity(16);
        for number in 0..self.gc.len() {
            if self.shows(self.gc[number].life) {
                found.push(number);
            }
        }
        found
    }

    /// The packs that listed gc objects condemn; one that is gone by the time that it is read is no longer in force.
    pub fn list_condemned(&mut self) -> u128 {
        let listed = self.list_gc();
        listed.into_iter().filter(|n| self.gc[*n].life.is_there()).fold(0, |all, n| all | self.gc[n].packs)
    }

    pub fn list_indexes(&mut self) -> Vec<usize> {
        let mut found = Vec::with_capacity(16);
        for number in 0..self.indexes.len() {
            if self.shows(self.indexes[number].life) {
                found.push(number);
            }
        }
        found
    }

    pub fn list_packs(&mut self) -> u128 {
        let mut found = 0;
        for number in 0..self.packs.len() {
            found |= u128::from(self.shows(self.packs[number].life)) << number;
        }
        found
    }

    pub fn list_manifests(&mut self) -> Vec<usize> {
        let mut found = Vec::with_capacity(16);
        for number in 0..self.manifests.len() {
            if self.shows(self.manifests[number].life) {
                found.push(number);
            }
        }
        found
    }

    pub fn put_pack(&mut self, blobs: u16, writer: u8, by_admin: bool) -> usize {
        self.packs.push(Pack { life: Life::from(self.now), blobs, writer, by_admin });
        self.packs.len() - 1
    }

    pub fn put_index(&mut self, packs: u128, writer: u8) -> usize {
        self.indexes.push(Index { life: Life::from(self.now), writer, packs });
        self.indexes.len() - 1
    }

    pub fn put_manifest(&mut self, blobs: u16, writer: u8) {
        self.manifests.push(Manifest { life: Life::from(self.now), writer, blobs });
        self.look_for_loss("a manifest was written");
    }

    pub fn remove_pack(&mut self, number: usize) {
        self.packs[number].life.removed = self.packs[number].life.removed.min(self.now);
        self.look_for_loss("a pack was removed");
    }

    pub fn remove_index(&mut self, number: usize) {
        self.indexes[number].life.removed = self.indexes[number].life.removed.min(self.now);
        self.look_for_loss("an index object was removed");
    }

    /// All blobs that can be found and read.
    pub fn readable(&self) -> u16 {
        let named = self.indexes.iter().filter(|i| i.life.is_there()).fold(0, |all, index| all | index.packs);
        self.blobs_of(named, |pack| pack.life.is_there())
    }

    /// The blobs of those of these packs of which `which` says yes.
    pub fn blobs_of(&self, packs: u128, which: impl Fn(&Pack) -> bool) -> u16 {
        let (mut left, mut blobs) = (packs, 0);
        while left != 0 {
            let pack = &self.packs[left.trailing_zeros() as usize];
            left &= left - 1;
            if which(pack) {
                blobs |= pack.blobs;
            }
        }
        blobs
    }

    /// Nothing that a manifest needs may be gone.
    fn look_for_loss(&mut self, when: &str) {
        let readable = self.readable();
        for (number, manifest) in self.manifests.iter().enumerate().filter(|(_, m)| m.life.is_there()) {
            if manifest.blobs & !readable != 0 && self.loss.is_none() {
                let blobs = manifest.blobs & !readable;
                for (n, pack) in self.packs.iter().enumerate().filter(|(_, pack)| pack.blobs & blobs != 0) {
                    let hours = |at: i64| if at == i64::MAX { -1 } else { (at - 1_000_000_000) / HOUR };
                    let of = |life: &Life| format!("{} to {}", hours(life.added), hours(life.removed));
                    let named = self.indexes.iter().enumerate().filter(|(_, i)| i.packs >> n & 1 == 1);
                    let named: Vec<_> = named.map(|(i, index)| format!("{i:x}: {}", of(&index.life))).collect();
                    let gc = self.gc.iter().enumerate().filter(|(_, gc)| gc.packs >> n & 1 == 1);
                    let gc: Vec<_> = gc.map(|(i, gc)| format!("{i:x}: {}", of(&gc.life))).collect();
                    self.tell(|| format!("pack {n:x} from {}, named {named:?}, condemned {gc:?}", of(&pack.life)));
                }
                self.loss = Some(format!("manifest {number} has lost blobs {blobs:012b} when {when}"));
            }
        }
    }
}
