//! An amount of money.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

const PER_DOLLAR: i128 = 1_000_000_000;
const PER_CENT: i128 = PER_DOLLAR / 100;

/// Billionths of a dollar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NanoDollars(pub i128);

impl NanoDollars {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many whole dollars.
    pub const fn dollars(dollars: i64) -> Self {
        Self(dollars as i128 * PER_DOLLAR)
    }

    /// So many cents.
    pub const fn cents(cents: i64) -> Self {
        Self(cents as i128 * PER_CENT)
    }

    /// The nearest amount to a number of dollars, as a configuration has it; nothing for what is no number. At most 10^15 dollars.
    #[allow(clippy::cast_possible_truncation)]
    pub fn from_f64(dollars: f64) -> Self {
        let bounded = dollars.clamp(-1e15, 1e15);
        // A cast of NaN is 0.
        Self((bounded * 1e9).round() as i128)
    }

    /// In dollars, for charts and metrics; not for sums.
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// `amount × numerator / denominator`, to the nearest; for amounts of 0 and more. The products of a bill stay far below 10^38.
    pub(super) fn share(amount: i128, numerator: i128, denominator: i128) -> Self {
        let product = amount.saturating_mul(numerator);
        Self(product.saturating_add(denominator / 2) / denominator.max(1))
    }

    /// In whole cents, to the nearest.
    pub fn to_cents(self) -> i128 {
        (self.0 + if self.0 < 0 { -PER_CENT / 2 } else { PER_CENT / 2 }) / PER_CENT
    }

    /// Times a number.
    #[must_use]
    pub fn times(self, number: i128) -> Self {
        Self(self.0.saturating_mul(number))
    }
}

impl Add for NanoDollars {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for NanoDollars {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for NanoDollars {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for NanoDollars {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for NanoDollars {
    /// Dollars and cents: `$1,449.05`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.to_cents();
        let (sign, cents) = (if cents < 0 { "-" } else { "" }, cents.unsigned_abs());
        let digits = (cents / 100).to_string();
        write!(f, "{sign}$")?;
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        write!(f, ".{:02}", cents % 100)
    }
}

impl serde::Serialize for NanoDollars {
    /// Dollars, as a number with at most nine decimals.
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.as_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        for (nanos, text, cents) in [
            (0, "$0.00", 0),
            (4_999_999, "$0.00", 0),
            (5_000_000, "$0.01", 1),
            (6_950_000_000, "$6.95", 695),
            (1_449_045_000_000, "$1,449.05", 144_905),
            (-6_000_000, "-$0.01", -1),
            (1_000_000_000_000_000, "$1,000,000.00", 100_000_000),
        ] {
            let amount = NanoDollars(nanos);
            assert_eq!((amount.to_string().as_str(), amount.to_cents()), (text, cents));
        }
        assert_eq!(NanoDollars::from_f64(6.95), NanoDollars::cents(695));
        assert_eq!(NanoDollars::from_f64(f64::NAN), NanoDollars::ZERO);
        assert_eq!(NanoDollars::dollars(3) - NanoDollars::cents(1), NanoDollars::cents(299));
        assert_eq!([1, 2, 3].map(NanoDollars).into_iter().sum::<NanoDollars>(), NanoDollars(6));
        assert_eq!(NanoDollars::share(1, 2, 3), NanoDollars(1));
    }
}
