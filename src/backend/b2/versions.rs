//! Which version of a name is the object, and what is odd about the others; what listings have shown is remembered.

use super::client::is_upload;
use super::wire::{Action, Version};
use crate::backend::{Oddity, OddityKind};
use crate::format::time::Time;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An object as it is found again without a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub file_id: String,
    pub size_bytes: u64,
    /// When the service received it, by its clock; 0 where that is not known.
    pub uploaded_millis: i64,
    /// Until when a version of it is locked, as far as the key may know; 0 if none is.
    pub locked_until_millis: i64,
    /// Further whole versions, the oldest first: if the bytes of the first prove wrong, these may be right.
    pub others: Vec<Other>,
    /// Markers and anything else that goes when the object is removed.
    pub markers: Vec<String>,
    /// Whether all versions are known.
    pub is_whole: bool,
    /// Stored by this process.
    pub is_own: bool,
}

impl Known {
    /// What no listing has shown.
    fn unlisted(file_id: String, size_bytes: u64, is_own: bool) -> Self {
        let (others, markers) = (Vec::new(), Vec::new());
        Self {
            file_id,
            size_bytes,
            uploaded_millis: 0,
            locked_until_millis: 0,
            others,
            markers,
            is_whole: false,
            is_own,
        }
    }
}

/// Another version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Other {
    pub file_id: String,
    pub size_bytes: u64,
    pub uploaded_millis: i64,
}

/// What the versions of one name, newest first, come to.
pub(super) struct Resolved {
    /// The object; none if there are only markers or unfinished files.
    pub known: Option<Known>,
    /// When the service received it.
    pub uploaded: Option<Time>,
    pub oddity: Option<Oddity>,
    /// What is too many, and whether it has the same bytes as the object or none.
    pub extra: Vec<(Other, bool)>,
}

/// Takes the versions of one name together. `name` is the object's.
pub(super) fn resolve(name: &str, versions: &[Version]) -> Resolved {
    let Some((first, right)) = versions.iter().enumerate().rfind(|(_, v)| is_upload(v)) else {
        return Resolved { known: None, uploaded: None, oddity: None, extra: Vec::new() };
    };
    // An unknown SHA-1 (a large file of somebody else's) is the same as none: the size must do.
    let sum = |v: &Version| (v.content_length, v.content_sha1.clone());
    let is_hidden = versions.first().is_some_and(|v| v.action == Action::Hide);
    let (mut others, mut markers, mut extra, mut differ) = (Vec::new(), Vec::new(), Vec::new(), false);
    for (at, version) in versions.iter().enumerate().rev() {
        let Some(id) = version.file_id.clone().filter(|_| at != first) else { continue };
        let size_bytes = if version.action == Action::Upload { version.content_length } else { 0 };
        let other = Other { file_id: id.clone(), size_bytes, uploaded_millis: version.upload_timestamp };
        match version.action {
            Action::Upload => {
                let is_same = sum(version) == sum(right);
                differ |= !is_same;
                extra.push((other.clone(), is_same));
                others.push(other);
            }
            Action::Hide => {
                extra.push((other, true));
                markers.push(id);
            }
            Action::Start | Action::Folder | Action::Other => {}
        }
    }
    let kind = if is_hidden {
        Some(OddityKind::Hidden)
    } else if differ {
        Some(OddityKind::Shadowed)
    } else if !extra.is_empty() {
        Some(OddityKind::Surplus)
    } else {
        None
    };
    let oddity = kind.map(|kind| Oddity {
        name: name.to_owned(),
        kind,
        extra_versions: extra.len() as u64,
        extra_bytes: extra.iter().map(|(other, _)| other.size_bytes).sum(),
    });
    let known = right.file_id.clone().map(|file_id| Known {
        file_id,
        size_bytes: right.content_length,
        uploaded_millis: right.upload_timestamp,
        locked_until_millis: versions.iter().map(locked_until_millis).max().unwrap_or(0),
        others,
        markers,
        is_whole: true,
        is_own: false,
    });
    Resolved { known, uploaded: time_of(right.upload_timestamp), oddity, extra }
}

/// Until when a version is locked; 0 if it is not, or the key may not know.
pub(super) fn locked_until_millis(version: &Version) -> i64 {
    let retention = version.file_retention.as_ref().and_then(|readable| readable.value.as_ref());
    retention.and_then(|retention| retention.retain_until_timestamp).unwrap_or(0)
}

/// The time of a timestamp, which is in thousandths of a second; nothing where the service gives none.
fn time_of(millis: i64) -> Option<Time> {
    let nanos = u32::try_from(millis.rem_euclid(1_000)).ok()? * 1_000_000;
    (millis > 0).then_some(Time { secs: millis.div_euclid(1_000), nanos })
}

