//! Entries of every type, with every key, and each combination that is not allowed.

use crate::out::Out;
use crate::record::{R, V, b, hex, root, t, time};
use crate::world::fixed;
use serde_json::{Value, json};

/// The types with what each must have beside the common keys.
const TYPES: [&str; 7] = ["file", "directory", "symlink", "fifo", "socket", "character-device", "block-device"];

/// An entry of this type with nothing optional.
pub fn plain(kind: u64, name: &[u8]) -> R {
    let entry = R::default()
        .with(0, "name", b(name))
        .with(1, "type", V::U(kind))
        .with(2, "mode", V::U(0o644))
        .with(3, "uid", V::U(1_000))
        .with(4, "gid", V::U(100))
        .with(7, "mtime", time(1_700_000_000, 123_456_789));
    match kind {
        0 | 1 => entry.with(10, "content", root(0, &[])),
        2 => entry.with(11, "target", b("../elsewhere")),
        5 | 6 => entry.with(12, "device", V::A(vec![V::U(8), V::U(1)])),
        _ => entry,
    }
}

fn xattrs(list: &[(&[u8], &[u8])]) -> V {
    V::A(list.iter().map(|(name, value)| V::A(vec![b(name), b(value)])).collect())
}

fn input(bytes: &[u8], root: bool) -> Value {
    json!({ "entry": hex(bytes), "root": root })
}

/// All of them.
pub fn all(out: &mut Out) {
    good(out);
    combinations(out);
    bad(out);
    content(out);
}

fn good(out: &mut Out) {
    for (kind, name) in (0..).zip(TYPES) {
        let entry = plain(kind, b"name");
        out.good("entry", name, "with nothing optional", input(&entry.cbor(), false), entry.json());
        let mut full = entry
            .but(0, b([0xff, b'\n', b' ']))
            .but(2, V::U(0o7777))
            .but(3, V::U(u32::MAX.into()))
            .but(7, time(-1, 999_999_999))
            .with(5, "user", t("Jörg"))
            .with(6, "group", t("users"))
            .with(8, "btime", time(i64::MIN, 0))
            .with(
                9,
                "xattrs",
                xattrs(&[(b"security.capability", &[1, 0, 0, 2]), (b"user.empty", b""), (b"user.x", b"\0\xff")]),
            );
        if kind != 1 {
            full = full.with(13, "link", V::U(u64::MAX));
        }
        if kind <= 1 {
            full = full.with(14, "flags", V::U(0x0081_00fc));
        }
        if kind == 1 {
            full = full.with(15, "boundary", V::U(2));
        }
        out.good(
            "entry",
            &format!("{name}-full"),
            "with every optional key, and odd values",
            input(&full.cbor(), false),
            full.json(),
        );
    }
    let file = plain(0, b"name");
    let directory = plain(1, b"name");
    let hole = [0; 32];
    let data = |n: u64| (fixed(&format!("blob {n}")), 65_536 + n);
    let many: Vec<_> = (0..32).map(data).collect();
    let long = "n".repeat(4_096);
    let value = vec![7; 65_536];
    let list: [(&str, &str, R); 22] = [
        ("inline", "content in the entry", file.clone().with(10, "inline", b("hello"))),
        ("inline-most", "as much as a reader accepts", file.clone().with(10, "inline", b(vec![b'i'; 65_536]))),
        ("content-records", "32 records", file.clone().but(10, root(0, &many))),
        ("content-largest-blob", "a blob of 16 MiB", file.clone().but(10, root(0, &[(fixed("x"), 16 << 20)]))),
        ("content-depth-8", "as deep as a list may be", file.clone().but(10, root(8, &[(fixed("x"), 1 << 62)]))),
        ("content-longest", "content of 2^63 - 1 bytes", file.clone().but(10, root(3, &[(fixed("x"), (1 << 63) - 1)]))),
        ("hole-only", "a file that is one hole", file.clone().but(10, root(0, &[(hole, (1 << 63) - 1)]))),
        (
            "hole-between",
            "holes with data between them",
            file.clone().but(10, root(0, &[(hole, 5), data(1), (hole, 6)])),
        ),
        ("directory-records", "a directory with a stream of two blobs", directory.clone().but(10, root(0, &many[..2]))),
        ("directory-depth-1", "a directory with a list of depth 1", directory.clone().but(10, root(1, &many[..2]))),
        ("boundary-1", "the root of another file system", directory.clone().with(15, "boundary", V::U(1))),
        ("link-0", "hard-link group 0", file.clone().with(13, "link", V::U(0))),
        ("name-long", "a name of 4,096 bytes", file.clone().but(0, b(&long))),
        ("name-dots", "three dots are a name like any other", file.clone().but(0, b("..."))),
        ("target-long", "a target of 65,536 bytes", plain(2, b"name").but(11, b(&value))),
        (
            "device-most",
            "the greatest numbers of a device",
            plain(5, b"name").but(12, V::A(vec![V::U(u32::MAX.into()), V::U(u32::MAX.into())])),
        ),
        ("xattr-most", "the longest name and value", file.clone().with(9, "xattrs", xattrs(&[(&[b'x'; 255], &value)]))),
        (
            "xattr-prefix",
            "a name that is the beginning of the next comes first",
            file.clone().with(9, "xattrs", xattrs(&[(b"user.a", b""), (b"user.a\x01", b""), (b"user.b", b"")])),
        ),
        ("times-extreme", "the greatest time", file.clone().but(7, time(i64::MAX, 999_999_999))),
        (
            "key-unknown",
            "unknown keys of 0 or more are ignored",
            file.clone().with(16, "", t("later")).with(1 << 40, "", V::A(vec![V::Bool(false)])),
        ),
        ("mode-0", "no permissions at all", file.clone().but(2, V::U(0))),
        ("text-control", "a user name with control characters", file.with(5, "user", t("a\u{1b}[31m\n"))),
    ];
    for (scenario, description, entry) in list {
        out.good("entry", scenario, description, input(&entry.cbor(), false), entry.json());
    }
    let unknown_flags = plain(0, b"name").with(14, "flags", V::As(Box::new(V::U(1 << 40 | 0x10)), json!(0x10)));
    out.good(
        "entry",
        "flags-unknown",
        "bits that nobody knows are ignored; expected are the lowest 32",
        input(&unknown_flags.cbor(), false),
        unknown_flags.json(),
    );
    let top = plain(1, b"");
    out.good("entry", "root", "the entry of a root has an empty name", input(&top.cbor(), true), top.json());
}

