//! Inputs: files, standard input, data directories; all of them mapped.

mod data_dir;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use everfast::persist::disk::ReadOnlyMap;
use formats::aof::{AofKind, aof_kind};

use crate::failure::Failure;
use crate::interrupt;

/// A mapped file with the name that the user gave it.
pub struct Input {
    pub name: String,
    map: ReadOnlyMap,
}

impl Input {
    /// Maps the file at `path`; `-` is standard input.
    pub fn open(path: &Path) -> Result<Input, Failure> {
        if path.as_os_str() == "-" {
            let file = standard_input().map_err(|error| Failure::file(Path::new("standard input"), error))?;
            return Input::map("standard input".into(), path, &file);
        }
        let file = File::open(path).map_err(|error| Failure::file(path, error))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            let rdb = data_dir::as_rdb(path)?;
            return Input::map(path.display().to_string(), path, &rdb);
        }
        Input::map(path.display().to_string(), path, &file)
    }

    /// Maps all of `paths`; there must be one at least.
    pub fn open_all(paths: &[PathBuf]) -> Result<Vec<Input>, Failure> {
        if paths.is_empty() {
            return Err(Failure::Usage("name a file, `-` for standard input, or a data directory".into()));
        }
        paths.iter().map(|path| Input::open(path)).collect()
    }

    fn map(name: String, path: &Path, file: &File) -> Result<Input, Failure> {
        let map = ReadOnlyMap::new(file).map_err(|error| Failure::file(path, error))?;
        Ok(Input { name, map })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    pub fn len(&self) -> u64 {
        self.map.len() as u64
    }

    /// Fails if the file is one of another kind, for which there is another command.
    pub fn refuse_other_kinds(&self) -> Result<(), Failure> {
        let what = match kind(self.bytes()) {
            Kind::Rdb | Kind::Unknown => return Ok(()),
            Kind::Commands => "no RDB file but an append-only file: see `rdb-inspect log`",
            Kind::Segment => {
                "no RDB file but a segment of an Everfast log: see `rdb-inspect log`, or name its directory"
            }
            Kind::Manifest => "the MANIFEST of a data directory: name the directory instead",
        };
        let error = io::Error::new(io::ErrorKind::InvalidData, what);
        Err(Failure::file(Path::new(&self.name), error))
    }
}

/// What the first bytes of a file say that it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Rdb,
    /// Commands of an append-only file, without an RDB file before them.
    Commands,
    /// A segment of Everfast.
    Segment,
    /// The MANIFEST of Everfast.
    Manifest,
    Unknown,
}

/// Tells the kind of a file.
pub fn kind(bytes: &[u8]) -> Kind {
    match aof_kind(bytes) {
        AofKind::RdbPreamble => Kind::Rdb,
        AofKind::Commands => Kind::Commands,
        _ if bytes.starts_with(b"EVERFSEG") => Kind::Segment,
        _ if bytes.starts_with(b"everfast-manifest ") => Kind::Manifest,
        _ => Kind::Unknown,
    }
}

/// Standard input if that is a file; else its bytes in a temporary file that has no name.
fn standard_input() -> io::Result<File> {
    let stdin = File::open("/dev/stdin")?;
    if stdin.metadata()?.is_file() {
        return Ok(stdin);
    }
    let mut spool = tempfile::tempfile()?;
    let mut buffer = vec![0; 256 << 10];
    let mut stdin = io::stdin().lock();
    loop {
        interrupt::check().map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?;
        match stdin.read(&mut buffer)? {
            0 => return Ok(spool),
            count => spool.write_all(&buffer[..count])?,
        }
    }
}