/// What is known of names, from listings and answers.
#[derive(Default)]
pub(super) struct Catalogue(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    known: BTreeMap<String, Known>,
    oddities: BTreeMap<String, Oddity>,
}

impl Catalogue {
    pub fn find(&self, name: &str) -> Option<Known> {
        self.lock().known.get(name).cloned()
    }

    pub fn forget(&self, name: &str) {
        let mut inner = self.lock();
        inner.known.remove(name);
        inner.oddities.remove(name);
    }

    /// Notes what a listing has shown; it may be older than what this process has stored.
    pub fn listed(&self, name: &str, resolved: &Resolved) {
        let mut inner = self.lock();
        match &resolved.known {
            Some(known) => {
                let is_own = inner.known.get(name).is_some_and(|k| k.is_own);
                inner.known.insert(name.to_owned(), Known { is_own, ..known.clone() });
            }
            None => drop(inner.known.remove(name)),
        }
        match &resolved.oddity {
            Some(oddity) => drop(inner.oddities.insert(name.to_owned(), oddity.clone())),
            None => drop(inner.oddities.remove(name)),
        }
    }

    /// Notes what a download's answer has shown of the newest version.
    pub fn seen(&self, name: &str, file_id: String, size_bytes: u64) {
        let known = Known::unlisted(file_id, size_bytes, false);
        self.lock().known.entry(name.to_owned()).or_insert(known);
    }

    /// Notes what this process has stored.
    pub fn stored(&self, name: &str, file_id: String, size_bytes: u64) {
        let mut inner = self.lock();
        let before = inner.known.remove(name);
        let mut known = Known::unlisted(file_id, size_bytes, true);
        // That nothing was there before is not known, unless a listing has said so: removing looks.
        if let Some(before) = before
            && before.file_id != known.file_id
        {
            known.others = before.others;
            let Known { file_id, size_bytes, uploaded_millis, .. } = before;
            known.others.push(Other { file_id, size_bytes, uploaded_millis });
        }
        known.others.retain(|other| other.file_id != known.file_id);
        inner.known.insert(name.to_owned(), known);
    }

    pub fn oddities(&self) -> Vec<Oddity> {
        self.lock().oddities.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn version(id: &str, action: Action, sha1: &str) -> Version {
        Version {
            file_name: "p/a".into(),
            file_id: Some(id.into()),
            action,
            content_length: if action == Action::Upload { 10 } else { 0 },
            content_sha1: Some(sha1.into()),
            upload_timestamp: 0,
            file_retention: None,
        }
    }

    #[test]
    fn the_oldest_upload_is_the_object() {
        let up = |id, sha1| version(id, Action::Upload, sha1);
        let hide = |id| version(id, Action::Hide, "none");
        for (versions, id, kind, extra) in [
            (vec![up("1", "x")], "1", None, 0),
            (vec![up("2", "x"), up("1", "x")], "1", Some(OddityKind::Surplus), 1),
            (vec![up("2", "y"), up("1", "x")], "1", Some(OddityKind::Shadowed), 1),
            (vec![hide("2"), up("1", "x")], "1", Some(OddityKind::Hidden), 1),
            (vec![hide("3"), up("2", "y"), up("1", "x")], "1", Some(OddityKind::Hidden), 2),
            (vec![up("2", "x"), hide("1")], "2", Some(OddityKind::Surplus), 1),
        ] {
            let resolved = resolve("a", &versions);
            assert_eq!(resolved.known.unwrap().file_id, id);
            assert_eq!(resolved.oddity.map(|o| (o.kind, o.extra_versions)), kind.map(|k| (k, extra)));
            assert_eq!(resolved.extra.len() as u64, extra);
        }
        for nothing in [vec![], vec![hide("1")], vec![version("1", Action::Start, "none")]] {
            assert!(resolve("a", &nothing).known.is_none());
        }
    }

    /// Who uploads the same bytes again under the same name gains no later time by it.
    #[test]
    fn the_time_is_that_of_the_oldest_upload() {
        let at = |id, millis| Version { upload_timestamp: millis, ..version(id, Action::Upload, "x") };
        let uploaded = |versions: &[Version]| resolve("a", versions).uploaded;
        let first = Some(Time { secs: 1_777_636_800, nanos: 250_000_000 });
        assert_eq!(uploaded(&[at("2", 1_777_999_999_999), at("1", 1_777_636_800_250)]), first);
        assert_eq!((uploaded(&[at("1", 0)]), uploaded(&[])), (None, None));
    }

    #[test]
    fn what_was_stored_stays_known() {
        let catalogue = Catalogue::default();
        catalogue.seen("a", "1".into(), 5);
        catalogue.stored("a", "2".into(), 5);
        let known = catalogue.find("a").unwrap();
        assert_eq!((&*known.file_id, &*known.others[0].file_id, known.is_own), ("2", "1", true));
        catalogue.forget("a");
        assert_eq!(catalogue.find("a"), None);
    }
}
