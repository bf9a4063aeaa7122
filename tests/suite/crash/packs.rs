//! What lies in a repository, read pack by pack.

use crate::cli_common::{PASSWORD, Sandbox};
use panther::backend::Backend;
use panther::backend::local::LocalBackend;
use panther::format::header::{BlobKind, Header};
use panther::format::index::Index;
use panther::format::name::Name;
use panther::format::pack::{PREAMBLE_BYTES, Segment, TRAILER_BYTES, Trailer, decode_toc};
use panther::id::{BlobId, ObjectId};
use panther::keys::wrap::Opener;
use panther::repo::Repository;
use panther::seal::PackSeal;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

pub fn open(sandbox: &Sandbox) -> Repository {
    let backend: Arc<dyn Backend> = Arc::new(LocalBackend::open(&sandbox.path("repo")).unwrap());
    Repository::open(backend, &Opener::Passphrase(PASSWORD.to_owned().into())).unwrap()
}

/// The packs that are in the store: path and size.
pub fn stored(sandbox: &Sandbox) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut todo = vec![sandbox.path("repo/writers")];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.components().any(|part| part.as_os_str() == "packs") {
                found.extend(entry.metadata().map(|meta| (path, meta.len())));
            }
        }
    }
    found
}

/// A pack as its own table of contents describes it.
pub fn table(repo: &Repository, name: &Name) -> (BlobKind, Vec<Segment>) {
    let text = name.to_string();
    let size = repo.backend().size(&text).unwrap();
    let part = |offset, len| repo.backend().get_range(&text, offset, len).unwrap();
    let preamble = part(0, PREAMBLE_BYTES);
    let header = Header::decode(&preamble, name.kinds(), &repo.config().repo).unwrap();
    let private = repo.keys().private(header.epoch).unwrap();
    let seal = PackSeal::open(preamble.first_chunk().unwrap(), private).unwrap();
    let end = part(size - TRAILER_BYTES as u64, TRAILER_BYTES);
    let trailer = Trailer::decode(end.first_chunk().unwrap(), size).unwrap();
    let mut toc = part(size - TRAILER_BYTES as u64 - u64::from(trailer.toc_bytes), trailer.toc_bytes as usize);
    seal.open_toc(&mut toc).unwrap();
    let segments = decode_toc(&toc).unwrap();
    trailer.check(&segments, size).unwrap();
    let kind = if header.kind == BlobKind::Data.pack() { BlobKind::Data } else { BlobKind::Tree };
    (kind, segments)
}

/// Fails if a blob lies in two packs, or if an index object does not say of a pack what the pack says itself. Returns how many blobs there are.
pub fn assert_nothing_twice(sandbox: &Sandbox) -> usize {
    assert_no_blob_twice(&open(sandbox), &HashSet::new())
}

/// As [`assert_nothing_twice`], in any store. `late` are packs that came when nobody waited for them any more: those that no index object names do not count.
/// Returns these.
pub fn assert_nothing_twice_in(repo: &Repository, late: &HashSet<String>) -> HashSet<String> {
    let names: Vec<Name> = repo.list("writers/").unwrap().into_iter().map(|(name, _)| name).collect();
    let mut named = HashSet::new();
    for name in names.iter().filter(|name| matches!(name, Name::Index(..))) {
        let index = repo.signed(name, |opened| Index::decode(&opened.plaintext)).unwrap();
        named.extend(index.packs.into_iter().map(|pack| pack.id));
    }
    let is_orphan = |name: &&Name| late.contains(&name.to_string()) && !named.contains(&name.id().unwrap());
    let orphans: HashSet<String> = names.iter().filter(is_orphan).map(Name::to_string).collect();
    assert_no_blob_twice(repo, &orphans);
    orphans
}

fn assert_no_blob_twice(repo: &Repository, but: &HashSet<String>) -> usize {
    let mut packs: HashMap<ObjectId, (BlobKind, Vec<Segment>)> = HashMap::new();
    let mut blobs: HashMap<(u8, BlobId), Name> = HashMap::new();
    let names: Vec<Name> = repo.list("writers/").unwrap().into_iter().map(|(name, _)| name).collect();
    for name in names.iter().filter(|name| matches!(name, Name::Pack(..)) && !but.contains(&name.to_string())) {
        let (kind, segments) = table(repo, name);
        for (id, _) in segments.iter().flat_map(|segment| &segment.blobs) {
            if let Some(other) = blobs.insert((kind.pack() as u8, *id), name.clone()) {
                panic!("{kind:?} blob {id} is in {other} and in {name}");
            }
        }
        packs.insert(name.id().unwrap(), (kind, segments));
    }
    let mut indexed = 0;
    for name in names.iter().filter(|name| matches!(name, Name::Index(..))) {
        for pack in repo.signed(name, |opened| Index::decode(&opened.plaintext)).unwrap().packs {
            assert_eq!(packs.get(&pack.id), Some(&(pack.kind, pack.segments)), "{name} on pack {}", pack.id);
            indexed += 1;
        }
    }
    assert!(indexed >= packs.len(), "{indexed} packs are in index objects, {} in the store", packs.len());
    blobs.len()
}
