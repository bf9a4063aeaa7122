//! What the application keys may do, by what the service says of them: enough, and no more than that.

use super::Machine;
use super::report::Line;
use crate::backend::b2::roles::{Danger, Purpose, Recipe};
use crate::backend::b2::{Allowed, B2Backend, Which};

pub(super) fn lines(b2: &B2Backend, machine: &Machine) -> Vec<Line> {
    let Some(purpose) = machine.purpose() else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    // Asked before: no further calls.
    if let Ok(account) = b2.account(Which::Own) {
        lines.extend(key(b2, machine, purpose, &account.allowed));
    }
    if b2.has_reading_key()
        && let Ok(account) = b2.account(Which::Reading)
    {
        lines.extend(key(b2, machine, Purpose::Reading, &account.allowed));
    }
    lines
}

fn key(b2: &B2Backend, machine: &Machine, purpose: Purpose, allowed: &Allowed) -> Vec<Line> {
    let check = "capabilities";
    let name = purpose.as_str();
    let recipe = Recipe::new(purpose, b2.place(), machine.writer.as_ref(), machine.with_lock);
    let remedy = format!("make another key: {}", recipe.command);
    let mut lines = Vec::new();
    let mut lacks = purpose.lacks(allowed, machine.with_lock);
    // What the second key reads, the first need not.
    if purpose == Purpose::Writing && b2.has_reading_key() {
        lacks.retain(|c| !matches!(*c, "listFiles" | "readFiles"));
    }
    if !lacks.is_empty() {
        lines.push(Line::error(check, format!("the {name} lacks {}", lacks.join(", ")), &*remedy));
    }
    let dangers = purpose.dangers(allowed);
    let of = |danger| -> Vec<String> {
        let such = dangers.iter().filter(|(_, d, _)| *d == danger);
        such.map(|(capability, _, what)| format!("{capability} ({what})")).collect()
    };
    let (grave, needless) = (of(Danger::Grave), of(Danger::Needless));
    if !grave.is_empty() {
        let why = if purpose == Purpose::Writing { "; whoever steals it can destroy the backups" } else { "" };
        lines.push(Line::error(check, format!("the {name} has {}{why}", grave.join(", ")), &*remedy));
    }
    if !needless.is_empty() {
        lines.push(Line::warning(
            check,
            format!("the {name} has more than it needs: {}", needless.join(", ")),
            &*remedy,
        ));
    }
    lines.extend(reach(b2, machine, purpose, allowed, &recipe));
    if lines.is_empty() {
        lines.push(Line::ok(check, format!("the {name} may do what it must, and no more: {}", listed(allowed))));
    }
    lines
}

/// Which buckets and names a key reaches.
fn reach(b2: &B2Backend, machine: &Machine, purpose: Purpose, allowed: &Allowed, recipe: &Recipe) -> Option<Line> {
    let (check, name, place) = ("capabilities", purpose.as_str(), b2.place());
    let remedy = format!("make another key: {}", recipe.command);
    let own = allowed.name_prefix.as_deref().unwrap_or_default();
    // A writing key must reach its folder; if it is the only one, everything.
    let alone = !b2.has_reading_key();
    let must = match (purpose, alone) {
        (Purpose::Writing, false) => purpose.prefix(place, machine.writer.as_ref()),
        _ => place.prefix.clone(),
    };
    if !must.starts_with(own) {
        let what =
            format!("the {name} reaches only names that begin with {own:?}, and needs all that begin with {must:?}");
        let hint = match (purpose, alone) {
            (Purpose::Writing, true) => format!(
                "give a second key with --b2-read-key-file: {}",
                Recipe::new(Purpose::Reading, place, None, false).command
            ),
            _ => remedy,
        };
        return Some(Line::error(check, what, hint));
    }
    if allowed.buckets.as_ref().is_none_or(Vec::is_empty) {
        let what = format!("the {name} reaches all buckets of the account");
        return Some(Line::warning(check, what, remedy));
    }
    let folder = purpose.prefix(place, machine.writer.as_ref());
    if purpose == Purpose::Writing && !own.starts_with(&*folder) {
        let what = format!(
            "the {name} reaches more than {folder}: whoever steals it can hide what other machines stored, and put other bytes over it"
        );
        let hint = format!(
            "{remedy}; and a second one for --b2-read-key-file: {}",
            Recipe::new(Purpose::Reading, place, None, false).command
        );
        return Some(Line::warning(check, what, hint));
    }
    None
}

fn listed(allowed: &Allowed) -> String {
    let mut all: Vec<&str> = allowed.capabilities.iter().map(String::as_str).collect();
    all.sort_unstable();
    all.join(", ")
}
