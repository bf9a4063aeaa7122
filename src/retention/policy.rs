//! The rules, as data.

use super::{CalendarSpan, RetentionError, Unit};
use std::fmt;
use std::str::FromStr;

/// How many; [`Count::ALL`] has no end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Count(pub u32);

impl Count {
    /// None.
    pub const NONE: Self = Self(0);
    /// All there are.
    pub const ALL: Self = Self(u32::MAX);
}

impl FromStr for Count {
    type Err = RetentionError;

    /// A number, `unlimited`, or -1, which means the same.
    fn from_str(text: &str) -> Result<Self, RetentionError> {
        match text {
            "unlimited" | "-1" => Ok(Self::ALL),
            _ => match text.parse() {
                Ok(number) if text.bytes().all(|b| b.is_ascii_digit()) && number < u32::MAX => Ok(Self(number)),
                _ => Err(RetentionError::Count(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL { f.write_str("unlimited") } else { write!(f, "{}", self.0) }
    }
}

/// One of something for each unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PerUnit<T> {
    /// For hours.
    pub hourly: T,
    /// For days.
    pub daily: T,
    /// For ISO weeks.
    pub weekly: T,
    /// For months.
    pub monthly: T,
    /// For years.
    pub yearly: T,
}

impl<T: Copy> PerUnit<T> {
    /// The one for `unit`.
    pub fn get(&self, unit: Unit) -> T {
        match unit {
            Unit::Hour => self.hourly,
            Unit::Day => self.daily,
            Unit::Week => self.weekly,
            Unit::Month => self.monthly,
            Unit::Year => self.yearly,
        }
    }
}

/// What to keep; see the module for what each rule means.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// So many of the newest.
    pub last: Count,
    /// The last one of so many hours, days …
    pub every: PerUnit<Count>,
    /// All of this span.
    pub within: Option<CalendarSpan>,
    /// The last one of each hour, day … of this span.
    pub every_within: PerUnit<Option<CalendarSpan>>,
    /// What has all tags of one of these lists. An empty list is none.
    pub tags: Vec<Vec<String>>,
}

const fn counts(daily: u32, weekly: u32, monthly: u32) -> Policy {
    let every = PerUnit {
        hourly: Count::NONE,
        daily: Count(daily),
        weekly: Count(weekly),
        monthly: Count(monthly),
        yearly: Count::NONE,
    };
    let every_within = PerUnit { hourly: None, daily: None, weekly: None, monthly: None, yearly: None };
    Policy { last: Count::NONE, every, within: None, every_within, tags: Vec::new() }
}

impl Policy {
    /// 7 daily, 4 weekly, 12 monthly.
    pub const LAPTOP: Self = counts(7, 4, 12);
    /// 30 daily, 12 weekly, 12 monthly.
    pub const SERVER: Self = counts(30, 12, 12);

    /// Whether it has no rule.
    pub fn is_empty(&self) -> bool {
        *self == Self { tags: self.tags.clone(), ..Self::default() } && self.tags.iter().all(Vec::is_empty)
    }
}

impl fmt::Display for Policy {
    /// `7 daily, 4 weekly, within 2d, tag a,b`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.last != Count::NONE {
            parts.push(format!("{} last", self.last));
        }
        for unit in Unit::ALL {
            let count = self.every.get(unit);
            if count != Count::NONE {
                parts.push(format!("{count} {}", unit.adverb()));
            }
        }
        parts.extend(self.within.iter().map(|span| format!("within {span}")));
        for unit in Unit::ALL {
            parts.extend(self.every_within.get(unit).iter().map(|span| format!("{} within {span}", unit.adverb())));
        }
        parts.extend(self.tags.iter().map(|tags| format!("tag {}", tags.join(","))));
        if parts.is_empty() { f.write_str("no rule") } else { f.write_str(&parts.join(", ")) }
    }
}

/// A policy with a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preset {
    /// [`Policy::LAPTOP`].
    Laptop,
    /// [`Policy::SERVER`].
    Server,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Laptop, Self::Server];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Laptop => "laptop",
            Self::Server => "server",
        }
    }

    /// What it stands for.
    pub fn policy(self) -> Policy {
        match self {
            Self::Laptop => Policy::LAPTOP,
            Self::Server => Policy::SERVER,
        }
    }
}
