//! What this run asks of stores that count, written into the ledger: now and then, and at the end, however it ends.

use panther::backend::{Backend, Usage};
use panther::state::ledger::{Day, Ledger};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A run that is killed loses no more than what it asked since.
const INTERVAL: Duration = Duration::from_secs(300);

/// A store in use.
struct Account {
    backend: Arc<dyn Backend>,
    /// What is in the ledger already.
    noted: Usage,
}

#[derive(Default)]
struct Inner {
    accounts: Vec<Account>,
    folder: Option<PathBuf>,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    wake: Condvar,
}

/// The stores that a command uses.
#[derive(Default)]
pub struct Accounts {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded here is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Notes what came on top since the last time.
    fn write(&mut self) -> panther::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        for account in &mut self.accounts {
            let usage = account.backend.usage();
            let more = usage.since(&account.noted);
            Ledger::at(folder).add(&account.backend.location(), Day::today(), &more)?;
            account.noted = usage;
            Ledger::at(folder).add_removed(&account.backend.location(), &account.backend.take_removed())?;
        }
        Ok(())
    }
}

impl Accounts {
    /// Counts what is asked of `backend` from now on, in the ledger in `folder`; only for the report if there is none.
    pub fn open(&self, backend: &Arc<dyn Backend>, folder: Option<PathBuf>) {
        if !backend.is_remote() {
            return;
        }
        let mut inner = lock(&self.shared.inner);
        inner.accounts.push(Account { backend: Arc::clone(backend), noted: Usage::default() });
        inner.folder = inner.folder.take().or(folder);
        drop(inner);
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            // Without a thread it is noted at the end only.
            *thread = std::thread::Builder::new().name("ledger".into()).spawn(move || shared.run()).ok();
        }
    }

    /// What was asked of all of them so far.
    pub fn usage(&self) -> Usage {
        lock(&self.shared.inner).accounts.iter().fold(Usage::default(), |sum, a| sum + a.backend.usage())
    }

    /// Notes the rest.
    ///
    /// # Errors
    /// [`panther::Error::Io`], [`panther::Error::State`].
    pub fn close(&self) -> panther::Result<()> {
        lock(&self.shared.inner).ended = true;
        self.shared.wake.notify_all();
        if let Some(thread) = lock(&self.thread).take() {
            // A panic there has lost nothing that is not noted now.
            let _ = thread.join();
        }
        lock(&self.shared.inner).write()
    }
}

impl Shared {
    fn run(&self) {
        let mut inner = lock(&self.inner);
        loop {
            let waited = self.wake.wait_timeout_while(inner, INTERVAL, |inner| !inner.ended);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
            if inner.ended {
                return;
            }
            // The end says so if this keeps failing.
            let _ = inner.write();
        }
    }
}
