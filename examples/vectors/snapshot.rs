//! Manifests: cover and manifest as plaintext, and whole objects.

use crate::entry::plain;
use crate::out::Out;
use crate::record::{R, V, b, hex, ids, root, t, time};
use crate::world::{World, finish, fixed, flipped, random, resign};
use panther::format::cert::Signed;
use panther::format::header::{Header, Kind};
use panther::seal::Signer;
use serde_json::{Value, json};

fn cover() -> R {
    R::default()
        .with(0, "sequence", V::U(1))
        .with(1, "predecessors", ids(&[]))
        .with(2, "started", time(1_760_000_000, 1))
        .with(3, "finished", time(1_760_000_060, 999_999_999))
        .with(4, "host", t("zephyrus"))
}

fn at(path: &[u8], entry: R) -> V {
    V::M(R::default().with(0, "path", b(path)).with(1, "entry", V::M(entry)))
}

fn folder() -> R {
    plain(1, b"").but(10, root(0, &[(fixed("stream"), 4_000)]))
}

fn roots(paths: &[&[u8]]) -> V {
    V::A(paths.iter().map(|path| at(path, folder())).collect())
}

fn manifest() -> R {
    let summary = R::default().with(0, "0", V::U(3)).with(1, "1", V::U(1)).with(3, "3", V::U(123_456_789_012));
    R::default()
        .with(0, "user", t("root"))
        .with(1, "program", t("panther 0.1.0"))
        .with(3, "roots", roots(&[b"/home"]))
        .with(4, "summary", V::M(summary))
}

fn full() -> R {
    let summary = (0i64..).zip(NUMBERS).map(|(key, name)| (key, name, V::U(1_000 + key.cast_unsigned()))).collect();
    manifest()
        .with(2, "tags", V::A(vec![t("Weekly"), t("before upgrade"), t("größer")]))
        .with(5, "excludes", V::A(vec![b("*.o"), b([0xff]), b("*.o")]))
        .with(6, "parent", b(fixed("parent")))
        .but(4, V::M(R(summary)))
}

const NUMBERS: [&str; 14] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"];

/// All of them.
pub fn all(out: &mut Out) {
    covers(out);
    manifests(out);
    manifest_roots(out);
    objects(out);
}

fn covers(out: &mut Out) {
    let sixteen: Vec<[u8; 32]> = (0..16).map(|n| fixed(&format!("head {n}"))).collect();
    let seventeen = [&sixteen[..], &[[1; 32]]].concat();
    let good = [
        ("cover-first", "the first of a chain", cover()),
        ("cover-heads", "sixteen predecessors", cover().but(0, V::U(u64::MAX)).but(1, ids(&sixteen))),
        ("cover-host-empty", "an empty host name, and an unknown key", cover().but(4, t("")).with(5, "", t("later"))),
    ];
    for (scenario, description, record) in good {
        out.good("snapshot", scenario, description, json!({ "cover": hex(record.cbor()) }), record.json());
    }
    let bad = [
        ("cover-sequence-0", "sequence number 0", cover().but(0, V::U(0)), "invalid"),
        ("cover-heads-17", "too many predecessors", cover().but(0, V::U(5)).but(1, ids(&seventeen)), "limit"),
        ("cover-heads-odd", "a list of 33 bytes", cover().but(1, b([1; 33])), "invalid"),
        ("cover-heads-missing", "no list of predecessors", cover().without(1), "invalid"),
        ("cover-host-missing", "no host name", cover().without(4), "invalid"),
        ("cover-host-long", "a host name of 4,097 bytes", cover().but(4, t(&"h".repeat(4_097))), "limit"),
        ("cover-key-negative", "an unknown negative key", cover().with(-1, "", V::U(0)), "feature"),
    ];
    for (scenario, description, record, error) in bad {
        out.bad("snapshot", scenario, description, json!({ "cover": hex(record.cbor()) }), error);
    }
}

