//! What was done to a simulated disk and is not on the medium: in order, until a sync or a crash.
//!
//! Invariants:
//! 1. A sector stands here once for each write since the last sync: a crash may leave it as any of them left it.
//! 2. Changes of files that no crash can bring back are forgotten.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) const SECTOR: usize = 512;

pub(super) type InodeId = u64;

/// One step that was not synced.
#[derive(Clone)]
pub(super) enum Change {
    /// Whole sectors as they stood after a write, up to the file's end.
    Sectors {
        inode: InodeId,
        first: usize,
        bytes: Arc<[u8]>,
    },
    /// A file was cut or extended.
    Length {
        inode: InodeId,
        bytes: usize,
    },
    Names(NameChange),
}

/// A file got a name, lost one, or changed it.
#[derive(Clone)]
pub(super) struct NameChange {
    pub dir: PathBuf,
    pub removed: Option<PathBuf>,
    pub added: Option<(PathBuf, InodeId)>,
}

/// One thing that a crash keeps or loses, in the order of writing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Unsynced {
    /// One sector of 512 bytes, counted from 0. It stands once for each time it was written.
    Sector { file: PathBuf, sector: usize },
    /// A file's new length in bytes.
    Length { file: PathBuf, bytes: usize },
    /// A name removed, one added, or both at once.
    Names { removed: Option<PathBuf>, added: Option<PathBuf> },
}

impl fmt::Display for Unsynced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsynced::Sector { file, sector } => write!(f, "{} sector {sector}", file.display()),
            Unsynced::Length { file, bytes } => write!(f, "{} length {bytes}", file.display()),
            Unsynced::Names { removed: Some(from), added: Some(to) } => {
                write!(f, "{} renamed to {}", from.display(), to.display())
            }
            Unsynced::Names { removed: Some(from), added: None } => write!(f, "{} removed", from.display()),
            Unsynced::Names { removed: None, added: Some(path) } => write!(f, "{} created", path.display()),
            Unsynced::Names { removed: None, added: None } => Ok(()),
        }
    }
}

impl Change {
    /// How many things it is that a crash may keep or lose each.
    pub(super) fn items(&self) -> usize {
        match self {
            Change::Sectors { bytes, .. } => bytes.len().div_ceil(SECTOR),
            Change::Length { .. } | Change::Names(_) => 1,
        }
    }

    pub(super) fn inode(&self) -> Option<InodeId> {
        match self {
            Change::Sectors { inode, .. } | Change::Length { inode, .. } => Some(*inode),
            Change::Names(_) => None,
        }
    }

    /// Says what each of its items is; `path` names a file.
    pub(super) fn describe(&self, path: impl Fn(InodeId) -> PathBuf, items: &mut Vec<Unsynced>) {
        match self {
            Change::Sectors { inode, first, .. } => {
                let file = path(*inode);
                let sectors = *first..first + self.items();
                items.extend(sectors.map(|sector| Unsynced::Sector { file: file.clone(), sector }));
            }
            Change::Length { inode, bytes } => {
                items.push(Unsynced::Length { file: path(*inode), bytes: *bytes });
            }
            Change::Names(NameChange { removed, added, .. }) => {
                let added = added.as_ref().map(|(path, _)| path.clone());
                items.push(Unsynced::Names { removed: removed.clone(), added });
            }
        }
    }
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, InodeId>) {
        if let Some(removed) = &self.removed {
            names.remove(removed);
        }
        if let Some((path, inode)) = &self.added {
            names.insert(path.clone(), *inode);
        }
    }
}

/// Copies the sectors for which `keep` says so (by their place in `bytes`) into an image that they may extend.
pub(super) fn keep_sectors(image: &mut Vec<u8>, first: usize, bytes: &[u8], keep: impl Fn(usize) -> bool) {
    for (place, sector) in bytes.chunks(SECTOR).enumerate().filter(|(place, _)| keep(*place)) {
        let start = (first + place) * SECTOR;
        let end = start + sector.len();
        if image.len() < end {
            image.resize(end, 0);
        }
        image[start..end].copy_from_slice(sector);
    }
}

/// Forgets changes of files that have no name on the medium and get none from what is not synced.
pub(super) fn forget_unreachable(changes: &mut Vec<Change>, durable_names: &BTreeMap<PathBuf, InodeId>) {
    let mut reachable: HashSet<InodeId> = durable_names.values().copied().collect();
    reachable.extend(changes.iter().filter_map(|change| match change {
        Change::Names(NameChange { added: Some((_, inode)), .. }) => Some(*inode),
        _ => None,
    }));
    changes.retain(|change| change.inode().is_none_or(|inode| reachable.contains(&inode)));
}
