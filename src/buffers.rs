//! Large buffers, used again: giving megabytes back to the system for every segment costs more than filling them.

use std::sync::{Mutex, PoisonError};

/// A few empty buffers that keep their memory.
#[derive(Debug, Default)]
pub struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
}

/// More than this many are not kept.
const KEPT: usize = 4;
/// Buffers below this are left to the allocator, and so are those above 8 MiB.
const LEAST_BYTES: usize = 256 << 10;

impl Buffers {
    /// An empty buffer; maybe with capacity from earlier use.
    pub fn take(&self) -> Vec<u8> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Gives a buffer back.
    pub fn give(&self, mut buffer: Vec<u8>) {
        if (LEAST_BYTES..=8 << 20).contains(&buffer.capacity()) {
            buffer.clear();
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            if free.len() < KEPT {
                free.push(buffer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_empty_and_not_without_end() {
        let buffers = Buffers::default();
        let mut one = buffers.take();
        one.resize(1 << 20, 7);
        let at = one.as_ptr();
        buffers.give(one);
        let again = buffers.take();
        assert!(again.is_empty() && again.as_ptr() == at);
        buffers.give(vec![0; 16]);
        assert_eq!(buffers.take().capacity(), 0);
        for _ in 0..100 {
            buffers.give(Vec::with_capacity(1 << 20));
        }
        assert_eq!(buffers.free.lock().map(|f| f.len()).unwrap_or(0), KEPT);
    }
}
