//! CBOR written by hand, from the specification alone: the library's encoders are what the vectors test.

use serde_json::{Map, Value, json};

/// Runs of equal bytes from this length on are shown as `(xx*length)`.
const RUN_BYTES: usize = 64;

/// Lower-case hexadecimal, long runs shortened.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let mut out = String::new();
    for run in bytes.as_ref().chunk_by(|a, b| a == b) {
        if run.len() >= RUN_BYTES {
            out += &format!("({:02x}*{})", run[0], run.len());
        } else {
            out += &data_encoding::HEXLOWER.encode(run);
        }
    }
    out
}

/// An item of CBOR.
#[derive(Clone)]
pub enum V {
    /// An unsigned integer.
    U(u64),
    /// A negative integer.
    N(i64),
    /// A byte string.
    B(Vec<u8>),
    /// A text string.
    T(String),
    /// `true` or `false`.
    Bool(bool),
    /// An array.
    A(Vec<V>),
    /// A map.
    M(R),
    /// Bytes as they are: what breaks the profile.
    Raw(Vec<u8>),
    /// An item that the vector shows differently.
    As(Box<V>, Value),
}

fn head(major: u8, value: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    match value {
        0..=23 => out.push(major | value as u8),
        24..=0xff => out.extend([major | 24, value as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend((value as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend((value as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend(value.to_be_bytes());
        }
    }
}

impl V {
    /// The encoding.
    pub fn cbor(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::U(n) => head(0, *n, out),
            Self::N(n) => head(1, (-1 - n).cast_unsigned(), out),
            Self::B(bytes) => {
                head(2, bytes.len() as u64, out);
                out.extend(bytes);
            }
            Self::T(text) => {
                head(3, text.len() as u64, out);
                out.extend(text.as_bytes());
            }
            Self::Bool(value) => out.push(0xf4 + u8::from(*value)),
            Self::A(items) => {
                head(4, items.len() as u64, out);
                items.iter().for_each(|item| item.write(out));
            }
            Self::M(record) => {
                head(5, record.0.len() as u64, out);
                for (key, _, value) in &record.0 {
                    if *key < 0 {
                        Self::N(*key).write(out)
                    } else {
                        Self::U(key.cast_unsigned()).write(out)
                    }
                    value.write(out);
                }
            }
            Self::Raw(bytes) => out.extend(bytes),
            Self::As(item, _) => item.write(out),
        }
    }

    /// What a vector shows for it.
    pub fn json(&self) -> Value {
        match self {
            Self::U(n) => json!(n),
            Self::N(n) => json!(n),
            Self::B(bytes) | Self::Raw(bytes) => json!(hex(bytes)),
            Self::T(text) => json!(text),
            Self::Bool(value) => json!(value),
            Self::A(items) => items.iter().map(Self::json).collect(),
            Self::M(record) => record.json(),
            Self::As(_, shown) => shown.clone(),
        }
    }
}

/// A map with its keys' names in vectors; an empty name is not shown.
#[derive(Clone, Default)]
pub struct R(pub Vec<(i64, &'static str, V)>);

impl R {
    /// With one more key, put in its place; an equal one is replaced.
    pub fn with(mut self, key: i64, name: &'static str, value: V) -> Self {
        self.0.retain(|(k, _, _)| *k != key);
        let order = |key: i64| (key < 0, key.unsigned_abs());
        let at = self.0.iter().position(|(k, _, _)| order(*k) > order(key)).unwrap_or(self.0.len());
        self.0.insert(at, (key, name, value));
        self
    }

    /// With another value for a key that is there.
    pub fn but(self, key: i64, value: V) -> Self {
        let name = self.0.iter().find(|(k, _, _)| *k == key).unwrap().1;
        self.with(key, name, value)
    }

    /// Without a key.
    pub fn without(mut self, key: i64) -> Self {
        self.0.retain(|(k, _, _)| *k != key);
        self
    }

    /// The encoding.
    pub fn cbor(&self) -> Vec<u8> {
        V::M(self.clone()).cbor()
    }

    /// What a vector shows.
    pub fn json(&self) -> Value {
        let shown = self.0.iter().filter(|(_, name, _)| !name.is_empty());
        Value::Object(shown.map(|(_, name, value)| ((*name).to_owned(), value.json())).collect::<Map<_, _>>())
    }
}

/// A byte string.
pub fn b(bytes: impl AsRef<[u8]>) -> V {
    V::B(bytes.as_ref().to_vec())
}

/// A text.
pub fn t(text: &str) -> V {
    V::T(text.to_owned())
}

/// A time.
pub fn time(seconds: i64, nanoseconds: u64) -> V {
    let seconds = if seconds < 0 { V::N(seconds) } else { V::U(seconds.cast_unsigned()) };
    V::A(vec![seconds, V::U(nanoseconds)])
}

/// An id list, shown as an array.
pub fn ids(list: &[[u8; 32]]) -> V {
    V::As(Box::new(V::B(list.concat())), list.iter().map(hex).collect())
}

/// A content root, shown with its records.
pub fn root(depth: u64, records: &[([u8; 32], u64)]) -> V {
    let shown: Vec<Value> = records.iter().map(|(id, length)| json!({ "id": hex(id), "length": length })).collect();
    V::As(Box::new(V::A(vec![V::U(depth), V::B(records_bytes(records))])), json!({ "depth": depth, "records": shown }))
}

/// Records of a content list, joined.
pub fn records_bytes(records: &[([u8; 32], u64)]) -> Vec<u8> {
    records.iter().flat_map(|(id, length)| id.iter().copied().chain(length.to_le_bytes())).collect()
}
