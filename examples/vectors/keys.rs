//! Configuration, key files, derived keys and certificates.

use crate::out::Out;
use crate::record::{R, V, b, hex, t, time};
use crate::world::{CREATED, World, fixed, flipped, sign};
use panther::seal;
use serde_json::json;

/// All of them.
pub fn all(out: &mut Out) {
    config(out);
    keyfile(out);
    derive(out);
    certificate(out);
}

fn config(out: &mut Out) {
    let world = World::main();
    let body = world.config_body();
    let good = |out: &mut Out, scenario: &str, description: &str, body: &R| {
        let object = world.config(body);
        let mut expect = body.json();
        expect["hash"] = json!(hex(blake3::hash(&object).as_bytes()));
        out.good("config", scenario, description, json!({ "object": hex(&object) }), expect);
    };
    let params = |change: &dyn Fn(R) -> R| {
        let V::M(params) = body.0[3].2.clone() else { unreachable!() };
        body.clone().but(3, V::M(change(params)))
    };
    good(out, "default", "the default parameters", &body);
    good(out, "time-before-1970", "a time before 1970", &body.clone().but(1, time(-1, 999_999_999)));
    good(out, "key-unknown", "an unknown key of 0 or more is ignored", &body.clone().with(4, "", t("later")));
    let least = |p: R| p.but(0, V::U(64)).but(1, V::U(64)).but(2, V::U(64)).but(5, V::U(0));
    good(out, "params-least", "the least that the bounds allow", &params(&least));
    let most = |p: R| {
        p.but(0, V::U(1 << 20))
            .but(1, V::U(4 << 20))
            .but(2, V::U(16 << 20))
            .but(3, V::U((1 << 63) - 1))
            .but(5, V::U(65_536))
    };
    good(out, "params-most", "the most that the bounds allow", &params(&most));

    let whole = world.config(&body);
    let raw = |version: V, magic: &str, body: &[u8], more: Vec<V>| {
        let signature = sign(&world.root_seed, "panther v1 config", body);
        V::A([vec![t(magic), version, b(body), b(signature)], more].concat()).cbor()
    };
    let encoded = body.cbor();
    let other = World::other();
    let bad = [
        ("truncated", "the last byte is missing", whole[..whole.len() - 1].to_vec(), "truncated"),
        ("bytes-after", "a byte follows", [&whole[..], &[0]].concat(), "invalid"),
        ("flipped-body", "one bit of the body changed", flipped(&whole, 20), "signature"),
        ("flipped-signature", "one bit of the signature changed", flipped(&whole, whole.len() - 1), "signature"),
        (
            "signed-by-another",
            "signed by another key",
            V::A(vec![t("panther"), V::U(1), b(&encoded), b(sign(&other.root_seed, "panther v1 config", &encoded))])
                .cbor(),
            "signature",
        ),
        (
            "signed-as-key",
            "signed as if it were a key file",
            world.framed("panther", "panther v1 key", &encoded),
            "signature",
        ),
        ("magic", "it does not begin with \"panther\"", raw(V::U(1), "Panther", &encoded, vec![]), "invalid"),
        ("five-elements", "a fifth element in version 1", raw(V::U(1), "panther", &encoded, vec![V::U(0)]), "invalid"),
        ("repository-missing", "no repository id", world.config(&body.clone().without(0)), "invalid"),
        ("repository-short", "a repository id of 31 bytes", world.config(&body.clone().but(0, b([0; 31]))), "invalid"),
        ("root-key-missing", "no root key", world.config(&body.clone().without(2)), "invalid"),
        ("params-missing", "no parameters", world.config(&body.clone().without(3)), "invalid"),
        ("params-incomplete", "a parameter is missing", world.config(&params(&|p| p.without(5))), "invalid"),
        (
            "nanoseconds",
            "a thousand million nanoseconds",
            world.config(&body.clone().but(1, time(0, 1_000_000_000))),
            "limit",
        ),
        ("key-negative", "an unknown negative key", world.config(&body.clone().with(-1, "", V::U(0))), "feature"),
        (
            "params-key-negative",
            "an unknown negative key in the parameters",
            world.config(&params(&|p| p.with(-1, "", V::U(0)))),
            "feature",
        ),
    ];
    for (scenario, description, object, error) in bad {
        out.bad("config", scenario, description, json!({ "object": hex(object) }), error);
    }
}

