//! The writer, step by step, on a disk that fails on purpose.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use formats::log::manifest::{EpochEntry, LogEntry, LogStart, LogState, SegmentEntry};
use formats::log::{
    CheckpointId, Epoch, FrameNo, Gsn, LogId, Manifest, Position, SegmentHeader, SegmentNo, SegmentUid,
    ShardId,
};

use super::chunk::Chunk;
use super::cut::{CutAnswer, CutRequest, Handed};
use super::writer::{LogWriter, WriterParts};
use super::*;
use crate::persist::disk::{Fault, SimDisk};
use crate::persist::files::Files;
use crate::persist::manifest::ManifestFile;

const SEGMENT_BYTES: u64 = 16 << 10;

struct Bench {
    sim: SimDisk,
    files: Arc<Files>,
    writer: LogWriter,
    spare: Arc<SpareSlot>,
    shared: Vec<Arc<LogShared>>,
    appended: Vec<Position>,
    now_ms: u64,
}

/// A writer for two shards on a fresh simulated disk.
fn bench(policy: SyncPolicy) -> Bench {
    let sim = SimDisk::new();
    let (disk, dir) = (sim.mount(), PathBuf::from("/d"));
    let shards = vec![ShardId(0), ShardId(1)];
    let mut manifest = Manifest::new(0);
    (manifest.next_epoch, manifest.next_log) = (Epoch(2), LogId(2));
    manifest.epochs.push(EpochEntry { number: Epoch(1), shards: 2, first_gsn: Gsn(1) });
    manifest.logs.push(LogEntry {
        id: LogId(1),
        epoch: Epoch(1),
        from: LogStart::zero(&shards),
        shards: shards.clone(),
        state: LogState::Open,
    });
    let manifest = ManifestFile::create(&*disk, dir.clone(), manifest).unwrap();
    let files = Arc::new(Files::new(disk, dir, manifest));
    let header = SegmentHeader {
        epoch: Epoch(1),
        log: LogId(1),
        segment: SegmentNo(0),
        uid: SegmentUid(0),
        checkpoint: 0,
        file_bytes: 0,
        hash_seed: 0,
        shards: shards.clone(),
    };
    let segment = files.make_segment(header.clone(), SEGMENT_BYTES).unwrap();
    let entry = SegmentEntry { log: LogId(1), number: SegmentNo(0), uid: segment.uid, bytes: segment.bytes };
    files.update_manifest(|manifest| manifest.insert_segment(entry)).unwrap();
    let cell = Arc::new(PolicyCell::default());
    cell.set(policy);
    let metrics: Arc<LogMetrics> = Arc::default();
    let shared: Vec<_> = shards
        .iter()
        .map(|&shard| {
            let (cell, metrics) = (Arc::clone(&cell), Arc::clone(&metrics));
            Arc::new(LogShared::new(shard, LogId(1), 1 << 20, cell, metrics))
        })
        .collect();
    let spare = Arc::new(SpareSlot::new(Arc::clone(&files), header, SEGMENT_BYTES));
    let parts = WriterParts {
        log: LogId(1),
        segment: Segment::new(segment),
        spare: Arc::clone(&spare),
        preparer: None,
        sizes: SegmentSizes { first_bytes: SEGMENT_BYTES, max_bytes: 4 * SEGMENT_BYTES },
        shards: shared.clone(),
        policy: cell,
        metrics,
    };
    let writer = LogWriter::new(parts, 0);
    Bench { sim, files, writer, spare, shared, appended: vec![Position(0); 2], now_ms: 0 }
}

impl Bench {
    /// Hands the writer one effect of about `bytes` bytes; does not run it.
    fn push(&mut self, shard: usize, bytes: usize) {
        let mut chunk = Chunk::new(ShardId(shard as u16), self.appended[shard], Vec::new());
        chunk.append(0, &[b"SET", b"k", &vec![b'v'; bytes]]);
        chunk.hand_over(0, None);
        self.appended[shard] = chunk.end();
        self.shared[shard].note_handed_over(chunk.end(), chunk.effect_bytes());
        self.writer.accept(vec![Handed::Chunk(chunk)]);
    }

    fn run(&mut self) {
        self.writer.run(self.now_ms);
    }

    /// The next disk call of the writer fails.
    fn fail_next(&self, fault: Fault) {
        self.sim.fail_at(self.sim.calls(), fault);
    }

