//! What the profile says of prices and budgets.

use crate::context::Context;
use panther::config::money::price_table;
use panther::cost::{NanoDollars, PriceTable};
use panther::ops::cost::Limits;

/// The prices that hold.
pub fn prices(context: &Context) -> PriceTable {
    price_table(context.profile().map_or(&[], |profile| &profile.prices))
}

/// What a month may cost.
pub fn limits(context: &Context) -> Limits {
    let budget = context.profile().and_then(|profile| profile.budget.as_ref());
    let dollars = |given: Option<panther::config::values::Dollars>| given.map(|d| NanoDollars::from_f64(d.0));
    Limits {
        warn: dollars(budget.and_then(|budget| budget.warn_month_dollars)),
        stop: dollars(budget.and_then(|budget| budget.stop_month_dollars)),
    }
}
