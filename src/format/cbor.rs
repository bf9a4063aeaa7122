//! The CBOR profile of spec 1.3: minicbor's tokens with strictness on top.

use super::limits;
use crate::error::FormatError;
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

type Res<T> = Result<T, FormatError>;

/// An encoder into memory. Callers write maps in key order; lengths are always the shortest.
#[derive(Debug)]
pub struct Enc(Encoder<Vec<u8>>);

impl Default for Enc {
    fn default() -> Self {
        Self::onto(Vec::new())
    }
}

// Writing to a Vec cannot fail (the error type is Infallible), so the results carry nothing.
impl Enc {
    /// An encoder that appends to `buffer`.
    pub fn onto(buffer: Vec<u8>) -> Self {
        Self(Encoder::new(buffer))
    }
    /// What was encoded.
    pub fn done(self) -> Vec<u8> {
        self.0.into_writer()
    }
    /// An unsigned integer.
    pub fn uint(&mut self, value: u64) {
        let _ = self.0.u64(value);
    }
    /// A signed integer.
    pub fn int(&mut self, value: i64) {
        let _ = self.0.i64(value);
    }
    /// A byte string.
    pub fn bytes(&mut self, value: &[u8]) {
        let _ = self.0.bytes(value);
    }
    /// A text string.
    pub fn text(&mut self, value: &str) {
        let _ = self.0.str(value);
    }
    /// The head of an array of `len` items.
    pub fn array(&mut self, len: usize) {
        let _ = self.0.array(len as u64);
    }
    /// The head of a map of `len` pairs.
    pub fn map(&mut self, len: usize) {
        let _ = self.0.map(len as u64);
    }
    /// `true`.
    pub fn yes(&mut self) {
        let _ = self.0.bool(true);
    }
    /// An item that is encoded already.
    pub fn raw(&mut self, item: &[u8]) {
        self.0.writer_mut().extend_from_slice(item);
    }
    /// A key and an unsigned integer.
    pub fn pair_uint(&mut self, key: u64, value: u64) {
        self.uint(key);
        self.uint(value);
    }
    /// A key and a byte string.
    pub fn pair_bytes(&mut self, key: u64, value: &[u8]) {
        self.uint(key);
        self.bytes(value);
    }
    /// A key and a text string.
    pub fn pair_text(&mut self, key: u64, value: &str) {
        self.uint(key);
        self.text(value);
    }
}

/// A strict decoder: whatever is not in the deterministic profile is refused.
#[derive(Debug)]
pub struct Dec<'a> {
    inner: Decoder<'a>,
    depth: u32,
}

const SHORTEST: FormatError = FormatError::Invalid("an integer or length is not in its shortest form");

