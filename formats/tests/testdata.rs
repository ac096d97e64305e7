//! Finds the files of other servers.

use std::fs;
use std::path::{Path, PathBuf};

/// Where they are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// The bytes of a file by its path in the folder.
pub fn read(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// An RDB file.
pub struct RdbFile {
    /// Without `.rdb`.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// All RDB files that stand for themselves, by name.
pub fn rdb_files() -> Vec<RdbFile> {
    let files: Vec<RdbFile> = names()
        .iter()
        .filter_map(|name| name.strip_suffix(".rdb"))
        .map(|name| RdbFile { name: name.into(), bytes: read(&format!("{name}.rdb")) })
        .collect();
    assert!(files.len() > 40, "only {} files", files.len());
    files
}

/// Folders with the append-only log of a server, by name.
pub fn log_folders() -> Vec<String> {
    let is_log = |name: &String| name.contains("-aof") && folder().join(name).is_dir();
    let folders: Vec<String> = names().into_iter().filter(is_log).collect();
    assert!(folders.len() > 15, "only {} logs", folders.len());
    folders
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("testdata is beside the tests");
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
