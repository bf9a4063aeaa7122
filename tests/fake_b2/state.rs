//! What the fake remembers.

use super::count::{Counts, Logged};
use super::error::ApiError;
use super::handle::Options;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// All that a key may be allowed to do, in the order of the vendor's page on `b2_create_key`.
pub const ALL_CAPABILITIES: [&str; 26] = [
    "listKeys",
    "writeKeys",
    "deleteKeys",
    "listAllBucketNames",
    "listBuckets",
    "readBuckets",
    "writeBuckets",
    "deleteBuckets",
    "readBucketRetentions",
    "writeBucketRetentions",
    "readBucketEncryption",
    "writeBucketEncryption",
    "readBucketReplications",
    "writeBucketReplications",
    "readBucketNotifications",
    "writeBucketNotifications",
    "listFiles",
    "readFiles",
    "shareFiles",
    "writeFiles",
    "deleteFiles",
    "readFileLegalHolds",
    "writeFileLegalHolds",
    "readFileRetentions",
    "writeFileRetentions",
    "bypassGovernance",
];

pub const DAY_MILLIS: i64 = 86_400_000;

/// The time, which tests may move forward.
#[derive(Debug, Default)]
pub struct Clock {
    offset_millis: i64,
}

impl Clock {
    pub fn now_millis(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX) + self.offset_millis
    }

    pub fn advance(&mut self, by: Duration) {
        self.offset_millis += i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4);
    }

    pub fn skew(&mut self, by_millis: i64) {
        self.offset_millis += by_millis;
    }
}

/// An application key.
#[derive(Debug, Clone)]
pub struct Key {
    pub account: String,
    pub id: String,
    pub secret: String,
    pub name: String,
    pub capabilities: Vec<String>,
    /// Bucket ids; none for all buckets.
    pub buckets: Option<Vec<String>>,
    pub prefix: Option<String>,
    pub expires_millis: Option<i64>,
}

impl Key {
    pub fn may(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|own| own == capability)
    }

    pub fn in_bucket(&self, bucket: &str) -> bool {
        self.buckets.as_ref().is_none_or(|own| own.iter().any(|id| id == bucket))
    }

    pub fn covers(&self, name: &str) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()))
    }
}

/// An account authorisation token.
#[derive(Debug, Clone)]
pub struct Token {
    pub key: String,
    pub expires_millis: i64,
}

/// What an upload URL is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadTarget {
    Bucket(String),
    /// A part of this large file.
    File(String),
}

/// An upload URL with its token.
#[derive(Debug, Clone)]
pub struct UploadToken {
    pub key: String,
    pub target: UploadTarget,
    pub expires_millis: i64,
    pub in_use: bool,
    /// Why it may not be used again.
    pub dead: Option<String>,
}

/// How strict a retention is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Governance,
    Compliance,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Governance => "governance",
            Self::Compliance => "compliance",
        }
    }

    pub fn parse(text: &str) -> Result<Self, ApiError> {
        match text {
            "governance" => Ok(Self::Governance),
            "compliance" => Ok(Self::Compliance),
            _ => Err(ApiError::bad_request(format!("invalid retention mode: {text}"))),
        }
    }
}

/// Until when a version cannot be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub mode: Mode,
    pub until_millis: i64,
}

/// What a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Upload,
    Hide,
    /// A large file that is not finished.
    Start,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Hide => "hide",
            Self::Start => "start",
        }
    }
}

/// A part of a large file.
#[derive(Debug, Clone)]
pub struct Part {
    pub sha1: String,
    pub data: Arc<Vec<u8>>,
    pub uploaded_millis: i64,
}

/// One version of a file.
#[derive(Debug, Clone)]
pub struct FileVersion {
    /// Greater for later ones.
    pub sequence: u64,
    pub id: String,
    pub name: String,
    pub action: Action,
    pub uploaded_millis: i64,
    pub content_type: Option<String>,
    pub sha1: Option<String>,
    pub info: BTreeMap<String, String>,
    pub data: Arc<Vec<u8>>,
    pub parts: BTreeMap<u64, Part>,
    pub retention: Option<Retention>,
    pub legal_hold: bool,
}

/// A bucket: versions by name, the newest first.
#[derive(Debug)]
pub struct Bucket {
    pub account: String,
    pub id: String,
    pub name: String,
    pub kind: String,
    pub info: Value,
    pub cors: Value,
    pub lifecycle: Vec<Value>,
    pub lock: bool,
    /// Mode, period and its unit.
    pub default_retention: Option<(Mode, i64, String)>,
    pub encryption: Value,
    pub revision: u64,
    pub files: BTreeMap<String, Vec<FileVersion>>,
}

