//! What is looked for.

use crate::error::{Error, Result};
use crate::format::entry::{Entry, FileKind};
use crate::format::time::Time;
use ignore::overrides::{Override, OverrideBuilder};
use regex::bytes::{Regex, RegexBuilder};
use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What is looked for, as the command line has it. All that is given must fit.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// One of these patterns, as of .gitignore: without a slash for names, with one for paths.
    pub patterns: Vec<String>,
    /// Whether the case of letters does not matter.
    pub ignore_case: bool,
    /// A regular expression found in the path.
    pub regex: Option<String>,
    /// One of these kinds.
    pub kinds: Vec<FileKind>,
    /// Bytes of content; then only files fit.
    pub sizes: Option<RangeInclusive<u64>>,
    /// Modified at or after this.
    pub newer: Option<Time>,
    /// Modified before this.
    pub older: Option<Time>,
}

/// [`Wanted`], made ready.
#[derive(Debug)]
pub struct Matcher {
    patterns: Option<Override>,
    regex: Option<Regex>,
    kinds: Vec<FileKind>,
    sizes: Option<RangeInclusive<u64>>,
    newer: Option<Time>,
    older: Option<Time>,
}

impl Matcher {
    /// Makes it ready.
    ///
    /// # Errors
    /// [`Error::Usage`] for a malformed pattern or expression.
    pub fn new(wanted: &Wanted) -> Result<Self> {
        let bad = |error: ignore::Error| Error::Usage(format!("the patterns: {error}"));
        let patterns = if wanted.patterns.is_empty() {
            None
        } else {
            let mut builder = OverrideBuilder::new("/");
            builder.case_insensitive(wanted.ignore_case).map_err(bad)?;
            for pattern in &wanted.patterns {
                // What begins with ! would take back.
                let pattern = pattern.strip_prefix('!').map_or_else(|| pattern.clone(), |rest| format!("\\!{rest}"));
                // As for --exclude: only what begins with a slash is anchored.
                let inner = pattern.trim_end_matches('/').contains('/') && !pattern.starts_with(['/', '*']);
                builder.add(&if inner { format!("**/{pattern}") } else { pattern }).map_err(bad)?;
            }
            Some(builder.build().map_err(bad)?)
        };
        let regex = wanted.regex.as_ref().map(|text| {
            let built = RegexBuilder::new(text).case_insensitive(wanted.ignore_case).build();
            built.map_err(|error| Error::Usage(format!("the regular expression: {error}")))
        });
        Ok(Self {
            patterns,
            regex: regex.transpose()?,
            kinds: wanted.kinds.clone(),
            sizes: wanted.sizes.clone(),
            newer: wanted.newer,
            older: wanted.older,
        })
    }

    /// Whether an object at this path is looked for.
    pub fn wants(&self, path: &[u8], entry: &Entry) -> bool {
        let kind = entry.kind();
        let fits_size = |sizes: &RangeInclusive<u64>| kind == FileKind::File && sizes.contains(&entry.size_bytes());
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.sizes.as_ref().is_none_or(fits_size)
            && self.newer.is_none_or(|newer| entry.mtime >= newer)
            && self.older.is_none_or(|older| entry.mtime < older)
            && self.patterns.as_ref().is_none_or(|patterns| {
                patterns.matched(Path::new(OsStr::from_bytes(path)), kind == FileKind::Dir).is_whitelist()
            })
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(path))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::entry::Node;

    fn entry(node: Node, secs: i64) -> Entry {
        Entry {
            name: b"x".to_vec(),
            node,
            mode: 0o644,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            mtime: Time { secs, nanos: 0 },
            btime: None,
            xattrs: Vec::new(),
            link: None,
            flags: 0,
            boundary: None,
        }
    }

    #[test]
    fn conditions() {
        let file = entry(Node::Inline(vec![0; 100]), 50);
        let folder = entry(Node::Dir(Default::default()), 50);
        let wants = |change: &dyn Fn(&mut Wanted), path: &str, entry: &Entry| {
            let mut wanted = Wanted::default();
            change(&mut wanted);
            Matcher::new(&wanted).unwrap().wants(path.as_bytes(), entry)
        };
        let pattern = |text: &'static str| move |wanted: &mut Wanted| wanted.patterns.push(text.to_owned());
        for (text, path, want) in [
            ("*.rs", "/a/b.rs", true),
            ("*.rs", "/a/b.rst", false),
            ("b.*", "/a/b.rs", true),
            ("a/b.rs", "/x/a/b.rs", true),
            ("/a/b.rs", "/x/a/b.rs", false),
            ("/a/**", "/a/x/y", true),
            ("!x", "/a/!x", true),
            ("a", "/a/b", false),
            ("B.RS", "/a/b.rs", false),
        ] {
            assert_eq!(wants(&pattern(text), path, &file), want, "{text} {path}");
        }
        assert!(wants(&|w| (w.patterns, w.ignore_case) = (vec!["B.RS".into()], true), "/a/b.rs", &file));
        assert!(wants(&pattern("d/"), "/a/d", &folder) && !wants(&pattern("d/"), "/a/d", &file));
        assert!(wants(&|w| w.regex = Some("^/a/.*s$".into()), "/a/b.rs", &file));
        assert!(!wants(&|w| w.regex = Some("^b".into()), "/a/b.rs", &file));
        assert!(wants(&|w| w.sizes = Some(100..=100), "/a", &file) && !wants(&|w| w.sizes = Some(0..=9), "/a", &file));
        assert!(!wants(&|w| w.sizes = Some(0..=9), "/a", &folder));
        let at = |secs| Some(Time { secs, nanos: 0 });
        assert!(wants(&|w| w.newer = at(50), "/a", &file) && !wants(&|w| w.older = at(50), "/a", &file));
        assert!(
            wants(&|w| w.kinds = vec![FileKind::Dir], "/a", &folder)
                && !wants(&|w| w.kinds = vec![FileKind::Dir], "/a", &file)
        );
        for bad in [
            Wanted { patterns: vec!["[a".into()], ..Default::default() },
            Wanted { regex: Some("(".into()), ..Default::default() },
        ] {
            assert!(matches!(Matcher::new(&bad), Err(Error::Usage(_))));
        }
    }
}
