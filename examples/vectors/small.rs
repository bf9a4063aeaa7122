//! The CBOR profile, object names and the header.

use crate::out::Out;
use crate::record::{R, V, b, hex, t};
use crate::world::World;
use serde_json::{Value, json};

/// All of them.
pub fn all(out: &mut Out) {
    cbor(out);
    names(out);
    header(out);
}

/// Every input is a map whose keys a decoder does not know: it must walk over the values and still hold to the profile.
fn cbor(out: &mut Out) {
    let item = |bytes: &[u8]| [&[0xa1, 0x00], bytes].concat();
    let nested = |depth: usize| [vec![0xa1, 0x00], vec![0x81; depth - 1], vec![0x00]].concat();
    let good = [
        ("empty-map", "a map without keys", vec![0xa0]),
        (
            "every-type",
            "one value of each type that the profile has",
            R::default()
                .with(0, "", V::U(0))
                .with(1, "", V::N(-1))
                .with(2, "", b([1, 2]))
                .with(3, "", t("grüß"))
                .with(4, "", V::A(vec![]))
                .with(5, "", V::M(R::default()))
                .with(6, "", V::Bool(true))
                .with(7, "", V::Bool(false))
                .cbor(),
        ),
        ("greatest-integer", "2^64 - 1", item(&[0x1b, 255, 255, 255, 255, 255, 255, 255, 255])),
        ("least-integer", "-2^64", item(&[0x3b, 255, 255, 255, 255, 255, 255, 255, 255])),
        ("greatest-key", "the key 2^63 - 1", vec![0xa1, 0x1b, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0]),
        ("nesting-16", "16 deep, the outermost map included", nested(16)),
        (
            "keys-negative-inside",
            "a negative key inside the value of an unknown key is no concern",
            item(&[0xa2, 0, 0, 0x20, 0]),
        ),
    ];
    for (scenario, description, bytes) in good {
        out.good("cbor", scenario, description, json!({ "map": hex(bytes) }), json!({ "accepted": true }));
    }
    let bad: [(&str, &str, Vec<u8>, &str); 28] = [
        ("integer-not-shortest-1", "23 in two bytes", item(&[0x18, 23]), "invalid"),
        ("integer-not-shortest-2", "255 in three bytes", item(&[0x19, 0, 255]), "invalid"),
        ("integer-not-shortest-4", "65,535 in five bytes", item(&[0x1a, 0, 0, 255, 255]), "invalid"),
        ("integer-not-shortest-8", "2^32 - 1 in nine bytes", item(&[0x1b, 0, 0, 0, 0, 255, 255, 255, 255]), "invalid"),
        ("negative-not-shortest", "-1 in two bytes", item(&[0x38, 0]), "invalid"),
        ("length-not-shortest", "a length of 1 in two bytes", item(&[0x58, 1, 0]), "invalid"),
        ("count-not-shortest", "a count of 1 in two bytes", item(&[0x98, 1, 0]), "invalid"),
        ("map-count-not-shortest", "a map's count of 1 in two bytes", vec![0xb8, 1, 0, 0], "invalid"),
        ("bytes-indefinite", "a byte string of indefinite length", item(&[0x5f, 0x41, 0, 0xff]), "invalid"),
        ("text-indefinite", "a text string of indefinite length", item(&[0x7f, 0x61, b'a', 0xff]), "invalid"),
        ("array-indefinite", "an array of indefinite length", item(&[0x9f, 0xff]), "invalid"),
        ("map-indefinite", "a map of indefinite length", item(&[0xbf, 0xff]), "invalid"),
        ("null", "null", item(&[0xf6]), "invalid"),
        ("undefined", "undefined", item(&[0xf7]), "invalid"),
        ("simple", "simple value 16", item(&[0xf0]), "invalid"),
        ("simple-two-bytes", "simple value 255", item(&[0xf8, 255]), "invalid"),
        ("float-half", "a float of 16 bits", item(&[0xf9, 0, 0]), "invalid"),
        ("float-double", "a float of 64 bits", item(&[0xfb, 0, 0, 0, 0, 0, 0, 0, 0]), "invalid"),
        ("tag", "a tag", item(&[0xc0, 0]), "invalid"),
        ("keys-out-of-order", "key 1 before key 0", vec![0xa2, 1, 0, 0, 0], "invalid"),
        ("keys-equal", "key 0 twice", vec![0xa2, 0, 0, 0, 0], "invalid"),
        ("keys-inside-out-of-order", "inside the value of an unknown key", item(&[0xa2, 0x20, 0, 0, 0]), "invalid"),
        ("key-text", "a text as key", vec![0xa1, 0x61, b'a', 0], "invalid"),
        (
            "key-beyond-64-bits",
            "the key 2^63, which does not fit in 64 bits two's complement",
            vec![0xa1, 0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0, 0],
            "invalid",
        ),
        ("text-not-utf8", "a text that is not UTF-8", item(&[0x61, 0xff]), "invalid"),
        ("bytes-after", "a byte after the outermost item", vec![0xa0, 0], "invalid"),
        ("nesting-17", "17 deep", nested(17), "limit"),
        ("key-negative", "an unknown negative key", vec![0xa1, 0x20, 0], "feature"),
    ];
    for (scenario, description, bytes, error) in bad {
        out.bad("cbor", scenario, description, json!({ "map": hex(bytes) }), error);
    }
    let short: [(&str, &str, Vec<u8>); 6] = [
        ("empty", "no bytes at all", vec![]),
        ("truncated-integer", "an integer whose second byte is missing", item(&[0x18])),
        ("truncated-bytes", "a byte string longer than what is left", item(&[0x42, 0])),
        ("truncated-map", "a map of two pairs that has one", vec![0xa2, 0, 0]),
        (
            "truncated-huge-count",
            "an array of 2^64 - 1 items: nothing may be allocated for it",
            item(&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255]),
        ),
        (
            "truncated-huge-length",
            "a byte string of 2^63 - 1 bytes",
            item(&[0x5b, 127, 255, 255, 255, 255, 255, 255, 255]),
        ),
    ];
    for (scenario, description, bytes) in short {
        out.bad("cbor", scenario, description, json!({ "map": hex(bytes) }), "truncated");
    }
}

