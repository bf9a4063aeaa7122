//! Packs, whole.

use crate::out::Out;
use crate::record::{R, V, b, hex};
use crate::world::{World, fixed, flipped, random};
use panther::format::header::{Header, Kind};
use panther::seal::PackSeal;
use serde_json::{Value, json};

/// Bytes before the first segment.
const PREAMBLE_BYTES: usize = 128;

/// A segment before it is sealed.
pub struct Segment {
    /// Its blobs.
    pub blobs: Vec<Vec<u8>>,
    /// The codec's number.
    pub codec: u64,
    /// What is sealed.
    pub coded: Vec<u8>,
}

impl Segment {
    /// A segment that is not compressed.
    pub fn plain(blobs: &[&[u8]]) -> Self {
        Self::coded(blobs, 0, &blobs.concat())
    }

    /// A segment that holds these bytes for its blobs.
    pub fn coded(blobs: &[&[u8]], codec: u64, coded: &[u8]) -> Self {
        Self { blobs: blobs.iter().map(|blob| blob.to_vec()).collect(), codec, coded: coded.to_vec() }
    }
}

/// A pack under construction.
pub struct Draft {
    /// The repository.
    pub world: World,
    /// Data or tree.
    pub kind: Kind,
    /// The epoch's number.
    pub epoch: u32,
    /// The segments.
    pub segments: Vec<Segment>,
}

/// A finished pack.
pub struct Built {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it should be read as.
    pub expect: Value,
    /// Bytes of the sealed table.
    pub toc_bytes: usize,
}

/// The five elements of a segment in the table of contents.
pub type Row = [V; 5];

impl Draft {
    /// A pack of data blobs under epoch 1.
    pub fn data(segments: Vec<Segment>) -> Self {
        Self { world: World::main(), kind: Kind::DataPack, epoch: 1, segments }
    }

    fn id(&self, blob: &[u8]) -> [u8; 32] {
        let context = if self.kind == Kind::DataPack { "panther v1 data blob id" } else { "panther v1 tree blob id" };
        *blake3::keyed_hash(&blake3::derive_key(context, &self.world.secret), blob).as_bytes()
    }

    fn row(&self, segment: &Segment, stored: usize) -> Row {
        let ids: Vec<[u8; 32]> = segment.blobs.iter().map(|blob| self.id(blob)).collect();
        let lengths: Vec<u8> = segment.blobs.iter().flat_map(|blob| (blob.len() as u32).to_le_bytes()).collect();
        let plain = segment.blobs.iter().map(Vec::len).sum::<usize>();
        [V::U(stored as u64), V::U(plain as u64), V::U(segment.codec), b(ids.concat()), b(lengths)]
    }