    /// The MANIFEST that a start would find now names whole files only.
    fn check_named_files(&self) {
        let found = ManifestFile::load(&*self.files.disk, self.files.dir.clone()).unwrap().unwrap();
        for segment in &found.current().segments {
            let name = self.files.path(&format!("log-1-{}.seg", segment.number));
            let bytes = self.sim.contents(&name).unwrap_or_else(|| panic!("{} is missing", name.display()));
            assert_eq!(SegmentHeader::decode(&bytes).unwrap().uid, segment.uid);
            assert_eq!(bytes.len() as u64, segment.bytes);
        }
    }

    fn written(&self) -> [u64; 2] {
        [self.shared[0].written().0, self.shared[1].written().0]
    }

    fn durable(&self) -> [u64; 2] {
        [self.shared[0].durable().0, self.shared[1].durable().0]
    }
}

#[test]
fn always_writes_a_batch_at_once_and_syncs_once() {
    let mut bench = bench(SyncPolicy::Always);
    bench.push(0, 10);
    bench.push(1, 10);
    bench.push(0, 10);
    let calls = bench.sim.calls();
    bench.run();
    assert_eq!(bench.sim.calls() - calls, 2, "one write, one sync");
    assert_eq!((bench.written(), bench.durable()), ([2, 1], [2, 1]));
    assert!(bench.writer.is_clean());
    let metrics = bench.shared[0].metrics();
    assert_eq!(metrics.frames.load(Ordering::Relaxed), 3);
    assert_eq!(bench.shared[0].queue_bytes(), 0);
}

#[test]
fn every_second_syncs_a_second_after_the_first_write() {
    let mut bench = bench(SyncPolicy::EverySecond);
    bench.now_ms = 500;
    bench.push(0, 10);
    bench.run();
    assert_eq!((bench.written(), bench.durable()), ([1, 0], [0, 0]));
    assert_eq!(bench.writer.next_due_ms(), Some(1500));
    bench.now_ms = 1400;
    bench.push(0, 10);
    bench.run();
    assert_eq!(bench.durable(), [0, 0]);
    bench.now_ms = 1500;
    bench.run();
    assert_eq!(bench.durable(), [2, 0]);
    assert_eq!(bench.writer.next_due_ms(), None);
}

#[test]
fn no_does_not_sync_until_asked() {
    let mut bench = bench(SyncPolicy::No);
    bench.push(0, 10);
    bench.now_ms = 100_000;
    bench.run();
    assert_eq!((bench.written(), bench.durable()), ([1, 0], [0, 0]));
    bench.writer.request_sync();
    bench.run();
    assert_eq!(bench.durable(), [1, 0]);
}

#[test]
fn a_segment_is_synced_before_the_next_one_is_written() {
    let mut bench = bench(SyncPolicy::No);
    for _ in 0..4 {
        bench.push(0, 5000);
    }
    bench.run();
    assert_eq!((bench.written(), bench.durable()), ([4, 0], [2, 0]));
    assert_eq!(bench.files.manifest().segments.len(), 2, "the second segment is named");
}

#[test]
fn an_effect_larger_than_a_segment_gets_its_own() {
    let mut bench = bench(SyncPolicy::Always);
    bench.push(0, 10);
    bench.push(0, 200_000);
    bench.push(0, 6000);
    bench.run();
    assert_eq!(bench.durable(), [3, 0]);
    let sizes: Vec<u64> = bench.files.manifest().segments.iter().map(|segment| segment.bytes).collect();
    assert!(sizes.len() == 3 && sizes[1] > 200_000 && sizes[1] < 210_000, "{sizes:?}");
    assert!(
        sizes[2] <= 4 * SEGMENT_BYTES,
        "an oversized segment does not make the next ones large: {sizes:?}"
    );
}

#[test]
fn a_spare_that_is_too_small_goes_to_the_pool() {
    let mut bench = bench(SyncPolicy::Always);
    bench.spare.fill();
    bench.now_ms = 20_000;
    bench.push(0, 200_000);
    bench.run();
    assert_eq!(bench.durable(), [1, 0]);
    let numbers: Vec<u32> = bench.files.manifest().segments.iter().map(|segment| segment.number.0).collect();
    assert_eq!(numbers, [0, 2]);
    let mut files = bench.files.disk.list(&bench.files.dir).unwrap();
    files.sort();
    assert_eq!(files, ["MANIFEST", "log-1-0.seg", "log-1-2.seg", "pool-0.seg"]);
    bench.push(0, 6000);
    bench.run();
    assert!(bench.sim.contents(&bench.files.path("pool-0.seg")).is_none(), "the pool's file is used again");
    bench.check_named_files();
}

