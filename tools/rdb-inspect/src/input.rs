//! Inputs: files, standard input, data directories; all of them mapped.

mod data_dir;

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use everfast::persist::disk::ReadOnlyMap;
use formats::aof::{AofKind, aof_kind};
use formats::rdb::Version;
use formats::rdb::error::Problem;
use formats::rdb::version::{REDIS_VERSIONS, VALKEY_VERSIONS};

use crate::failure::{Failure, Verdict};

/// Bytes that are copied at once from what cannot be mapped.
const SPOOL_CHUNK_BYTES: usize = 256 << 10;

/// Standard input can be read once.
static STDIN_IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// A mapped file with the name that the user gave it.
pub struct Input {
    pub name: String,
    pub path: PathBuf,
    map: ReadOnlyMap,
}

impl Input {
    /// Maps the file at `path`; `-` is standard input.
    pub fn open(path: &Path) -> Result<Input, Failure> {
        let is_stdin = path.as_os_str() == "-";
        let name = if is_stdin { "standard input".into() } else { path.display().to_string() };
        let file = if is_stdin { standard_input() } else { File::open(path) };
        let fail = |error| Failure::file(Path::new(&name), error);
        let file = file.map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        let file = match () {
            () if metadata.is_dir() && !is_stdin => data_dir::as_rdb(path)?,
            () if metadata.is_file() => file,
            () => spool(file).map_err(fail)?,
        };
        let map = ReadOnlyMap::new(&file).map_err(fail)?;
        Ok(Input { name, path: path.to_path_buf(), map })
    }

    /// Shows `visit` all of `paths`, one after the other; `visit` breaks when it has seen enough. One of several that cannot
    /// be read, or is no RDB file, is told and passed over; that is [`Verdict::Incomplete`].
    pub fn each(
        paths: &[PathBuf],
        mut visit: impl FnMut(&Input) -> Result<ControlFlow<Verdict, Verdict>, Failure>,
    ) -> Result<Verdict, Failure> {
        Input::each_opened(paths, Input::open_rdb, |input| visit(&input))
    }

    /// All of `paths` that can be read, where they are needed at once; the others are told as by [`Input::each`].
    pub fn open_readable(paths: &[PathBuf]) -> Result<(Vec<Input>, Verdict), Failure> {
        let mut inputs = Vec::new();
        let verdict = Input::each_opened(paths, Input::open_rdb, |input| {
            inputs.push(input);
            Ok(ControlFlow::Continue(Verdict::Good))
        })?;
        Ok((inputs, verdict))
    }

    fn open_rdb(path: &Path) -> Result<Input, Failure> {
        let input = Input::open(path)?;
        input.refuse_other_kinds()?;
        Ok(input)
    }

    /// The same for inputs that `open` opens.
    pub fn each_opened<I>(
        paths: &[PathBuf],
        mut open: impl FnMut(&Path) -> Result<I, Failure>,
        mut visit: impl FnMut(I) -> Result<ControlFlow<Verdict, Verdict>, Failure>,
    ) -> Result<Verdict, Failure> {
        if paths.is_empty() {
            return Err(Failure::Usage("name a file, `-` for standard input, or a data directory".into()));
        }
        let mut verdict = Verdict::Good;
        let mut is_read = false;
        for (i, path) in paths.iter().enumerate() {
            let input = match open(path) {
                Ok(input) => input,
                Err(Failure::Interrupted) => return Err(Failure::Interrupted),
                Err(failure) if i + 1 == paths.len() && !is_read => return Err(failure),
                Err(failure) => {
                    failure.report();
                    verdict = verdict.max(Verdict::Incomplete);
                    continue;
                }
            };
            is_read = true;
            match visit(input)? {
                ControlFlow::Continue(of_one) => verdict = verdict.max(of_one),
                ControlFlow::Break(of_one) => return Ok(verdict.max(of_one)),
            }
        }
        Ok(verdict)
    }

