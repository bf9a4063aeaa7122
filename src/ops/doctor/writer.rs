//! This machine's folder in the repository: whether its snapshots are listed, can be read, and follow each other.

use super::report::{Line, with_causes};
use crate::error::Result;
use crate::format::keyfile::Role;
use crate::format::name::Name;
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::repo::Repository;
use crate::repo::snapshots::SnapshotHead;
use crate::repo::statements::Statements;
use std::collections::HashSet;

/// Laptops are off for days; a month is too long.
const STALE_SECS: i64 = 30 * 86_400;

pub(super) fn lines(repo: &Repository, writer: Option<&WriterName>) -> Vec<Line> {
    let Some(writer) = writer.filter(|_| repo.keys().role() != Role::Reader) else { return Vec::new() };
    match look(repo, writer) {
        Ok(lines) => lines,
        Err(error) => vec![Line::failed("writer", &error)],
    }
}

fn look(repo: &Repository, writer: &WriterName) -> Result<Vec<Line>> {
    let statements = repo.statements()?;
    let names = repo.snapshot_names(Some(writer))?;
    let mut lines = Vec::new();
    let mut heads = Vec::new();
    for name in &names {
        match repo.read_head(name, &statements) {
            Ok(found) => heads.extend(found),
            Err(error) => {
                let what = format!("a snapshot of {writer} cannot be read: {}", with_causes(&error));
                lines.push(Line::error("writer", what, "run `panther check` to see what else is wrong"));
            }
        }
    }
    heads.sort_by_key(|head| (head.cover.sequence, head.id));
    lines.extend(chain(&heads, &names, &statements, writer, Time::now().secs));
    Ok(lines)
}

/// `heads` in the order of the chain.
fn chain(
    heads: &[SnapshotHead],
    names: &[Name],
    statements: &Statements,
    writer: &WriterName,
    now_secs: i64,
) -> Vec<Line> {
    let check = "writer";
    let Some(last) = heads.last() else {
        return vec![Line::warning(
            check,
            format!("{writer} has no snapshot yet"),
            "make a backup; then this looks whether it is listed and can be read",
        )];
    };
    let listed: HashSet<ObjectId> = names.iter().filter_map(Name::id).collect();
    let gone: Vec<String> = heads
        .iter()
        .flat_map(|head| &head.cover.predecessors)
        .filter(|id| !listed.contains(id) && !statements.forgotten.contains(id))
        .map(ObjectId::short)
        .collect();
    if !gone.is_empty() {
        let what = format!("snapshots of {writer} are gone though nobody forgot them: {}", gone.join(", "));
        return vec![Line::error(check, what, "somebody has removed them; look who holds a key that may delete")];
    }
    let age_secs = now_secs.saturating_sub(last.cover.finished.secs);
    let days = age_secs / 86_400;
    let many = if heads.len() == 1 { "1 snapshot".to_owned() } else { format!("{} snapshots", heads.len()) };
    let what = format!("{writer} has {many}, each follows its predecessor");
    vec![match () {
        () if age_secs < -3_600 => Line::warning(
            check,
            format!("{what}; the last one, {}, is of a time to come", last.id.short()),
            "compare this machine's clock with that of the one that made it",
        ),
        () if age_secs > STALE_SECS => Line::warning(
            check,
            format!("{what}; the last one, {}, is {days} days old", last.id.short()),
            "see why no backup has been made since",
        ),
        () => Line::ok(check, format!("{what}; the last one, {}, is {days} days old", last.id.short())),
    }]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::report::Grade;
    use super::*;
    use crate::format::snapshot::Cover;

    fn head(n: u8, predecessors: &[u8], finished_secs: i64) -> SnapshotHead {
        let time = Time { secs: finished_secs, nanos: 0 };
        SnapshotHead {
            id: ObjectId([n; 32]),
            writer: WriterName::new("w").unwrap(),
            cover: Cover {
                sequence: n.into(),
                predecessors: predecessors.iter().map(|n| ObjectId([*n; 32])).collect(),
                started: time,
                finished: time,
                host: "w".to_owned(),
            },
        }
    }

    #[test]
    fn chains() {
        let writer = WriterName::new("w").unwrap();
        let now = 100 * 86_400;
        let found = |heads: &[SnapshotHead], forgotten: &[u8]| {
            let names: Vec<Name> = heads.iter().map(|h| Name::Snapshot(writer.clone(), h.id)).collect();
            let forgotten = forgotten.iter().map(|n| ObjectId([*n; 32])).collect();
            let statements = Statements { forgotten, ..Statements::default() };
            let line = chain(heads, &names, &statements, &writer, now).remove(0);
            (line.grade, line.what)
        };
        let (grade, what) = found(&[head(1, &[], now - 90_000), head(2, &[1], now - 86_400)], &[]);
        assert_eq!(grade, Grade::Ok);
        assert!(what.contains("2 snapshots") && what.contains("1 days old"), "{what}");
        let (grade, what) = found(&[head(2, &[1], now)], &[]);
        assert_eq!(grade, Grade::Error);
        assert!(what.contains("gone") && what.contains("01010101"), "{what}");
        assert_eq!(found(&[head(2, &[1], now)], &[1]).0, Grade::Ok);
        assert_eq!(found(&[head(1, &[], now - 31 * 86_400)], &[]).0, Grade::Warning);
        assert_eq!(found(&[head(1, &[], now + 7_200)], &[]).0, Grade::Warning);
        assert_eq!(found(&[], &[]).0, Grade::Warning);
    }
}
