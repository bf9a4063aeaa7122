//! Requests and answers: bounded in time and size, counted, limited, cancellable. What is said is not known here.

use super::failure::{ApiError, Failure};
use super::limit::{Clock, Limit, system_clock};
use super::location::is_plain;
use super::stop::Stop;
use super::wire::Failed;
use super::{B2Options, Patience};
use crate::backend::usage::Meter;
use crate::error::StoreError;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// No answer in JSON is longer: a page of 10,000 versions has less than half of it.
const ANSWER_BYTES: u64 = 32 << 20;
/// No more is reserved beforehand, whatever length an answer announces.
const RESERVED_BYTES: u64 = 80 << 20;
/// No error is longer.
const ERROR_BYTES: u64 = 64 << 10;

/// The way to the service.
pub(super) struct Http {
    pooled: Mutex<Client>,
    /// Whether the service is this machine, in plain text.
    is_plain: bool,
    /// Makes a new connection for each request.
    fresh: Client,
    pub patience: Patience,
    pub stop: Stop,
    pub meter: Meter,
    /// The service's clock less this machine's, by the last answer.
    skew_secs: AtomicI64,
    pub upload_limit: Limit,
    download_limit: Limit,
}

/// The head of an answer that is not an error.
pub(super) struct Head {
    pub headers: HeaderMap,
    pub status: u16,
}

impl Head {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The clock of whoever answered (RFC 9110, 6.6.1), in seconds since 1970.
    pub fn date_secs(&self) -> Option<i64> {
        let text = self.headers.get(DATE)?.to_str().ok()?;
        jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(|time| time.as_second())
    }

    /// The size of the whole object of which this is a part (RFC 9110, 14.4), or of this whole one.
    pub fn object_bytes(&self) -> Option<u64> {
        let header = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        match header(CONTENT_RANGE) {
            Some(range) => range.rsplit_once('/')?.1.trim().parse().ok(),
            None => header(CONTENT_LENGTH)?.trim().parse().ok(),
        }
    }
}

impl Http {
    /// # Errors
    /// When there is no TLS to be had.
    pub fn new(options: &B2Options) -> Result<Self, StoreError> {
        Self::with_clock(options, system_clock())
    }

    fn with_clock(options: &B2Options, clock: Clock) -> Result<Self, StoreError> {
        // Whoever was first has the same: nothing else here speaks TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let patience = options.patience;
        let is_plain = is_plain(&options.endpoint);
        let failed = |e: reqwest::Error| StoreError::Io(io::Error::other(text_of(&e)));
        Ok(Self {
            pooled: Mutex::new(pooled(&patience, is_plain).map_err(failed)?),
            is_plain,
            fresh: builder(&patience, is_plain).pool_max_idle_per_host(0).build().map_err(failed)?,
            patience,
            stop: Stop::new(options.cancel.clone(), patience.grace),
            meter: Meter::default(),
            skew_secs: AtomicI64::new(0),
            upload_limit: Limit::new(options.upload_limit.clone(), clock.clone()),
            download_limit: Limit::new(options.download_limit.clone(), clock),
        })
    }

    /// The time by the service's clock, as far as it is known, in seconds since 1970.
    pub fn now_secs(&self) -> i64 {
        jiff::Timestamp::now().as_second() + self.skew_secs.load(Ordering::Relaxed)
    }

    /// Who makes requests: over a connection that is open already, or over a new one.
    pub fn client(&self, fresh: bool) -> Client {
        if fresh { self.fresh.clone() } else { self.pooled.lock().unwrap_or_else(PoisonError::into_inner).clone() }
    }

    /// Wrong bytes have come: no connection that is open now is used again, as it may be its fault.
    pub fn renew(&self) {
        // Without a new one the old one has to do.
        if let Ok(new) = pooled(&self.patience, self.is_plain) {
            *self.pooled.lock().unwrap_or_else(PoisonError::into_inner) = new;
        }
    }

    /// How long a transfer of so many bytes may take as a whole.
    pub fn transfer_time(&self, bytes: u64) -> Duration {
        let rate = self.patience.least_bytes_per_sec.max(1);
        self.patience.idle.saturating_mul(4) + Duration::from_secs_f64(bytes as f64 / rate as f64)
    }

    /// Sends what has no long body, and waits for the head of the answer; an answer of an error is one.
    pub async fn send(&self, request: RequestBuilder) -> Result<(Head, Response), Failure> {
        if self.stop.is_over() {
            return Err(Failure::Cancelled);
        }
        let sent =
            self.stop.within(self.patience.idle + self.patience.connect, "no answer came", request.send()).await?;
        self.head(sent).await
    }

