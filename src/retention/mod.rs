//! Which of a series of snapshots to keep. Pure: backups in a repository and local snapshots are judged by the same rules.
//!
//! - [`policy`]: the rules, as data
//! - [`span`]: lengths of time by the calendar
//! - [`slot`]: hours, days, weeks, months and years of a time zone
//! - [`mod@decide`]: rules applied
//! - [`calendar`]: when snapshots are taken
//! - [`mod@simulate`]: what rules come to over time
//!
//! # The rules
//! They are those that users of restic know:
//!
//! - Each group (a host and its paths, say) is judged by itself.
//! - `last n` keeps the newest n.
//! - `hourly`, `daily`, `weekly`, `monthly`, `yearly` n keep the last snapshot of each of the newest n hours, days, ISO weeks, months and years
//!   **that have one**. Periods without a snapshot do not count, so a machine that was off loses nothing by it.
//! - As long as a group has fewer than n such periods, its oldest snapshot is kept too: history begins as early as it can.
//! - `within` keeps everything younger than that span, counted back from the newest snapshot of the group; `within-hourly` and so on keep the last of each
//!   period in that span.
//! - A list of tags keeps every snapshot that has all of them.
//! - The rules add up: one that keeps a snapshot is enough. What no rule keeps is to be removed.
//! - A pinned snapshot is kept. It still takes its place in the rules, so that pinning one changes nothing for the others.
//! - A snapshot dated more than a day into the future is kept and takes no place: a wrong clock pushes nothing out.
//! - A policy without any rule is an error, and nothing is to be removed.
//!
//! Periods are those of a time zone. An hour that a clock shows twice, at the end of daylight saving, is two hours.

pub mod calendar;
pub mod decide;
pub mod policy;
pub mod simulate;
pub mod slot;
pub mod span;

#[cfg(test)]
mod tests;

pub use calendar::Calendar;
pub use decide::{Decision, Item, Reason, decide};
pub use policy::{Count, PerUnit, Policy, Preset};
pub use simulate::{Simulation, simulate};
pub use slot::Unit;
pub use span::CalendarSpan;

/// Why a policy cannot be applied, or a text is none of what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetentionError {
    /// The policy has no rule.
    #[error("the policy has no rule: it would keep nothing, so nothing is removed")]
    Empty,
    /// A text is no count.
    #[error("{0:?} is no count: write a number, or unlimited")]
    Count(String),
    /// A text is no span of time.
    #[error("{0:?} is no span of time: write years, months, days and hours in this order, such as 1y6m, 30d or 36h")]
    Span(String),
    /// A text is no calendar.
    #[error(
        "{0:?} is no calendar: write hourly, daily, weekly, monthly, yearly, or [DAYS] [*-*-DAY] HH:MM, such as 03:30, Sun 04:00, *-*-1 05:00, *:0/15"
    )]
    Calendar(String),
}
