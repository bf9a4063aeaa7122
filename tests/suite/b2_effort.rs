//! `--compression auto` over a slow uplink.

use crate::b2_kit::{fake, open, options};
use crate::common::passphrase;
use panther::backend::b2::limit::Schedule;
use panther::format::header::BlobKind;
use panther::id::WriterName;
use panther::keys::wrap::Recipient;
use panther::repo::Repository;
use panther::repo::dedup::Dedup;
use panther::repo::writer::{AUTO, DEFAULT_LEVEL, WriteOptions, with_writer};
use panther::state::State;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// Sources of this program, so many times over, each time in other letters: real text, of which harder work makes less.
fn texts(rounds: u8) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                None => folders.push(path),
                Some(_) => files.push(std::fs::read(path).unwrap()),
            }
        }
    }
    let turned = |byte: u8, round: u8| if byte.is_ascii_lowercase() { (byte - b'a' + round) % 26 + b'a' } else { byte };
    (0..rounds)
        .flat_map(|round| files.iter().map(move |f| f.iter().map(|byte| turned(*byte, round)).collect()))
        .collect()
}

/// Stores the blobs over an uplink, with a bandwidth limit; how many bytes of packs that made.
fn store(level: i32, uplink_bytes_per_sec: u64, limit: &str, blobs: &[Vec<u8>]) -> u64 {
    let fake = fake();
    let folder = tempfile::tempdir().unwrap();
    let recipient = Recipient::Passphrase(passphrase());
    let mut place = options(&fake, "");
    place.upload_limit = Schedule::parse(limit).unwrap();
    let repo = Repository::init(Arc::new(open(&place)), &recipient, "test", 2).unwrap();
    let state = State::open(&folder.path().join("state"), &repo.keys().repo()).unwrap();
    let signer = repo.keys().signer(Some(&WriterName::new("w").unwrap())).unwrap();
    let dedup = Mutex::new(Dedup::new(state.blob_view().unwrap(), HashSet::new()));
    let session = state.begin_session().unwrap();
    let options = WriteOptions {
        level,
        threads: 2,
        data_pack_bytes: 512 << 10,
        tree_pack_bytes: 2 << 20,
        spool: folder.path().join("spool"),
        dry_run: false,
    };
    fake.uplink(uplink_bytes_per_sec);
    let ((), stats) = with_writer(&repo, &state, &signer, session, &dedup, Vec::new(), &options, |writer| {
        for blob in blobs {
            writer.add(BlobKind::Data, repo.keys().blob_id(BlobKind::Data, blob), blob)?;
        }
        Ok(())
    })
    .unwrap();
    stats.pack_bytes
}

#[test]
fn auto_makes_less_over_a_slow_uplink() {
    let blobs = texts(24);
    let usual = store(DEFAULT_LEVEL, 0, "0", &blobs);
    let auto = store(AUTO, 1_000_000, "0", &blobs);
    assert!(auto < usual * 97 / 100, "{auto} after {usual}");
}

/// What is one pack is packed before anything is sent: only the limit tells that the time is there.
#[test]
fn auto_makes_less_under_a_limit_from_the_first_segment_on() {
    let blobs = texts(1);
    let usual = store(DEFAULT_LEVEL, 0, "0", &blobs);
    let auto = store(AUTO, 0, "300k", &blobs);
    assert!(auto < usual * 97 / 100, "{auto} after {usual}");
    assert_eq!(store(AUTO, 0, "0", &blobs), usual);
}
