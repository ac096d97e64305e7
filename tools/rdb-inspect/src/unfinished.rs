//! Files and folders that are not complete: they are removed however the run ends, unless it is killed.
//!
//! Invariant: what is there under a name of ours is in the list from before anyone can see it until it is removed or has
//! its final name; both happen under the list's lock.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, NamedTempFile, TempDir};

const PREFIX: &str = ".rdb-inspect-";

/// Less what the umask takes.
const NEW_FOLDER_MODE: u32 = 0o777;

/// How often a folder is tried to be removed.
const REMOVALS: usize = 5;

static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Keeps others from beginning or finishing anything.
pub type Held = MutexGuard<'static, Vec<PathBuf>>;

/// Waits for whoever removes what is unfinished.
pub fn hold() -> Held {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all that is unfinished; `first` is called before. Nothing else can be begun while the answer lives.
pub fn remove_all(first: impl FnOnce()) -> Held {
    let mut list = hold();
    first();
    // What came last is within what came before.
    for path in list.drain(..).rev() {
        let is_ours = path.file_name().is_some_and(|name| name.as_bytes().starts_with(PREFIX.as_bytes()));
        match is_ours {
            true => remove(&path),
            false => drop(fs::remove_dir(&path)), // others may have put something into it
        }
    }
    list
}

/// Removes a file, or a folder with all in it. Files may still come into a folder, from threads that do not know yet that the
/// program ends: it is tried again.
fn remove(path: &Path) {
    for _ in 0..REMOVALS {
        let removed = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
        if removed.is_ok() || !path.exists() {
            return;
        }
    }
}

fn forget(list: &mut Held, path: &Path) {
    list.retain(|other| other != path);
}

/// A file that will get its name when it is complete.
pub struct NewFile(Option<NamedTempFile>);

impl NewFile {
    /// In `folder`, which is that of its final name. `mode`: its permissions, less what the umask takes.
    pub fn in_folder(folder: &Path, mode: u32) -> io::Result<NewFile> {
        let mut list = hold();
        let file =
            Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(mode)).tempfile_in(folder)?;
        list.push(file.path().to_path_buf());
        Ok(NewFile(Some(file)))
    }

    pub fn file(&mut self) -> io::Result<&mut fs::File> {
        self.0.as_mut().map(NamedTempFile::as_file_mut).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Makes it durable, and gives it its name in place of what has it.
    pub fn finish(mut self, path: &Path) -> io::Result<()> {
        self.file()?.sync_all()?;
        let mut list = hold();
        let Some(file) = self.0.take() else { return Ok(()) };
        let own = file.path().to_path_buf();
        let finished = file.persist(path).map(drop).map_err(|error| error.error); // removes it where that fails
        forget(&mut list, &own);
        finished
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let Some(file) = self.0.take() else { return };
        let mut list = hold();
        let own = file.path().to_path_buf();
        drop(file); // removes it
        forget(&mut list, &own);
    }
}

/// A folder that is removed in the end with what is in it.
pub struct NewFolder(Option<TempDir>);

impl NewFolder {
    pub fn in_folder(folder: &Path) -> io::Result<NewFolder> {
        let mut list = hold();
        let folder = Builder::new().prefix(PREFIX).tempdir_in(folder)?;
        list.push(folder.path().to_path_buf());
        Ok(NewFolder(Some(folder)))
    }

    /// One that is to be kept in the end, with the permissions that any new folder has.
    pub fn for_result(folder: &Path) -> io::Result<NewFolder> {
        let mut list = hold();
        let permissions = Permissions::from_mode(NEW_FOLDER_MODE);
        let folder = Builder::new().prefix(PREFIX).permissions(permissions).tempdir_in(folder)?;
        list.push(folder.path().to_path_buf());
        Ok(NewFolder(Some(folder)))
    }

    pub fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }

    /// Gives it its name, in place of an empty folder if one has it, and makes that durable. Its files are the caller's to
    /// make durable.
    pub fn finish(mut self, path: &Path) -> io::Result<()> {
        let mut list = hold();
        let Some(folder) = self.0.take() else { return Ok(()) };
        let own = folder.path().to_path_buf();
        let renamed = fs::rename(&own, path); // fails where the other is not empty
        match renamed {
            Ok(()) => drop(folder.keep()),
            Err(_) => drop(folder), // removes it
        }
        forget(&mut list, &own);
        renamed?;
        let outer = path.parent().filter(|outer| !outer.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(outer)?.sync_all()
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        let Some(folder) = self.0.take() else { return };
        let mut list = hold();
        let own = folder.path().to_path_buf();
        drop(folder); // removes it
        forget(&mut list, &own);
    }
}

/// Folders that were made for results: removed again as long as they are empty and [`Folders::keep`] was not called.
pub struct Folders(Vec<PathBuf>);

impl Folders {
    /// Makes `path` and those above it that are not there.
    pub fn make(path: &Path) -> io::Result<Folders> {
        let mut list = hold();
        let missing =
            path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let mut missing: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
        missing.reverse();
        fs::create_dir_all(path)?;
        list.extend(missing.iter().cloned());
        Ok(Folders(missing))
    }

    /// They hold results now.
    pub fn keep(&mut self, held: &mut Held) {
        self.0.drain(..).for_each(|folder| forget(held, &folder));
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        let mut list = hold();
        for folder in self.0.drain(..).rev() {
            let _ = fs::remove_dir(&folder); // one that holds something stays
            forget(&mut list, &folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn what_is_not_finished_is_removed() {
        let outer = tempfile::tempdir().unwrap();
        let mut file = NewFile::in_folder(outer.path(), 0o600).unwrap();
        file.write_all(b"half").unwrap();
        let folder = NewFolder::in_folder(outer.path()).unwrap();
        fs::write(folder.path().join("x"), b"half").unwrap();
        let (own, own_folder) = (entries(outer.path()), folder.path().to_path_buf());
        assert_eq!(own.len(), 2);
        assert!(own.iter().all(|path| hold().contains(path)));
        drop((file, folder));
        assert_eq!(entries(outer.path()), [] as [PathBuf; 0]);
        assert!(!hold().contains(&own_folder));
    }

    #[test]
    fn what_is_finished_stays() {
        let outer = tempfile::tempdir().unwrap();
        let mut file = NewFile::in_folder(outer.path(), 0o600).unwrap();
        file.write_all(b"whole").unwrap();
        let own = entries(outer.path()).remove(0);
        file.finish(&outer.path().join("name")).unwrap();
        assert_eq!(fs::read(outer.path().join("name")).unwrap(), b"whole");
        assert!(!hold().contains(&own));
    }
}
