//! What the application key of each role needs, what it must not have, and how it is made. Pure.
//!
//! Names of capabilities and what each allows: the vendor's page "Application Key Capabilities". What is needed follows from the calls that the client
//! makes, and from what a store must allow (spec 11.1).

use super::location::Location;
use super::wire::{Allowed, LifecycleRule};
use crate::id::WriterName;

/// What an application key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A machine that backs up: reads and writes below `writers/NAME/`.
    Writing,
    /// The second key of such a machine, or the only one of a reader: reads everything.
    Reading,
    /// The admin's: everything that panther ever does, removing included.
    Admin,
}

/// How bad it is that a key has a capability.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Danger {
    /// More than is needed.
    Needless,
    /// It defeats what the role is for.
    Grave,
}

impl Purpose {
    /// Capabilities without which something does not work. `with_lock`: new objects are to be locked for a time.
    pub fn needs(self, with_lock: bool) -> Vec<&'static str> {
        let mut needs = vec!["listFiles", "readFiles"];
        if self != Self::Reading {
            needs.push("writeFiles");
            if with_lock {
                needs.extend(["readFileRetentions", "writeFileRetentions"]);
            }
        }
        if self == Self::Admin {
            needs.push("deleteFiles");
        }
        needs
    }

    /// Capabilities by which `panther doctor` sees the bucket's settings; nothing else needs them.
    pub fn wants(self) -> Vec<&'static str> {
        vec!["listBuckets", "readBucketRetentions"]
    }

    /// Those of `allowed` that a key for this should not have, the grave ones first, with what they make possible.
    pub fn dangers(self, allowed: &Allowed) -> Vec<(&'static str, Danger, &'static str)> {
        let grave = if self == Self::Admin { Danger::Needless } else { Danger::Grave };
        let all = [
            ("deleteFiles", Danger::Grave, "deletes what is stored"),
            ("writeKeys", grave, "makes new keys that may do everything in the account"),
            ("writeBuckets", grave, "sets lifecycle rules that delete"),
            ("writeBucketRetentions", grave, "changes the bucket's Object Lock"),
            ("bypassGovernance", grave, "removes what Object Lock protects in governance mode"),
            ("writeFiles", Danger::Needless, "hides, and stores more, though it need only read"),
            ("deleteBuckets", Danger::Needless, "deletes empty buckets"),
            ("deleteKeys", Danger::Needless, "deletes other machines' keys"),
        ];
        let is_needed = |capability: &str| match self {
            Self::Admin => matches!(capability, "deleteFiles" | "writeFiles"),
            Self::Writing => capability == "writeFiles",
            Self::Reading => false,
        };
        let mut found: Vec<_> = all.into_iter().filter(|(c, ..)| allowed.can(c) && !is_needed(c)).collect();
        found.sort_by_key(|(_, danger, _)| std::cmp::Reverse(*danger));
        found
    }

    /// Those that are needed and that `allowed` lacks.
    pub fn lacks(self, allowed: &Allowed, with_lock: bool) -> Vec<&'static str> {
        self.needs(with_lock).into_iter().filter(|c| !allowed.can(c)).collect()
    }

    /// What names such a key should be restricted to, from the bucket's root; of a writer those of its own folder.
    pub fn prefix(self, location: &Location, writer: Option<&WriterName>) -> String {
        match (self, writer) {
            (Self::Writing, Some(writer)) => format!("{}writers/{writer}/", location.prefix),
            _ => location.prefix.clone(),
        }
    }

    /// What it is called in a sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writing => "writing key",
            Self::Reading => "reading key",
            Self::Admin => "admin's key",
        }
    }
}

/// How to make an application key.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Recipe {
    /// What for.
    pub purpose: Purpose,
    /// A name for it: letters, digits and dashes.
    pub key_name: String,
    /// The bucket to restrict it to.
    pub bucket: String,
    /// The prefix to restrict it to; empty for none.
    pub name_prefix: String,
    /// What it may do.
    pub capabilities: Vec<&'static str>,
    /// The command that makes it, of the vendor's command-line tool, version 4.
    pub command: String,
    /// What to choose in the vendor's web console instead; nothing where it offers nothing that fits.
    pub web: Option<String>,
}

