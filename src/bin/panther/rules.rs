//! The options that say which snapshots to keep.

use panther::retention::{CalendarSpan, Count, PerUnit, Policy, Preset};

/// The rules.
#[derive(Debug, clap::Args)]
#[group(id = "Rules", multiple = true)]
#[command(next_help_heading = "Rules")]
pub struct Rules {
    /// The rules of this name: laptop (7 daily, 4 weekly, 12 monthly) or server (30, 12, 12); single ones change it
    #[arg(long, value_name = "NAME", value_parser = parse_preset)]
    policy: Option<Preset>,
    /// The newest N; here and below N may be unlimited
    #[arg(short = 'l', long, value_name = "N", allow_negative_numbers = true)]
    keep_last: Option<Count>,
    /// The last of each of N hours that have one
    #[arg(short = 'H', long, value_name = "N", allow_negative_numbers = true)]
    keep_hourly: Option<Count>,
    /// The last of each of N days
    #[arg(short = 'd', long, value_name = "N", allow_negative_numbers = true)]
    keep_daily: Option<Count>,
    /// The last of each of N ISO weeks
    #[arg(short = 'w', long, value_name = "N", allow_negative_numbers = true)]
    keep_weekly: Option<Count>,
    /// The last of each of N months
    #[arg(short = 'm', long, value_name = "N", allow_negative_numbers = true)]
    keep_monthly: Option<Count>,
    /// The last of each of N years
    #[arg(short = 'y', long, value_name = "N", allow_negative_numbers = true)]
    keep_yearly: Option<Count>,
    /// All of this span before the newest, such as 1y6m, 30d, 36h
    #[arg(long, value_name = "SPAN")]
    keep_within: Option<CalendarSpan>,
    /// The last of each hour of this span
    #[arg(long, value_name = "SPAN")]
    keep_within_hourly: Option<CalendarSpan>,
    /// The last of each day of this span
    #[arg(long, value_name = "SPAN")]
    keep_within_daily: Option<CalendarSpan>,
    /// The last of each ISO week of this span
    #[arg(long, value_name = "SPAN")]
    keep_within_weekly: Option<CalendarSpan>,
    /// The last of each month of this span
    #[arg(long, value_name = "SPAN")]
    keep_within_monthly: Option<CalendarSpan>,
    /// The last of each year of this span
    #[arg(long, value_name = "SPAN")]
    keep_within_yearly: Option<CalendarSpan>,
}

impl Rules {
    /// The policy that they come to; it may be empty.
    pub fn policy(&self) -> Policy {
        let base = self.policy.map(Preset::policy).unwrap_or_default();
        Policy {
            last: self.keep_last.unwrap_or(base.last),
            every: PerUnit {
                hourly: self.keep_hourly.unwrap_or(base.every.hourly),
                daily: self.keep_daily.unwrap_or(base.every.daily),
                weekly: self.keep_weekly.unwrap_or(base.every.weekly),
                monthly: self.keep_monthly.unwrap_or(base.every.monthly),
                yearly: self.keep_yearly.unwrap_or(base.every.yearly),
            },
            within: self.keep_within,
            every_within: PerUnit {
                hourly: self.keep_within_hourly,
                daily: self.keep_within_daily,
                weekly: self.keep_within_weekly,
                monthly: self.keep_within_monthly,
                yearly: self.keep_within_yearly,
            },
            tags: Vec::new(),
        }
    }

    /// Whether there is any; one that keeps nothing is one, too.
    pub fn is_given(&self) -> bool {
        let counts = [self.keep_last, self.keep_hourly, self.keep_daily, self.keep_weekly, self.keep_monthly];
        counts.iter().any(Option::is_some) || self.keep_yearly.is_some() || !self.policy().is_empty()
    }
}

fn parse_preset(text: &str) -> Result<Preset, String> {
    Preset::ALL
        .into_iter()
        .find(|preset| preset.name() == text)
        .ok_or_else(|| format!("there are {}", Preset::ALL.map(Preset::name).join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_names() {
        assert_eq!(parse_preset("laptop"), Ok(Preset::Laptop));
        assert!(parse_preset("desktop").is_err());
    }
}
