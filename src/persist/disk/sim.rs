//! A disk in memory that can lose what was not synced, fail, and stop dead at any call.
//!
//! Invariants:
//! 1. A crash keeps what was synced. Of what was not, it keeps nothing, or any 512-byte sectors and any
//!    names.
//! 2. A failed sync makes nothing durable and forgets that the bytes were dirty: a later sync does not save
//!    them.
//! 3. After the crash call every call fails and nothing changes, until [`SimDisk::crash`]; mounts and files
//!    from before it stay dead.
//! 4. The calls that count are those that change or sync something.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::{DirLock, Disk, DiskFile, Mapping, MappingKind};

const SECTOR: usize = 512;

/// How one call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EIO; nothing is written.
    Eio,
    /// ENOSPC; nothing is written.
    Enospc,
    /// A write takes half of the bytes and says so; other calls fail with EIO.
    ShortWrite,
    /// A sync fails with EIO and the dirty bytes are forgotten; other calls are not touched.
    SyncError,
}

/// What a crash leaves of what was not synced.
#[derive(Clone, Copy, Debug)]
pub enum CrashMode {
    DropUnsynced,
    /// Every un-synced sector and every un-synced change of a name is kept or dropped as the seed says.
    KeepRandom(u64),
}

#[derive(Clone, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    length_is_dirty: bool,
}

type InodeId = u64;

/// One un-synced change of names, in the order made.
#[derive(Clone)]
struct NameChange {
    dir: PathBuf,
    removed: Option<PathBuf>,
    added: Option<(PathBuf, InodeId)>,
}

#[derive(Default)]
struct State {
    inodes: BTreeMap<InodeId, Inode>,
    names: BTreeMap<PathBuf, InodeId>,
    durable_names: BTreeMap<PathBuf, InodeId>,
    unsynced: Vec<NameChange>,
    next_inode: InodeId,
    locks: HashSet<PathBuf>,
    calls: u64,
    faults: BTreeMap<u64, Fault>,
    crash_at: Option<u64>,
    dead: bool,
    disk_full: bool,
    /// Counts crashes; mounts and files from before the last one are dead.
    life: u64,
}

/// The device and its controls; clones are the same device.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

/// What a process sees of the device, until the next crash.
struct SimMount {
    disk: SimDisk,
    life: u64,
}

struct SimFile {
    disk: SimDisk,
    inode: InodeId,
    life: u64,
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    life: u64,
}

fn errno(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

impl SimDisk {
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk as one process sees it, until the next crash.
    pub fn mount(&self) -> Arc<dyn Disk> {
        Arc::new(SimMount { disk: self.clone(), life: self.state().life })
    }

    /// Calls so far that changed or synced something.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Lets the call with this number (counting from 0) fail.
    pub fn fail_at(&self, call: u64, fault: Fault) {
        self.state().faults.insert(call, fault);
    }

    /// Stops the disk dead just before the call with this number.
    pub fn crash_at(&self, call: u64) {
        self.state().crash_at = Some(call);
    }

    /// While full, writes, allocations and new files fail with ENOSPC.
    pub fn set_disk_full(&self, full: bool) {
        self.state().disk_full = full;
    }

    /// Power off and on again: what was not durable is gone, wholly or in part; locks and open files are
    /// void.
    pub fn crash(&self, mode: CrashMode) {
        let mut state = self.state();
        let mut coin = match mode {
            CrashMode::DropUnsynced => Coin(None),
            CrashMode::KeepRandom(seed) => Coin(Some(seed)),
        };
        for inode in state.inodes.values_mut() {
            inode.crash(&mut coin);
        }
        for change in std::mem::take(&mut state.unsynced) {
            if coin.keep() {
                change.apply(&mut state.durable_names);
            }
        }
        state.names = state.durable_names.clone();
        let named: HashSet<InodeId> = state.names.values().copied().collect();
        state.inodes.retain(|inode, _| named.contains(inode));
        state.locks.clear();
        state.faults.clear();
        (state.crash_at, state.dead, state.disk_full) = (None, false, false);
        state.life += 1;
    }

    /// The process that uses the disk is gone; what it wrote is in the system's cache, synced or not, and nothing is lost.
    pub fn kill_process(&self) {
        let mut state = self.state();
        state.locks.clear();
        state.faults.clear();
        (state.crash_at, state.dead) = (None, false);
        state.life += 1;
    }

    /// Changes a file's bytes behind everyone's back, in both images: rot.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let inode = *state.names.get(path).expect("no such file");
        let inode = state.inodes.get_mut(&inode).expect("no such inode");
        change(&mut inode.live);
        inode.durable = inode.live.clone();
        inode.dirty.clear();
    }

    /// A file's bytes as a reader sees them now.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        Some(state.inodes[state.names.get(path)?].live.clone())
    }
}

