//! What commands see that concern the connection or the whole server, rather than keys.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use formats::resp::{ArgRange, Protocol, Reply, Request};

use crate::shard::Shard;
use crate::shard::client::Client;

/// For handlers that run on the connection at once.
pub struct Session<'a> {
    pub shard: &'a Rc<Shard>,
    pub client: &'a Rc<Client>,
    pub request: Request<'a>,
    pub reply: Reply<'a>,
    /// Set to close the connection when the reply has been sent.
    pub close: &'a mut bool,
}

/// The future of a command that runs in a task; its output is the encoded reply.
pub type TaskFuture = Pin<Box<dyn Future<Output = Vec<u8>>>>;

/// A command with all that its task needs, owned.
pub struct Invocation {
    pub shard: Rc<Shard>,
    pub client: Rc<Client>,
    pub protocol: Protocol,
    pub db: u16,
    data: Vec<u8>,
    ranges: Vec<ArgRange>,
}

impl Invocation {
    pub fn new(shard: &Rc<Shard>, client: &Rc<Client>, request: Request<'_>) -> Self {
        let mut data = Vec::new();
        let ranges = request
            .iter()
            .map(|arg| {
                let start = data.len();
                data.extend_from_slice(arg);
                ArgRange { start, end: data.len() }
            })
            .collect();
        Self {
            shard: Rc::clone(shard),
            client: Rc::clone(client),
            protocol: client.protocol.get(),
            db: client.db.get(),
            data,
            ranges,
        }
    }

    pub fn request(&self) -> Request<'_> {
        Request::new(&self.data, &self.ranges)
    }

    /// Encodes a reply.
    pub fn reply(&self, write: impl FnOnce(&mut Reply<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut Reply::new(&mut out, self.protocol));
        out
    }

    /// Encodes an error.
    pub fn error(&self, text: &str) -> Vec<u8> {
        self.reply(|reply| reply.error(text))
    }
}
