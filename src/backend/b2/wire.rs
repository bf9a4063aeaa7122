//! What the native API's calls say and answer, of version 4. Unknown fields are passed over; everything is bounded by the length of an answer.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// An answer of b2_authorize_account.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Authorized {
    pub account_id: String,
    pub authorization_token: Zeroizing<String>,
    pub api_info: ApiInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiInfo {
    pub storage_api: StorageApi,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StorageApi {
    pub api_url: String,
    pub download_url: String,
    pub allowed: Allowed,
}

/// What an application key may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allowed {
    /// Names of capabilities, such as `writeFiles`.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The buckets it is restricted to; none if it is not.
    #[serde(default)]
    pub buckets: Option<Vec<AllowedBucket>>,
    /// The prefix of names it is restricted to; none if it is not.
    #[serde(default)]
    pub name_prefix: Option<String>,
}

impl Allowed {
    /// Whether the key has a capability.
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|have| have == capability)
    }

    /// Whether the key reaches names that begin with `prefix`.
    pub fn reaches(&self, prefix: &str) -> bool {
        self.name_prefix.as_deref().is_none_or(|own| prefix.starts_with(own))
    }
}

/// A bucket that a key is restricted to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AllowedBucket {
    /// Its id.
    pub id: String,
    /// Its name; none if it has been deleted.
    #[serde(default)]
    pub name: Option<String>,
}

/// An answer of b2_list_buckets.
#[derive(Deserialize)]
pub(super) struct Buckets {
    pub buckets: Vec<Bucket>,
}

/// A bucket and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// Its id.
    pub bucket_id: String,
    /// Its name.
    pub bucket_name: String,
    /// `allPrivate`, `allPublic`, `snapshot`, …
    #[serde(default)]
    pub bucket_type: String,
    /// Rules that hide and delete by age.
    #[serde(default)]
    pub lifecycle_rules: Vec<LifecycleRule>,
    /// Object Lock; nothing if the vendor's answer has none.
    #[serde(default)]
    pub file_lock_configuration: Option<Readable<FileLock>>,
}

impl Bucket {
    /// The default retention, where the key may read it and there is one: mode and days.
    pub fn default_retention(&self) -> Option<(RetentionMode, u64)> {
        let lock = self.file_lock_configuration.as_ref()?.value.as_ref()?;
        let mode = lock.default_retention.mode?;
        let period = lock.default_retention.period.as_ref()?;
        let days = if period.unit == "years" { period.duration.saturating_mul(365) } else { period.duration };
        Some((mode, days))
    }

    /// Whether Object Lock is on; nothing if the key may not read it.
    pub fn has_lock(&self) -> Option<bool> {
        let lock = self.file_lock_configuration.as_ref()?;
        lock.value.as_ref().filter(|_| lock.is_client_authorized_to_read).map(|lock| lock.is_file_lock_enabled)
    }
}

/// A lifecycle rule of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleRule {
    /// What names it concerns.
    pub file_name_prefix: String,
    /// Hidden versions are deleted after so many days.
    #[serde(default)]
    pub days_from_hiding_to_deleting: Option<u64>,
    /// Files are hidden after so many days.
    #[serde(default)]
    pub days_from_uploading_to_hiding: Option<u64>,
    /// Large files that were begun and not finished are cancelled after so many days.
    #[serde(default)]
    pub days_from_starting_to_canceling_unfinished_large_files: Option<u64>,
}

/// A setting that the key may or may not read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Readable<T> {
    /// Whether it may.
    pub is_client_authorized_to_read: bool,
    /// The setting; nothing if it may not, or there is none.
    #[serde(default = "Option::default")]
    pub value: Option<T>,
}

/// A bucket's Object Lock.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileLock {
    /// Whether it is on.
    #[serde(default)]
    pub is_file_lock_enabled: bool,
    /// What new files get.
    #[serde(default)]
    pub default_retention: DefaultRetention,
}

/// What new files of a bucket get.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct DefaultRetention {
    /// Nothing: no retention.
    #[serde(default)]
    pub mode: Option<RetentionMode>,
    /// For how long.
    #[serde(default)]
    pub period: Option<Period>,
}

/// A length of time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Period {
    /// How many.
    pub duration: u64,
    /// Of what: `days` or `years`.
    pub unit: String,
}

/// How strictly a version is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetentionMode {
    /// Keys with `bypassGovernance` may remove it.
    Governance,
    /// Nobody may.
    Compliance,
}

/// Until when a version is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// How strictly; nothing for not at all.
    #[serde(default)]
    pub mode: Option<RetentionMode>,
    /// Until when, in milliseconds since 1970.
    #[serde(default)]
    pub retain_until_timestamp: Option<i64>,
}

/// What a version is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A whole file.
    Upload,
    /// A marker that hides what is older.
    Hide,
    /// A large file that was begun.
    Start,
    /// No version: a common prefix, where a delimiter was given.
    Folder,
    /// Something newer than this program.
    #[serde(other)]
    Other,
}

/// A version of a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The name, from the bucket's root.
    pub file_name: String,
    /// Its id; none for a folder.
    #[serde(default)]
    pub file_id: Option<String>,
    /// What it is.
    pub action: Action,
    /// Its bytes.
    #[serde(default)]
    pub content_length: u64,
    /// Its SHA-1 in hexadecimal digits, or `none`; `unverified:` may stand before it.
    #[serde(default)]
    pub content_sha1: Option<String>,
    /// When it was stored, in milliseconds since 1970.
    #[serde(default)]
    pub upload_timestamp: i64,
    /// Its retention, where the key may read it.
    #[serde(default)]
    pub file_retention: Option<Readable<Retention>>,
}

/// An answer of b2_list_file_versions and b2_list_file_names.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// In name order, of one name the newest first.
    pub files: Vec<Version>,
    /// Where the next page begins; nothing after the last.
    #[serde(default)]
    pub next_file_name: Option<String>,
    /// As before, among the versions of that name.
    #[serde(default)]
    pub next_file_id: Option<String>,
}

/// An answer of b2_get_upload_url.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UploadUrl {
    pub upload_url: String,
    pub authorization_token: Zeroizing<String>,
}

/// What every failed call answers.
#[derive(Deserialize, Default)]
pub(super) struct Failed {
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub message: String,
}
