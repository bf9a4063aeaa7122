//! `check`: whether everything in the repository is there and whole.

use super::Outcome;
use crate::context::Context;
use crate::open;
use panther::Result;
use panther::egress::{Budget, Limit};
use panther::ops::check::{Amount, CheckOptions, check};
use panther::repo::Repository;
use panther::report::check::text;
use panther::source::parse_size;
use panther::state::ledger::{Day, Ledger};

/// Options of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO check
  panther -r REPO check --read-data-subset 1/30
  panther -r REPO check --read-data-subset 2G --egress-budget 60G

What is read is what was verified longest ago, and what never was before that; so 1/30 a night reads
everything in 30 nights. A read that is wrong is repeated before it counts as damage.

Exit code 3: nothing is wrong so far, but the egress budget ended it; 4: damage was found; 5: the store
failed; 14: only a newer version can tell.")]
pub struct Options {
    /// Read all data, too
    #[arg(long, conflicts_with = "read_data_subset")]
    read_data: bool,
    /// Read a part of the data: a share such as 5% or 1/7, or a size such as 500M
    #[arg(long, value_name = "SHARE|SIZE", value_parser = parse_amount)]
    read_data_subset: Option<Amount>,
    /// Read at most so much in a calendar month, this machine's runs together; `free` is three times what is stored, but a gigabyte at least; `none` no limit [default: free for B2, else none]
    #[arg(long, value_name = "SIZE", value_parser = parse_limit)]
    egress_budget: Option<Limit>,
}

/// A share of the whole, more than 0 and at most 1, from `10%` or `1/10`; or a size.
pub fn parse_amount(text: &str) -> Result<Amount, String> {
    let share = match (text.strip_suffix('%'), text.split_once('/')) {
        (Some(percent), _) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
        (None, Some((part, whole))) => match (part.trim().parse::<u32>(), whole.trim().parse::<u32>()) {
            (Ok(part), Ok(whole)) => Some(f64::from(part) / f64::from(whole)),
            _ => None,
        },
        (None, None) => {
            let bytes = parse_size(text).ok().filter(|bytes| *bytes > 0 && !is_number(text));
            let wrong = "write a share such as 10% or 1/10, or a size with its unit such as 500M";
            return bytes.map(Amount::Bytes).ok_or_else(|| wrong.to_owned());
        }
    };
    share
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .map(Amount::Share)
        .ok_or_else(|| "write a share such as 10% or 1/10, more than nothing and not more than all".to_owned())
}

/// `10` may be meant as per cent, or as gigabytes.
fn is_number(text: &str) -> bool {
    text.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// A limit of bytes a month.
pub fn parse_limit(text: &str) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit::None),
        "free" => Ok(Limit::Free),
        size => parse_size(size).map(Limit::Bytes).map_err(|e| e.to_string()),
    }
}

/// Checks.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let (repo, _) = open::repository(context)?;
    let state = open::state(context, &repo)?;
    let amount = if options.read_data { Some(Amount::All) } else { options.read_data_subset };
    let budget = budget(options.egress_budget, context, &repo)?;
    let check_options = CheckOptions { read_data: amount, budget, threads: 0 };
    let found = check(&repo, &state, &check_options, &context.ui)?;
    context.note(|record| {
        record.problems = found.errors.len() as u64;
        record.repository_bytes = Some(found.pack_bytes);
    });
    context.report(&found, || text(&found))?;
    Ok(Outcome::Found(found.exit_code()))
}

/// By default what is free, where reading may cost something.
///
/// # Errors
/// Whatever is wrong with the ledger: without it nobody knows what is left.
pub fn budget(given: Option<Limit>, context: &Context, repo: &Repository) -> Result<Budget> {
    let backend = repo.backend();
    // The profile can say that reading may cost something.
    let said = context.profile().and_then(|profile| profile.budget.as_ref()).and_then(|budget| budget.free_egress_only);
    let default = if backend.is_remote() && said != Some(false) { Limit::Free } else { Limit::None };
    let limit = given.unwrap_or(default);
    if limit == Limit::None || !backend.is_remote() {
        return Ok(Budget { limit, used_bytes: 0 });
    }
    let month = Ledger::at(&open::state_folder(context)?).month(&backend.location(), Day::today())?;
    Ok(Budget { limit, used_bytes: month.down_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        for (text, share) in [("10%", 0.1), ("2.5 %", 0.025), ("1/4", 0.25), ("100%", 1.0), ("3/3", 1.0)] {
            assert_eq!(parse_amount(text), Ok(Amount::Share(share)), "{text}");
        }
        for (text, bytes) in [("500M", 500 << 20), ("2GB", 2_000_000_000), ("1.5K", 1536), ("7B", 7)] {
            assert_eq!(parse_amount(text), Ok(Amount::Bytes(bytes)), "{text}");
        }
        for text in ["", "10", "1.5", "0%", "101%", "-1%", "0/5", "2/1", "1/0", "a/b", "nan%", "inf%", "0M", "5X"] {
            assert!(parse_amount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits() {
        let limits = [("none", Limit::None), ("free", Limit::Free), ("1K", Limit::Bytes(1024)), ("0", Limit::Bytes(0))];
        for (text, limit) in limits {
            assert_eq!(parse_limit(text), Ok(limit));
        }
        assert!(parse_limit("").is_err() && parse_limit("-1").is_err() && parse_limit("all").is_err());
    }
}
