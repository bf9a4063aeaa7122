//! The store itself: the calls of a [`Backend`], each by as few calls of the service as will do.

use super::client::{Client, Of};
use super::http::Http;
use super::listing::Names;
use super::upload::{Content, Lock, Pool};
use super::versions::{Catalogue, Known};
use super::{B2Options, Location};
use crate::backend::local::{check_name, check_prefix};
use crate::backend::plan::Plan;
use crate::backend::{Backend, Body, Listed, Oddity, Slots, Tidied, Usage};
use crate::cost::Stored;
use crate::error::StoreError;
use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::{Builder, Runtime};

/// So many objects are looked for one by one; more by listing what is around them.
const FEW: usize = 3;

/// A repository in a bucket of Backblaze B2.
pub struct B2Backend {
    pub(super) location: Location,
    /// Reaches everything that is written.
    pub(super) own: Client,
    /// Reads what the first does not reach.
    pub(super) reading: Option<Client>,
    pub(super) catalogue: Catalogue,
    pub(super) plan: Plan,
    pool: Pool,
    slots: Arc<Slots>,
    pub(super) lock: Option<Lock>,
    pub(super) http: Arc<Http>,
    /// What was removed, and nobody has taken yet.
    removed: Mutex<Vec<Stored>>,
    /// None only while it is dropped.
    runtime: Option<Runtime>,
}

impl B2Backend {
    /// The store that `options` describe. No call is made.
    ///
    /// # Errors
    /// [`StoreError::Io`] for an endpoint that must not be spoken to, or when there are no threads or no TLS to be had.
    pub fn open(options: &B2Options) -> Result<Self, StoreError> {
        let invalid = |why: String| StoreError::Io(io::Error::new(io::ErrorKind::InvalidInput, why));
        super::check_address(&options.endpoint).map_err(invalid)?;
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("b2").enable_all().build()?;
        let http = {
            let _inside = runtime.enter();
            Arc::new(Http::new(options)?)
        };
        let client = |credential: &super::Credential| {
            Client::new(Arc::clone(&http), &options.endpoint, &options.location.bucket, credential.clone())
        };
        let most = options.most_uploads.max(1);
        Ok(Self {
            location: options.location.clone(),
            own: client(&options.credential),
            reading: options.read_credential.as_ref().map(client),
            catalogue: Catalogue::default(),
            plan: Plan::default(),
            pool: Pool::default(),
            slots: Arc::new(Slots::new(2.min(most), most)),
            lock: options.lock,
            http,
            removed: Mutex::default(),
            runtime: Some(runtime),
        })
    }

    /// Runs calls on the runtime, from a thread that is not part of it.
    pub(super) fn run<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(StoreError::Cancelled),
        }
    }

    /// An object's name from the bucket's root.
    pub(super) fn full(&self, name: &str) -> String {
        format!("{}{name}", self.location.prefix)
    }

    /// Who reads what begins with `prefix`: the reading key if it reaches it, else the own one.
    pub(super) async fn reader(&self, prefix: &str) -> Result<&Client, StoreError> {
        let Some(reading) = &self.reading else { return Ok(&self.own) };
        let account = reading.account().await?;
        Ok(if account.allowed.reaches(&self.full(prefix)) { reading } else { &self.own })
    }

    /// Where an object is; looked up if that is not known.
    pub(super) async fn find(&self, name: &str) -> Result<Known, StoreError> {
        match self.catalogue.find(name) {
            Some(known) => Ok(known),
            None => self.look_up(name).await?.ok_or(StoreError::NotFound),
        }
    }

    /// Reads by id where that is known, else by name, which saves a listing.
    async fn read(
        &self,
        name: &str,
        range: Option<Range<u64>>,
        most_bytes: u64,
        fresh: bool,
    ) -> Result<Vec<u8>, StoreError> {
        let client = self.reader(name).await?;
        if let Some(known) = self.catalogue.find(name) {
            fits(known.size_bytes, range.as_ref(), most_bytes)?;
            match client.download(Of::Id(&known.file_id), range.clone(), most_bytes, fresh).await {
                // That version is gone; another may be there.
                Err(StoreError::NotFound) => self.catalogue.forget(name),
                done => return done.map(|done| done.bytes),
            }
        } else {
            match client.download(Of::Name(&self.full(name)), range.clone(), most_bytes, fresh).await {
                // Missing, or hidden: only a listing tells.
                Err(StoreError::NotFound) => {}
                // The service does not say how long it is.
                Err(StoreError::Length { actual_bytes: 0, .. }) => {}
                Err(error) => return Err(error),
                Ok(done) => {
                    if let (Some(id), Some(size_bytes)) = (done.file_id, done.object_bytes) {
                        self.catalogue.seen(name, id, size_bytes);
                    }
                    return Ok(done.bytes);
                }
            }
        }
        let known = self.look_up(name).await?.ok_or(StoreError::NotFound)?;
        fits(known.size_bytes, range.as_ref(), most_bytes)?;
        client.download(Of::Id(&known.file_id), range, most_bytes, fresh).await.map(|done| done.bytes)
    }

    /// Reads what was wrong once more: the same version over a new connection, then the others.
    async fn read_again(
        &self,
        name: &str,
        range: Option<Range<u64>>,
        most_bytes: u64,
        attempt: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if attempt == 0 {
            self.http.renew();
            return self.read(name, range, most_bytes, true).await.map(Some);
        }
        let known = match self.catalogue.find(name).filter(|known| known.is_whole) {
            Some(known) => known,
            None => match self.look_up(name).await? {
                Some(known) => known,
                None => return Ok(None),
            },
        };
        let mut versions = [&known.file_id].into_iter().chain(known.others.iter().map(|other| &other.file_id));
        let client = self.reader(name).await?;
        // The first of them may not be the one that was read before, so all are tried.
        let Some(id) = versions.nth(attempt as usize - 1) else { return Ok(None) };
        match client.download(Of::Id(id), range, most_bytes, true).await {
            Ok(done) => Ok(Some(done.bytes)),
            // Too short, too long, or gone: the caller's next attempt comes to the one after it.
            Err(StoreError::Length { .. } | StoreError::NotFound) => Ok(Some(Vec::new())),
            Err(error) => Err(error),
        }
    }

    /// Notes for the bill that so many bytes are stored no longer. Of what no listing has shown it is not known since when they were.
    pub(super) fn note_removed(&self, bytes: u64, uploaded_millis: i64) {
        if bytes > 0 && uploaded_millis > 0 {
            let (from_secs, until_secs) = (uploaded_millis.div_euclid(1_000), Some(self.http.now_secs()));
            let mut removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
            removed.push(Stored { bytes, from_secs, until_secs });
        }
    }

    async fn store(&self, name: &str, content: Content) -> Result<(), StoreError> {
        if let (Some(known), Content::Bytes(bytes)) = (self.catalogue.find(name), &content)
            && known.is_own
            && known.size_bytes == bytes.len() as u64
        {
            // This process has stored it: the same name is the same bytes.
            return Ok(());
        }
        // Statements must be taken back at any time; what they are about is locked.
        let lock = self.lock.filter(|_| !name.starts_with("gc/"));
        let version = self.own.upload(&self.pool, &self.slots, &self.full(name), &content, lock).await?;
        self.plan.forget(name);
        if let Some(id) = version.file_id {
            self.catalogue.stored(name, id, version.content_length);
        }
        Ok(())
    }
}

