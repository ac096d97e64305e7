//! From the encoder to the file, in pieces.
//!
//! Invariants:
//! 1. At most [`PIECE_BYTES`] and one string of at most as many wait in memory.
//! 2. `synced <= written`, and all is synced when [`Output::finish`] answers.

use formats::rdb::encode::Encoder;

use super::{Aux, Options, Progress, WriteError, Written};
use crate::persist::disk::DiskFile;

/// What is written at once. Longer strings are given to the encoder in pieces of this length.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// A file that is being written.
pub(super) struct Output<'a> {
    pub(super) encoder: Encoder,
    file: &'a mut dyn DiskFile,
    progress: &'a Progress,
    sync_every_bytes: u64,
    written: u64,
    synced: u64,
    body_start: u64,
    keys: u64,
}

impl<'a> Output<'a> {
    /// Starts a file with its head.
    pub(super) fn start(
        aux: &Aux,
        file: &'a mut dyn DiskFile,
        options: &Options,
        progress: &'a Progress,
    ) -> Result<Self, WriteError> {
        let mut encoder = Encoder::new(options.version, options.compress);
        for (name, value) in &aux.0 {
            encoder.aux(name.as_bytes(), value.as_bytes())?;
        }
        let body_start = encoder.bytes_written();
        let sync_every_bytes = options.sync_every_bytes;
        Ok(Output { encoder, file, progress, sync_every_bytes, written: 0, synced: 0, body_start, keys: 0 })
    }

    /// Hands pending bytes to the file once they make a piece.
    #[inline]
    pub(super) fn relieve(&mut self) -> Result<(), WriteError> {
        if self.encoder.pending().len() < PIECE_BYTES { Ok(()) } else { self.flush() }
    }

    pub(super) fn count_keys(&mut self, keys: u64) {
        self.keys += keys;
        self.progress.add_keys(keys);
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.progress.check()?;
        let bytes = self.encoder.pending().len() as u64;
        self.file.write_all_at(self.written, self.encoder.pending())?;
        self.encoder.clear_pending();
        self.written += bytes;
        self.progress.add_bytes(bytes);
        if self.written - self.synced >= self.sync_every_bytes {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        self.file.sync_data()?;
        self.synced = self.written;
        Ok(())
    }

    /// Ends the file and makes it durable.
    pub(super) fn finish(mut self) -> Result<Written, WriteError> {
        let body = self.body_start..self.encoder.bytes_written();
        self.encoder.finish()?;
        let crc64 = self.encoder.pending().last_chunk().copied().map_or(0, u64::from_le_bytes);
        self.flush()?;
        self.sync()?;
        Ok(Written { bytes: self.written, keys: self.keys, crc64, body })
    }
}
