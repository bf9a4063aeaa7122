//! Trying again: jittered back-off, bounded in number and time.

use super::Patience;
use super::failure::{Failure, Verdict};
use super::stop::Stop;
use crate::error::StoreError;
use std::time::Duration;

/// What to do between two attempts of one call.
pub(super) struct Attempts<'a> {
    patience: &'a Patience,
    stop: &'a Stop,
    /// How many have failed.
    failed: u32,
    refused: u32,
}

impl<'a> Attempts<'a> {
    pub fn new(patience: &'a Patience, stop: &'a Stop) -> Self {
        Self { patience, stop, failed: 0, refused: 0 }
    }

    /// Whether the next attempt is not the first.
    pub fn is_retry(&self) -> bool {
        self.failed > 0
    }

    /// An attempt has failed: waits until the next one.
    ///
    /// # Errors
    /// When there is none: what the caller is told.
    pub async fn next(&mut self, failure: Failure) -> Result<(), StoreError> {
        self.failed += 1;
        let verdict = failure.verdict();
        let is_token = matches!(verdict, Verdict::Authorise);
        self.refused = if is_token { self.refused + 1 } else { 0 };
        let after = match verdict {
            Verdict::Fatal => return Err(failure.into_error()),
            // The first time a new token is the answer, and no wait. One that was just given may be refused, too: then it is a fault like others.
            Verdict::Authorise if self.refused == 1 => return Ok(()),
            Verdict::Authorise => None,
            Verdict::Retry { after, .. } => after,
        };
        if self.failed >= self.patience.attempts {
            return Err(failure.into_error());
        }
        let wait = wait(self.patience, self.failed, after, random_share());
        self.stop.sleep(wait).await.map_err(Failure::into_error)
    }
}

/// How long to wait after the `failed`-th failure in a row: between half and all of a time that doubles.
fn wait(patience: &Patience, failed: u32, after: Option<Duration>, share: f64) -> Duration {
    let doubled = patience.first_wait.saturating_mul(1 << failed.saturating_sub(1).min(16));
    let jittered = doubled.min(patience.longest_wait).mul_f64(0.5 + share.clamp(0.0, 1.0) / 2.0);
    // What the service asks for is the least; all its clients coming back in the same moment would not help it.
    let asked = after.unwrap_or_default().min(patience.longest_retry_after);
    if asked > jittered { asked + jittered.min(patience.first_wait) } else { jittered }
}

/// From 0 to 1.
fn random_share() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness there is only no jitter.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let patience = Patience::default();
        let secs = |failed, share| wait(&patience, failed, None, share).as_secs_f64();
        assert_eq!((secs(1, 0.0), secs(1, 1.0)), (0.5, 1.0));
        assert_eq!((secs(4, 0.0), secs(4, 1.0)), (4.0, 8.0));
        assert_eq!((secs(7, 1.0), secs(60, 1.0), secs(u32::MAX, 1.0)), (64.0, 64.0, 64.0));
    }

    #[test]
    fn the_service_may_ask_for_more_but_not_for_everything() {
        let patience = Patience::default();
        let secs = |failed, after| wait(&patience, failed, Some(Duration::from_secs(after)), 1.0).as_secs_f64();
        assert_eq!(secs(1, 30), 31.0);
        assert_eq!(secs(1, 1_000_000), 121.0);
        assert_eq!(secs(5, 1), 16.0);
    }
}
