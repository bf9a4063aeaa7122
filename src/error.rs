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
    /// A cap that the account's owner has set is reached.
    #[error("the account's {} is reached", .cap.as_str())]
    Cap {
        /// Which.
        cap: Cap,
        /// What the store says.
        #[source]
        source: io::Error,
    },
    /// The store does not accept the credentials at all.
    #[error("the store does not accept the credentials")]
    Credentials(#[source] io::Error),
    /// The credentials are good, but may not do this.
    #[error("the store's credentials may not do this")]
    Forbidden(#[source] io::Error),
    /// The object is locked: it may not be removed yet.
    #[error("the object is locked and may not be removed yet")]
    Locked(#[source] io::Error),
    /// There is no bucket of this name, or not for these credentials.
    #[error("there is no bucket {0}, or these credentials cannot see it")]
    NoBucket(String),
    /// The store could not be reached, or was too busy, in spite of several attempts.
    #[error("the store cannot be reached, or is too busy")]
    Unreachable(#[source] io::Error),
    /// The user or the system asked to stop while the store was waited for.
    #[error("interrupted")]
    Cancelled,
}

/// A cap of a Backblaze account ("Caps & Alerts").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cap {
    /// Bytes stored.
    Storage,
    /// Calls of classes B and C in a day.
    Transactions,
    /// Bytes downloaded in a day.
    Download,
    /// The store does not say which.
    Unnamed,
}

impl Cap {
    /// What it is called in a sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Storage => "storage cap",
            Self::Transactions => "transaction cap",
            Self::Download => "download cap",
            Self::Unnamed => "cap (storage, transactions or download)",
        }
    }
}

impl StoreError {
    /// Whether the same call may well succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// The same error for somebody else: causes are kept as text.
    #[must_use]
    pub fn again(&self) -> Self {
        let copy = |e: &io::Error| io::Error::new(e.kind(), e.to_string());
        match self {
            Self::NotFound => Self::NotFound,
            Self::Length { actual_bytes, wanted } => {
                Self::Length { actual_bytes: *actual_bytes, wanted: wanted.clone() }
            }
            Self::Full(e) => Self::Full(copy(e)),
            Self::Denied(e) => Self::Denied(copy(e)),
            Self::Io(e) => Self::Io(copy(e)),
            Self::Cap { cap, source } => Self::Cap { cap: *cap, source: copy(source) },
            Self::Credentials(e) => Self::Credentials(copy(e)),
            Self::Forbidden(e) => Self::Forbidden(copy(e)),
            Self::Locked(e) => Self::Locked(copy(e)),
            Self::NoBucket(name) => Self::NoBucket(name.clone()),
            Self::Unreachable(e) => Self::Unreachable(copy(e)),
            Self::Cancelled => Self::Cancelled,
        }
    }

