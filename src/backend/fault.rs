//! A store that fails on demand, for tests.

use super::{Backend, Body, Listed, Oddity, Slots, Usage};
use crate::error::StoreError;
use crate::format::time::Time;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// An operation of a [`Backend`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `put`
    Put,
    /// `get`
    Get,
    /// `get_range`
    GetRange,
    /// `size`
    Size,
    /// `list`
    List,
    /// `list_folders`
    ListFolders,
    /// `delete`
    Delete,
    /// `staging`
    Staging,
}

const OPS: usize = 8;

/// A call that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// What is to be done.
    pub op: Op,
    /// The object's name or the prefix; empty for `staging`.
    pub name: &'a str,
    /// Its number among the calls of this operation, from 1.
    pub ordinal: u64,
    /// Its number among all calls, from 1.
    pub total_ordinal: u64,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The call is not made; this is its answer.
    Error(fn() -> StoreError),
    /// A `get` or `get_range` answers only the first so many bytes, as a store does that breaks its promise.
    Truncate(usize),
    /// A `get` or `get_range` answers with all bits of the byte at this offset of the answer inverted. Nothing happens if the answer is shorter.
    FlipByte(usize),
    /// The call is made, but its answer is an error: the caller cannot know that it worked.
    LostAnswer,
    /// The call is made and answered, and every call that begins later fails with this error: "stop everything after the n-th put".
    ErrorAfter(fn() -> StoreError),
}

/// The error of an answer that was lost, and a handy one for [`Fault::Error`].
pub fn connection_reset() -> StoreError {
    StoreError::Io(io::Error::from(io::ErrorKind::ConnectionReset))
}

#[derive(Default)]
struct State {
    calls: [u64; OPS],
    total_calls: u64,
    stopped: Option<fn() -> StoreError>,
}

type Plan = dyn Fn(&Call<'_>) -> Option<Fault> + Send + Sync;

/// A store that passes every call on to another one, except where its plan has a [`Fault`].
pub struct FaultBackend<B> {
    inner: B,
    plan: Box<Plan>,
    state: Mutex<State>,
}

impl<B: Backend> FaultBackend<B> {
    /// A decorator of `inner`. The plan is asked once before each call, one call at a time, so that ordinals are exact with many threads as well;
    /// it must not call this store.
    pub fn new(inner: B, plan: impl Fn(&Call<'_>) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self { inner, plan: Box::new(plan), state: Mutex::default() }
    }

    /// The store behind it, which does not fail.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    /// How often an operation was called so far; calls that failed by plan count too.
    pub fn calls(&self, op: Op) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls[op as usize]
    }

    /// Counts the call and asks the plan.
    fn begin(&self, op: Op, name: &str) -> Result<Option<Fault>, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls[op as usize] += 1;
        state.total_calls += 1;
        if let Some(error) = state.stopped {
            return Err(error());
        }
        let call = Call { op, name, ordinal: state.calls[op as usize], total_ordinal: state.total_calls };
        let fault = (self.plan)(&call);
        match fault {
            Some(Fault::Error(error)) => return Err(error()),
            // At once and under the lock: no other thread slips in another put.
            Some(Fault::ErrorAfter(error)) => state.stopped = Some(error),
            _ => {}
        }
        Ok(fault)
    }

    fn run<T>(&self, op: Op, name: &str, call: impl FnOnce(&B) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.begin(op, name)? {
            Some(Fault::Truncate(_) | Fault::FlipByte(_)) => Err(StoreError::Io(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the fault plan damages the bytes of a call that answers none",
            ))),
            fault => answer(call(&self.inner), fault),
        }
    }

    fn read(
        &self,
        op: Op,
        name: &str,
        call: impl FnOnce(&B) -> Result<Vec<u8>, StoreError>,
    ) -> Result<Vec<u8>, StoreError> {
        let fault = self.begin(op, name)?;
        let mut bytes = answer(call(&self.inner), fault)?;
        match fault {
            Some(Fault::Truncate(len_bytes)) => bytes.truncate(len_bytes),
            Some(Fault::FlipByte(offset)) => {
                if let Some(byte) = bytes.get_mut(offset) {
                    *byte = !*byte;
                }
            }
            _ => {}
        }
        Ok(bytes)
    }
}

fn answer<T>(done: Result<T, StoreError>, fault: Option<Fault>) -> Result<T, StoreError> {
    match fault {
        Some(Fault::LostAnswer) => done.and_then(|_| Err(connection_reset())),
        _ => done,
    }
}