impl State {
    /// Counts one call that changes something; answers the fault that it shall have.
    fn step(&mut self) -> io::Result<Option<Fault>> {
        if self.dead || self.crash_at.is_some_and(|at| self.calls >= at) {
            self.dead = true;
            return Err(errno(Errno::IO));
        }
        let fault = self.faults.remove(&self.calls);
        self.calls += 1;
        Ok(fault)
    }

    /// As `step`, for a call to which every fault but a failed sync means plain failure.
    fn step_or_fail(&mut self, takes_space: bool) -> io::Result<()> {
        match self.step()? {
            Some(Fault::Enospc) => Err(errno(Errno::NOSPC)),
            Some(Fault::Eio | Fault::ShortWrite) => Err(errno(Errno::IO)),
            None | Some(Fault::SyncError) if takes_space && self.disk_full => Err(errno(Errno::NOSPC)),
            None | Some(Fault::SyncError) => Ok(()),
        }
    }

    fn inode(&self, path: &Path) -> io::Result<&Inode> {
        let id = self.names.get(path).ok_or_else(|| errno(Errno::NOENT))?;
        self.inodes.get(id).ok_or_else(|| errno(Errno::NOENT))
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced.push(change);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, InodeId>) {
        if let Some(removed) = &self.removed {
            names.remove(removed);
        }
        if let Some((path, inode)) = &self.added {
            names.insert(path.clone(), *inode);
        }
    }
}

impl Inode {
    fn set_len(&mut self, bytes: usize) {
        let old = self.live.len();
        self.live.resize(bytes, 0);
        self.length_is_dirty = true;
        self.mark_dirty(old.min(bytes), old.max(bytes));
    }

    fn mark_dirty(&mut self, from: usize, to: usize) {
        self.dirty.extend(from / SECTOR..to.div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.keep_sector(sector);
        }
        self.length_is_dirty = false;
    }

    fn keep_sector(&mut self, sector: usize) {
        let start = sector * SECTOR;
        let end = (start + SECTOR).min(self.live.len());
        if start < end {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[start..end].copy_from_slice(&self.live[start..end]);
        }
    }

    fn crash(&mut self, coin: &mut Coin) {
        if self.length_is_dirty && coin.keep() {
            self.durable.resize(self.live.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if coin.keep() {
                self.keep_sector(sector);
            }
        }
        self.length_is_dirty = false;
        self.live = self.durable.clone();
    }
}

/// A seeded coin (SplitMix64, Steele et al. 2014); without a seed it always says no.
struct Coin(Option<u64>);

impl Coin {
    fn keep(&mut self) -> bool {
        let Some(state) = &mut self.0 else { return false };
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) & 1 == 1
    }
}

impl SimMount {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.life != self.life || state.dead {
            return Err(errno(Errno::IO));
        }
        Ok(state)
    }
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.life != self.life {
            return Err(errno(Errno::IO));
        }
        Ok(state)
    }
}

fn inode_of(state: &mut State, inode: InodeId) -> io::Result<&mut Inode> {
    state.inodes.get_mut(&inode).ok_or_else(|| errno(Errno::STALE))
}