fn names(out: &mut Out) {
    let id = "0f".to_owned() + &"ab".repeat(31);
    let long = "a".repeat(64);
    let mut good = |scenario: &str, description: &str, name: String, object: &str, writer: Option<&str>| {
        let mut expect = json!({ "object": object });
        if object != "config" {
            expect["id"] = json!(id);
        }
        if let Some(writer) = writer {
            expect["writer"] = json!(writer);
        }
        out.good("name", scenario, description, json!({ "name": name }), expect);
    };
    good("config", "the configuration", "panther.cbor".into(), "config", None);
    good("key", "a key file", format!("keys/{id}.age"), "key", None);
    good("pack", "a pack", format!("writers/yoga/packs/0f/{id}"), "pack", Some("yoga"));
    good("index", "an index object", format!("writers/0.a_b-c/index/{id}"), "index", Some("0.a_b-c"));
    good(
        "snapshot",
        "a manifest, with a name of 64 bytes",
        format!("writers/{long}/snapshots/{id}"),
        "snapshot",
        Some(&long),
    );
    good("gc", "a gc object", format!("gc/{id}"), "gc", None);
    let upper = id.to_uppercase();
    let bad = [
        ("ignored-empty", "the empty name", String::new()),
        ("ignored-slash", "a slash too many", "panther.cbor/".into()),
        ("ignored-key-suffix", "a key file without its suffix", format!("keys/{id}")),
        ("ignored-upper", "digits in upper case", format!("gc/{upper}")),
        ("ignored-short", "63 digits", format!("gc/{}", &id[1..])),
        ("ignored-long", "65 digits", format!("gc/0{id}")),
        ("ignored-hh", "a folder that is not the first two digits", format!("writers/yoga/packs/0e/{id}")),
        ("ignored-hh-short", "a folder of one digit", format!("writers/yoga/packs/0/{id}")),
        ("ignored-hh-empty", "an empty folder", format!("writers/yoga/packs//{id}")),
        ("ignored-hh-missing", "no folder", format!("writers/yoga/packs/{id}")),
        ("ignored-writer-upper", "a writer in upper case", format!("writers/Yoga/index/{id}")),
        ("ignored-writer-dots", "a writer that begins with a dot", format!("writers/../index/{id}")),
        ("ignored-writer-empty", "no writer", format!("writers//index/{id}")),
        ("ignored-writer-long", "a writer of 65 bytes", format!("writers/a{long}/index/{id}")),
        ("ignored-tmp", "an unfinished upload", format!("tmp/{id}")),
        ("ignored-folder", "a folder that is none of the table's", format!("writers/yoga/locks/{id}")),
    ];
    for (scenario, description, name) in bad {
        out.good("name", scenario, description, json!({ "name": name }), json!({ "ignored": true }));
    }
}

fn header(out: &mut Out) {
    let repo = World::main().repo.0;
    let build = |kind: u8, version: u8, zero: [u8; 2], epoch: u32, repo: [u8; 32]| {
        [&b"PANTHER\0"[..], &[kind, version], &zero, &epoch.to_le_bytes(), &repo].concat()
    };
    let input = |bytes: &[u8], kinds: &[u64]| -> Value {
        json!({ "header": hex(bytes), "kinds": kinds, "repository": hex(repo) })
    };
    for kind in 1..=5u8 {
        let bytes = build(kind, 1, [0, 0], 0x0102_0304, repo);
        let expect = json!({ "kind": kind, "epoch": 0x0102_0304 });
        out.good("header", &format!("kind-{kind}"), "a header of each kind", input(&bytes, &[kind.into()]), expect);
    }
    let good = build(4, 1, [0, 0], 1, repo);
    let mut magic = good.clone();
    magic[7] = 1;
    let bad = [
        ("truncated", "47 bytes", good[..47].to_vec(), "truncated"),
        ("magic", "another magic", magic, "invalid"),
        ("kind-wrong", "a kind that the name does not allow", build(3, 1, [0, 0], 1, repo), "invalid"),
        ("kind-unknown", "a kind that nobody knows", build(9, 1, [0, 0], 1, repo), "feature"),
        ("zero-bytes", "a reserved byte that is not zero", build(4, 1, [0, 1], 1, repo), "invalid"),
        ("repository", "another repository", build(4, 1, [0, 0], 1, World::other().repo.0), "invalid"),
        ("epoch-0", "epoch 0", build(4, 1, [0, 0], 0, repo), "invalid"),
    ];
    for (scenario, description, bytes, error) in bad {
        out.bad("header", scenario, description, input(&bytes, &[4]), error);
    }
}