fn head_bytes(value: u64) -> usize {
    match value {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

impl<'a> Dec<'a> {
    /// A decoder of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { inner: Decoder::new(bytes), depth: 0 }
    }

    /// Ends decoding.
    ///
    /// # Errors
    /// When bytes are left.
    pub fn finish(&self) -> Res<()> {
        if self.position() == self.inner.input().len() {
            Ok(())
        } else {
            Err(FormatError::Invalid("bytes follow the end of the structure"))
        }
    }

    /// Bytes decoded so far.
    pub fn position(&self) -> usize {
        self.inner.position()
    }

    /// Whether everything is decoded.
    pub fn is_empty(&self) -> bool {
        self.position() >= self.inner.input().len()
    }

    /// The type of the next item.
    ///
    /// # Errors
    /// When there is none.
    pub fn peek(&mut self) -> Res<Type> {
        self.token("an item is wanted", |d| d.datatype())
    }

    fn token<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Decoder<'a>) -> Result<T, minicbor::decode::Error>,
    ) -> Res<T> {
        read(&mut self.inner)
            .map_err(|e| if e.is_end_of_input() { FormatError::Truncated } else { FormatError::Invalid(what) })
    }

    fn shortest(&self, start: usize, value: u64, body_bytes: usize) -> Res<()> {
        if self.position() - start == head_bytes(value) + body_bytes { Ok(()) } else { Err(SHORTEST) }
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn uint(&mut self) -> Res<u64> {
        let start = self.position();
        let value = self.token("an unsigned integer is wanted", Decoder::u64)?;
        self.shortest(start, value, 0)?;
        Ok(value)
    }

    /// An unsigned integer of at most `limit`.
    ///
    /// # Errors
    /// When something else stands there or it is larger.
    pub fn uint_max(&mut self, what: &'static str, limit: u64) -> Res<u64> {
        let actual = self.uint()?;
        if actual > limit { Err(FormatError::Limit { what, actual, limit }) } else { Ok(actual) }
    }

    /// An unsigned integer of 32 bits.
    ///
    /// # Errors
    /// When something else stands there or it is larger.
    pub fn uint32(&mut self, what: &'static str) -> Res<u32> {
        Ok(self.uint_max(what, u64::from(u32::MAX))? as u32)
    }

    /// An integer in the range of an `i64`.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn int(&mut self) -> Res<i64> {
        let start = self.position();
        let value = self.token("an integer of 64 bits is wanted", Decoder::i64)?;
        let magnitude = if value < 0 { !(value.cast_unsigned()) } else { value.cast_unsigned() };
        self.shortest(start, magnitude, 0)?;
        Ok(value)
    }

    /// A byte string of at most `limit` bytes.
    ///
    /// # Errors
    /// When something else stands there or it is longer.
    pub fn bytes(&mut self, what: &'static str, limit: u64) -> Res<&'a [u8]> {
        let start = self.position();
        let value = self.token("a byte string of definite length is wanted", Decoder::bytes)?;
        self.shortest(start, value.len() as u64, value.len())?;
        bounded(what, value.len(), limit)?;
        Ok(value)
    }

    /// A text string of at most `limit` bytes.
    ///
    /// # Errors
    /// When something else stands there or it is longer.
    pub fn text(&mut self, what: &'static str, limit: u64) -> Res<&'a str> {
        let start = self.position();
        let value = self.token("a text string of definite length is wanted", Decoder::str)?;
        self.shortest(start, value.len() as u64, value.len())?;
        bounded(what, value.len(), limit)?;
        Ok(value)
    }

    /// A byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn fixed<const N: usize>(&mut self, what: &'static str) -> Res<[u8; N]> {
        self.bytes(what, N as u64)?.try_into().map_err(|_| FormatError::Invalid("a byte string has the wrong length"))
    }

    /// An id list (spec 1.3).
    ///
    /// # Errors
    /// When something else stands there or there are more than `limit` ids.
    pub fn ids<T>(&mut self, what: &'static str, limit: u64, make: impl Fn([u8; 32]) -> T) -> Res<Vec<T>> {
        let bytes = self.bytes(what, limit.saturating_mul(32))?;
        let (ids, rest) = bytes.as_chunks::<32>();
        if rest.is_empty() {
            Ok(ids.iter().map(|id| make(*id)).collect())
        } else {
            Err(FormatError::Invalid("an id list is not a multiple of 32 bytes"))
        }
    }

    fn nest<T>(&mut self, read: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        self.depth += 1;
        if self.depth > limits::NESTING {
            return Err(FormatError::Limit {
                what: "nesting",
                actual: u64::from(self.depth),
                limit: u64::from(limits::NESTING),
            });
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// `true`: what else could be there is left out.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn yes(&mut self) -> Res<bool> {
        if self.token("true is wanted", Decoder::bool)? {
            Ok(true)
        } else {
            Err(FormatError::Invalid("true is wanted"))
        }
    }

    fn array_head(&mut self) -> Res<u64> {
        let start = self.position();
        let len = self
            .token("an array is wanted", Decoder::array)?
            .ok_or(FormatError::Invalid("an array has no definite length"))?;
        self.shortest(start, len, 0)?;
        Ok(len)
    }

    /// An array of exactly `len` items, read by `read`.
    ///
    /// # Errors
    /// When something else stands there, or what `read` says.
    pub fn tuple<T>(&mut self, len: u64, read: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        if self.array_head()? != len {
            return Err(FormatError::Invalid("an array has the wrong number of items"));
        }
        self.nest(read)
    }

    /// An array of `len` items that begins with `magic` and version 1. These two are looked at before anything else, the number of items included:
    /// another version may have another number.
    ///
    /// # Errors
    /// When something else stands there; [`FormatError::Version`]; or what `read` says.
    pub fn versioned<T>(&mut self, magic: &'static str, len: u64, read: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        let actual = self.array_head()?;
        self.nest(|d| {
            if actual < 2 || d.text("magic", 16)? != magic {
                return Err(FormatError::Invalid("it does not begin as a panther object does"));
            }
            let version = d.uint()?;
            if version != 1 {
                return Err(FormatError::Version(version));
            }
            if actual != len {
                return Err(FormatError::Invalid("an array has the wrong number of items"));
            }
            read(d)
        })
    }

    /// An array of at most `limit` items, each read by `read`.
    ///
    /// # Errors
    /// When something else stands there or it is longer, or what `read` says.
    pub fn list<T>(
        &mut self,
        what: &'static str,
        limit: u64,
        mut read: impl FnMut(&mut Self) -> Res<T>,
    ) -> Res<Vec<T>> {
        let len = self.array_head()?;
        if len > limit {
            return Err(FormatError::Limit { what, actual: len, limit });
        }
        self.nest(|d| {
            let mut items = Vec::new();
            for _ in 0..len {
                items.push(read(d)?);
            }
            Ok(items)
        })
    }

    /// A map with integer keys in order. `read` is called with each key and returns false for one that it does not know: then a key of 0 or
    /// more is skipped and a negative one refused.
    ///
    /// # Errors
    /// When something else stands there, keys are out of order, or what `read` says.
    pub fn map(&mut self, mut read: impl FnMut(&mut Self, i64) -> Res<bool>) -> Res<()> {
        let start = self.position();
        let len =
            self.token("a map is wanted", Decoder::map)?.ok_or(FormatError::Invalid("a map has no definite length"))?;
        self.shortest(start, len, 0)?;
        self.nest(|d| {
            let mut last: Option<i64> = None;
            for _ in 0..len {
                let key = d.int()?;
                if last.is_some_and(|last| !keys_ascend(last, key)) {
                    return Err(FormatError::Invalid("the keys of a map are not in order"));
                }
                last = Some(key);
                if !read(d, key)? {
                    if key < 0 {
                        return Err(FormatError::Feature { what: "map key", number: key });
                    }
                    d.skip()?;
                }
            }
            Ok(())
        })
    }

    /// The bytes of one item of any kind, which must still follow the profile.
    ///
    /// # Errors
    /// When it does not.
    pub fn raw(&mut self) -> Res<&'a [u8]> {
        let start = self.position();
        self.skip()?;
        self.inner.input().get(start..self.position()).ok_or(FormatError::Truncated)
    }

    /// Skips one item of any kind, which must still follow the profile.
    ///
    /// # Errors
    /// When it does not.
    pub fn skip(&mut self) -> Res<()> {
        match self.peek()? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => self.uint().map(drop),
            Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => self.negative(),
            Type::Bytes => self.bytes("an unknown value", u64::MAX).map(drop),
            Type::String => self.text("an unknown value", u64::MAX).map(drop),
            Type::Bool => self.token("a boolean is wanted", Decoder::bool).map(drop),
            Type::Array => {
                let len = self.array_head()?;
                self.nest(|d| (0..len).try_for_each(|_| d.skip()))
            }
            Type::Map => self.map(|d, _| d.skip().map(|()| true)),
            _ => Err(FormatError::Invalid("an item of a type that the format does not use")),
        }
    }

    fn negative(&mut self) -> Res<()> {
        let start = self.position();
        let value = i128::from(self.token("an integer is wanted", Decoder::int)?);
        // A negative n is encoded as -1 - n, which is at most 2^64 - 1.
        let magnitude = u64::try_from(-1 - value).map_err(|_| FormatError::Invalid("an integer is wanted"))?;
        self.shortest(start, magnitude, 0)
    }
}

fn bounded(what: &'static str, len: usize, limit: u64) -> Res<()> {
    let actual = len as u64;
    if actual > limit { Err(FormatError::Limit { what, actual, limit }) } else { Ok(()) }
}

/// Deterministic order: 0, 1, 2 … then -1, -2 ….
fn keys_ascend(a: i64, b: i64) -> bool {
    match (a < 0, b < 0) {
        (false, true) => true,
        (true, false) => false,
        (false, false) => a < b,
        (true, true) => a > b,
    }
}

/// A required field.
///
/// # Errors
/// When it is absent.
pub(crate) fn need<T>(field: Option<T>) -> Res<T> {
    field.ok_or(FormatError::Invalid("a required key is missing"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
