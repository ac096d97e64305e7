//! Memory-mapped files, read only. The only `unsafe` of `persist`.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};

/// A mapped file.
pub struct ReadOnlyMap(Option<memmap2::Mmap>);

impl ReadOnlyMap {
    /// Maps a file that nobody changes or shortens while the map lives: the caller answers for that. A read behind the
    /// end of a file that was shortened ends the process (SIGBUS).
    pub fn new(file: &File) -> io::Result<ReadOnlyMap> {
        // An empty file cannot be mapped.
        if file.metadata()?.len() == 0 {
            return Ok(ReadOnlyMap(None));
        }
        // SAFETY: a mapping is sound while nobody changes or shortens what is read through it. The files
        // mapped are segments of a data directory whose lock (flock on LOCK) this process holds; the process
        // itself writes to a mapped segment only the bytes that are there (to make them durable) and shortens
        // it only behind the end of the log, which no reader passes. Tools map files that their user names, and tell
        // the user not to change them meanwhile; Redis and Valkey replace an RDB file as a whole.
        let map = unsafe { memmap2::Mmap::map(file)? };
        // Only a hint: read ahead.
        let _ = map.advise(memmap2::Advice::Sequential);
        Ok(ReadOnlyMap(Some(map)))
    }

    /// Gives back the memory of the pages that lie in `range` as a whole; they are read from the file again if need be.
    pub fn forget(&self, range: Range<usize>) {
        let page = rustix::param::page_size();
        let (start, end) = (range.start.next_multiple_of(page), range.end.min(self.len()) / page * page);
        let Some(map) = self.0.as_ref().filter(|_| start < end) else { return };
        // SAFETY: MADV_DONTNEED changes bytes only where memory is not that of a file, or was written to. This is a
        // read-only map of a file: a later read finds the same bytes, under the same conditions as the first did.
        // Only a hint: where it fails the pages just stay.
        let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start) };
    }
}

impl Deref for ReadOnlyMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or(&[])
    }
}