fn manifests(out: &mut Out) {
    let good = [
        ("manifest-plain", "nothing optional", manifest()),
        ("manifest-full", "everything optional", full()),
        ("manifest-summary-empty", "all figures are 0", manifest().but(4, V::M(R::default()))),
        (
            "manifest-keys-unknown",
            "unknown keys are ignored, in the summary too",
            manifest().with(7, "", t("later")).but(4, V::M(R::default().with(14, "", V::U(9)))),
        ),
        (
            "manifest-origin",
            "one that was copied or written anew",
            manifest().with(8, "origin", V::A(vec![b(fixed("repository")), b(fixed("origin"))])),
        ),
        ("manifest-tag-long", "a tag of 256 bytes", manifest().with(2, "tags", V::A(vec![t(&"t".repeat(256))]))),
    ];
    for (scenario, description, record) in good {
        out.good("snapshot", scenario, description, json!({ "manifest": hex(record.cbor()) }), record.json());
    }
    let tags = |list: &[&str]| manifest().with(2, "", V::A(list.iter().map(|tag| t(tag)).collect()));
    let many: Vec<String> = (0..257).map(|n| format!("{n:03}")).collect();
    let bad = [
        ("manifest-tags-empty", "an empty array of tags", tags(&[]), "invalid"),
        ("manifest-tag-empty", "an empty tag", tags(&[""]), "invalid"),
        ("manifest-tag-too-long", "a tag of 257 bytes", tags(&["t".repeat(257).as_str()]), "limit"),
        ("manifest-tags-order", "tags out of order", tags(&["b", "a"]), "invalid"),
        ("manifest-tags-equal", "a tag twice", tags(&["a", "a"]), "invalid"),
        ("manifest-tags-257", "too many tags", tags(&many.iter().map(String::as_str).collect::<Vec<_>>()), "limit"),
        ("manifest-excludes-empty", "an empty array of excludes", manifest().with(5, "", V::A(vec![])), "invalid"),
        ("manifest-exclude-empty", "an empty exclude", manifest().with(5, "", V::A(vec![b("")])), "invalid"),
        (
            "manifest-exclude-text",
            "an exclude that is a text string",
            manifest().with(5, "", V::A(vec![t("*.o")])),
            "invalid",
        ),
        ("manifest-parent-short", "a parent of 31 bytes", manifest().with(6, "", b([1; 31])), "invalid"),
        ("manifest-origin-short", "an origin of one id", manifest().with(8, "", V::A(vec![b([1; 32])])), "invalid"),
        (
            "manifest-origin-31",
            "an origin with an id of 31 bytes",
            manifest().with(8, "", V::A(vec![b([1; 32]), b([1; 31])])),
            "invalid",
        ),
        (
            "manifest-summary-0",
            "a figure of 0: it should be left out",
            manifest().but(4, V::M(R::default().with(5, "", V::U(0)))),
            "invalid",
        ),
        ("manifest-summary-missing", "no summary", manifest().without(4), "invalid"),
        ("manifest-program-missing", "no program", manifest().without(1), "invalid"),
        ("manifest-key-negative", "an unknown negative key", manifest().with(-1, "", V::U(0)), "feature"),
    ];
    for (scenario, description, record, error) in bad {
        out.bad("snapshot", scenario, description, json!({ "manifest": hex(record.cbor()) }), error);
    }
}

