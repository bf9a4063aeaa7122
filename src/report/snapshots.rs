//! Lists of snapshots.

use crate::format::snapshot::{Origin, Summary};
use crate::format::time::Time;
use crate::id::{ObjectId, WriterName};
use crate::repo::snapshots::{Snapshot, SnapshotHead};
use crate::repo::statements::Statements;
use crate::report::json::RawPath;
use crate::report::text::{self, Align, Table};
use crate::report::{time, units};
use jiff::tz::TimeZone;
use serde::Serialize;

/// A snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its id.
    pub id: ObjectId,
    /// What people see of the id.
    pub short_id: String,
    /// Who wrote it.
    pub writer: WriterName,
    /// Its place in the writer's chain.
    pub sequence: u64,
    /// Start of the backup.
    pub started: Time,
    /// End of the backup.
    pub finished: Time,
    /// Host name.
    pub host: String,
    /// Whether it is pinned.
    pub pinned: bool,
    /// Whether it was forgotten and is still there.
    pub forgotten: bool,
    /// What only readers see.
    #[serde(flatten)]
    pub content: Option<Content>,
}

/// What only readers see of a snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct Content {
    /// Who ran the backup.
    pub user: String,
    /// Program and version.
    pub program: String,
    /// Tags.
    pub tags: Vec<String>,
    /// What was backed up.
    pub paths: Vec<RawPath>,
    /// Exclude patterns; bytes that are no UTF-8 are replaced.
    pub excludes: Vec<String>,
    /// The snapshot that it was compared with.
    pub parent: Option<ObjectId>,
    /// What it was copied or written anew from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Figures.
    pub summary: Summary,
    #[serde(skip)]
    names: Vec<String>,
}

impl Row {
    /// What its cover says.
    pub fn of_head(head: &SnapshotHead) -> Self {
        Self {
            id: head.id,
            short_id: head.id.short(),
            writer: head.writer.clone(),
            sequence: head.cover.sequence,
            started: head.cover.started,
            finished: head.cover.finished,
            host: head.cover.host.clone(),
            pinned: false,
            forgotten: false,
            content: None,
        }
    }

    /// With what gc objects say of it.
    pub fn marked(self, statements: &Statements) -> Self {
        let (pinned, forgotten) = (statements.pinned.contains(&self.id), statements.forgotten.contains(&self.id));
        Self { pinned, forgotten, ..self }
    }

    /// Everything.
    pub fn of(snapshot: &Snapshot) -> Self {
        let manifest = &snapshot.manifest;
        let content = Content {
            user: manifest.user.clone(),
            program: manifest.program.clone(),
            tags: manifest.tags.clone(),
            paths: manifest.roots.iter().map(|root| RawPath::new(&root.path)).collect(),
            excludes: manifest.excludes.iter().map(|e| String::from_utf8_lossy(e).into_owned()).collect(),
            parent: manifest.parent,
            origin: manifest.origin,
            summary: manifest.summary,
            names: manifest.roots.iter().map(|root| text::name(&root.path)).collect(),
        };
        Self { content: Some(content), ..Self::of_head(&snapshot.head) }
    }
}

/// The body of the JSON document.
#[derive(Debug, Serialize)]
pub struct Body<'a> {
    /// Whether only covers could be read, as a writer's key was used.
    pub covers_only: bool,
    /// Oldest first.
    pub snapshots: &'a [Row],
    /// What could not be read.
    pub problems: Vec<String>,
}

/// A table for people.
pub fn table(rows: &[Row], covers_only: bool, zone: &TimeZone) -> String {
    if rows.is_empty() {
        return "no snapshots\n".into();
    }
    use Align::{Left, Right};
    let is_marked = rows.iter().any(|row| row.pinned || row.forgotten);
    let mut columns = vec![("ID", Left), ("Time", Left), ("Host", Left)];
    match covers_only {
        true => columns.extend([("Writer", Left), ("Number", Right)]),
        false => columns.extend([("Tags", Left), ("Paths", Left), ("Size", Right), ("Files", Right)]),
    }
    if is_marked {
        columns.push(("", Left));
    }
    let mut table = Table::new(&columns);
    for row in rows {
        let mut cells = vec![row.short_id.clone(), time::local(row.started, zone), text::message(&row.host)];
        let mark = [("pinned", row.pinned), ("forgotten", row.forgotten)];
        let mark: Vec<&str> = mark.iter().filter(|(_, is)| *is).map(|(word, _)| *word).collect();
        match (&row.content, covers_only) {
            (Some(content), false) => cells.extend([
                content.tags.iter().map(|tag| text::message(tag)).collect::<Vec<_>>().join(","),
                content.names.join("\n"),
                units::size(content.summary.source_bytes),
                units::count(content.summary.files),
            ]),
            _ => cells.extend([row.writer.to_string(), row.sequence.to_string()]),
        }
        if is_marked {
            cells.push(mark.join(", "));
        }
        table.row(cells);
    }
    let mut out = table.render();
    out.push_str(&units::things(rows.len() as u64, "snapshot", "snapshots"));
    out.push('\n');
    if covers_only {
        out.push_str("a writer's key sees no more of them than this: tags, paths and sizes are for readers\n");
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::snapshot::Cover;

    #[test]
    fn tables() {
        let started = Time { secs: 0, nanos: 0 };
        let cover = Cover { sequence: 7, predecessors: Vec::new(), started, finished: started, host: "h\x1b".into() };
        let writer = WriterName::new("w").unwrap();
        let head = SnapshotHead { id: ObjectId([1; 32]), writer, cover };
        let mut row = Row::of_head(&head);
        let covers = table(&[row.clone()], true, &TimeZone::UTC);
        assert!(covers.contains("01010101  1970-01-01 00:00:00  h\\x1b  w            7\n1 snapshot\n"), "{covers}");
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!((json["started"].as_str(), json.get("tags")), (Some("1970-01-01T00:00:00Z"), None));

        row.content = Some(Content {
            user: "u".into(),
            program: "p".into(),
            tags: vec!["a".into(), "b".into()],
            paths: vec![RawPath::new(b"/x"), RawPath::new(b"/y")],
            excludes: Vec::new(),
            parent: None,
            origin: None,
            summary: Summary { files: 1234, source_bytes: 1536, ..Summary::default() },
            names: vec!["/x".into(), "/y".into()],
        });
        let all = table(&[row.clone()], false, &TimeZone::UTC);
        assert!(all.contains("  a,b   /x     1.5 KiB  1,234\n"), "{all}");
        assert_eq!(serde_json::to_value(&row).unwrap()["paths"][1]["path"], "/y");
        assert_eq!(table(&[], false, &TimeZone::UTC), "no snapshots\n");
        row.pinned = true;
        assert!(table(&[row], false, &TimeZone::UTC).contains("  1,234  pinned\n"));
    }
}
