//! What a shard knows of a connection: where to deliver replies, and what CLIENT LIST tells.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Waker;

use formats::resp::Protocol;
use tokio::sync::oneshot;

use super::batch::Batch;

/// Which of its replies a client gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// All but that to the next command.
    SkipNext,
    /// Not that to the command which is under way.
    Skipping,
}

/// How a wait ends that CLIENT UNBLOCK ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unblock {
    /// As if its time were over.
    Timeout,
    /// With an error.
    Error,
}

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
    /// Its socket's number.
    pub descriptor: Cell<i32>,
    /// Which replies it gets (CLIENT REPLY).
    pub reply_mode: Cell<ReplyMode>,
    /// It is told every command (MONITOR).
    pub monitors: Cell<bool>,
    /// Its next command waits for the end of a CLIENT PAUSE.
    pub paused: Cell<bool>,
    /// Ends the wait of the command that it is blocked in.
    pub unblock: RefCell<Option<oneshot::Sender<Unblock>>>,
    /// Bytes that it gets without having asked, whole messages: they go out behind the replies that are ready.
    pushes: RefCell<Vec<u8>>,
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
            descriptor: Cell::new(-1),
            reply_mode: Cell::default(),
            monitors: Cell::new(false),
            paused: Cell::new(false),
            unblock: RefCell::default(),
            pushes: RefCell::default(),
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

    /// It waits in a command, or for the end of a pause.
    pub fn is_blocked(&self) -> bool {
        self.paused.get() || self.unblock.borrow().is_some()
    }

    /// Sends whole messages that nobody asked for. They are in the client's output buffer from now on, and if that passes
    /// `limit_bytes` (0: no limit) the connection ends.
    pub fn push(&self, messages: &[u8], limit_bytes: u64) {
        if messages.is_empty() || self.reply_mode.get() == ReplyMode::Off {
            return;
        }
        let mut pushes = self.pushes.borrow_mut();
        pushes.extend_from_slice(messages);
        let waiting = (pushes.len() + self.output_bytes.get()) as u64;
        drop(pushes);
        if limit_bytes > 0 && waiting > limit_bytes {
            tracing::warn!(client = self.id, bytes = waiting, "closed: output buffer over its limit");
            return self.kill();
        }
        self.wake();
    }

    /// Moves what was pushed behind `out`, which ends with a whole reply.
    pub fn take_pushes(&self, out: &mut Vec<u8>) {
        let mut pushes = self.pushes.borrow_mut();
        if !pushes.is_empty() {
            out.append(&mut pushes);
            *pushes = Vec::new(); // an idle connection holds no buffers
        }
    }

    /// Something waits to be taken.
    pub fn has_pushes(&self) -> bool {
        !self.pushes.borrow().is_empty()
    }

    /// Ends the connection.
    pub fn kill(&self) {
        self.killed.set(true);
        self.wake();
    }
}