    /// The head of an answer, if it is not an error.
    pub async fn head(&self, sent: Result<Response, reqwest::Error>) -> Result<(Head, Response), Failure> {
        let response = sent.map_err(transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let head = Head { headers, status: status.as_u16() };
        if let Some(date_secs) = head.date_secs() {
            self.skew_secs.store(date_secs - jiff::Timestamp::now().as_second(), Ordering::Relaxed);
        }
        if status.is_success() {
            return Ok((head, response));
        }
        let retry_after = head.headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(retry_after);
        // What cannot be read says nothing: the status is enough.
        let body = self.body(response, ERROR_BYTES, false).await.unwrap_or_default();
        let Failed { code, message } = serde_json::from_slice(&body).unwrap_or_default();
        Err(Failure::Status(ApiError {
            status: head.status,
            code: clean(&code),
            message: clean(&message),
            retry_after,
        }))
    }

    /// Reads an answer in JSON.
    pub async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failure> {
        let body = zeroize::Zeroizing::new(self.body(response, ANSWER_BYTES, false).await?);
        serde_json::from_slice(&body).map_err(|e| Failure::Strange(format!("an answer cannot be understood: {e}")))
    }

    /// Reads a body of at most `most_bytes`. `is_object`: it counts as egress and against the limit.
    pub async fn body(&self, mut response: Response, most_bytes: u64, is_object: bool) -> Result<Vec<u8>, Failure> {
        let began = Instant::now();
        let (mut limited, most_time) = (Duration::ZERO, self.transfer_time(most_bytes));
        let expected = response.content_length().unwrap_or(0).min(most_bytes).min(RESERVED_BYTES);
        let mut body = Vec::new();
        body.try_reserve_exact(usize::try_from(expected).unwrap_or(usize::MAX))
            .map_err(|_| Failure::Local(io::ErrorKind::OutOfMemory.into()))?;
        loop {
            let next = self.stop.within(self.patience.idle, "nothing came for too long", response.chunk()).await?;
            let Some(chunk) = next.map_err(transport)? else { return Ok(body) };
            if is_object {
                self.meter.down(chunk.len() as u64);
            }
            if body.len() as u64 + chunk.len() as u64 > most_bytes {
                return Err(Failure::Strange("an answer is longer than it may be".into()));
            }
            body.extend_from_slice(&chunk);
            if is_object {
                let wait = self.download_limit.take(chunk.len() as u64);
                if !wait.is_zero() {
                    limited += wait;
                    self.stop.sleep(wait).await?;
                }
            }
            if began.elapsed() > most_time + limited {
                return Err(Failure::TimedOut("an answer came too slowly"));
            }
        }
    }
}

fn builder(patience: &Patience, is_plain: bool) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("panther/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(patience.connect)
        .tcp_keepalive(Duration::from_secs(30));
    if is_plain { builder.no_proxy() } else { builder.https_only(true) }
}

fn pooled(patience: &Patience, is_plain: bool) -> reqwest::Result<Client> {
    builder(patience, is_plain).pool_idle_timeout(Duration::from_secs(30)).build()
}

/// What went wrong before there was an answer.
fn transport(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    if error.is_connect() {
        Failure::Connect(text_of(&error))
    } else if error.is_timeout() {
        Failure::TimedOut("no answer came")
    } else if error.is_builder() {
        Failure::Local(io::Error::new(io::ErrorKind::InvalidInput, text_of(&error)))
    } else {
        Failure::Lost(text_of(&error))
    }
}

/// An error with its causes, without addresses.
fn text_of(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A text of the service's, fit to be shown.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(secs) = text.trim().parse() {
        return Some(Duration::from_secs(secs));
    }
    let until = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let secs = until.as_second() - jiff::Timestamp::now().as_second();
    Some(Duration::from_secs(u64::try_from(secs).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(retry_after("Thu, 31 Dec 9998 23:59:59 GMT").is_some_and(|time| time.as_secs() > 1 << 30));
        assert_eq!((retry_after("-1"), retry_after("soon"), retry_after("1.5")), (None, None, None));
    }

    #[test]
    fn sizes_are_read_from_ranges() {
        let head = |name, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, reqwest::header::HeaderValue::from_static(value));
            Head { headers, status: 206 }.object_bytes()
        };
        assert_eq!(head(CONTENT_RANGE, "bytes 0-9/1234"), Some(1234));
        assert_eq!(head(CONTENT_RANGE, "bytes */1234"), Some(1234));
        assert_eq!(head(CONTENT_RANGE, "bytes 0-9/*"), None);
        assert_eq!(head(CONTENT_LENGTH, "12"), Some(12));
    }
}
