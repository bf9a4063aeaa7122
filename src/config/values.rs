//! Texts of a configuration that follow a rule. Each keeps the text as it was written.

use crate::id::WriterName;
use crate::retention;
use crate::source::parse_size;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A type that is a text in the file: `parse` says what it stands for.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident($value:ty), $description:literal, $examples:expr, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct $name {
            text: String,
            value: $value,
        }

        impl $name {
            /// What the text stands for.
            pub fn get(&self) -> &$value {
                &self.value
            }

            /// What `text` stands for.
            ///
            /// # Errors
            /// Why it is no such text.
            pub fn parse(text: &str) -> Result<Self, String> {
                let parse: fn(&str) -> Result<$value, String> = $parse;
                Ok(Self { text: text.to_owned(), value: parse(text)? })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(d)?).map_err(D::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.text)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $description, "examples": $examples })
            }
        }
    };
}

text!(
    /// An absolute path.
    AbsolutePath(PathBuf),
    "an absolute path",
    ["/var/lib/panther"],
    |text| {
        let path = Path::new(text);
        let dots = text.split('/').any(|part| part == "." || part == "..");
        if !path.is_absolute() || dots || text.contains('\0') {
            return Err(format!("{text:?} is no absolute path without . and .."));
        }
        Ok(path.to_owned())
    }
);
text!(
    /// A writer's name.
    Writer(WriterName),
    "a writer's name: 1 to 64 of a-z, 0-9, '.', '_', '-', the first a letter or digit",
    ["hetzner"],
    |text| WriterName::new(text).map_err(|e| e.to_string())
);
text!(
    /// A span of time by the calendar.
    Span(retention::CalendarSpan),
    "a span of time: years, months, days and hours in this order",
    ["7d", "1y6m", "36h"],
    |text| text.parse().map_err(|e: retention::RetentionError| e.to_string())
);
text!(
    /// Moments that come again.
    Calendar(retention::Calendar),
    "moments as systemd's OnCalendar has them: hourly, daily, weekly, monthly, yearly, or [DAYS] [*-*-DAY] HH:MM",
    ["daily", "03:30", "Sun 04:00", "*-*-1 05:00", "*:0/15"],
    |text| text.parse().map_err(|e: retention::RetentionError| e.to_string())
);
text!(
    /// A date.
    Date(jiff::civil::Date),
    "a date: YYYY-MM-DD",
    ["2026-05-01"],
    |text| text.parse().map_err(|_| format!("{text:?} is no date: write YYYY-MM-DD"))
);
text!(
    /// How long something may take.
    Time(Duration),
    "a length of time: a whole number and s, min, h or d; several may follow each other",
    ["90s", "5min", "1h 30min"],
    parse_duration
);
text!(
    /// A number of bytes.
    Size(u64),
    "a number of bytes, with a unit if need be: K, M, G, T are powers of 1,024, KB, MB of 1,000",
    ["500M", "2GiB"],
    |text| parse_size(text).map_err(|e| e.to_string())
);
text!(
    /// Bytes a second; 0 is no limit.
    Rate(u64),
    "bytes a second: a number, with k, M, G for powers of 1,000 or Ki, Mi, Gi for powers of 1,024; 0 is no limit",
    ["2M", "500Ki", "0"],
    parse_rate
);
text!(
    /// A time of day: minutes since midnight.
    Clock(u32),
    "a time of day, from 00:00 to 23:59",
    ["22:00"],
    parse_clock
);
text!(
    /// zstd level of segments.
    Compression(()),
    "auto, fastest, default, better, max, or a zstd level from 1 to 19 in quotes",
    ["auto", "6"],
    |text| match text {
        "auto" | "fastest" | "default" | "better" | "max" => Ok(()),
        _ if text.parse::<u8>().is_ok_and(|level| (1..=19).contains(&level)) && !text.starts_with('+') => Ok(()),
        _ => Err(format!("{text:?} is none of auto, fastest, default, better, max, \"1\" to \"19\"")),
    }
);
text!(
    /// An address that DogStatsD listens on.
    Dogstatsd(()),
    "HOST:PORT for UDP, or unix:/PATH for a datagram socket",
    ["127.0.0.1:8125", "unix:/run/datadog/dsd.socket"],
    |text| {
        let is_socket = text.strip_prefix("unix:").is_some_and(|path| path.starts_with('/'));
        let port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
        let is_udp = text.rsplit_once(':').is_some_and(|(host, p)| !host.is_empty() && !host.contains('/') && port(p));
        if is_socket || is_udp { Ok(()) } else { Err(format!("{text:?} is neither HOST:PORT nor unix:/PATH")) }
    }
);
text!(
    /// The address of a web page.
    Url(()),
    "an address that begins with https://, or http:// for this machine",
    ["https://example.org/hook"],
    |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default()).unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let plain_is_local = !text.starts_with("http://") || ["localhost", "127.0.0.1", "[::1]"].contains(&name);
        if name.is_empty() || host.contains('@') || text.contains(char::is_whitespace) || !plain_is_local {
            return Err(format!("{:?} is no address: https://HOST/PATH, without a password in it", without_user(text)));
        }
        Ok(())
    }
);