    /// Maps all of `paths`, of which each must be an RDB file: for commands that need all at once.
    pub fn open_all(paths: &[PathBuf]) -> Result<Vec<Input>, Failure> {
        let open =
            |path: &PathBuf| Input::open(path).and_then(|input| input.refuse_other_kinds().map(|()| input));
        paths.iter().map(open).collect()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub fn len(&self) -> u64 {
        self.map.len() as u64
    }

    /// Fails if the file is something else that is known: what has lost its beginning is not.
    pub fn refuse_known_kinds(&self) -> Result<(), Failure> {
        match kind(self.bytes()) {
            Kind::Rdb | Kind::Unknown => Ok(()),
            _ => self.refuse_other_kinds(),
        }
    }

    /// Fails if the file is of another kind, or newer than what is understood. One whose first bytes are damaged is neither.
    pub fn refuse_other_kinds(&self) -> Result<(), Failure> {
        let what = match kind(self.bytes()) {
            Kind::Rdb => match newer_version(self.bytes()) {
                Some(newer) => newer,
                None => return Ok(()),
            },
            Kind::Commands => "no RDB file but an append-only file: see `rdb-inspect log`".into(),
            Kind::Segment => {
                "no RDB file but a segment of an Everfast log: see `rdb-inspect log`, or name its directory"
                    .into()
            }
            Kind::Manifest => "the MANIFEST of a data directory: name the directory instead".into(),
            Kind::Compressed { with, unpack } => {
                format!("compressed with {with}: `{unpack} FILE | rdb-inspect COMMAND -` reads it")
            }
            Kind::Empty if self.path.as_os_str() == "-" => "empty, or closed".into(),
            Kind::Empty => "empty: no RDB file".into(),
            Kind::Unknown => {
                "no RDB file: it begins with neither REDIS nor VALKEY (`salvage` looks for keys \
                              in what has lost its beginning)"
                    .into()
            }
        };
        let error = io::Error::new(io::ErrorKind::InvalidData, what);
        Err(Failure::file(Path::new(&self.name), error))
    }
}

/// What is to be said of a file whose version is newer than the last that is understood.
fn newer_version(bytes: &[u8]) -> Option<String> {
    let Err(error) = Version::parse(bytes) else { return None };
    let Problem::UnknownVersion { found } = *error.problem() else { return None };
    let (server, last) = match bytes.starts_with(b"VALKEY") {
        true => ("Valkey", *VALKEY_VERSIONS.end()),
        false => ("Redis", *REDIS_VERSIONS.end()),
    };
    (found > last).then(|| {
        format!("version {found} of {server}'s RDB files is newer than this program understands ({last})")
    })
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
    /// By a program that is asked to `unpack` it.
    Compressed {
        with: &'static str,
        unpack: &'static str,
    },
    Empty,
    Unknown,
}

/// Tells the kind of a file.
pub fn kind(bytes: &[u8]) -> Kind {
    match aof_kind(bytes) {
        AofKind::RdbPreamble => Kind::Rdb,
        AofKind::Empty => Kind::Empty,
        AofKind::Commands => Kind::Commands,
        _ if bytes.starts_with(b"EVERFSEG") => Kind::Segment,
        _ if bytes.starts_with(b"everfast-manifest ") => Kind::Manifest,
        _ => PACKERS
            .iter()
            .find(|packer| bytes.starts_with(packer.0))
            .map_or(Kind::Unknown, |packer| Kind::Compressed { with: packer.1, unpack: packer.2 }),
    }
}

/// First bytes of packed files, the program that packs them, how to unpack them.
const PACKERS: [(&[u8], &str, &str); 6] = [
    (b"\x1f\x8b", "gzip", "gzip -dc"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
    (b"\xfd7zXZ\0", "xz", "xz -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc"),
    (b"PK\x03\x04", "zip", "unzip -p"),
];

/// What is open as standard input.
fn standard_input() -> io::Result<File> {
    if STDIN_IS_TAKEN.swap(true, Ordering::Relaxed) {
        return Err(io::Error::other("can be read only once"));
    }
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// All that comes out of a pipe or a device, in a temporary file that has no name.
fn spool(mut from: File) -> io::Result<File> {
    let mut spool = tempfile::tempfile()?;
    let mut buffer = vec![0; SPOOL_CHUNK_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(spool),
            Ok(count) => spool.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_kind() {
        assert_eq!(kind(b"REDIS0010"), Kind::Rdb);
        assert_eq!((kind(b"RED"), kind(b"VALKEY0"), kind(b"REDIS0013")), (Kind::Rdb, Kind::Rdb, Kind::Rdb));
        assert_eq!((kind(b""), kind(b"text"), kind(b"*3\r\n")), (Kind::Empty, Kind::Unknown, Kind::Commands));
        assert_eq!(kind(b"\x1f\x8b\x08\0"), Kind::Compressed { with: "gzip", unpack: "gzip -dc" });
    }

    #[test]
    fn only_newer_versions_are_newer() {
        let is_newer =
            [&b"REDIS0012"[..], b"REDIS0013", b"VALKEY080", b"VALKEY081", b"VALKEY012", b"REDIS000x"]
                .map(|header| newer_version(header).is_some());
        assert_eq!(is_newer, [false, true, false, true, false, false]);
    }
}