impl Bucket {
    pub fn versions(&self) -> impl Iterator<Item = &FileVersion> {
        self.files.values().flatten()
    }

    pub fn add(&mut self, version: FileVersion) {
        self.files.entry(version.name.clone()).or_default().insert(0, version);
    }

    pub fn remove(&mut self, name: &str, id: &str) -> Option<FileVersion> {
        let versions = self.files.get_mut(name)?;
        let at = versions.iter().position(|version| version.id == id)?;
        let removed = versions.remove(at);
        if versions.is_empty() {
            self.files.remove(name);
        }
        Some(removed)
    }
}

/// What may be used up. None is no cap.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caps {
    pub storage_bytes: Option<u64>,
    pub download_bytes: Option<u64>,
    pub class_b_calls: Option<u64>,
    pub class_c_calls: Option<u64>,
}

/// Everything.
pub struct World {
    pub endpoint: String,
    pub options: Options,
    pub clock: Clock,
    pub keys: BTreeMap<String, Key>,
    pub tokens: HashMap<String, Token>,
    pub uploads: HashMap<String, UploadToken>,
    /// By id.
    pub buckets: BTreeMap<String, Bucket>,
    pub caps: Caps,
    /// What the caps are measured against; set to nothing by a new day.
    pub day: Counts,
    pub counts: Counts,
    pub log: Vec<Logged>,
    /// Versions that are gone: bytes, since when and until when they were billed.
    pub gone: Vec<(u64, i64, i64)>,
    pub violations: Vec<String>,
    /// Listings leave the newest so many versions out, for so many listings.
    pub stale: (usize, u64),
    next: u64,
}

impl World {
    pub fn new(endpoint: String, options: Options) -> Self {
        Self {
            endpoint,
            options,
            clock: Clock::default(),
            keys: BTreeMap::new(),
            tokens: HashMap::new(),
            uploads: HashMap::new(),
            buckets: BTreeMap::new(),
            caps: Caps::default(),
            day: Counts::default(),
            counts: Counts::default(),
            log: Vec::new(),
            gone: Vec::new(),
            violations: Vec::new(),
            stale: (0, 0),
            next: 0,
        }
    }

    /// A number never given before.
    pub fn serial(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A new account; returns its id, which is that of its master key, and that key's secret.
    pub fn create_account(&mut self) -> (String, String) {
        let id = format!("{:012x}", 0x00a1_b2c3_0000 + self.serial());
        let secret = format!("K000master{:020x}", self.serial());
        let key = Key {
            account: id.clone(),
            id: id.clone(),
            secret: secret.clone(),
            name: "master".to_owned(),
            capabilities: ALL_CAPABILITIES.map(str::to_owned).to_vec(),
            buckets: None,
            prefix: None,
            expires_millis: None,
        };
        self.keys.insert(id.clone(), key);
        (id, secret)
    }

    pub fn bucket(&self, id: &str) -> Result<&Bucket, ApiError> {
        self.buckets.get(id).ok_or_else(|| ApiError::new(400, "bad_bucket_id", format!("Bucket {id} does not exist")))
    }

    pub fn bucket_mut(&mut self, id: &str) -> Result<&mut Bucket, ApiError> {
        self.bucket(id)?;
        self.buckets.get_mut(id).ok_or_else(|| ApiError::not_found("bucket"))
    }

    pub fn find(&self, file_id: &str) -> Option<(&Bucket, &FileVersion)> {
        self.buckets
            .values()
            .find_map(|bucket| Some((bucket, bucket.versions().find(|version| version.id == file_id)?)))
    }

    /// The bucket of the file.
    pub fn place(&self, file_id: &str) -> Option<(String, String)> {
        self.find(file_id).map(|(bucket, version)| (bucket.id.clone(), version.name.clone()))
    }

    pub fn version_mut(&mut self, file_id: &str) -> Option<&mut FileVersion> {
        let (bucket, name) = self.place(file_id)?;
        self.buckets.get_mut(&bucket)?.files.get_mut(&name)?.iter_mut().find(|version| version.id == file_id)
    }

    pub fn stored_bytes(&self) -> u64 {
        let versions = self.buckets.values().flat_map(Bucket::versions);
        versions.map(|v| v.data.len() + v.parts.values().map(|part| part.data.len()).sum::<usize>()).sum::<usize>()
            as u64
    }

    pub fn violation(&mut self, what: String) {
        self.violations.push(what);
    }
}

/// A setting that only some may see.
pub fn guarded(may_read: bool, value: Value) -> Value {
    json!({ "isClientAuthorizedToRead": may_read, "value": if may_read { value } else { Value::Null } })
}