/// Each key that a type must not have, and each that it must have.
fn combinations(out: &mut Out) {
    let own: [(i64, V, &[u64]); 6] = [
        (10, root(0, &[]), &[0, 1]),
        (11, b("x"), &[2]),
        (12, V::A(vec![V::U(1), V::U(2)]), &[5, 6]),
        (13, V::U(7), &[0, 2, 3, 4, 5, 6]),
        (14, V::U(0x10), &[0, 1]),
        (15, V::U(1), &[1]),
    ];
    for (kind, name) in (0..).zip(TYPES) {
        for (key, value, types) in &own {
            if !types.contains(&kind) {
                let entry = plain(kind, b"name").with(*key, "", value.clone());
                out.bad(
                    "entry",
                    &format!("{name}-with-{key}"),
                    "a key that the type does not allow",
                    input(&entry.cbor(), false),
                    "invalid",
                );
            } else if *key <= 12 {
                let entry = plain(kind, b"name").without(*key);
                out.bad(
                    "entry",
                    &format!("{name}-without-{key}"),
                    "a key that the type demands is missing",
                    input(&entry.cbor(), false),
                    "invalid",
                );
            }
        }
    }
    for key in [0, 1, 2, 3, 4, 7] {
        let entry = plain(3, b"name").without(key);
        out.bad(
            "entry",
            &format!("without-{key}"),
            "a key that every entry has is missing",
            input(&entry.cbor(), false),
            "invalid",
        );
    }
}

