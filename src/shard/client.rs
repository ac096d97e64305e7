//! What a shard knows of a connection: where to deliver replies, and what CLIENT LIST tells.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Waker;

use formats::resp::Protocol;

use super::batch::Batch;

/// One per connection, shared by the connection's task and its shard.
pub struct Client {
    pub id: u64,
    pub address: SocketAddr,
    pub local_address: SocketAddr,
    pub created_unix_ms: u64,
    pub name: RefCell<Vec<u8>>,
    pub library_name: RefCell<Vec<u8>>,
    pub library_version: RefCell<Vec<u8>>,
    pub db: Cell<u16>,
    pub protocol: Cell<Protocol>,
    pub authenticated: Cell<bool>,
    /// Wall-clock time of the last command.
    pub active_unix_ms: Cell<u64>,
    /// Index of the last command in the command table.
    pub last_command: Cell<u16>,
    pub commands: Cell<u64>,
    pub query_buffer_bytes: Cell<usize>,
    pub output_bytes: Cell<usize>,
    pub no_evict: Cell<bool>,
    pub no_touch: Cell<bool>,
    /// Set to end the connection; wake it afterwards.
    pub killed: Cell<bool>,
    /// Set to end the connection when its replies are sent.
    pub closing: Cell<bool>,
    /// Batches that came back, for the connection to take.
    pub done: RefCell<Vec<Box<Batch>>>,
    pub waker: RefCell<Option<Waker>>,
}

impl Client {
    pub fn new(id: u64, address: SocketAddr, local_address: SocketAddr, now_ms: u64) -> Rc<Self> {
        Rc::new(Self {
            id,
            address,
            local_address,
            created_unix_ms: now_ms,
            name: RefCell::default(),
            library_name: RefCell::default(),
            library_version: RefCell::default(),
            db: Cell::new(0),
            protocol: Cell::default(),
            authenticated: Cell::new(false),
            active_unix_ms: Cell::new(now_ms),
            last_command: Cell::new(u16::MAX),
            commands: Cell::new(0),
            query_buffer_bytes: Cell::new(0),
            output_bytes: Cell::new(0),
            no_evict: Cell::new(false),
            no_touch: Cell::new(false),
            killed: Cell::new(false),
            closing: Cell::new(false),
            done: RefCell::default(),
            waker: RefCell::default(),
        })
    }

    /// What the connection takes, with its buffers, in bytes.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Client>() + self.query_buffer_bytes.get() + self.output_bytes.get()
    }

    /// Makes the connection's task run.
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Ends the connection.
    pub fn kill(&self) {
        self.killed.set(true);
        self.wake();
    }
}
