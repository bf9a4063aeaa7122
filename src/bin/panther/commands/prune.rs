//! `prune`: frees the space of what no snapshot needs.

use super::Outcome;
use super::check::{budget, parse_limit};
use crate::context::Context;
use crate::open;
use panther::Result;
use panther::config::values::Time as Span;
use panther::cost::Day;
use panther::egress::Limit;
use panther::ops::Progress;
use panther::ops::prune::{PruneOptions, prune};
use panther::prune::MaxUnused;
use panther::report::prune::text;
use panther::source::parse_size;

/// Options of `prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  panther -r REPO prune --dry-run
  panther -r REPO prune
  panther -r REPO prune --max-unused 5% --max-repack-bytes 20G
  panther -r REPO undelete --packs

It takes two runs, a week or more apart: the first condemns packs, and no backup rests on them from then
on; one that comes after the grace time removes them. Backups need not stop meanwhile. What is still
needed of packs that are mostly of no use is read, checked and stored anew, within the egress that is
free. docs/prune.md says what is promised.

Exit code 4: something cannot be read; if that is a snapshot, nothing was condemned or removed.")]
pub struct Options {
    /// Change nothing, only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// For so long what is condemned stays
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_span)]
    grace: i64,
    /// Allow a grace time below 24 hours: no backup runs anywhere, nor will one before the second run
    #[arg(long)]
    short_grace: bool,
    /// How much of no use may stay in packs before they are repacked: a share of what is stored, a size, or unlimited
    #[arg(long, value_name = "SHARE|SIZE", default_value = "10%", value_parser = parse_unused)]
    max_unused: MaxUnused,
    /// Repack at most so many bytes of packs; 0 repacks nothing
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    max_repack_bytes: Option<u64>,
    /// Whether small packs are put together, where there are many
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    repack_small: bool,
    /// Read at most so much in a calendar month, this machine's runs together; `free` is three times what is stored, but a gigabyte at least; `none` no limit [default: free for B2, else none]
    #[arg(long, value_name = "SIZE", value_parser = parse_limit)]
    egress_budget: Option<Limit>,
    /// Also condemn more than half of a repository of a gigabyte or more
    #[arg(long)]
    large: bool,
}

fn parse_span(text: &str) -> Result<i64, String> {
    let span = Span::parse(text)?;
    i64::try_from(span.get().as_secs()).map_err(|_| format!("{text:?} is too long"))
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    parse_size(text).map_err(|e| e.to_string())
}

fn parse_unused(text: &str) -> Result<MaxUnused, String> {
    let wrong = "write a share such as 5%, a size such as 10G, or unlimited";
    if text == "unlimited" {
        return Ok(MaxUnused::Unlimited);
    }
    match text.strip_suffix('%') {
        Some(percent) => {
            let share = percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0);
            share.filter(|share| (0.0..=1.0).contains(share)).map(MaxUnused::Share).ok_or_else(|| wrong.to_owned())
        }
        None => parse_size(text).map(MaxUnused::Bytes).map_err(|_| wrong.to_owned()),
    }
}

/// Prunes.
pub fn run(options: &Options, context: &Context) -> Result<Outcome> {
    context.note(|record| record.is_dry = options.dry_run);
    let (repo, _) = open::repository(context)?;
    let state = open::state(context, &repo)?;
    let budget = budget(options.egress_budget, context, &repo)?;
    // A folder has no price.
    let price =
        repo.backend().is_remote().then(|| crate::money::prices(context).at(Day::today()).month(1 << 30).as_f64());
    let prune_options = PruneOptions {
        dollars_per_gib_month: price,
        grace_secs: options.grace,
        short_grace: options.short_grace,
        max_unused: options.max_unused,
        max_repack_bytes: options.max_repack_bytes.unwrap_or(u64::MAX),
        repack_small: options.repack_small,
        budget,
        dry_run: options.dry_run,
        large: options.large,
        ..PruneOptions::new(open::signing_writer(context))
    };
    let done = prune(&repo, &state, &prune_options, &context.ui)?;
    done.problems.iter().for_each(|problem| context.ui.warn(&format!("{problem}; its pack stays")));
    context.report(&done, || text(&done, &context.zone))?;
    Ok(if done.problems.is_empty() { Outcome::Complete } else { Outcome::Damaged })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_sizes() {
        assert_eq!(parse_unused("5%"), Ok(MaxUnused::Share(0.05)));
        assert_eq!(parse_unused("0%"), Ok(MaxUnused::Share(0.0)));
        assert_eq!(parse_unused("10G"), Ok(MaxUnused::Bytes(10 << 30)));
        assert_eq!(parse_unused("unlimited"), Ok(MaxUnused::Unlimited));
        for text in ["", "101%", "-1%", "nan%", "much"] {
            assert!(parse_unused(text).is_err(), "{text}");
        }
        assert_eq!((parse_span("7d"), parse_span("36h")), (Ok(604_800), Ok(129_600)));
        assert!(parse_span("a week").is_err());
    }
}
