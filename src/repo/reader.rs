//! Reading blobs: segments are fetched, opened, decompressed and kept for a while; every blob is checked against its id.

use super::{Repository, ahead, until_right};
use crate::error::{Error, FormatError, Result, StoreError};
use crate::format::header::BlobKind;
use crate::format::limits;
use crate::format::name::Name;
use crate::format::pack::{Codec, PREAMBLE_BYTES};
use crate::id::BlobId;
use crate::seal::PackSeal;
use crate::state::State;
use crate::state::blobs::{BlobKey, BlobView, PackInfo, Place, key_of};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much plaintext of segments is kept.
const CACHE_BYTES: usize = 64 << 20;
/// How many packs' keys are kept.
const OPEN_PACKS: usize = 4_096;

/// A verified blob: a part of a segment.
#[derive(Clone, Debug)]
pub struct Blob {
    segment: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl std::ops::Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.segment[self.range.clone()]
    }
}

/// A pack whose key is open.
pub struct OpenPack {
    /// What the index says of it.
    pub info: Arc<PackInfo>,
    name: String,
    seal: PackSeal,
}

/// A segment: pack number and ordinal.
pub type SegmentId = (u32, u16);

/// Segments that were read. Trees and data have a queue each: a restore reads far more data than fits, and comes back to trees only.
#[derive(Default)]
struct Cache {
    segments: HashMap<SegmentId, Arc<Vec<u8>>>,
    trees: Queue,
    data: Queue,
}

/// Segments in the order in which they came.
#[derive(Default)]
struct Queue {
    order: VecDeque<SegmentId>,
    bytes: usize,
}

impl Cache {
    fn keep(&mut self, id: SegmentId, plain: &Arc<Vec<u8>>, kind: BlobKind) {
        if self.segments.insert(id, Arc::clone(plain)).is_some() {
            return;
        }
        let queue = if kind == BlobKind::Tree { &mut self.trees } else { &mut self.data };
        queue.order.push_back(id);
        queue.bytes += plain.len();
        while queue.bytes > CACHE_BYTES / 2 && queue.order.len() > 1 {
            if let Some(old) = queue.order.pop_front().and_then(|id| self.segments.remove(&id)) {
                queue.bytes -= old.len();
            }
        }
    }
}