/// The body of a key file of this role.
pub fn key_body(world: &World, role: u64) -> R {
    let epochs = world.epochs.iter().map(|e| {
        let epoch = R::default().with(0, "number", V::U(e.number.into())).with(1, "public_key", b(e.public)).with(
            2,
            "index_key",
            b(e.index_key.0),
        );
        V::M(if role == 1 { epoch } else { epoch.with(3, "private_key", b(e.private.as_ref().unwrap().0)) })
    });
    let config = world.config(&world.config_body());
    let body = R::default()
        .with(0, "repository", b(world.repo.0))
        .with(1, "config_hash", b(blake3::hash(&config).as_bytes()))
        .with(2, "role", V::U(role))
        .with(3, "label", t("paper, in the safe"))
        .with(4, "created", time(CREATED.secs, CREATED.nanos.into()))
        .with(5, "repository_secret", b(world.secret))
        .with(6, "epochs", V::A(epochs.collect()));
    match role {
        1 => body.with(7, "writer", identity(world, &world.writer("zephyrus"))),
        3 => body.with(8, "root_seed", b(world.root_seed.0)),
        _ => body,
    }
}

fn identity(_world: &World, signer: &seal::Signer) -> V {
    V::M(R::default().with(0, "seed", b(signer.seed().0)).with(1, "certificate", b(signer.certificate())))
}

