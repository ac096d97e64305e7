//! Running the program, servers, and damage.

#[path = "../../../rdb-inspect/tests/harness/everfast.rs"]
mod everfast;
#[path = "../../../rdb-inspect/tests/harness/redis_server.rs"]
mod redis_server;

pub use everfast::Everfast;
pub use redis_server::RedisServer;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use formats::log::SegmentHeader;
use formats::log::frame::decode_frame;
use formats::log::segment::SEGMENT_HEADER_BYTES;
use redis::Connection;
use serde_json::Value;
use tempfile::TempDir;

/// What a run of the program gave.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

const LOCK_TRIES: u32 = 20;
const LOCK_WAIT: Duration = Duration::from_millis(25);

impl Run {
    fn of(program: &mut Command) -> Run {
        let output = program.output().expect("it runs");
        Run {
            code: output.status.code().expect("it ends by itself"),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, if the exit code is this one.
    #[track_caller]
    pub fn ends(self, code: i32) -> Run {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// Runs the program with words and paths as arguments.
///
/// A program that another test starts at this moment may hold the lock of a server of this process a little longer than
/// the server: between fork and exec it has all open files. So a lock that is held is tried again for a while.
pub fn recover<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Run {
    let mut program = Command::new(env!("CARGO_BIN_EXE_everfast-recover"));
    program.args(args).stdin(Stdio::null());
    let mut run = Run::of(&mut program);
    for _ in 0..LOCK_TRIES {
        if !run.stderr.contains("a server runs on this data directory") {
            break;
        }
        std::thread::sleep(LOCK_WAIT);
        run = Run::of(&mut program);
    }
    run
}

/// Arguments of different kinds.
#[macro_export]
macro_rules! run {
    ($($arg:expr),* $(,)?) => { $crate::harness::recover([$(std::ffi::OsStr::new($arg)),*]) };
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Names of what is in a folder.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Names and contents.
pub fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    names(dir)
        .into_iter()
        .map(|name| (name.clone(), std::fs::read(dir.join(&name)).expect("a file")))
        .collect()
}

/// What a crash leaves of the server's directory: its files as they are now.
pub fn crash_image(dir: &Path) -> TempDir {
    let image = folder();
    for (name, bytes) in contents(dir) {
        std::fs::write(image.path().join(name), bytes).expect("a copy");
    }
    image
}

pub fn cmd(connection: &mut Connection, line: &str) {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().expect("a command"));
    words.for_each(|word| {
        command.arg(word);
    });
    let _: redis::Value = command.query(connection).unwrap_or_else(|error| panic!("{line}: {error}"));
}

/// Database and key, value and expiry.
pub type Keys = BTreeMap<(u16, Vec<u8>), (Vec<u8>, i64)>;

/// All strings of a server.
pub fn keys_of(connection: &mut Connection) -> Keys {
    let mut keys = Keys::new();
    for db in 0..4u16 {
        cmd(connection, &format!("SELECT {db}"));
        let names: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(connection).expect("KEYS");
        for name in names {
            let value: Vec<u8> = redis::cmd("GET").arg(&name).query(connection).expect("GET");
            let expiry: i64 = redis::cmd("PEXPIRETIME").arg(&name).query(connection).expect("PEXPIRETIME");
            keys.insert((db, name), (value, expiry));
        }
    }
    cmd(connection, "SELECT 0");
    keys
}

/// What a server that starts on the directory serves.
pub fn served(dir: &Path) -> Keys {
    keys_of(&mut Everfast::start(dir).connect())
}

/// The value that a server on the directory has for a key of database 0.
pub fn value_of(keys: &Keys, key: &str) -> Option<String> {
    keys.get(&(0, key.as_bytes().to_vec())).map(|(value, _)| String::from_utf8_lossy(value).into_owned())
}

/// The segments, in the order of logs and numbers.
pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let is_segment = |name: &String| name.starts_with("log-") && name.ends_with(".seg");
    names(dir).into_iter().filter(is_segment).map(|name| dir.join(name)).collect()
}

/// Offsets and lengths of the frames of a segment.
pub fn frames(segment: &Path) -> Vec<(usize, usize)> {
    let bytes = std::fs::read(segment).expect("a segment");
    let uid = SegmentHeader::decode(&bytes).expect("a header").uid;
    let (mut frames, mut at) = (Vec::new(), SEGMENT_HEADER_BYTES);
    while let Some(Ok(frame)) = bytes.get(at..).map(|rest| decode_frame(rest, uid)) {
        let length = frame.header.frame_bytes() as usize;
        frames.push((at, length));
        at += length;
    }
    frames
}

/// The segment with the most frames.
pub fn fullest_segment(dir: &Path) -> PathBuf {
    segments(dir).into_iter().max_by_key(|segment| frames(segment).len()).expect("a segment")
}

pub fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).expect("a file");
    change(&mut bytes);
    std::fs::write(path, bytes).expect("it is written");
}

/// A directory that a server wrote and closed, and what it served: snapshots and a log behind them.
pub fn checkpointed() -> (TempDir, Keys) {
    let (first, outer) = (folder(), folder());
    {
        let server = Everfast::start(first.path());
        let mut connection = server.connect();
        (0..200).for_each(|i| cmd(&mut connection, &format!("SET old:{i} {i}")));
        cmd(&mut connection, "SET ends soon PXAT 4102444800000");
    }
    let dir = outer.path().join("data");
    run!("replay", first.path(), "--into", &dir, "--shards", "2").ends(0);
    let server = Everfast::start(&dir);
    let mut connection = server.connect();
    (0..50).for_each(|i| cmd(&mut connection, &format!("SET new:{i} {i}")));
    cmd(&mut connection, "SET old:0 changed");
    let keys = keys_of(&mut connection);
    drop(server);
    let image = crash_image(&dir);
    (image, keys)
}
