//! The fuzzer: the body that `PANTHER_FUZZ` names. `fuzz/run` builds and runs it.

#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

use std::sync::OnceLock;

static BODY: OnceLock<bodies::Body> = OnceLock::new();

libfuzzer_sys::fuzz_target!(init: {
    let name = std::env::var("PANTHER_FUZZ").unwrap_or_default();
    let Some((_, body)) = bodies::BODIES.iter().find(|(own, _)| *own == name) else {
        let all: Vec<_> = bodies::BODIES.iter().map(|(name, _)| *name).collect();
        eprintln!("PANTHER_FUZZ is one of {}", all.join(", "));
        std::process::exit(2);
    };
    let _ = BODY.set(*body);
}, |bytes: &[u8]| {
    if let Some(body) = BODY.get() {
        body(bytes);
    }
});