fn keyfile(out: &mut Out) {
    let world = World::main();
    let config = world.config(&world.config_body());
    let sealed = |body: &R| world.framed("panther key", "panther v1 key", &body.cbor());
    let input = |plaintext: &[u8]| json!({ "plaintext": hex(plaintext), "config": hex(&config) });
    for (scenario, role) in [("writer", 1), ("reader", 2), ("admin", 3)] {
        let body = key_body(&world, role);
        out.good("keyfile", scenario, "a key file of each role, with two epochs", input(&sealed(&body)), body.json());
    }
    let reader = key_body(&world, 2);
    let later = reader.clone().but(3, t("")).with(9, "", V::Bool(true));
    out.good(
        "keyfile",
        "key-unknown",
        "an unknown key is ignored; the label may be empty",
        input(&sealed(&later)),
        later.json(),
    );

    let (writer, admin) = (key_body(&world, 1), key_body(&world, 3));
    let V::A(epochs) = reader.0[6].2.clone() else { unreachable!() };
    let V::M(first) = epochs[0].clone() else { unreachable!() };
    let with_epochs = |list: Vec<V>| sealed(&reader.clone().but(6, V::A(list)));
    let epoch = |change: &dyn Fn(R) -> R| with_epochs(vec![V::M(change(first.clone())), epochs[1].clone()]);
    let whole = sealed(&reader);
    let encoded = reader.cbor();
    let unsigned =
        |seed| V::A(vec![t("panther key"), V::U(1), b(&encoded), b(sign(seed, "panther v1 key", &encoded))]).cbor();
    let other = World::other();
    let many = |count: u64| with_epochs((1..=count).map(|n| V::M(first.clone().but(0, V::U(n)))).collect());
    out.good(
        "keyfile",
        "epochs-256",
        "as many epochs as a key file may have",
        input(&many(256)),
        reader.clone().but(6, V::A((1..=256).map(|n| V::M(first.clone().but(0, V::U(n)))).collect())).json(),
    );
    let bad = [
        ("truncated", "the last byte is missing", whole[..whole.len() - 1].to_vec(), "truncated"),
        (
            "magic",
            "it does not begin with \"panther key\"",
            world.framed("panther", "panther v1 key", &encoded),
            "invalid",
        ),
        ("flipped", "one bit of the body changed", flipped(&whole, 40), "signature"),
        (
            "planted",
            "signed by a key that is not the root key: what a writer could plant",
            unsigned(&other.root_seed),
            "signature",
        ),
        (
            "signed-as-config",
            "signed as if it were a configuration",
            world.framed("panther key", "panther v1 config", &encoded),
            "signature",
        ),
        ("repository", "another repository", sealed(&reader.clone().but(0, b(other.repo.0))), "invalid"),
        ("config-hash", "made for another configuration", sealed(&reader.clone().but(1, b([1; 32]))), "invalid"),
        ("role-unknown", "an unknown role", sealed(&reader.clone().but(2, V::U(4))), "feature"),
        ("label-long", "a label of 4,097 bytes", sealed(&reader.clone().but(3, t(&"x".repeat(4_097)))), "limit"),
        ("secret-missing", "no repository secret", sealed(&reader.clone().without(5)), "invalid"),
        ("epochs-missing", "no epochs", sealed(&reader.clone().without(6)), "invalid"),
        ("epochs-empty", "an empty array of epochs", with_epochs(vec![]), "invalid"),
        ("epochs-order", "epochs out of order", with_epochs(vec![epochs[1].clone(), epochs[0].clone()]), "invalid"),
        ("epochs-equal", "an epoch twice", with_epochs(vec![epochs[0].clone(), epochs[0].clone()]), "invalid"),
        ("epochs-257", "more epochs than a key file may have", many(257), "limit"),
        ("epoch-0", "an epoch of number 0", epoch(&|e| e.but(0, V::U(0))), "invalid"),
        (
            "epoch-large",
            "an epoch of number 2^32",
            with_epochs(vec![V::M(first.clone().but(0, V::U(1 << 32)))]),
            "limit",
        ),
        ("epoch-private-missing", "a reader's key without a private key", epoch(&|e| e.without(3)), "invalid"),
        (
            "epoch-private-other",
            "a private key that does not belong to its public key",
            epoch(&|e| e.but(3, b(fixed("stray")))),
            "invalid",
        ),
        ("epoch-key-negative", "an unknown negative key in an epoch", epoch(&|e| e.with(-1, "", V::U(0))), "feature"),
        (
            "writer-private",
            "a writer's key with a private key",
            sealed(&writer.clone().but(6, V::A(epochs.clone()))),
            "invalid",
        ),
        (
            "writer-identity-missing",
            "a writer's key without an identity",
            sealed(&writer.clone().without(7)),
            "invalid",
        ),
        (
            "writer-root-seed",
            "a writer's key with the root seed",
            sealed(&writer.clone().with(8, "", b(world.root_seed.0))),
            "invalid",
        ),
        (
            "writer-certificate-of-another",
            "a certificate for another key than the seed's",
            {
                let mixed = R::default().with(0, "", b([9; 32])).with(1, "", b(world.writer("zephyrus").certificate()));
                sealed(&writer.clone().but(7, V::M(mixed)))
            },
            "signature",
        ),
        (
            "writer-certificate-admin",
            "a certificate of role admin",
            sealed(&writer.clone().but(7, identity(&world, &world.admin("zephyrus")))),
            "signature",
        ),
        (
            "writer-certificate-foreign",
            "a certificate of another repository",
            sealed(&writer.but(7, identity(&world, &other.writer("zephyrus")))),
            "signature",
        ),
        (
            "reader-identity",
            "a reader's key with a writer identity",
            sealed(&reader.clone().with(7, "", identity(&world, &world.writer("zephyrus")))),
            "invalid",
        ),
        (
            "reader-root-seed",
            "a reader's key with the root seed",
            sealed(&reader.clone().with(8, "", b(world.root_seed.0))),
            "invalid",
        ),
        (
            "admin-root-seed-missing",
            "an admin's key without the root seed",
            sealed(&admin.clone().without(8)),
            "invalid",
        ),
        (
            "admin-root-seed-other",
            "a root seed that does not belong to the root key",
            sealed(&admin.but(8, b(other.root_seed.0))),
            "invalid",
        ),
        ("key-negative", "an unknown negative key", sealed(&reader.clone().with(-1, "", V::U(0))), "feature"),
    ];
    for (scenario, description, plaintext, error) in bad {
        out.bad("keyfile", scenario, description, input(&plaintext), error);
    }
}

