//! Commands whose keys are on several shards, or which concern all of them.

use std::rc::Rc;

use formats::log::ShardId;
use formats::resp::{Reply, Request};
use smallvec::SmallVec;

use super::{Dispatcher, Next, Unfinished, origin};
use crate::command::Merge;
use crate::net::round::{Piece, write_merged};
use crate::shard::batch::Batch;
use crate::shard::context::{Call, CommandError, Context, KeyRef};
use crate::shard::slow_log::CutArgs;
use crate::shard::transaction::{self, Decision, Parts};

impl Dispatcher {
    /// Cuts a command whose keys are on several shards into parts, and runs them as one transaction.
    pub(super) fn split(&mut self, call: &Call, group: usize, merge: Merge, request: Request<'_>) -> Next {
        if let Err(next) = self.admit_transaction(call, &self.key_shards()) {
            return next;
        }
        let mut parts = Parts::default();
        let replies = self.split_parts(call, group, merge, request, &mut parts);
        self.one_shot(call, parts, merge, replies, request)
    }

    fn split_parts(
        &self,
        call: &Call,
        group: usize,
        merge: Merge,
        request: Request<'_>,
        parts: &mut Parts,
    ) -> Vec<(u32, u32)> {
        let protocol = self.client.protocol.get();
        let group_args =
            |key: &KeyRef| (key.arg as usize..key.arg as usize + group).map(|arg| request.arg(arg));
        let mut replies = Vec::new();
        if merge == Merge::Interleave {
            for (key, target) in self.keys.iter().zip(&self.targets) {
                let (part, batch) = parts.batch(&self.shard, *target, protocol);
                let args = std::iter::once(request.arg(0)).chain(group_args(key));
                let call = if replies.is_empty() { *call } else { call.uncounted() };
                batch.push(&call, args, std::iter::once(KeyRef { arg: 1, hash: key.hash }));
                replies.push((part as u32, (batch.calls.len() - 1) as u32));
            }
            return replies;
        }
        for shard in self.key_shards() {
            let on_shard = self.keys.iter().zip(&self.targets).filter(|(_, target)| **target == shard);
            let mine = || on_shard.clone().map(|(key, _)| key);
            let (part, batch) = parts.batch(&self.shard, shard, protocol);
            let args = std::iter::once(request.arg(0)).chain(mine().flat_map(group_args));
            let keys = mine()
                .enumerate()
                .map(|(index, key)| KeyRef { arg: (1 + index * group) as u32, hash: key.hash });
            let call = if replies.is_empty() { *call } else { call.uncounted() };
            batch.push(&call, args, keys);
            replies.push((part as u32, 0));
        }
        replies
    }

    /// Sends the parts of a one-shot transaction, or takes the slower way while two-step ones are under way.
    fn one_shot(
        &mut self,
        call: &Call,
        parts: Parts,
        merge: Merge,
        replies: Vec<(u32, u32)>,
        request: Request<'_>,
    ) -> Next {
        let args = self.cut_args(call.command, request);
        self.send_open();
        let shard = Rc::clone(&self.shard);
        let section = match shard.shared.sequencer.one_shot() {
            Some(section) => section,
            None if !self.is_drained() => {
                parts.recycle(&shard);
                return Next::RetryDrained;
            }
            None if call.writes => return self.slow_write(call, parts, merge, replies, args),
            None => shard.shared.sequencer.read(),
        };
        let base = self.round().parts.len() as u32;
        for _ in 0..parts.len() {
            self.round().expect_part();
        }
        let round = self.round().id;
        transaction::send_one_shot(&shard, section, parts, call.writes, |index| {
            origin(&shard, self.slot, &self.client, round, base + index as u32)
        });
        let replies = replies.into_iter().map(|(part, call)| (base + part, call)).collect();
        let piece = Piece::Merged { merge, replies, command: call.command, args };
        self.push_piece(piece);
        if !self.shard.mailbox().is_empty() {
            self.shard.pump(); // this shard's own part runs before the connection's next command
        }
        Next::Continue
    }

    /// A one-shot write while two-step transactions are under way: under locks, or alone if it names no keys.
    fn slow_write(
        &mut self,
        call: &Call,
        mut parts: Parts,
        merge: Merge,
        replies: Vec<(u32, u32)>,
        args: CutArgs,
    ) -> Next {
        let unfinished = Unfinished { command: call.command, is_counted: false, args };
        let shard = Rc::clone(&self.shard);
        let protocol = self.client.protocol.get();
        let mut locks = Parts::default();
        let targets: Vec<ShardId> = parts.shards().collect();
        let mut names_keys = true;
        for (batch, target) in parts.batches().zip(targets) {
            let (_, lock) = locks.batch(&shard, target, protocol);
            for index in 0..batch.calls.len() {
                let keys = batch.call(index).1;
                names_keys &= !keys.is_empty();
                let call = Call {
                    handler: do_nothing,
                    command: u16::MAX,
                    writes: false,
                    whole_keyspace: false,
                    db: batch.calls[index].call.db,
                };
                lock.push(&call, std::iter::empty(), keys.iter().copied());
            }
        }
        let finish = move |parts: &mut Parts| {
            let batches: Vec<&Batch> = parts.batches().map(|batch| &**batch).collect();
            let mut out = Vec::new();
            let replies = replies.iter().map(|(part, call)| batches[*part as usize].reply(*call as usize));
            write_merged(&mut Reply::new(&mut out, protocol), merge, replies);
            out
        };
        if names_keys {
            self.start_task(
                unfinished,
                Box::pin(async move {
                    transaction::two_step(&shard, locks, |_| Decision::Commit(parts, Box::new(finish))).await
                }),
            )
        } else {
            locks.recycle(&shard);
            self.start_task(
                unfinished,
                Box::pin(async move {
                    let mut parts = transaction::exclusive(&shard, parts).await;
                    let reply = finish(&mut parts);
                    parts.recycle(&shard);
                    reply
                }),
            )
        }
    }

    pub(super) fn dispatch_everywhere(&mut self, call: &Call, merge: Merge, request: Request<'_>) -> Next {
        self.keys.clear();
        // What flushes gets a number (GSN) also where there is one shard: so a recovery can go back to just before it.
        if self.shard.shared.shards() == 1 && !call.writes {
            return self.run_on(self.shard.id, call, request);
        }
        let shards: SmallVec<[ShardId; 4]> = self.shard.shared.shard_ids().collect();
        if let Err(next) = self.admit_transaction(call, &shards) {
            return next;
        }
        let mut parts = Parts::default();
        let mut replies = Vec::new();
        for shard in shards {
            let (part, batch) = parts.batch(&self.shard, shard, self.client.protocol.get());
            let call = if replies.is_empty() { *call } else { call.uncounted() };
            batch.push(&call, request.iter(), std::iter::empty());
            replies.push((part as u32, 0));
        }
        self.one_shot(call, parts, merge, replies, request)
    }
}

/// Runs under the locks of a one-shot command that became a two-step one.
fn do_nothing(_: &mut Context<'_>) -> Result<(), CommandError> {
    Ok(())
}
