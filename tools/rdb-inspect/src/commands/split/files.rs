//! Many files that are written at once.
//!
//! Invariants:
//! 1. No file stays open: the memory for what is held back of all files has a limit; when that is reached, all is appended
//!    to them and the memory given back.
//! 2. All files are made in a folder of their own, and get their names when all are complete. Where that fails, neither the
//!    files nor a folder that was made for them are left.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use formats::rdb::{Item, Version};

use crate::failure::Failure;
use crate::rewrite::items::ItemWriter;
use crate::rewrite::{RdbFile, Sink};
use crate::unfinished::{self, Folders, NewFolder};

/// Most memory for bytes that are held back of all files.
const HELD_BACK_BYTES: usize = 32 << 20;
/// Most files: as many as a cluster has slots.
const MAX_FILES: usize = 16384;
/// Longest prefix in a file's name, escaped.
const MAX_NAME_BYTES: usize = 200;

/// Names a file.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum FileName {
    Db(u64),
    Slot(u16),
    Shard(u16),
    Part(u64),
    Prefix(Vec<u8>),
    /// Keys without a prefix.
    Other,
}

impl FileName {
    fn text(&self) -> String {
        match self {
            FileName::Db(db) => format!("db-{db}.rdb"),
            FileName::Slot(slot) => format!("slot-{slot:05}.rdb"),
            FileName::Shard(shard) => format!("shard-{shard}.rdb"),
            FileName::Part(part) => format!("part-{part:05}.rdb"),
            FileName::Prefix(prefix) => format!("prefix-{}.rdb", escaped(prefix)),
            FileName::Other => "other.rdb".into(),
        }
    }
}

/// Letters, digits, `-`, `_` and `.` as they are, other bytes as `%` and two digits.
fn escaped(prefix: &[u8]) -> String {
    let mut text = String::new();
    for &byte in prefix {
        match byte {
            b'-' | b'_' | b'.' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Appends to a file that is closed between.
pub(super) struct Appended {
    path: PathBuf,
}

impl Sink for Appended {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let open = || {
            let _held = unfinished::hold(); // none is made in a folder that is being removed
            OpenOptions::new().append(true).create(true).open(&self.path)
        };
        open().and_then(|mut file| file.write_all(bytes)).map_err(|error| Failure::file(&self.path, error))
    }
}

/// The files of a run.
pub(super) struct Files {
    folder: NewFolder,
    /// Behind `folder`, so that it is dropped later.
    made: Folders,
    output: PathBuf,
    version: Version,
    files: Vec<RdbFile<Appended>>,
    names: HashMap<FileName, usize>,
    /// Memory for what is held back of all files.
    held_back: usize,
}

impl Files {
    pub(super) fn new(output: &Path, version: Version) -> Result<Files, Failure> {
        let made = Folders::make(output).map_err(|error| Failure::file(output, error))?;
        let folder = NewFolder::in_folder(output).map_err(|error| Failure::file(output, error))?;
        Ok(Files {
            folder,
            made,
            output: output.to_path_buf(),
            version,
            files: Vec::new(),
            names: HashMap::new(),
            held_back: 0,
        })
    }

    /// Has `write` write to the file of that name, which is started with `items` if it is new.
    pub(super) fn write(
        &mut self,
        name: FileName,
        items: &[Item<'_>],
        write: impl FnOnce(&mut RdbFile<Appended>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let index = match self.names.get(&name) {
            Some(&index) => index,
            None => self.start(name, items)?,
        };
        let file = &mut self.files[index];
        let before = file.room();
        write(file)?;
        self.held_back = self.held_back + file.room() - before;
        self.flow()
    }

    fn start(&mut self, name: FileName, items: &[Item<'_>]) -> Result<usize, Failure> {
        if self.files.len() == MAX_FILES {
            return Err(Failure::Usage(format!("this would make more than {MAX_FILES} files")));
        }
        let text = name.text();
        if text.len() > MAX_NAME_BYTES {
            return Err(Failure::Usage(format!("too long for the name of a file: {text}")));
        }
        let target = self.output.join(&text);
        if target.exists() {
            return Err(Failure::Usage(format!("{} is there already", target.display())));
        }
        let sink = Appended { path: self.folder.path().join(&text) };
        let mut file = RdbFile::new(self.version, sink, BTreeMap::new());
        let mut writer = ItemWriter::new(true);
        for item in items {
            writer.write(&mut file, item)?;
        }
        let index = self.files.len();
        self.held_back += file.room();
        self.files.push(file);
        self.names.insert(name, index);
        Ok(index)
    }

    /// Appends what is held back to the files if it is much.
    #[inline]
    fn flow(&mut self) -> Result<(), Failure> {
        if self.held_back < HELD_BACK_BYTES { Ok(()) } else { self.drain() }
    }

    fn drain(&mut self) -> Result<(), Failure> {
        self.held_back = 0;
        crate::interrupt::check()?;
        self.files.iter_mut().filter(|file| file.room() > 0).try_for_each(RdbFile::release)
    }

    /// Ends all files and gives them their names; how many there are.
    pub(super) fn finish(mut self) -> Result<usize, Failure> {
        let Files { made, output, files, .. } = &mut self;
        let count = files.len();
        let mut complete = Vec::with_capacity(count);
        for file in files.drain(..) {
            complete.push(file.finish()?.path);
        }
        for path in &complete {
            let synced = File::open(path).and_then(|file| file.sync_all());
            synced.map_err(|error| Failure::file(path, error))?;
        }
        // Ctrl-C waits: either all have their names or none has.
        let mut held = unfinished::hold();
        let mut named = Vec::with_capacity(count);
        for path in &complete {
            let target = output.join(path.file_name().unwrap_or_default());
            if let Err(error) = fs::rename(path, &target) {
                named.iter().for_each(|path| drop(fs::remove_file(path))); // the error is told
                return Err(Failure::file(&target, error));
            }
            named.push(target);
        }
        made.keep(&mut held);
        Ok(count)
    }
}
