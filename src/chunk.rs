//! Where content is cut (spec 5).

use crate::format::config::Params;
use crate::id::BlobId;
use fastcdc::v2020::cut_gear;

/// Cuts file data by FastCDC with the repository's secret table.
pub struct Chunker {
    gear: Box<[u64; 256]>,
    gear_ls: Box<[u64; 256]>,
    params: Params,
}

impl Chunker {
    /// A chunker with the table that `key` gives.
    pub fn new(key: &[u8; 32], params: &Params) -> Self {
        let mut gear = Box::new([0; 256]);
        let mut stream = blake3::Hasher::new_keyed(key).finalize_xof();
        for slot in gear.iter_mut() {
            let mut bytes = [0; 8];
            stream.fill(&mut bytes);
            *slot = u64::from_le_bytes(bytes);
        }
        let gear_ls = Box::new(gear.map(|g| g << 1));
        Self { gear, gear_ls, params: *params }
    }

    /// The length of the first blob of `run`, which must reach to the end of its data region or hold at least the largest blob.
    /// 0 only for an empty run.
    pub fn cut(&self, run: &[u8]) -> usize {
        let p = &self.params;
        let (_, len) = cut_gear(
            run,
            p.min_bytes as usize,
            p.avg_bytes as usize,
            p.max_bytes as usize,
            p.mask_s,
            p.mask_l,
            p.mask_s << 1,
            p.mask_l << 1,
            &self.gear[..],
            &self.gear_ls[..],
        );
        len
    }

    /// The largest blob.
    pub fn max_bytes(&self) -> usize {
        self.params.max_bytes as usize
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }
}

/// A blob of a directory stream is cut after the entry that makes it this long.
pub const DIRECTORY_MAX_BYTES: usize = 128 << 10;
/// A blob of a directory stream is not cut before it is this long.
pub const DIRECTORY_MIN_BYTES: usize = 4 << 10;

/// Whether a directory stream is cut after the entry called `name`, `size_bytes` being what has come since the last cut (spec 5.2).
pub fn directory_cut(key: &[u8; 32], name: &[u8], size_bytes: usize) -> bool {
    size_bytes >= DIRECTORY_MAX_BYTES
        || (size_bytes >= DIRECTORY_MIN_BYTES && blake3::keyed_hash(key, name).as_bytes()[0] & 63 == 0)
}

/// Whether a content list is cut after its record number `count` (from 1) since the last cut (spec 5.3).
pub fn list_cut(count: usize, id: &BlobId) -> bool {
    count == 1_024 || (count >= 128 && id.0[0] == 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Spec 5.1, word for word.
    fn reference(gear: &[u64; 256], p: &Params, b: &[u8]) -> usize {
        let len = b.len();
        let (min, avg, max) = (p.min_bytes as usize, p.avg_bytes as usize, p.max_bytes as usize);
        if len <= min {
            return len;
        }
        let n = len.min(max);
        let c = avg.min(n);
        let mut h = 0u64;
        for i in min..2 * (n / 2) {
            h = h.wrapping_mul(2).wrapping_add(gear[usize::from(b[i])]);
            let mask = if i < 2 * (c / 2) { p.mask_s } else { p.mask_l };
            if h & mask == 0 {
                return i;
            }
        }
        n
    }

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        blake3::Hasher::new_keyed(&key).finalize_xof().fill(&mut out);
        out
    }

    proptest! {
        #[test]
        fn cuts_are_those_of_the_specification(seed: u64, len in 0usize..6000) {
            // Small sizes so that every branch is met often.
            let p = Params { min_bytes: 64, avg_bytes: 256, max_bytes: 1024, mask_s: 0x0590_0035_3000, mask_l: 0x0190_0035_3000, inline_max_bytes: 0 };
            let chunker = Chunker::new(&[7; 32], &p);
            let data = noise(seed, len);
            let mut rest = &data[..];
            while !rest.is_empty() {
                let cut = chunker.cut(rest);
                prop_assert_eq!(cut, reference(&chunker.gear, &p, rest));
                prop_assert!(cut > 0);
                rest = &rest[cut..];
            }
        }
    }

    #[test]
    fn the_defaults_give_about_the_normal_size() {
        let chunker = Chunker::new(&[1; 32], &Params::default());
        let data = noise(1, 16 << 20);
        let (mut rest, mut count) = (&data[..], 0);
        while !rest.is_empty() {
            let cut = chunker.cut(rest);
            assert_eq!(cut, reference(&chunker.gear, &Params::default(), rest));
            rest = &rest[cut..];
            count += 1;
        }
        assert!((150..=350).contains(&count), "{count} blobs of 16 MiB");
    }
}
