//! The local state. Looking at it changes nothing.

use super::Patient;
use super::report::Line;
use crate::repo::Repository;
use crate::state::examine::{Condition, Slot, examine};

pub(super) fn lines(patient: &Patient, repo: Option<&Repository>) -> Vec<Line> {
    let check = "state";
    let Some(folder) = &patient.state_folder else {
        return vec![Line::error(
            check,
            "nobody knows where the local state is",
            "set HOME, or name a folder with --state-dir",
        )];
    };
    // Whose state it is is only known of a repository that was opened.
    let Some(repo) = repo else { return Vec::new() };
    match examine(folder, &repo.config().repo) {
        Err(error) => vec![Line::failed(check, &error)],
        Ok(slots) if slots.is_empty() => {
            vec![Line::ok(check, format!("nothing is remembered of this repository in {} yet", folder.display()))]
        }
        Ok(slots) => of_slots(&slots),
    }
}

fn of_slots(slots: &[Slot]) -> Vec<Line> {
    let check = "state";
    let anew = "the next run makes it anew, and the next backup reads all files again; if it happens often, look at the disk and the memory";
    let mut lines: Vec<Line> = Vec::new();
    for slot in slots {
        let path = slot.path.display();
        lines.extend(match &slot.condition {
            Condition::Sound | Condition::InUse | Condition::Unclean => None,
            Condition::Distrusted => {
                Some(Line::warning(check, format!("a run has found something wrong in {path}"), anew))
            }
            Condition::OtherSchema => {
                Some(Line::warning(check, format!("{path} is of another version of panther"), anew))
            }
            Condition::Damaged(why) => Some(Line::warning(check, format!("{path} is damaged: {why}"), anew)),
            Condition::Unreadable(why) => Some(Line::error(
                check,
                format!("{path} cannot be opened: {why}"),
                "see who owns it and what the disk says; it is only a cache: it may be deleted",
            )),
        });
    }
    if lines.is_empty() {
        let size_bytes: u64 = slots.iter().map(|slot| slot.size_bytes).sum();
        let in_use = slots.iter().filter(|slot| slot.condition == Condition::InUse).count();
        let used = if in_use > 0 { format!(", {in_use} in use") } else { String::new() };
        let files = if slots.len() == 1 { "1 file".to_owned() } else { format!("{} files", slots.len()) };
        lines.push(Line::ok(check, format!("{files}{used}, {} MiB", size_bytes.div_ceil(1 << 20))));
    }
    lines
}
