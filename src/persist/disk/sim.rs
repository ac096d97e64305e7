//! A disk in memory that can lose what was not synced, fail, and stop dead at any call.
//!
//! Invariants:
//! 1. A crash keeps what was synced. Of what was not, it keeps nothing, or any 512-byte sectors, as any write since the
//!    last sync left them, any lengths and any changes of names.
//! 2. A failed sync makes nothing durable and forgets that the bytes were dirty: a later sync does not save
//!    them.
//! 3. After the crash call every call fails and nothing changes, until [`SimDisk::crash`]; mounts and files
//!    from before it stay dead.
//! 4. The calls that count are those that change or sync something.
//! 5. A fork is another device: nothing done to one is seen by the other.

mod unsynced;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::{DirLock, Disk, DiskFile, Mapping, MappingKind};
pub use unsynced::Unsynced;
use unsynced::{Change, InodeId, NameChange, SECTOR, forget_unreachable, keep_sectors};

/// How one call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EIO; nothing is written.
    Eio,
    /// ENOSPC; nothing is written.
    Enospc,
    /// A write takes half of the bytes and says so; other calls fail with EIO.
    ShortWrite,
    /// A sync fails with EIO and the dirty bytes, or names, are forgotten; other calls are not touched.
    SyncError,
    /// As [`Fault::SyncError`], but some of them have reached the medium.
    TornSync,
}

/// What a crash leaves of what was not synced.
#[derive(Clone, Copy, Debug)]
pub enum CrashMode {
    DropUnsynced,
    /// Every un-synced sector and every un-synced change of a name is kept or dropped as the seed says.
    KeepRandom(u64),
}

/// A file's bytes: as a reader sees them, and on the medium. Shared with forks until they change.
#[derive(Clone, Default)]
struct Inode {
    live: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
}

#[derive(Clone, Default)]
struct State {
    inodes: BTreeMap<InodeId, Inode>,
    names: BTreeMap<PathBuf, InodeId>,
    durable_names: BTreeMap<PathBuf, InodeId>,
    unsynced: Vec<Change>,
    next_inode: InodeId,
    locks: HashSet<PathBuf>,
    calls: u64,
    faults: BTreeMap<u64, Fault>,
    faults_fired: u64,
    fails_dir_sync: bool,
    crash_at: Option<u64>,
    dead: bool,
    disk_full: bool,
    /// The device before each call, if that is recorded.
    record: Option<Vec<SimDisk>>,
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

    /// Lets the next sync of a directory fail.
    pub fn fail_next_dir_sync(&self) {
        self.state().fails_dir_sync = true;
    }

    /// No call is to fail any more.
    pub fn clear_faults(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.fails_dir_sync = false;
    }

    /// Calls that failed as they were to.
    pub fn faults_fired(&self) -> u64 {
        self.state().faults_fired
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
        let mut coin = match mode {
            CrashMode::DropUnsynced => Coin(None),
            CrashMode::KeepRandom(seed) => Coin(Some(seed)),
        };
        self.state().crash(|_| coin.keep());
    }

    /// As [`SimDisk::crash`], keeping those things of [`SimDisk::unsynced`] that `keep` says.
    ///
    /// # Panics
    /// If there are more or fewer of them.
    pub fn crash_keeping(&self, keep: &[bool]) {
        let mut state = self.state();
        assert_eq!(state.unsynced.iter().map(Change::items).sum::<usize>(), keep.len());
        state.crash(|item| keep[item]);
    }

    /// What was done and not synced, in the order of writing.
    pub fn unsynced(&self) -> Vec<Unsynced> {
        let state = self.state();
        let mut items = Vec::new();
        state.unsynced.iter().for_each(|change| change.describe(|inode| state.path_of(inode), &mut items));
        items
    }

    /// Another device, as this one is now; nobody has a lock on it, and no call of it is to fail.
    pub fn fork(&self) -> SimDisk {
        self.state().fork()
    }

    /// From now on the device is kept as it is before each call.
    pub fn start_record(&self) {
        self.state().record = Some(Vec::new());
    }

    /// The devices of the record, by call, from the first one recorded on. The record ends.
    pub fn take_record(&self) -> Vec<SimDisk> {
        self.state().record.take().unwrap_or_default()
    }

    /// The process that uses the disk is gone; what it wrote is in the system's cache, synced or not, and nothing is lost.
    pub fn kill_process(&self) {
        let mut state = self.state();
        state.locks.clear();
        state.faults.clear();
        state.fails_dir_sync = false;
        (state.crash_at, state.dead) = (None, false);
        state.life += 1;
    }

