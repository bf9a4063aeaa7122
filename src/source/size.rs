//! Sizes as people write them.

use crate::{Error, Result};

/// The bytes that `text` stands for: digits, maybe with a fraction, and maybe a unit.
///
/// `K`, `M`, `G`, `T`, `P`, `E` and `KiB`, `MiB` … are powers of 1,024; `KB`, `MB` … are powers of 1,000; `B` or
/// nothing is bytes. Case does not matter. A fraction of a byte is dropped.
///
/// # Errors
/// [`Error::Usage`] if it is no such text or 2^64 bytes or more.
pub fn parse_size(text: &str) -> Result<u64> {
    parse(text.trim()).ok_or_else(|| {
        Error::Usage(format!(
            "`{text}` is no size; write a number of bytes, or one with a unit such as 10K, 1.5G, 20MiB"
        ))
    })
}

fn parse(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_bytes = unit_bytes(unit.trim_start())?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // 18 digits: times 2^60 it stays far below 2^128.
    if fraction.is_empty() || fraction.len() > 18 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let whole_bytes = whole.parse::<u64>().ok()?.checked_mul(unit_bytes)?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit_bytes) / scale;
    whole_bytes.checked_add(u64::try_from(part).ok()?)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn unit_bytes(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let mut letters = unit.chars();
    let power = match letters.next() {
        None => return Some(1),
        Some('b') => 0,
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some('e') => 6,
        Some(_) => return None,
    };
    match (power, letters.as_str()) {
        (0, "") => Some(1),
        (0, _) => None,
        (_, "" | "ib") => 1024_u64.checked_pow(power),
        (_, "b") => 1000_u64.checked_pow(power),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17B", 17),
            ("10K", 10 << 10),
            ("10k", 10 << 10),
            (" 10 KiB ", 10 << 10),
            ("10kB", 10_000),
            ("10M", 10 << 20),
            ("10MB", 10_000_000),
            ("1.5G", 3 << 29),
            ("0.5", 0),
            ("2.999B", 2),
            ("1T", 1 << 40),
            ("1P", 1 << 50),
            ("15E", 15 << 60),
            ("15.999999999999999999E", 18_446_744_073_709_551_614),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn no_sizes() {
        for text in [
            "",
            "K",
            "-1",
            "+1",
            "1.",
            ".5",
            "1.2.3",
            "1X",
            "1KK",
            "1BiB",
            "1 0",
            "1e3",
            "16E",
            "1,5G",
            "0x10",
            "18446744073709551616",
            "1.0000000000000000000K",
            "٣",
        ] {
            let error = parse_size(text).unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{text}");
            assert!(error.to_string().contains(text));
        }
    }
}
