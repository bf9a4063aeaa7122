//! Identifiers as newtypes, so that one cannot stand where another is meant.

use data_encoding::HEXLOWER_PERMISSIVE;
use std::fmt;
use std::str::FromStr;

macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The id as 64 lower-case hexadecimal digits.
            pub fn to_hex(&self) -> String {
                data_encoding::HEXLOWER.encode(&self.0)
            }

            /// The first 8 digits: what people see.
            pub fn short(&self) -> String {
                data_encoding::HEXLOWER.encode(&self.0[..4])
            }

            /// The id from 32 bytes, or nothing if there are not exactly 32.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut out = [0u8; 32];
                if text.len() != 64 {
                    return Err(ParseIdError);
                }
                HEXLOWER_PERMISSIVE
                    .decode_mut(text.as_bytes(), &mut out)
                    .map_err(|_| ParseIdError)?;
                Ok(Self(out))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.to_hex())
            }
        }
    };
}

id32!(
    /// Keyed BLAKE3 of a blob's plaintext (spec 4.1).
    BlobId
);
id32!(
    /// BLAKE3 of an object's bytes: the last part of its name (spec 1.4).
    ObjectId
);
id32!(
    /// The random id of a repository (spec 2).
    RepoId
);

impl ObjectId {
    /// The id of an object with these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl BlobId {
    /// The id that marks a hole in a content list (spec 8.2).
    pub const HOLE: Self = Self([0; 32]);
}

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 64 hexadecimal digits are wanted")]
pub struct ParseIdError;

/// The name of a writer: 1 to 64 of `a`-`z`, `0`-`9`, `.`, `_`, `-`, the first a letter or digit (spec 1.4).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WriterName(String);

impl WriterName {
    /// The name, if it follows the rule.
    ///
    /// # Errors
    /// [`ParseWriterError`] otherwise.
    pub fn new(name: &str) -> Result<Self, ParseWriterError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let good = (1..=64).contains(&name.len())
            && name.bytes().all(|b| plain(b) || b"._-".contains(&b))
            && name.bytes().next().is_some_and(plain);
        if good { Ok(Self(name.to_owned())) } else { Err(ParseWriterError(name.to_owned())) }
    }

    /// A writer name made from a host name: lower case, what does not fit replaced by `-`.
    pub fn from_host(host: &str) -> Self {
        let mut name: String = host
            .chars()
            .take(64)
            .map(|c| match c.to_ascii_lowercase() {
                c @ ('a'..='z' | '0'..='9' | '.' | '_' | '-') => c,
                _ => '-',
            })
            .collect();
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            name.insert(0, 'h');
            name.truncate(64);
        }
        Self(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WriterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for WriterName {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl FromStr for WriterName {
    type Err = ParseWriterError;
    fn from_str(text: &str) -> Result<Self, ParseWriterError> {
        Self::new(text)
    }
}

/// A text that is no writer name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no writer name: 1 to 64 of a-z, 0-9, '.', '_', '-', the first a letter or digit")]
pub struct ParseWriterError(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_refuse_other_lengths() {
        let id = ObjectId::of(b"x");
        assert_eq!(id.to_hex().parse::<ObjectId>(), Ok(id));
        assert!("ab".parse::<ObjectId>().is_err());
        assert!("zz".repeat(32).parse::<ObjectId>().is_err());
    }

    #[test]
    fn writer_names_follow_the_rule() {
        for good in ["a", "hetzner", "0x", "a.b_c-d", &"a".repeat(64)] {
            assert!(WriterName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "A", "a/b", "a b", "ä", &"a".repeat(65)] {
            assert!(WriterName::new(bad).is_err(), "{bad}");
        }
        for host in ["Zephyrus", "-x", "", "ÄÖ", &"x".repeat(99), &"_".repeat(64)] {
            let name = WriterName::from_host(host);
            assert_eq!(WriterName::new(name.as_str()), Ok(name.clone()), "{host}");
        }
    }
}