fn manifest_roots(out: &mut Out) {
    let long = [&b"/"[..], &[b'x'; 4_096]].concat();
    let longer = [&b"/"[..], &[b'x'; 4_097]].concat();
    let good: [(&str, &str, V); 6] = [
        ("roots-slash", "the root of the file system", roots(&[b"/"])),
        (
            "roots-several",
            "several roots in the order of their bytes",
            roots(&[b"/a", b"/a.b", b"/ab", b"/b/c", b"/\xff"]),
        ),
        ("roots-file", "a root that is a file", V::A(vec![at(b"/etc/hostname", plain(0, b""))])),
        ("roots-beside", "a path that begins like another but lies beside it", roots(&[b"/home", b"/home2"])),
        ("roots-dots", "components of three dots, and of two with more", roots(&[b"/.../..a"])),
        ("roots-component-long", "a component of 4,096 bytes", roots(&[&long])),
    ];
    for (scenario, description, list) in good {
        let record = manifest().but(3, list);
        out.good("snapshot", scenario, description, json!({ "manifest": hex(record.cbor()) }), record.json());
    }
    let path = |path: &[u8]| roots(&[path]);
    let bad: [(&str, &str, V, &str); 17] = [
        ("roots-none", "no roots", V::A(vec![]), "invalid"),
        ("roots-order", "roots out of order", roots(&[b"/b", b"/a"]), "invalid"),
        ("roots-equal", "a root twice", roots(&[b"/a", b"/a"]), "invalid"),
        ("roots-nested", "a root below another", roots(&[b"/a", b"/a/b"]), "invalid"),
        (
            "roots-nested-apart",
            "a root below another, with one between them",
            roots(&[b"/a", b"/a.b", b"/a/b"]),
            "invalid",
        ),
        ("roots-below-slash", "/ is above all", roots(&[b"/", b"/a"]), "invalid"),
        ("roots-relative", "a relative path", path(b"a"), "invalid"),
        ("roots-empty", "an empty path", path(b""), "invalid"),
        ("roots-trailing", "a slash at the end", path(b"/a/"), "invalid"),
        ("roots-double", "two slashes in a row", path(b"/a//b"), "invalid"),
        ("roots-dot", "the component .", path(b"/a/./b"), "invalid"),
        ("roots-dot-dot", "the component ..", path(b"/a/.."), "invalid"),
        ("roots-nul", "a NUL", path(b"/a\0"), "invalid"),
        ("roots-component-too-long", "a component of 4,097 bytes", path(&longer), "invalid"),
        ("roots-long", "a path of 65,537 bytes", path(&[&b"/"[..], &[b'x'; 65_536]].concat()), "limit"),
        ("roots-name", "the entry of a root with a name", V::A(vec![at(b"/a", plain(1, b"a"))]), "invalid"),
        (
            "roots-entry-missing",
            "a root without an entry",
            V::A(vec![V::M(R::default().with(0, "", b("/a")))]),
            "invalid",
        ),
    ];
    for (scenario, description, list, error) in bad {
        out.bad("snapshot", scenario, description, json!({ "manifest": hex(manifest().but(3, list).cbor()) }), error);
    }
}

fn sealed(world: &World, signer: &Signer, label: &str) -> Vec<u8> {
    signer.seal_manifest(&world.epochs[0], cover().cbor(), &full().cbor(), &mut random(label)).unwrap()
}

