//! Index objects: their plaintext, and whole.

use crate::out::Out;
use crate::record::{R, V, b, hex, ids, t};
use crate::world::{World, finish, fixed, flipped, random, resign};
use panther::format::cert::Signed;
use panther::format::header::{Header, Kind};
use panther::seal::Signer;
use serde_json::{Value, json};

fn segment(stored: u64, codec: u64, blobs: &[(&str, u32)]) -> V {
    let list: Vec<[u8; 32]> = blobs.iter().map(|(label, _)| fixed(label)).collect();
    let lengths: Vec<u8> = blobs.iter().flat_map(|(_, length)| length.to_le_bytes()).collect();
    let plain: u64 = blobs.iter().map(|(_, length)| u64::from(*length)).sum();
    let shown = json!({
        "stored": stored, "plain": plain, "codec": codec, "ids": list.iter().map(hex).collect::<Vec<_>>(),
        "lengths": blobs.iter().map(|(_, length)| length).collect::<Vec<_>>(),
    });
    V::As(Box::new(V::A(vec![V::U(stored), V::U(plain), V::U(codec), b(list.concat()), b(lengths)])), shown)
}

fn pack(label: &str, kind: u64, size: u64, segments: Vec<V>) -> R {
    R::default()
        .with(0, "id", b(fixed(label)))
        .with(1, "kind", V::U(kind))
        .with(2, "size", V::U(size))
        .with(3, "segments", V::A(segments))
        .with(4, "writer", t("zephyrus"))
}

fn one() -> R {
    pack("pack", 1, 1_000, vec![segment(116, 0, &[("a", 60), ("b", 40)])])
}

fn index(packs: Vec<R>) -> R {
    R::default().with(0, "packs", V::A(packs.into_iter().map(V::M).collect()))
}

/// An object of `kind` with this plaintext, by this signer, under epoch 1.
pub fn sealed(world: &World, signer: &Signer, kind: Kind, plaintext: &R) -> Vec<u8> {
    let plaintext = plaintext.cbor();
    let label = hex(blake3::hash(&plaintext).as_bytes());
    signer.seal(kind, &world.epochs[0], plaintext, &mut random(&label))
}

/// What a signed object should be read as.
pub fn expect(writer: &str, role: u64, fields: Value) -> Value {
    let mut expect = fields;
    expect["signer"] = json!(writer);
    expect["role"] = json!(role);
    expect["epoch"] = json!(1);
    expect
}

/// All of them.
pub fn all(out: &mut Out) {
    plaintexts(out);
    objects(out);
}

fn plaintexts(out: &mut Out) {
    let two = || pack("two", 2, 70_000, vec![segment(500, 1, &[("c", 900)]), segment(17, 1, &[("d", 16 << 20)])]);
    let good = [
        ("empty", "no packs", index(vec![])),
        ("packs", "a data pack and a tree pack", index(vec![one(), two()])),
        (
            "repeated",
            "a pack of which the signer repeats what its writer said",
            index(vec![one().with(6, "repeated", V::Bool(true))]),
        ),
        ("checked", "a pack that the signer has checked", index(vec![one().with(5, "checked", V::Bool(true))])),
        (
            "superseded",
            "it replaces two others",
            index(vec![one()]).with(1, "superseded", ids(&[fixed("x"), fixed("y")])),
        ),
        (
            "codec-unknown",
            "a segment with an unknown codec does not spoil the object",
            index(vec![pack("new", 1, 900, vec![segment(300, 7, &[("e", 10)])])]),
        ),
        ("keys-unknown", "unknown keys are ignored", index(vec![one().with(7, "", t("later"))]).with(2, "", V::U(1))),
        (
            "size-least",
            "nothing but the shortest table follows the segments",
            index(vec![one().but(2, V::U(128 + 116 + 33))]),
        ),
        ("pack-twice", "a pack twice", index(vec![one(), one()])),
    ];
    for (scenario, description, plain) in good {
        out.good("index", scenario, description, json!({ "plaintext": hex(plain.cbor()) }), plain.json());
    }
    let only = |record: R| index(vec![record]);
    let bad = [
        ("packs-missing", "no packs at all", R::default(), "invalid"),
        ("superseded-empty", "an empty list of superseded objects", index(vec![one()]).with(1, "", b([])), "invalid"),
        ("superseded-odd", "a list of 33 bytes", index(vec![one()]).with(1, "", b([1; 33])), "invalid"),
        ("kind-0", "kind 0", only(one().but(1, V::U(0))), "feature"),
        ("kind-3", "an unknown kind of pack", only(one().but(1, V::U(3))), "feature"),
        ("size-small", "a size that leaves no room for a table", only(one().but(2, V::U(128 + 116 + 32))), "invalid"),
        ("size-large", "a pack above 256 MiB", only(one().but(2, V::U((256 << 20) + 1))), "limit"),
        ("id-short", "an id of 31 bytes", only(one().but(0, b([1; 31]))), "invalid"),
        ("segments-empty", "a pack without segments", only(one().but(3, V::A(vec![]))), "invalid"),
        ("segments-missing", "no segments at all", only(one().without(3)), "invalid"),
        ("writer-rule", "a writer name that breaks the rule", only(one().but(4, t("a/b"))), "invalid"),
        ("writer-missing", "no writer", only(one().without(4)), "invalid"),
        (
            "checked-false",
            "key 5 with false: it should be left out",
            only(one().with(5, "", V::Bool(false))),
            "invalid",
        ),
        ("checked-1", "key 5 with 1", only(one().with(5, "", V::U(1))), "invalid"),
        ("pack-key-negative", "an unknown negative key in a pack", only(one().with(-1, "", V::U(0))), "feature"),
        ("key-negative", "an unknown negative key", index(vec![]).with(-1, "", V::U(0)), "feature"),
    ];
    for (scenario, description, plain, error) in bad {
        out.bad("index", scenario, description, json!({ "plaintext": hex(plain.cbor()) }), error);
    }
}