    /// The pack, its randomness drawn for `label`; `change` may spoil the rows of the table.
    pub fn build_with(&self, label: &str, change: impl FnOnce(&mut Vec<Row>)) -> Built {
        let header = Header { kind: self.kind, epoch: self.epoch, repo: self.world.repo };
        let epoch = self.world.epochs.iter().find(|e| e.number == self.epoch).unwrap();
        let seal = PackSeal::create(&header, epoch, &mut random(&format!("pack {label}"))).unwrap();
        let mut bytes = seal.preamble().to_vec();
        let (mut rows, mut shown) = (Vec::new(), Vec::new());
        for (ordinal, segment) in (0..).zip(&self.segments) {
            let mut sealed = segment.coded.clone();
            seal.seal_segment(ordinal, &mut sealed);
            let readable = segment.codec <= 1;
            shown.push(json!({
                "stored": sealed.len(), "plain": segment.blobs.iter().map(Vec::len).sum::<usize>(), "codec": segment.codec,
                "ids": segment.blobs.iter().map(|blob| hex(self.id(blob))).collect::<Vec<_>>(),
                "lengths": segment.blobs.iter().map(Vec::len).collect::<Vec<_>>(),
                "blobs": if readable { segment.blobs.iter().map(hex).collect() } else { Value::Null },
            }));
            rows.push(self.row(segment, sealed.len()));
            bytes.extend(sealed);
        }
        change(&mut rows);
        let count = rows.len() as u32;
        let rows = rows.into_iter().map(|row| V::A(row.to_vec())).collect();
        let mut toc = R::default().with(0, "", V::A(rows)).cbor();
        seal.seal_toc(&mut toc);
        let toc_bytes = toc.len();
        bytes.extend(toc);
        bytes.extend((toc_bytes as u32).to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(b"PANTHEND");
        Built { bytes, expect: json!({ "kind": self.kind as u8, "epoch": self.epoch, "segments": shown }), toc_bytes }
    }

    /// The pack as it should be.
    pub fn build(&self, label: &str) -> Built {
        self.build_with(label, |_| ())
    }
}

/// What a vector of a pack needs.
pub fn input(pack: &[u8]) -> Value {
    let world = World::main();
    let mut input = world.input();
    input["pack"] = json!(hex(pack));
    input["data_id_key"] = json!(hex(blake3::derive_key("panther v1 data blob id", &world.secret)));
    input["tree_id_key"] = json!(hex(blake3::derive_key("panther v1 tree blob id", &world.secret)));
    input
}

fn three() -> Draft {
    Draft::data(vec![
        Segment::plain(&[b"first blob", b"second"]),
        Segment::plain(&[b"sixteen bytes ab"]),
        Segment::plain(&[b"another blob"]),
    ])
}

/// All of them.
pub fn all(out: &mut Out) {
    good(out);
    frame(out);
    table(out);
}

fn good(out: &mut Out) {
    let mut add = |scenario: &str, description: &str, draft: &Draft| {
        let built = draft.build(scenario);
        out.good("pack", scenario, description, input(&built.bytes), built.expect);
    };
    add(
        "data",
        "one segment of two data blobs, not compressed",
        &Draft::data(vec![Segment::plain(&[b"first blob", b"second"])]),
    );
    add("blob-1-byte", "the smallest pack: one blob of one byte", &Draft::data(vec![Segment::plain(&[b"x"])]));
    let stream = crate::entry::plain(3, b"pipe").cbor();
    let tree = Draft { kind: Kind::TreePack, ..Draft::data(vec![Segment::plain(&[&stream])]) };
    add("tree", "a pack of a tree blob", &tree);
    add("epoch-2", "sealed under epoch 2", &Draft { epoch: 2, ..three() });
    add("segments", "three segments", &three());
    add("blob-twice", "a blob twice, which is allowed", &Draft::data(vec![Segment::plain(&[b"same", b"same"])]));
    let unknown = Draft::data(vec![Segment::plain(&[b"readable"]), Segment::coded(&[b"from the future"], 7, b"???")]);
    add("codec-unknown", "a segment with an unknown codec: it cannot be read, the rest can", &unknown);
}

/// What is spoilt outside the table of contents.
fn frame(out: &mut Out) {
    let built = three().build("segments");
    let good = built.bytes;
    let end = good.len();
    let sealed = PREAMBLE_BYTES..PREAMBLE_BYTES + 3 * 16 + 16 + 16 + 12;
    for (scenario, description, at, error) in [
        ("flipped-magic", "in the magic", 0, "invalid"),
        ("flipped-epoch", "in the epoch, to one that no key file has", 13, "seal"),
        ("flipped-enc", "in the encapsulated key", 50, "seal"),
        ("flipped-enc-top", "in the byte of the encapsulated key whose top bit X25519 ignores", 79, "seal"),
        ("flipped-wrapped", "in the wrapped pack key", 100, "seal"),
        ("flipped-segment", "in a segment", sealed.start, "seal"),
        ("flipped-segment-tag", "in the tag of the last segment", sealed.end - 1, "seal"),
        ("flipped-table", "in the table of contents", sealed.end, "seal"),
        ("flipped-count", "in the trailer's number of segments", end - 12, "invalid"),
        ("flipped-end", "in the magic at the end", end - 1, "truncated"),
    ] {
        out.bad("pack", scenario, &format!("one bit changed {description}"), input(&flipped(&good, at)), error);
    }
    let mut top = good.clone();
    top[79] ^= 0x80;
    out.bad(
        "pack",
        "enc-top-bit",
        "the bit of the encapsulated key that X25519 ignores is changed",
        input(&top),
        "seal",
    );
    let (first, second) = (sealed.start..sealed.start + 32, sealed.start + 32..sealed.start + 64);
    let mut swapped = good.clone();
    swapped[first.clone()].copy_from_slice(&good[second.clone()]);
    swapped[second].copy_from_slice(&good[first]);
    out.bad("pack", "segments-swapped", "two segments of equal length have changed places", input(&swapped), "seal");
    let preamble = |other: &Built| [&other.bytes[..PREAMBLE_BYTES], &good[PREAMBLE_BYTES..]].concat();
    let mixed = preamble(&three().build("preamble of another"));
    out.bad(
        "pack",
        "preamble-of-another-pack",
        "the preamble of another pack of the same repository",
        input(&mixed),
        "seal",
    );
    let foreign = Draft { world: World::other(), ..three() }.build("segments");
    out.bad(
        "pack",
        "preamble-of-another-repository",
        "the preamble of another repository's pack",
        input(&preamble(&foreign)),
        "invalid",
    );
    let mut relabelled = foreign.bytes;
    relabelled[16..48].copy_from_slice(&World::main().repo.0);
    out.bad(
        "pack",
        "pack-of-another-repository",
        "a pack of another repository with this one's id put into its header",
        input(&relabelled),
        "seal",
    );
    let mut kind = good.clone();
    kind[8] = 2;
    out.bad("pack", "kind-changed", "a data pack that is made a tree pack", input(&kind), "seal");
    kind[8] = 4;
    out.bad("pack", "kind-snapshot", "the kind of a manifest", input(&kind), "invalid");
    let mut epoch = good.clone();
    epoch[12] = 2;
    out.bad("pack", "epoch-changed", "another epoch of the key file", input(&epoch), "seal");
    out.bad("pack", "truncated", "the last byte is missing", input(&good[..end - 1]), "truncated");
    out.bad("pack", "truncated-header", "it ends within the header", input(&good[..40]), "truncated");
    out.bad("pack", "truncated-preamble", "it ends within the preamble", input(&good[..100]), "truncated");
    let without = [&good[..sealed.end - 28], &good[sealed.end..]].concat();
    out.bad("pack", "segment-missing", "the last segment is cut out", input(&without), "invalid");
    let more = [&good[..sealed.end], &[0; 5], &good[sealed.end..]].concat();
    out.bad("pack", "gap", "bytes between the last segment and the table", input(&more), "invalid");
    let table = |toc_bytes: u32| {
        let mut pack = good.clone();
        pack[end - 16..end - 12].copy_from_slice(&toc_bytes.to_le_bytes());
        pack
    };
    out.bad("pack", "table-length", "a table shorter than it is", input(&table(built.toc_bytes as u32 - 1)), "seal");
    out.bad("pack", "table-beyond-pack", "a table longer than the pack", input(&table(end as u32)), "truncated");
    out.bad("pack", "table-large", "a table above 32 MiB", input(&table((32 << 20) + 1)), "limit");
}

/// What is spoilt in the table of contents.
fn table(out: &mut Out) {
    let mut add = |scenario: &str, description: &str, error: &str, change: &dyn Fn(&mut Vec<Row>)| {
        let built = three().build_with(scenario, change);
        out.bad("pack", scenario, description, input(&built.bytes), error);
    };
    let zero = [0u8; 32];
    let two = |first: u32, second: u32| b([first.to_le_bytes(), second.to_le_bytes()].concat());
    add("toc-no-segments", "no segments", "invalid", &|rows| rows.clear());
    add("toc-segment-missing", "a segment is not in the table", "invalid", &|rows| drop(rows.pop()));
    add("toc-stored", "a stored length that does not fit codec 0", "invalid", &|rows| rows[0][0] = V::U(33));
    add("toc-stored-16", "a stored length of a tag alone", "invalid", &|rows| {
        rows[0] = [V::U(16), V::U(1), V::U(1), b([1; 32]), b([1, 0, 0, 0])]
    });
    add("toc-stored-large", "a stored length above the limit", "limit", &|rows| {
        rows[0][0] = V::U((16 << 20) + (64 << 10) + 1)
    });
    add("toc-plain", "lengths that do not add up", "invalid", &|rows| rows[0][4] = two(10, 5));
    add("toc-plain-large", "a segment above 16 MiB", "limit", &|rows| rows[0][1] = V::U((16 << 20) + 1));
    add("toc-length-0", "a blob of no bytes", "invalid", &|rows| rows[0][4] = two(16, 0));
    add("toc-lengths-odd", "lengths that are not a multiple of four bytes", "invalid", &|rows| {
        rows[0][4] = b([10, 0, 0, 0, 6, 0, 0])
    });
    add("toc-lengths-fewer", "fewer lengths than ids", "invalid", &|rows| rows[0][4] = b([16, 0, 0, 0]));
    add("toc-no-blobs", "a segment without blobs", "invalid", &|rows| (rows[0][3], rows[0][4]) = (b([]), b([])));
    add("toc-ids-odd", "ids that are not a multiple of 32 bytes", "invalid", &|rows| rows[0][3] = b([1; 63]));
    add("toc-hole", "the id of a hole", "invalid", &|rows| rows[1][3] = b(zero));
    add("toc-other-id", "an id that is not that of the blob", "hash", &|rows| rows[1][3] = b(fixed("other blob")));
    add("toc-other-lengths", "lengths that add up but cut in the wrong place", "hash", &|rows| rows[0][4] = two(9, 7));
    add("toc-codec-1", "a segment that is said to be compressed and is not", "invalid", &|rows| rows[0][2] = V::U(1));
    let tree = Draft { kind: Kind::TreePack, ..three() };
    let ids: Vec<V> = three().segments.iter().map(|s| three().row(s, 0)[3].clone()).collect();
    let mixed = tree.build_with("toc-data-ids", |rows| rows.iter_mut().zip(ids).for_each(|(row, ids)| row[3] = ids));
    out.bad(
        "pack",
        "toc-data-ids",
        "a tree pack with the ids that its blobs have as data",
        input(&mixed.bytes),
        "hash",
    );
}