fn objects(out: &mut Out) {
    let world = World::main();
    let (writer, other, admin) = (world.writer("zephyrus"), world.writer("yoga"), world.admin("zephyrus"));
    let good = sealed(&world, &writer, "snapshot");
    let own = |object: &[u8]| world.object(Some("zephyrus"), object);
    let expect = |role: u64| json!({ "signer": "zephyrus", "role": role, "epoch": 1, "cover": cover().json(), "manifest": full().json() });
    out.good("snapshot", "object-writer", "a whole object of a writer", own(&good), expect(1));
    out.good(
        "snapshot",
        "object-admin",
        "a whole object of an admin",
        own(&sealed(&world, &admin, "admin")),
        expect(3),
    );
    let mut blind = own(&good);
    for epoch in blind["epochs"].as_array_mut().unwrap() {
        epoch["private_key"] = Value::Null;
    }
    let mut cover_only = expect(1);
    cover_only["manifest"] = Value::Null;
    out.good(
        "snapshot",
        "object-as-writer",
        "without the private key the cover can be read, the manifest cannot",
        blind,
        cover_only,
    );

    let parts = Signed::decode(&good, Kind::Snapshot, &world.repo).unwrap();
    let theirs = sealed(&world, &other, "snapshot of another");
    let their_parts = Signed::decode(&theirs, Kind::Snapshot, &world.repo).unwrap();
    let foreign = World::other();
    let header = parts.header;
    let by_other = |parts: &Signed<'_>| resign(parts, &header, other.certificate(), other.seed());
    // The other writer takes one of the two boxes and puts it beside its own.
    let cover_taken = by_other(&Signed { salt: parts.salt, sealed: parts.sealed, ..their_parts.clone() });
    let manifest_taken = by_other(&Signed { manifest: parts.manifest, ..their_parts.clone() });
    let own_older = sealed(&world, &writer, "an older one");
    let older = Signed::decode(&own_older, Kind::Snapshot, &world.repo).unwrap();
    let enc_mixed =
        Signed { manifest: older.manifest.map(|(enc, _)| (enc, parts.manifest.unwrap().1)), ..parts.clone() };
    let enc_mixed = resign(&enc_mixed, &header, writer.certificate(), writer.seed());
    let other_epoch = resign(&parts, &Header { epoch: 2, ..header }, writer.certificate(), writer.seed());
    let as_index = resign(&parts, &Header { kind: Kind::Index, ..header }, writer.certificate(), writer.seed());
    let (enc, ciphertext) = parts.manifest.unwrap();
    let three = V::A(vec![b(parts.certificate), b(parts.salt), b(parts.sealed)]).cbor();
    let three = finish([&header.encode()[..], &three].concat(), writer.seed());
    let find = |needle: &[u8]| good.windows(needle.len()).position(|window| window == needle).unwrap();
    let bad = [
        ("object-other-folder", "in another writer's folder", world.object(Some("yoga"), &good), "signature"),
        (
            "object-other-repository",
            "an object of another repository",
            own(&sealed(&foreign, &foreign.writer("zephyrus"), "foreign")),
            "invalid",
        ),
        (
            "object-spliced",
            "all boxes of one writer in an object that another signs",
            world.object(Some("yoga"), &by_other(&parts)),
            "seal",
        ),
        (
            "object-spliced-cover",
            "the cover of another writer's object",
            world.object(Some("yoga"), &cover_taken),
            "seal",
        ),
        (
            "object-spliced-manifest",
            "the manifest of another writer's object",
            world.object(Some("yoga"), &manifest_taken),
            "seal",
        ),
        ("object-enc-other", "the encapsulated key of another object of the same writer", own(&enc_mixed), "seal"),
        ("object-epoch-other", "under another epoch than it was sealed", own(&other_epoch), "seal"),
        ("object-kind", "the kind of an index object", own(&as_index), "invalid"),
        ("object-three-elements", "the body of an index object", own(&three), "invalid"),
        ("object-flipped-header", "one bit of the epoch changed", own(&flipped(&good, 13)), "signature"),
        (
            "object-flipped-certificate",
            "one bit of the certificate's signature changed",
            own(&flipped(&good, find(parts.certificate) + parts.certificate.len() - 1)),
            "signature",
        ),
        ("object-flipped-salt", "one bit of the salt changed", own(&flipped(&good, find(&parts.salt))), "signature"),
        ("object-flipped-cover", "one bit of the cover changed", own(&flipped(&good, find(parts.sealed))), "signature"),
        (
            "object-flipped-enc",
            "one bit of the encapsulated key changed",
            own(&flipped(&good, find(&enc))),
            "signature",
        ),
        (
            "object-flipped-manifest",
            "one bit of the manifest changed",
            own(&flipped(&good, find(ciphertext))),
            "signature",
        ),
        (
            "object-flipped-signature",
            "one bit of the signature changed",
            own(&flipped(&good, good.len() - 64)),
            "signature",
        ),
        ("object-truncated", "the last byte is missing", own(&good[..good.len() - 1]), "truncated"),
    ];
    for (scenario, description, input, error) in bad {
        out.bad("snapshot", scenario, description, input, error);
    }
}
