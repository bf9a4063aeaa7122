//! Objects of the repository as JSON, for the curious.

use crate::format::config::Config;
use crate::format::content::ContentRoot;
use crate::format::entry::{Entry, Node};
use crate::format::header::BlobKind;
use crate::format::index::{Index, PackRecord};
use crate::format::pack::Codec;
use crate::format::snapshot::Manifest;
use crate::id::BlobId;
use crate::ops::cat::BlobFacts;
use crate::repo::snapshots::Snapshot;
use crate::report::json::RawPath;
use crate::report::ls::permissions;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

fn kind(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::Data => "data",
        BlobKind::Tree => "tree",
    }
}

/// `panther.cbor`.
pub fn config(config: &Config) -> Value {
    let params = &config.params;
    json!({
        "repository": config.repo,
        "created": config.created,
        "root_key": HEXLOWER.encode(&config.root_key),
        "chunks": {
            "min_bytes": params.min_bytes,
            "avg_bytes": params.avg_bytes,
            "max_bytes": params.max_bytes,
            "inline_max_bytes": params.inline_max_bytes,
        },
    })
}

/// A snapshot: its cover, which writers can read, and its manifest.
pub fn snapshot(snapshot: &Snapshot) -> Value {
    let (cover, manifest) = (&snapshot.head.cover, &snapshot.manifest);
    let Manifest { user, program, tags, summary, excludes, parent, origin, .. } = manifest;
    let excludes: Vec<_> = excludes.iter().map(|pattern| String::from_utf8_lossy(pattern)).collect();
    let roots: Vec<Value> = manifest.roots.iter().map(|root| entry(&root.path, &root.entry)).collect();
    json!({
        "id": snapshot.head.id,
        "writer": snapshot.head.writer,
        "signed_by_admin": snapshot.by_admin,
        "uploaded": snapshot.uploaded,
        "sequence": cover.sequence,
        "predecessors": cover.predecessors,
        "started": cover.started,
        "finished": cover.finished,
        "host": cover.host,
        "user": user,
        "program": program,
        "tags": tags,
        "excludes": excludes,
        "parent": parent,
        "origin": origin,
        "summary": summary,
        "roots": roots,
    })
}

/// An object of the file system with all that the snapshot has of it.
pub fn entry(name: &[u8], entry: &Entry) -> Value {
    let xattr = |(name, value): &(Vec<u8>, Vec<u8>)| json!({ "name": String::from_utf8_lossy(name), "hex": HEXLOWER.encode(value) });
    let mut out = json!({
        "name": RawPath::new(name),
        "type": entry.kind(),
        "permissions": permissions(entry),
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "user": entry.user.as_deref(),
        "group": entry.group.as_deref(),
        "mtime": entry.mtime,
        "btime": entry.btime,
        "xattrs": entry.xattrs.iter().map(xattr).collect::<Vec<_>>(),
        "link_group": entry.link,
        "flags": entry.flags,
        "size_bytes": entry.size_bytes(),
    });
    let own = match &entry.node {
        Node::Inline(bytes) => json!({ "inline_bytes": bytes.len() }),
        Node::File(root) | Node::Dir(root) => content(root),
        Node::Symlink(target) => json!({ "target": RawPath::new(target) }),
        Node::Char(major, minor) | Node::Block(major, minor) => json!({ "device": [major, minor] }),
        Node::Fifo | Node::Socket => Value::Null,
    };
    if let (Some(out), Some(own)) = (out.as_object_mut(), own.as_object()) {
        out.extend(own.clone());
    }
    out
}

fn content(root: &ContentRoot) -> Value {
    let record = |record: &crate::format::content::Record| match record.is_hole() {
        true => json!({ "hole": true, "len_bytes": record.len_bytes }),
        false => json!({ "blob": record.id, "len_bytes": record.len_bytes }),
    };
    json!({ "depth": root.depth, "content": root.records.iter().map(record).collect::<Vec<_>>() })
}

/// What is in a folder.
pub fn tree(entries: &[Entry]) -> Value {
    json!({ "entries": entries.iter().map(|found| entry(&found.name, found)).collect::<Vec<_>>() })
}

/// Where a blob is.
pub fn blob(id: &BlobId, facts: &BlobFacts) -> Value {
    json!({
        "id": id,
        "kind": kind(facts.kind),
        "len_bytes": facts.len_bytes,
        "pack": facts.pack,
        "writer": facts.writer,
        "segment": facts.segment,
        "offset_in_segment": facts.offset,
        "copies": facts.copies,
    })
}

/// A pack's table of contents.
pub fn pack(record: &PackRecord) -> Value {
    let segment = |segment: &crate::format::pack::Segment| {
        let codec = match segment.codec {
            Codec::None => "none".to_owned(),
            Codec::Zstd => "zstd".to_owned(),
            Codec::Other(number) => number.to_string(),
        };
        let blobs: Vec<Value> =
            segment.blobs.iter().map(|(id, len_bytes)| json!({ "id": id, "len_bytes": len_bytes })).collect();
        json!({ "codec": codec, "stored_bytes": segment.stored_bytes, "plain_bytes": segment.plain_bytes, "blobs": blobs })
    };
    json!({
        "id": record.id,
        "writer": record.writer,
        "kind": kind(record.kind),
        "size_bytes": record.size_bytes,
        "segments": record.segments.iter().map(segment).collect::<Vec<_>>(),
    })
}

/// An index object.
pub fn index(index: &Index) -> Value {
    json!({ "packs": index.packs.iter().map(pack).collect::<Vec<_>>(), "superseded": index.superseded })
}
