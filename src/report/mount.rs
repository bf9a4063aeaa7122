//! What was mounted.

use crate::report::json::RawPath;
use crate::report::{text, units};
use serde::Serialize;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Where, and how much.
#[derive(Debug, Serialize)]
pub struct Mounted {
    kind: &'static str,
    #[serde(flatten)]
    path: RawPath,
    snapshots: u64,
    #[serde(skip)]
    shown: String,
}

impl Mounted {
    /// `kind` is `mounted` or `unmounted`.
    pub fn new(kind: &'static str, target: &Path, snapshots: u64) -> Self {
        let raw = target.as_os_str().as_bytes();
        Self { kind, path: RawPath::new(raw), snapshots, shown: text::name(raw) }
    }

    /// For people.
    pub fn text(&self) -> String {
        let Self { kind, shown, .. } = self;
        match *kind {
            "mounted" => {
                let snapshots = units::things(self.snapshots, "snapshot", "snapshots");
                format!("{snapshots} mounted on {shown}; Ctrl-C or `umount` ends it\n")
            }
            _ => format!("{kind} {shown}\n"),
        }
    }
}
