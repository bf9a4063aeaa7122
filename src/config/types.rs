//! The file's tables. What is left out has the default of the program, as `docs/config.md` says it.

pub use super::keep::{GroupBy, Preset, Retention, Snapshots};
pub use super::money::{HostClass, Objective, Prices};
use super::values::{
    AbsolutePath, Calendar, Clock, Command, Compression, Dogstatsd, Dollars, Rate, Size, Time, Url, Writer,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The configuration of panther.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The profile that is used where none is named. Not needed where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_profile: Option<String>,
    /// The profiles by name.
    pub profiles: BTreeMap<String, Profile>,
}

/// A repository, what goes into it, and how it is kept.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// The repository, as --repo has it: a folder, or b2://BUCKET/PREFIX.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// A file with the passphrase, as --password-file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<AbsolutePath>,
    /// A command whose output's first line is the passphrase, as --password-command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_command: Option<Command>,
    /// A file with age identities, as --identity-file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_file: Option<AbsolutePath>,
    /// Where the local state is, as --state-dir.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<AbsolutePath>,
    /// Under which name an admin's key writes, as --writer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writer: Option<Writer>,
    /// How Backblaze B2 is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b2: Option<B2>,
    /// What is backed up where `panther backup` is given no path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Databases among the sources, and what is done before and after their snapshots.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<Database>,
    /// How it is backed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// Which snapshots of the repository are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Snapshots that stay on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<Snapshots>,
    /// When what is done. The NixOS module makes timers of it; the program itself waits for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// How fast data may go over the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// What it may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Prices that differ from those that the program knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<Prices>,
    /// What this machine is to keep to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
    /// The same for other hosts of the repository, by the name that they write under.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, Objective>,
    /// Where figures of each run go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Restores for practice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// A page that shows how backups are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// Keys of Backblaze B2. A key's file has its id and the key itself on two lines, or ID:KEY on one.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct B2 {
    /// The file with the application key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<AbsolutePath>,
    /// The file with a second key that may only read, where the first reaches this writer's own objects only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_key_file: Option<AbsolutePath>,
    /// Another address of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Url>,
}

/// What is to be done with subvolumes inside another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Nested {
    /// They are left out, and the report names them.
    #[default]
    Skip,
    /// They are backed up too, each from a snapshot of its own.
    Follow,
}

/// A file or folder, or a Btrfs subvolume.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Source {
    /// A file or folder. Either this or subvolume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<AbsolutePath>,
    /// A Btrfs subvolume, read from a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subvolume: Option<AbsolutePath>,
    /// So old may its newest backup be, where that is not what the machine's objective says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_point: Option<Time>,
    /// What is done with subvolumes below it.
    #[serde(skip_serializing_if = "is_default")]
    pub nested: Nested,
    /// Take the newest snapshot of this folder instead of making one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_of: Option<AbsolutePath>,
}

/// A sort of database.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseKind {
    /// PostgreSQL.
    Postgresql,
    /// Redis, or Valkey.
    Redis,
    /// Something else, with hooks.
    Other,
}

/// A database, and what is done around its snapshot. The subvolumes of one database are one atomic set.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Database {
    /// What it is.
    pub kind: DatabaseKind,
    /// What it is called in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which of the sources it lives in.
    pub sources: Vec<AbsolutePath>,
    /// The folder of its archived write-ahead log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wal_archive: Option<AbsolutePath>,
    /// How to reach it: psql or redis-cli with its options; the program adds what to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Command>,
    /// Run before the snapshot. If it fails, this database is left out and reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Command>,
    /// Run after the snapshot, also if something failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Command>,
    /// How long each of these may take; 5min where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Time>,
}

