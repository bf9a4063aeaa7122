//! The bucket's settings: whether it is the right one and private, what its lifecycle rules do, Object Lock.

use super::report::{Line, with_causes};
use crate::backend::b2::roles::{RuleHarm, harms};
use crate::backend::b2::{B2Backend, Bucket, RetentionMode, Which};
use crate::error::{Error, StoreError};
use crate::format::keyfile::Role;

/// What is seen of the bucket.
pub(super) enum Seen {
    /// Its settings.
    Settings(Bucket),
    /// A key is restricted to it, and may not see its settings.
    Named,
    /// Why it cannot be seen.
    Not(StoreError),
}

/// Asks for the bucket with either key.
pub(super) fn look(b2: &B2Backend) -> Seen {
    let mut first = None;
    for which in [Which::Own, Which::Reading] {
        match b2.bucket(which) {
            Ok(bucket) => return Seen::Settings(bucket),
            Err(error @ StoreError::Forbidden(_)) => first = first.or(Some(error)),
            Err(error) => return Seen::Not(error),
        }
    }
    let name = &b2.place().bucket;
    let is_named = |which| {
        let buckets = b2.account(which).ok().and_then(|account| account.allowed.buckets.clone());
        buckets.is_some_and(|buckets| buckets.iter().any(|bucket| bucket.name.as_ref() == Some(name)))
    };
    match first {
        Some(error) if !is_named(Which::Own) => Seen::Not(error),
        _ => Seen::Named,
    }
}

pub(super) fn lines(b2: &B2Backend, seen: &Seen, role: Option<Role>, with_lock: bool) -> Vec<Line> {
    let place = b2.place();
    let bucket = match seen {
        Seen::Settings(bucket) => bucket,
        Seen::Named => {
            return vec![Line::warning(
                "bucket",
                format!(
                    "{} is the right one, but its settings cannot be seen: lifecycle rules, Object Lock",
                    place.bucket
                ),
                "give the key listBuckets and readBucketRetentions, or look into the account: no lifecycle rule may concern the repository",
            )];
        }
        Seen::Not(StoreError::Forbidden(why)) => {
            return vec![Line::error(
                "bucket",
                format!("the application key is for another bucket than {}: {}", place.bucket, with_causes(why)),
                "check the name after b2://, or make a key for this bucket",
            )];
        }
        Seen::Not(error) => {
            let what = format!("{} cannot be seen: {}", place.bucket, with_causes(error));
            let hint = match error {
                StoreError::NoBucket(_) => "check the name after b2://, or make the bucket: private, all versions kept",
                _ => "once the service answers, run it again",
            };
            return vec![Line::error("bucket", what, hint)];
        }
    };
    let locks = retention(bucket).is_some();
    let mut lines = vec![access(bucket)];
    lines.extend(lifecycle(&harms(&bucket.lifecycle_rules, &place.prefix), locks, role));
    lines.push(object_lock(bucket, with_lock));
    lines
}

fn access(bucket: &Bucket) -> Line {
    let name = &bucket.bucket_name;
    match &*bucket.bucket_type {
        "allPrivate" => Line::ok("bucket", format!("{name} is there, and private")),
        "allPublic" => Line::warning(
            "bucket",
            format!(
                "{name} is public: anybody can download what is in it, and make you pay for it; it cannot be read without a key"
            ),
            format!("make it private: b2 bucket update {name} allPrivate"),
        ),
        other => Line::warning(
            "bucket",
            format!("{name} is of the type {other:?}"),
            "a repository belongs in a private bucket",
        ),
    }
}

