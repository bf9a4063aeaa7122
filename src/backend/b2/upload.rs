//! Uploads: whole files with length and SHA-1, over a pool of addresses, each used by one at a time.

use super::client::{Client, encode, is_upload, sha1_of};
use super::failure::{Failure, Verdict};
use super::retry::Attempts;
use super::wire::{Retention, RetentionMode, UploadUrl, Version};
use crate::backend::Slots;
use crate::backend::usage::{Class, Sort};
use crate::error::StoreError;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use sha1::Digest;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What goes up at a time.
const PART_BYTES: usize = 128 << 10;
/// So many addresses are kept; more are rarely in use at once.
const MOST_URLS: usize = 16;

/// Addresses that have served well.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<UploadUrl>>);

impl Pool {
    fn take(&self) -> Option<UploadUrl> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give(&self, url: UploadUrl) {
        let mut urls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if urls.len() < MOST_URLS {
            urls.push(url);
        }
    }
}

/// What is uploaded.
#[derive(Clone)]
pub(super) enum Content {
    Bytes(Bytes),
    File(PathBuf),
}

/// Length and SHA-1 of what is uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub size_bytes: u64,
    pub sha1: String,
}

impl Content {
    /// Reads it through.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sum(&self) -> io::Result<Sum> {
        match self {
            Self::Bytes(bytes) => Ok(Sum { size_bytes: bytes.len() as u64, sha1: sha1_of(bytes) }),
            Self::File(path) => {
                let (mut file, mut hasher, mut size_bytes) = (open(path)?, sha1::Sha1::new(), 0);
                let mut part = vec![0; PART_BYTES];
                loop {
                    match file.read(&mut part)? {
                        0 => break,
                        read => {
                            hasher.update(&part[..read]);
                            size_bytes += read as u64;
                        }
                    }
                }
                Ok(Sum { size_bytes, sha1: data_encoding::HEXLOWER.encode(&hasher.finalize()) })
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// How far an upload has come.
struct Progress {
    began: Instant,
    /// When something last moved, in milliseconds since `began`.
    moved_ms: AtomicU64,
    /// How long the bandwidth limit held it up.
    limited_ms: AtomicU64,
    /// Whether all was handed to the connection.
    is_sent: AtomicBool,
}

impl Progress {
    fn moved(&self) {
        self.moved_ms.store(self.began.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn idle(&self) -> Duration {
        let moved = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(moved)
    }

    fn limited(&self) -> Duration {
        Duration::from_millis(self.limited_ms.load(Ordering::Relaxed))
    }
}

/// A body of known length that another thread fills.
struct Feed {
    parts: mpsc::Receiver<Bytes>,
    left_bytes: u64,
}

impl http_body::Body for Feed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left_bytes == 0 {
            return Poll::Ready(None);
        }
        self.parts.poll_recv(context).map(|part| {
            // The connection is closed then: the service never sees a whole body.
            let part = part.ok_or(io::ErrorKind::UnexpectedEof).map_err(io::Error::from);
            Some(part.map(|part| {
                self.left_bytes = self.left_bytes.saturating_sub(part.len() as u64);
                Frame::data(part)
            }))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}

/// How new files are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// How strictly.
    pub mode: RetentionMode,
    /// For how long.
    pub days: u32,
}

impl Lock {
    /// The retention of a file that is uploaded now, by the service's clock.
    fn retention(self, now_secs: i64) -> Retention {
        let until = now_secs.saturating_mul(1_000).saturating_add(i64::from(self.days).saturating_mul(86_400_000));
        Retention { mode: Some(self.mode), retain_until_timestamp: Some(until) }
    }
}

impl Client {
    /// Uploads a file under `name`, from the bucket's root. Returns the version.
    pub async fn upload(
        &self,
        pool: &Pool,
        slots: &Slots,
        name: &str,
        content: &Content,
        lock: Option<Lock>,
    ) -> Result<Version, StoreError> {
        let summed = content.clone();
        let sum = tokio::task::spawn_blocking(move || summed.sum()).await.map_err(io::Error::other);
        let sum = sum.and_then(|sum| sum).map_err(|e| Failure::Local(e).into_error())?;
        let mut attempts = Attempts::new(&self.http.patience, &self.http.stop);
        let mut in_doubt = false;
        loop {
            if in_doubt && let Some(arrived) = self.arrived(name, &sum).await? {
                return Ok(arrived);
            }
            let url = match pool.take() {
                Some(url) => url,
                None => self.upload_url().await?,
            };
            let progress = Arc::new(Progress {
                began: Instant::now(),
                moved_ms: AtomicU64::new(0),
                limited_ms: AtomicU64::new(0),
                is_sent: AtomicBool::new(sum.size_bytes == 0),
            });
            let sent = self.send_file(&url, name, content, &sum, lock, attempts.is_retry(), &progress).await;
            match sent {
                Ok(version) => {
                    slots.succeeded(sum.size_bytes, Instant::now());
                    pool.give(url);
                    return Ok(version);
                }
                Err(failure) => {
                    // The address is not used again: another one leads to another machine.
                    drop(url);
                    if matches!(failure.verdict(), Verdict::Retry { throttled: true, .. }) {
                        slots.throttled(Instant::now());
                    }
                    in_doubt |= failure.may_have_arrived() && progress.is_sent.load(Ordering::Relaxed);
                    attempts.next(failure).await?;
                }
            }
        }
    }

    /// The version with these bytes, if an upload whose answer was lost has arrived.
    async fn arrived(&self, name: &str, sum: &Sum) -> Result<Option<Version>, StoreError> {
        let versions = match self.versions_of(name).await {
            Ok(versions) => versions,
            // A key that may not list: then there may be a version too many.
            Err(StoreError::Forbidden(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_same = |v: &Version| v.content_length == sum.size_bytes && v.content_sha1.as_deref() == Some(&sum.sha1);
        // A marker on top of it would hide it from those who read by name.
        let visible = versions.first().is_some_and(is_upload);
        Ok(versions.into_iter().rfind(|v| visible && is_upload(v) && is_same(v)))
    }

    #[allow(clippy::too_many_arguments)]
    async fn send_file(
        &self,
        url: &UploadUrl,
        name: &str,
        content: &Content,
        sum: &Sum,
        lock: Option<Lock>,
        is_retry: bool,
        progress: &Arc<Progress>,
    ) -> Result<Version, Failure> {
        if self.http.stop.is_over() {
            return Err(Failure::Cancelled);
        }
        self.http.meter.request(Class::A, Sort::Upload, is_retry);
        let (to, parts) = mpsc::channel(1);
        let feed = Feed { parts, left_bytes: sum.size_bytes };
        let mut request = self
            .http
            .client(is_retry)
            .post(&url.upload_url)
            .header(AUTHORIZATION, &**url.authorization_token)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, sum.size_bytes)
            .header("X-Bz-File-Name", encode(name))
            .header("X-Bz-Content-Sha1", &sum.sha1)
            .body(reqwest::Body::wrap(feed));
        let retention = lock.map(|lock| lock.retention(self.http.now_secs()));
        if let Some(Retention { mode: Some(mode), retain_until_timestamp: Some(until) }) = retention {
            let mode = if mode == RetentionMode::Compliance { "compliance" } else { "governance" };
            request = request.header("X-Bz-File-Retention-Mode", mode);
            request = request.header("X-Bz-File-Retention-Retain-Until-Timestamp", until);
        }
        let (http, content, fed) = (Arc::clone(&self.http), content.clone(), Arc::clone(progress));
        // It ends by itself when nobody takes its parts any more.
        let feeder = tokio::task::spawn_blocking(move || feed_parts(&http, &content, &fed, &to));
        let most = self.http.transfer_time(sum.size_bytes);
        let sent = self.http.stop.watch(request.send(), || {
            if progress.idle() > self.http.patience.idle {
                Err(Failure::TimedOut("nothing moved for too long"))
            } else if progress.began.elapsed() > most + progress.limited() {
                Err(Failure::TimedOut("the upload was too slow"))
            } else {
                Ok(())
            }
        });
        let sent = sent.await?;
        let (_, response) = match self.http.head(sent).await {
            // The service answers before it has all only to refuse it; a broken connection may be the file's fault.
            Err(Failure::Lost(_)) if feeder.is_finished() => match feeder.await {
                Ok(Err(error)) => return Err(Failure::Local(error)),
                _ => return Err(Failure::Lost("the connection broke before there was an answer".into())),
            },
            head => head?,
        };
        let version: Version = self.http.json(response).await?;
        let is_right = version.content_length == sum.size_bytes && version.content_sha1.as_deref() == Some(&sum.sha1);
        if !is_right || version.file_id.is_none() || version.file_name != name {
            return Err(Failure::Strange("the service says that it stored something else".into()));
        }
        Ok(version)
    }
}

/// Hands the content over in parts, no faster than the limit allows.
fn feed_parts(
    http: &super::http::Http,
    content: &Content,
    progress: &Progress,
    to: &mpsc::Sender<Bytes>,
) -> io::Result<()> {
    let send = |part: Bytes| -> bool {
        http.meter.up(part.len() as u64);
        let wait = http.upload_limit.take(part.len() as u64);
        let until = Instant::now() + wait;
        while !to.is_closed() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                progress.limited_ms.fetch_add(wait.as_millis() as u64, Ordering::Relaxed);
                let is_taken = to.blocking_send(part).is_ok();
                progress.moved();
                return is_taken;
            }
            // Waiting for the limit is not idleness.
            progress.moved();
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        false
    };
    match content {
        Content::Bytes(bytes) => {
            let mut rest = bytes.clone();
            while !rest.is_empty() {
                if !send(rest.split_to(rest.len().min(PART_BYTES))) {
                    return Ok(());
                }
            }
        }
        Content::File(path) => {
            let mut file = open(path)?;
            loop {
                let mut part = vec![0; PART_BYTES];
                let read = file.read(&mut part)?;
                part.truncate(read);
                if read == 0 {
                    break;
                }
                if !send(part.into()) {
                    return Ok(());
                }
            }
        }
    }
    // The channel holds one part: it may not have gone out yet, which errs on the side of doubt.
    progress.is_sent.store(true, Ordering::Relaxed);
    Ok(())
}