fn bad(out: &mut Out) {
    let file = plain(0, b"name");
    let named = |name: &[u8]| file.clone().but(0, b(name));
    let extra = |list: &[(&[u8], &[u8])]| file.clone().with(9, "", xattrs(list));
    let list: [(&str, &str, R, &str); 39] = [
        ("name-empty", "an empty name outside a root", named(b""), "invalid"),
        ("name-dot", "the name .", named(b"."), "invalid"),
        ("name-dot-dot", "the name ..", named(b".."), "invalid"),
        ("name-slash", "a slash in the name", named(b"a/b"), "invalid"),
        ("name-nul", "a NUL in the name", named(b"a\0b"), "invalid"),
        ("name-too-long", "a name of 4,097 bytes", named(&[b'n'; 4_097]), "limit"),
        ("name-text", "a name that is a text string", file.clone().but(0, t("name")), "invalid"),
        ("type-7", "an unknown type", file.clone().but(1, V::U(7)), "feature"),
        ("mode-4096", "a mode above 4,095", file.clone().but(2, V::U(4_096)), "limit"),
        ("uid-large", "a uid of 2^32", file.clone().but(3, V::U(1 << 32)), "limit"),
        ("gid-large", "a gid of 2^32", file.clone().but(4, V::U(1 << 32)), "limit"),
        ("uid-negative", "a negative uid", file.clone().but(3, V::N(-1)), "invalid"),
        ("user-empty", "an empty user name: it should be left out", file.clone().with(5, "", t("")), "invalid"),
        ("group-empty", "an empty group name", file.clone().with(6, "", t("")), "invalid"),
        ("user-long", "a user name of 4,097 bytes", file.clone().with(5, "", t(&"u".repeat(4_097))), "limit"),
        ("mtime-nanoseconds", "too many nanoseconds", file.clone().but(7, time(0, 1_000_000_000)), "limit"),
        ("mtime-one-element", "a time without nanoseconds", file.clone().but(7, V::A(vec![V::U(0)])), "invalid"),
        ("mtime-large", "2^63 seconds", file.clone().but(7, V::A(vec![V::U(1 << 63), V::U(0)])), "invalid"),
        ("xattrs-empty", "an empty array of xattrs", extra(&[]), "invalid"),
        ("xattrs-order", "xattrs out of order", extra(&[(b"user.b", b""), (b"user.a", b"")]), "invalid"),
        ("xattrs-equal", "an xattr twice", extra(&[(b"user.a", b""), (b"user.a", b"")]), "invalid"),
        ("xattr-name-empty", "an xattr without a name", extra(&[(b"", b"")]), "invalid"),
        ("xattr-name-nul", "a NUL in the name of an xattr", extra(&[(b"user.\0", b"")]), "invalid"),
        ("xattr-name-long", "a name of 256 bytes", extra(&[(&[b'x'; 256], b"")]), "limit"),
        ("xattr-value-long", "a value of 65,537 bytes", extra(&[(b"user.a", &[0; 65_537])]), "limit"),
        ("inline-empty", "inline content of no bytes", file.clone().but(10, b("")), "invalid"),
        ("inline-large", "inline content of 65,537 bytes", file.clone().but(10, b(vec![0; 65_537])), "limit"),
        ("inline-directory", "inline content of a directory", plain(1, b"name").but(10, b("x")), "invalid"),
        ("target-empty", "an empty target", plain(2, b"name").but(11, b("")), "invalid"),
        ("target-nul", "a NUL in the target", plain(2, b"name").but(11, b("a\0")), "invalid"),
        ("target-too-long", "a target of 65,537 bytes", plain(2, b"name").but(11, b(vec![b'x'; 65_537])), "limit"),
        (
            "device-large",
            "a device number of 2^32",
            plain(5, b"name").but(12, V::A(vec![V::U(1 << 32), V::U(0)])),
            "limit",
        ),
        (
            "device-three",
            "a device of three numbers",
            plain(6, b"name").but(12, V::A(vec![V::U(0), V::U(0), V::U(0)])),
            "invalid",
        ),
        ("flags-0", "flags of 0: they should be left out", file.clone().with(14, "", V::U(0)), "invalid"),
        ("boundary-0", "boundary 0: it should be left out", plain(1, b"name").with(15, "", V::U(0)), "feature"),
        ("boundary-3", "an unknown boundary", plain(1, b"name").with(15, "", V::U(3)), "feature"),
        ("key-unknown-negative", "an unknown negative key", file.clone().with(-1, "", V::U(0)), "feature"),
        (
            "key-unknown-malformed",
            "the value of an unknown key breaks the profile",
            file.clone().with(16, "", V::Raw(vec![0xf6])),
            "invalid",
        ),
        ("link-negative", "a negative hard-link group", file.clone().with(13, "", V::N(-1)), "invalid"),
    ];
    for (scenario, description, entry, error) in list {
        out.bad("entry", scenario, description, input(&entry.cbor(), false), error);
    }
    out.bad("entry", "root-with-name", "the entry of a root with a name", input(&file.cbor(), true), "invalid");
    let bytes = file.cbor();
    out.bad("entry", "truncated", "the last byte is missing", input(&bytes[..bytes.len() - 1], false), "truncated");
}

/// Content roots that are not allowed.
fn content(out: &mut Out) {
    let id = fixed("x");
    let file = |content: V| plain(0, b"name").but(10, content);
    let folder = |content: V| plain(1, b"name").but(10, content);
    let hole = ([0; 32], 5);
    let list = [
        ("content-33-records", "33 records", file(root(0, &[(id, 1); 33])), "limit"),
        ("content-depth-9", "a list too deep", file(root(9, &[(id, 1)])), "limit"),
        ("content-empty-with-depth", "no records at depth 1", file(root(1, &[])), "invalid"),
        (
            "content-41-bytes",
            "records that are not a multiple of 40 bytes",
            file(V::A(vec![V::U(0), b([1; 41])])),
            "invalid",
        ),
        ("content-length-0", "a record of length 0", file(root(0, &[(id, 0)])), "invalid"),
        ("content-large-blob", "a blob above 16 MiB", file(root(0, &[(id, (16 << 20) + 1)])), "limit"),
        ("content-length-2-63", "content of 2^63 bytes", file(root(1, &[(id, (1 << 63) - 1), (id, 1)])), "invalid"),
        ("content-overflow", "lengths whose sum overflows", file(root(1, &[(id, u64::MAX), (id, 1)])), "invalid"),
        (
            "content-three-elements",
            "a content root of three elements",
            file(V::A(vec![V::U(0), b([]), V::U(0)])),
            "invalid",
        ),
        ("holes-adjacent", "two holes in a row", file(root(0, &[hole, hole])), "invalid"),
        ("hole-at-depth-1", "a zero id above depth 0", file(root(1, &[hole])), "invalid"),
        ("hole-in-directory", "a hole in a directory", folder(root(0, &[hole])), "invalid"),
        (
            "hole-in-directory-depth-1",
            "a zero id in a directory's list of depth 1",
            folder(root(1, &[hole])),
            "invalid",
        ),
        ("directory-large-blob", "a blob of a stream above 16 MiB", folder(root(0, &[(id, (16 << 20) + 1)])), "limit"),
    ];
    for (scenario, description, entry, error) in list {
        out.bad("entry", scenario, description, input(&entry.cbor(), false), error);
    }
}
