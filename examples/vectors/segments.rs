//! zstd frames in segments: what codec 1 allows (spec 6). The frames are fixed bytes, so that another release of zstd changes nothing.

use crate::out::Out;
use crate::pack::{Draft, Segment, input};

/// The text of `FRAME`.
const TEXT: &str = "panther panther burning bright in the forests of the night, what immortal hand or eye could frame thy fearful symmetry? ";
/// 300 bytes of the text repeated, as zstd compresses them.
const FRAME: &str = "28b52ffd602c00dd020072861212a0bb0144cafcdddcf59edffe5d6f87ffb0060f8f3b537aeca815c62c7fdacf845c4e5053e3f9f2ac4e16f5089b554ae78dea0eb6a8b366c9aa3cb5bfe7ade6b0b8d9b3dcc439b5175704001edb03c14f6390d9c8f7c601";

const RAW: u32 = 0;
const RLE: u32 = 1;

/// A frame of one block: `head` is what stands between the magic and the block.
fn frame(head: &[u8], kind: u32, size: usize, block: &[u8]) -> Vec<u8> {
    let header = 1 | kind << 1 | (size as u32) << 3;
    [&[0x28, 0xb5, 0x2f, 0xfd], head, &header.to_le_bytes()[..3], block].concat()
}

/// A frame of a single segment with one uncompressed block.
fn raw(text: &[u8]) -> Vec<u8> {
    frame(&[0x20, text.len() as u8], RAW, text.len(), text)
}

/// The blobs of a segment.
type Blobs<'a> = &'a [&'a [u8]];

/// All of them.
pub fn all(out: &mut Out) {
    let compressed = data_encoding::HEXLOWER.decode(FRAME.as_bytes()).unwrap();
    let text = TEXT.repeat(3).into_bytes()[..300].to_vec();
    // "checked" four times, with the checksum that the zstd program adds.
    let checked = b"checked checked checked checked".to_vec();
    let with_sum = data_encoding::HEXLOWER.decode(CHECKED.as_bytes()).unwrap();
    let hello = b"hello".to_vec();
    let window = |exponent: u8| frame(&[0, exponent << 3], RAW, 5, b"hello");
    let good: [(&str, &str, Blobs, Vec<u8>); 6] = [
        ("zstd", "two blobs compressed as one", &[&text[..100], &text[100..]], compressed.clone()),
        ("zstd-run", "a frame with a run of equal bytes", &[&[b'a'; 200]], frame(&[0x20, 200], RLE, 200, b"a")),
        ("zstd-raw", "a frame whose block is not compressed", &[&hello], raw(&hello)),
        ("zstd-checksum", "a frame with a checksum", &[&checked], with_sum.clone()),
        ("zstd-window-16m", "the largest window", &[&hello], window(14)),
        ("zstd-no-content-size", "a frame that does not say its length", &[&hello], window(0)),
    ];
    for (scenario, description, blobs, coded) in good {
        let built = Draft::data(vec![Segment::coded(blobs, 1, &coded)]).build(scenario);
        out.good("pack", scenario, description, input(&built.bytes), built.expect);
    }
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"any"].concat();
    let mut wrong_sum = with_sum.clone();
    *wrong_sum.last_mut().unwrap() ^= 1;
    let bad: [(&str, &str, &[u8], Vec<u8>); 13] = [
        ("zstd-no-frame", "bytes that are no frame", &hello, b"hello, hello".to_vec()),
        ("zstd-longer", "a frame longer than the table says", b"hell", raw(&hello)),
        ("zstd-shorter", "a frame shorter than the table says", b"hello!", raw(&hello)),
        ("zstd-huge", "a frame of 100,000 bytes where the table says 5", &hello, frame(&[0, 0x58], RLE, 100_000, b"a")),
        ("zstd-truncated", "a frame without its end", &text, compressed[..compressed.len() - 1].to_vec()),
        ("zstd-checksum-wrong", "a wrong checksum", &checked, wrong_sum),
        ("zstd-dictionary", "a frame that wants a dictionary", &hello, frame(&[0x21, 9, 5], RAW, 5, b"hello")),
        ("zstd-window-32m", "a window above 16 MiB", &hello, window(15)),
        ("zstd-byte-after", "a byte after the frame", &hello, [raw(&hello), vec![0]].concat()),
        ("zstd-two-frames", "two frames that add up", &hello, [raw(b"hel"), raw(b"lo")].concat()),
        ("zstd-empty-frame-after", "an empty frame after the frame", &hello, [raw(&hello), raw(b"")].concat()),
        (
            "zstd-skippable-before",
            "a skippable frame before the frame",
            &hello,
            [&skippable[..], &raw(&hello)].concat(),
        ),
        ("zstd-skippable-after", "a skippable frame after the frame", &hello, [&raw(&hello)[..], &skippable].concat()),
    ];
    for (scenario, description, blob, coded) in bad {
        let built = Draft::data(vec![Segment::coded(&[blob], 1, &coded)]).build(scenario);
        out.bad("pack", scenario, description, input(&built.bytes), "invalid");
    }
}

/// 31 bytes, with a checksum.
const CHECKED: &str = "28b52ffd046875000040636865636b6564200100ebcb05b09b59cc";
