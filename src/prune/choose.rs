//! Of several copies of a blob, which ones stay.
//!
//! A writer relies only on its own packs and on those of admins (spec 12.6). So a copy in the folder of one writer is no reason to remove that of
//! another: that one would store the blob anew the next night, for ever. What everybody relies on is enough for all.

use super::{BlobCopy, PackFacts, Trust};

/// What stays, pack by pack.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Choice {
    /// Blobs of each pack that stay.
    pub live_blobs: Vec<u64>,
    /// Their plaintext.
    pub live_bytes: Vec<u64>,
    /// Packs that are condemned and hold the only copies of live blobs.
    pub stranded: Vec<bool>,
    /// Blobs of which there is no copy.
    pub lost_blobs: u64,
}

/// Of packs that cannot be removed yet the copies stay in any case; then of those from which most stays; then of the least number.
type Rank = (bool, u64, std::cmp::Reverse<u32>);

/// Chooses for every live blob. `live` gives the copies of each, and the groups whose snapshots reach it, as bits; it is gone through twice.
/// `keep` is told of every copy that stays. `is_young` says which packs cannot be removed yet.
pub fn choose<'c, C, I>(
    live: impl Fn() -> I,
    packs: &[PackFacts],
    is_young: impl Fn(&PackFacts) -> bool,
    mut keep: impl FnMut(&'c C),
) -> Choice
where
    C: BlobCopy + 'c,
    I: Iterator<Item = (&'c [C], u64)>,
{
    let mut fixed_bytes = vec![0u64; packs.len()];
    let of = |copy: &C| packs.get(copy.pack() as usize).copied();
    let is_good = |copy: &&C| of(copy).is_some_and(|pack| pack.is_good());
    for (copies, _) in live() {
        let mut good = copies.iter().filter(is_good);
        if let (Some(only), None) = (good.next(), good.next()) {
            fixed_bytes[only.pack() as usize] += u64::from(only.len_bytes());
        }
    }
    let rank = |copy: &&C| -> Rank {
        let number = copy.pack();
        let young = of(copy).is_some_and(|pack| is_young(&pack));
        (young, fixed_bytes[number as usize], std::cmp::Reverse(number))
    };
    let mut choice = Choice {
        live_blobs: vec![0; packs.len()],
        live_bytes: vec![0; packs.len()],
        stranded: vec![false; packs.len()],
        lost_blobs: 0,
    };
    let mut stays = |copy: &'c C, choice: &mut Choice| {
        choice.live_blobs[copy.pack() as usize] += 1;
        choice.live_bytes[copy.pack() as usize] += u64::from(copy.len_bytes());
        keep(copy);
    };
    for (copies, groups) in live() {
        let trusted =
            |trust: Trust| copies.iter().filter(is_good).filter(move |c| of(c).is_some_and(|p| p.trust == trust));
        if let Some(best) = trusted(Trust::All).max_by_key(rank) {
            stays(best, &mut choice);
            continue;
        }
        let mut has_any = false;
        // Group 0 has nothing of its own: it is served by whatever stays.
        for group in (1..64).filter(|group| groups >> group & 1 == 1) {
            let own = trusted(Trust::Own).filter(|c| of(c).is_some_and(|p| p.group == group)).max_by_key(rank);
            if let Some(best) = own {
                stays(best, &mut choice);
                has_any = true;
            }
        }
        if has_any {
            continue;
        }
        if let Some(best) = copies.iter().filter(is_good).max_by_key(rank) {
            stays(best, &mut choice);
            continue;
        }
        let left = copies.iter().filter(|c| of(c).is_some_and(|p| p.listed && p.named));
        match left.min_by_key(|copy| copy.pack()) {
            Some(copy) => {
                choice.stranded[copy.pack() as usize] = true;
                stays(copy, &mut choice);
            }
            None => choice.lost_blobs += 1,
        }
    }
    choice
}