/// How sources are backed up.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Backup {
    /// Patterns of what is left out, as --exclude.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The same without regard to the case of letters, as --iexclude.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub iexclude: Vec<String>,
    /// Files of patterns, as --exclude-file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_files: Vec<AbsolutePath>,
    /// Whether to leave out folders with a CACHEDIR.TAG, as --exclude-caches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_caches: Option<bool>,
    /// Leave out files larger than this, as --exclude-larger-than.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_larger_than: Option<Size>,
    /// Whether to stay on the file systems of the sources, as --one-file-system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_file_system: Option<bool>,
    /// Tags of the snapshot, as --tag.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The host name that snapshots get, as --host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// As --compression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Whether to make no snapshot if nothing has changed, as --skip-if-unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_if_unchanged: Option<bool>,
}

/// When what is done.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Schedule {
    /// `panther backup`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Calendar>,
    /// Local snapshots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Calendar>,
    /// Archived write-ahead logs of databases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal: Option<Calendar>,
    /// `panther forget`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget: Option<Calendar>,
    /// `panther prune`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune: Option<Calendar>,
    /// `panther check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Calendar>,
    /// Restores for practice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<Calendar>,
    /// Each begins up to so much later, always as much on one machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_delay: Option<Time>,
    /// Whether to begin while the machine runs on its battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_battery: Option<bool>,
}

/// How fast data may go over the network.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// To the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<Rate>,
    /// From the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download: Option<Rate>,
    /// Other rates for a part of the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<DayLimits>,
}

/// Rates for a part of the day.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DayLimits {
    /// When it begins.
    pub from: Clock,
    /// When it ends; before that time it is the next day.
    pub to: Clock,
    /// To the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Rate>,
    /// From the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download: Option<Rate>,
}

impl Limits {
    /// The rates to the store as options have them: `08:00-22:00=500k,2M`; nothing if none is given.
    pub fn upload_text(&self) -> Option<String> {
        self.text(self.upload.as_ref(), |day| day.upload.as_ref())
    }

    /// The rates from the store.
    pub fn download_text(&self) -> Option<String> {
        self.text(self.download.as_ref(), |day| day.download.as_ref())
    }

    fn text(&self, rate: Option<&Rate>, of_day: impl Fn(&DayLimits) -> Option<&Rate>) -> Option<String> {
        let day = self.day.as_ref().and_then(|day| Some(format!("{}-{}={}", day.from, day.to, of_day(day)?)));
        let parts: Vec<String> = day.into_iter().chain(rate.map(ToString::to_string)).collect();
        (!parts.is_empty()).then(|| parts.join(","))
    }
}

/// What it may cost.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Budget {
    /// A month that will cost more than this is warned of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_month_dollars: Option<Dollars>,
    /// A backup that would make the month cost more than this is not made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_month_dollars: Option<Dollars>,
    /// Whether checks, drills and prune keep to the downloads that cost nothing, where --egress-budget does not say otherwise; without it they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_egress_only: Option<bool>,
}

/// Where figures of each run go.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metrics {
    /// The address of a DogStatsD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dogstatsd: Option<Dogstatsd>,
    /// Tags for it, such as env:home.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dogstatsd_tags: Vec<String>,
    /// A file for the textfile collector of Prometheus' node exporter; its name ends in .prom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus_file: Option<AbsolutePath>,
    /// An address that gets the report of each run, as JSON. For an address that is a secret there is webhook-file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Url>,
    /// A file with that address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_file: Option<AbsolutePath>,
    /// A command that gets the report of each run on its standard input, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
}

/// Restores for practice.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Drill {
    /// How many files are restored and compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    /// At most so many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Size>,
    /// Where to; the folder is emptied afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<AbsolutePath>,
    /// Run on what was restored: the folder is its last argument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<Command>,
    /// A drill that is older than this is warned of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_after: Option<Time>,
}

/// A page that shows how backups are.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Status {
    /// As a page for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html_file: Option<AbsolutePath>,
    /// As JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_file: Option<AbsolutePath>,
    /// A newest snapshot that is older than this is shown as a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Time>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
