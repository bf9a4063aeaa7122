//! Handlers of what needs no key: CBOR, names, headers, cut points, content, entries, directories.

use super::{Outcome, hex, text, unhex, unhex32};
use panther::chunk::{Chunker, directory_cut, list_cut};
use panther::format::cbor::Dec;
use panther::format::config::Params;
use panther::format::content::{ContentRoot, ListOf, Record, decode_node};
use panther::format::entry::{Boundary, Entry, Node, decode_stream};
use panther::format::header::{Header, Kind};
use panther::format::name::Name;
use panther::format::time::Time;
use panther::id::{BlobId, RepoId};
use serde_json::{Value, json};

/// A map of which the decoder knows no key.
pub fn cbor(input: &Value) -> Outcome {
    let bytes = unhex(&input["map"]);
    let mut d = Dec::new(&bytes);
    d.map(|_, _| Ok(false))?;
    d.finish()?;
    Ok(json!({ "accepted": true }))
}

pub fn name(input: &Value) -> Outcome {
    let name = text(&input["name"]);
    let Some(parsed) = Name::parse(name) else { return Ok(json!({ "ignored": true })) };
    assert_eq!(parsed.to_string(), name);
    let (object, writer) = match &parsed {
        Name::Config => return Ok(json!({ "object": "config" })),
        Name::Key(_) => ("key", None),
        Name::Gc(_) => ("gc", None),
        Name::Pack(writer, _) => ("pack", Some(writer)),
        Name::Index(writer, _) => ("index", Some(writer)),
        Name::Snapshot(writer, _) => ("snapshot", Some(writer)),
    };
    let mut shown = json!({ "object": object, "id": parsed.id() });
    if let Some(writer) = writer {
        shown["writer"] = json!(writer);
    }
    Ok(shown)
}

pub fn header(input: &Value) -> Outcome {
    let all = [Kind::DataPack, Kind::TreePack, Kind::Index, Kind::Snapshot, Kind::Gc];
    let kinds: Vec<Kind> =
        input["kinds"].as_array().unwrap().iter().map(|n| all[n.as_u64().unwrap() as usize - 1]).collect();
    let header = Header::decode(&unhex(&input["header"]), &kinds, &RepoId(unhex32(&input["repository"])))?;
    Ok(json!({ "kind": header.kind as u8, "epoch": header.epoch }))
}

/// Bytes from a list of `{"hex"}`, `{"zeros"}` and `{"noise", "bytes"}`.
pub fn data(parts: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts.as_array().unwrap() {
        if let Some(seed) = part.get("noise") {
            let mut bytes = vec![0; part["bytes"].as_u64().unwrap() as usize];
            blake3::Hasher::new().update(text(seed).as_bytes()).finalize_xof().fill(&mut bytes);
            out.extend(bytes);
        } else if let Some(count) = part.get("zeros") {
            out.resize(out.len() + count.as_u64().unwrap() as usize, 0);
        } else {
            out.extend(unhex(&part["hex"]));
        }
    }
    out
}

pub fn chunking(input: &Value) -> Outcome {
    let p = &input["params"];
    let size = |key: &str| u32::try_from(p[key].as_u64().unwrap()).unwrap();
    let params = Params {
        min_bytes: size("min"),
        avg_bytes: size("avg"),
        max_bytes: size("max"),
        mask_s: p["mask_s"].as_u64().unwrap(),
        mask_l: p["mask_l"].as_u64().unwrap(),
        inline_max_bytes: 0,
    };
    let chunker = Chunker::new(&unhex32(&input["chunker_key"]), &params);
    let data = data(&input["data"]);
    let (mut lengths, mut rest) = (Vec::new(), &data[..]);
    while !rest.is_empty() {
        // What the largest blob holds must be enough to find a cut.
        let window = &rest[..rest.len().min(chunker.max_bytes())];
        assert_eq!(chunker.cut(window), chunker.cut(rest));
        lengths.push(chunker.cut(rest));
        rest = &rest[chunker.cut(rest)..];
    }
    Ok(json!({ "lengths": lengths }))
}

