//! What is picked: files by size and age, packs evenly.

use crate::seal::system_random;
use rand_core::Rng;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Random numbers that nobody can foresee: who keeps the packs must not know which will be read.
pub(super) struct Dice(blake3::OutputReader);

impl Dice {
    pub fn new() -> Self {
        let mut seed = [0; 32];
        system_random().fill_bytes(&mut seed);
        Self(blake3::Hasher::new_keyed(&seed).finalize_xof())
    }

    pub fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Evenly from 0 to 1, without 0.
    #[allow(clippy::cast_precision_loss)]
    pub fn share(&mut self) -> f64 {
        ((self.number() >> 11) as f64 + 1.0) / (1u64 << 53) as f64
    }

    /// The first so many of `all`, in an order that is random.
    pub fn pick<T>(&mut self, mut all: Vec<T>, most: usize) -> Vec<T> {
        let most = most.min(all.len());
        for at in 0..most {
            let rest = (all.len() - at) as u64;
            let other = at + usize::try_from(self.number() % rest).unwrap_or(0);
            all.swap(at, other);
        }
        all.truncate(most);
        all
    }
}

/// A file that may be picked.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Candidate {
    pub path: Vec<u8>,
    pub size_bytes: u64,
    pub mtime_secs: i64,
}

struct Keyed(f64, Candidate);

impl PartialEq for Keyed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Keyed {}
impl PartialOrd for Keyed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Keyed {
    /// The least key is on top of the heap.
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.total_cmp(&self.0)
    }
}

/// A sample of files drawn while they go by, each with its weight (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
pub(super) struct Sample {
    heap: BinaryHeap<Keyed>,
    most_files: usize,
    now_secs: i64,
}

impl Sample {
    pub fn new(most_files: usize, now_secs: i64) -> Self {
        Self { heap: BinaryHeap::new(), most_files, now_secs }
    }

    /// Larger files lie in more packs, and old ones in packs that nobody has read for long: both count more, neither so much that nothing else is drawn.
    #[allow(clippy::cast_precision_loss)]
    fn weight(&self, candidate: &Candidate) -> f64 {
        let size = (candidate.size_bytes as f64 / 65_536.0 + 1.0).sqrt();
        let age_days = ((self.now_secs - candidate.mtime_secs).max(0) as f64 / 86_400.0).min(730.0);
        size.min(1_000.0) * (1.0 + age_days / 90.0)
    }

    pub fn offer(&mut self, candidate: Candidate, dice: &mut Dice) {
        let key = dice.share().ln() / self.weight(&candidate);
        self.heap.push(Keyed(key, candidate));
        if self.heap.len() > self.most_files {
            self.heap.pop();
        }
    }

    /// Those that were drawn, as far as they fit into `most_bytes`, by path.
    pub fn take(self, most_bytes: u64) -> Vec<Candidate> {
        let mut drawn: Vec<Keyed> = self.heap.into_vec();
        drawn.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut left_bytes = most_bytes;
        let mut taken: Vec<Candidate> = drawn
            .into_iter()
            .map(|keyed| keyed.1)
            .filter(|candidate| {
                let fits = candidate.size_bytes <= left_bytes;
                left_bytes -= if fits { candidate.size_bytes } else { 0 };
                fits
            })
            .collect();
        taken.sort_by(|a, b| a.path.cmp(&b.path));
        taken
    }
}

/// A path as a pattern that matches only it; nothing for what is no text.
pub(super) fn pattern_of(path: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(path).ok().filter(|text| !text.contains('\n') && !text.ends_with(' '))?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "*?[]{}\\!#".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heavier_ones_are_drawn_more_often_and_all_sometimes() {
        let mut dice = Dice::new();
        let mut drawn = [0u32; 3];
        for _ in 0..3_000 {
            let mut sample = Sample::new(1, 1_000 * 86_400);
            for (at, (size_bytes, mtime_days)) in
                [(100u64, 1_000), (100, 500), (100_000_000, 500)].into_iter().enumerate()
            {
                sample
                    .offer(Candidate { path: vec![at as u8], size_bytes, mtime_secs: mtime_days * 86_400 }, &mut dice);
            }
            drawn[usize::from(sample.take(u64::MAX)[0].path[0])] += 1;
        }
        assert!(drawn[0] > 5 && drawn[0] < drawn[1] && drawn[1] < drawn[2], "{drawn:?}");
    }

    #[test]
    fn samples_keep_to_their_limits() {
        let mut dice = Dice::new();
        let mut sample = Sample::new(50, 0);
        for n in 0..500u64 {
            sample.offer(Candidate { path: n.to_be_bytes().to_vec(), size_bytes: n, mtime_secs: 0 }, &mut dice);
        }
        let taken = sample.take(2_000);
        assert!(taken.len() <= 50 && taken.iter().map(|c| c.size_bytes).sum::<u64>() <= 2_000 && !taken.is_empty());
        let picked = dice.pick((0..100).collect::<Vec<u32>>(), 30);
        assert_eq!(picked.iter().collect::<std::collections::BTreeSet<_>>().len(), 30);
        assert_eq!(dice.pick(vec![1, 2], 5).len(), 2);
    }

    #[test]
    fn patterns_match_only_their_path() {
        assert_eq!(pattern_of(b"/a/b*[c]!").as_deref(), Some("/a/b\\*\\[c\\]\\!"));
        assert_eq!((pattern_of(b"/a\xff"), pattern_of(b"/a\nb")), (None, None));
    }
}
