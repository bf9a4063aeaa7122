//! Waits that end: by a bound, and when the user asks to stop.

use super::failure::Failure;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How often a wait looks whether to stop.
const LOOK: Duration = Duration::from_millis(50);

/// The wish to stop, and how long what is under way may go on after it.
#[derive(Debug)]
pub(super) struct Stop {
    flag: Arc<AtomicBool>,
    seen: OnceLock<Instant>,
    grace: Duration,
}

impl Stop {
    pub fn new(flag: Arc<AtomicBool>, grace: Duration) -> Self {
        Self { flag, seen: OnceLock::new(), grace }
    }

    /// Whether somebody has asked: then nothing is waited for that is not under way.
    pub fn is_asked(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Whether the time is over in which what is under way may go on.
    pub fn is_over(&self) -> bool {
        self.is_asked() && self.seen.get_or_init(Instant::now).elapsed() >= self.grace
    }

    /// Waits for `work` as long as `may_go_on` says nothing; it is asked every now and then.
    ///
    /// # Errors
    /// What `may_go_on` says, or [`Failure::Cancelled`].
    pub async fn watch<T>(
        &self,
        work: impl Future<Output = T>,
        mut may_go_on: impl FnMut() -> Result<(), Failure>,
    ) -> Result<T, Failure> {
        let mut work = pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(LOOK, work.as_mut()).await {
                return Ok(done);
            }
            if self.is_over() {
                return Err(Failure::Cancelled);
            }
            may_go_on()?;
        }
    }

    /// Waits for `work`, at most `most`.
    ///
    /// # Errors
    /// [`Failure::TimedOut`] with `what`, [`Failure::Cancelled`].
    pub async fn within<T>(
        &self,
        most: Duration,
        what: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        self.watch(work, || if began.elapsed() < most { Ok(()) } else { Err(Failure::TimedOut(what)) }).await
    }

    /// Sleeps.
    ///
    /// # Errors
    /// [`Failure::Cancelled`] as soon as somebody asks to stop.
    pub async fn sleep(&self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        loop {
            if self.is_asked() {
                return Err(Failure::Cancelled);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }
}
