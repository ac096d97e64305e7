//! Commands that run in a task of their own while the connection waits.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::{Dispatcher, Next};
use crate::command::TaskFuture;
use crate::shard::slow_log::CutArgs;
use crate::shard::spent;

/// Where a task leaves its reply, and how long shards worked for it, in ns.
type TaskSlot = Rc<RefCell<Option<(Vec<u8>, u64)>>>;

/// What is to be counted and told when a task has ended.
pub(super) struct Unfinished {
    pub command: u16,
    /// The call is counted with its task; if not, its parts are, and only its length is looked at here.
    pub is_counted: bool,
    pub args: CutArgs,
}

/// The task that a connection waits for.
pub(super) struct Task {
    round: u64,
    slot: TaskSlot,
    unfinished: Unfinished,
    is_muted: bool,
}

impl Dispatcher {
    pub(super) fn start_task(&mut self, unfinished: Unfinished, mut task: TaskFuture) -> Next {
        let slot = TaskSlot::default();
        let (result, client) = (Rc::clone(&slot), Rc::clone(&self.client));
        tokio::task::spawn_local(async move {
            let mut total = 0;
            let reply = poll_fn(|context| {
                let (poll, nanos) = spent::during(|| task.as_mut().poll(context));
                total += nanos;
                match poll {
                    Poll::Ready(reply) => Poll::Ready((reply, total)),
                    Poll::Pending => Poll::Pending,
                }
            });
            let reply = reply.await;
            *result.borrow_mut() = Some(reply);
            client.wake();
        });
        let is_muted = self.is_muted();
        let round = self.round();
        round.pending += 1;
        self.task = Some(Task { round: round.id, slot, unfinished, is_muted });
        Next::Wait
    }

    pub(super) fn take_task(&mut self) {
        let Some(task) = &self.task else { return };
        let Some((reply, nanos)) = task.slot.borrow_mut().take() else { return };
        let Some(Task { round, unfinished, is_muted, .. }) = self.task.take() else { return };
        self.end_task(&unfinished, &reply, nanos);
        if let Some(round) = self.rounds.iter_mut().find(|candidate| candidate.id == round) {
            if !is_muted {
                round.local.extend_from_slice(&reply);
                round.local_reply();
            }
            round.pending -= 1;
        }
    }

    fn end_task(&self, unfinished: &Unfinished, reply: &[u8], nanos: u64) {
        let mut engine = self.shard.engine.borrow_mut();
        let error = reply.strip_prefix(b"-");
        if unfinished.is_counted {
            engine.stats.count(unfinished.command, nanos, error.is_some());
            if let Some(text) = error {
                engine.stats.count_error(&String::from_utf8_lossy(text.trim_ascii_end()));
            }
        }
        let is_notable = nanos >= engine.notable_nanos;
        drop(engine);
        if is_notable {
            self.note_args(unfinished.command, || unfinished.args.clone(), nanos);
        }
    }
}
