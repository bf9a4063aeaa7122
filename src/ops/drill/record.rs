//! What a restore for practice came to.

use serde::{Deserialize, Serialize};

/// A database whose folder was restored as a whole.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tried {
    /// Its folder.
    pub name: String,
    /// Whether it was started, and asked something.
    pub is_started: bool,
    /// Whether everything that was tried with it went well.
    pub is_good: bool,
}

/// A record of a drill. No names of files are in it, only of subvolumes and of databases' folders: the others are in the report of the run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DrillRecord {
    /// Whose backups were tried.
    pub writer: String,
    /// The machine that did it.
    pub by: String,
    /// When, in seconds since 1970.
    pub at_secs: i64,
    /// How long it took.
    pub elapsed_secs: f64,
    /// Whether everything was as it should be.
    pub success: bool,
    /// The snapshot that was restored from.
    pub snapshot: String,
    /// When that was made, in seconds since 1970.
    pub snapshot_secs: i64,
    /// Whether the whole snapshot was restored, and not a sample.
    pub is_whole: bool,
    /// The subvolume, or source, that was restored as a whole beside a sample.
    pub subvolume: Option<String>,
    /// Files that were restored.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, those that were compared with the snapshot on the machine from which they were backed up.
    pub snapshot_files: u64,
    /// Those that were the same as live files that nobody has touched since.
    pub live_files: u64,
    /// Those whose live files have changed since, or are gone: their ids say that they are right.
    pub changed_files: u64,
    /// Files that are missing, or not what they should be.
    pub wrong_files: u64,
    /// Packs that the snapshot rests on.
    pub packs: u64,
    /// Those of them that were picked at random and read.
    pub read_packs: u64,
    /// Those that were bad.
    pub bad_packs: u64,
    /// At most this share of packs is bad, with a confidence of 95 %.
    pub bad_share: f64,
    /// How long a restore of the whole snapshot would take at the measured speed.
    pub recovery_secs: f64,
    /// How long it may take.
    pub objective_secs: u64,
    /// Databases that were restored.
    pub databases: Vec<Tried>,
    /// What went wrong, in general words.
    pub problems: Vec<String>,
}
