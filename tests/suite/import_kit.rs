//! Repositories of the real restic, to import from.

use crate::cli_common::{Run, Sandbox, run};
use aes::cipher::{BlockEncrypt, KeyInit, KeyIvInit, StreamCipher};
use data_encoding::BASE64;
use poly1305::universal_hash::KeyInit as _;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The password of the restic repositories.
pub const RESTIC_PASSWORD: &str = "restic's own";

/// A command of restic's on the repository `restic` of the sandbox, run in `folder` below it.
pub fn command(sandbox: &Sandbox, folder: &str) -> Command {
    let mut command = Command::new("restic");
    command.env_clear().current_dir(sandbox.path(folder)).stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TZ", "UTC").env("HOME", sandbox.temp.path());
    command.env("RESTIC_REPOSITORY", sandbox.path("restic")).env("RESTIC_PASSWORD", RESTIC_PASSWORD);
    command.args(["--no-cache", "--quiet"]);
    command
}

/// Runs what must succeed.
pub fn restic<A: AsRef<OsStr> + std::fmt::Debug>(sandbox: &Sandbox, folder: &str, arguments: &[A]) -> String {
    let done = run(command(sandbox, folder).args(arguments));
    assert_eq!(done.code, 0, "restic {arguments:?}: {}", done.err);
    done.out
}

/// A sandbox with an empty repository of panther's and one of restic's, of this version of its format.
pub fn sandbox(version: u8) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("restic-password", format!("{RESTIC_PASSWORD}\n"));
    restic(&sandbox, ".", &["init", "--repository-version", &version.to_string()]);
    cheap_key(&sandbox.path("restic"));
    sandbox
}

pub const IMPORT: [&str; 5] = ["import", "restic", "restic", "--from-password-file", "restic-password"];

/// Imports with more arguments.
pub fn import(sandbox: &Sandbox, more: &[&str]) -> Run {
    sandbox.run(&[&IMPORT[..], &["--json", "-q"], more].concat())
}

/// The ids of restic's snapshots, oldest first.
pub fn snapshots(sandbox: &Sandbox) -> Vec<serde_json::Value> {
    let all: Vec<serde_json::Value> = serde_json::from_str(&restic(sandbox, ".", &["snapshots", "--json"])).unwrap();
    let mut all = all;
    all.sort_by_key(|snapshot| snapshot["time"].as_str().unwrap().to_owned());
    all
}

/// The packs of restic's repository.
pub fn packs(sandbox: &Sandbox) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(sandbox.path("restic/data"))
        .unwrap()
        .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

/// restic makes keys that take half a second to open, and has no option for less. So the one key is wrapped anew, by the lowest cost.
fn cheap_key(folder: &Path) {
    let old = fs::read_dir(folder.join("keys")).unwrap().next().unwrap().unwrap().path();
    let mut file: serde_json::Value = serde_json::from_slice(&fs::read(&old).unwrap()).unwrap();
    let bytes = |field: &str| BASE64.decode(file[field].as_str().unwrap().as_bytes()).unwrap();
    let (salt, mut sealed) = (bytes("salt"), bytes("data"));
    let user = |n: u64, p: u32| {
        let (mut out, r) = ([0; 64], u32::try_from(file["r"].as_u64().unwrap()).unwrap());
        let params = scrypt::Params::new(n.trailing_zeros() as u8, r, p, 64).unwrap();
        scrypt::scrypt(RESTIC_PASSWORD.as_bytes(), &salt, &params, &mut out).unwrap();
        out
    };
    let cipher = |key: &[u8; 64], iv: &[u8; 16], text: &mut [u8]| {
        let key: [u8; 32] = key[..32].try_into().unwrap();
        ctr::Ctr128BE::<aes::Aes256>::new(&key.into(), &(*iv).into()).apply_keystream(text);
    };
    let dear = user(file["N"].as_u64().unwrap(), u32::try_from(file["p"].as_u64().unwrap()).unwrap());
    let cheap = user(16, 1);
    let iv: [u8; 16] = sealed[..16].try_into().unwrap();
    let end = sealed.len() - 16;
    cipher(&dear, &iv, &mut sealed[16..end]);
    cipher(&cheap, &iv, &mut sealed[16..end]);
    let k: [u8; 16] = cheap[32..48].try_into().unwrap();
    let mut pad = iv.into();
    aes::Aes128::new(&k.into()).encrypt_block(&mut pad);
    let key: [u8; 32] = [&cheap[48..], &pad[..]].concat().try_into().unwrap();
    let mac = poly1305::Poly1305::new((&key).into()).compute_unpadded(&sealed[16..end]);
    sealed[end..].copy_from_slice(&mac);
    file["N"] = 16.into();
    file["p"] = 1.into();
    file["data"] = BASE64.encode(&sealed).into();
    let file = serde_json::to_vec(&file).unwrap();
    let name = data_encoding::HEXLOWER.encode(&Sha256::digest(&file));
    fs::write(old.with_file_name(name), file).unwrap();
    fs::remove_file(old).unwrap();
}