impl Recipe {
    /// The key for `purpose` in a repository; for a writing key the writer's name must be given.
    pub fn new(purpose: Purpose, location: &Location, writer: Option<&WriterName>, with_lock: bool) -> Self {
        let mut capabilities = purpose.wants();
        capabilities.extend(purpose.needs(with_lock));
        capabilities.sort_unstable();
        let name_prefix = purpose.prefix(location, writer);
        let key_name = match (purpose, writer) {
            (Purpose::Writing, Some(writer)) => format!("panther-{}", for_a_key(writer.as_str())),
            (Purpose::Writing, None) => "panther-writer".into(),
            (Purpose::Reading, _) => "panther-read".into(),
            (Purpose::Admin, _) => "panther-admin".into(),
        };
        let prefix =
            if name_prefix.is_empty() { String::new() } else { format!(" --name-prefix {}", quoted(&name_prefix)) };
        let command =
            format!("b2 key create --bucket {}{prefix} {key_name} {}", location.bucket, capabilities.join(","));
        let type_of_access = match purpose {
            // Three types of access are on offer there, and no choice of capabilities: none reads and writes without deleting.
            Purpose::Writing => None,
            Purpose::Reading => Some("Read Only"),
            Purpose::Admin => Some("Read and Write"),
        };
        let web = type_of_access.map(|access| {
            let files = if name_prefix.is_empty() { "empty" } else { &*name_prefix };
            format!("bucket: {}; type of access: {access}; file name prefix: {files}", location.bucket)
        });
        Self { purpose, key_name, bucket: location.bucket.clone(), name_prefix, capabilities, command, web }
    }
}

/// Names of keys have at most 100 letters, digits and dashes (b2_create_key).
fn for_a_key(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(80).collect()
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// What a lifecycle rule does to a repository.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RuleHarm {
    /// Hidden versions are deleted after so many days: who may write, and no more, can delete with a delay.
    DeletesHidden(u64),
    /// Objects are hidden after so many days, although they are needed.
    Hides(u64),
}

