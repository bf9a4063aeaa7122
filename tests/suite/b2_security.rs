//! What a writer's credentials are good for: backing up. Stolen, with our own code, they read no byte and delete nothing.

use crate::b2_kit::{BUCKET, credential, fake, open, options_with};
use crate::b2_lab::{B2Lab, PREFIX};
use crate::common::{Lab, noise, write};
use crate::damage_world::writer;
use crate::fake_b2::{FakeB2, KeySpec, Kind, WRITER_CAPABILITIES};
use panther::backend::Backend;
use panther::backend::b2::{B2Backend, B2Options};
use panther::error::StoreError;
use panther::format::header::BlobKind;
use panther::format::name::Name;
use panther::id::ObjectId;
use panther::keys::wrap::{Opener, Recipient, new_identity};
use panther::ops::Silent;
use panther::ops::backup::backup;
use panther::ops::check::{Amount, CheckOptions, FindingKind, check};
use panther::repo::Repository;
use panther::repo::reader::BlobReader;
use panther::seal::system_random;
use panther::state::State;
use std::path::Path;
use std::sync::Arc;

const READER: [&str; 3] = ["listBuckets", "listFiles", "readFiles"];
/// In every file's content and in a file's name.
const MARKER: &[u8] = b"quince-marmalade-1789";

/// A repository, and a machine that may only write to it.
struct Scene {
    fake: FakeB2,
    admin: B2Lab,
    /// The writer's credentials for B2, and its key of the repository.
    thief: B2Options,
    secret: String,
}

impl Scene {
    fn new() -> Self {
        let fake = fake();
        let admin = B2Lab::new(&fake);
        let (secret, recipient) = new_identity();
        let role = panther::format::keyfile::Role::Writer;
        let name = writer("server");
        let keys = admin.lab.repo.keys();
        let key = keys.derive_key(role, "server", Some(&name), &mut system_random()).unwrap();
        let object = Recipient::Recipients(vec![recipient]).wrap(&key, 1).unwrap();
        admin.lab.repo.put(&Name::Key(ObjectId::of(&object)), &object).unwrap();
        let writer_key = KeySpec::new(BUCKET, &WRITER_CAPABILITIES).within(&format!("{PREFIX}/writers/server/"));
        let mut thief = options_with(&fake, PREFIX, &writer_key);
        thief.read_credential = Some(credential(&fake, &KeySpec::new(BUCKET, &READER).within(&format!("{PREFIX}/"))));
        Self { fake, admin, thief, secret: secret.to_string() }
    }

    fn store(&self) -> B2Backend {
        open(&self.thief)
    }

    fn repo(&self) -> Repository {
        Repository::open(Arc::new(self.store()), &Opener::identities(&self.secret).unwrap()).unwrap()
    }

    /// Two backups by the writer; the content.
    fn back_up(&self, state: &State) -> Vec<Vec<u8>> {
        let source = self.admin.lab.source();
        let mut contents = Vec::new();
        for n in 0..20u64 {
            let content = [MARKER, b" ", &MARKER.repeat(n as usize * 40), &noise(n, 2_000)].concat();
            write(&source.join(format!("secret{n}/{}", String::from_utf8_lossy(MARKER))), &content);
            contents.push(content);
        }
        let mut options = self.admin.lab.options();
        options.writer = Some(writer("server"));
        for run in 0..2 {
            write(&source.join("changing"), format!("run {run}").as_bytes());
            let report = backup(&self.repo(), state, &options, &Silent).unwrap();
            assert!(report.snapshot.is_some() && report.unreadable.is_empty(), "{:?}", report.unreadable);
        }
        contents
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_restricted_writer_backs_up_and_cannot_delete() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path(), &scene.repo().keys().repo()).unwrap();
    scene.fake.reset_counts();
    scene.back_up(&state);
    let uploaded = scene.fake.log().into_iter().filter(|call| call.kind == Kind::UploadFile);
    assert!(uploaded.filter_map(|call| call.name).all(|name| name.starts_with("lab/writers/server/")));

    let before = scene.fake.names(BUCKET);
    let (thief, mut refused) = (scene.store(), 0);
    let own = format!("{PREFIX}/");
    for name in &before {
        let name = name.strip_prefix(&own).unwrap();
        let error = thief.delete(name).unwrap_err();
        assert!(matches!(error, StoreError::Forbidden(_)), "{name}: {error:?}");
        refused += 1;
    }
    assert!(refused > 5 && scene.fake.names(BUCKET) == before);
    assert!(matches!(thief.tidy_versions("", true), Ok(done) if done.removed_versions == 0));

