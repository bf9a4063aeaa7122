//! The content of a file: any range of it, or all of it in order.

use crate::error::{Error, FormatError, Result};
use crate::format::content::{ContentRoot, ListOf, Record, decode_node};
use crate::format::entry::{Entry, Node};
use crate::format::header::BlobKind;
use crate::repo::reader::{Blob, BlobReader, SegmentId, describe};
use crate::state::blobs::Place;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;

/// Segments of so many bytes of plaintext are held at once when content is read in order.
const WINDOW_BYTES: u64 = 32 << 20;

/// A part of a file: a record and where what it covers begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where in the file, in bytes.
    pub offset: u64,
    /// A blob or a hole.
    pub record: Record,
}

/// Visits the records that cover some of `range`, in order. What does not is neither read nor decoded, but for one node at each depth.
///
/// # Errors
/// What is wrong with a node, or what `visit` says.
pub fn pieces_in(
    reader: &BlobReader<'_>,
    root: &ContentRoot,
    range: &Range<u64>,
    visit: &mut dyn FnMut(Piece) -> Result<()>,
) -> Result<()> {
    below(reader, &root.records, root.depth, 0, range, visit)
}

fn below(
    reader: &BlobReader<'_>,
    records: &[Record],
    depth: u8,
    mut offset: u64,
    range: &Range<u64>,
    visit: &mut dyn FnMut(Piece) -> Result<()>,
) -> Result<()> {
    for record in records {
        if offset >= range.end {
            return Ok(());
        }
        let end = offset.saturating_add(record.len_bytes);
        if end > range.start {
            if let Some(next) = depth.checked_sub(1) {
                let bad = |e| Error::format(describe(BlobKind::Tree, &record.id), e);
                let node = reader.node(&record.id)?;
                let (records, total) = decode_node(&node, next, ListOf::File).map_err(bad)?;
                if total != record.len_bytes {
                    return Err(bad(FormatError::Invalid("a content list covers another length than its parent says")));
                }
                below(reader, &records, next, offset, range, visit)?;
            } else {
                visit(Piece { offset, record: *record })?;
            }
        }
        offset = end;
    }
    Ok(())
}

/// The bytes of a regular file from `offset` on: `len_bytes` of them, fewer at its end; nothing for anything else.
///
/// # Errors
/// What is wrong with the blobs.
pub fn read_at(reader: &BlobReader<'_>, entry: &Entry, offset: u64, len_bytes: usize) -> Result<Vec<u8>> {
    let size_bytes = entry.size_bytes();
    let start = offset.min(size_bytes);
    let end = start.saturating_add(len_bytes as u64).min(size_bytes);
    let root = match &entry.node {
        // A length of content in an entry fits.
        Node::Inline(bytes) => return Ok(bytes.get(start as usize..end as usize).unwrap_or_default().to_vec()),
        Node::File(root) => root,
        _ => return Ok(Vec::new()),
    };
    let range = start..end;
    let mut pieces = Vec::new();
    pieces_in(reader, root, &range, &mut |piece| {
        pieces.push(piece);
        Ok(())
    })?;
    // No longer than was asked for.
    let mut out = vec![0; (end - start) as usize];
    for (piece, blob) in fetch(reader, &pieces)? {
        let (from, to) = (piece.offset.max(start), (piece.offset + blob.len() as u64).min(end));
        let source = blob.get((from - piece.offset) as usize..(to - piece.offset) as usize);
        if let (Some(source), Some(target)) = (source, out.get_mut((from - start) as usize..(to - start) as usize)) {
            target.copy_from_slice(source);
        }
    }
    Ok(out)
}

