//! A small repository in memory to be damaged, and reading all of it back.

use panther::backend::memory::MemoryBackend;
use panther::backend::{Backend, Body};
use panther::error::Result;
use panther::format::content::ListOf;
use panther::format::entry::{Entry, Node};
use panther::format::gc::{Condemned, Gc};
use panther::format::header::{BlobKind, Kind};
use panther::format::index::Index;
use panther::format::keyfile::{KeyFile, Role};
use panther::format::name::Name;
use panther::format::time::Time;
use panther::id::{ObjectId, WriterName};
use panther::keys::wrap::{Opener, Recipient, new_identity};
use panther::ops::Silent;
use panther::ops::backup::{BackupOptions, backup};
use panther::repo::Repository;
use panther::repo::reader::BlobReader;
use panther::seal::{Signer, system_random};
use panther::source::ExcludeOptions;
use panther::state::State;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// All objects of a store.
pub type Objects = BTreeMap<String, Vec<u8>>;
/// Snapshot and path; a folder whose entries cannot be read ends in `/`.
pub type Place = (ObjectId, String);

/// What reading gave.
pub type Found = BTreeMap<Place, Result<Vec<u8>>>;

/// A repository and what is in it.
pub struct World {
    pub objects: Objects,
    /// Secret lines of identities: two admins and a writer.
    pub admin: String,
    pub second: String,
    pub writer: String,
    /// The name of the first admin's key file.
    pub admin_key: String,
    /// The plaintext of that key file, and to whom it is wrapped.
    pub key_plaintext: Vec<u8>,
    pub recipient: age::x25519::Recipient,
    /// What every file of every snapshot holds.
    pub files: BTreeMap<Place, Vec<u8>>,
    /// The snapshot that was forgotten, and its name.
    pub forgotten: ObjectId,
    /// Where states are made.
    pub folder: tempfile::TempDir,
}

pub fn random_bytes(seed: u64, len_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; len_bytes];
    ChaCha8Rng::seed_from_u64(seed).fill(&mut bytes[..]);
    bytes
}

pub fn writer(name: &str) -> WriterName {
    WriterName::new(name).unwrap()
}

pub fn store_of(objects: &Objects) -> MemoryBackend {
    let store = MemoryBackend::new();
    for (name, bytes) in objects {
        store.put(name, Body::Bytes(bytes)).unwrap();
    }
    store
}

pub fn objects_of(store: &MemoryBackend) -> Objects {
    let mut names = Vec::new();
    store.list("", &mut |object| names.push(object.name)).unwrap();
    names.into_iter().map(|name| (name.clone(), store.get(&name, 1 << 30).unwrap())).collect()
}

pub fn open(store: impl Backend + 'static, secret: &str) -> Result<Repository> {
    Repository::open(Arc::new(store), &Opener::identities(secret)?)
}

fn options(source: &Path, writer_name: &str) -> BackupOptions {
    BackupOptions {
        paths: vec![source.to_owned()],
        tags: Vec::new(),
        host: writer_name.to_owned(),
        writer: Some(writer(writer_name)),
        excludes: ExcludeOptions::default(),
        level: 3,
        dry_run: false,
        force: true,
        skip_if_unchanged: false,
        threads: 1,
        snapshots: Default::default(),
        databases: Vec::new(),
        hooks: Default::default(),
        subvolumes: Default::default(),
    }
}

/// Wraps `plaintext` for `recipient`: the bytes of a key object, whatever they hold.
pub fn age_file(plaintext: &[u8], recipient: &age::x25519::Recipient) -> Vec<u8> {
    let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient as &dyn age::Recipient)).unwrap();
    let mut object = Vec::new();
    let mut writer = encryptor.wrap_output(&mut object).unwrap();
    writer.write_all(plaintext).unwrap();
    writer.finish().unwrap();
    object
}

/// The name that the bytes give an object that lies beside `name`.
pub fn renamed(name: &str, bytes: &[u8]) -> String {
    let id = ObjectId::of(bytes);
    match Name::parse(name).unwrap() {
        Name::Config => Name::Config,
        Name::Key(_) => Name::Key(id),
        Name::Pack(w, _) => Name::Pack(w, id),
        Name::Index(w, _) => Name::Index(w, id),
        Name::Snapshot(w, _) => Name::Snapshot(w, id),
        Name::Gc(_) => Name::Gc(id),
    }
    .to_string()
}

