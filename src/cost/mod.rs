//! What a store costs: dated price lists, byte-hours, and the bill of a month. Pure, and in whole numbers: money is nano-dollars, so that sums
//! agree with a bill to the cent.
//!
//! How Backblaze B2 bills (its pages "Cloud Storage Pricing", "Data Caps and Alerts", "Pricing Organized by API Calls"): storage by the
//! byte-hour, hidden versions too, what exceeds 10 GB on a day (UTC); egress beyond three times the month's average of what is stored; calls
//! by class and day, where they are charged at all. A month is a calendar month in UTC; the price is for 30 days, so 31 days cost more.

mod bill;
mod day;
mod forecast;
mod money;
mod prices;
mod stored;

pub use bill::{Bill, DayUse, bill};
pub use day::{Day, SECS_PER_DAY};
pub use forecast::{Series, excess_bytes, months, stored_ahead};
pub use money::NanoDollars;
pub use prices::{PriceList, PriceTable};
pub use stored::{Stored, byte_secs, byte_secs_by_day};
