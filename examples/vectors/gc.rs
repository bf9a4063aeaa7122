//! gc objects: their plaintext, and whole.

use crate::index::{expect, sealed};
use crate::out::Out;
use crate::record::{R, V, b, hex, ids, t, time};
use crate::world::{World, fixed, flipped, resign};
use panther::format::cert::Signed;
use panther::format::header::Kind;
use serde_json::json;

fn condemned(list: &[(&str, &[[u8; 32]])]) -> V {
    let items = list.iter().map(|(writer, packs)| V::A(vec![t(writer), ids(packs)]));
    V::A(items.collect())
}

fn revoked(label: &str, accepted: &[[u8; 32]]) -> V {
    V::M(R::default().with(0, "key", b(fixed(label))).with(1, "accepted", ids(accepted)))
}

fn manifests(list: &[(&str, &[u8])]) -> V {
    V::A(list.iter().map(|(writer, object)| V::A(vec![t(writer), b(object)])).collect())
}

/// A gc object's content that condemns, forgets, revokes and pins, and keeps a manifest.
pub fn full() -> R {
    let (x, y) = (fixed("x"), fixed("y"));
    R::default()
        .with(0, "created", time(1_760_000_000, 0))
        .with(1, "not_before", time(1_760_086_400, 0))
        .with(2, "condemned", condemned(&[("yoga", &[x, y]), ("zephyrus", &[y])]))
        .with(3, "forgotten", ids(&[x]))
        .with(4, "revoked", V::A(vec![revoked("stolen", &[y]), revoked("lost", &[])]))
        .with(5, "pinned", ids(&[fixed("z")]))
        .with(6, "manifests", manifests(&[("yoga", b"an object"), ("zephyrus", b"another")]))
}

/// All of them.
pub fn all(out: &mut Out) {
    let full = full();
    let only = |key: i64| {
        let mut record = full.clone();
        record.0.retain(|(k, _, _)| *k == 0 || *k == key || (key == 2 && *k == 1));
        record
    };
    let good = [
        ("full", "it condemns, forgets, revokes and pins, and keeps manifests", full.clone()),
        ("condemned", "it condemns only", only(2)),
        ("forgotten", "it forgets only", only(3)),
        ("revoked", "it revokes only", only(4)),
        ("pinned", "it pins only", only(5)),
        ("manifests", "it keeps manifests only", only(6)),
        ("records", "it has drill records only", only(0).with(8, "records", V::A(vec![b(*b"{}"), b(*b"{\"a\":1}")]))),
        ("no-grace", "packs that may be removed at once", full.clone().but(1, time(1_760_000_000, 0))),
        ("key-unknown", "an unknown key is ignored", only(3).with(7, "", t("later"))),
        ("key-unknown-alone", "it says something only to newer programs", only(0).with(7, "", t("later"))),
    ];
    for (scenario, description, record) in good {
        out.good("gc", scenario, description, json!({ "plaintext": hex(record.cbor()) }), record.json());
    }
    let x = fixed("x");
    let bad = [
        ("says-nothing", "none of keys 2 to 6, and no later one", only(0), "invalid"),
        ("created-missing", "no time", full.clone().without(0), "invalid"),
        ("not-before-missing", "condemned packs without a time", full.clone().without(1), "invalid"),
        ("not-before-alone", "a time without condemned packs", only(3).with(1, "", time(1_760_086_400, 0)), "invalid"),
        (
            "not-before-early",
            "a time before that of creation",
            full.clone().but(1, time(1_759_999_999, 999_999_999)),
            "invalid",
        ),
        ("condemned-empty", "an empty array of writers", full.clone().but(2, V::A(vec![])), "invalid"),
        ("condemned-no-packs", "a writer without packs", full.clone().but(2, condemned(&[("yoga", &[])])), "invalid"),
        (
            "condemned-order",
            "writers out of order",
            full.clone().but(2, condemned(&[("zephyrus", &[x]), ("yoga", &[x])])),
            "invalid",
        ),
        (
            "condemned-equal",
            "a writer twice",
            full.clone().but(2, condemned(&[("yoga", &[x]), ("yoga", &[x])])),
            "invalid",
        ),
        (
            "condemned-writer",
            "a writer name that breaks the rule",
            full.clone().but(2, condemned(&[("Yoga", &[x])])),
            "invalid",
        ),
        ("forgotten-empty", "an empty list of forgotten snapshots", full.clone().but(3, b([])), "invalid"),
        ("forgotten-odd", "a list of 31 bytes", full.clone().but(3, b([1; 31])), "invalid"),
        ("pinned-empty", "an empty list of pinned snapshots", full.clone().but(5, b([])), "invalid"),
        ("pinned-odd", "a list of 33 bytes", full.clone().but(5, b([1; 33])), "invalid"),
        ("manifests-empty", "an empty array of manifests", full.clone().but(6, V::A(vec![])), "invalid"),
        (
            "manifests-writer",
            "a manifest under a writer name that breaks the rule",
            full.clone().but(6, manifests(&[("Yoga", b"an object")])),
            "invalid",
        ),
        ("records-empty", "an empty array of drill records", only(0).with(8, "records", V::A(vec![])), "invalid"),
        (
            "records-long",
            "a drill record of 65,537 bytes",
            only(0).with(8, "records", V::A(vec![b([0; 65_537])])),
            "limit",
        ),
        ("revoked-empty", "an empty array of revoked writers", full.clone().but(4, V::A(vec![])), "invalid"),
        (
            "revoked-accepted-missing",
            "a revocation without its list",
            full.clone().but(4, V::A(vec![V::M(R::default().with(0, "", b(x)))])),
            "invalid",
        ),
        ("key-negative", "an unknown negative key", full.clone().with(-1, "", V::U(0)), "feature"),
    ];
    for (scenario, description, record, error) in bad {
        out.bad("gc", scenario, description, json!({ "plaintext": hex(record.cbor()) }), error);
    }

    let world = World::main();
    let (admin, writer) = (world.admin("zephyrus"), world.writer("zephyrus"));
    let object = sealed(&world, &admin, Kind::Gc, &full);
    out.good(
        "gc",
        "object",
        "a whole object of an admin",
        world.object(None, &object),
        expect("zephyrus", 3, full.json()),
    );
    let parts = Signed::decode(&object, Kind::Gc, &world.repo).unwrap();
    let by_writer = sealed(&world, &writer, Kind::Gc, &full);
    let index = sealed(&world, &admin, Kind::Index, &R::default().with(0, "", V::A(vec![])));
    let other = world.admin("yoga");
    let bad = [
        ("object-writer", "by a writer, who may not", by_writer, "signature"),
        ("object-index", "an index object under a gc object's name", index, "invalid"),
        (
            "object-spliced",
            "the box of one admin identity under the certificate of another",
            resign(&parts, &parts.header, other.certificate(), other.seed()),
            "seal",
        ),
        ("object-flipped", "one bit of the box changed", flipped(&object, object.len() - 70), "signature"),
    ];
    for (scenario, description, object, error) in bad {
        out.bad("gc", scenario, description, world.object(None, &object), error);
    }
}
