//! Sockets to commands and back.
//!
//! [`listener`] accepts, [`connection`] moves bytes, [`dispatch`] decides where each command runs, [`round`] puts replies back
//! into order. Nothing here knows what a command means or where a key is stored.

pub mod connection;
pub mod dispatch;
pub mod listener;
pub mod round;

use std::cell::RefCell;

/// Bytes read from a socket at once.
const READ_BYTES: usize = 64 * 1024;
/// Buffers kept for reuse, and the largest one that is kept.
const SPARE_BUFFERS: usize = 64;
const SPARE_BYTES: usize = 64 * 1024;

/// Buffers that the connections of a shard share, so that an idle connection holds none.
pub struct Buffers {
    /// Where sockets are read into. Used within one poll, never across a wait.
    pub read: RefCell<Vec<u8>>,
    spare: RefCell<Vec<Vec<u8>>>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { read: RefCell::new(vec![0; READ_BYTES]), spare: RefCell::default() }
    }
}

impl Buffers {
    /// An empty buffer.
    pub fn take(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub fn give(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if buffer.capacity() > 0 && buffer.capacity() <= SPARE_BYTES && spare.len() < SPARE_BUFFERS {
            buffer.clear();
            spare.push(buffer);
        }
    }
}
