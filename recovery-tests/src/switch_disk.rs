//! A disk behind switches: while one is on, writes or syncs of the files that it names fail, or writes and reads wait.
//!
//! What [`SimDisk`](everfast::persist::disk::SimDisk) cannot do: break one log and not another, and hold a call back.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use everfast::persist::disk::{DirLock, Disk, DiskFile, Mapping};
use rustix::io::Errno;

/// Which calls a switch concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Write,
    Sync,
    /// Mapping a file, as a recovery does.
    Map,
}

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

    fn pass(&self, call: Call, name: &str) -> io::Result<()> {
        let mut switches = self.all();
        loop {
            let ours = |switch: &&Switch| switch.call == call && name.starts_with(&switch.prefix);
            match switches.iter().find(ours).map(|switch| switch.effect) {
                None => return Ok(()),
                Some(Effect::Fail(errno)) => return Err(io::Error::from_raw_os_error(errno.raw_os_error())),
                Some(Effect::Wait) => {
                    switches = self.0.1.wait(switches).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// `inner` behind these switches.
    pub fn before(&self, inner: Arc<dyn Disk>) -> Arc<dyn Disk> {
        Arc::new(SwitchDisk { inner, switches: self.clone() })
    }
}

/// See [`Switches::off_on_drop`].
pub struct OffOnDrop(Switches);

impl Drop for OffOnDrop {
    fn drop(&mut self) {
        self.0.all_off();
    }
}

struct SwitchDisk {
    inner: Arc<dyn Disk>,
    switches: Switches,
}

struct SwitchFile {
    inner: Box<dyn DiskFile>,
    name: String,
    switches: Switches,
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl SwitchDisk {
    fn file(&self, path: &Path, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(SwitchFile { inner, name: name_of(path), switches: self.switches.clone() })
    }
}

impl DiskFile for SwitchFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.switches.pass(Call::Write, &self.name)?;
        self.inner.write_at(offset, bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.switches.pass(Call::Sync, &self.name)?;
        self.inner.sync_data()
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.inner.set_len(bytes)
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        self.inner.allocate(bytes)
    }
}

impl Disk for SwitchDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(path, self.inner.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(path, self.inner.open(path)?))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.inner.read(path, limit)
    }

    fn map(&self, path: &Path) -> io::Result<Mapping> {
        self.switches.pass(Call::Map, &name_of(path))?;
        self.inner.map(path)
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        self.inner.file_bytes(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        self.inner.lock(path)
    }
}
