//! Content that comes in pieces of any length, cut and stored.

use crate::error::Result;
use crate::format::content::{ContentRoot, Record};
use crate::format::header::BlobKind;
use crate::id::BlobId;
use crate::keys::Keyring;
use crate::repo::content::{ContentBuilder, Trees};
use crate::repo::writer::BlobWriter;

/// Content that is being cut.
pub(in crate::ops) struct Cut<'k> {
    keys: &'k Keyring,
    list: ContentBuilder,
    /// What came and is not stored yet; more is put at its end.
    pub data: Vec<u8>,
    /// Bytes of `data` that are cut already.
    done: usize,
}

impl<'k> Cut<'k> {
    /// Of content that begins with `data`.
    pub fn new(keys: &'k Keyring, data: Vec<u8>) -> Self {
        Self { keys, list: ContentBuilder::default(), data, done: 0 }
    }

    /// Cuts as long as what is there decides where.
    pub fn go_on(&mut self, out: &mut BlobWriter<'_>) -> Result<()> {
        while self.data.len() - self.done >= self.keys.chunker().max_bytes() {
            self.one(out)?;
        }
        if self.done > 0 {
            self.data.drain(..self.done);
            self.done = 0;
        }
        Ok(())
    }

    /// Cuts the rest: the region ends here.
    pub fn end(&mut self, out: &mut BlobWriter<'_>) -> Result<()> {
        while self.done < self.data.len() {
            self.one(out)?;
        }
        self.data.clear();
        self.done = 0;
        Ok(())
    }

    /// Adds a record that is not cut, such as a hole, between two regions.
    pub fn push(&mut self, record: Record, out: &mut BlobWriter<'_>) -> Result<()> {
        self.list.push(record, &mut Trees { keys: self.keys, writer: out, file: None })
    }

    /// The whole content list.
    pub fn finish(mut self, out: &mut BlobWriter<'_>) -> Result<ContentRoot> {
        self.end(out)?;
        self.list.finish(&mut Trees { keys: self.keys, writer: out, file: None })
    }

    fn one(&mut self, out: &mut BlobWriter<'_>) -> Result<()> {
        let rest = &self.data[self.done..];
        let bytes = &rest[..self.keys.chunker().cut(rest)];
        let id: BlobId = self.keys.blob_id(BlobKind::Data, bytes);
        out.add(BlobKind::Data, id, bytes)?;
        let record = Record { id, len_bytes: bytes.len() as u64 };
        self.done += bytes.len();
        self.push(record, out)
    }
}
