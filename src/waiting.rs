//! Where a thread that serves no clients waits for others, and where it lets others do its work.
//!
//! With the feature `sim` a test may run a whole server on one thread, so that a seed decides everything. There is nobody to
//! wait for then: to wait is to let the rest of that server take its turn, and what would run on threads of its own is run at
//! once, one after the other.
//!
//! Invariant: nobody calls these functions with a lock held that those whom it waits for may want.

use std::future::Future;
use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError};
use std::time::Duration;

/// The next message.
///
/// # Errors
/// All senders are gone, or the simulated server was stopped.
pub fn receive<T>(from: &Receiver<T>) -> Result<T, RecvError> {
    #[cfg(feature = "sim")]
    if simulated::is_on() {
        return simulated::receive(from, None).map_err(|_| RecvError);
    }
    from.recv()
}

/// The next message, if it comes in time.
///
/// # Errors
/// It did not, or all senders are gone, or the simulated server was stopped.
pub fn receive_timeout<T>(from: &Receiver<T>, patience: Duration) -> Result<T, RecvTimeoutError> {
    #[cfg(feature = "sim")]
    if simulated::is_on() {
        return simulated::receive(from, Some(patience));
    }
    from.recv_timeout(patience)
}

/// Waits for a time.
pub fn sleep(time: Duration) {
    #[cfg(feature = "sim")]
    if simulated::is_on() {
        let until = crate::clock::now() + time;
        while crate::clock::now() < until && simulated::turn() {}
        return;
    }
    std::thread::sleep(time);
}

/// A good moment for others, in work that goes on for long. Costs nothing where nothing is simulated.
#[inline]
pub fn pass() {
    #[cfg(feature = "sim")]
    if simulated::is_on() {
        simulated::turn();
    }
}

/// Whether everything runs on this thread.
#[inline]
pub fn is_alone() -> bool {
    #[cfg(feature = "sim")]
    if simulated::is_on() {
        return true;
    }
    false
}

/// Runs each piece of work on a thread of its own, and answers the results in their order. A panic is passed on.
pub fn each_on_a_thread<T: Send>(work: Vec<impl FnOnce() -> T + Send>) -> Vec<T> {
    if is_alone() {
        return work.into_iter().map(|work| work()).collect();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = work.into_iter().map(|work| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// Waits for a future that needs neither sockets nor timers.
///
/// # Errors
/// No runtime could be made, or the simulated server was stopped.
pub fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    #[cfg(feature = "sim")]
    if simulated::is_on() {
        return simulated::block_on(future);
    }
    Ok(tokio::runtime::Builder::new_current_thread().build()?.block_on(future))
}

/// A whole server on one thread.
#[cfg(feature = "sim")]
pub mod simulated {
    use super::*;
    use std::cell::RefCell;
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    /// Lets the others take a turn; `false`: there are no others any more, do not wait.
    pub type Turn = Rc<dyn Fn() -> bool>;

    thread_local! {
        static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
    }

    /// From now on, on this thread, waiting means this; `None`: waiting.
    pub fn set_turn(turn: Option<Turn>) {
        TURN.set(turn);
    }

    pub(super) fn is_on() -> bool {
        TURN.with_borrow(Option::is_some)
    }

    pub(super) fn turn() -> bool {
        let turn = TURN.with_borrow(Clone::clone);
        turn.is_some_and(|turn| turn())
    }

    pub(super) fn receive<T>(from: &Receiver<T>, patience: Option<Duration>) -> Result<T, RecvTimeoutError> {
        let until = patience.map(|patience| crate::clock::now() + patience);
        loop {
            match from.try_recv() {
                Ok(message) => return Ok(message),
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    return Err(RecvTimeoutError::Disconnected);
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => {}
            }
            if until.is_some_and(|until| crate::clock::now() >= until) {
                return Err(RecvTimeoutError::Timeout);
            }
            if !turn() {
                return Err(RecvTimeoutError::Disconnected);
            }
        }
    }

    pub(super) fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Ok(output);
            }
            if !turn() {
                return Err(io::Error::other("the simulated server was stopped"));
            }
        }
    }
}
