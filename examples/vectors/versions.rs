//! What a newer format looks like to a reader of version 1 (spec 13).

use crate::gc::full as gc;
use crate::index::sealed;
use crate::keys::key_body;
use crate::out::Out;
use crate::pack::{Draft, Segment};
use crate::record::{R, V, b, hex, t};
use crate::world::{World, finish, resign, sign};
use panther::format::cert::Signed;
use panther::format::header::{HEADER_BYTES, Kind};
use serde_json::{Value, json};

/// All of them.
pub fn all(out: &mut Out) {
    let world = World::main();
    let of = |topic: &str, input: Value| json!({ "as": topic, "input": input });
    let framed = |magic: &str, context: &str, body: &[u8], version: u64, more: Vec<V>| {
        let signature = sign(&world.root_seed, context, body);
        V::A([vec![t(magic), V::U(version), b(body), b(signature)], more].concat()).cbor()
    };
    let body = world.config_body().cbor();
    let config = |version, more| framed("panther", "panther v1 config", &body, version, more);
    let key = key_body(&world, 2).cbor();
    let keyfile = |version, more| {
        let plaintext = framed("panther key", "panther v1 key", &key, version, more);
        of("keyfile", json!({ "plaintext": hex(plaintext), "config": hex(config(1, vec![])) }))
    };
    let object = |bytes: &[u8]| of("config", json!({ "object": hex(bytes) }));
    let mut add = |scenario: &str, description: &str, input: Value, error: &str| {
        out.bad("versions", scenario, description, input, error);
    };
    add("config-2", "a configuration of version 2", object(&config(2, vec![])), "version");
    add("config-0", "a configuration of version 0", object(&config(0, vec![])), "version");
    add(
        "config-2-five-elements",
        "version 2 may have another number of elements: the version is looked at first",
        object(&config(2, vec![V::U(0)])),
        "version",
    );
    let short = V::A(vec![t("panther"), V::U(3)]).cbor();
    add("config-3-two-elements", "as before, with nothing but magic and version", object(&short), "version");
    let other = V::A(vec![t("panther"), V::U(2), V::M(R::default().with(0, "", V::U(1))), V::U(1)]).cbor();
    add("config-2-other-types", "version 2 may have elements of other types", object(&other), "version");
    add("keyfile-2", "a key file of version 2", keyfile(2, vec![]), "version");
    add("keyfile-2-five-elements", "as before, with a fifth element", keyfile(2, vec![V::U(0)]), "version");

    let pack = |version: u8| {
        let mut pack = Draft::data(vec![Segment::plain(&[b"x"])]).build("versions").bytes;
        pack[9] = version;
        of("pack", crate::pack::input(&pack))
    };
    add("pack-2", "a pack of version 2", pack(2), "version");
    add("pack-0", "a pack of version 0", pack(0), "version");
    let admin = world.admin("zephyrus");
    let index = sealed(&world, &admin, Kind::Index, &R::default().with(0, "", V::A(vec![])));
    let condemning = sealed(&world, &admin, Kind::Gc, &gc());
    for (topic, writer, object) in [("index", Some("zephyrus"), &index), ("gc", None, &condemning)] {
        let newer = |at: usize, value: u8| {
            let mut bytes = object[..object.len() - 64].to_vec();
            bytes[at] = value;
            of(topic, world.object(writer, &finish(bytes, admin.seed())))
        };
        add(&format!("{topic}-2"), "an object of version 2, well signed", newer(9, 2), "version");
        add(&format!("{topic}-kind-6"), "an object of an unknown kind", newer(8, 6), "feature");
    }
    let snapshot = [&index[..9], &[2], &index[10..]].concat();
    add(
        "snapshot-2",
        "a manifest of version 2; nothing else is looked at",
        of("snapshot", world.object(Some("zephyrus"), &snapshot)),
        "version",
    );
    let kind_first = [&index[..8], &[9, 2], &index[10..]].concat();
    add(
        "header-version-before-kind",
        "the version is looked at before the kind",
        of("index", world.object(Some("zephyrus"), &kind_first)),
        "version",
    );

    // A certificate of a role that signs something which a newer program knows.
    let certificate = {
        let body = R::default()
            .with(0, "", b(world.repo.0))
            .with(1, "", t("zephyrus"))
            .with(2, "", b(panther::seal::public_of_seed(admin.seed())))
            .with(3, "", V::U(9))
            .with(4, "", crate::record::time(0, 0))
            .cbor();
        V::A(vec![b(&body), b(sign(&world.root_seed, "panther v1 certificate", &body))]).cbor()
    };
    let parts = Signed::decode(&index, Kind::Index, &world.repo).unwrap();
    assert!(parts.signed_bytes.len() > HEADER_BYTES);
    let signed = resign(&parts, &parts.header, &certificate, admin.seed());
    add(
        "certificate-role-9",
        "an object by a certificate of an unknown role",
        of("index", world.object(Some("zephyrus"), &signed)),
        "feature",
    );
    let negative = sealed(&world, &admin, Kind::Index, &R::default().with(0, "", V::A(vec![])).with(-1, "", V::U(0)));
    add(
        "index-key-negative",
        "a whole index object with an unknown negative key",
        of("index", world.object(Some("zephyrus"), &negative)),
        "feature",
    );
    let negative = sealed(&world, &admin, Kind::Gc, &gc().with(-7, "", t("must be known")));
    add(
        "gc-key-negative",
        "a whole gc object with an unknown negative key",
        of("gc", world.object(None, &negative)),
        "feature",
    );
}
