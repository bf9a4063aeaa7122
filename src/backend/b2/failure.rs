//! What can go wrong with one request, and what to do about it: by the HTTP status first, then by the code.

use crate::error::{Cap, StoreError};
use std::fmt;
use std::io;
use std::time::Duration;

/// Why a request did not give what it should.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection came about: nothing was sent.
    Connect(String),
    /// The connection broke, or nothing moved for too long; what was sent may have arrived.
    Lost(String),
    /// As before, because of the time.
    TimedOut(&'static str),
    /// The service answered with an error.
    Status(ApiError),
    /// The answer cannot be understood.
    Strange(String),
    /// An object is not of the length that is needed.
    Length { actual_bytes: u64, wanted: String },
    /// The user or the system asked to stop.
    Cancelled,
    /// Nothing of the service's: a local file, say.
    Local(io::Error),
}

/// An error as the service answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub status: u16,
    pub code: String,
    pub message: String,
    pub retry_after: Option<Duration>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, code, message, .. } = self;
        match (code.is_empty(), message.is_empty()) {
            (true, true) => write!(f, "HTTP status {status}"),
            (true, false) => write!(f, "HTTP status {status}: {message}"),
            (false, true) => write!(f, "{code} (HTTP status {status})"),
            (false, false) => write!(f, "{code} (HTTP status {status}): {message}"),
        }
    }
}

impl ApiError {
    /// Whether this is about the token, so that a new one may help; else 401 is about what the key may do.
    fn is_token(&self) -> bool {
        // "unauthorized" says that the key lacks something; whatever else is not known may well be the token.
        self.status == 401 && !matches!(&*self.code, "unauthorized" | "unsupported" | "access_denied")
    }
}

/// What to do about a failure.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Try again after a wait, at least so long if the service says so.
    Retry { after: Option<Duration>, throttled: bool },
    /// Get a new token, then try again.
    Authorise,
    /// Give up.
    Fatal,
}

impl Failure {
    /// Whether the request may have been carried out, although no answer says so.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Lost(_) | Self::TimedOut(_) | Self::Strange(_) | Self::Cancelled => true,
            // A gateway in between may have lost the answer.
            Self::Status(error) => error.status >= 500 || error.status == 408,
            Self::Connect(_) | Self::Length { .. } | Self::Local(_) => false,
        }
    }

    pub fn verdict(&self) -> Verdict {
        let retry = |after, throttled| Verdict::Retry { after, throttled };
        match self {
            Self::Connect(_) | Self::Lost(_) | Self::Strange(_) => retry(None, false),
            Self::TimedOut(_) => retry(None, true),
            Self::Length { .. } | Self::Cancelled | Self::Local(_) => Verdict::Fatal,
            Self::Status(error) => match error.status {
                401 if error.is_token() => Verdict::Authorise,
                408 => retry(error.retry_after, true),
                429 | 503 => retry(error.retry_after, true),
                500..=599 => retry(error.retry_after, false),
                // 400, 403 and all others: the same request gets the same answer.
                _ => Verdict::Fatal,
            },
        }
    }

    /// For the caller of the backend, once there is nothing more to try.
    pub fn into_error(self) -> StoreError {
        let other = |text: String| io::Error::other(text);
        match self {
            Self::Connect(text) | Self::Lost(text) => StoreError::Unreachable(other(text)),
            Self::TimedOut(what) => StoreError::Unreachable(io::Error::new(io::ErrorKind::TimedOut, what)),
            Self::Strange(text) => StoreError::Io(io::Error::new(io::ErrorKind::InvalidData, text)),
            Self::Length { actual_bytes, wanted } => StoreError::Length { actual_bytes, wanted },
            Self::Cancelled => StoreError::Cancelled,
            Self::Local(error) => match error.kind() {
                // "Not found" is about the caller's file here, not about an object.
                io::ErrorKind::NotFound => StoreError::Io(error),
                _ => error.into(),
            },
            Self::Status(error) => status_error(error),
        }
    }
}

fn is_absent(error: &ApiError) -> bool {
    // b2_delete_file_version and b2_hide_file answer 400 for what is not there.
    error.status == 404 || (error.status == 400 && matches!(&*error.code, "file_not_present" | "no_such_file"))
}

fn status_error(error: ApiError) -> StoreError {
    let said = || io::Error::other(error.to_string());
    match error.status {
        _ if is_absent(&error) => StoreError::NotFound,
        401 if error.is_token() => StoreError::Credentials(said()),
        401 => StoreError::Forbidden(said()),
        403 => match cap_of(&error.code) {
            Some(cap) => StoreError::Cap { cap, source: said() },
            None => StoreError::Forbidden(said()),
        },
        408 | 429 | 500..=599 => StoreError::Unreachable(said()),
        _ => StoreError::Io(said()),
    }
}

/// Which cap a 403 is about.
fn cap_of(code: &str) -> Option<Cap> {
    match code {
        "storage_cap_exceeded" => Some(Cap::Storage),
        "transaction_cap_exceeded" => Some(Cap::Transactions),
        "download_cap_exceeded" => Some(Cap::Download),
        "cap_exceeded" => Some(Cap::Unnamed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, code: &str) -> Failure {
        Failure::Status(ApiError { status, code: code.into(), message: "why".into(), retry_after: None })
    }

    #[test]
    fn the_status_comes_first() {
        // The code contradicts it: it does not matter.
        for (number, code) in
            [(400, "service_unavailable"), (403, "service_unavailable"), (404, "x"), (409, "x"), (416, "x")]
        {
            assert!(matches!(status(number, code).verdict(), Verdict::Fatal), "{number}");
        }
        for number in [408, 429, 500, 502, 503, 504, 599] {
            assert!(matches!(status(number, "bad_request").verdict(), Verdict::Retry { .. }), "{number}");
        }
        for code in ["bad_auth_token", "expired_auth_token", ""] {
            assert!(matches!(status(401, code).verdict(), Verdict::Authorise), "{code}");
        }
        assert!(matches!(status(401, "unauthorized").verdict(), Verdict::Fatal));
    }

    #[test]
    fn errors_have_their_kind() {
        use StoreError as E;
        assert!(matches!(status(403, "storage_cap_exceeded").into_error(), E::Cap { cap: Cap::Storage, .. }));
        assert!(matches!(status(403, "transaction_cap_exceeded").into_error(), E::Cap { cap: Cap::Transactions, .. }));
        assert!(matches!(status(403, "download_cap_exceeded").into_error(), E::Cap { cap: Cap::Download, .. }));
        assert!(matches!(status(403, "cap_exceeded").into_error(), E::Cap { cap: Cap::Unnamed, .. }));
        assert!(matches!(status(403, "access_denied").into_error(), E::Forbidden(_)));
        assert!(matches!(status(401, "unauthorized").into_error(), E::Forbidden(_)));
        assert!(matches!(status(401, "bad_auth_token").into_error(), E::Credentials(_)));
        assert!(matches!(status(404, "not_found").into_error(), E::NotFound));
        assert!(matches!(status(400, "file_not_present").into_error(), E::NotFound));
        assert!(matches!(status(400, "bad_request").into_error(), E::Io(_)));
        assert!(matches!(status(503, "").into_error(), E::Unreachable(_)));
        assert!(matches!(Failure::Cancelled.into_error(), E::Cancelled));
    }
}
