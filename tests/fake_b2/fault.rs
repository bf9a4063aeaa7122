//! Faults, and plans of them.

use super::route::Kind;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// A call that is about to be served.
#[derive(Debug, Clone)]
pub struct Call {
    /// From 1 on, over all calls.
    pub number: u64,
    /// From 1 on, over the calls of this kind.
    pub nth: u64,
    pub kind: Kind,
    /// The file's name, or the prefix of a listing.
    pub name: Option<String>,
    /// The announced length of an upload.
    pub body_bytes: u64,
    /// From 1 on, over all connections.
    pub connection: u64,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// An error instead of what was asked for, after the request has been read. The text goes into Retry-After.
    Status(u16, &'static str, Option<&'static str>),
    /// The same before the body has been read; then the connection is closed.
    EarlyStatus(u16, &'static str),
    /// 401 `expired_auth_token`, and the token is not good any more.
    ExpiredToken,
    /// 401 `bad_auth_token`, and the token is not good any more.
    BadToken,
    /// 403 with this code.
    Cap(&'static str),
    /// The connection is reset when the head has been read.
    ResetBefore,
    /// It is reset in the middle of the file that comes in or goes out, or of the answer.
    ResetMidBody,
    /// It is reset when the request has been read; nothing was done.
    ResetAfter,
    /// All was done; the connection is reset before the answer.
    LostAnswer,
    /// Nothing happens for ever, from when the head has been read.
    Stall,
    /// Nothing happens for ever, from the middle of the file that comes in or goes out, or of the answer.
    StallMidBody,
    /// All was done, but no answer comes.
    StallAnswer,
    /// The answer comes in pieces of so many bytes with a pause between.
    Trickle(usize, Duration),
    /// Half the answer comes, then the connection is closed.
    Truncate,
    /// Files that are downloaded over this connection have a wrong byte, from now on.
    Corrupt,
    /// The stored file itself gets a wrong byte.
    CorruptForGood,
    /// This listing and the following, so many in all, miss the newest so many versions.
    StaleListing(usize, u64),
    /// The answer comes later.
    Delay(Duration),
}

impl Fault {
    /// For the log.
    pub fn describe(&self) -> String {
        format!("{self:?}")
    }

    /// An error of the service, with the code that goes with it.
    pub fn status(status: u16) -> Self {
        Self::Status(status, code(status), None)
    }
}

/// The code that goes with a status.
pub fn code(status: u16) -> &'static str {
    match status {
        408 => "request_timeout",
        429 => "too_many_requests",
        500 => "internal_error",
        503 => "service_unavailable",
        _ => "error",
    }
}

/// So many downloads are sound after one that was corrupted, which lasts until its connection ends.
const SOUND_BETWEEN: u32 = 24;

/// A random mixture of faults, the same for a seed as long as the calls come in the same order.
#[derive(Debug, Clone)]
pub struct Weather {
    rng: ChaCha8Rng,
    share: f64,
    left: u64,
    stalls: bool,
    caps: bool,
    stale: bool,
    /// Downloads since one was corrupted.
    sound: u32,
}

impl Weather {
    /// Every eighth call meets a fault, at most 40; none that stalls, no caps, no stale listings.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            share: 0.125,
            left: 40,
            stalls: false,
            caps: false,
            stale: false,
            sound: 0,
        }
    }

    /// The share of calls that meet a fault.
    pub fn share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// How many meet one before the weather clears up.
    pub fn at_most(mut self, faults: u64) -> Self {
        self.left = faults;
        self
    }

    /// With stalls, which cost the client's time-outs.
    pub fn with_stalls(mut self) -> Self {
        self.stalls = true;
        self
    }

    /// With listings that miss the newest versions for a while.
    pub fn with_stale_listings(mut self) -> Self {
        self.stale = true;
        self
    }

    /// With caps, which end a run.
    pub fn with_caps(mut self) -> Self {
        self.caps = true;
        self
    }

    /// The fault for a call.
    pub fn meet(&mut self, call: &Call) -> Option<Fault> {
        self.sound += u32::from(call.kind.downloads());
        if self.left == 0 || !self.rng.random_bool(self.share) {
            return None;
        }
        self.left -= 1;
        let fault = self.choices(call).choose(&mut self.rng).cloned();
        if fault == Some(Fault::Corrupt) {
            self.sound = 0;
        }
        if let Some(Fault::Delay(_)) = fault {
            return Some(Fault::Delay(Duration::from_millis(self.rng.random_range(1..60))));
        }
        fault
    }

    fn choices(&self, call: &Call) -> Vec<Fault> {
        let mut all = vec![
            Fault::status(500),
            Fault::status(503),
            Fault::Status(503, "service_unavailable", Some("1")),
            Fault::status(429),
            Fault::Status(429, "too_many_requests", Some("1")),
            Fault::status(408),
            Fault::ResetBefore,
            Fault::ResetMidBody,
            Fault::ResetAfter,
            Fault::LostAnswer,
            Fault::Truncate,
            Fault::Trickle(997, Duration::from_millis(1)),
            Fault::Delay(Duration::ZERO),
        ];
        if call.kind != Kind::Authorize {
            all.extend([Fault::ExpiredToken, Fault::BadToken]);
        }
        if call.kind.uploads() {
            all.extend([Fault::EarlyStatus(503, "service_unavailable"), Fault::LostAnswer, Fault::ResetMidBody]);
        }
        if call.kind.downloads() {
            all.push(Fault::Truncate);
            // What is wrong each time that it is read cannot be told from damage.
            if self.sound >= SOUND_BETWEEN {
                all.push(Fault::Corrupt);
            }
        }
        if call.kind.lists() && self.stale {
            all.push(Fault::StaleListing(self.rng.clone().random_range(1..6), 1));
        }
        if self.stalls {
            all.extend([Fault::Stall, Fault::StallMidBody, Fault::StallAnswer]);
        }
        if self.caps {
            all.push(Fault::Cap(match call.kind {
                kind if kind.uploads() => "storage_cap_exceeded",
                kind if kind.downloads() => "download_cap_exceeded",
                _ => "transaction_cap_exceeded",
            }));
        }
        all
    }
}
