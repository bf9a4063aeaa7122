//! Strategies: valid records of every kind.

use panther::format::cert::{CertBody, SignerRole};
use panther::format::config::{Config, Params};
use panther::format::content::{ContentRoot, Record};
use panther::format::entry::{Boundary, Entry, Node, Xattrs};
use panther::format::gc::{Condemned, Gc, Revoked};
use panther::format::header::BlobKind;
use panther::format::index::{Index, PackRecord};
use panther::format::keyfile::{Epoch, KeyFile, Role, Secret, WriterIdentity};
use panther::format::pack::{Codec, Segment};
use panther::format::snapshot::{Cover, Manifest, Origin, Root, Summary};
use panther::format::time::Time;
use panther::id::{BlobId, ObjectId, RepoId, WriterName};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

fn time() -> impl Strategy<Value = Time> {
    (prop_oneof![any::<i64>(), -3i64..3, 1_600_000_000i64..1_900_000_000], 0u32..1_000_000_000)
        .prop_map(|(secs, nanos)| Time { secs, nanos })
}

fn writer() -> impl Strategy<Value = WriterName> {
    "[a-z0-9][a-z0-9._-]{0,63}".prop_map(|name| WriterName::new(&name).unwrap())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["", "[a-z]{1,8}", ".{0,40}"]
}

fn ids(count: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<ObjectId>> {
    vec(any::<[u8; 32]>().prop_map(ObjectId), count)
}

fn secret() -> impl Strategy<Value = Secret> {
    any::<[u8; 32]>().prop_map(Secret)
}

/// A number spread over all lengths of its encoding.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(number, shift)| number >> shift)
}

pub fn config() -> impl Strategy<Value = Config> {
    let params = (32u32..=1 << 19, 0u32..=1 << 20, 0u32..=1 << 22, number(), number(), 0u32..=65_536).prop_map(
        |(min, avg, max, s, l, inline)| {
            let min_bytes = 2 * min;
            let avg_bytes = (min_bytes + 2 * avg).min(4 << 20);
            let max_bytes = (avg_bytes + 2 * max).min(16 << 20);
            Params { min_bytes, avg_bytes, max_bytes, mask_s: s >> 1, mask_l: l >> 1, inline_max_bytes: inline }
        },
    );
    (any::<[u8; 32]>(), time(), any::<[u8; 32]>(), params).prop_map(|(repo, created, root_key, params)| Config {
        repo: RepoId(repo),
        created,
        root_key,
        params,
    })
}

pub fn certificate() -> impl Strategy<Value = CertBody> {
    let role = prop_oneof![Just(SignerRole::Writer), Just(SignerRole::Admin)];
    (any::<[u8; 32]>(), writer(), any::<[u8; 32]>(), role, time())
        .prop_map(|(repo, writer, key, role, issued)| CertBody { repo: RepoId(repo), writer, key, role, issued })
}

pub fn keyfile() -> impl Strategy<Value = KeyFile> {
    let epochs = btree_map(1u32.., (any::<[u8; 32]>(), secret(), secret()), 1..4);
    let role = prop_oneof![Just(Role::Writer), Just(Role::Reader), Just(Role::Admin)];
    let fixed = (any::<[u8; 32]>(), any::<[u8; 32]>(), role, text(), time(), secret());
    (fixed, epochs, (secret(), vec(any::<u8>(), 0..200)), secret()).prop_map(|(fixed, epochs, identity, root_seed)| {
        let (repo, hash, role, label, created, repo_secret) = fixed;
        let reads = role != Role::Writer;
        let epochs = epochs.into_iter().map(|(number, (public, index_key, private))| Epoch {
            number,
            public,
            index_key,
            private: reads.then_some(private),
        });
        KeyFile {
            repo: RepoId(repo),
            config_hash: ObjectId(hash),
            role,
            label,
            created,
            repo_secret,
            epochs: epochs.collect(),
            identity: (role == Role::Writer).then(|| WriterIdentity { seed: identity.0, certificate: identity.1 }),
            root_seed: (role == Role::Admin).then_some(root_seed),
        }
    })
}