fn derive(out: &mut Out) {
    for (scenario, secret) in [("keys", World::main().secret), ("keys-zero-secret", [0; 32])] {
        let derive = |context: &str| blake3::derive_key(context, &secret);
        let chunker = derive("panther v1 chunker");
        let mut table = [0u8; 2_048];
        blake3::Hasher::new_keyed(&chunker).finalize_xof().fill(&mut table);
        let id = |context: &str, plaintext: &[u8]| hex(blake3::keyed_hash(&derive(context), plaintext).as_bytes());
        let long = crate::cuts::noise("blob", 100_000);
        let blobs: Vec<_> = [("616263".to_owned(), b"abc".to_vec()), ("00".to_owned(), vec![0])]
            .into_iter()
            .map(|(shown, bytes)| (json!({ "hex": shown }), bytes))
            .chain([(json!({ "noise": "blob", "bytes": 100_000 }), long)])
            .map(|(shown, bytes)| json!({ "plaintext": [shown], "data_id": id("panther v1 data blob id", &bytes), "tree_id": id("panther v1 tree blob id", &bytes) }))
            .collect();
        let expect = json!({
            "data_id_key": hex(derive("panther v1 data blob id")),
            "tree_id_key": hex(derive("panther v1 tree blob id")),
            "chunker_key": hex(chunker),
            "directory_cut_key": hex(derive("panther v1 directory cut")),
            "gear_table": hex(table),
            "blobs": blobs,
        });
        out.good(
            "derive",
            scenario,
            "what the repository secret gives",
            json!({ "repository_secret": hex(secret) }),
            expect,
        );
    }
    let world = World::main();
    for (scenario, writer) in [("admin-identity", "zephyrus"), ("admin-identity-long", "0".repeat(64).as_str())] {
        let seed =
            blake3::derive_key("panther v1 writer identity", &[&world.root_seed.0[..], writer.as_bytes()].concat());
        let public = seal::public_of_seed(&panther::format::keyfile::Secret(seed));
        let input = json!({ "root_seed": hex(world.root_seed.0), "writer": writer });
        out.good(
            "derive",
            scenario,
            "an admin's identity as a writer",
            input,
            json!({ "seed": hex(seed), "public_key": hex(public) }),
        );
    }
}

fn certificate(out: &mut Out) {
    let world = World::main();
    let body = R::default()
        .with(0, "repository", b(world.repo.0))
        .with(1, "writer", t("zephyrus"))
        .with(2, "key", b(seal::public_of_seed(world.writer("zephyrus").seed())))
        .with(3, "role", V::U(1))
        .with(4, "issued", time(CREATED.secs, 5));
    let signed = |body: &R, seed| {
        let body = body.cbor();
        V::A(vec![b(&body), b(sign(seed, "panther v1 certificate", &body))]).cbor()
    };
    let root = &world.root_seed;
    let input = |certificate: &[u8]| json!({ "certificate": hex(certificate), "repository": hex(world.repo.0), "root_key": hex(world.root_key()) });
    let good = [
        ("writer", "a writer's", body.clone()),
        ("admin", "an admin's", body.clone().but(3, V::U(3))),
        ("key-unknown", "an unknown key is ignored", body.clone().with(5, "", t("later"))),
        ("name-long", "a name of 64 bytes", body.clone().but(1, t(&"z".repeat(64)))),
    ];
    for (scenario, description, body) in good {
        out.good("certificate", scenario, description, input(&signed(&body, root)), body.json());
    }
    let whole = signed(&body, root);
    let encoded = body.cbor();
    let other = World::other();
    let bad = [
        ("truncated", "the last byte is missing", whole[..whole.len() - 1].to_vec(), "truncated"),
        ("flipped-body", "one bit of the body changed", flipped(&whole, 10), "signature"),
        ("flipped-signature", "one bit of the signature changed", flipped(&whole, whole.len() - 1), "signature"),
        ("root-other", "signed by another root key", signed(&body, &other.root_seed), "signature"),
        (
            "repository-other",
            "for another repository",
            signed(&body.clone().but(0, b(other.repo.0)), root),
            "signature",
        ),
        (
            "signed-as-object",
            "signed as if it were an object",
            V::A(vec![b(&encoded), b(sign(root, "panther v1 object", &encoded))]).cbor(),
            "signature",
        ),
        ("role-reader", "role 2, which signs nothing", signed(&body.clone().but(3, V::U(2)), root), "feature"),
        ("role-unknown", "an unknown role", signed(&body.clone().but(3, V::U(4)), root), "feature"),
        ("name-rule", "a name that breaks the rule", signed(&body.clone().but(1, t("../x")), root), "invalid"),
        ("name-too-long", "a name of 65 bytes", signed(&body.clone().but(1, t(&"z".repeat(65))), root), "limit"),
        ("key-missing", "no public key", signed(&body.clone().without(2), root), "invalid"),
        ("key-negative", "an unknown negative key", signed(&body.clone().with(-1, "", V::U(0)), root), "feature"),
        ("three-elements", "a third element", V::A(vec![b(&encoded), b([0; 64]), V::U(0)]).cbor(), "invalid"),
    ];
    for (scenario, description, certificate, error) in bad {
        out.bad("certificate", scenario, description, input(&certificate), error);
    }
}
