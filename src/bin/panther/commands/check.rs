//! `check`: whether everything in the repository is there and whole.

use super::Outcome;
use crate::context::Context;
use crate::open;
use panther::Result;
use panther::ops::check::{CheckOptions, check};
use panther::report::check::text;

/// Options of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO check
  panther -r REPO check --read-data-subset 5%

Exit code 4: damage was found; 5: the store failed; 14: only a newer version can tell.")]
pub struct Options {
    /// Read all data, too
    #[arg(long, conflicts_with = "read_data_subset")]
    read_data: bool,
    /// Read a part of the data, another one each time: 10% or 1/10
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    read_data_subset: Option<f64>,
}

/// A share of the whole, more than 0 and at most 1, from `10%` or `1/10`.
fn parse_share(text: &str) -> Result<f64, String> {
    let share = match (text.strip_suffix('%'), text.split_once('/')) {
        (Some(percent), _) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
        (None, Some((part, whole))) => match (part.trim().parse::<u32>(), whole.trim().parse::<u32>()) {
            (Ok(part), Ok(whole)) => Some(f64::from(part) / f64::from(whole)),
            _ => None,
        },
        (None, None) => None,
    };
    share
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .ok_or_else(|| "write a share such as 10% or 1/10, more than nothing and not more than all".to_owned())
}

/// Checks.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    let (repo, _) = open::repository(context)?;
    let state = open::state(context, &repo)?;
    let [a, b, c, d, e, f, g, h, ..] = panther::seal::random32(&mut panther::seal::system_random());
    let check_options = CheckOptions {
        read_data: options.read_data || options.read_data_subset.is_some(),
        subset: options.read_data_subset,
        seed: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        threads: 0,
    };
    let found = check(&repo, &state, &check_options, &context.ui)?;
    context.report(&found, || text(&found))?;
    Ok(Outcome::Found(found.exit_code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        for (text, share) in [("10%", 0.1), ("2.5 %", 0.025), ("1/4", 0.25), ("100%", 1.0), ("3/3", 1.0)] {
            assert_eq!(parse_share(text), Ok(share), "{text}");
        }
        for text in ["", "10", "0%", "101%", "-1%", "0/5", "2/1", "1/0", "a/b", "nan%", "inf%"] {
            assert!(parse_share(text).is_err(), "{text}");
        }
    }
}
