//! Runs the program on files that a test makes byte by byte.

use std::path::PathBuf;

use crate::harness::{Run, inspect, testdata};

impl Run {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap()
    }
}

/// Runs `rdb-inspect` with these arguments.
pub fn run<A: AsRef<std::ffi::OsStr>>(arguments: &[A]) -> Run {
    inspect(arguments)
}

/// The path of a file that a real server wrote.
pub fn server_file(name: &str) -> String {
    testdata(name).to_str().unwrap().into()
}

/// A file that is made in a test, and removed behind it.
pub struct TempFile {
    pub path: String,
    _folder: tempfile::TempDir,
}

pub fn file(bytes: &[u8]) -> TempFile {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("dump.rdb");
    std::fs::write(&path, bytes).unwrap();
    TempFile { path: path.to_str().unwrap().into(), _folder: folder }
}

/// A file of version 9 with these records, and no checksum.
pub fn rdb(records: &[&[u8]]) -> TempFile {
    file(&[b"REDIS0009", &records.concat()[..], b"\xff\0\0\0\0\0\0\0\0"].concat())
}

/// A file with a string under each of these numbers; so many take several passes with `--memory 16`.
pub fn numbered(numbers: std::ops::Range<u32>, value: &[u8]) -> TempFile {
    rdb(&[&numbers.flat_map(|number| key(format!("key:{number}").as_bytes(), value)).collect::<Vec<u8>>()])
}

/// A string behind its length.
pub fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    let head = match length {
        0..64 => vec![length as u8],
        _ => [&[0x80][..], &length.to_be_bytes()].concat(),
    };
    [&head[..], bytes].concat()
}

/// A key with a string.
pub fn key(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0][..], &string(name), &string(value)].concat()
}

/// A compressed string of eight bytes whose only copy points before its start.
pub const BROKEN_LZF: &[u8] = b"\xc3\x02\x08\xc0\x07";