    /// Whether further calls are of no use in this run: nothing but waiting or a change of the account helps.
    pub fn ends_the_run(&self) -> bool {
        matches!(
            self,
            Self::Cap { .. }
                | Self::Credentials(_)
                | Self::Forbidden(_)
                | Self::NoBucket(_)
                | Self::Unreachable(_)
                | Self::Cancelled
        )
    }
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

/// Why a program that a backup runs has failed: a hook, or a database's client.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It cannot be started.
    #[error("{0} cannot be run")]
    Start(String, #[source] io::Error),
    /// It says that it has failed.
    #[error("{0}")]
    Failed(String),
    /// It took longer than it may (seconds) and was killed.
    #[error("it took more than {0} s and was killed")]
    Timeout(f64),
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
    /// Something of the repository that is imported from is missing, or is not what it should be.
    #[error("the other repository's {object} cannot be used")]
    Foreign {
        /// A file, named from the repository's folder on, or a blob.
        object: String,
        /// Why not.
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
    /// No snapshot could be taken of a subvolume.
    #[error("cannot take a snapshot of {}", .path.display())]
    NoSnapshot {
        /// The subvolume.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A snapshot that was read is no longer what it was.
    #[error("the snapshot {} was changed while it was backed up", .0.display())]
    SnapshotChanged(PathBuf),
    /// The month would cost more than its budget allows.
    #[error("the budget stops this backup: {month} would cost {forecast}, over the limit of {limit}")]
    Budget {
        /// The month, as `2026-05`.
        month: String,
        /// What it would come to.
        forecast: String,
        /// What it may.
        limit: String,
        /// What this run was expected to add to it.
        adds_bytes: u64,
    },
    /// A hook or a database's client failed.
    #[error("{what} failed")]
    Command {
        /// What was run, without its arguments.
        what: String,
        /// Why it failed.
        #[source]
        source: CommandError,
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
        match source {
            StoreError::Cancelled => Self::Interrupted,
            source => Self::Store { op, object: object.to_string(), source },
        }
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
            Self::Damaged { .. } | Self::Missing(_) | Self::Foreign { .. } => 4,
            Self::Store { source: StoreError::NotFound | StoreError::Length { .. }, .. } => 4,
            Self::Store { source: StoreError::Cap { .. }, .. } => 6,
            Self::Store { source: StoreError::Unreachable(_), .. } => 7,
            Self::Store { source: StoreError::Cancelled, .. } => 130,
            Self::Store { source: StoreError::NoBucket(_), .. } => 10,
            Self::Store { .. } => 5,
            Self::Command { .. } => 8,
            Self::NoRepository(_) => 10,
            Self::OtherRepository(_) => 11,
            Self::WrongKey(_) => 12,
            Self::Role { .. } => 13,
            Self::Newer { .. } => 14,
            Self::Budget { .. } => 15,
            Self::Interrupted => 130,
            Self::Io { .. }
            | Self::State { .. }
            | Self::NoSnapshot { .. }
            | Self::SnapshotChanged(_)
            | Self::Aborted => 1,
        }
    }

    /// What the user can do about it, in a sentence, where there is something.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Damaged { .. } | Self::Missing(_) => {
                "run `panther check --read-data` to see everything that is affected; what it does not name can still be restored"
            }
            Self::Foreign { .. } => {
                "run `restic check --read-data` on that repository; what it can repair is imported by running this again"
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
            Self::WrongKey("restic password") => {
                "check --from-password-file, or what RESTIC_PASSWORD_FILE names; `restic snapshots` with the same password says the same"
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
            Self::Store { source: StoreError::Cap { cap, .. }, .. } => match cap {
                Cap::Storage => {
                    "raise the storage cap under Caps & Alerts in the Backblaze account, or prune; then run the same command again: it carries on where it stopped"
                }
                Cap::Transactions | Cap::Download | Cap::Unnamed => {
                    "look under Caps & Alerts in the Backblaze account which cap is reached and raise it, or wait until midnight UTC, when the day's count begins anew; then run the same command again: it carries on where it stopped"
                }
            },
            Self::Store { source: StoreError::Credentials(_), .. } => {
                "check the application key's id and secret, and whether the key still exists in the Backblaze account"
            }
            Self::Store { source: StoreError::Forbidden(_), .. } => {
                "the application key lacks a capability, or is restricted to another bucket or prefix; `panther doctor` says what it may do"
            }
            Self::Store { source: StoreError::Locked(_), .. } => "run the same command again when the lock has ended",
            Self::Store { source: StoreError::NoBucket(_), .. } => {
                "check the bucket's name in -r/--repo; panther makes no buckets: make a private one in the Backblaze account"
            }
            Self::Store { source: StoreError::Unreachable(_), .. } => {
                "check the network and the store's status page, then run the same command again: it carries on where it stopped"
            }
            Self::State { .. } => "the state is only a cache: delete the file and run the command again",
            Self::Command { source: CommandError::Timeout(_), .. } => {
                "give it more time (--hook-timeout, or timeout= of the database), or see what keeps it waiting"
            }
            Self::NoSnapshot { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "it takes CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH; for somebody else's subvolume also CAP_FOWNER, and a folder .panther in it that this user may write to (docs/btrfs.md)"
            }
            Self::SnapshotChanged(_) => "let nobody write to it, or take another, and run the same command again",
            Self::Budget { adds_bytes, .. } => {
                return Some(format!(
                    "nothing was uploaded; this run would add about {adds_bytes} bytes. `panther cost` shows what the money goes into; exclude something, keep fewer snapshots and prune, raise budget.stop-month-dollars, or use --override-budget once"
                ));
            }
            Self::Interrupted => "run the same command again: it carries on where it stopped",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
