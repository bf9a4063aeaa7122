use panther::backend::local::LocalBackend;
use panther::keys::wrap::{Opener, Recipient};
use panther::ops::backup::*;
use panther::ops::*;
use panther::repo::Repository;
use panther::state::State;
use std::sync::Arc;
struct P;
impl Progress for P {
    fn stage(&self, w: &'static str, _: Totals) { eprintln!("stage {w}"); }
    fn advance(&self, _: u64, _: u64) {}
    fn warn(&self, m: &str) { eprintln!("warn {m}"); }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let repo_dir = std::path::Path::new(&a[1]);
    let fresh = !repo_dir.exists();
    let b = Arc::new(LocalBackend::create(repo_dir).unwrap());
    let pw = age::secrecy::SecretString::from("x".to_string());
    let repo = if fresh { Repository::init(b, &Recipient::Passphrase(pw), "t", 10).unwrap() } else { Repository::open(b, &Opener::Passphrase(pw)).unwrap() };
    let state = State::open(std::path::Path::new(&a[2]), &repo.keys().repo()).unwrap();
    let level = std::env::var("LEVEL").ok().and_then(|l| l.parse().ok()).unwrap_or(3);
    let o = BackupOptions { paths: vec![a[3].clone().into()], tags: vec![], host: "h".into(), writer: None, excludes: Default::default(), level, dry_run: false, force: false, skip_if_unchanged: false, threads: 0 };
    let r = backup(&repo, &state, &o, &P).unwrap();
    println!("{r:#?}");
}
