//! New directories and files, which appear when they are complete.
//!
//! Invariant: nothing that is there is replaced.

use std::io;
use std::path::{Path, PathBuf};

use everfast::persist::disk::DiskFile;
use rdb_inspect::destination::{Destination, Opened};
use rdb_inspect::failure::Failure;
use rdb_inspect::unfinished::NewFolder;

/// A directory under another name, until it is complete.
pub struct NewDir {
    folder: NewFolder,
    path: PathBuf,
}

impl NewDir {
    /// `path` must not be there, or be an empty directory; and it must not be in `input`, which is read meanwhile.
    pub fn create(path: &Path, input: &Path) -> Result<NewDir, Failure> {
        refuse_full(path)?;
        refuse_inside(path, input)?;
        let outer = path.parent().filter(|outer| !outer.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = NewFolder::for_result(outer).map_err(|error| Failure::file(path, error))?;
        Ok(NewDir { folder, path: path.to_path_buf() })
    }

    /// Where it is for now.
    pub fn working_path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives it its name.
    pub fn finish(self) -> Result<(), Failure> {
        let path = self.path;
        self.folder.finish(&path).map_err(|error| Failure::file(&path, error))
    }
}

fn refuse_full(path: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => {
            Err(Failure::Usage(format!("{} is not empty: nothing is ever overwritten", path.display())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::file(path, error)),
    }
}

fn refuse_inside(path: &Path, input: &Path) -> Result<(), Failure> {
    let Ok(input) = input.canonicalize() else { return Ok(()) }; // reading it will say why
    // What is not there has no links either: its nearest ancestor that is there has.
    let mut ancestors =
        path.ancestors().map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
    let real = ancestors.find_map(|path| path.canonicalize().ok());
    match real.is_some_and(|real| input.is_dir() && real.starts_with(&input)) {
        true => Err(Failure::Usage(format!("{} is in the directory that is read", path.display()))),
        false => Ok(()),
    }
}

/// A file that is written from its start to its end; also standard output.
pub struct NewFile {
    opened: Opened,
    written: u64,
}

impl NewFile {
    /// `-` is standard output; a device or a pipe is written as it is. `inputs`: what is read meanwhile.
    pub fn create(path: &Path, inputs: &[PathBuf]) -> Result<NewFile, Failure> {
        let destination = Destination::of(path, inputs)?;
        if let Destination::File { replaces: Some(_), .. } = destination {
            return Err(Failure::Usage(format!("{} is there: nothing is ever overwritten", path.display())));
        }
        Ok(NewFile { opened: destination.open()?, written: 0 })
    }

    /// Gives it its name.
    pub fn finish(self) -> Result<(), Failure> {
        self.opened.finish()
    }
}

impl DiskFile for NewFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        if offset != self.written {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "written out of order"));
        }
        self.opened.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    /// Done when it is finished.
    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&mut self, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn allocate(&mut self, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
