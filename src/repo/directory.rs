//! Directory streams, built entry by entry (spec 5.2).

use super::content::{ContentBuilder, Trees};
use super::writer::BlobWriter;
use crate::chunk::directory_cut;
use crate::error::Result;
use crate::format::content::{ContentRoot, Record};
use crate::format::header::BlobKind;
use crate::keys::Keyring;

/// Builds a directory's stream from encoded entries.
#[derive(Default)]
pub struct DirectoryBuilder {
    stream: Vec<u8>,
    content: ContentBuilder,
}

impl DirectoryBuilder {
    /// Adds an entry; they come in the order of their names.
    ///
    /// # Errors
    /// As [`BlobWriter::add`].
    pub fn push(&mut self, name: &[u8], encoded: &[u8], keys: &Keyring, writer: &mut BlobWriter<'_>) -> Result<()> {
        self.stream.extend_from_slice(encoded);
        if directory_cut(keys.directory_cut_key(), name, self.stream.len()) { self.cut(keys, writer) } else { Ok(()) }
    }

    fn cut(&mut self, keys: &Keyring, writer: &mut BlobWriter<'_>) -> Result<()> {
        let id = keys.blob_id(BlobKind::Tree, &self.stream);
        writer.add(BlobKind::Tree, id, &self.stream)?;
        let record = Record { id, len_bytes: self.stream.len() as u64 };
        self.stream.clear();
        self.content.push(record, &mut Trees { keys, writer, file: None })
    }

    /// The directory's content.
    ///
    /// # Errors
    /// As [`BlobWriter::add`].
    pub fn finish(mut self, keys: &Keyring, writer: &mut BlobWriter<'_>) -> Result<ContentRoot> {
        if !self.stream.is_empty() {
            self.cut(keys, writer)?;
        }
        self.content.finish(&mut Trees { keys, writer, file: None })
    }
}