fn write_source(source: &Path, run: u64) {
    for n in 0..12u64 {
        fs::write(source.join(format!("small-{n}")), format!("run {} file {n}", if n == 3 { run } else { 0 })).unwrap();
    }
    for n in 0..3u64 {
        let folder = source.join(format!("folder-{n}/below"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("middle"), random_bytes(n, 3_000)).unwrap();
        fs::write(folder.join("large"), random_bytes(100 + n + if n == 1 { run * 10 } else { 0 }, 150_000)).unwrap();
    }
    fs::write(source.join(format!("only-{run}")), random_bytes(1_000 + run, 70_000)).unwrap();
}

impl World {
    /// Four snapshots by two writers, one of them forgotten; three keys; two gc objects.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::create_dir(&source).unwrap();
        let store = MemoryBackend::new();
        let (admin, recipient) = new_identity();
        let to = Recipient::Recipients(vec![recipient.clone()]);
        let repo = Repository::init(Arc::new(store.clone()), &to, "admin", 1).unwrap();
        let key = repo.keys().own();
        let key_plaintext = KeyFile::wrap(&key.body, &key.signature).to_vec();
        let add_key = |role, name: Option<&WriterName>| {
            let (secret, recipient) = new_identity();
            let key = repo.keys().derive_key(role, "another", name, &mut system_random()).unwrap();
            let object = Recipient::Recipients(vec![recipient]).wrap(&key, 1).unwrap();
            repo.put(&Name::Key(ObjectId::of(&object)), &object).unwrap();
            secret.to_string()
        };
        let second = add_key(Role::Admin, None);
        let writer_secret = add_key(Role::Writer, Some(&writer("gamma")));

        let state = State::open(&folder.path().join("state"), &repo.keys().repo()).unwrap();
        let mut made = Vec::new();
        for (run, name) in [(1, "alpha"), (2, "alpha"), (3, "beta"), (4, "alpha")] {
            write_source(&source, run);
            made.push(backup(&repo, &state, &options(&source, name), &Silent).unwrap().snapshot.unwrap());
        }
        let now = Time::now();
        let nothing = Gc { created: now, ..Gc::default() };
        let forgets = Gc { forgotten: vec![made[0]], ..nothing.clone() };
        let packs = vec![(writer("alpha"), vec![ObjectId::of(b"a pack that was removed")])];
        let condemns = Gc { condemned: Some(Condemned { not_before: now, packs }), ..nothing };
        let signer = repo.keys().signer(Some(&writer("alpha"))).unwrap();
        for gc in [forgets, condemns] {
            let object = signer.seal(Kind::Gc, repo.keys().current_epoch(), gc.encode(), &mut system_random());
            repo.put(&Name::Gc(ObjectId::of(&object)), &object).unwrap();
        }
        store.delete(&Name::Snapshot(writer("alpha"), made[0]).to_string()).unwrap();

        let mut world = Self {
            objects: objects_of(&store),
            admin: admin.to_string(),
            second,
            writer: writer_secret,
            admin_key: Name::Key(repo.key_id()).to_string(),
            key_plaintext,
            recipient,
            files: BTreeMap::new(),
            forgotten: made[0],
            folder,
        };
        let (read, bad) = read_all(&repo, &world.new_state(&repo)).unwrap();
        assert!(bad.is_empty(), "{bad:?}");
        world.files = read.into_iter().map(|(place, bytes)| (place, bytes.unwrap())).collect();
        // What was read back is what was there.
        let large = source.join("folder-1/below/large");
        assert_eq!(world.files[&(made[3], large.to_str().unwrap().to_owned())], fs::read(&large).unwrap());
        assert!(world.files.len() > 50, "{}", world.files.len());
        world
    }

    /// An empty state.
    pub fn new_state(&self, repo: &Repository) -> State {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        State::open(&folder, &repo.keys().repo()).unwrap()
    }

    /// The repository as it is.
    pub fn repo(&self) -> Repository {
        open(store_of(&self.objects), &self.admin).unwrap()
    }

    pub fn signer(&self, repo: &Repository, name: &str) -> Signer {
        repo.keys().signer(Some(&writer(name))).unwrap()
    }

    /// The names of all objects of these beginnings.
    pub fn names(&self, part: &str) -> Vec<String> {
        self.objects.keys().filter(|name| name.contains(part)).cloned().collect()
    }

    /// The names of all packs of one kind.
    pub fn packs(&self, kind: BlobKind) -> Vec<String> {
        let number = kind.pack() as u8;
        self.names("/packs/").into_iter().filter(|name| self.objects[name][8] == number).collect()
    }

    /// The objects after `change` was made to the index object that names `pack`, which is signed anew.
    pub fn with_index(&self, pack: &str, change: impl Fn(&mut Index)) -> Objects {
        let repo = self.repo();
        let Some(Name::Pack(owner, id)) = Name::parse(pack) else { panic!("{pack} is no pack") };
        let mut objects = self.objects.clone();
        for name in self.names("/index/") {
            let read = repo.signed(&Name::parse(&name).unwrap(), |opened| Index::decode(&opened.plaintext));
            let mut index = read.unwrap();
            if index.packs.iter().any(|p| p.id == id) {
                change(&mut index);
                let epoch = repo.keys().current_epoch();
                let signer = self.signer(&repo, owner.as_str());
                let object = signer.seal(Kind::Index, epoch, index.encode(), &mut system_random());
                objects.remove(&name);
                objects.insert(renamed(&name, &object), object);
            }
        }
        objects
    }

    /// The objects after the bytes of `pack` were changed and all names made right again; the pack's new name.
    pub fn with_pack(&self, pack: &str, bytes: Vec<u8>) -> (Objects, String) {
        let Some(Name::Pack(_, old)) = Name::parse(pack) else { panic!("{pack} is no pack") };
        let mut objects = self.with_index(pack, |index| {
            for record in index.packs.iter_mut().filter(|p| p.id == old) {
                record.id = ObjectId::of(&bytes);
                record.size_bytes = bytes.len() as u64;
            }
        });
        objects.remove(pack);
        let name = renamed(pack, &bytes);
        objects.insert(name.clone(), bytes);
        (objects, name)
    }
}

