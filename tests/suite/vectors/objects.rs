//! Handlers of what needs keys: configuration, key files, packs, signed objects.

use super::records::{data, show_entry, show_time};
use super::{Outcome, hex, text, unhex, unhex32};
use panther::backend::Backend;
use panther::backend::Body;
use panther::backend::memory::MemoryBackend;
use panther::error::{Error, FormatError};
use panther::format::cert::{CertBody, SignerRole};
use panther::format::config::Config;
use panther::format::gc::Gc;
use panther::format::header::{BlobKind, Header, Kind};
use panther::format::index::Index;
use panther::format::keyfile::{Epoch, KeyFile, Role, Secret};
use panther::format::pack::{Codec, PREAMBLE_BYTES, Segment, TRAILER_BYTES, Trailer, decode_toc};
use panther::format::snapshot::{Cover, Manifest};
use panther::id::{ObjectId, RepoId, WriterName};
use panther::keys::wrap::Opener;
use panther::keys::{Keyring, SignedKey};
use panther::repo::read_config;
use panther::repo::reader::decompress;
use panther::seal::{Opened, PackSeal, Verifier, public_of_seed};
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub fn config(input: &Value) -> Outcome {
    let store = MemoryBackend::new();
    store.put("panther.cbor", Body::Bytes(&unhex(&input["object"]))).unwrap();
    let (config, hash) = read_config(&store).map_err(|error| match error {
        Error::Damaged { source, .. } | Error::Newer { source, .. } => source,
        other => panic!("{other:?}"),
    })?;
    let p = config.params;
    Ok(json!({
        "repository": config.repo, "created": show_time(config.created), "root_key": hex(config.root_key), "hash": hash,
        "params": {
            "min": p.min_bytes, "avg": p.avg_bytes, "max": p.max_bytes, "mask_s": p.mask_s, "mask_l": p.mask_l,
            "inline_max": p.inline_max_bytes,
        },
    }))
}

pub fn keyfile(input: &Value) -> Outcome {
    let object = unhex(&input["config"]);
    let plaintext = unhex(&input["plaintext"]);
    let (body, signature) = KeyFile::unwrap(&plaintext)?;
    let signed = SignedKey { body: Zeroizing::new(body.to_vec()), signature };
    let keys = Keyring::new(signed, &Config::decode(&object)?.0, Config::hash(&object))?;
    let key = KeyFile::decode(body)?;
    assert_eq!(keys.role(), key.role);
    let epochs = key.epochs.iter().map(|e| {
        let mut shown = json!({ "number": e.number, "public_key": hex(e.public), "index_key": hex(e.index_key.0) });
        if let Some(private) = &e.private {
            shown["private_key"] = json!(hex(private.0));
        }
        shown
    });
    let role = match key.role {
        Role::Writer => 1,
        Role::Reader => 2,
        Role::Admin => 3,
    };
    let mut shown = json!({
        "repository": key.repo, "config_hash": key.config_hash, "role": role, "label": key.label, "created": show_time(key.created),
        "repository_secret": hex(key.repo_secret.0), "epochs": epochs.collect::<Vec<_>>(),
    });
    if let Some(identity) = &key.identity {
        shown["writer"] = json!({ "seed": hex(identity.seed.0), "certificate": hex(&identity.certificate) });
    }
    if let Some(seed) = &key.root_seed {
        shown["root_seed"] = json!(hex(seed.0));
    }
    Ok(shown)
}

pub fn age(input: &Value) -> Outcome {
    let opener = match input.get("passphrase") {
        Some(passphrase) => Opener::Passphrase(text(passphrase).to_owned().into()),
        None => Opener::identities(text(&input["identity"])).unwrap(),
    };
    Ok(match opener.open(&unhex(&input["file"]))? {
        Some(key) => json!({ "body": hex(&*key.body), "signature": hex(key.signature) }),
        None => json!({ "opens": false }),
    })
}

