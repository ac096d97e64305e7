//! Inputs: files, standard input, data directories; all of them mapped.

mod data_dir;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use everfast::persist::disk::ReadOnlyMap;

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
