//! What is beyond a store: for `doctor`, roles, and whoever sets a bucket up.

use super::store::B2Backend;
use super::wire::{Bucket, Retention, Version};
use super::{Account, Location};
use crate::error::StoreError;
use std::sync::Arc;

/// Which of the two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The key that writes.
    Own,
    /// The key that only reads, where there is one.
    Reading,
}

impl B2Backend {
    /// Bucket and prefix.
    pub fn place(&self) -> &Location {
        &self.location
    }

    /// Whether there is a second key.
    pub fn has_reading_key(&self) -> bool {
        self.reading.is_some()
    }

    fn key(&self, which: Which) -> &super::client::Client {
        match which {
            Which::Own => &self.own,
            Which::Reading => self.reading.as_ref().unwrap_or(&self.own),
        }
    }

    /// What a key may do, and the service's clock. One call, unless it was made before.
    ///
    /// # Errors
    /// [`StoreError::Credentials`], [`StoreError::Unreachable`].
    pub fn account(&self, which: Which) -> Result<Arc<Account>, StoreError> {
        self.run(self.key(which).account())
    }

    /// The bucket's settings, as far as the key may see them. A key without `listBuckets` may not at all.
    ///
    /// # Errors
    /// [`StoreError::NoBucket`], [`StoreError::Forbidden`].
    pub fn bucket(&self, which: Which) -> Result<Bucket, StoreError> {
        self.run(self.key(which).bucket())
    }

    /// Up to `most` versions (10,000 at most) of names below `prefix` of the repository, with all that the service says of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn versions(&self, which: Which, prefix: &str, most: u32) -> Result<Vec<Version>, StoreError> {
        self.run(async { Ok(self.key(which).versions(&self.full(prefix), None, false, most).await?.files) })
    }

    /// Up to `most` names below `prefix` that are not hidden, with their newest versions.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn visible_names(&self, which: Which, prefix: &str, most: u32) -> Result<Vec<Version>, StoreError> {
        self.run(async { Ok(self.key(which).names(&self.full(prefix), None, most).await?.files) })
    }

    /// What the service says of one version.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn file_info(&self, which: Which, file_id: &str) -> Result<Version, StoreError> {
        self.run(self.key(which).file_info(file_id))
    }

    /// Whether the own key may upload at all: an upload address is asked for and not used.
    ///
    /// # Errors
    /// [`StoreError::Forbidden`] without `writeFiles`.
    pub fn may_upload(&self) -> Result<(), StoreError> {
        self.run(async { self.own.upload_url().await.map(drop) })
    }

    /// Hides an object, as only tests and attackers do: a key needs only `writeFiles` for it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn hide(&self, name: &str) -> Result<Version, StoreError> {
        self.catalogue.forget(name);
        self.run(self.own.hide(&self.full(name)))
    }

    /// Removes one version for good.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Forbidden`] without `deleteFiles` or while it is locked.
    pub fn delete_version(&self, name: &str, file_id: &str, bypass_governance: bool) -> Result<(), StoreError> {
        self.catalogue.forget(name);
        self.run(self.own.delete_version(&self.full(name), file_id, bypass_governance))
    }

    /// Sets until when a version is protected.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_retention(&self, name: &str, file_id: &str, retention: Retention) -> Result<(), StoreError> {
        self.run(self.own.update_retention(&self.full(name), file_id, retention))
    }
}
