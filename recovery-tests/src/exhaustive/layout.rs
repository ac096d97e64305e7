//! What the files of a directory hold, read from the undamaged bytes: which frames a log that is still open has, where,
//! and how many keys are in each.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use everfast::persist::disk::{Disk, SimDisk};
use everfast::persist::file_names;
use formats::log::frame::{FRAME_HEADER_BYTES, decode_frame};
use formats::log::manifest::{LogState, MAX_MANIFEST_BYTES, SegmentEntry};
use formats::log::segment::SEGMENT_HEADER_BYTES;
use formats::log::{EffectReader, Gsn, Manifest, UnverifiedManifest};

use super::run::{DIR, path};

/// One frame of an open log.
#[derive(Clone, Debug)]
pub struct FramePlace {
    pub file: String,
    pub bytes: Range<usize>,
    pub shard: u16,
    pub number: u64,
    /// Frames with lower numbers are vouched for by it.
    pub vouches_below: u64,
    /// Keys set by it.
    pub keys: usize,
    /// Transactions over several shards of which it has a part.
    pub transactions: Vec<Gsn>,
    /// It tells that all transactions up to this one were durable everywhere.
    pub complete: Option<Gsn>,
}

impl FramePlace {
    pub fn header(&self) -> Range<usize> {
        self.bytes.start..self.bytes.start + FRAME_HEADER_BYTES
    }
}

/// See the module.
pub struct Layout {
    /// Every file and its length in bytes.
    pub files: BTreeMap<String, usize>,
    /// Logs that are open: their frames in order.
    pub logs: Vec<Vec<FramePlace>>,
    /// Where the used bytes of a segment end.
    ends: BTreeMap<String, usize>,
}

impl Layout {
    /// Reads a directory that is sound.
    ///
    /// # Errors
    /// It is not.
    pub fn of(sim: &SimDisk) -> Result<Layout, String> {
        let disk = sim.mount();
        let names = disk.list(std::path::Path::new(DIR)).map_err(|error| error.to_string())?;
        let length = |name: String| Some((name.clone(), sim.contents(&path(&name))?.len()));
        let files = names.into_iter().filter_map(length).collect();
        let manifest = read_manifest(&*disk)?;
        let mut layout = Layout { files, logs: Vec::new(), ends: BTreeMap::new() };
        for log in &manifest.logs {
            let mut frames = Vec::new();
            for segment in manifest.segments_of(log.id) {
                match log.state {
                    LogState::Open => layout.segment(sim, segment, &mut frames)?,
                    LogState::Sealed(_) => layout.sealed(segment),
                }
            }
            layout.logs.push(frames);
        }
        Ok(layout)
    }

    /// A crash may have come before its file was shortened.
    fn sealed(&mut self, entry: &SegmentEntry) {
        self.ends.insert(file_names::segment(entry.log, entry.number), entry.bytes as usize);
    }

    fn segment(
        &mut self,
        sim: &SimDisk,
        entry: &SegmentEntry,
        frames: &mut Vec<FramePlace>,
    ) -> Result<(), String> {
        let file = file_names::segment(entry.log, entry.number);
        let bytes = sim.contents(&path(&file)).ok_or_else(|| format!("{file} is not there"))?;
        let mut at = SEGMENT_HEADER_BYTES;
        while let Ok(frame) = decode_frame(bytes.get(at..).unwrap_or_default(), entry.uid) {
            let end = at + frame.header.frame_bytes() as usize;
            let (mut effects, mut args, mut keys) = (EffectReader::new(frame.effects), Vec::new(), 0);
            while effects.next_into(&mut args).map_err(|error| error.to_string())? {
                keys += usize::from(args.first() == Some(&&b"SET"[..]));
            }
            let (number, vouches_below) = (frame.header.number.0, frame.header.durable_frames.0);
            let (file, shard) = (file.clone(), frame.header.shard.0);
            let transactions = frame.transactions.iter().map(|part| part.gsn).collect();
            let (bytes, complete) = (at..end, frame.complete);
            frames.push(FramePlace {
                file,
                bytes,
                shard,
                number,
                vouches_below,
                keys,
                transactions,
                complete,
            });
            at = end;
        }
        self.ends.insert(file, at);
        Ok(())
    }

    /// Whether a start has no reason to refuse when these bytes of a file are damaged: nothing that counts is there.
    pub fn is_unused(&self, file: &str, bytes: &Range<usize>) -> bool {
        file.starts_with("pool-") || self.ends.get(file).is_some_and(|end| bytes.start >= *end)
    }

    /// Whether a log that is sealed has what it needs in so many bytes of a file.
    pub fn is_enough(&self, file: &str, bytes: usize) -> bool {
        let is_open = self.logs.iter().flatten().any(|frame| frame.file == file);
        !is_open && self.ends.get(file).is_some_and(|end| bytes >= *end && self.files[file] > *end)
    }

    /// What damage to these bytes of a file may cost without being told from a torn end: for each shard, how many keys at
    /// the end of its log. `None`: nothing, somebody vouches for it.
    pub fn cost(&self, file: &str, bytes: &Range<usize>) -> Option<BTreeMap<u16, usize>> {
        let touches = |range: &Range<usize>| range.start < bytes.end && bytes.start < range.end;
        let log = self
            .logs
            .iter()
            .find(|log| log.iter().any(|frame| frame.file == file && touches(&frame.bytes)))?;
        let first = log.iter().position(|frame| frame.file == file && touches(&frame.bytes))?;
        // A header that is whole vouches, even where its body is damaged.
        let is_sound = |frame: &&FramePlace| frame.file != file || !touches(&frame.header());
        if log[first..].iter().filter(is_sound).any(|frame| frame.vouches_below > log[first].number) {
            return None;
        }
        // As does whoever tells, in a frame that is whole, that a transaction was complete.
        let is_lost = |frame: &FramePlace| log[first..].iter().any(|lost| std::ptr::eq(lost, frame));
        let sound = self.logs.iter().flatten().filter(|frame| !is_lost(frame));
        let complete = sound.filter_map(|frame| frame.complete).max();
        let mut parts = log[first..].iter().flat_map(|frame| &frame.transactions);
        if parts.any(|gsn| Some(*gsn) <= complete) {
            return None;
        }
        let mut keys = BTreeMap::new();
        for frame in &log[first..] {
            *keys.entry(frame.shard).or_default() += frame.keys;
        }
        Some(keys)
    }

    /// Whether one frame is damaged, and not its header: then its cut is told.
    pub fn is_told(&self, file: &str, bytes: &Range<usize>) -> bool {
        let mut frames = self.logs.iter().flatten().filter(|frame| frame.file == file);
        frames.any(|frame| {
            frame.bytes.start + FRAME_HEADER_BYTES <= bytes.start && bytes.end <= frame.bytes.end
        })
    }
}

fn read_manifest(disk: &dyn Disk) -> Result<Manifest, String> {
    let file: PathBuf = path(file_names::MANIFEST);
    let bytes = disk.read(&file, MAX_MANIFEST_BYTES).map_err(|error| error.to_string())?;
    UnverifiedManifest(&bytes).verify().map_err(|error| error.to_string())
}