pub fn derive(input: &Value) -> Outcome {
    if let Some(root_seed) = input.get("root_seed") {
        let writer = WriterName::new(text(&input["writer"])).unwrap();
        let signer = keys([0; 32], Secret(unhex32(root_seed))).signer(Some(&writer)).unwrap();
        return Ok(json!({ "seed": hex(signer.seed().0), "public_key": hex(public_of_seed(signer.seed())) }));
    }
    let secret = unhex32(&input["repository_secret"]);
    let keys = keys(secret, Secret([1; 32]));
    // The keys themselves are not to be had from a key ring: they are made here, and the ids must be those that it makes.
    let derive = |context: &str| blake3::derive_key(context, &secret);
    let mut table = [0u8; 2_048];
    blake3::Hasher::new_keyed(&derive("panther v1 chunker")).finalize_xof().fill(&mut table);
    let (data_key, tree_key) = (derive("panther v1 data blob id"), derive("panther v1 tree blob id"));
    let mut blobs = Vec::new();
    for seed in [json!([{ "hex": "616263" }]), json!([{ "hex": "00" }]), json!([{ "noise": "blob", "bytes": 100_000 }])]
    {
        let plaintext = data(&seed);
        let (data_id, tree_id) = (keys.blob_id(BlobKind::Data, &plaintext), keys.blob_id(BlobKind::Tree, &plaintext));
        assert_eq!(data_id.0, *blake3::keyed_hash(&data_key, &plaintext).as_bytes());
        blobs.push(json!({ "plaintext": seed, "data_id": data_id, "tree_id": tree_id }));
    }
    Ok(json!({
        "data_id_key": hex(data_key), "tree_id_key": hex(tree_key), "chunker_key": hex(derive("panther v1 chunker")),
        "directory_cut_key": hex(keys.directory_cut_key()), "gear_table": hex(table), "blobs": blobs,
    }))
}

/// An admin's key ring around these secrets.
fn keys(repo_secret: [u8; 32], root_seed: Secret) -> Keyring {
    let (private, public) = panther::seal::new_key_pair(&mut panther::seal::system_random());
    let epoch = Epoch { number: 1, public, index_key: Secret([2; 32]), private: Some(Secret(*private)) };
    let config = Config {
        repo: RepoId([3; 32]),
        created: Default::default(),
        root_key: public_of_seed(&root_seed),
        params: Default::default(),
    };
    let file = KeyFile {
        repo: config.repo,
        config_hash: ObjectId([4; 32]),
        role: Role::Admin,
        label: String::new(),
        created: Default::default(),
        repo_secret: Secret(repo_secret),
        epochs: vec![epoch],
        identity: None,
        root_seed: Some(root_seed.clone()),
    };
    Keyring::new(SignedKey::new(&file, &root_seed), &config, ObjectId([4; 32])).unwrap()
}

fn verifier(input: &Value) -> Verifier {
    Verifier { repo: RepoId(unhex32(&input["repository"])), root_key: unhex32(&input["root_key"]) }
}

fn epochs(input: &Value) -> Vec<Epoch> {
    let epoch = |e: &Value| Epoch {
        number: u32::try_from(e["number"].as_u64().unwrap()).unwrap(),
        public: unhex32(&e["public_key"]),
        index_key: Secret(unhex32(&e["index_key"])),
        private: (!e["private_key"].is_null()).then(|| Secret(unhex32(&e["private_key"]))),
    };
    input["epochs"].as_array().unwrap().iter().map(epoch).collect()
}

fn private(epochs: &[Epoch], number: u32) -> Result<Option<[u8; 32]>, FormatError> {
    let epoch = epochs.iter().find(|e| e.number == number).ok_or(FormatError::Seal("no such epoch"))?;
    Ok(epoch.private.as_ref().map(|p| p.0))
}

fn role(role: SignerRole) -> u64 {
    match role {
        SignerRole::Writer => 1,
        SignerRole::Admin => 3,
    }
}

pub fn certificate(input: &Value) -> Outcome {
    let cert: CertBody = verifier(input).certificate(&unhex(&input["certificate"]))?;
    Ok(json!({
        "repository": cert.repo, "writer": cert.writer, "key": hex(cert.key), "role": role(cert.role), "issued": show_time(cert.issued),
    }))
}