impl<B: Backend> Backend for FaultBackend<B> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn put(&self, name: &str, body: Body<'_>) -> Result<(), StoreError> {
        self.run(Op::Put, name, |inner| inner.put(name, body))
    }

    fn get(&self, name: &str, max_bytes: u64) -> Result<Vec<u8>, StoreError> {
        self.read(Op::Get, name, |inner| inner.get(name, max_bytes))
    }

    fn get_range(&self, name: &str, offset: u64, len_bytes: usize) -> Result<Vec<u8>, StoreError> {
        self.read(Op::GetRange, name, |inner| inner.get_range(name, offset, len_bytes))
    }

    fn size(&self, name: &str) -> Result<u64, StoreError> {
        self.run(Op::Size, name, |inner| inner.size(name))
    }

    fn list(&self, prefix: &str, visit: &mut dyn FnMut(Listed)) -> Result<(), StoreError> {
        self.run(Op::List, prefix, |inner| inner.list(prefix, visit))
    }

    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.run(Op::ListFolders, prefix, |inner| inner.list_folders(prefix))
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.run(Op::Delete, name, |inner| inner.delete(name))
    }

    fn staging(&self) -> Result<Option<PathBuf>, StoreError> {
        self.run(Op::Staging, "", |inner| inner.staging())
    }

    fn is_remote(&self) -> bool {
        self.inner.is_remote()
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn put_slots(&self) -> Arc<Slots> {
        self.inner.put_slots()
    }

    fn put_limit_bytes_per_sec(&self) -> Option<u64> {
        self.inner.put_limit_bytes_per_sec()
    }

    fn take_removed(&self) -> Vec<crate::cost::Stored> {
        self.inner.take_removed()
    }

    fn list_billed(&self, visit: &mut dyn FnMut(&str, crate::cost::Stored)) -> Result<(), StoreError> {
        self.run(Op::List, "", |inner| inner.list_billed(visit))
    }

    fn stored_at(&self, name: &str) -> Option<Time> {
        self.inner.stored_at(name)
    }

    fn oddities(&self) -> Vec<Oddity> {
        self.inner.oddities()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::conformance;
    use crate::backend::memory::MemoryBackend;

    #[test]
    fn without_faults_it_keeps_the_contract() {
        conformance::check(&|| Box::new(FaultBackend::new(MemoryBackend::new(), |_| None))).unwrap();
    }

    #[test]
    fn each_fault_does_what_it_says() {
        let store = FaultBackend::new(MemoryBackend::new(), |call| match call.name {
            "denied" => Some(Fault::Error(|| StoreError::Denied(io::Error::from_raw_os_error(13)))),
            "lost" if call.op == Op::Put => Some(Fault::LostAnswer),
            "short" if call.op == Op::Get => Some(Fault::Truncate(2)),
            "flipped" if call.op == Op::GetRange => Some(Fault::FlipByte(1)),
            _ => None,
        });
        for name in ["lost", "short", "flipped", "denied", "good"] {
            let expect_ok = !["lost", "denied"].contains(&name);
            let done = store.put(name, Body::Bytes(b"abc"));
            assert_eq!(done.is_ok(), expect_ok, "{name}");
        }
        assert_eq!(store.get("lost", 9).unwrap(), b"abc");
        assert_eq!(store.get("short", 9).unwrap(), b"ab");
        assert_eq!(store.get_range("short", 0, 3).unwrap(), b"abc");
        assert_eq!(store.get_range("flipped", 1, 2).unwrap(), [b'b', !b'c']);
        assert!(matches!(store.get("denied", 9), Err(StoreError::Denied(_))));
        assert!(matches!(store.inner().get("denied", 9), Err(StoreError::NotFound)));
        assert_eq!(store.calls(Op::Put), 5);
    }

    #[test]
    fn a_plan_that_cannot_be_carried_out_is_an_error() {
        let store = FaultBackend::new(MemoryBackend::new(), |_| Some(Fault::Truncate(0)));
        store.put("a", Body::Bytes(b"abc")).unwrap_err();
        assert!(store.inner().get("a", 9).is_err());
    }

    #[test]
    fn everything_stops_after_the_nth_put() {
        let store = FaultBackend::new(MemoryBackend::new(), |call| {
            (call.op == Op::Put && call.ordinal == 3).then_some(Fault::ErrorAfter(connection_reset))
        });
        std::thread::scope(|scope| {
            for i in 0..8 {
                let store = &store;
                scope.spawn(move || store.put(&format!("o{i}"), Body::Bytes(b"x")));
            }
        });
        let mut left = 0;
        store.inner().list("", &mut |_| left += 1).unwrap();
        assert_eq!(left, 3);
        assert!(matches!(store.size("o0"), Err(StoreError::Io(_))));
        assert!(store.staging().is_err());
    }
}
