//! What is restored beside the sample: a whole subvolume once a month, and databases, each in its turn.

use super::record::DrillRecord;
use super::survey::{Database, Unit};

/// A whole subvolume is due after so long.
const WHOLE_SECS: i64 = 30 * 86_400;

/// When something was last restored as a whole with success, of `writer`'s; the least time if never.
fn last(done: &[DrillRecord], writer: &str, is_it: impl Fn(&DrillRecord) -> bool) -> i64 {
    let its = done.iter().filter(|drill| drill.writer == writer && is_it(drill));
    its.map(|drill| drill.at_secs).max().unwrap_or(i64::MIN)
}

/// Whether a whole subvolume of `writer`'s is due.
pub(super) fn is_whole_due(done: &[DrillRecord], writer: &str, now_secs: i64) -> bool {
    let newest = last(done, writer, |drill| drill.success && (drill.is_whole || drill.subvolume.is_some()));
    newest <= now_secs - WHOLE_SECS
}

/// The units in the order in which it is their turn: that which was restored longest ago first.
pub(super) fn units_in_turn(mut units: Vec<Unit>, done: &[DrillRecord], writer: &str) -> Vec<Unit> {
    let when = |unit: &Unit| {
        let name = String::from_utf8_lossy(&unit.path);
        last(done, writer, |drill| drill.subvolume.as_deref() == Some(&*name))
    };
    units.sort_by_key(|unit| when(unit));
    units
}

/// The database whose turn it is; and if a PostgreSQL is to be started and it is none, the next one of these, too.
pub(super) fn databases_in_turn(
    mut all: Vec<Database>,
    done: &[DrillRecord],
    writer: &str,
    wants_postgresql: bool,
) -> Vec<Database> {
    let when = |database: &Database| {
        let name = String::from_utf8_lossy(&database.path);
        last(done, writer, |drill| drill.databases.iter().any(|tried| tried.name == *name))
    };
    all.sort_by_key(|database| when(database));
    let mut found: Vec<Database> = all.first().cloned().into_iter().collect();
    if wants_postgresql && !found.iter().any(|database| database.is_postgresql) {
        found.extend(all.into_iter().find(|database| database.is_postgresql));
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ops::drill::Tried;

    fn record(at_secs: i64, subvolume: Option<&str>, database: &str) -> DrillRecord {
        let databases = vec![Tried { name: database.into(), ..Tried::default() }];
        let subvolume = subvolume.map(str::to_owned);
        DrillRecord { writer: "web".into(), at_secs, success: true, subvolume, databases, ..DrillRecord::default() }
    }

    #[test]
    fn each_in_its_turn() {
        let unit = |path: &str| Unit { path: path.as_bytes().to_vec(), files: 1, bytes: 1 };
        let database = |path: &str, is_postgresql| Database { path: path.as_bytes().to_vec(), is_postgresql };
        let mut done = Vec::new();
        let mut turns = Vec::new();
        for month in 0..6 {
            let now = month * WHOLE_SECS;
            assert!(is_whole_due(&done, "web", now));
            let units = units_in_turn(vec![unit("/"), unit("/home"), unit("/srv")], &done, "web");
            let unit = String::from_utf8(units[0].path.clone()).unwrap();
            let all = vec![database("/pg/a", true), database("/pg/b", true), database("/redis", false)];
            let databases = databases_in_turn(all, &done, "web", false);
            let database = String::from_utf8(databases[0].path.clone()).unwrap();
            done.push(record(now, Some(&unit), &database));
            turns.push((unit, database));
            // Not twice in a month, and of each host by itself.
            assert!(!is_whole_due(&done, "web", now + WHOLE_SECS - 1));
            assert!(is_whole_due(&done, "db", now));
        }
        let turns: Vec<(&str, &str)> = turns.iter().map(|(unit, database)| (&unit[..], &database[..])).collect();
        let want = [("/", "/pg/a"), ("/home", "/pg/b"), ("/srv", "/redis")];
        assert_eq!(turns, [want, want].concat());
        // It is Redis' turn, and a PostgreSQL is to be started.
        done.truncate(2);
        let all = vec![database("/pg/a", true), database("/pg/b", true), database("/redis", false)];
        let both = databases_in_turn(all, &done, "web", true);
        assert_eq!(both, [database("/redis", false), database("/pg/a", true)]);
    }
}