/// The blobs of these pieces, in order; holes are left out. Each segment is read once, several at a time; over a network by few requests.
///
/// # Errors
/// What is wrong with the first blob that cannot be had.
pub fn fetch(reader: &BlobReader<'_>, pieces: &[Piece]) -> Result<Vec<(Piece, Blob)>> {
    let wanted: Vec<&Piece> = pieces.iter().filter(|piece| !piece.record.is_hole()).collect();
    let mut segments: BTreeMap<SegmentId, Vec<(usize, Place)>> = BTreeMap::new();
    for (number, piece) in wanted.iter().enumerate() {
        let place = reader.place(BlobKind::Data, &piece.record.id)?;
        segments.entry((place.pack, place.segment)).or_default().push((number, place));
    }
    if let [piece] = wanted[..] {
        let blob = reader.blob(BlobKind::Data, &piece.record.id, piece.record.len_bytes)?;
        return Ok(vec![(*piece, blob)]);
    }
    reader.announce(&segments.keys().copied().collect::<Vec<_>>());
    let take = |(id, places): (&SegmentId, &Vec<(usize, Place)>)| -> Vec<(usize, Result<Blob>)> {
        let segment = reader.segment(id.0, id.1);
        let blob = |(number, place): &(usize, Place)| {
            let record = &wanted[*number].record;
            let first = match &segment {
                Ok(segment) => reader.take(segment, place, BlobKind::Data, &record.id, record.len_bytes),
                // Also says what is wrong, or finds that it was so for a moment only.
                Err(_) => return (*number, reader.blob(BlobKind::Data, &record.id, record.len_bytes)),
            };
            let found =
                first.or_else(|error| reader.further(BlobKind::Data, &record.id, Some(record.len_bytes), error));
            (*number, found)
        };
        places.iter().map(blob).collect()
    };
    let mut found: Vec<(usize, Result<Blob>)> = segments.par_iter().flat_map_iter(take).collect();
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(number, blob)| Ok((*wanted[number], blob?))).collect()
}

/// A part of content in order.
#[derive(Debug)]
pub enum Run<'a> {
    /// These bytes.
    Data(&'a [u8]),
    /// So many zeros that no file system need store.
    Hole(u64),
}

/// Hands all content of a regular file to `sink`, in order.
///
/// # Errors
/// What is wrong with the blobs, or what `sink` says.
pub fn read_all(reader: &BlobReader<'_>, entry: &Entry, sink: &mut dyn FnMut(Run<'_>) -> Result<()>) -> Result<()> {
    let root = match &entry.node {
        Node::Inline(bytes) => return sink(Run::Data(bytes)),
        Node::File(root) => root,
        _ => return Ok(()),
    };
    let mut window = Window { reader, pieces: Vec::new(), segments: BTreeMap::new(), plain_bytes: 0 };
    let mut offset = 0;
    reader.each_record(root, ListOf::File, &mut |record| {
        let piece = Piece { offset, record };
        offset += record.len_bytes;
        window.add(piece)?;
        if window.plain_bytes >= WINDOW_BYTES { window.flush(sink) } else { Ok(()) }
    })?;
    window.flush(sink)
}

struct Window<'w, 'r> {
    reader: &'w BlobReader<'r>,
    pieces: Vec<Piece>,
    segments: BTreeMap<SegmentId, ()>,
    plain_bytes: u64,
}

impl Window<'_, '_> {
    fn add(&mut self, piece: Piece) -> Result<()> {
        self.pieces.push(piece);
        if piece.record.is_hole() {
            return Ok(());
        }
        let place = self.reader.place(BlobKind::Data, &piece.record.id)?;
        if self.segments.insert((place.pack, place.segment), ()).is_none() {
            let info = self.reader.pack_info(place.pack)?;
            let segment = info.segments.get(usize::from(place.segment));
            self.plain_bytes += segment.map_or(0, |segment| u64::from(segment.plain_bytes));
        }
        Ok(())
    }

    fn flush(&mut self, sink: &mut dyn FnMut(Run<'_>) -> Result<()>) -> Result<()> {
        let pieces = std::mem::take(&mut self.pieces);
        self.segments.clear();
        self.plain_bytes = 0;
        let mut blobs = fetch(self.reader, &pieces)?.into_iter();
        for piece in pieces {
            if piece.record.is_hole() {
                sink(Run::Hole(piece.record.len_bytes))?;
            } else if let Some((_, blob)) = blobs.next() {
                sink(Run::Data(&blob))?;
            }
        }
        Ok(())
    }
}