impl DiskFile for SimFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state()?;
        let bytes = match state.step()? {
            Some(Fault::Eio) => return Err(errno(Errno::IO)),
            Some(Fault::Enospc) => return Err(errno(Errno::NOSPC)),
            Some(Fault::ShortWrite) => &bytes[..bytes.len().div_ceil(2)],
            None | Some(Fault::SyncError) if state.disk_full => return Err(errno(Errno::NOSPC)),
            None | Some(Fault::SyncError) => bytes,
        };
        let inode = inode_of(&mut state, self.inode)?;
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if inode.live.len() < end {
            inode.set_len(end);
        }
        inode.live[start..end].copy_from_slice(bytes);
        inode.mark_dirty(start, end);
        Ok(bytes.len())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.state()?;
        let fault = state.step()?;
        let inode = inode_of(&mut state, self.inode)?;
        if fault.is_some() {
            inode.dirty.clear();
            return Err(errno(Errno::IO));
        }
        inode.sync();
        Ok(())
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.step_or_fail(false)?;
        inode_of(&mut state, self.inode)?.set_len(bytes as usize);
        Ok(())
    }

    fn allocate(&mut self, _bytes: u64) -> io::Result<()> {
        Err(errno(Errno::OPNOTSUPP))
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_path_buf()
}

impl Disk for SimMount {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state()?;
        state.step_or_fail(true)?;
        let life = state.life;
        let inode = match state.names.get(path) {
            Some(&inode) => {
                inode_of(&mut state, inode)?.set_len(0);
                inode
            }
            None => {
                let inode = state.next_inode;
                state.next_inode += 1;
                state.inodes.insert(inode, Inode::default());
                let added = Some((path.to_path_buf(), inode));
                state.change_names(NameChange { dir: parent(path), removed: None, added });
                inode
            }
        };
        Ok(Box::new(SimFile { disk: self.disk.clone(), inode, life }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state()?;
        state.inode(path)?;
        Ok(Box::new(SimFile { disk: self.disk.clone(), inode: state.names[path], life: state.life }))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let bytes = self.state()?.inode(path)?.live.clone();
        if bytes.len() as u64 > limit { Err(errno(Errno::FBIG)) } else { Ok(bytes) }
    }

    fn map(&self, path: &Path) -> io::Result<Mapping> {
        Ok(Mapping(MappingKind::Owned(self.state()?.inode(path)?.live.clone())))
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        Ok(self.state()?.inode(path)?.live.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state()?;
        state.inode(from)?;
        state.step_or_fail(false)?;
        let added = Some((to.to_path_buf(), state.names[from]));
        state.change_names(NameChange { dir: parent(to), removed: Some(from.to_path_buf()), added });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state()?;
        state.inode(path)?;
        state.step_or_fail(false)?;
        state.change_names(NameChange { dir: parent(path), removed: Some(path.to_path_buf()), added: None });
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state()?;
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state()?;
        let fault = state.step()?;
        let (ours, others) =
            std::mem::take(&mut state.unsynced).into_iter().partition(|change| change.dir == dir);
        state.unsynced = others;
        if fault.is_some() {
            // As with bytes: forgotten, not saved by a later sync.
            return Err(errno(Errno::IO));
        }
        let ours: Vec<NameChange> = ours;
        ours.iter().for_each(|change| change.apply(&mut state.durable_names));
        Ok(())
    }

    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        // Directories are there without being made: nothing rests on when one appears.
        self.state().map(drop)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        let mut state = self.state()?;
        if !state.locks.insert(path.to_path_buf()) {
            return Err(errno(Errno::WOULDBLOCK));
        }
        Ok(Box::new(SimLock { disk: self.disk.clone(), path: path.to_path_buf(), life: state.life }))
    }
}

impl DirLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

#[cfg(test)]
#[path = "sim_tests.rs"]
mod tests;