fn segment() -> impl Strategy<Value = Segment> {
    let blobs = vec((any::<[u8; 32]>(), 1u32..3_000_000), 1..5);
    let codec = prop_oneof![Just(Codec::None), Just(Codec::Zstd), (2u64..).prop_map(Codec::Other)];
    (blobs, codec, 17u32..=1 << 24).prop_map(|(blobs, codec, stored)| {
        let blobs: Vec<_> = blobs.into_iter().map(|(id, len)| (BlobId(id), len)).collect();
        let plain_bytes = blobs.iter().map(|b| b.1).sum();
        Segment {
            stored_bytes: if codec == Codec::None { plain_bytes + 16 } else { stored },
            plain_bytes,
            codec,
            blobs,
        }
    })
}

pub fn segments() -> impl Strategy<Value = Vec<Segment>> {
    vec(segment(), 1..5)
}

pub fn index() -> impl Strategy<Value = Index> {
    let kind = prop_oneof![Just(BlobKind::Data), Just(BlobKind::Tree)];
    let later = prop_oneof![
        Just(Vec::new()),
        (7u64..99).prop_map(|key| vec![(key, vec![0x81, 0x01]), (key + 1, vec![0x61, 0x78])])
    ];
    let flags = (any::<bool>(), any::<bool>());
    let pack = (any::<[u8; 32]>(), kind, segments(), writer(), flags, 0u64..100_000, later).prop_map(
        |(id, kind, segments, writer, (checked, repeated), more, later)| {
            let stored: u64 = segments.iter().map(|s| u64::from(s.stored_bytes)).sum();
            let size_bytes = 128 + stored + 33 + more;
            PackRecord { id: ObjectId(id), kind, size_bytes, segments, writer, checked, repeated, later }
        },
    );
    (vec(pack, 0..3), ids(0..4)).prop_map(|(packs, superseded)| Index { packs, superseded })
}

/// Records of depth 0 of a file, no two holes in a row.
pub fn list(most: usize) -> impl Strategy<Value = Vec<Record>> {
    vec((option::weighted(0.8, any::<[u8; 32]>()), 1u64..=16 << 20), 1..=most).prop_map(|raw| {
        let mut records: Vec<Record> = Vec::new();
        for (id, len_bytes) in raw {
            let hole = records.last().is_none_or(|last| !last.is_hole());
            match id {
                Some(id) => records.push(Record { id: BlobId(id), len_bytes }),
                None if hole => records.push(Record { id: BlobId::HOLE, len_bytes: len_bytes << 20 }),
                None => {}
            }
        }
        records
    })
}

fn content(holes: bool) -> impl Strategy<Value = ContentRoot> {
    let named = vec((any::<[u8; 32]>(), 1u64..=16 << 20), 1..32).prop_map(|list| {
        list.into_iter().map(|(id, len_bytes)| Record { id: BlobId(id), len_bytes }).collect::<Vec<_>>()
    });
    prop_oneof![
        Just(ContentRoot::default()),
        (0u8..=8, named).prop_map(|(depth, records)| ContentRoot { depth, records }),
        list(32).prop_map(move |mut records| {
            records.retain(|r| holes || !r.is_hole());
            ContentRoot { depth: 0, records }
        }),
    ]
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_map(|b| if b == 0 || b == b'/' { b'x' } else { b });
    vec(byte, 1..30).prop_map(|name| if name == b"." || name == b".." { b"dots".to_vec() } else { name })
}

fn xattrs() -> impl Strategy<Value = Xattrs> {
    btree_map(vec(1u8.., 1..20), vec(any::<u8>(), 0..40), 0..4).prop_map(|map| map.into_iter().collect())
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        vec(any::<u8>(), 1..600).prop_map(Node::Inline),
        content(true).prop_map(Node::File),
        content(false).prop_map(Node::Dir),
        vec(1u8.., 1..50).prop_map(Node::Symlink),
        Just(Node::Fifo),
        Just(Node::Socket),
        any::<(u32, u32)>().prop_map(|(major, minor)| Node::Char(major, minor)),
        any::<(u32, u32)>().prop_map(|(major, minor)| Node::Block(major, minor)),
    ]
}