    /// Changes a file's bytes behind everyone's back, in both images: rot.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let id = *state.names.get(path).expect("no such file");
        let inode = state.inodes.get_mut(&id).expect("no such inode");
        change(Arc::make_mut(&mut inode.live));
        inode.durable = Arc::clone(&inode.live);
        state.unsynced.retain(|change| change.inode() != Some(id));
    }

    /// A file's bytes as a reader sees them now.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        Some(state.inodes[state.names.get(path)?].live.to_vec())
    }
}

impl State {
    /// Counts one call that changes something; answers the fault that it shall have.
    fn step(&mut self) -> io::Result<Option<Fault>> {
        if self.dead || self.crash_at.is_some_and(|at| self.calls >= at) {
            self.dead = true;
            return Err(errno(Errno::IO));
        }
        if let Some(mut record) = self.record.take() {
            record.push(self.fork());
            self.record = Some(record);
        }
        let fault = self.faults.remove(&self.calls);
        self.faults_fired += u64::from(fault.is_some());
        self.calls += 1;
        Ok(fault)
    }

    /// As `step`, for a call to which every fault but a failed sync means plain failure.
    fn step_or_fail(&mut self, takes_space: bool) -> io::Result<()> {
        match self.step()? {
            Some(Fault::Enospc) => Err(errno(Errno::NOSPC)),
            Some(Fault::Eio | Fault::ShortWrite) => Err(errno(Errno::IO)),
            None | Some(Fault::SyncError | Fault::TornSync) if takes_space && self.disk_full => {
                Err(errno(Errno::NOSPC))
            }
            None | Some(Fault::SyncError | Fault::TornSync) => Ok(()),
        }
    }

    fn inode(&self, path: &Path) -> io::Result<&Inode> {
        let id = self.names.get(path).ok_or_else(|| errno(Errno::NOENT))?;
        self.inodes.get(id).ok_or_else(|| errno(Errno::NOENT))
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced.push(Change::Names(change));
    }

    fn fork(&self) -> SimDisk {
        let mut copy = State { record: None, ..self.clone() };
        copy.locks.clear();
        copy.faults.clear();
        copy.fails_dir_sync = false;
        copy.crash_at = None;
        SimDisk(Arc::new(Mutex::new(copy)))
    }

    /// A name that the file has, had, or shall have.
    fn path_of(&self, inode: InodeId) -> PathBuf {
        let names = self.names.iter().chain(&self.durable_names);
        let added = self.unsynced.iter().filter_map(|change| match change {
            Change::Names(NameChange { added: Some((path, inode)), .. }) => Some((path, inode)),
            _ => None,
        });
        let name = names.chain(added).find(|(_, named)| **named == inode);
        name.map(|(path, _)| path.clone()).unwrap_or_default()
    }

    /// Extends or cuts a file.
    fn set_len(&mut self, id: InodeId, bytes: usize) -> io::Result<()> {
        let inode = inode_of(self, id)?;
        let old = inode.live.len();
        Arc::make_mut(&mut inode.live).resize(bytes, 0);
        self.unsynced.push(Change::Length { inode: id, bytes });
        self.note_written(id, old, bytes)
    }

    /// Bytes `from..to` of a file were written: their sectors wait for a sync.
    fn note_written(&mut self, id: InodeId, from: usize, to: usize) -> io::Result<()> {
        if from < to {
            let live = Arc::clone(&inode_of(self, id)?.live);
            let (first, end) = (from / SECTOR, (to.div_ceil(SECTOR) * SECTOR).min(live.len()));
            let bytes = live[first * SECTOR..end].into();
            self.unsynced.push(Change::Sectors { inode: id, first, bytes });
        }
        Ok(())
    }

    fn write(&mut self, id: InodeId, start: usize, bytes: &[u8]) -> io::Result<()> {
        let live = Arc::make_mut(&mut inode_of(self, id)?.live);
        let (old, end) = (live.len(), start + bytes.len());
        if old < end {
            live.resize(end, 0);
            self.unsynced.push(Change::Length { inode: id, bytes: end });
        }
        Arc::make_mut(&mut inode_of(self, id)?.live)[start..end].copy_from_slice(bytes);
        self.note_written(id, start.min(old), end)
    }

