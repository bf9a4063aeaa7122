//! Cut points of files, directories and content lists.

use crate::out::Out;
use crate::record::hex;
use crate::world::fixed;
use serde_json::{Value, json};

/// All of them.
pub fn all(out: &mut Out) {
    chunking(out);
    directories(out);
    lists(out);
}

/// `noise` of 14-vectors.md: BLAKE3's extended output of the text.
pub fn noise(seed: &str, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut out);
    out
}

/// Parameters in the order of spec 2.
type Params = [u64; 5];
const DEFAULT: Params = [16_384, 65_536, 262_144, 0x0000_d907_0753_7000, 0x0000_d903_1353_0000];
const TINY: Params = [64, 128, 512, 0x0000_0000_0350_0000, 0x0000_0000_0150_0000];

/// Spec 5.1, word for word.
fn cut(gear: &[u64], p: &Params, run: &[u8]) -> usize {
    let [min, avg, max] = [p[0], p[1], p[2]].map(|n| usize::try_from(n).unwrap());
    if run.len() <= min {
        return run.len();
    }
    let n = run.len().min(max);
    let c = avg.min(n);
    let mut hash = 0u64;
    for i in min..2 * (n / 2) {
        hash = hash.wrapping_mul(2).wrapping_add(gear[usize::from(run[i])]);
        let mask = if i < 2 * (c / 2) { p[3] } else { p[4] };
        if hash & mask == 0 {
            return i;
        }
    }
    n
}

fn chunking(out: &mut Out) {
    let key = blake3::derive_key("panther v1 chunker", &fixed("main secret"));
    let mut table = [0u8; 2_048];
    blake3::Hasher::new_keyed(&key).finalize_xof().fill(&mut table);
    let gear: Vec<u64> = table.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let mut add = |scenario: String, description: &str, params: &Params, parts: &[(Option<&str>, usize)]| {
        let mut data = Vec::new();
        let mut shown = Vec::new();
        for (seed, bytes) in parts {
            match seed {
                Some(seed) => {
                    data.extend(noise(seed, *bytes));
                    shown.push(json!({ "noise": seed, "bytes": bytes }));
                }
                None => {
                    data.resize(data.len() + bytes, 0);
                    shown.push(json!({ "zeros": bytes }));
                }
            }
        }
        let mut lengths = Vec::new();
        let mut rest = &data[..];
        while !rest.is_empty() {
            lengths.push(cut(&gear, params, rest));
            rest = &rest[lengths[lengths.len() - 1]..];
        }
        let input = json!({
            "chunker_key": hex(key),
            "params": { "min": params[0], "avg": params[1], "max": params[2], "mask_s": params[3], "mask_l": params[4] },
            "data": shown,
        });
        out.good("chunking", &scenario, description, input, json!({ "lengths": lengths }));
    };
    for bytes in [1, 16_383, 16_384, 16_385, 16_386, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145] {
        add(format!("default-{bytes}"), "default parameters, a length at a bound", &DEFAULT, &[(Some("a"), bytes)]);
        if bytes >= 16_385 {
            add(format!("default-zeros-{bytes}"), "zeros of a length at a bound", &DEFAULT, &[(None, bytes)]);
        }
    }
    add("default-1m".into(), "default parameters", &DEFAULT, &[(Some("a"), 1 << 20)]);
    add("default-4m-odd".into(), "default parameters, an odd length", &DEFAULT, &[(Some("b"), (4 << 20) + 1)]);
    add(
        "default-zeros-1m".into(),
        "zeros are cut at the largest length, unless the table cuts them before",
        &DEFAULT,
        &[(None, 1 << 20)],
    );
    let shifted = [(Some("shift"), 12_345), (Some("a"), 1 << 20)];
    add(
        "default-shifted".into(),
        "the input of default-1m behind other bytes: the cuts meet again",
        &DEFAULT,
        &shifted,
    );
    let mixed = [(Some("c"), 300_001), (None, 700_000), (Some("d"), 300_000)];
    add("default-mixed".into(), "zeros between noise", &DEFAULT, &mixed);
    for bytes in [63, 64, 65, 66, 127, 128, 129, 130, 511, 512, 513, 514] {
        add(format!("tiny-{bytes}"), "tiny parameters, a length at a bound", &TINY, &[(Some("t"), bytes)]);
    }
    add("tiny-8k".into(), "tiny parameters, so that every branch is met", &TINY, &[(Some("u"), 8_191)]);
    add("tiny-zeros".into(), "tiny parameters, zeros", &TINY, &[(None, 2_001)]);
    add(
        "equal-bounds".into(),
        "min, avg and max are equal: nothing is left to the table",
        &[64, 64, 64, 1, 1],
        &[(Some("v"), 300)],
    );
    add(
        "mask-0".into(),
        "masks of 0 cut everywhere, so right at the smallest length",
        &[64, 128, 512, 0, 0],
        &[(Some("w"), 300)],
    );
}

fn directories(out: &mut Out) {
    let key = fixed("directory cut key");
    let mut add = |scenario: &str, description: &str, prefix: &str, digits: usize, count: usize, bytes: usize| {
        let mut cuts = Vec::new();
        let mut size = 0;
        for number in 0..count {
            let name = format!("{prefix}{number:0digits$}");
            size += bytes;
            let hash = blake3::keyed_hash(&key, name.as_bytes());
            let word = u32::from_le_bytes(*hash.as_bytes().first_chunk().unwrap());
            if size >= 131_072 || (size >= 4_096 && word & 63 == 0) {
                cuts.push(number);
                size = 0;
            }
        }
        let input = json!({ "cut_key": hex(key), "names": { "prefix": prefix, "digits": digits, "count": count }, "entry_bytes": bytes });
        out.good("directory-cuts", scenario, description, input, json!({ "cut_after": cuts }));
    };
    add("small", "a directory too small to be cut", "f", 3, 40, 100);
    add("thousand", "a thousand entries of 200 bytes", "file-", 4, 1_000, 200);
    add("large-entries", "entries of 5,000 bytes: each may be cut after", "x", 4, 300, 5_000);
    add("huge-entries", "entries of 131,072 bytes: each is cut after", "h", 2, 5, 131_072);
    add("at-the-smallest", "entries of 4,096 bytes: the bound itself allows a cut", "m", 4, 400, 4_096);
    add("below-the-smallest", "entries of 4,095 bytes: the second allows it", "n", 4, 400, 4_095);
}

fn lists(out: &mut Out) {
    let mut add = |scenario: &str, description: &str, seed: Option<&str>, count: usize| {
        let bytes = seed.map_or_else(|| vec![0; count * 32], |seed| noise(seed, count * 32));
        let (mut cuts, mut since) = (Vec::new(), 0);
        for (number, id) in bytes.as_chunks::<32>().0.iter().enumerate() {
            since += 1;
            let word = u32::from_le_bytes(*id.first_chunk().unwrap());
            if since == 1_024 || (since >= 128 && word & 255 == 0) {
                cuts.push(number + 1);
                since = 0;
            }
        }
        let ids: Value = match seed {
            Some(seed) => json!([{ "noise": seed, "bytes": count * 32 }]),
            None => json!([{ "zeros": count * 32 }]),
        };
        out.good("list-cuts", scenario, description, json!({ "ids": ids }), json!({ "cut_after": cuts }));
    };
    add("short", "a list too short to be cut", Some("ids"), 100);
    add("5000", "a list of 5,000 records", Some("ids"), 5_000);
    add("20000", "a list of 20,000 records", Some("more ids"), 20_000);
    add("zeros", "ids that all allow a cut: it comes at the smallest number", None, 1_000);
}
