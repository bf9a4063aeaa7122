//! What the fuzzer has found worth keeping, once more (`fuzz/run` finds more of it).

use crate::fuzz_bodies::BODIES;
use std::fs;
use std::path::Path;

#[test]
fn what_was_kept_is_harmless() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, body) in BODIES {
        let text = fs::read_to_string(folder.join(format!("{name}.hex"))).unwrap();
        let lines: Vec<_> = text.lines().map(|line| data_encoding::HEXLOWER.decode(line.as_bytes()).unwrap()).collect();
        assert!(lines.len() > 20, "{name}: {} lines", lines.len());
        lines.iter().for_each(|bytes| body(bytes));
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), BODIES.len(), "one file a body");
}
