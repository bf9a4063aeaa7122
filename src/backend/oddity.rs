//! What is odd about an object without making it unreadable: versions that should not be there.

/// What a store with versions shows about a name beside the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OddityKind {
    /// A marker hides it. It is still there and read; a lifecycle rule may be about to delete it.
    Hidden,
    /// A newer version has other bytes. The oldest is read.
    Shadowed,
    /// Further versions with the same bytes: a repeated upload. They only cost.
    Surplus,
}

/// An odd object, as a listing has shown it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Oddity {
    /// The object's name, from the repository's root.
    pub name: String,
    /// What is odd.
    pub kind: OddityKind,
    /// How many versions are too many: markers, versions beside the object.
    pub extra_versions: u64,
    /// The bytes that these take.
    pub extra_bytes: u64,
}

impl std::fmt::Display for Oddity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, extra_versions, .. } = self;
        match self.kind {
            OddityKind::Hidden => {
                write!(f, "{name} is hidden in the bucket; it is read all the same, but somebody has hidden it")
            }
            OddityKind::Shadowed => {
                write!(f, "{name} has {extra_versions} newer versions with other bytes; the oldest is read")
            }
            OddityKind::Surplus => write!(f, "{name} is stored {} times over", extra_versions + 1),
        }
    }
}

/// What tidying versions away has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tidied {
    /// Versions and markers removed.
    pub removed_versions: u64,
    /// The bytes that they took.
    pub removed_bytes: u64,
    /// Versions that could not be removed yet, as they are locked.
    pub locked_versions: u64,
}
