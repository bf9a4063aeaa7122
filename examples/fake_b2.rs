//! Runs the fake Backblaze B2 of the tests by hand: `cargo run --example fake_b2`. Nothing is kept when it ends. See docs/b2.md.
#![allow(clippy::unwrap_used)]

#[path = "../tests/fake_b2/mod.rs"]
mod fake_b2;

use clap::Parser;
use fake_b2::{Class, FakeB2, KeySpec, Options, WRITER_CAPABILITIES, Weather};
use serde_json::json;
use std::io::BufRead;
use std::time::Duration;

/// A fake Backblaze B2 on the loopback device, in memory, for trying things out without an account.
#[derive(Parser)]
struct Args {
    /// Port to listen on; any free one if left out
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Name of the bucket to make
    #[arg(long, default_value = "panther-trial")]
    bucket: String,
    /// The writer's key is restricted to names that begin so
    #[arg(long)]
    writer_prefix: Option<String>,
    /// Make the bucket with Object Lock
    #[arg(long)]
    lock: bool,
    /// Added to each call
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS")]
    delay_millis: u64,
    /// Rate that all uploads share; no limit if left out
    #[arg(long, value_name = "BYTES_PER_SECOND")]
    uplink: Option<u64>,
    /// Meet every eighth call with a fault, at random from this seed
    #[arg(long, value_name = "SEED")]
    weather: Option<u64>,
    /// Least bytes of a part of a large file
    #[arg(long, default_value_t = 5_000_000)]
    min_part_bytes: u64,
    /// Print one line of JSON instead of text
    #[arg(long)]
    json: bool,
}

fn main() {
    let args = Args::parse();
    let options = Options { port: args.port, min_part_bytes: args.min_part_bytes, ..Options::default() };
    let fake = FakeB2::with(options).unwrap_or_else(|e| {
        eprintln!("error: cannot listen on port {}: {e}", args.port);
        std::process::exit(1);
    });
    fake.bucket(&args.bucket, json!({ "fileLockEnabled": args.lock }));
    fake.delay(Duration::from_millis(args.delay_millis));
    fake.uplink(args.uplink.unwrap_or(0));
    if let Some(seed) = args.weather {
        fake.weather(Weather::new(seed).at_most(u64::MAX));
    }
    let (master_id, master_key) = fake.master_key();
    let (admin_id, admin_key) = fake.key(&KeySpec::everything(&args.bucket));
    let writer = KeySpec::new(&args.bucket, &WRITER_CAPABILITIES);
    let (writer_id, writer_key) = fake.key(&match &args.writer_prefix {
        Some(prefix) => writer.within(prefix),
        None => writer,
    });
    if args.json {
        let shown = json!({
            "endpoint": fake.endpoint(),
            "bucket": args.bucket,
            "master": { "id": master_id, "key": master_key },
            "admin": { "id": admin_id, "key": admin_key },
            "writer": { "id": writer_id, "key": writer_key },
        });
        println!("{shown}");
    } else {
        println!("endpoint     {}", fake.endpoint());
        println!("bucket       {}", args.bucket);
        println!("master key   {master_id} {master_key}   (everything, all buckets)");
        println!("admin key    {admin_id} {admin_key}   (everything, this bucket)");
        println!("writer key   {writer_id} {writer_key}   (lists, reads and writes; cannot delete)");
        println!("Everything is in memory and goes away with Ctrl-C. Commands: counts, expire, advance SECONDS, quit.");
    }
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["counts"] => print_counts(&fake),
            ["expire"] => fake.expire_tokens(),
            ["advance", secs] => match secs.parse() {
                Ok(secs) => fake.advance(Duration::from_secs(secs)),
                Err(_) => eprintln!("advance takes seconds"),
            },
            ["quit"] => return,
            [] => {}
            _ => eprintln!("commands: counts, expire, advance SECONDS, quit"),
        }
    }
    // Started without a terminal: goes on until it is killed.
    loop {
        std::thread::park();
    }
}

/// One line of JSON.
fn print_counts(fake: &FakeB2) {
    let counts = fake.counts();
    let calls: serde_json::Map<_, _> =
        counts.calls.iter().map(|(kind, count)| (kind.api().to_owned(), json!(count))).collect();
    let shown = json!({
        "calls": calls,
        "class_a_calls": counts.class(Class::A),
        "class_b_calls": counts.class(Class::B),
        "class_c_calls": counts.class(Class::C),
        "uploaded_bytes": counts.uploaded_bytes,
        "downloaded_bytes": counts.downloaded_bytes,
        "stored_bytes": fake.stored_bytes(),
        "violations": fake.violations(),
    });
    println!("{shown}");
}