#[test]
fn a_spare_made_ahead_is_taken() {
    let mut bench = bench(SyncPolicy::Always);
    bench.spare.fill();
    bench.spare.fill();
    assert_eq!(bench.files.manifest().segments.len(), 2, "one spare, not two");
    bench.push(0, 10_000);
    bench.push(0, 10_000);
    let calls = bench.sim.calls();
    bench.run();
    assert_eq!(bench.sim.calls() - calls, 4, "nothing is made on the way: two writes, two syncs");
    assert_eq!(bench.durable(), [2, 0]);
}

#[test]
fn a_full_disk_refuses_and_resumes_by_itself() {
    for fault in [Fault::Enospc, Fault::Eio] {
        let mut bench = bench(SyncPolicy::Always);
        bench.push(0, 10);
        bench.run();
        bench.fail_next(fault);
        bench.push(0, 10);
        bench.run();
        assert!(matches!(bench.shared[0].status(), LogStatus::Refusing(_)));
        assert!(matches!(bench.shared[1].status(), LogStatus::Refusing(_)));
        assert_eq!(bench.durable(), [1, 0]);
        assert!(bench.shared[0].queue_bytes() > 0);
        let calls = bench.sim.calls();
        bench.now_ms += 49;
        bench.run();
        assert_eq!(bench.sim.calls(), calls, "no attempt during the pause");
        bench.now_ms += 1;
        assert_eq!(bench.writer.next_due_ms(), Some(bench.now_ms));
        bench.run();
        assert_eq!(bench.shared[0].status(), LogStatus::Ok);
        assert_eq!(bench.durable(), [2, 0]);
    }
}

#[test]
fn pauses_grow_to_a_second() {
    let mut bench = bench(SyncPolicy::Always);
    bench.sim.set_disk_full(true);
    bench.push(0, 10);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        bench.run();
        let due = bench.writer.next_due_ms().unwrap();
        pauses.push(due - bench.now_ms);
        bench.now_ms = due;
    }
    assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
}

#[test]
fn a_short_write_is_continued() {
    let mut bench = bench(SyncPolicy::Always);
    bench.push(0, 1000);
    bench.fail_next(Fault::ShortWrite);
    bench.run();
    assert_eq!((bench.shared[0].status(), bench.durable()), (LogStatus::Ok, [1, 0]));
}

#[test]
fn a_short_write_and_then_a_full_disk_is_written_again_from_the_start() {
    let mut bench = bench(SyncPolicy::Always);
    bench.push(0, 1000);
    bench.fail_next(Fault::ShortWrite);
    bench.sim.fail_at(bench.sim.calls() + 1, Fault::Enospc);
    bench.run();
    assert!(matches!(bench.shared[0].status(), LogStatus::Refusing(_)));
    bench.push(0, 10);
    bench.now_ms += 50;
    bench.run();
    assert_eq!(bench.durable(), [2, 0]);
    let file = bench.sim.contents(&PathBuf::from("/d/log-1-0.seg")).unwrap();
    let uid = bench.files.manifest().segments[0].uid;
    let first = formats::log::frame::decode_frame(&file[4096..], uid).unwrap();
    let second = 4096 + first.header.frame_bytes() as usize;
    let second = formats::log::frame::decode_frame(&file[second..], uid).unwrap();
    assert_eq!((first.header.number, second.header.number), (FrameNo(0), FrameNo(1)));
}

#[test]
fn no_next_segment_refuses_and_resumes() {
    let mut bench = bench(SyncPolicy::Always);
    bench.push(0, 10_000);
    bench.run();
    bench.push(0, 10_000);
    bench.sim.set_disk_full(true);
    for _ in 0..5 {
        bench.run();
        bench.now_ms += 1000;
        assert!(matches!(bench.shared[0].status(), LogStatus::Refusing(_)));
    }
    assert_eq!(bench.durable(), [1, 0]);
    bench.sim.set_disk_full(false);
    bench.run();
    assert_eq!((bench.shared[0].status(), bench.durable()), (LogStatus::Ok, [2, 0]));
    let files = bench.files.disk.list(&bench.files.dir).unwrap();
    assert_eq!(files.len(), 3, "failed attempts leave nothing behind: {files:?}");
}

