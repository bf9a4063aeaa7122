//! What a month may cost, and what it will come to if a backup adds something now. Reckoned before anything is uploaded.

use super::stored::{Inventory, Past, used_days};
use crate::cost::{Bill, Day, DayUse, NanoDollars, PriceTable, bill};
use crate::error::{Error, Result};

/// The limits of a month.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// More than this is warned of.
    pub warn: Option<NanoDollars>,
    /// With more than this no backup begins.
    pub stop: Option<NanoDollars>,
}

/// Where a forecast stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There is no limit.
    None,
    /// Within the limits.
    Within,
    /// Beyond the limit that is warned of.
    Warn,
    /// Beyond the limit at which no backup begins.
    Stop,
}

impl Verdict {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "no limit",
            Self::Within => "within",
            Self::Warn => "warning",
            Self::Stop => "exceeded",
        }
    }
}

impl Limits {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.warn.is_none() && self.stop.is_none()
    }

    /// Where a forecast stands.
    pub fn verdict(&self, forecast: NanoDollars) -> Verdict {
        if self.stop.is_some_and(|stop| forecast > stop) {
            Verdict::Stop
        } else if self.warn.is_some_and(|warn| forecast > warn) {
            Verdict::Warn
        } else if self.is_none() {
            Verdict::None
        } else {
            Verdict::Within
        }
    }

    /// Judges a month's end.
    ///
    /// # Errors
    /// [`Error::Budget`] beyond the limit at which no backup begins.
    pub fn check(&self, month: &MonthEnd) -> Result<Verdict> {
        let verdict = self.verdict(month.bill.total_dollars);
        match (verdict, self.stop) {
            (Verdict::Stop, Some(limit)) => Err(Error::Budget {
                month: month.month.clone(),
                forecast: month.bill.total_dollars.to_string(),
                limit: limit.to_string(),
                adds_bytes: month.adds_bytes,
            }),
            _ => Ok(verdict),
        }
    }
}

/// What a month comes to.
#[derive(Clone, PartialEq, Debug)]
pub struct MonthEnd {
    /// `2026-05`.
    pub month: String,
    /// The bill at its end.
    pub bill: Bill,
    /// What this run is expected to add.
    pub adds_bytes: u64,
}

/// The month to its end, if `adds_bytes` are stored now and later days go on as the last thirty did: as much is uploaded, nothing removed.
/// Rather too much than too little, which within a month makes little difference.
pub fn month_end(prices: &PriceTable, inventory: &Inventory, past: &Past, adds_bytes: u64, now_secs: i64) -> MonthEnd {
    let today = Day::of_secs(now_secs);
    let mut days = used_days(&inventory.all(), past, today, now_secs);
    let stored = inventory.stored_bytes().saturating_add(adds_bytes);
    if let Some(last) = days.last_mut() {
        let rest = 86_400 - last.secs.min(86_400);
        last.stored_byte_secs += u128::from(stored) * u128::from(rest);
        last.secs += rest;
    }
    let (down_bytes, calls) = past.a_day(today, 30);
    let a_day = new_a_day(inventory, now_secs);
    let mut then = stored;
    for day in today.0 + 1..today.first_of_next_month().0 {
        then = then.saturating_add(a_day);
        let stored_byte_secs = u128::from(then) * 86_400;
        days.push(DayUse { day: Day(day), secs: 86_400, stored_byte_secs, down_bytes, calls });
    }
    MonthEnd { month: today.month_text(), bill: bill(prices, &days), adds_bytes }
}

/// What was uploaded in a day on average, over the last thirty days, without the first one of a young repository: that stored everything.
pub fn new_a_day(inventory: &Inventory, now_secs: i64) -> u64 {
    let oldest = inventory.by_writer.values().flatten().map(|stored| stored.from_secs).min().unwrap_or(now_secs);
    let from = (now_secs - 30 * 86_400).max(oldest + 86_400);
    match u64::try_from((now_secs - from) / 86_400) {
        Ok(days) if days > 0 && inventory.is_dated => inventory.uploaded_between(from, now_secs) / days,
        _ => 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cost::Stored;

    #[test]
    fn limits() {
        let cents = NanoDollars::cents;
        let both = Limits { warn: Some(cents(200)), stop: Some(cents(400)) };
        assert_eq!(both.verdict(cents(200)), Verdict::Within);
        assert_eq!((both.verdict(cents(201)), both.verdict(cents(400))), (Verdict::Warn, Verdict::Warn));
        assert_eq!((both.verdict(cents(401)), Limits::default().verdict(cents(1))), (Verdict::Stop, Verdict::None));
    }

    #[test]
    fn a_month_to_its_end() {
        let first = Day::of_date(jiff::civil::date(2026, 6, 1));
        let at = |day: u32| first.plus(day).start_secs();
        let tb = 1_010_000_000_000;
        let mut inventory = Inventory { is_dated: true, ..Inventory::default() };
        inventory.by_writer.insert(None, vec![Stored { bytes: tb, from_secs: at(0) - 86_400 * 90, until_secs: None }]);
        let plain = month_end(&PriceTable::b2(), &inventory, &Past::default(), 0, at(10) + 7_200);
        assert_eq!((plain.bill.total_dollars, &*plain.month), (NanoDollars::cents(695), "2026-06"));
        // A terabyte more for the last 15 days.
        let more = month_end(&PriceTable::b2(), &inventory, &Past::default(), 1_000_000_000_000, at(15));
        assert_eq!(more.bill.total_dollars.to_cents(), 1_043);
        let limits = Limits { warn: None, stop: Some(NanoDollars::dollars(10)) };
        assert_eq!(limits.check(&plain).unwrap(), Verdict::Within);
        assert_eq!(limits.check(&more).unwrap_err().exit_code(), 15);
        // Three gigabytes in the last 30 days: as much will come.
        let new = Stored { bytes: 90_000_000_000, from_secs: at(0), until_secs: None };
        inventory.by_writer.entry(None).or_default().push(new);
        assert_eq!(new_a_day(&inventory, at(15)), 3_000_000_000);
        let grows = month_end(&PriceTable::b2(), &inventory, &Past::default(), 0, at(15));
        assert!(grows.bill.total_dollars > NanoDollars::cents(695 + 62 + 5), "{grows:?}");
    }
}
