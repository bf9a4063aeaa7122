//! What of a snapshot is restored.

use crate::error::{Error, Result};
use crate::source::{ExcludeOptions, Excludes};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether an object is restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It is, and if it is a directory, so is all below it that is not excluded.
    In,
    /// It is a directory that is restored if anything below it is.
    Through,
    /// It is not, nor is anything below it.
    Out,
}

/// Patterns, made ready.
pub(super) struct Selector {
    excludes: Excludes,
    includes: Option<Excludes>,
}

impl Selector {
    /// Makes patterns ready.
    ///
    /// # Errors
    /// As [`Excludes::new`].
    pub fn new(excludes: &ExcludeOptions, includes: &[String]) -> Result<Self> {
        let options = ExcludeOptions { patterns: includes.to_vec(), ..ExcludeOptions::default() };
        // The same rules as for excludes, so the same code; only its messages name the wrong option.
        let built = Excludes::new(&options).map_err(|error| match error {
            Error::Usage(text) => Error::Usage(text.replace("exclude", "include")),
            other => other,
        })?;
        Ok(Self { excludes: Excludes::new(excludes)?, includes: (!includes.is_empty()).then_some(built) })
    }

    /// Whether there are any patterns or other conditions.
    pub fn has_patterns(&self) -> bool {
        self.includes.is_some() || self.excludes.has_patterns()
    }

    /// Judges the object at the absolute `path`. `above` is the verdict on its directory.
    pub fn judge(&self, path: &[u8], is_dir: bool, size_bytes: u64, above: Verdict) -> Verdict {
        let path = Path::new(OsStr::from_bytes(path));
        if self.excludes.is_too_large(size_bytes) || self.excludes.matches(path, is_dir) {
            return Verdict::Out;
        }
        match &self.includes {
            Some(includes) if above != Verdict::In && !includes.matches(path, is_dir) => {
                if is_dir {
                    Verdict::Through
                } else {
                    Verdict::Out
                }
            }
            _ => Verdict::In,
        }
    }

    /// The verdict on what has no directory above it.
    pub fn at_top(&self) -> Verdict {
        if self.includes.is_some() { Verdict::Through } else { Verdict::In }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn includes_and_excludes() {
        let excludes = ExcludeOptions { patterns: vec!["*.tmp".into()], ..Default::default() };
        let selector = Selector::new(&excludes, &["/a/b".into(), "*.rs".into()]).unwrap();
        let top = selector.at_top();
        let judge = |path: &str, is_dir, above| selector.judge(path.as_bytes(), is_dir, 0, above);
        assert_eq!(judge("/a", true, top), Verdict::Through);
        assert_eq!(judge("/a/b", true, Verdict::Through), Verdict::In);
        assert_eq!(judge("/a/b/c", false, Verdict::In), Verdict::In);
        assert_eq!(judge("/a/b/c.tmp", false, Verdict::In), Verdict::Out);
        assert_eq!(judge("/x", false, top), Verdict::Out);
        assert_eq!(judge("/x.rs", false, top), Verdict::In);
        let none = Selector::new(&ExcludeOptions::default(), &[]).unwrap();
        assert_eq!((none.at_top(), none.has_patterns()), (Verdict::In, false));
        let error = Selector::new(&ExcludeOptions::default(), &["[a".into()]).err().unwrap();
        assert!(error.to_string().contains("--include"), "{error}");
    }
}
