//! Listings: of versions, so that nothing hidden or shadowed goes unseen.

use super::store::B2Backend;
use super::versions::{Known, Resolved, resolve};
use super::wire::{Action, Version};
use crate::backend::{Listed, Tidied};
use crate::cost::Stored;
use crate::error::StoreError;
use std::collections::BTreeSet;

/// Versions in a page. The service bills each 1,000 as a call, and answers no more than this.
const PAGE: u32 = 10_000;
/// Where what comes after may be passed over, so that little is answered in vain.
const SMALL_PAGE: u32 = 1_000;

/// A listing under way: the state between two pages.
pub(super) struct Names {
    prefix: String,
    without: Option<String>,
    /// Where the next page begins; nothing after the last.
    next: Option<Option<(String, Option<String>)>>,
    /// The versions of a name that may go on in the next page.
    open: Vec<Version>,
}

impl Names {
    /// All below `prefix`, but not what is in a folder called `without`, at any depth.
    pub fn new(prefix: &str, without: Option<&str>) -> Self {
        Self { prefix: prefix.to_owned(), without: without.map(str::to_owned), next: Some(None), open: Vec::new() }
    }

    /// The first name after the folder to pass over in which `name` (from the bucket's root) is.
    fn after(&self, name: &str, root_bytes: usize) -> Option<String> {
        let folder = format!("/{}/", self.without.as_ref()?);
        let at = name.get(root_bytes.saturating_sub(1)..)?.find(&folder)? + root_bytes.saturating_sub(1);
        // '0' comes after '/'.
        Some(format!("{}0", &name[..at + folder.len() - 1]))
    }

    /// The names that `page` completes, each with its versions, the newest first.
    fn complete(&mut self, page: Vec<Version>, is_last: bool) -> Vec<Vec<Version>> {
        let mut whole = Vec::new();
        for version in page {
            if self.open.first().is_some_and(|first| first.file_name != version.file_name) {
                whole.push(std::mem::take(&mut self.open));
            }
            self.open.push(version);
        }
        if is_last && !self.open.is_empty() {
            whole.push(std::mem::take(&mut self.open));
        }
        whole
    }
}

impl B2Backend {
    /// The next objects of a listing, which become known; nothing after the last.
    pub(super) async fn next_page(&self, names: &mut Names) -> Result<Option<Vec<Listed>>, StoreError> {
        let groups = self.next_groups(names).await?;
        let Some(groups) = groups else { return Ok(None) };
        let mut found = Vec::new();
        for versions in groups {
            let Some((name, resolved)) = self.resolve(&versions) else { continue };
            self.catalogue.listed(&name, &resolved);
            let uploaded = resolved.uploaded;
            found.extend(resolved.known.map(|known| Listed { name, size_bytes: known.size_bytes, uploaded }));
        }
        Ok(Some(found))
    }

    /// The next versions of a listing as they are billed, each with its object's name; nothing after the last.
    pub(super) async fn next_billed(&self, names: &mut Names) -> Result<Option<Vec<(String, Stored)>>, StoreError> {
        let Some(groups) = self.next_groups(names).await? else { return Ok(None) };
        let mut found = Vec::new();
        for versions in groups {
            let Some(name) = versions.first().and_then(|v| v.file_name.strip_prefix(&self.location.prefix)) else {
                continue;
            };
            found.extend(versions.iter().map(|version| {
                let from_secs = version.upload_timestamp.div_euclid(1_000);
                (name.to_owned(), Stored { bytes: version.content_length, from_secs, until_secs: None })
            }));
        }
        Ok(Some(found))
    }

    /// The next names of a listing with all their versions; nothing after the last.
    pub(super) async fn next_groups(&self, names: &mut Names) -> Result<Option<Vec<Vec<Version>>>, StoreError> {
        let Some(start) = names.next.take() else { return Ok(None) };
        let root_bytes = self.location.prefix.len();
        let client = self.reader(&names.prefix).await?;
        let from = start.as_ref().map(|(name, id)| (&**name, id.as_deref()));
        let most = if names.without.is_some() { SMALL_PAGE } else { PAGE };
        let page = client.versions(&self.full(&names.prefix), from, false, most).await?;
        let next = page.next_file_name.map(|name| match names.after(&name, root_bytes) {
            Some(after) => (after, None),
            None => (name, page.next_file_id),
        });
        // A service that does not get on would be listed for ever.
        let is_stuck = match (&start, &next) {
            (Some((before, _)), Some((after, _))) => after < before || (start == next),
            _ => false,
        };
        if is_stuck {
            return Err(StoreError::Io(std::io::Error::other("the service's listing goes round in circles")));
        }
        let files = page.files.into_iter().filter(|version| names.after(&version.file_name, root_bytes).is_none());
        let groups = names.complete(files.collect(), next.is_none());
        names.next = next.map(Some);
        Ok(Some(groups))
    }