    // Hiding is all that is left, and takes nothing from whoever reads.
    for name in before.iter().filter(|name| name.starts_with("lab/writers/server/")) {
        thief.hide(name.strip_prefix(&own).unwrap()).unwrap();
    }
    let (repo, state, _folder) = scene.admin.fresh().unwrap();
    let options = CheckOptions { read_data: Some(Amount::All), threads: 2, ..CheckOptions::default() };
    let report = check(&repo, &state, &options, &Silent).unwrap();
    let others: Vec<_> = report.errors.iter().filter(|found| found.kind != FindingKind::Version).collect();
    assert!(others.is_empty() && report.errors.len() > 4, "{others:?} of {}", report.errors.len());
    assert!(repo.backend().oddities().len() > 4, "what was hidden is said");
    let snapshots = repo.snapshots(&repo.statements().unwrap()).unwrap().snapshots;
    let manifest = crate::generations::manifest::Manifest::of(&scene.admin.lab.source());
    let target = tempfile::tempdir().unwrap();
    let last = snapshots.last().unwrap().head.id;
    scene.admin.restore_from(&repo, &state, last, &manifest, &target.path().join("back")).unwrap();
    assert_eq!(scene.fake.violations(), Vec::<String>::new());
}

#[test]
fn a_stolen_writer_reads_no_plaintext() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path(), &scene.repo().keys().repo()).unwrap();
    let contents = scene.back_up(&state);
    let repo = scene.repo();

    // Through the front door: nothing that reads works.
    let code = |done: panther::Result<()>| done.unwrap_err().exit_code();
    assert_eq!(
        code(BlobReader::new(&repo, &state).and_then(|reader| read_blobs(&reader, &scene.admin.lab, &contents))),
        13
    );
    let statements = repo.statements().unwrap();
    assert_eq!(code(repo.snapshots(&statements).map(drop)), 13);
    for epoch in repo.keys().epochs() {
        assert!(repo.keys().private(epoch.number).is_err(), "the private key is here");
    }

    // Through the window: every object that the credentials reach, as it is and as anything the code can make of it.
    let store = scene.store();
    let mut objects = Vec::new();
    store.list("", &mut |object| objects.push(object.name)).unwrap();
    assert!(objects.iter().filter(|name| name.contains("/packs/")).count() >= 3, "{objects:?}");
    for name in &objects {
        let bytes = store.get(name, 1 << 30).unwrap();
        assert!(!contains(&bytes, MARKER), "{name}");
        let parsed = Name::parse(name).unwrap();
        if matches!(parsed, Name::Index(..) | Name::Gc(_) | Name::Snapshot(..)) {
            // Of a snapshot that is the cover: when, and on which host.
            let opened = repo.signed(&parsed, |opened| Ok(opened.plaintext.to_vec()));
            assert!(!contains(&opened.unwrap(), MARKER), "{name}, opened");
        }
        if let Name::Snapshot(..) = parsed {
            let keys = repo.keys();
            let opened =
                repo.signed(&parsed, |opened| opened.open_manifest(keys.private(opened.epoch())?).map(|p| p.to_vec()));
            assert_eq!(opened.unwrap_err().exit_code(), 4, "{name} opens");
        }
    }
    // What the machine remembers holds no content either.
    assert!(!folder_contains(folder.path(), &contents[3][..64]));

    // The admin reads all of it, so there was something to be read.
    let (repo, state, _folder) = scene.admin.fresh().unwrap();
    let statements = repo.statements().unwrap();
    repo.sync(&state, None, &statements).unwrap();
    read_blobs(&BlobReader::new(&repo, &state).unwrap(), &scene.admin.lab, &contents).unwrap();
}

/// Reads the blobs of these files, each of which is one.
fn read_blobs(reader: &BlobReader<'_>, lab: &Lab, contents: &[Vec<u8>]) -> panther::Result<()> {
    for content in contents.iter().filter(|content| content.len() < 16_000) {
        let id = lab.repo.keys().blob_id(BlobKind::Data, content);
        let bytes = reader.blob(BlobKind::Data, &id, content.len() as u64)?;
        assert_eq!(&bytes[..], &content[..]);
    }
    Ok(())
}

fn folder_contains(folder: &Path, part: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() { folder_contains(&path, part) } else { contains(&std::fs::read(path).unwrap(), part) }
    })
}
