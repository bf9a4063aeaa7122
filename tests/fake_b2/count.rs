//! Counts of calls and bytes, as a bill would have them.

use super::route::Kind;
use std::collections::BTreeMap;

/// The vendor's classes of calls ("Pricing Organized by API Calls").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    A,
    B,
    C,
}

/// Calls and bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that reached the service, by kind, whatever came of them.
    pub calls: BTreeMap<Kind, u64>,
    /// Those that it answered with 200 or 206 and whose answer was sent whole.
    pub good: BTreeMap<Kind, u64>,
    /// Calls as billed: a listing counts once for each 1,000 names given.
    pub billed: BTreeMap<Class, u64>,
    pub uploaded_bytes: u64,
    pub downloaded_bytes: u64,
}

impl Counts {
    /// All calls.
    pub fn all(&self) -> u64 {
        self.calls.values().sum()
    }

    pub fn of(&self, kind: Kind) -> u64 {
        self.calls.get(&kind).copied().unwrap_or(0)
    }

    pub fn good_of(&self, kind: Kind) -> u64 {
        self.good.get(&kind).copied().unwrap_or(0)
    }

    pub fn class(&self, class: Class) -> u64 {
        self.billed.get(&class).copied().unwrap_or(0)
    }

    /// Calls that list.
    pub fn lists(&self) -> u64 {
        self.of(Kind::ListFileNames) + self.of(Kind::ListFileVersions)
    }

    /// Downloads by id and by name.
    pub fn downloads(&self) -> u64 {
        self.of(Kind::DownloadById) + self.of(Kind::DownloadByName)
    }

    pub(super) fn bill(&mut self, kind: Kind, listed: u64) {
        if let Some(class) = kind.class() {
            *self.billed.entry(class).or_default() += listed.div_ceil(1000).max(1);
        }
    }
}

/// One call, for tests that look closely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub number: u64,
    /// By the service's clock.
    pub at_millis: i64,
    pub kind: Kind,
    /// The file's name, or the prefix of a listing.
    pub name: Option<String>,
    /// 0 if there was no answer.
    pub status: u16,
    /// Bytes of the body sent by the client.
    pub up_bytes: u64,
    /// Bytes of the body sent to the client.
    pub down_bytes: u64,
    /// What a listing gave.
    pub listed: u64,
    /// Whether what was asked for was done, which a lost answer hides.
    pub done: bool,
    /// From 1 on, over all connections.
    pub connection: u64,
    /// The fault that met it.
    pub fault: Option<String>,
}

impl Logged {
    /// A line about it.
    pub fn brief(&self) -> String {
        let Self { number, kind, name, status, down_bytes, connection, .. } = self;
        let fault = self.fault.as_deref().unwrap_or("");
        let (name, api) = (name.as_deref().unwrap_or(""), kind.api());
        format!("{number:>5} over {connection}: {api} {name} {status}, {down_bytes} bytes {fault}")
    }
}