/// Reads blobs. May be used from many threads.
pub struct BlobReader<'r> {
    repo: &'r Repository,
    view: BlobView,
    packs: Mutex<HashMap<u32, Arc<OpenPack>>>,
    cache: Mutex<Cache>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What the mutexes here guard is whole after every statement, so a panic elsewhere does not matter.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'r> BlobReader<'r> {
    /// A reader over what `state` knows now.
    ///
    /// # Errors
    /// [`Error::Role`] for a writer's key; [`Error::State`].
    pub fn new(repo: &'r Repository, state: &State) -> Result<Self> {
        repo.keys().need_reader("read blobs")?;
        Ok(Self { repo, view: state.blob_view()?, packs: Mutex::default(), cache: Mutex::default() })
    }

    /// The repository.
    pub fn repo(&self) -> &'r Repository {
        self.repo
    }

    /// Where blobs are.
    pub fn view(&self) -> &BlobView {
        &self.view
    }

    /// Where a blob is.
    ///
    /// # Errors
    /// [`Error::Missing`] when no index names it.
    pub fn place(&self, kind: BlobKind, id: &BlobId) -> Result<Place> {
        self.view.place(id)?.ok_or_else(|| Error::Missing(describe(kind, id)))
    }

    /// Reads a blob that should have `len_bytes` bytes and checks it. Where there are several copies, any good one serves.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Damaged`], [`Error::Store`]: what is wrong with the first copy.
    pub fn blob(&self, kind: BlobKind, id: &BlobId, len_bytes: u64) -> Result<Blob> {
        let place = self.place(kind, id)?;
        self.at(&place, kind, id, len_bytes).or_else(|error| self.further(kind, id, Some(len_bytes), error))
    }

    /// As [`BlobReader::blob`], of a tree blob of which nobody says the length.
    ///
    /// # Errors
    /// As [`BlobReader::blob`].
    pub fn node(&self, id: &BlobId) -> Result<Blob> {
        let place = self.place(BlobKind::Tree, id)?;
        let first = self.at(&place, BlobKind::Tree, id, place.len_bytes.into());
        first.or_else(|error| self.further(BlobKind::Tree, id, None, error))
    }

    fn at(&self, place: &Place, kind: BlobKind, id: &BlobId, len_bytes: u64) -> Result<Blob> {
        let segment = self.segment(place.pack, place.segment)?;
        self.take(&segment, place, kind, id, len_bytes)
    }

    /// A further copy of a blob of which the first could not be had: `error` says why.
    ///
    /// # Errors
    /// `error` if there is no further copy that is right, or nothing can be read now.
    pub fn further(&self, kind: BlobKind, id: &BlobId, len_bytes: Option<u64>, error: Error) -> Result<Blob> {
        let is_worth_it = match &error {
            Error::Missing(_) | Error::Damaged { .. } | Error::Newer { .. } => true,
            Error::Store { source, .. } => !source.ends_the_run(),
            _ => false,
        };
        if is_worth_it {
            for place in self.view.copies(id)? {
                let len_bytes = len_bytes.unwrap_or_else(|| place.len_bytes.into());
                if let Ok(blob) = self.at(&place, kind, id, len_bytes) {
                    return Ok(blob);
                }
            }
        }
        Err(error)
    }

    /// A blob of which only the beginning of the id is known, from any good copy; with its id.
    ///
    /// # Errors
    /// [`Error::State`]; [`Error::Store`] when nothing can be read now.
    pub fn by_key(&self, kind: BlobKind, key: &BlobKey) -> Result<Option<(BlobId, Blob)>> {
        // Places are looked up by the beginning of an id only.
        let mut stand_in = BlobId([0; 32]);
        stand_in.0[..key.len()].copy_from_slice(key);
        let Some(first) = self.view.place(&stand_in)? else { return Ok(None) };
        for place in std::iter::once(first).chain(self.view.copies(&stand_in)?) {
            let segment = match self.segment(place.pack, place.segment) {
                Ok(segment) => segment,
                Err(Error::Store { op, object, source }) if source.ends_the_run() => {
                    return Err(Error::Store { op, object, source });
                }
                Err(_) => continue,
            };
            let range = place.offset as usize..(place.offset + place.len_bytes) as usize;
            let Some(bytes) = segment.get(range.clone()) else { continue };
            let id = self.repo.keys().blob_id(kind, bytes);
            if key_of(&id) == *key {
                return Ok(Some((id, Blob { segment, range })));
            }
        }
        Ok(None)
    }

    /// Reads a blob of a length that nobody has told, and checks it.
    ///
    /// # Errors
    /// As [`BlobReader::blob`].
    pub fn any_blob(&self, kind: BlobKind, id: &BlobId) -> Result<Blob> {
        let len_bytes = self.place(kind, id)?.len_bytes;
        self.blob(kind, id, u64::from(len_bytes))
    }

    /// The blob at `place` of a segment that was read, checked.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn take(
        &self,
        segment: &Arc<Vec<u8>>,
        place: &Place,
        kind: BlobKind,
        id: &BlobId,
        len_bytes: u64,
    ) -> Result<Blob> {
        let range = place.offset as usize..(place.offset + place.len_bytes) as usize;
        let bad = |why| Error::format(describe(kind, id), FormatError::Invalid(why));
        let bytes = segment.get(range.clone()).ok_or_else(|| bad("the index places it outside its segment"))?;
        if bytes.len() as u64 != len_bytes {
            return Err(bad("it has another length than the tree says"));
        }
        if self.repo.keys().blob_id(kind, bytes) != *id {
            return Err(Error::format(describe(kind, id), FormatError::Hash));
        }
        Ok(Blob { segment: Arc::clone(segment), range })
    }

    /// The plaintext of a segment, from the cache or the store.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Damaged`], [`Error::Store`].
    pub fn segment(&self, pack: u32, ordinal: u16) -> Result<Arc<Vec<u8>>> {
        if let Some(found) = lock(&self.cache).segments.get(&(pack, ordinal)) {
            return Ok(Arc::clone(found));
        }
        self.announce_tree(pack, ordinal);
        let open = self.open_pack(pack)?;
        let plain = Arc::new(self.fetch(&open, ordinal)?);
        lock(&self.cache).keep((pack, ordinal), &plain, open.info.kind);
        Ok(plain)
    }

    /// Trees are read one segment after the other by whoever walks them: over a network some are fetched ahead.
    fn announce_tree(&self, pack: u32, ordinal: u16) {
        if !self.repo.backend().is_remote() {
            return;
        }
        if let Ok(info) = self.view.pack(pack)
            && info.kind == BlobKind::Tree
        {
            let last = ordinal.saturating_add(ahead::TREE_SEGMENTS).min(info.segments.len() as u16);
            let segments: Vec<SegmentId> = (ordinal..last).map(|ordinal| (pack, ordinal)).collect();
            self.announce(&segments);
        }
    }

    /// What the index says of a pack. Nothing is asked of the store.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn pack_info(&self, number: u32) -> Result<Arc<PackInfo>> {
        if let Some(open) = lock(&self.packs).get(&number) {
            return Ok(Arc::clone(&open.info));
        }
        self.view.pack(number)
    }

    /// The pack with its key opened.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Damaged`], [`Error::Store`].
    pub fn open_pack(&self, number: u32) -> Result<Arc<OpenPack>> {
        if let Some(found) = lock(&self.packs).get(&number) {
            return Ok(Arc::clone(found));
        }
        let info = self.view.pack(number)?;
        let name = Name::Pack(info.writer.clone(), info.id);
        let text = name.to_string();
        let seal = self.range(&text, 0, PREAMBLE_BYTES, |preamble| {
            let header = self.repo.pack_header(&preamble, &name)?;
            let bad = |e| Error::format(&text, e);
            if header.kind != info.kind.pack() {
                return Err(bad(FormatError::Invalid("it is of another kind than the index says")));
            }
            let preamble = preamble.first_chunk::<PREAMBLE_BYTES>().ok_or_else(|| bad(FormatError::Truncated))?;
            PackSeal::open(preamble, self.repo.keys().private(header.epoch).map_err(bad)?).map_err(bad)
        })?;
        let open = Arc::new(OpenPack { info, name: text, seal });
        let mut packs = lock(&self.packs);
        if packs.len() >= OPEN_PACKS {
            packs.clear();
        }
        packs.insert(number, Arc::clone(&open));
        Ok(open)
    }

    /// Reads, opens and decompresses a segment.
    fn fetch(&self, open: &OpenPack, ordinal: u16) -> Result<Vec<u8>> {
        let bad = |e| Error::format(format!("segment {ordinal} of {}", open.name), e);
        let place = open
            .info
            .segments
            .get(usize::from(ordinal))
            .ok_or_else(|| bad(FormatError::Invalid("the index names a segment that its pack does not have")))?;
        self.range(&open.name, place.offset, place.stored_bytes as usize, |mut buffer| {
            open.seal.open_segment(ordinal.into(), &mut buffer).map_err(bad)?;
            decompress(buffer, place.codec, place.plain_bytes).map_err(bad)
        })
    }

    /// Reads a range and opens it with `open`; again, in every way that the store has, if what came is wrong.
    fn range<T>(&self, name: &str, offset: u64, len_bytes: usize, open: impl Fn(Vec<u8>) -> Result<T>) -> Result<T> {
        let backend = self.repo.backend();
        let check = |done: Result<Vec<u8>, StoreError>| match done {
            Ok(bytes) => open(bytes),
            Err(StoreError::NotFound) => Err(Error::Missing(name.to_owned())),
            Err(StoreError::Length { .. }) => Err(Error::format(name, FormatError::Truncated)),
            Err(other) => Err(Error::store("read", name, other)),
        };
        let first = check(backend.get_range(name, offset, len_bytes));
        until_right(first, |attempt| backend.get_range_again(name, offset, len_bytes, attempt), check)
    }

    /// Says that these segments will be read soon, so that a store over a network fetches them by few requests.
    pub fn announce(&self, segments: &[SegmentId]) {
        let backend = self.repo.backend();
        if !backend.is_remote() {
            return;
        }
        let packs: Vec<&[SegmentId]> = segments.chunk_by(|a, b| a.0 == b.0).collect();
        // What is wrong with the index is said when it is read.
        let is_read_out = |of_pack: &&[SegmentId]| {
            let last = of_pack.last().and_then(|(pack, last)| Some((self.view.pack(*pack).ok()?, last)));
            last.is_some_and(|(info, last)| usize::from(*last) + 1 == info.segments.len())
        };
        let read_out = packs.iter().filter(|of_pack| is_read_out(of_pack)).count();
        for of_pack in packs {
            let Some((number, _)) = of_pack.first() else { continue };
            let Ok(info) = self.view.pack(*number) else { continue };
            let unread = |ordinal: &u16| !lock(&self.cache).segments.contains_key(&(*number, *ordinal));
            let ordinals: Vec<u16> = of_pack.iter().map(|(_, ordinal)| *ordinal).filter(unread).collect();
            let is_open = lock(&self.packs).contains_key(number);
            let follows = read_out > usize::from(is_read_out(&of_pack));
            let ranges = ahead::ranges(&info, &ordinals, is_open, follows);
            backend.will_read(&Name::Pack(info.writer.clone(), info.id).to_string(), &ranges);
        }
    }
}