fn objects(out: &mut Out) {
    let world = World::main();
    let (writer, other, admin) = (world.writer("zephyrus"), world.writer("yoga"), world.admin("zephyrus"));
    let plain = index(vec![one().with(5, "checked", V::Bool(true))]);
    let good = sealed(&world, &writer, Kind::Index, &plain);
    let own = |object: &[u8]| world.object(Some("zephyrus"), object);
    out.good("index", "object-writer", "a whole object of a writer", own(&good), expect("zephyrus", 1, plain.json()));
    let by_admin = sealed(&world, &admin, Kind::Index, &plain);
    out.good(
        "index",
        "object-admin",
        "a whole object of an admin",
        own(&by_admin),
        expect("zephyrus", 3, plain.json()),
    );

    let parts = Signed::decode(&good, Kind::Index, &world.repo).unwrap();
    let foreign = World::other();
    let stranger = foreign.writer("zephyrus");
    let header = parts.header;
    let spliced = resign(&parts, &header, other.certificate(), other.seed());
    let uncertified = resign(&parts, &header, stranger.certificate(), stranger.seed());
    let stolen = resign(&parts, &header, writer.certificate(), other.seed());
    let as_gc = resign(&parts, &Header { kind: Kind::Gc, ..header }, writer.certificate(), writer.seed());
    let other_epoch = resign(&parts, &Header { epoch: 2, ..header }, writer.certificate(), writer.seed());
    let no_epoch = resign(&parts, &Header { epoch: 3, ..header }, writer.certificate(), writer.seed());
    let body = |items: Vec<V>| finish([&header.encode()[..], &V::A(items).cbor()].concat(), writer.seed());
    let (certificate, salt, sealed_box) = (b(parts.certificate), b(parts.salt), b(parts.sealed));
    let trailing = finish([parts.signed_bytes, &[0]].concat(), writer.seed());
    let bad = [
        ("object-other-folder", "in another writer's folder", world.object(Some("yoga"), &good), "signature"),
        (
            "object-spliced",
            "the box of one writer in an object that another signs",
            world.object(Some("yoga"), &spliced),
            "seal",
        ),
        ("object-other-key", "signed by another key than its certificate's", own(&stolen), "signature"),
        ("object-certificate-foreign", "a certificate of another repository", own(&uncertified), "signature"),
        (
            "object-other-repository",
            "an object of another repository",
            own(&sealed(&foreign, &stranger, Kind::Index, &plain)),
            "invalid",
        ),
        ("object-kind", "the kind of a gc object", own(&as_gc), "invalid"),
        ("object-epoch-other", "under another epoch than it was sealed", own(&other_epoch), "seal"),
        ("object-epoch-unknown", "under an epoch that no key file has", own(&no_epoch), "seal"),
        ("object-flipped-certificate", "one bit of the certificate changed", own(&flipped(&good, 60)), "signature"),
        ("object-flipped-box", "one bit of the box changed", own(&flipped(&good, good.len() - 70)), "signature"),
        (
            "object-flipped-signature",
            "one bit of the signature changed",
            own(&flipped(&good, good.len() - 1)),
            "signature",
        ),
        ("object-truncated", "the last byte is missing", own(&good[..good.len() - 1]), "truncated"),
        ("object-truncated-header", "it ends within the header", own(&good[..47]), "truncated"),
        (
            "object-two-elements",
            "a body of two elements",
            own(&body(vec![certificate.clone(), salt.clone()])),
            "invalid",
        ),
        (
            "object-four-elements",
            "a body of four elements",
            own(&body(vec![certificate.clone(), salt.clone(), sealed_box.clone(), b([])])),
            "invalid",
        ),
        (
            "object-salt-short",
            "a salt of 31 bytes",
            own(&body(vec![certificate.clone(), b([0; 31]), sealed_box.clone()])),
            "invalid",
        ),
        ("object-salt-other", "another salt", own(&body(vec![certificate, b([0; 32]), sealed_box.clone()])), "seal"),
        (
            "object-certificate-large",
            "a certificate above 1 KiB",
            own(&body(vec![b([0; 1_025]), salt, sealed_box])),
            "limit",
        ),
        ("object-trailing", "a byte after the body, signed with it", own(&trailing), "invalid"),
    ];
    for (scenario, description, input, error) in bad {
        out.bad("index", scenario, description, input, error);
    }
}