/// Everything that can be read of all snapshots, and what is wrong with index objects and snapshots.
pub fn read_all(repo: &Repository, state: &State) -> Result<(Found, Vec<panther::Error>)> {
    let statements = repo.statements()?;
    let mut bad = repo.sync(state, None, &statements)?.bad;
    let listing = repo.snapshots(&statements)?;
    bad.extend(listing.bad);
    let reader = BlobReader::new(repo, state)?;
    let mut found = BTreeMap::new();
    for snapshot in &listing.snapshots {
        for root in &snapshot.manifest.roots {
            let path = String::from_utf8_lossy(&root.path).into_owned();
            read_entry(&reader, snapshot.head.id, path, &root.entry, &mut found);
        }
    }
    Ok((found, bad))
}

fn read_entry(reader: &BlobReader<'_>, snapshot: ObjectId, path: String, entry: &Entry, found: &mut Found) {
    match &entry.node {
        Node::Inline(bytes) | Node::Symlink(bytes) => {
            found.insert((snapshot, path), Ok(bytes.clone()));
        }
        Node::File(root) => {
            let mut bytes = Vec::new();
            let read = reader.each_record(root, ListOf::File, &mut |record| {
                bytes.extend_from_slice(&reader.blob(BlobKind::Data, &record.id, record.len_bytes)?);
                Ok(())
            });
            found.insert((snapshot, path), read.map(|()| bytes));
        }
        Node::Dir(root) => {
            let mut entries = Vec::new();
            let read = reader.each_entry(root, &mut |entry| {
                entries.push(entry);
                Ok(())
            });
            if let Err(error) = read {
                found.insert((snapshot, format!("{path}/")), Err(error));
            }
            for entry in entries {
                let path = format!("{path}/{}", String::from_utf8_lossy(&entry.name));
                read_entry(reader, snapshot, path, &entry, found);
            }
        }
        _ => {}
    }
}
