//! The shard's side alone: what is gathered, and when it is handed over.

use formats::log::frame::decode_frame;
use formats::log::{EffectReader, FrameNo, LogId, SegmentUid};

use super::*;
use crate::persist::log::PolicyCell;
use crate::persist::log::cut::Handed;

const UID: SegmentUid = SegmentUid(1);

fn log(policy: SyncPolicy) -> Log {
    let cell = Arc::new(PolicyCell::default());
    cell.set(policy);
    let shared = LogShared::new(ShardId(0), LogId(1), 4 << 20, cell, Arc::default());
    Log::new(Arc::new(shared), Arc::default(), Arc::new(|| Gsn(0)))
}

/// What was handed over, as the writer would find it.
fn taken(log: &Log) -> Vec<Chunk> {
    let handed = log.queue.take().handed.into_iter();
    let chunks = handed.filter_map(|handed| match handed {
        Handed::Chunk(chunk) => Some(chunk),
        Handed::Cut(..) => None,
    });
    let chunks = chunks.collect();
    log.queue.finish_batch(&mut Vec::new());
    chunks
}

fn effects(chunk: &mut Chunk) -> Vec<String> {
    let frame = decode_frame(chunk.seal(FrameNo(0), FrameNo(0), UID), UID).unwrap();
    let (mut reader, mut args, mut effects) = (EffectReader::new(frame.effects), Vec::new(), Vec::new());
    while reader.next_into(&mut args).unwrap() {
        effects.push(args.iter().map(|arg| String::from_utf8_lossy(arg)).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(effects.len(), frame.header.effects as usize);
    effects
}

#[test]
fn a_select_comes_where_the_database_changes_and_counts() {
    let mut log = log(SyncPolicy::Always);
    for (database, key) in [(0, "a"), (0, "b"), (5, "c"), (5, "d"), (0, "e")] {
        log.append(database, &[b"DEL", key.as_bytes()]);
    }
    assert_eq!(log.appended(), Position(7));
    log.submit(1);
    log.append(5, &[b"DEL", b"f"]);
    log.submit(2);
    let mut chunks = taken(&log);
    assert_eq!(
        effects(&mut chunks[0]),
        ["DEL a", "DEL b", "SELECT 5", "DEL c", "DEL d", "SELECT 0", "DEL e"]
    );
    assert_eq!(effects(&mut chunks[1]), ["SELECT 5", "DEL f"], "each frame begins at database 0");
}

#[test]
fn a_transaction_stands_in_one_frame_however_large() {
    let mut log = log(SyncPolicy::Always);
    log.begin_transaction(Gsn(3), &[ShardId(0), ShardId(2)]);
    for _ in 0..3 {
        log.append(0, &[b"SET", b"k", &vec![b'v'; CHUNK_BYTES]]);
        log.command_boundary();
    }
    log.end_transaction();
    log.command_boundary();
    log.append(0, &[b"DEL", b"k"]);
    log.submit_all();
    let mut chunks = taken(&log);
    assert_eq!(chunks.len(), 2);
    let frame = decode_frame(chunks[0].seal(FrameNo(0), FrameNo(0), UID), UID).unwrap();
    let [transaction] = frame.transactions.as_slice() else { panic!("{:?}", frame.transactions) };
    assert_eq!((transaction.gsn, transaction.first, transaction.count), (Gsn(3), 0, 5));
    assert_eq!(transaction.participants, [ShardId(0), ShardId(2)]);
}

#[test]
fn a_transaction_that_wrote_nothing_still_has_its_entry() {
    let mut log = log(SyncPolicy::Always);
    log.append(0, &[b"DEL", b"a"]);
    log.begin_transaction(Gsn(3), &[ShardId(0)]);
    log.end_transaction();
    log.submit_all();
    let mut chunks = taken(&log);
    assert_eq!(effects(&mut chunks[0]), ["DEL a", "MULTI", "EXEC"]);
    let frame = decode_frame(chunks[0].frame(), UID).unwrap();
    assert_eq!((frame.transactions[0].first, frame.transactions[0].count), (1, 2));
}

#[test]
fn frames_end_between_commands_once_they_are_large() {
    let mut log = log(SyncPolicy::Always);
    for _ in 0..4 {
        log.append(0, &[b"SET", b"k", &vec![b'v'; CHUNK_BYTES / 2]]);
        log.append(0, &[b"PEXPIREAT", b"k", b"1"]);
        log.command_boundary();
    }
    log.submit_all();
    let counts: Vec<u32> = taken(&log).iter().map(Chunk::effects).collect();
    assert_eq!(counts, [4, 4]);
}

#[test]
fn under_always_chunks_gather_while_the_writer_is_at_work() {
    let mut log = log(SyncPolicy::Always);
    log.append(0, &[b"DEL", b"a"]);
    log.submit(1);
    let work = log.queue.take();
    assert_eq!(work.handed.len(), 1);
    log.append(0, &[b"DEL", b"b"]);
    log.submit(2);
    log.append(0, &[b"DEL", b"c"]);
    log.submit(3);
    assert!(log.queue.take().handed.is_empty() && log.has_gathered());
    log.queue.finish_batch(&mut Vec::new());
    assert!(log.shared.stop_waiting(), "the writer knows whom to wake");
    log.submit(4);
    let mut chunks = taken(&log);
    assert_eq!(chunks.len(), 1, "what gathered goes as one");
    assert_eq!(effects(&mut chunks[0]), ["DEL b", "DEL c"]);
}

#[test]
fn while_writing_fails_chunks_gather_too() {
    let mut log = log(SyncPolicy::Always);
    log.shared.set_status(LogStatus::Refusing("full".to_owned()));
    for _ in 0..3 {
        log.append(0, &[b"DEL", b"a"]);
        log.submit(1);
    }
    assert!(taken(&log).is_empty());
    log.shared.set_status(LogStatus::Ok);
    log.submit(2);
    assert_eq!(effects(&mut taken(&log)[0]).len(), 3);
}

#[test]
fn a_large_transaction_table_ends_a_frame_too() {
    let mut log = log(SyncPolicy::Always);
    let everyone: Vec<ShardId> = (0..1024).map(ShardId).collect();
    for gsn in 0..600 {
        log.begin_transaction(Gsn(gsn), &everyone);
        log.end_transaction();
        log.command_boundary();
    }
    log.submit_all();
    assert_eq!(taken(&log).len(), 2);
}

#[test]
fn under_every_second_a_chunk_goes_at_64_kib_or_100_ms() {
    let mut log = log(SyncPolicy::EverySecond);
    log.append(0, &[b"DEL", b"a"]);
    log.submit(1000);
    log.submit(1099);
    assert!(taken(&log).is_empty());
    log.submit(1100);
    assert_eq!(taken(&log).len(), 1);
    log.append(0, &[b"SET", b"a", &vec![b'v'; HAND_OVER_BYTES]]);
    log.submit(1101);
    assert_eq!(taken(&log).len(), 1);
    log.append(0, &[b"DEL", b"a"]);
    log.submit(2000);
    log.submit(10);
    assert_eq!(taken(&log).len(), 1, "a clock set back does not hold a chunk up");
}

#[test]
fn a_requested_sync_takes_along_what_is_gathered() {
    let mut log = log(SyncPolicy::No);
    log.append(0, &[b"DEL", b"a"]);
    log.request_sync();
    log.submit(1);
    let work = log.queue.take();
    assert!(work.sync && work.handed.len() == 1);
    log.request_sync();
    log.submit(2);
    assert!(log.queue.take().sync, "with nothing gathered too");
}

#[test]
fn bytes_are_counted_until_they_are_written() {
    let mut log = log(SyncPolicy::Always);
    log.append(0, &[b"SET", b"k", &vec![b'v'; 3 << 20]]);
    log.command_boundary();
    let bytes = log.queue_bytes();
    assert!(bytes > 3 << 20 && !log.is_full());
    log.submit_all();
    assert_eq!(log.queue_bytes(), bytes);
    assert!(!log.shared().is_full());
    log.append(0, &[b"SET", b"k", &vec![b'v'; 1 << 20]]);
    assert!(log.is_full() && log.queue_bytes() > 4 << 20);
    for chunk in taken(&log) {
        log.shared.note_written(chunk.end(), chunk.effect_bytes());
    }
    assert!(!log.is_full());
}

#[test]
fn what_is_gathered_is_handed_over_on_drop() {
    let mut log = log(SyncPolicy::No);
    log.append(0, &[b"DEL", b"a"]);
    let queue = Arc::clone(&log.queue);
    drop(log);
    assert_eq!(queue.take().handed.len(), 1);
}

#[test]
fn a_log_may_move_to_its_shard_but_not_be_shared() {
    fn is_send<T: Send>() {}
    is_send::<Log>();
    is_send::<crate::persist::ReplayLog>();
}
