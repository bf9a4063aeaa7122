//! Names of the snapshots that `panther snapshot create` makes: `20261123T020000Z`, `20261123T020000Z-label`; a second set of the same second is
//! `20261123T020000Z.1`. Sorted as bytes they are sorted by time, up to nine more sets in a second. All snapshots of one set have the same name.

use super::snapshot_folder::stamp_text;
use crate::format::time::Time;
use std::fmt;

/// The longest label, in bytes.
pub const LABEL_MAX_BYTES: usize = 64;

/// A name, in its parts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LocalName {
    /// When the set was begun, to the second.
    pub time: Time,
    /// Which set of that second: 0 for the first.
    pub again: u32,
    /// What a person has added.
    pub label: Option<String>,
}

impl LocalName {
    /// The name in its parts; nothing if it is none of `panther snapshot create`.
    pub fn parse(name: &str) -> Option<Self> {
        let (front, label) = match name.split_once('-') {
            Some((front, label)) => (front, Some(label)),
            None => (name, None),
        };
        let (stamp, again) = match front.split_once('.') {
            Some((stamp, again)) => (stamp, again.parse().ok()?),
            None => (front, 0),
        };
        let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp).ok()?;
        let at = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?;
        let time = Time { secs: at.as_second(), nanos: 0 };
        let label = label.map(str::to_owned);
        if label.as_deref().is_some_and(|label| !is_label(label)) {
            return None;
        }
        let parsed = Self { time, again, label };
        // One way of writing each.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&stamp_text(self.time))?;
        if self.again > 0 {
            write!(f, ".{}", self.again)?;
        }
        self.label.iter().try_for_each(|label| write!(f, "-{label}"))
    }
}

/// Whether it is a label: letters, digits, `-`, `_` and `.`, not too many.
pub fn is_label(text: &str) -> bool {
    let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= LABEL_MAX_BYTES && text.bytes().all(is_good)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        for name in
            ["20261123T020000Z", "20261123T020000Z.3", "20261123T020000Z-before-upgrade", "20261123T020000Z.1-a.b"]
        {
            assert_eq!(LocalName::parse(name).unwrap().to_string(), name);
        }
        let parsed = LocalName::parse("19700101T000102Z.2-x-y").unwrap();
        let time = Time { secs: 62, nanos: 0 };
        assert_eq!(parsed, LocalName { time, again: 2, label: Some("x-y".into()) });
        let long = format!("20261123T020000Z-{}", "a".repeat(LABEL_MAX_BYTES + 1));
        for name in [
            "",
            "backup-20261123T020000Z-0123456789abcdef",
            "pin-0123456789abcdef",
            "20261123T020000",
            "2026-11-23T020000Z",
            "20261323T020000Z",
            "20261123T020000Z.0",
            "20261123T020000Z.01",
            "20261123T020000Z-",
            "20261123T020000Z-a b",
            "20261123T020000Zx",
            &long,
        ] {
            assert_eq!(LocalName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn names_sort_by_time() {
        let names = [
            "20261123T020000Z",
            "20261123T020000Z-z",
            "20261123T020000Z.1",
            "20261123T020000Z.2-a",
            "20261123T020001Z",
        ];
        let parsed: Vec<_> = names.iter().map(|name| LocalName::parse(name).unwrap()).collect();
        assert!(parsed.is_sorted() && names.is_sorted());
    }
}
