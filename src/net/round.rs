//! The replies of one round: what a connection found in one read, in the order of its commands, whichever shard
//! answers first.

use formats::log::Position;
use formats::resp::{Protocol, Reply, parse_i64};

use crate::command::Merge;
use crate::shard::Shard;
use crate::shard::batch::Batch;
use crate::shard::slow_log::CutArgs;

/// What an emptied round keeps for its next use.
const KEEP_BYTES: usize = 4096;
const KEEP_ITEMS: usize = 64;

/// A reply, or several, in the order of the round.
pub enum Piece {
    /// Bytes of `Round::local` up to here.
    Local { end: usize },
    /// The reply to one command that another shard ran.
    Remote { part: u32, call: u32 },
    /// One reply made of several parts' replies.
    Merged { merge: Merge, replies: Box<[(u32, u32)]>, command: u16, args: CutArgs },
    /// One that the client does not want.
    Muted(Box<Piece>),
}

/// See the module.
#[derive(Default)]
pub struct Round {
    pub id: u64,
    /// Replies of commands that ran here.
    pub local: Vec<u8>,
    pub pieces: Vec<Piece>,
    /// Batches that were sent, and came back.
    pub parts: Vec<Option<Box<Batch>>>,
    /// Parts, or a task, that have not come back.
    pub pending: usize,
    /// Position that must be released before the local replies may leave.
    pub gate: Position,
}

impl Round {
    /// Notes that `local` has grown by a reply.
    pub fn local_reply(&mut self) {
        let end = self.local.len();
        match self.pieces.last_mut() {
            Some(Piece::Local { end: last }) => *last = end,
            _ => self.pieces.push(Piece::Local { end }),
        }
    }

    /// A part that will come back; returns its index.
    pub fn expect_part(&mut self) -> u32 {
        self.parts.push(None);
        self.pending += 1;
        (self.parts.len() - 1) as u32
    }

    pub fn is_complete(&self) -> bool {
        self.pending == 0
    }

    /// Bytes of replies that the round holds.
    pub fn bytes(&self) -> usize {
        self.local.len() + self.parts.iter().flatten().map(|batch| batch.replies.len()).sum::<usize>()
    }

    /// Appends all replies in order, and empties the round.
    pub fn write(&mut self, out: &mut Vec<u8>, protocol: Protocol, shard: &Shard) {
        let mut start = 0;
        for piece in self.pieces.drain(..) {
            match piece {
                Piece::Local { end } => {
                    out.extend_from_slice(&self.local[start..end]);
                    start = end;
                }
                Piece::Remote { part, call } => out.extend_from_slice(reply(&self.parts, part, call)),
                Piece::Muted(_) => {}
                Piece::Merged { merge, replies, .. } => {
                    let replies = replies.iter().map(|(part, call)| reply(&self.parts, *part, *call));
                    write_merged(&mut Reply::new(out, protocol), merge, replies);
                }
            }
        }
        // The round waits for its next use with its connection, which may be idle from now on.
        self.local.clear();
        self.local.shrink_to(KEEP_BYTES);
        self.pieces.shrink_to(KEEP_ITEMS);
        for batch in self.parts.drain(..).flatten() {
            shard.recycle(batch);
        }
        self.parts.shrink_to(KEEP_ITEMS);
        self.gate = Position(0);
    }
}

fn reply(parts: &[Option<Box<Batch>>], part: u32, call: u32) -> &[u8] {
    parts[part as usize].as_ref().expect("a complete round has all its parts").reply(call as usize)
}

/// Makes one reply of several. An error among them is the whole reply.
pub fn write_merged<'r>(
    reply: &mut Reply<'_>,
    merge: Merge,
    replies: impl Iterator<Item = &'r [u8]> + Clone,
) {
    if let Some(error) = replies.clone().find(|reply| reply.first() == Some(&b'-')) {
        return reply.raw(error);
    }
    match merge {
        Merge::Ok => reply.ok(),
        Merge::Sum => reply.integer(replies.map(|reply| split_header(reply).0).sum()),
        Merge::Interleave | Merge::Concatenate => {
            let count = replies.clone().map(|reply| split_header(reply).0).sum::<i64>();
            reply.array(count as usize);
            for part in replies {
                reply.raw(split_header(part).1);
            }
        }
    }
}

/// The number on the first line of a reply, and what follows the line.
fn split_header(reply: &[u8]) -> (i64, &[u8]) {
    let end = reply.iter().position(|&byte| byte == b'\r').unwrap_or(reply.len());
    let number = reply.get(1..end).and_then(parse_i64).expect("a part answers with a number or an array");
    (number, &reply[end + 2..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(merge: Merge, replies: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        write_merged(&mut Reply::new(&mut out, Protocol::Resp2), merge, replies.iter().copied());
        out
    }

    #[test]
    fn replies_of_parts_become_one() {
        assert_eq!(merged(Merge::Sum, &[b":2\r\n", b":40\r\n"]), b":42\r\n");
        assert_eq!(merged(Merge::Ok, &[b"+OK\r\n", b"+OK\r\n"]), b"+OK\r\n");
        assert_eq!(merged(Merge::Ok, &[b"+OK\r\n", b"-ERR no\r\n"]), b"-ERR no\r\n");
        assert_eq!(
            merged(Merge::Interleave, &[b"*1\r\n$1\r\na\r\n", b"*1\r\n$-1\r\n"]),
            b"*2\r\n$1\r\na\r\n$-1\r\n"
        );
        assert_eq!(merged(Merge::Concatenate, &[b"*0\r\n", b"*2\r\n:1\r\n:2\r\n"]), b"*2\r\n:1\r\n:2\r\n");
    }
}
