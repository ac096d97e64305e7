//! The cut of a checkpoint as a log sees it: what a shard appended before its view was frozen stands before it, what
//! comes later behind it, in a new segment.
//!
//! A writer that serves several shards meets their cuts one after the other. Those that were cut already wait until
//! all are: [`CutGate`] keeps what they hand over.
//!
//! Invariants:
//! 1. Of no shard does a chunk from behind the cut pass before the cut is complete; the order of each shard stays.
//! 2. A cut is answered once, when the log is ready to go on behind it.

use std::sync::mpsc::Sender;

use formats::log::manifest::LogCut;
use formats::log::{CheckpointId, ShardId};

use super::chunk::Chunk;

/// What a checkpoint asks of a log, handed over by each of its shards at the moment when it freezes its view.
#[derive(Clone)]
pub struct CutRequest {
    pub checkpoint: CheckpointId,
    /// Where the log goes on; whoever asked may have given up.
    pub done: Sender<CutAnswer>,
}

/// A log goes on behind a cut.
pub struct CutAnswer {
    pub cut: LogCut,
    /// The log was poisoned: what stands before the cut may lack something. Only the checkpoint has it all.
    pub has_gap: bool,
}

/// What a shard hands to its log's writer.
pub enum Handed {
    Chunk(Chunk),
    Cut(ShardId, CutRequest),
}

impl Handed {
    fn shard(&self) -> ShardId {
        match self {
            Handed::Chunk(chunk) => chunk.shard(),
            Handed::Cut(shard, _) => *shard,
        }
    }
}

/// What a writer has to do, in order.
pub enum Queued {
    Chunk(Chunk),
    /// All shards have been cut here.
    Cut(CutRequest),
}

impl Queued {
    pub fn chunk(&self) -> Option<&Chunk> {
        match self {
            Queued::Chunk(chunk) => Some(chunk),
            Queued::Cut(_) => None,
        }
    }

    pub fn into_chunk(self) -> Option<Chunk> {
        match self {
            Queued::Chunk(chunk) => Some(chunk),
            Queued::Cut(_) => None,
        }
    }
}

/// See the module.
#[derive(Default)]
pub struct CutGate {
    /// The shards that were cut, while others were not.
    cut: Vec<ShardId>,
    held: Vec<Handed>,
}

impl CutGate {
    /// Takes what a shard of `shards` handed over; answers what may be dealt with now.
    pub fn pass(&mut self, handed: Handed, shards: usize, out: &mut impl Extend<Queued>) {
        if self.cut.contains(&handed.shard()) {
            self.held.push(handed);
            return;
        }
        match handed {
            Handed::Chunk(chunk) => out.extend([Queued::Chunk(chunk)]),
            Handed::Cut(shard, request) => {
                self.cut.push(shard);
                if self.cut.len() == shards {
                    self.open(request, shards, out);
                }
            }
        }
    }

    /// All are cut: what was held may pass, up to the next cut.
    fn open(&mut self, request: CutRequest, shards: usize, out: &mut impl Extend<Queued>) {
        self.cut.clear();
        out.extend([Queued::Cut(request)]);
        for handed in std::mem::take(&mut self.held) {
            self.pass(handed, shards, out);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.cut.is_empty()
    }

    /// Effect bytes that are held.
    pub fn held_bytes(&self) -> usize {
        let bytes = |handed: &Handed| match handed {
            Handed::Chunk(chunk) => chunk.effect_bytes(),
            Handed::Cut(..) => 0,
        };
        self.held.iter().map(bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::log::Position;

    fn chunk(shard: u16, first: u64) -> Handed {
        Handed::Chunk(Chunk::new(ShardId(shard), Position(first), Vec::new()))
    }

    fn cut(shard: u16, checkpoint: u64) -> Handed {
        let (done, _) = std::sync::mpsc::channel();
        Handed::Cut(ShardId(shard), CutRequest { checkpoint: CheckpointId(checkpoint), done })
    }

    /// What passes, in words: `shard@position` and `|checkpoint`.
    fn passed(handed: Vec<Handed>, shards: usize) -> (String, bool) {
        let (mut gate, mut out) = (CutGate::default(), Vec::new());
        handed.into_iter().for_each(|handed| gate.pass(handed, shards, &mut out));
        let word = |queued: &Queued| match queued {
            Queued::Chunk(chunk) => format!("{}@{}", chunk.shard(), chunk.end()),
            Queued::Cut(request) => format!("|{}", request.checkpoint),
        };
        (out.iter().map(word).collect::<Vec<_>>().join(" "), gate.is_empty())
    }

    #[test]
    fn what_comes_behind_a_cut_waits_for_the_other_shards() {
        let one = vec![chunk(0, 1), cut(0, 7), chunk(0, 2)];
        assert_eq!(passed(one, 1), ("0@1 |7 0@2".to_owned(), true));
        let two = || vec![chunk(0, 1), cut(0, 7), chunk(0, 2), chunk(1, 1)];
        assert_eq!(passed(two(), 2), ("0@1 1@1".to_owned(), false));
        let both = two().into_iter().chain([cut(1, 7), chunk(1, 2)]).collect();
        assert_eq!(passed(both, 2), ("0@1 1@1 |7 0@2 1@2".to_owned(), true));
    }

    #[test]
    fn a_second_cut_waits_for_the_first() {
        let handed = vec![
            cut(0, 1),
            chunk(0, 1),
            cut(0, 2),
            chunk(0, 2),
            chunk(1, 1),
            cut(1, 1),
            chunk(1, 2),
            cut(1, 2),
        ];
        assert_eq!(passed(handed, 2), ("1@1 |1 0@1 1@2 |2 0@2".to_owned(), true));
    }
}
