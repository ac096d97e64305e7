//! Where a command writes: what stands at the path that the user gave, and whether it may be written.
//!
//! Invariants:
//! 1. No input is ever written, whatever name it has: device and inode are compared, not paths.
//! 2. Nothing is written into a data directory of Everfast.
//! 3. Only a regular file is ever replaced; a device, a pipe and an open file are written through.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use everfast::persist::file_names;

use crate::failure::Failure;
use crate::unfinished::NewFile;

/// As of any new file: less what the umask takes.
const NEW_FILE_MODE: u32 = 0o666;
/// More links in a row are taken for a loop, as Linux does.
const MAX_LINKS: usize = 40;
/// How a MANIFEST of Everfast starts.
const MANIFEST_MAGIC: &[u8] = b"everfast-manifest ";

/// To whom a file belongs, and who may do what with it.
#[derive(Clone, Copy)]
pub struct Rights {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Rights {
    fn of(file: &Metadata) -> Rights {
        Rights { uid: file.uid(), gid: file.gid(), mode: file.mode() & 0o7777 }
    }
}

/// A place that may be written.
pub enum Destination {
    Stdout,
    /// No regular file, or one that somebody opened for us: it is written as it is.
    Through(PathBuf),
    /// Made anew beside `path`, which is no link, and renamed to it; `replaces` tells of the file that is there.
    File {
        path: PathBuf,
        replaces: Option<Rights>,
    },
}

impl Destination {
    /// What `path` means to a command that reads `inputs`. Fails where that must not be written.
    pub fn of(path: &Path, inputs: &[PathBuf]) -> Result<Destination, Failure> {
        if is_stdout(path) {
            if let Some(metadata) = metadata_of(&io::stdout()) {
                refuse_same(&metadata, inputs)?;
            }
            return Ok(Destination::Stdout);
        }
        let folder_is_named = path.as_os_str().as_bytes().ends_with(b"/");
        let found = match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(names_folder(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder_is_named => {
                return Err(names_folder(path));
            }
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::file(path, error)),
        };
        if let Some(found) = &found {
            refuse_same(found, inputs)?;
        }
        let real = without_links(path).map_err(|error| Failure::file(path, error))?;
        match (real, found) {
            (Some(real), found) if found.as_ref().is_none_or(Metadata::is_file) => {
                refuse_folder(folder_of(&real), inputs)?;
                Ok(Destination::File { path: real, replaces: found.as_ref().map(Rights::of) })
            }
            _ => Ok(Destination::Through(path.to_path_buf())),
        }
    }

    /// Opens it; a new file has no name before [`Opened::finish`].
    pub fn open(self) -> Result<Opened, Failure> {
        match self {
            Destination::Stdout => Ok(Opened::Stdout(io::stdout())),
            Destination::Through(path) => {
                let is_file = fs::metadata(&path).is_ok_and(|found| found.is_file());
                // An open file of somebody else's is continued, not begun anew.
                let file = OpenOptions::new().write(true).append(is_file).open(&path);
                Ok(Opened::Through(file.map_err(|error| Failure::file(&path, error))?))
            }
            Destination::File { path, replaces } => {
                let mode = replaces.as_ref().map_or(NEW_FILE_MODE, |old| old.mode & 0o777);
                let file = NewFile::in_folder(folder_of(&path), mode);
                let file = file.map_err(|error| Failure::file(&path, error))?;
                Ok(Opened::File { file, path, replaces })
            }
        }
    }
}

/// An open destination.
pub enum Opened {
    Stdout(io::Stdout),
    Through(File),
    File { file: NewFile, path: PathBuf, replaces: Option<Rights> },
}

impl Opened {
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Opened::Stdout(stdout) => stdout.write_all(bytes),
            Opened::Through(file) => file.write_all(bytes),
            Opened::File { file, .. } => file.write_all(bytes),
        }
    }

    /// All is written: a file gets its name, and the owner and permissions of the one that it replaces.
    pub fn finish(self) -> Result<(), Failure> {
        match self {
            Opened::Stdout(mut stdout) => stdout.flush().map_err(Failure::Output),
            Opened::Through(mut file) => file.flush().map_err(Failure::Output),
            Opened::File { mut file, path, replaces } => {
                let mut finish = || {
                    let Some(old) = replaces else { return Ok(()) };
                    let new = file.file()?;
                    let _ = fchown(&*new, Some(old.uid), Some(old.gid)); // only root may, for others' files
                    new.set_permissions(fs::Permissions::from_mode(old.mode))
                };
                let finished = finish().and_then(|()| file.finish(&path));
                finished.map_err(|error| Failure::file(&path, error))
            }
        }
    }
}

/// Fails if nothing must be written into `folder`: it is an input, or a data directory of Everfast.
pub fn refuse_folder(folder: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => refuse_same(&found, inputs)?,
        Ok(_) => return Err(Failure::file(folder, io::ErrorKind::NotADirectory.into())),
        Err(error) => return Err(Failure::file(folder, error)),
    }
    let mut start = Vec::new();
    if let Ok(manifest) = File::open(folder.join(file_names::MANIFEST)) {
        let _ = manifest.take(MANIFEST_MAGIC.len() as u64).read_to_end(&mut start); // what cannot be read is none of ours
    }
    match start == MANIFEST_MAGIC {
        true => {
            let text =
                format!("{} is a data directory of Everfast; write to another folder", folder.display());
            Err(Failure::Usage(text))
        }
        false => Ok(()),
    }
}

/// Fails if `found` is one of the inputs. Terminals and sockets may be both.
fn refuse_same(found: &Metadata, inputs: &[PathBuf]) -> Result<(), Failure> {
    if found.file_type().is_char_device() || found.file_type().is_socket() {
        return Ok(());
    }
    let is_same = |input: &&PathBuf| {
        let input = match input.as_os_str() == "-" {
            true => metadata_of(&io::stdin()),
            false => fs::metadata(input).ok(),
        };
        input.is_some_and(|input| (input.dev(), input.ino()) == (found.dev(), found.ino()))
    };
    match inputs.iter().find(is_same) {
        Some(input) => {
            let name =
                if input.as_os_str() == "-" { "standard input".into() } else { input.display().to_string() };
            Err(Failure::Usage(format!("{name} is an input; write to another place")))
        }
        None => Ok(()),
    }
}

fn names_folder(path: &Path) -> Failure {
    Failure::Usage(format!("{} is a folder; name a file in it", path.display()))
}

fn metadata_of(open: &impl AsFd) -> Option<Metadata> {
    File::from(open.as_fd().try_clone_to_owned().ok()?).metadata().ok()
}

fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path.as_os_str() == *name)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The path that links lead to in the end; `None` if that is an open file of this process.
fn without_links(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        let folder = folder_of(&path).canonicalize()?;
        if folder.starts_with("/proc") {
            return Ok(None);
        }
        match fs::read_link(&path) {
            Ok(link) => path = folder.join(link),
            Err(_) => return Ok(path.file_name().map(|name| folder.join(name))),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_open_files_are_not_replaced() {
        let of = |path: &str| Destination::of(Path::new(path), &[]).unwrap();
        for stdout in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
            assert!(matches!(of(stdout), Destination::Stdout), "{stdout}");
        }
        let open = tempfile::tempfile().unwrap();
        let named = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        for through in ["/dev/null", "/dev/full", "/dev/stderr", &named] {
            assert!(matches!(of(through), Destination::Through(_)), "{through}");
        }
    }

    #[test]
    fn a_loop_of_links_is_no_destination() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("link", &link).unwrap();
        assert!(Destination::of(&link, &[]).is_err());
    }
}
