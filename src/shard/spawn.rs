//! The thread of a shard: a tokio current-thread runtime whose park hook looks after mailbox and log.
//!
//! Invariant: the thread sleeps only after `Shard::before_sleep` has found nothing to do with the *sleeping* flag set;
//! whoever sends afterwards sees the flag and wakes it.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread::JoinHandle;

use super::Shard;

thread_local! {
    /// The shard of this thread, for the runtime's hooks, which take no arguments. Nothing else uses it.
    static SHARD: RefCell<Option<Rc<Shard>>> = const { RefCell::new(None) };
}

fn with_shard(act: impl FnOnce(&Shard)) {
    SHARD.with(|shard| {
        if let Ok(shard) = shard.try_borrow()
            && let Some(shard) = &*shard
        {
            act(shard);
        }
    });
}

/// Starts a thread, makes its shard with `make`, and runs `main` on it until that ends.
///
/// # Errors
/// The thread, or its runtime (for want of descriptors), cannot be started.
pub fn spawn<F>(
    name: String,
    make: impl FnOnce() -> Rc<Shard> + Send + 'static,
    main: impl FnOnce(Rc<Shard>) -> F + Send + 'static,
) -> io::Result<JoinHandle<()>>
where
    F: Future<Output = ()>,
{
    let (started, has_started) = mpsc::channel();
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(|| with_shard(Shard::before_sleep))
            .on_thread_unpark(|| with_shard(|shard| shard.mailbox().awake()))
            .build_local(tokio::runtime::LocalOptions::default());
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(started.send(Err(error))),
        };
        drop(started.send(Ok(()))); // whoever started the thread waits for this
        let shard = make();
        runtime.block_on(async {
            let shared = Arc::clone(&shard.shared);
            let index = usize::from(shard.id.0);
            poll_fn(|context| {
                shared.mailboxes[index].set_waker(context.waker().clone());
                Poll::Ready(())
            })
            .await;
            SHARD.with(|slot| *slot.borrow_mut() = Some(Rc::clone(&shard)));
            main(shard).await;
            SHARD.with(|slot| slot.borrow_mut().take());
        });
    })?;
    has_started.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended at once")))?;
    Ok(thread)
}
