//! Errors: what went wrong, where, of which class, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a store (backend) answers when it cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("there is no such object")]
    NotFound,
    /// The object exists but is shorter than the range asked for, or longer than the limit given.
    #[error("the object has {actual_bytes} bytes, not {wanted}")]
    Length {
        /// The object's size.
        actual_bytes: u64,
        /// What was wanted, for people.
        wanted: String,
    },
    /// No room is left.
    #[error("the store is full")]
    Full(#[source] io::Error),
    /// The store does not allow this.
    #[error("the store does not allow it")]
    Denied(#[source] io::Error),
    /// Anything else.
    #[error("the store failed")]
    Io(#[source] io::Error),
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            K::NotFound => Self::NotFound,
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge => Self::Full(error),
            K::PermissionDenied | K::ReadOnlyFilesystem => Self::Denied(error),
            _ => Self::Io(error),
        }
    }
}

/// Why bytes are not the record that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It ends too early.
    #[error("it is truncated")]
    Truncated,
    /// It breaks a rule of the format; the text says which.
    #[error("{0}")]
    Invalid(&'static str),
    /// A length or count is over its limit (spec 1.6).
    #[error("{what} is {actual}, over the limit of {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// How large it says it is.
        actual: u64,
        /// How large it may be.
        limit: u64,
    },
    /// It was written by a version that this program does not know.
    #[error("it has format version {0}; this program knows version 1")]
    Version(u64),
    /// It uses a feature that this program does not know.
    #[error("it uses a feature that this program does not know ({what} {number})")]
    Feature {
        /// What kind of feature.
        what: &'static str,
        /// Its number.
        number: i64,
    },
    /// Its bytes do not hash to its name.
    #[error("its bytes do not hash to its name")]
    Hash,
    /// A seal (AEAD or HPKE) does not open.
    #[error("its seal does not open: {0}")]
    Seal(&'static str),
    /// A signature or certificate is not valid.
    #[error("its signature is not valid: {0}")]
    Signature(&'static str),
}

impl FormatError {
    /// Whether a newer program may well be able to read it.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Version(_) | Self::Feature { .. })
    }
}

/// Everything that can go wrong in the library.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on a path failed.
    #[error("cannot {op} {}", .path.display())]
    Io {
        /// What was tried: a verb in the infinitive.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The store failed on an object.
    #[error("cannot {op} {object}")]
    Store {
        /// What was tried: a verb in the infinitive.
        op: &'static str,
        /// The object's name, or the store's location.
        object: String,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// An object, blob or record is not what it should be.
    #[error("{object} is damaged")]
    Damaged {
        /// The object's name, or a description of the blob.
        object: String,
        /// In which way.
        #[source]
        source: FormatError,
    },
    /// An object needs a newer program.
    #[error("{object} needs a newer version of panther")]
    Newer {
        /// The object's name.
        object: String,
        /// Why.
        #[source]
        source: FormatError,
    },
    /// Something that the repository should have is missing.
    #[error("{0} is missing from the repository")]
    Missing(String),
    /// There is no repository.
    #[error("there is no panther repository at {0}")]
    NoRepository(String),
    /// Another repository is where this machine remembers one.
    #[error("the repository at {0} is another than the one that this machine remembers there")]
    OtherRepository(String),
    /// There is one already.
    #[error("there already is a panther repository at {0}")]
    RepositoryExists(String),
    /// No key file opens with the secret that was given.
    #[error("no key of the repository opens with this {0}")]
    WrongKey(&'static str),
    /// The key at hand may not do this.
    #[error("a {have} key cannot {what}")]
    Role {
        /// The role at hand.
        have: &'static str,
        /// What was wanted.
        what: &'static str,
    },
    /// What was asked for does not exist or makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The local state cannot be used.
    #[error("the local state {} cannot be used: {what}", .path.display())]
    State {
        /// The state's file.
        path: PathBuf,
        /// Why not.
        what: String,
    },
    /// The user or the system asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Another thread of the same operation has failed and said why.
    #[error("stopped because another part failed")]
    Aborted,
}

impl Error {
    /// An I/O error on `path` while trying to `op`.
    pub fn io(op: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::Io { op, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// A failure of the store on `object` while trying to `op`.
    pub fn store(op: &'static str, object: impl ToString, source: StoreError) -> Self {
        Self::Store { op, object: object.to_string(), source }
    }

    /// What is wrong with the bytes of `object`: damage, or a newer format.
    pub fn format(object: impl ToString, source: FormatError) -> Self {
        let object = object.to_string();
        if source.is_newer() { Self::Newer { object, source } } else { Self::Damaged { object, source } }
    }

    /// The exit code of a program that ends with this error, as `docs/exit-codes.md` has them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::RepositoryExists(_) => 2,
            Self::Damaged { .. } | Self::Missing(_) => 4,
            Self::Store { source: StoreError::NotFound | StoreError::Length { .. }, .. } => 4,
            Self::Store { .. } => 5,
            Self::NoRepository(_) => 10,
            Self::OtherRepository(_) => 11,
            Self::WrongKey(_) => 12,
            Self::Role { .. } => 13,
            Self::Newer { .. } => 14,
            Self::Interrupted => 130,
            Self::Io { .. } | Self::State { .. } | Self::Aborted => 1,
        }
    }

    /// What the user can do about it, in a sentence, where there is something.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Damaged { .. } | Self::Missing(_) => {
                "run `panther check --read-data` to see everything that is affected; what it does not name can still be restored"
            }
            Self::Newer { .. } => {
                "update panther on this machine, then run the same command again; nothing was changed"
            }
            Self::NoRepository(_) => "check -r/--repo, or make a new repository with `panther init`",
            Self::OtherRepository(_) => {
                "if you have made it anew there, or change disks at this place, use --accept-repository once; else somebody may have put a false one there"
            }
            Self::RepositoryExists(_) => "use it as it is, or name another place with -r/--repo",
            Self::WrongKey("passphrase") => {
                "check the password file or the keyboard layout; `panther key list` needs no passphrase"
            }
            Self::WrongKey(_) => "name another file with --identity-file, or use the passphrase",
            Self::Role { .. } => "use the admin's or a reader's key on the machine where it is kept",
            Self::Store { source: StoreError::Full(_), .. } => {
                "free some room or add some, then run the same command again: it carries on where it stopped"
            }
            Self::Store { source: StoreError::Denied(_), .. } => {
                "check who owns the repository and whether it is mounted read-only"
            }
            Self::Store { source: StoreError::NotFound, .. } => {
                "run `panther check` to see what else is missing; what it does not name can still be restored"
            }
            Self::State { .. } => "the state is only a cache: delete the file and run the command again",
            Self::Interrupted => "run the same command again: it carries on where it stopped",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