#[test]
fn each_failing_step_of_a_segment_switch_is_survived() {
    for step in 0..40 {
        for fault in [Fault::Eio, Fault::Enospc, Fault::ShortWrite, Fault::SyncError] {
            let mut bench = bench(SyncPolicy::EverySecond);
            bench.push(0, 10_000);
            bench.run();
            bench.push(0, 10_000);
            bench.sim.fail_at(bench.sim.calls() + step, fault);
            for _ in 0..3 {
                bench.run();
                bench.check_named_files();
                bench.now_ms += 1000;
            }
            let poisoned = bench.writer.is_poisoned();
            assert_eq!(bench.durable() == [2, 0], !poisoned, "step {step}, {fault:?}");
            bench.files.manifest().check().unwrap();
        }
    }
}

#[test]
fn a_failed_sync_poisons_for_good() {
    let mut bench = bench(SyncPolicy::Always);
    bench.push(0, 10);
    bench.run();
    bench.push(0, 10);
    bench.sim.fail_at(bench.sim.calls() + 1, Fault::SyncError);
    bench.run();
    assert!(matches!(bench.shared[1].status(), LogStatus::Poisoned(_)));
    assert_eq!((bench.written(), bench.durable()), ([2, 0], [1, 0]));
    let syncs = bench.shared[0].metrics().syncs.load(Ordering::Relaxed);
    for _ in 0..10 {
        bench.push(0, 3000);
        bench.writer.request_sync();
        bench.now_ms += 2000;
        bench.run();
    }
    bench.writer.flush(bench.now_ms);
    assert_eq!(bench.durable(), [1, 0], "nothing becomes durable any more");
    assert_eq!(bench.shared[0].metrics().syncs.load(Ordering::Relaxed), syncs, "it is never synced again");
    assert!(!bench.writer.is_clean() && bench.writer.trouble().contains("sync failed"));
    assert_eq!(bench.files.manifest().segments.len(), 1, "no new segment is begun");
}

#[test]
fn shards_are_woken_once_when_something_changed_or_when_they_wait() {
    let mut bench = bench(SyncPolicy::Always);
    bench.push(0, 10);
    bench.push(0, 10);
    bench.run();
    assert_eq!(bench.writer.take_changed(false), [ShardId(0)]);
    assert_eq!(bench.writer.take_changed(false), []);
    bench.shared[1].wait_for_writer();
    assert_eq!(bench.writer.take_changed(true), [ShardId(1)]);
    assert!(bench.shared[1].pay_tick() && !bench.shared[0].pay_tick());
}

/// All shards are cut; answers where the answer comes.
fn push_cut(bench: &mut Bench) -> std::sync::mpsc::Receiver<CutAnswer> {
    let (done, answers) = std::sync::mpsc::channel();
    let request = CutRequest { checkpoint: CheckpointId(1), done };
    let cuts = [0, 1].map(|shard| Handed::Cut(ShardId(shard), request.clone()));
    bench.writer.accept(cuts.into());
    answers
}

#[test]
fn a_log_that_is_poisoned_on_its_way_to_a_cut_gets_there() {
    let mut bench = bench(SyncPolicy::No);
    bench.spare.fill();
    bench.push(0, 9000);
    bench.run();
    bench.push(0, 9000); // needs the next segment, and before it a sync
    let answers = push_cut(&mut bench);
    bench.fail_next(Fault::SyncError);
    bench.run();
    let answer = answers.try_recv().expect("nothing else would wake the writer");
    assert!(answer.has_gap);
    assert_eq!((answer.cut.segment, answer.cut.frames), (SegmentNo(1), FrameNo(2)));
}

#[test]
fn cuts_do_not_make_segments_larger() {
    let mut bench = bench(SyncPolicy::Always);
    for _ in 0..6 {
        bench.push(0, 10);
        let answers = push_cut(&mut bench);
        bench.run();
        assert!(answers.try_recv().is_ok());
    }
    let sizes: Vec<u64> = bench.files.manifest().segments.iter().map(|segment| segment.bytes).collect();
    assert_eq!(sizes, [SEGMENT_BYTES; 7]);
}

#[test]
fn to_look_at_manifest_waits_for_no_disk() {
    let bench = bench(SyncPolicy::Always);
    let files = Arc::clone(&bench.files);
    let (answer, answers) = std::sync::mpsc::channel();
    let replaced = bench.files.update_manifest(|manifest| {
        // From here to the end of its sync MANIFEST is being replaced.
        manifest.next_log = LogId(9);
        std::thread::spawn(move || answer.send(files.manifest().next_log));
        let seen = answers.recv_timeout(std::time::Duration::from_secs(5));
        assert_eq!(seen, Ok(LogId(2)), "what is durable, at once");
    });
    replaced.unwrap();
    assert_eq!(bench.files.manifest().next_log, LogId(9));
}
