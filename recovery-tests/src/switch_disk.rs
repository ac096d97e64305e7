//! A disk behind switches: while one is on, writes or syncs of the files that it names fail, or writes and reads wait.
//!
//! What [`SimDisk`](everfast::persist::disk::SimDisk) cannot do: break one log and not another, and hold a call back.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use everfast::persist::disk::{Amount, Disk, Guard, GuardedDisk};
use rustix::io::Errno;

pub use everfast::persist::disk::Call;

/// What happens to such a call.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    Fail(Errno),
    /// The call waits until the switch is off, and then goes on.
    Wait,
}

struct Switch {
    call: Call,
    /// Files whose name begins so.
    prefix: String,
    effect: Effect,
}

/// The switches; clones are the same.
#[derive(Clone, Default)]
pub struct Switches(Arc<(Mutex<Vec<Switch>>, Condvar)>);

impl Switches {
    fn all(&self) -> MutexGuard<'_, Vec<Switch>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on calls on files whose name begins with `prefix` have this effect.
    pub fn on(&self, call: Call, prefix: &str, effect: Effect) {
        self.all().push(Switch { call, prefix: prefix.to_owned(), effect });
    }

    /// All switches off; what waits goes on.
    pub fn all_off(&self) {
        self.all().clear();
        self.0.1.notify_all();
    }

    /// Turns all switches off when what is answered is dropped, so that a test that fails does not hang.
    pub fn off_on_drop(&self) -> OffOnDrop {
        OffOnDrop(self.clone())
    }

    /// `inner` behind these switches.
    pub fn before(&self, inner: Arc<dyn Disk>) -> Arc<dyn Disk> {
        Arc::new(GuardedDisk::new(inner, Arc::new(self.clone())))
    }
}

/// See [`Switches::off_on_drop`].
pub struct OffOnDrop(Switches);

impl Drop for OffOnDrop {
    fn drop(&mut self) {
        self.0.all_off();
    }
}

impl Guard for Switches {
    fn before(&self, call: Call, name: &str) -> io::Result<Amount> {
        let mut switches = self.all();
        loop {
            let ours = |switch: &&Switch| switch.call == call && name.starts_with(&switch.prefix);
            match switches.iter().find(ours).map(|switch| switch.effect) {
                None => return Ok(Amount::Whole),
                Some(Effect::Fail(errno)) => return Err(io::Error::from_raw_os_error(errno.raw_os_error())),
                Some(Effect::Wait) => {
                    switches = self.0.1.wait(switches).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}
