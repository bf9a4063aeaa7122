//! Compression of segments.

use crate::buffers::Buffers;
use crate::format::pack::{Codec, TAG_BYTES};
use std::cell::RefCell;

/// The zstd level where nothing else is asked for.
pub const DEFAULT_LEVEL: i32 = 3;
/// From this level on a segment is tried at [`DEFAULT_LEVEL`] first: what cannot be compressed takes these levels as long as what can.
const TRIED_FIRST: i32 = 13;

/// Compresses a segment, or leaves it as it is if that does not pay.
pub(super) fn compress(plain: Vec<u8>, level: i32, buffers: &Buffers) -> (Codec, Vec<u8>) {
    let levels = [DEFAULT_LEVEL, level];
    let mut best = None;
    for level in if level < TRIED_FIRST { &levels[1..] } else { &levels } {
        let out = at_level(&plain, *level, buffers);
        if let Some(before) = std::mem::replace(&mut best, out) {
            buffers.give(before);
        }
        // Less than 1/64 saved is not worth the time to decompress.
        if best.as_ref().is_none_or(|out: &Vec<u8>| out.len() >= plain.len() - plain.len() / 64) {
            if let Some(out) = best {
                buffers.give(out);
            }
            return (Codec::None, plain);
        }
    }
    match best {
        Some(out) => {
            buffers.give(plain);
            (Codec::Zstd, out)
        }
        None => (Codec::None, plain),
    }
}

/// Nothing if zstd will not.
fn at_level(plain: &[u8], level: i32, buffers: &Buffers) -> Option<Vec<u8>> {
    thread_local! {
        static CONTEXT: RefCell<Option<(i32, zstd::bulk::Compressor<'static>)>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        if context.is_none() {
            *context = zstd::bulk::Compressor::new(level).ok().map(|made| (level, made));
        }
        let (at, compressor) = context.as_mut()?;
        if *at != level {
            // The tables stay, which are large.
            compressor.set_compression_level(level).ok()?;
            *at = level;
        }
        let mut out = buffers.take();
        out.reserve(zstd::zstd_safe::compress_bound(plain.len()) + TAG_BYTES);
        compressor.compress_to_buffer(plain, &mut out).ok()?;
        Some(out)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_pay_is_left_as_it_is() {
        let buffers = Buffers::default();
        let text = b"the same words again and again, ".repeat(3_000);
        let mut noise = vec![0; 96_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        for level in [3, 12, TRIED_FIRST, 18] {
            let (codec, out) = compress(text.clone(), level, &buffers);
            assert!(codec == Codec::Zstd && out.len() < text.len() / 100, "level {level}: {}", out.len());
            assert_eq!(zstd::bulk::decompress(&out, text.len()).ok(), Some(text.clone()));
            let (codec, out) = compress(noise.clone(), level, &buffers);
            assert!(codec == Codec::None && out == noise, "level {level}");
        }
    }
}