/// Undoes a segment's codec.
///
/// # Errors
/// [`FormatError`] when it does not give exactly `plain_bytes` bytes.
pub fn decompress(bytes: Vec<u8>, codec: Codec, plain_bytes: u32) -> Result<Vec<u8>, FormatError> {
    thread_local! {
        static CONTEXT: std::cell::RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { std::cell::RefCell::new(None) };
    }
    let wrong = FormatError::Invalid("it does not decompress to the length that was stated");
    if u64::from(plain_bytes) > limits::BLOB_BYTES {
        return Err(wrong);
    }
    let plain = match codec {
        Codec::None => bytes,
        Codec::Other(number) => {
            return Err(FormatError::Feature { what: "codec", number: i64::try_from(number).unwrap_or(i64::MAX) });
        }
        Codec::Zstd => CONTEXT.with_borrow_mut(|context| {
            check_frame(&bytes)?;
            if context.is_none() {
                let mut made =
                    zstd::bulk::Decompressor::new().map_err(|_| FormatError::Invalid("zstd cannot start"))?;
                // A window of at most 16 MiB (spec 6).
                made.window_log_max(24).map_err(|_| FormatError::Invalid("zstd cannot start"))?;
                *context = Some(made);
            }
            let context = context.as_mut().ok_or(FormatError::Invalid("zstd cannot start"))?;
            context.decompress(&bytes, plain_bytes as usize).map_err(|_| wrong.clone())
        })?,
    };
    if plain.len() == plain_bytes as usize { Ok(plain) } else { Err(wrong) }
}

