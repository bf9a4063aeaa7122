//! The file's tables about prices and about what hosts are to keep to.

use super::values::{Date, Dollars, Time};
use crate::cost::{Day, NanoDollars, PriceList, PriceTable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Prices from a day on, instead of those that the program knows. What is left out stays as it was on that day.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Prices {
    /// The first day (UTC) on which they hold.
    pub from: Date,
    /// A terabyte (10^12 bytes) for 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_tb_dollars: Option<Dollars>,
    /// So many gigabytes (10^9 bytes) are stored for nothing: a share of it, where others use the account too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_stored_gb: Option<u32>,
    /// A gigabyte downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress_gb_dollars: Option<Dollars>,
    /// So many times the month's average of stored bytes is downloaded for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_egress_factor: Option<u32>,
    /// 1,000 calls of class B.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_b_1000_dollars: Option<Dollars>,
    /// 1,000 calls of class C.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_c_1000_dollars: Option<Dollars>,
    /// So many calls of each class are free on a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_calls: Option<u32>,
}

/// The program's prices with those of a profile over them.
pub fn price_table(changes: &[Prices]) -> PriceTable {
    let mut table = PriceTable::b2();
    let mut changes: Vec<&Prices> = changes.iter().collect();
    changes.sort_by_key(|prices| *prices.from.get());
    for prices in changes {
        let from = Day::of_date(*prices.from.get());
        let before = table.at(from).clone();
        let dollars = |given: Option<Dollars>, before| given.map_or(before, |d| NanoDollars::from_f64(d.0));
        let [class_a, class_b, class_c] = before.calls_1000;
        table.change(PriceList {
            from,
            storage_tb: dollars(prices.storage_tb_dollars, before.storage_tb),
            free_stored_bytes: prices
                .free_stored_gb
                .map_or(before.free_stored_bytes, |gb| u64::from(gb) * 1_000_000_000),
            egress_gb: dollars(prices.egress_gb_dollars, before.egress_gb),
            free_egress_factor: prices.free_egress_factor.map_or(before.free_egress_factor, u64::from),
            calls_1000: [
                class_a,
                dollars(prices.class_b_1000_dollars, class_b),
                dollars(prices.class_c_1000_dollars, class_c),
            ],
            free_calls: prices.free_calls.map_or(before.free_calls, u64::from),
        });
    }
    table
}

/// A sort of machine: thresholds differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostClass {
    /// Not always on, not always online.
    Laptop,
    /// Always on.
    #[default]
    Server,
}

impl HostClass {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Laptop => "laptop",
            Self::Server => "server",
        }
    }

    /// All of them.
    pub const ALL: [Self; 2] = [Self::Laptop, Self::Server];

    /// How old the newest backup may be where nothing is said: a night and some hours, or three days for what is not always on.
    pub fn recovery_point_secs(self) -> u64 {
        match self {
            Self::Laptop => 3 * 86_400,
            Self::Server => 30 * 3_600,
        }
    }

    /// How long a restore may take where nothing is said.
    pub fn recovery_time_secs(self) -> u64 {
        match self {
            Self::Laptop => 3_600,
            Self::Server => 7_200,
        }
    }
}

/// What a host is to keep to.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Objective {
    /// What sort of machine it is; server where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<HostClass>,
    /// So old may the newest backup be; 3d for a laptop and 30h for a server where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_point: Option<Time>,
    /// So long may a restore take; 1h for a laptop and 2h for a server where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_time: Option<Time>,
}

impl Objective {
    /// The sort of machine.
    pub fn class(&self) -> HostClass {
        self.class.unwrap_or_default()
    }

    /// How old the newest backup may be, in seconds.
    pub fn recovery_point_secs(&self) -> u64 {
        self.recovery_point.as_ref().map_or(self.class().recovery_point_secs(), |time| time.get().as_secs())
    }

    /// How long a restore may take, in seconds.
    pub fn recovery_time_secs(&self) -> u64 {
        self.recovery_time.as_ref().map_or(self.class().recovery_time_secs(), |time| time.get().as_secs())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn prices_over_prices() {
        let prices = |from: &str, storage, class_c| Prices {
            from: Date::parse(from).unwrap(),
            storage_tb_dollars: storage,
            free_stored_gb: None,
            egress_gb_dollars: None,
            free_egress_factor: None,
            class_b_1000_dollars: None,
            class_c_1000_dollars: class_c,
            free_calls: None,
        };
        let table = price_table(&[
            prices("2028-01-01", Some(Dollars(8.0)), None),
            prices("2027-06-01", Some(Dollars(7.5)), Some(Dollars(0.01))),
        ]);
        let at = |text: &str| table.at(Day::of_date(*Date::parse(text).unwrap().get())).clone();
        assert_eq!(at("2027-05-31").storage_tb, NanoDollars::cents(695));
        assert_eq!(at("2027-06-01").storage_tb, NanoDollars::cents(750));
        let last = at("2029-01-01");
        assert_eq!((last.storage_tb, last.calls_1000[2]), (NanoDollars::dollars(8), NanoDollars::cents(1)));
        assert_eq!(last.free_stored_bytes, 10_000_000_000);
        assert!(Date::parse("2027-02-30").is_err());
    }
}
