//! Nodes of content lists, and directory streams.

use crate::entry::plain;
use crate::out::Out;
use crate::record::{R, V, b, hex, records_bytes};
use crate::world::fixed;
use serde_json::{Value, json};

/// All of them.
pub fn all(out: &mut Out) {
    nodes(out);
    streams(out);
}

fn nodes(out: &mut Out) {
    let id = |n: usize| fixed(&format!("node {n}"));
    let input = |bytes: &[u8], depth: u64, of: &str| json!({ "node": hex(bytes), "depth": depth, "of": of });
    let hole = ([0; 32], 7);
    let good = [
        ("file", "a node of a file, with a hole", 0, "file", vec![(id(0), 9), hole, (id(1), 16 << 20)]),
        ("file-depth-7", "a node far above the blobs", 7, "file", vec![(id(0), 1 << 50), (id(1), 1)]),
        ("directory", "a node of a directory", 0, "directory", vec![(id(0), 9)]),
        ("most", "as many records as a node may have", 0, "file", (0..1_024).map(|_| (id(0), 1)).collect()),
    ];
    for (scenario, description, depth, of, records) in good {
        let bytes = records_bytes(&records);
        let total: u64 = records.iter().map(|r| r.1).sum();
        let shown: Value = if records.len() > 8 {
            json!(records.len())
        } else {
            records.iter().map(|(id, length)| json!({ "id": hex(id), "length": length })).collect()
        };
        out.good(
            "content",
            scenario,
            description,
            input(&bytes, depth, of),
            json!({ "records": shown, "total": total }),
        );
    }
    let records = |list: &[([u8; 32], u64)]| records_bytes(list);
    let bad = [
        ("empty", "no bytes", vec![], 0, "file", "truncated"),
        ("short", "39 bytes", records(&[(id(0), 1)])[..39].to_vec(), 0, "file", "truncated"),
        ("odd", "41 bytes", [records(&[(id(0), 1)]), vec![0]].concat(), 0, "file", "invalid"),
        ("1025-records", "too many records", records(&vec![(id(0), 1); 1_025]), 0, "file", "limit"),
        ("length-0", "a record of length 0", records(&[(id(0), 0)]), 0, "file", "invalid"),
        ("large-blob", "a blob above 16 MiB", records(&[(id(0), (16 << 20) + 1)]), 0, "file", "limit"),
        ("overflow", "lengths whose sum overflows", records(&[(id(0), u64::MAX), (id(0), 1)]), 1, "file", "invalid"),
        ("holes-adjacent", "two holes in a row", records(&[hole, hole]), 0, "file", "invalid"),
        ("hole-at-depth-1", "a zero id above depth 0", records(&[hole]), 1, "file", "invalid"),
        ("hole-in-directory", "a hole in a directory", records(&[hole]), 0, "directory", "invalid"),
    ];
    for (scenario, description, bytes, depth, of, error) in bad {
        out.bad("content", scenario, description, input(&bytes, depth, of), error);
    }
}

/// The names in each blob of a stream.
type Names<'a> = &'a [&'a [&'a [u8]]];

fn streams(out: &mut Out) {
    let blob = |names: &[&[u8]]| names.iter().flat_map(|name| plain(3, name).cbor()).collect::<Vec<u8>>();
    let input = |blobs: &[Vec<u8>]| json!({ "blobs": blobs.iter().map(hex).collect::<Vec<_>>() });
    let good: [(&str, &str, Names); 5] = [
        ("empty", "a directory without entries has no blobs", &[]),
        ("one", "one entry", &[&[b"a"]]),
        (
            "order",
            "names are ordered as unsigned bytes, a beginning before what it begins",
            &[&[b"B", b"a", b"a\x01", b"ab", b"b", b"\x7f", b"\x80", b"\xff"]],
        ),
        ("two-blobs", "the order goes on from blob to blob", &[&[b"a", b"b"], &[b"c"], &[b"d"]]),
        ("case", "upper case and lower case are different names", &[&[b"README", b"readme"]]),
    ];
    for (scenario, description, blobs) in good {
        let names: Vec<String> = blobs.iter().flat_map(|names| names.iter().map(hex)).collect();
        let bytes: Vec<_> = blobs.iter().map(|names| blob(names)).collect();
        out.good("directory", scenario, description, input(&bytes), json!({ "names": names }));
    }
    let whole = blob(&[b"a", b"b"]);
    let bad = [
        ("blob-empty", "a blob without entries", vec![blob(&[b"a"]), vec![]], "truncated"),
        ("descending", "names out of order", vec![blob(&[b"b", b"a"])], "invalid"),
        ("twice", "a name twice", vec![blob(&[b"a", b"a"])], "invalid"),
        ("descending-across-blobs", "names out of order across blobs", vec![blob(&[b"b"]), blob(&[b"a"])], "invalid"),
        ("twice-across-blobs", "a name twice, in two blobs", vec![blob(&[b"a"]), blob(&[b"a"])], "invalid"),
        (
            "split-entry",
            "an entry that goes on in the next blob",
            vec![whole[..whole.len() - 3].to_vec(), whole[whole.len() - 3..].to_vec()],
            "truncated",
        ),
        ("array", "the entries in an array", vec![V::A(vec![V::M(plain(3, b"a"))]).cbor()], "invalid"),
        ("name-empty", "the entry of a root amid a directory", vec![blob(&[b""])], "invalid"),
        ("not-an-entry", "a map that is no entry", vec![R::default().with(0, "", b("a")).cbor()], "invalid"),
    ];
    for (scenario, description, blobs, error) in bad {
        out.bad("directory", scenario, description, input(&blobs), error);
    }
}