/// `locks`: whether every object is protected for a time.
fn lifecycle(harms: &[RuleHarm], locks: bool, role: Option<Role>) -> Vec<Line> {
    let hint =
        "let the bucket keep all versions (web console: Lifecycle Settings), or restrict the rule to another prefix";
    let line = |harm: &RuleHarm| match harm {
        RuleHarm::Hides(days) => Line::error(
            "lifecycle",
            format!("a lifecycle rule hides objects {days} days after they were stored, although they are needed"),
            hint,
        ),
        RuleHarm::DeletesHidden(days) => {
            let what = format!(
                "a lifecycle rule deletes what has been hidden for {days} days, and hiding needs no more than writing: a stolen writer's key could delete"
            );
            match (locks, role) {
                (true, _) => {
                    Line::warning("lifecycle", what + "; Object Lock holds it up until the retention ends", hint)
                }
                (false, Some(Role::Writer)) => Line::error("lifecycle", what, hint),
                (false, _) => Line::warning("lifecycle", what, hint),
            }
        }
    };
    if harms.is_empty() {
        return vec![Line::ok("lifecycle", "no lifecycle rule hides or deletes what is in the repository")];
    }
    harms.iter().map(line).collect()
}

fn retention(bucket: &Bucket) -> Option<(RetentionMode, u64)> {
    bucket.default_retention().filter(|_| bucket.has_lock() == Some(true))
}

/// `with_lock`: new objects are to be locked, whatever the bucket's default is.
fn object_lock(bucket: &Bucket, with_lock: bool) -> Line {
    let check = "object lock";
    match (bucket.has_lock(), retention(bucket)) {
        (None, _) => Line::warning(
            check,
            "whether the bucket has Object Lock cannot be seen",
            "give the key readBucketRetentions to have it checked",
        ),
        (Some(false), _) if with_lock => Line::error(
            check,
            "new objects are to be locked (--object-lock-days), and the bucket has no Object Lock: nothing can be stored",
            "turn Object Lock on in the bucket's settings, or leave the option out",
        ),
        (Some(false), _) => {
            Line::ok(check, "the bucket has none: an admin's key, or one with lifecycle rules, can delete")
        }
        (Some(true), None) => Line::ok(
            check,
            "the bucket has it, without a default retention: only what is locked by --object-lock-days is protected",
        ),
        (Some(true), Some((mode, days))) => {
            let mode = match mode {
                RetentionMode::Governance => "governance",
                RetentionMode::Compliance => "compliance",
            };
            Line::ok(check, format!("new objects are protected for {days} days, in {mode} mode"))
        }
    }
}

/// Refuses a bucket in which a repository would not last, when one is about to be made in it.
///
/// # Errors
/// [`Error::Usage`] when a lifecycle rule hides what is needed.
pub fn refuse_harm(bucket: &Bucket, prefix: &str) -> Result<Vec<Line>, Error> {
    let harms = harms(&bucket.lifecycle_rules, prefix);
    if let Some(RuleHarm::Hides(days)) = harms.last() {
        return Err(Error::Usage(format!(
            "a lifecycle rule of the bucket {} hides everything {days} days after it was stored: no repository can last there; let the bucket keep all versions",
            bucket.bucket_name
        )));
    }
    let lines = lifecycle(&harms, retention(bucket).is_some(), None);
    Ok(lines.into_iter().chain([access(bucket)]).filter(|line| line.hint.is_some()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::report::Grade;
    use super::*;

    #[test]
    fn rules() {
        let grades = |harms: &[RuleHarm], locks, role| -> Vec<Grade> {
            lifecycle(harms, locks, role).iter().map(|line| line.grade).collect()
        };
        let (hides, deletes) = (RuleHarm::Hides(30), RuleHarm::DeletesHidden(1));
        assert_eq!(grades(&[], false, None), [Grade::Ok]);
        assert_eq!(grades(&[deletes], false, Some(Role::Writer)), [Grade::Error]);
        assert_eq!(grades(&[deletes], false, Some(Role::Admin)), [Grade::Warning]);
        assert_eq!(grades(&[deletes], false, Some(Role::Reader)), [Grade::Warning]);
        assert_eq!(grades(&[deletes], true, Some(Role::Writer)), [Grade::Warning]);
        assert_eq!(grades(&[deletes, hides], true, None), [Grade::Warning, Grade::Error]);
    }
}