/// Opens a signed object; `show` adds what it holds.
fn signed(input: &Value, kind: Kind, show: impl FnOnce(&Opened<'_>, &[Epoch]) -> Outcome) -> Outcome {
    let object = unhex(&input["object"]);
    let writer = input.get("writer").map(|w| WriterName::new(text(w)).unwrap());
    let epochs = epochs(input);
    let opened = verifier(input).open(&object, kind, writer.as_ref(), &epochs)?;
    let mut shown = show(&opened, &epochs)?;
    shown["signer"] = json!(opened.cert.writer);
    shown["role"] = json!(role(opened.cert.role));
    shown["epoch"] = json!(opened.epoch());
    Ok(shown)
}

fn show_segment(segment: &Segment) -> Value {
    let codec = match segment.codec {
        Codec::None => 0,
        Codec::Zstd => 1,
        Codec::Other(number) => number,
    };
    let (ids, lengths): (Vec<_>, Vec<_>) = segment.blobs.iter().copied().unzip();
    json!({ "stored": segment.stored_bytes, "plain": segment.plain_bytes, "codec": codec, "ids": ids, "lengths": lengths })
}

fn show_index(plaintext: &[u8]) -> Outcome {
    let index = Index::decode(plaintext)?;
    let packs = index.packs.iter().map(|p| {
        let mut shown = json!({
            "id": p.id, "kind": p.kind.pack() as u8, "size": p.size_bytes, "writer": p.writer,
            "segments": p.segments.iter().map(show_segment).collect::<Vec<_>>(),
        });
        if p.checked {
            shown["checked"] = json!(true);
        }
        if p.repeated {
            shown["repeated"] = json!(true);
        }
        shown
    });
    let mut shown = json!({ "packs": packs.collect::<Vec<_>>() });
    if !index.superseded.is_empty() {
        shown["superseded"] = json!(index.superseded);
    }
    Ok(shown)
}

pub fn index(input: &Value) -> Outcome {
    match input.get("plaintext") {
        Some(plaintext) => show_index(&unhex(plaintext)),
        None => signed(input, Kind::Index, |opened, _| show_index(&opened.plaintext)),
    }
}

fn show_gc(plaintext: &[u8]) -> Outcome {
    let gc = Gc::decode(plaintext)?;
    let mut shown = json!({ "created": show_time(gc.created) });
    if let Some(condemned) = &gc.condemned {
        shown["not_before"] = show_time(condemned.not_before);
        shown["condemned"] = json!(condemned.packs);
    }
    if !gc.forgotten.is_empty() {
        shown["forgotten"] = json!(gc.forgotten);
    }
    if !gc.revoked.is_empty() {
        shown["revoked"] = gc.revoked.iter().map(|r| json!({ "key": hex(r.key), "accepted": r.accepted })).collect();
    }
    if !gc.pinned.is_empty() {
        shown["pinned"] = json!(gc.pinned);
    }
    if !gc.manifests.is_empty() {
        shown["manifests"] = gc.manifests.iter().map(|(writer, object)| json!([writer, hex(object)])).collect();
    }
    if !gc.records.is_empty() {
        shown["records"] = gc.records.iter().map(hex).collect();
    }
    Ok(shown)
}

pub fn gc(input: &Value) -> Outcome {
    match input.get("plaintext") {
        Some(plaintext) => show_gc(&unhex(plaintext)),
        None => signed(input, Kind::Gc, |opened, _| show_gc(&opened.plaintext)),
    }
}

fn show_cover(plaintext: &[u8]) -> Outcome {
    let cover = Cover::decode(plaintext)?;
    Ok(json!({
        "sequence": cover.sequence, "predecessors": cover.predecessors, "started": show_time(cover.started),
        "finished": show_time(cover.finished), "host": cover.host,
    }))
}

fn show_manifest(plaintext: &[u8]) -> Outcome {
    let manifest = Manifest::decode(plaintext)?;
    let s = &manifest.summary;
    let figures = [
        s.files,
        s.dirs,
        s.others,
        s.source_bytes,
        s.unreadable,
        s.files_new,
        s.files_changed,
        s.files_unchanged,
        s.read_bytes,
        s.data_blobs,
        s.data_bytes,
        s.tree_blobs,
        s.tree_bytes,
        s.stored_bytes,
    ];
    let mut summary = json!({});
    for (key, value) in figures.iter().enumerate().filter(|(_, value)| **value != 0) {
        summary[key.to_string()] = json!(value);
    }
    let roots = manifest.roots.iter().map(|r| json!({ "path": hex(&r.path), "entry": show_entry(&r.entry) }));
    let mut shown = json!({
        "user": manifest.user, "program": manifest.program, "roots": roots.collect::<Vec<_>>(), "summary": summary,
    });
    if !manifest.tags.is_empty() {
        shown["tags"] = json!(manifest.tags);
    }
    if !manifest.excludes.is_empty() {
        shown["excludes"] = manifest.excludes.iter().map(hex).collect();
    }
    if let Some(parent) = manifest.parent {
        shown["parent"] = json!(parent);
    }
    if let Some(origin) = manifest.origin {
        shown["origin"] = json!([origin.repo, origin.snapshot]);
    }
    Ok(shown)
}

pub fn snapshot(input: &Value) -> Outcome {
    if let Some(cover) = input.get("cover") {
        return show_cover(&unhex(cover));
    }
    if let Some(manifest) = input.get("manifest") {
        return show_manifest(&unhex(manifest));
    }
    signed(input, Kind::Snapshot, |opened, epochs| {
        let manifest = match private(epochs, opened.epoch())? {
            Some(private) => show_manifest(&opened.open_manifest(&private)?)?,
            None => Value::Null,
        };
        Ok(json!({ "cover": show_cover(&opened.plaintext)?, "manifest": manifest }))
    })
}

pub fn pack(input: &Value) -> Outcome {
    let pack = unhex(&input["pack"]);
    let size = pack.len() as u64;
    let header = Header::decode(&pack, &[Kind::DataPack, Kind::TreePack], &RepoId(unhex32(&input["repository"])))?;
    let preamble = pack.first_chunk::<PREAMBLE_BYTES>().ok_or(FormatError::Truncated)?;
    let trailer = Trailer::decode(pack.last_chunk::<TRAILER_BYTES>().ok_or(FormatError::Truncated)?, size)?;
    let private = private(&epochs(input), header.epoch)?.unwrap();
    let seal = PackSeal::open(preamble, &private)?;
    let end = pack.len() - TRAILER_BYTES;
    let mut toc = pack[end - trailer.toc_bytes as usize..end].to_vec();
    seal.open_toc(&mut toc)?;
    let segments = decode_toc(&toc)?;
    trailer.check(&segments, size)?;
    let key = unhex32(&input[if header.kind == Kind::DataPack { "data_id_key" } else { "tree_id_key" }]);
    let (mut at, mut shown) = (PREAMBLE_BYTES, Vec::new());
    for (ordinal, segment) in (0..).zip(&segments) {
        let mut sealed = pack[at..at + segment.stored_bytes as usize].to_vec();
        at += sealed.len();
        let mut row = show_segment(segment);
        row["blobs"] = match segment.codec {
            Codec::Other(_) => Value::Null,
            codec => {
                seal.open_segment(ordinal, &mut sealed)?;
                let plain = decompress(sealed, codec, segment.plain_bytes)?;
                let (mut rest, mut blobs) = (&plain[..], Vec::new());
                for (id, length) in &segment.blobs {
                    let (blob, after) = rest.split_at(*length as usize);
                    if *blake3::keyed_hash(&key, blob).as_bytes() != id.0 {
                        return Err(FormatError::Hash);
                    }
                    blobs.push(hex(blob));
                    rest = after;
                }
                json!(blobs)
            }
        };
        shown.push(row);
    }
    Ok(json!({ "kind": header.kind as u8, "epoch": header.epoch, "segments": shown }))
}