/// Whether what is asked for is in an object of this size.
fn fits(actual_bytes: u64, range: Option<&Range<u64>>, most_bytes: u64) -> Result<(), StoreError> {
    match range {
        Some(range) if range.end > actual_bytes => {
            let wanted = format!("at least {} from {} on", range.end - range.start, range.start);
            Err(StoreError::Length { actual_bytes, wanted })
        }
        None if actual_bytes > most_bytes => {
            Err(StoreError::Length { actual_bytes, wanted: format!("at most {most_bytes}") })
        }
        _ => Ok(()),
    }
}

/// A range that is not empty; nothing if it is, or ends beyond all objects.
fn range_of(offset: u64, len_bytes: usize) -> Option<Range<u64>> {
    let end = offset.checked_add(len_bytes as u64)?;
    (len_bytes > 0).then_some(offset..end)
}

impl Drop for B2Backend {
    fn drop(&mut self) {
        // Whoever feeds an upload that was given up ends by himself; nobody waits for him.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Backend for B2Backend {
    fn location(&self) -> String {
        self.location.to_string()
    }

    fn put(&self, name: &str, body: Body<'_>) -> Result<(), StoreError> {
        check_name(name)?;
        let content = match body {
            Body::Bytes(bytes) => Content::Bytes(bytes.to_vec().into()),
            Body::File(path) => Content::File(path.to_owned()),
        };
        self.run(self.store(name, content))
    }

    fn get(&self, name: &str, max_bytes: u64) -> Result<Vec<u8>, StoreError> {
        check_name(name)?;
        self.run(self.read(name, None, max_bytes, false))
    }

    fn get_range(&self, name: &str, offset: u64, len_bytes: usize) -> Result<Vec<u8>, StoreError> {
        check_name(name)?;
        let Some(range) = range_of(offset, len_bytes) else {
            // Nothing can be asked for, but whether it is there, and so long.
            let actual_bytes = self.size(name)?;
            let is_inside = len_bytes == 0 && offset <= actual_bytes;
            let wanted = format!("at least {len_bytes} from {offset} on");
            return if is_inside { Ok(Vec::new()) } else { Err(StoreError::Length { actual_bytes, wanted }) };
        };
        let fetch = |range: &Range<u64>| self.run(self.read(name, Some(range.clone()), u64::MAX, false));
        match self.plan.read(name, &range, fetch)? {
            Some(bytes) => Ok(bytes),
            None => fetch(&range),
        }
    }

    fn size(&self, name: &str) -> Result<u64, StoreError> {
        check_name(name)?;
        self.run(self.find(name)).map(|known| known.size_bytes)
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(Listed)) -> Result<(), StoreError> {
        check_prefix(prefix)?;
        // No visitor runs inside the runtime: it may call the store.
        let mut names = Names::new(prefix, None);
        while let Some(found) = self.run(self.next_page(&mut names))? {
            found.into_iter().for_each(&mut *visit);
        }
        Ok(())
    }

    fn list_without(&self, folder: &str, visit: &mut dyn FnMut(Listed)) -> Result<(), StoreError> {
        let mut names = Names::new("", Some(folder));
        while let Some(found) = self.run(self.next_page(&mut names))? {
            found.into_iter().for_each(&mut *visit);
        }
        Ok(())
    }

    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        check_prefix(prefix)?;
        self.run(self.folders(prefix)).map(|folders: BTreeSet<String>| folders.into_iter().collect())
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        self.run(self.remove(name))
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn usage(&self) -> Usage {
        self.http.meter.usage()
    }

    fn take_removed(&self) -> Vec<Stored> {
        std::mem::take(&mut *self.removed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn list_billed(&self, visit: &mut dyn FnMut(&str, Stored)) -> Result<(), StoreError> {
        let mut names = Names::new("", None);
        while let Some(found) = self.run(self.next_billed(&mut names))? {
            found.into_iter().for_each(|(name, stored)| visit(&name, stored));
        }
        Ok(())
    }

    fn sizes(&self, names: &[String]) -> Result<Vec<Option<u64>>, StoreError> {
        let is_unknown = |name: &&String| self.catalogue.find(name).is_none();
        let unknown: Vec<&String> = names.iter().filter(is_unknown).collect();
        let absent = Mutex::new(BTreeSet::new());
        if unknown.len() > FEW {
            let prefix = common_folder(&unknown);
            self.list(prefix, &mut |_| ())?;
            absent.lock().unwrap_or_else(PoisonError::into_inner).extend(unknown);
        }
        let absent = absent.into_inner().unwrap_or_else(PoisonError::into_inner);
        let size = |name: &String| match self.catalogue.find(name) {
            Some(known) => Ok(Some(known.size_bytes)),
            None if absent.contains(name) => Ok(None),
            None => match self.size(name) {
                Ok(size_bytes) => Ok(Some(size_bytes)),
                Err(StoreError::NotFound) => Ok(None),
                Err(error) => Err(error),
            },
        };
        names.iter().map(size).collect()
    }

    fn will_read(&self, name: &str, ranges: &[Range<u64>]) {
        self.plan.announce(name, ranges);
    }

    fn get_range_again(
        &self,
        name: &str,
        offset: u64,
        len_bytes: usize,
        attempt: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        check_name(name)?;
        self.plan.forget(name);
        match range_of(offset, len_bytes) {
            Some(range) => self.run(self.read_again(name, Some(range), u64::MAX, attempt)),
            None => Ok(None),
        }
    }

    fn get_again(&self, name: &str, max_bytes: u64, attempt: u32) -> Result<Option<Vec<u8>>, StoreError> {
        check_name(name)?;
        self.run(self.read_again(name, None, max_bytes, attempt))
    }

    fn put_slots(&self) -> Arc<Slots> {
        Arc::clone(&self.slots)
    }

    fn put_limit_bytes_per_sec(&self) -> Option<u64> {
        self.http.upload_limit.rate_bytes_per_sec()
    }

    fn oddities(&self) -> Vec<Oddity> {
        self.catalogue.oddities()
    }

    fn tidy_versions(&self, prefix: &str, may_differ: bool) -> Result<Tidied, StoreError> {
        check_prefix(prefix)?;
        self.run(self.tidy(prefix, may_differ))
    }

    fn renew_locks(&self, wanted: &(dyn Fn(&str) -> bool + Sync)) -> Result<Option<u64>, StoreError> {
        self.run(self.renew(wanted))
    }

    fn is_locked(&self, name: &str) -> bool {
        self.catalogue.find(name).is_some_and(|known| self.is_locked_now(&known))
    }
}

/// The deepest folder that all names are in.
fn common_folder<'a>(names: &[&'a String]) -> &'a str {
    let (Some(first), Some(last)) = (names.iter().min(), names.iter().max()) else { return "" };
    let same = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    first.get(..same).and_then(|same| same.rfind('/')).map_or("", |end| &first[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_in_common() {
        let common = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            common_folder(&names.iter().collect::<Vec<_>>()).to_owned()
        };
        assert_eq!(common(&["writers/a/packs/00/x", "writers/a/packs/01/y"]), "writers/a/packs/");
        assert_eq!(common(&["writers/a/packs/00/x"]), "writers/a/packs/00/");
        assert_eq!(common(&["a", "b"]), "");
        assert_eq!(common(&[]), "");
    }

    #[test]
    fn ranges() {
        assert_eq!(range_of(3, 4), Some(3..7));
        assert_eq!((range_of(3, 0), range_of(u64::MAX, 1)), (None, None));
        assert!(fits(7, Some(&(3..7)), 0).is_ok() && fits(6, Some(&(3..7)), 0).is_err());
        assert!(fits(7, None, 7).is_ok() && fits(8, None, 7).is_err());
    }
}
