//! Commands that touch several shards: one-shot and two-step transactions. See the architecture page for the idea.
//!
//! Invariants:
//! 1. All messages of a step are sent inside one critical section of the sequencer.
//! 2. A two-step transaction, once begun, always ends: it runs in a task of its own, which no client can cancel.
//! 3. Every participant of a writing transaction appends its part, even an empty one: so whatever a transaction
//!    read is durable wherever its writes are.

use std::rc::Rc;
use std::sync::Arc;

use formats::log::ShardId;
use formats::resp::Protocol;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::Shard;
use super::batch::{Batch, Mode, Origin, Sequenced};
use super::mailbox::Message;
use super::sequencer::Section;
use super::spent;

/// The parts of a transaction: at most one batch per shard.
#[derive(Default)]
pub struct Parts {
    parts: Vec<(ShardId, Box<Batch>)>,
}

impl Parts {
    /// The batch for `target`, and the index of the part.
    pub fn batch(&mut self, shard: &Shard, target: ShardId, protocol: Protocol) -> (usize, &mut Batch) {
        let index = match self.parts.iter().position(|(id, _)| *id == target) {
            Some(index) => index,
            None => {
                let mut batch = shard.new_batch();
                batch.protocol = protocol;
                self.parts.push((target, batch));
                self.parts.len() - 1
            }
        };
        (index, &mut self.parts[index].1)
    }

    pub fn len(&self) -> usize {
        self.parts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub fn shards(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.parts.iter().map(|(id, _)| *id)
    }

    /// The parts in the order in which they were added; after a step, with their replies.
    pub fn batches(&mut self) -> impl Iterator<Item = &mut Box<Batch>> {
        self.parts.iter_mut().map(|(_, batch)| batch)
    }

    /// Part `index`, after a step.
    pub fn part(&mut self, index: usize) -> &mut Batch {
        &mut self.parts[index].1
    }

    pub fn recycle(self, shard: &Shard) {
        for (_, batch) in self.parts {
            shard.recycle(batch);
        }
    }
}

/// Sends the parts of a one-shot transaction. `origin` says where the replies of part `index` go.
pub fn send_one_shot(
    shard: &Shard,
    mut section: Section<'_>,
    parts: Parts,
    writes: bool,
    mut origin: impl FnMut(usize) -> Origin,
) {
    let sequenced = writes.then(|| sequence(&mut section, &parts));
    let targets: SmallVec<[ShardId; 8]> = parts.shards().collect();
    for (index, (target, mut batch)) in parts.parts.into_iter().enumerate() {
        batch.mode = Mode::OneShot(sequenced.clone());
        batch.section = section.number();
        batch.origin = origin(index);
        shard.shared.mailbox(target).push(Message::Run(batch));
    }
    end(shard, section, &targets);
}

/// Ends a section, and then wakes those to whom something was sent in it: a wake is a system call.
fn end(shard: &Shard, section: Section<'_>, targets: &[ShardId]) {
    drop(section);
    for target in targets {
        shard.shared.mailbox(*target).wake();
    }
}

fn sequence(section: &mut Section<'_>, parts: &Parts) -> Sequenced {
    let mut participants: Vec<ShardId> = parts.shards().collect();
    participants.sort_unstable();
    Sequenced { gsn: section.next_gsn(participants.len()), participants: Arc::from(participants) }
}

/// Makes a transaction's reply from the replies of its parts.
pub type MakeReply = Box<dyn FnOnce(&mut Parts) -> Vec<u8>>;

/// What a two-step transaction does after it has read.
pub enum Decision {
    /// Nothing is written; the reply.
    Release(Vec<u8>),
    /// These parts are written. Shards that were locked and have no part here take part with nothing. The reply is made
    /// from the parts when all are there.
    Commit(Parts, MakeReply),
}

/// Runs a two-step transaction and returns its reply.
///
/// `read` holds, for every participant, the commands to run under the locks of all their keys.
pub async fn two_step(
    shard: &Rc<Shard>,
    read: Parts,
    decide: impl FnOnce(&mut Parts) -> Decision,
) -> Vec<u8> {
    let (id, section) = shard.shared.sequencer.two_step().await;
    let waits = send_step(shard, section, read, &Mode::Lock(id));
    let mut read = collect(waits).await;
    let decision = decide(&mut read);

    let mut section = shard.shared.sequencer.end_two_step();
    let (mut parts, reply) = match decision {
        Decision::Release(reply) => (Parts::default(), Err(reply)),
        Decision::Commit(parts, reply) => (parts, Ok(reply)),
    };
    for (target, batch) in &read.parts {
        parts.batch(shard, *target, batch.protocol).1.gate = batch.gate;
    }
    let sequenced = reply.is_ok().then(|| sequence(&mut section, &parts));
    let waits = send_step(shard, section, parts, &Mode::Commit(id, sequenced));
    let mut parts = collect(waits).await;
    let reply = match reply {
        Ok(make) => make(&mut parts),
        Err(reply) => reply,
    };
    read.recycle(shard);
    parts.recycle(shard);
    reply
}

/// Runs parts with no two-step transaction under way (FLUSHALL), and returns them with their replies.
pub async fn exclusive(shard: &Rc<Shard>, parts: Parts) -> Parts {
    let mut section = shard.shared.sequencer.exclusive().await;
    let sequenced = sequence(&mut section, &parts);
    let waits = send_step(shard, section, parts, &Mode::OneShot(Some(sequenced)));
    collect(waits).await
}

/// Runs reading parts on all their shards at one point of the common order, and returns them with their replies.
pub async fn read(shard: &Rc<Shard>, parts: Parts) -> Parts {
    let section = shard.shared.sequencer.read();
    let waits = send_step(shard, section, parts, &Mode::OneShot(None));
    collect(waits).await
}

type Waits = Vec<(ShardId, oneshot::Receiver<Box<Batch>>)>;

/// Sends one step's batches inside the critical section, and ends it.
fn send_step(shard: &Shard, section: Section<'_>, parts: Parts, mode: &Mode) -> Waits {
    let mut waits = Vec::with_capacity(parts.parts.len());
    let targets: SmallVec<[ShardId; 8]> = parts.shards().collect();
    for (target, mut batch) in parts.parts {
        let (done, wait) = oneshot::channel();
        batch.mode = mode.clone();
        batch.section = section.number();
        batch.origin = Origin::Task { shard: shard.id, done };
        shard.shared.mailbox(target).push(Message::Run(batch));
        waits.push((target, wait));
    }
    end(shard, section, &targets);
    waits
}

async fn collect(waits: Waits) -> Parts {
    let mut parts = Parts::default();
    let mut longest = 0;
    for (target, wait) in waits {
        // A shard ends only with the whole process; then nobody is left to answer.
        match wait.await {
            Ok(batch) => {
                longest = longest.max(batch.nanos);
                parts.parts.push((target, batch));
            }
            Err(_) => std::future::pending().await,
        }
    }
    spent::add(longest);
    parts
}
