//! A folder for a while, removed with all that is in it whatever happens.

use panther::ops::Progress;
use panther::{Error, Result};
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A folder that goes away when this is dropped.
pub struct Scratch<'p> {
    path: PathBuf,
    stays: bool,
    progress: &'p dyn Progress,
}

impl<'p> Scratch<'p> {
    /// A new folder that only its owner can look into: in TMPDIR, else in /var/tmp, which is rather on a disk than in memory, else in /tmp.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be made.
    pub fn new(progress: &'p dyn Progress) -> Result<Self> {
        Self::within(None, progress)
    }

    /// The same below a folder that was named.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be made.
    pub fn within(parent: Option<&Path>, progress: &'p dyn Progress) -> Result<Self> {
        let given = std::env::var_os("TMPDIR").filter(|value| !value.is_empty()).map(PathBuf::from);
        let parent = parent.map(Path::to_owned).or(given).unwrap_or_else(|| match Path::new("/var/tmp") {
            var if var.is_dir() => var.to_owned(),
            _ => "/tmp".into(),
        });
        let parent = parent.canonicalize().map_err(|e| Error::io("find", &parent, e))?;
        let random = panther::seal::random32(&mut panther::seal::system_random());
        let path = parent.join(format!("panther-{}", data_encoding::HEXLOWER.encode(&random[..8])));
        DirBuilder::new().mode(0o700).create(&path).map_err(|e| Error::io("make", &path, e))?;
        Ok(Self { path, stays: false, progress })
    }

    /// Lets it stay. Returns where it is.
    pub fn keep(mut self) -> PathBuf {
        self.stays = true;
        self.path.clone()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        let removed = fs::remove_dir_all(&self.path).or_else(|_| {
            // Restored folders may be read-only, for their owner too.
            open_up(&self.path);
            fs::remove_dir_all(&self.path)
        });
        if let Err(error) = removed {
            self.progress.warn(&format!("{} is left and could not be removed: {error}", self.path.display()));
        }
    }
}

/// Gives the owner all rights to every folder below `path`.
fn open_up(path: &Path) {
    // What fails here shows when it is removed.
    let _ = fs::set_permissions(path, Permissions::from_mode(0o700));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use panther::ops::Silent;

    #[test]
    fn it_goes_away_with_what_is_read_only() {
        let scratch = Scratch::new(&Silent).unwrap();
        let path = scratch.path().to_owned();
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/c"), "").unwrap();
        for folder in ["a/b", "a"] {
            fs::set_permissions(path.join(folder), Permissions::from_mode(0o500)).unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(scratch);
        assert!(!path.exists());
    }
}