pub fn directory_cuts(input: &Value) -> Outcome {
    let key = unhex32(&input["cut_key"]);
    let number = |value: &Value| value.as_u64().unwrap() as usize;
    let (digits, entry_bytes) = (number(&input["names"]["digits"]), number(&input["entry_bytes"]));
    let (mut cuts, mut size) = (Vec::new(), 0);
    for at in 0..number(&input["names"]["count"]) {
        size += entry_bytes;
        if directory_cut(&key, format!("{}{at:0digits$}", text(&input["names"]["prefix"])).as_bytes(), size) {
            cuts.push(at);
            size = 0;
        }
    }
    Ok(json!({ "cut_after": cuts }))
}

pub fn list_cuts(input: &Value) -> Outcome {
    let (mut cuts, mut since) = (Vec::new(), 0);
    for (at, id) in data(&input["ids"]).as_chunks::<32>().0.iter().enumerate() {
        since += 1;
        if list_cut(since, &BlobId(*id)) {
            cuts.push(at + 1);
            since = 0;
        }
    }
    Ok(json!({ "cut_after": cuts }))
}

fn show_records(records: &[Record]) -> Value {
    records.iter().map(|r| json!({ "id": r.id, "length": r.len_bytes })).collect()
}

pub fn content(input: &Value) -> Outcome {
    let of = if input["of"] == "file" { ListOf::File } else { ListOf::Directory };
    let (records, total) = decode_node(&unhex(&input["node"]), input["depth"].as_u64().unwrap() as u8, of)?;
    let shown = if records.len() > 8 { json!(records.len()) } else { show_records(&records) };
    Ok(json!({ "records": shown, "total": total }))
}

pub fn show_time(time: Time) -> Value {
    json!([time.secs, time.nanos])
}

pub fn show_entry(entry: &Entry) -> Value {
    let mut shown = json!({
        "name": hex(&entry.name), "type": entry.kind() as u8, "mode": entry.mode, "uid": entry.uid, "gid": entry.gid,
        "mtime": show_time(entry.mtime),
    });
    let mut put = |key: &str, value: Value| shown[key] = value;
    if let Some(user) = &entry.user {
        put("user", json!(**user));
    }
    if let Some(group) = &entry.group {
        put("group", json!(**group));
    }
    if let Some(btime) = entry.btime {
        put("btime", show_time(btime));
    }
    if !entry.xattrs.is_empty() {
        put("xattrs", entry.xattrs.iter().map(|(name, value)| json!([hex(name), hex(value)])).collect());
    }
    let root = |root: &ContentRoot| json!({ "depth": root.depth, "records": show_records(&root.records) });
    match &entry.node {
        Node::Inline(bytes) => put("inline", json!(hex(bytes))),
        Node::File(content) | Node::Dir(content) => put("content", root(content)),
        Node::Symlink(target) => put("target", json!(hex(target))),
        Node::Char(major, minor) | Node::Block(major, minor) => put("device", json!([major, minor])),
        Node::Fifo | Node::Socket => {}
    }
    if let Some(link) = entry.link {
        put("link", json!(link));
    }
    if entry.flags != 0 {
        put("flags", json!(entry.flags));
    }
    if let Some(boundary) = entry.boundary {
        put("boundary", json!(if boundary == Boundary::FileSystem { 1 } else { 2 }));
    }
    shown
}

pub fn entry(input: &Value) -> Outcome {
    let bytes = unhex(&input["entry"]);
    let mut d = Dec::new(&bytes);
    let entry = Entry::decode(&mut d, input["root"].as_bool().unwrap())?;
    d.finish()?;
    Ok(show_entry(&entry))
}

pub fn directory(input: &Value) -> Outcome {
    let (mut last, mut names) = (Vec::new(), Vec::new());
    for blob in input["blobs"].as_array().unwrap() {
        decode_stream(&unhex(blob), &mut last, |entry| names.push(hex(&entry.name)))?;
    }
    Ok(json!({ "names": names }))
}