    /// What the versions of one name come to, and the object's name; nothing if it can be none of a repository's.
    pub(super) fn resolve(&self, versions: &[Version]) -> Option<(String, Resolved)> {
        let name = versions.first()?.file_name.strip_prefix(&self.location.prefix)?;
        if crate::backend::local::check_name(name).is_err() {
            return None;
        }
        Some((name.to_owned(), resolve(name, versions)))
    }

    /// Lists one object's versions.
    pub(super) async fn look_up(&self, name: &str) -> Result<Option<Known>, StoreError> {
        let versions = self.reader(name).await?.versions_of(&self.full(name)).await?;
        let resolved = resolve(name, &versions);
        self.catalogue.listed(name, &resolved);
        Ok(resolved.known)
    }

    pub(super) async fn folders(&self, prefix: &str) -> Result<BTreeSet<String>, StoreError> {
        let (full, client) = (self.full(prefix), self.reader(prefix).await?);
        let (mut folders, mut start) = (BTreeSet::new(), None::<(String, Option<String>)>);
        loop {
            let from = start.as_ref().map(|(name, id)| (&**name, id.as_deref()));
            let page = client.versions(&full, from, true, SMALL_PAGE).await?;
            for version in page.files.iter().filter(|version| version.action == Action::Folder) {
                let name = version.file_name.strip_prefix(&full).and_then(|name| name.strip_suffix('/'));
                folders.extend(name.filter(|name| *name != "tmp" || !prefix.is_empty()).map(str::to_owned));
            }
            match page.next_file_name {
                Some(name) if start.as_ref().is_none_or(|(before, _)| *before < name) => {
                    start = Some((name, page.next_file_id));
                }
                _ => return Ok(folders),
            }
        }
    }

    /// Removes what is too many of each object.
    pub(super) async fn tidy(&self, prefix: &str, may_differ: bool) -> Result<Tidied, StoreError> {
        let (mut tidied, mut names) = (Tidied::default(), Names::new(prefix, None));
        while let Some(groups) = self.next_groups(&mut names).await? {
            for versions in groups {
                let Some((name, resolved)) = self.resolve(&versions) else { continue };
                for (other, _) in resolved.extra.iter().filter(|(_, is_same)| *is_same || may_differ) {
                    let id = &other.file_id;
                    match self.own.delete_version(&self.full(&name), id, false).await {
                        Ok(()) => {
                            self.note_removed(other.size_bytes, other.uploaded_millis);
                            tidied.removed_versions += 1;
                            tidied.removed_bytes += other.size_bytes;
                        }
                        Err(StoreError::NotFound) => {}
                        Err(StoreError::Forbidden(_)) if self.is_version_locked(&versions, id) => {
                            tidied.locked_versions += 1
                        }
                        Err(error) => return Err(error),
                    }
                }
                self.catalogue.forget(&name);
            }
        }
        Ok(tidied)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_passed_over() {
        let names = Names::new("", Some("packs"));
        let after = |name: &str, root: &str| names.after(&format!("{root}{name}"), root.len());
        assert_eq!(after("writers/a/packs/00/x", ""), Some("writers/a/packs0".into()));
        assert_eq!(after("writers/a/packs/00/x", "p/q/"), Some("p/q/writers/a/packs0".into()));
        assert_eq!(after("writers/a/packs", ""), None);
        assert_eq!(after("writers/a/index/x", "packs/"), None);
        assert_eq!(Names::new("", None).after("writers/a/packs/x", 0), None);
    }

    #[test]
    fn names_that_go_over_two_pages_stay_whole() {
        let version =
            |name: &str| serde_json::from_value(serde_json::json!({ "fileName": name, "action": "upload" })).unwrap();
        let mut names = Names::new("", None);
        let lens = |groups: Vec<Vec<Version>>| groups.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lens(names.complete(vec![version("a"), version("b"), version("b")], false)), [1]);
        assert_eq!(lens(names.complete(vec![version("b"), version("c")], false)), [3]);
        assert_eq!(lens(names.complete(Vec::new(), true)), [1]);
    }
}
