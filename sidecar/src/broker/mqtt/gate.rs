//! What bounds the memory of a source. A broker sends as many messages as may be in flight, asked for or not, and a window
//! may hold very many: when enough of them wait to be received, no more are read from the connection, and TCP makes the
//! broker wait. Acks go out all the same, and so does what a broker wants to hear; its answers wait behind the messages,
//! which is why [`super::pulse`] asks only where messages would be read and none come.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What may wait to be received, in bytes, before no more is read.
pub(super) const MOST: usize = 2 << 20;
/// What a message takes beside its payload, about.
const OVERHEAD: usize = 128;

/// Counts what waits.
#[derive(Debug, Default)]
pub(super) struct Gate {
    waiting: AtomicUsize,
}

impl Gate {
    /// A message of so many bytes came in.
    pub(super) fn came(&self, bytes: usize) {
        self.waiting.fetch_add(bytes + OVERHEAD, Ordering::AcqRel);
    }

    /// A message of so many bytes was received. Says whether that opened it.
    pub(super) fn received(&self, bytes: usize) -> bool {
        let before = self.waiting.fetch_sub(bytes + OVERHEAD, Ordering::AcqRel);
        before > MOST
    }

    pub(super) fn is_shut(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > MOST
    }
}