    /// A file's bytes and length get to the medium; what a failed sync forgot does not.
    fn sync(&mut self, id: InodeId) -> io::Result<()> {
        let changes = std::mem::take(&mut self.unsynced);
        let (ours, others) = changes.into_iter().partition(|change| change.inode() == Some(id));
        self.unsynced = others;
        let inode = inode_of(self, id)?;
        let durable = Arc::make_mut(&mut inode.durable);
        for change in Vec::<Change>::into_iter(ours) {
            match change {
                Change::Sectors { first, bytes, .. } => keep_sectors(durable, first, &bytes, |_| true),
                Change::Length { bytes, .. } => durable.resize(bytes, 0),
                Change::Names(_) => {}
            }
        }
        durable.resize(inode.live.len(), 0);
        Ok(())
    }

    /// Forgets what is dirty of `ours`, but for what has reached the medium by chance: no later sync saves it.
    fn fail_sync(&mut self, fault: Fault, is_ours: impl Fn(&Change) -> bool) -> io::Result<()> {
        let mut coin = Coin((fault == Fault::TornSync).then_some(self.calls));
        let changes = std::mem::take(&mut self.unsynced);
        let (ours, others): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(is_ours);
        self.unsynced = others;
        for change in ours {
            let kept: Vec<bool> = (0..change.items()).map(|_| coin.keep()).collect();
            self.keep(&change, &kept);
        }
        Err(errno(Errno::IO))
    }

    /// See [`SimDisk::crash`]; `keep` is asked about each item in order.
    fn crash(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut item = 0;
        for change in std::mem::take(&mut self.unsynced) {
            let kept: Vec<bool> = (item..item + change.items()).map(&mut keep).collect();
            item += kept.len();
            self.keep(&change, &kept);
        }
        self.names = self.durable_names.clone();
        let named: HashSet<InodeId> = self.names.values().copied().collect();
        self.inodes.retain(|inode, _| named.contains(inode));
        self.inodes.values_mut().for_each(|inode| inode.live = Arc::clone(&inode.durable));
        self.locks.clear();
        self.faults.clear();
        self.fails_dir_sync = false;
        (self.crash_at, self.dead, self.disk_full) = (None, false, false);
        self.life += 1;
    }

    fn keep(&mut self, change: &Change, kept: &[bool]) {
        if !kept.contains(&true) {
            return;
        }
        let durable = change.inode().and_then(|id| self.inodes.get_mut(&id)).map(|inode| &mut inode.durable);
        match (change, durable) {
            (Change::Sectors { first, bytes, .. }, Some(durable)) => {
                keep_sectors(Arc::make_mut(durable), *first, bytes, |place| kept[place]);
            }
            (Change::Length { bytes, .. }, Some(durable)) => Arc::make_mut(durable).resize(*bytes, 0),
            (Change::Names(change), _) => change.apply(&mut self.durable_names),
            (_, None) => {}
        }
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
            None | Some(Fault::SyncError | Fault::TornSync) if state.disk_full => {
                return Err(errno(Errno::NOSPC));
            }
            None | Some(Fault::SyncError | Fault::TornSync) => bytes,
        };
        state.write(self.inode, offset as usize, bytes)?;
        Ok(bytes.len())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.state()?;
        let fault = state.step()?;
        let is_ours =
            |change: &Change| matches!(change, Change::Sectors { inode, .. } if *inode == self.inode);
        match fault {
            Some(fault) => state.fail_sync(fault, is_ours),
            None => state.sync(self.inode),
        }
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.step_or_fail(false)?;
        state.set_len(self.inode, bytes as usize)
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
                state.set_len(inode, 0)?;
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
        let bytes = self.state()?.inode(path)?.live.to_vec();
        if bytes.len() as u64 > limit { Err(errno(Errno::FBIG)) } else { Ok(bytes) }
    }

    fn map(&self, path: &Path) -> io::Result<Mapping> {
        Ok(Mapping(MappingKind::Owned(self.state()?.inode(path)?.live.to_vec())))
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
        let is_ours = |change: &Change| matches!(change, Change::Names(names) if names.dir == dir);
        let ordered = std::mem::take(&mut state.fails_dir_sync).then_some(Fault::SyncError);
        state.faults_fired += u64::from(ordered.is_some());
        if let Some(fault) = fault.or(ordered) {
            return state.fail_sync(fault, is_ours);
        }
        let changes = std::mem::take(&mut state.unsynced);
        let (ours, others): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(is_ours);
        state.unsynced = others;
        ours.iter().for_each(|change| state.keep(change, &[true]));
        let State { unsynced, durable_names, .. } = &mut *state;
        forget_unreachable(unsynced, durable_names);
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
