//! Object Lock: what may not be removed yet is left, what is still needed stays locked.

use super::listing::Names;
use super::store::B2Backend;
use super::upload::Lock;
use super::versions::{Known, Resolved, locked_until_millis};
use super::wire::{Retention, Version};
use crate::error::StoreError;
use std::io;

const DAY_MILLIS: i64 = 86_400_000;

impl B2Backend {
    /// Removes all versions of an object, the newest first, so that a crash leaves the object. None of them if any is locked.
    pub(super) async fn remove(&self, name: &str) -> Result<(), StoreError> {
        let known = match self.catalogue.find(name).filter(|known| known.is_whole) {
            Some(known) => known,
            None => self.look_up(name).await?.ok_or(StoreError::NotFound)?,
        };
        if self.is_locked_now(&known) {
            return Err(locked(&known));
        }
        self.plan.forget(name);
        let full = self.full(name);
        let mut was_there = false;
        let markers = known.markers.iter().map(|id| (id, 0, 0));
        let others = known.others.iter().rev().map(|other| (&other.file_id, other.size_bytes, other.uploaded_millis));
        let object = (&known.file_id, known.size_bytes, known.uploaded_millis);
        for (id, bytes, uploaded_millis) in markers.chain(others).chain([object]) {
            match self.own.delete_version(&full, id, false).await {
                Ok(()) => {
                    self.note_removed(bytes, uploaded_millis);
                    was_there = true;
                }
                Err(StoreError::NotFound) => {}
                // It may have been locked, or locked for longer, since it was listed.
                Err(error @ StoreError::Forbidden(_)) => {
                    let now = self.look_up(name).await?.filter(|now| self.is_locked_now(now));
                    return Err(now.as_ref().map_or(error, locked));
                }
                Err(error) => return Err(error),
            }
        }
        self.catalogue.forget(name);
        if was_there { Ok(()) } else { Err(StoreError::NotFound) }
    }

    pub(super) fn is_locked_now(&self, known: &Known) -> bool {
        known.locked_until_millis > self.now_millis()
    }

    /// Whether a version says of itself that it may not be removed yet.
    pub(super) fn is_version_locked(&self, versions: &[Version], id: &str) -> bool {
        let version = versions.iter().find(|version| version.file_id.as_deref() == Some(id));
        version.is_some_and(|version| locked_until_millis(version) > self.now_millis())
    }

    /// Locks anew what is wanted and has less than half of its time left, for as long as new objects are.
    pub(super) async fn renew(&self, wanted: &(dyn Fn(&str) -> bool + Sync)) -> Result<Option<u64>, StoreError> {
        let Some(lock) = self.lock_of_new().await? else { return Ok(None) };
        let (now, time) = (self.now_millis(), i64::from(lock.days).saturating_mul(DAY_MILLIS));
        let (least, until) = (now.saturating_add(time / 2), now.saturating_add(time));
        let (mut changed, mut names) = (0, Names::new("", None));
        while let Some(groups) = self.next_groups(&mut names).await? {
            for versions in groups {
                let Some((name, Resolved { known: Some(known), .. })) = self.resolve(&versions) else { continue };
                let object = versions.iter().find(|version| version.file_id.as_ref() == Some(&known.file_id));
                let Some(retention) = object.and_then(|object| object.file_retention.as_ref()) else { continue };
                let is_unseen = !retention.is_client_authorized_to_read;
                if is_unseen || object.is_some_and(|object| locked_until_millis(object) >= least) || !wanted(&name) {
                    continue;
                }
                let mode = retention.value.and_then(|present| present.mode).unwrap_or(lock.mode);
                let longer = Retention { mode: Some(mode), retain_until_timestamp: Some(until) };
                match self.own.update_retention(&self.full(&name), &known.file_id, longer).await {
                    Ok(()) => changed += 1,
                    // Nobody has asked for it but the bucket's default.
                    Err(StoreError::Forbidden(_)) if self.lock.is_none() => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Some(changed))
    }

    /// How new objects are locked, by the options or the bucket's default.
    async fn lock_of_new(&self) -> Result<Option<Lock>, StoreError> {
        match self.own.bucket().await {
            Ok(bucket) if bucket.has_lock() == Some(false) => Ok(None),
            Ok(bucket) => {
                let default = bucket.default_retention();
                let default = default.map(|(mode, days)| Lock { mode, days: u32::try_from(days).unwrap_or(u32::MAX) });
                Ok(self.lock.or(default))
            }
            // The key may not look at the bucket.
            Err(StoreError::Forbidden(_)) => Ok(self.lock),
            Err(error) => Err(error),
        }
    }

    fn now_millis(&self) -> i64 {
        self.http.now_secs().saturating_mul(1_000)
    }
}

fn locked(known: &Known) -> StoreError {
    let until = jiff::Timestamp::from_millisecond(known.locked_until_millis);
    let until = until.map_or_else(|_| "later".to_owned(), |until| until.strftime("%Y-%m-%d %H:%M UTC").to_string());
    StoreError::Locked(io::Error::new(io::ErrorKind::PermissionDenied, format!("its Object Lock ends {until}")))
}