/// Without what may be a password.
fn without_user(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => text.to_owned(),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no length of time: write 90s, 5min, 1h 30min or 2d");
    let (mut total_secs, mut rest) = (0u64, text.trim());
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let unit_secs = match unit {
            "s" | "sec" => 1,
            "m" | "min" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(bad()),
        };
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit_secs)).ok_or_else(bad)?;
        total_secs = total_secs.checked_add(part).ok_or_else(bad)?;
        rest = after.trim_start();
    }
    Ok(Duration::from_secs(total_secs))
}

fn parse_rate(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_bytes = match unit {
        "" => Some(1),
        "k" => Some(1_000),
        "M" => Some(1_000_000),
        "G" => Some(1_000_000_000),
        "Ki" => Some(1 << 10),
        "Mi" => Some(1 << 20),
        "Gi" => Some(1 << 30),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .zip(unit_bytes)
        .and_then(|(number, unit_bytes)| number.checked_mul(unit_bytes))
        .ok_or_else(|| format!("{text:?} is no rate: write bytes a second, such as 2M or 500Ki; 0 is no limit"))
}

fn parse_clock(text: &str) -> Result<u32, String> {
    let two = |text: &str, below: u32| -> Option<u32> {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n| digits && *n < below)
    };
    text.split_once(':')
        .and_then(|(hour, minute)| Some(two(hour, 24)? * 60 + two(minute, 60)?))
        .ok_or_else(|| format!("{text:?} is no time of day: write HH:MM"))
}

/// How many, as a number or `"unlimited"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count(pub retention::Count);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Count;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of 0 or more, or \"unlimited\"")
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Count, E> {
                match u32::try_from(number) {
                    Ok(number) if number < u32::MAX => Ok(Count(retention::Count(number))),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Signed(number), &self)),
                }
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Count, E> {
                match i64::try_from(number) {
                    Ok(number) => self.visit_i64(number),
                    Err(_) => Err(E::invalid_value(serde::de::Unexpected::Unsigned(number), &self)),
                }
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Count, E> {
                match text {
                    "unlimited" => Ok(Count(retention::Count::ALL)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        d.deserialize_any(Either)
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0 == retention::Count::ALL { s.serialize_str("unlimited") } else { s.serialize_u32(self.0.0) }
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "integer", "minimum": 0, "maximum": u32::MAX - 1 },
            { "const": "unlimited" },
        ] })
    }
}

/// A command and its arguments. It is run without a shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command(pub Vec<String>);

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(d)?;
        match words.first() {
            Some(first) if !first.is_empty() && words.iter().all(|w| !w.contains('\0')) => Ok(Self(words)),
            _ => Err(D::Error::custom("a command is a list of texts: the program, then its arguments")),
        }
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl JsonSchema for Command {
    fn schema_name() -> Cow<'static, str> {
        "Command".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array", "minItems": 1, "items": { "type": "string" },
            "description": "the program, then its arguments; run without a shell",
        })
    }
}

/// Dollars: a number of 0 or more.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Dollars(pub f64);

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(d)?;
        if (0.0..=1e9).contains(&number) {
            Ok(Self(number))
        } else {
            Err(D::Error::custom(format!("{number} is no amount of dollars: write a number of 0 or more")))
        }
    }
}

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.0)
    }
}

impl JsonSchema for Dollars {
    fn schema_name() -> Cow<'static, str> {
        "Dollars".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1e9 })
    }
}
