//! Makes the test vectors of the format (`format-spec/14-vectors.md`).
//!
//! `cargo run --example vectors` writes every file below `format-spec/vectors/` anew; `-- --check` only compares; `-- --all` makes age files anew
//! too, which are otherwise kept, because age draws its own randomness.
// Numbers here are small and known.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod age_files;
mod cuts;
mod directory;
mod entry;
mod gc;
mod index;
mod keys;
mod out;
mod pack;
mod record;
mod segments;
mod small;
mod snapshot;
mod versions;
mod world;

use out::Out;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|a| a != "--check" && a != "--all") {
        eprintln!("usage: vectors [--check | --all]");
        return ExitCode::from(2);
    }
    let has = |flag: &str| args.iter().any(|a| a == flag);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("format-spec/vectors");
    let mut out = Out::new(folder, has("--all"));
    small::all(&mut out);
    keys::all(&mut out);
    age_files::all(&mut out);
    cuts::all(&mut out);
    entry::all(&mut out);
    directory::all(&mut out);
    pack::all(&mut out);
    segments::all(&mut out);
    index::all(&mut out);
    snapshot::all(&mut out);
    gc::all(&mut out);
    versions::all(&mut out);
    let differing = if has("--check") { out.check() } else { out.write() };
    if has("--check") && differing > 0 {
        eprintln!("{differing} files are not what would be made");
        return ExitCode::FAILURE;
    }
    println!("{} vectors, {differing} files {}", out.len(), if has("--check") { "differ" } else { "written" });
    ExitCode::SUCCESS
}