pub fn entry() -> impl Strategy<Value = Entry> {
    let owner = || option::of(".{1,12}".prop_map(|name: String| name.into()));
    let boundary = option::of(prop_oneof![Just(Boundary::FileSystem), Just(Boundary::Subvolume)]);
    let common = (name(), node(), 0u32..=0o7777, any::<u32>(), any::<u32>());
    let more = (owner(), owner(), time(), option::of(time()), xattrs());
    (common, more, option::of(number()), any::<u32>(), boundary).prop_map(|(common, more, link, flags, boundary)| {
        let (name, node, mode, uid, gid) = common;
        let (user, group, mtime, btime, xattrs) = more;
        let folder = matches!(node, Node::Dir(_));
        let flagged = matches!(node, Node::Dir(_) | Node::File(_) | Node::Inline(_));
        Entry {
            name,
            node,
            mode,
            uid,
            gid,
            user,
            group,
            mtime,
            btime,
            xattrs,
            link: if folder { None } else { link },
            flags: if flagged { flags } else { 0 },
            boundary: boundary.filter(|_| folder),
        }
    })
}

/// Entries in the order of their names.
pub fn directory() -> impl Strategy<Value = Vec<Entry>> {
    vec(entry(), 1..6).prop_map(|entries| {
        let mut seen = BTreeSet::new();
        let mut entries: Vec<_> = entries.into_iter().filter(|e| seen.insert(e.name.clone())).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    })
}

pub fn cover() -> impl Strategy<Value = Cover> {
    (number(), ids(0..=16), time(), time(), text()).prop_map(|(sequence, predecessors, started, finished, host)| {
        Cover { sequence: sequence.max(1), predecessors, started, finished, host }
    })
}

pub fn manifest() -> impl Strategy<Value = Manifest> {
    let tags = btree_set(".{1,20}", 0..4).prop_map(|tags| tags.into_iter().collect::<Vec<_>>());
    let roots = (btree_map(name(), entry(), 1..4), option::of(name())).prop_map(|(roots, above)| {
        // One level of folders is enough: none lies below another.
        let path = |name: &[u8]| {
            [above.as_ref().map_or(vec![], |above| [b"/", &above[..]].concat()), b"/".to_vec(), name.to_vec()].concat()
        };
        roots
            .into_iter()
            .map(|(name, entry)| Root { path: path(&name), entry: Entry { name: vec![], ..entry } })
            .collect::<Vec<_>>()
    });
    let summary = vec(prop_oneof![Just(0), number()], 14).prop_map(|f| Summary {
        files: f[0],
        dirs: f[1],
        others: f[2],
        source_bytes: f[3],
        unreadable: f[4],
        files_new: f[5],
        files_changed: f[6],
        files_unchanged: f[7],
        read_bytes: f[8],
        data_blobs: f[9],
        data_bytes: f[10],
        tree_blobs: f[11],
        tree_bytes: f[12],
        stored_bytes: f[13],
    });
    let excludes = vec(vec(any::<u8>(), 1..20), 0..4);
    (text(), text(), tags, roots, summary, excludes, option::of(any::<[u8; 32]>().prop_map(ObjectId)), origin())
        .prop_map(|(user, program, tags, roots, summary, excludes, parent, origin)| Manifest {
            user,
            program,
            tags,
            roots,
            summary,
            excludes,
            parent,
            origin,
        })
}

fn origin() -> impl Strategy<Value = Option<Origin>> {
    let ids = (any::<[u8; 32]>(), any::<[u8; 32]>());
    option::of(ids.prop_map(|(repo, id)| Origin { repo: RepoId(repo), snapshot: ObjectId(id) }))
}

pub fn gc() -> impl Strategy<Value = Gc> {
    let condemned = option::of((0u64..1 << 40, btree_map(writer(), ids(1..4), 1..4)));
    let revoked = vec((any::<[u8; 32]>(), ids(0..3)).prop_map(|(key, accepted)| Revoked { key, accepted }), 0..3);
    let manifests = vec((writer(), vec(any::<u8>(), 0..40)), 0..3);
    let records = vec(vec(any::<u8>(), 0..40), 0..3);
    (time(), condemned, ids(0..4), revoked, ids(0..3), manifests, records)
        .prop_map(|(created, condemned, forgotten, revoked, pinned, manifests, records)| {
            let condemned = condemned.map(|(grace_secs, packs)| Condemned {
                not_before: created.plus(Duration::from_secs(grace_secs)),
                packs: packs.into_iter().collect(),
            });
            Gc { created, condemned, forgotten, revoked, pinned, manifests, records }
        })
        .prop_filter("it must say something", |gc| !gc.is_empty())
}