/// One zstd frame and nothing else, without a dictionary, with a window of at most 16 MiB (spec 6; RFC 8878, 3.1.1).
fn check_frame(bytes: &[u8]) -> Result<(), FormatError> {
    const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
    const WINDOW_BYTES: u64 = 16 << 20;
    let odd = FormatError::Invalid("a segment is not one zstd frame of the kind that is allowed");
    let (Some(&descriptor), true) = (bytes.get(4), bytes.starts_with(&MAGIC)) else { return Err(odd) };
    let single_segment = descriptor & 0x20 != 0;
    if descriptor & 3 != 0 || zstd::zstd_safe::find_frame_compressed_size(bytes) != Ok(bytes.len()) {
        return Err(odd);
    }
    // With a single segment the window is the content, whose length is bounded already.
    let window_bytes = match bytes.get(5) {
        Some(window) if !single_segment => {
            let base = 1u64 << (10 + (window >> 3));
            base + base / 8 * u64::from(window & 7)
        }
        _ => 0,
    };
    if window_bytes > WINDOW_BYTES { Err(odd) } else { Ok(()) }
}

/// A blob, for messages.
pub fn describe(kind: BlobKind, id: &BlobId) -> String {
    match kind {
        BlobKind::Data => format!("data blob {id}"),
        BlobKind::Tree => format!("tree blob {id}"),
    }
}
