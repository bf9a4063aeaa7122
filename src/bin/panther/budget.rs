//! The budget of a month, looked at before a backup uploads anything.

use crate::context::Context;
use crate::{money, open};
use panther::Result;
use panther::format::keyfile::Role;
use panther::format::time::Time;
use panther::id::WriterName;
use panther::ops::Progress;
use panther::ops::backup::{BackupOptions, last_source_bytes};
use panther::ops::cost::{Inventory, MonthEnd, Past, Verdict, adds_bytes, month_end, new_a_day, source_bytes};
use panther::repo::Repository;
use panther::source::Excludes;
use panther::state::State;
use panther::state::ledger::Ledger;
use panther::state::runs::Runs;

/// So many of the last backups say how small new data becomes.
const PACKED_BY: usize = 20;

/// Refuses a backup that would break the budget, and warns of one that comes near. Nothing where there is no budget, or nothing to pay.
///
/// # Errors
/// [`panther::Error::Budget`] without `overridden`; whatever is wrong with the store or the state.
pub fn check(
    context: &Context,
    repo: &Repository,
    state: &State,
    options: &BackupOptions,
    overridden: bool,
) -> Result<()> {
    let limits = money::limits(context);
    if limits.is_none() || !repo.backend().is_remote() || options.dry_run {
        return Ok(());
    }
    context.ui.stage("look at the budget", Default::default());
    let month = forecast(context, repo, state, options)?;
    let total = month.bill.total_dollars;
    context.note(|record| record.forecast_dollars = Some(total.as_f64()));
    match limits.check(&month) {
        Ok(Verdict::Warn) => {
            let limit = limits.warn.unwrap_or_default();
            context.ui.warn(&format!("{} will cost {total}, over the budget's warning of {limit}", month.month));
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(_) if overridden => {
            let limit = limits.stop.unwrap_or_default();
            context.ui.warn(&format!(
                "the budget is overridden: {} will cost {total}, over the limit of {limit}",
                month.month
            ));
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn forecast(context: &Context, repo: &Repository, state: &State, options: &BackupOptions) -> Result<MonthEnd> {
    let folder = open::state_folder(context)?;
    let location = repo.backend().location();
    let inventory = Inventory::read(&**repo.backend())?;
    context.note(|record| record.repository_bytes = Some(inventory.stored_bytes()));
    let past = Past::of(&Ledger::at(&folder), &location)?;
    let now_secs = Time::now().secs;
    let writer = match repo.keys().role() {
        Role::Admin => options.writer.clone().unwrap_or_else(|| WriterName::from_host(&options.host)),
        _ => repo.keys().signer(options.writer.as_ref())?.writer().clone(),
    };
    let last_bytes = last_source_bytes(state, &writer, &options.host, &options.paths)?;
    let excludes = Excludes::new(&options.excludes)?;
    let now_bytes = source_bytes(&options.paths, &excludes, &|| context.ui.cancelled())?;
    let runs = Runs::at(&folder).of(&location)?;
    let recent = runs.iter().rev().filter(|run| run.command == "backup" && run.new_bytes > 0).take(PACKED_BY);
    let (stored, new) = recent.fold((0u64, 0u64), |sum, run| (sum.0 + run.stored_bytes, sum.1 + run.new_bytes));
    // Without any experience nothing becomes smaller.
    let packed = if new > 0 { stored as f64 / new as f64 } else { 1.0 };
    let adds = adds_bytes(now_bytes, last_bytes, packed, new_a_day(&inventory, now_secs));
    Ok(month_end(&money::prices(context), &inventory, &past, adds, now_secs))
}