/// What the bucket's lifecycle rules do to objects below `prefix` (of the whole bucket if it is empty), the worst last.
pub fn harms(rules: &[LifecycleRule], prefix: &str) -> Vec<RuleHarm> {
    let concerns = |rule: &&LifecycleRule| {
        rule.file_name_prefix.starts_with(prefix) || prefix.starts_with(&*rule.file_name_prefix)
    };
    let of = |rule: &LifecycleRule| {
        let hides = rule.days_from_uploading_to_hiding.map(RuleHarm::Hides);
        [rule.days_from_hiding_to_deleting.map(RuleHarm::DeletesHidden), hides]
    };
    let mut found: Vec<RuleHarm> = rules.iter().filter(concerns).flat_map(of).flatten().collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn allowed(capabilities: &[&str]) -> Allowed {
        Allowed { capabilities: capabilities.iter().map(|c| (*c).to_owned()).collect(), ..Allowed::default() }
    }

    #[test]
    fn recipes_are_exact() {
        let place = Location::parse("b2://my-bucket/home").unwrap();
        let writer = WriterName::new("laptop").unwrap();
        let of = |purpose, lock| Recipe::new(purpose, &place, Some(&writer), lock);
        let writing = of(Purpose::Writing, false);
        assert_eq!(
            writing.command,
            "b2 key create --bucket my-bucket --name-prefix home/writers/laptop/ panther-laptop \
             listBuckets,listFiles,readBucketRetentions,readFiles,writeFiles"
        );
        assert_eq!(writing.web, None);
        let reading = of(Purpose::Reading, true);
        assert_eq!(
            reading.command,
            "b2 key create --bucket my-bucket --name-prefix home/ panther-read \
             listBuckets,listFiles,readBucketRetentions,readFiles"
        );
        assert_eq!(reading.web.unwrap(), "bucket: my-bucket; type of access: Read Only; file name prefix: home/");
        let admin = of(Purpose::Admin, true);
        assert_eq!(
            admin.capabilities,
            [
                "deleteFiles",
                "listBuckets",
                "listFiles",
                "readBucketRetentions",
                "readFileRetentions",
                "readFiles",
                "writeFileRetentions",
                "writeFiles"
            ]
        );
        let whole = Recipe::new(Purpose::Admin, &Location::parse("b2://my-bucket").unwrap(), None, false);
        assert!(whole.command.starts_with("b2 key create --bucket my-bucket panther-admin deleteFiles,"));
        assert!(whole.web.unwrap().ends_with("file name prefix: empty"));
        assert_eq!(
            (quoted("a b"), quoted("it's"), quoted("a/b.c_d-")),
            ("'a b'".into(), r"'it'\''s'".into(), "a/b.c_d-".into())
        );
    }

    #[test]
    fn a_key_of_a_recipe_lacks_nothing_and_has_no_danger() {
        let place = Location::parse("b2://my-bucket").unwrap();
        for purpose in [Purpose::Writing, Purpose::Reading, Purpose::Admin] {
            for lock in [false, true] {
                let made = allowed(&Recipe::new(purpose, &place, None, lock).capabilities);
                assert!(purpose.lacks(&made, lock).is_empty(), "{purpose:?}");
                assert!(purpose.dangers(&made).is_empty(), "{purpose:?}");
                for missing in purpose.needs(lock) {
                    let mut less = made.clone();
                    less.capabilities.retain(|c| c != missing);
                    assert_eq!(purpose.lacks(&less, lock), [missing]);
                }
            }
        }
    }

    #[test]
    fn dangers() {
        let brief = |purpose: Purpose, has: &[&str]| -> Vec<(&str, Danger)> {
            purpose.dangers(&allowed(has)).into_iter().map(|(c, danger, _)| (c, danger)).collect()
        };
        assert_eq!(
            brief(Purpose::Writing, &["deleteBuckets", "writeFiles", "deleteFiles", "shareFiles"]),
            [("deleteFiles", Danger::Grave), ("deleteBuckets", Danger::Needless)]
        );
        assert_eq!(brief(Purpose::Writing, &["writeBuckets"]), [("writeBuckets", Danger::Grave)]);
        assert_eq!(brief(Purpose::Reading, &["writeFiles"]), [("writeFiles", Danger::Needless)]);
        assert_eq!(
            brief(Purpose::Admin, &["deleteFiles", "writeFiles", "writeKeys"]),
            [("writeKeys", Danger::Needless)]
        );
    }

    #[test]
    fn rules_that_concern_the_repository() {
        let rule = |prefix: &str, hide, delete| LifecycleRule {
            file_name_prefix: prefix.to_owned(),
            days_from_hiding_to_deleting: delete,
            days_from_uploading_to_hiding: hide,
            days_from_starting_to_canceling_unfinished_large_files: Some(1),
        };
        let found = |rules: &[LifecycleRule]| harms(rules, "home/");
        assert_eq!(found(&[rule("", None, Some(1))]), [RuleHarm::DeletesHidden(1)]);
        assert_eq!(found(&[rule("home/writers/", None, Some(3))]), [RuleHarm::DeletesHidden(3)]);
        assert_eq!(found(&[rule("hom", Some(9), Some(1))]), [RuleHarm::DeletesHidden(1), RuleHarm::Hides(9)]);
        assert!(found(&[rule("other/", Some(9), Some(1)), rule("", None, None)]).is_empty());
        assert_eq!(harms(&[rule("x/", None, Some(1))], ""), [RuleHarm::DeletesHidden(1)]);
    }
}
