//! Where results go: standard output or a file, through a thread of its own, so that formatting does not wait for it.
//!
//! Invariant: a file appears under its name when [`Output::finish`] succeeds, and not before.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tempfile::NamedTempFile;

use crate::failure::Failure;

/// Bytes that are handed over at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks on their way.
const CHUNKS: usize = 8;
const NEW_FILE_MODE: u32 = 0o666;

/// Collects bytes and hands them to the thread that writes.
pub struct Output {
    chunk: Vec<u8>,
    full: Option<SyncSender<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    writer: Option<JoinHandle<io::Result<Target>>>,
}

enum Target {
    Stdout(io::Stdout),
    File { file: NamedTempFile, path: PathBuf },
}

impl Output {
    /// To `path`, or to standard output where there is none or it is `-`.
    pub fn to(path: Option<&Path>) -> Result<Output, Failure> {
        match path {
            Some(path) if path.as_os_str() != "-" => Output::to_file(path),
            _ => Ok(Output::start(Target::Stdout(io::stdout()))),
        }
    }

    fn to_file(path: &Path) -> Result<Output, Failure> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new()
            .prefix(".rdb-inspect-")
            .permissions(Permissions::from_mode(NEW_FILE_MODE)) // as of any new file: less what the umask takes
            .tempfile_in(folder)
            .map_err(|error| Failure::file(path, error))?;
        Ok(Output::start(Target::File { file, path: path.to_path_buf() }))
    }

    fn start(target: Target) -> Output {
        let (full, to_write) = sync_channel::<Vec<u8>>(CHUNKS);
        let (written, empty) = sync_channel(CHUNKS);
        let writer = std::thread::spawn(move || write_all(target, &to_write, &written));
        Output { chunk: Vec::with_capacity(CHUNK_BYTES), full: Some(full), empty, writer: Some(writer) }
    }

    /// The bytes that have not been handed over, to be appended to; call [`Output::flow`] after a record.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.chunk
    }

    /// Hands over what is there if it is much. Fails when the writer has failed.
    #[inline]
    pub fn flow(&mut self) -> Result<(), Failure> {
        if self.chunk.len() < CHUNK_BYTES { Ok(()) } else { self.hand_over() }
    }

    fn hand_over(&mut self) -> Result<(), Failure> {
        let next =
            self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4));
        let chunk = std::mem::replace(&mut self.chunk, next);
        match self.full.as_ref().map(|full| full.send(chunk)) {
            Some(Ok(())) => Ok(()),
            // The writer has gone: it says why.
            _ => Err(self.join().err().unwrap_or(Failure::Output(io::ErrorKind::WriteZero.into()))),
        }
    }

    fn join(&mut self) -> Result<Target, Failure> {
        self.full = None;
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(result)) => result.map_err(Failure::Output),
            _ => Err(Failure::Output(io::ErrorKind::WriteZero.into())),
        }
    }

    /// Writes what is left, and gives a file its name.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.hand_over()?;
        match self.join()? {
            Target::Stdout(mut stdout) => stdout.flush().map_err(Failure::Output),
            Target::File { file, path } => {
                file.as_file().sync_all().map_err(|error| Failure::file(&path, error))?;
                file.persist(&path).map(drop).map_err(|error| Failure::file(&path, error.error))
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        self.flow().map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(
    mut target: Target,
    to_write: &Receiver<Vec<u8>>,
    written: &SyncSender<Vec<u8>>,
) -> io::Result<Target> {
    for mut chunk in to_write {
        match &mut target {
            Target::Stdout(stdout) => stdout.write_all(&chunk)?,
            Target::File { file, .. } => file.write_all(&chunk)?,
        }
        chunk.clear();
        if chunk.capacity() <= 2 * CHUNK_BYTES {
            let _ = written.try_send(chunk); // nobody may want it any more
        }
    }
    Ok(target)
}
