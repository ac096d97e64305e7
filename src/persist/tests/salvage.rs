//! Salvage on a simulated disk: which checkpoint it begins with, and what becomes of transactions that lost a part.

use std::path::PathBuf;

use formats::checksum::Crc64;
use formats::rdb::encode::{EncodeVersion, Encoder, KeyMeta};

use super::helpers::{dir, effects, open, options, set, settle, state};
use crate::persist::disk::{CrashMode, SimDisk};
use crate::persist::recovery::salvage::{ManifestState, Salvage, Survey};
use crate::persist::{
    CheckpointId, CutFacts, DataDir, Gsn, Log, Position, Retention, ShardId, SnapshotEntry,
};

fn path(name: &str) -> PathBuf {
    dir().join(name)
}

fn salvage(sim: &SimDisk) -> Salvage {
    Survey::of(&sim.mount(), &dir()).unwrap().salvage(1)
}

/// A snapshot as the server writes it, of one key.
fn snapshot(data: &DataDir, id: CheckpointId, shard: u16, position: Position) -> (Vec<u8>, u64) {
    let mut encoder = Encoder::new(EncodeVersion::V10, false);
    let facts = [
        ("everfast-checkpoint", id.to_string()),
        ("everfast-shard", shard.to_string()),
        ("everfast-shards", "2".to_owned()),
        ("everfast-epoch", "1".to_owned()),
        ("everfast-position", position.to_string()),
        ("everfast-gsn", "0".to_owned()),
        ("everfast-hash-seed", format!("{:016x}", data.manifest().hash_seed)),
    ];
    for (name, value) in facts {
        encoder.aux(name.as_bytes(), value.as_bytes()).unwrap();
    }
    encoder.select_db(0).unwrap();
    encoder.key(format!("in-{id}-{shard}").as_bytes(), KeyMeta::default()).unwrap().string(b"1").unwrap();
    encoder.finish().unwrap();
    let bytes = encoder.take();
    let mut crc = Crc64::new();
    crc.update(&bytes[..bytes.len() - 8]);
    (bytes, crc.value())
}

/// Makes a checkpoint of both shards, keeping the one before.
fn checkpoint(data: &DataDir, logs: &mut [Log]) {
    let mut checkpoint = data.begin_checkpoint().unwrap();
    let mut entries = Vec::new();
    for (log, shard) in logs.iter_mut().zip(0..) {
        let (bytes, crc64) = snapshot(data, checkpoint.id(), shard, log.appended());
        log.cut(checkpoint.cut_request());
        let (_, mut file) = checkpoint.create_snapshot(ShardId(shard)).unwrap();
        file.write_all_at(0, &bytes).unwrap();
        file.sync_data().unwrap();
        entries.push(SnapshotEntry { shard: ShardId(shard), bytes: bytes.len() as u64, keys: 1, crc64 });
    }
    let facts = CutFacts { gsn: Gsn(0), time_ms: checkpoint.id().0 };
    let rule = Retention { checkpoints: 2, ..Retention::default() };
    checkpoint.finish(facts, entries, &rule, 10, || false).unwrap();
}

/// Two logs; keys `a` before the first of two checkpoints, `b` between them, `c` behind the second; each of both shards.
fn two_checkpoints() -> SimDisk {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(2)).unwrap();
    let write = |logs: &mut Vec<Log>, name: &str| {
        for (shard, log) in logs.iter_mut().enumerate() {
            set(log, &format!("{name}-{shard}"), "1");
            settle(log);
        }
    };
    write(&mut logs, "a");
    checkpoint(&data, &mut logs);
    write(&mut logs, "b");
    checkpoint(&data, &mut logs);
    write(&mut logs, "c");
    sim.crash(CrashMode::DropUnsynced);
    sim
}

/// Keys of the effects that come on top of the snapshots.
fn keys(salvage: &Salvage) -> Vec<String> {
    let mut keys: Vec<String> =
        effects(&salvage.recovered).into_iter().map(|(_, _, args)| args[1].clone()).collect();
    keys.sort();
    keys
}

#[test]
fn it_begins_with_the_newest_checkpoint_that_is_sound() {
    let sim = two_checkpoints();
    let sound = salvage(&sim);
    assert_eq!((sound.report.base, sound.recovered.snapshots.len()), (Some(CheckpointId(2)), 2));
    assert_eq!(keys(&sound), ["c-0", "c-1"]);
    assert!(sound.report.lost.is_empty() && sound.report.files.is_empty());
    // A damaged one: the one before, and more of the log.
    sim.damage(&path("checkpoint-2-shard-1.rdb"), |bytes| bytes[170] ^= 1);
    let older = salvage(&sim);
    assert_eq!((older.report.base, older.recovered.snapshots.len()), (Some(CheckpointId(1)), 2));
    assert_eq!(keys(&older), ["b-0", "b-1", "c-0", "c-1"]);
    assert_eq!(older.report.unusable[0].0, CheckpointId(2));
    assert!(older.report.lost.is_empty() && older.damaged.is_empty());
}

#[test]
fn without_any_sound_checkpoint_the_newest_one_has_to_do() {
    let sim = two_checkpoints();
    for id in 1..=2 {
        sim.damage(&path(&format!("checkpoint-{id}-shard-0.rdb")), |bytes| bytes[170] ^= 1);
    }
    let found = salvage(&sim);
    assert_eq!(found.report.base, Some(CheckpointId(2)));
    assert_eq!((found.recovered.snapshots.len(), found.damaged.len()), (1, 1));
    assert_eq!((found.damaged[0].shard, found.damaged[0].shards), (ShardId(0), Some(2)));
    assert_eq!(keys(&found), ["c-0", "c-1"]);
}

#[test]
fn the_same_without_manifest() {
    let sim = two_checkpoints();
    let seed = salvage(&sim).recovered.hash_seed;
    sim.mount().remove(&path("MANIFEST")).unwrap();
    let found = salvage(&sim);
    assert_eq!((&found.report.manifest, found.report.base), (&ManifestState::Missing, Some(CheckpointId(2))));
    assert_eq!(keys(&found), ["c-0", "c-1"], "what stands before the cuts is in the snapshots");
    assert_eq!((found.recovered.hash_seed, found.report.is_seed_unknown), (seed, false));
    sim.mount().remove(&path("checkpoint-2-shard-0.rdb")).unwrap();
    let found = salvage(&sim);
    assert_eq!(found.report.base, Some(CheckpointId(1)));
    assert_eq!(keys(&found), ["b-0", "b-1", "c-0", "c-1"]);
}

#[test]
fn a_survey_also_finds_damage_that_a_start_does_not_read() {
    let sim = two_checkpoints();
    sim.damage(&path("checkpoint-1-shard-0.rdb"), |bytes| bytes[170] ^= 1);
    let survey = Survey::of(&sim.mount(), &dir()).unwrap();
    assert!(survey.next_start().unwrap().is_ok());
    let damaged = survey.files_found.iter().filter(|file| file.state.is_loss());
    assert_eq!(damaged.map(|file| &file.path).collect::<Vec<_>>(), [&path("checkpoint-1-shard-0.rdb")]);
}

/// A transaction of both shards between single effects. Answers the log's file of the second shard.
fn transaction(sim: &SimDisk, is_torn: bool) {
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(2)).unwrap();
    for shard in 0..2u16 {
        let log = &mut logs[usize::from(shard)];
        set(log, &format!("before-{shard}"), "1");
        settle(log);
        if shard == 1 && is_torn {
            break;
        }
        log.begin_transaction(Gsn(5), &[ShardId(0), ShardId(1)]);
        set(log, &format!("part-{shard}"), "1");
        log.end_transaction();
        settle(log);
        set(log, &format!("behind-{shard}"), "1");
        settle(log);
    }
    sim.crash(CrashMode::DropUnsynced);
}

#[test]
fn parts_of_a_transaction_that_lost_one_are_kept_and_listed() {
    let sim = SimDisk::new();
    transaction(&sim, false);
    sim.damage(&path("log-2-0.seg"), |bytes| {
        let at = bytes.windows(6).position(|six| six == b"part-1").unwrap();
        bytes[at] ^= 1;
    });
    let found = salvage(&sim);
    assert_eq!(keys(&found), ["before-0", "before-1", "behind-0", "behind-1", "part-0"]);
    let lost = &found.report.lost[0];
    assert_eq!(lost.positions, [(ShardId(1), Position(1), Some(Position(4)))]);
    assert_eq!((lost.frames.0.0, lost.frames.1.map(|frame| frame.0)), (1, Some(1)));
    let incomplete = &found.report.incomplete[0];
    assert_eq!((incomplete.gsn, incomplete.is_kept), (Gsn(5), true));
    assert_eq!((&incomplete.present[..], &incomplete.missing[..]), (&[ShardId(0)][..], &[ShardId(1)][..]));
}

/// What can be wrong with the log of the second shard so that nothing in it tells of the frames that it lacks.
#[test]
fn parts_are_kept_where_the_other_log_does_not_tell_what_it_lacks() {
    let second = path("log-2-0.seg");
    let part = |bytes: &[u8]| bytes.windows(6).position(|six| six == b"part-1").unwrap();
    type Damage<'a> = (&'a str, bool, &'a dyn Fn(&SimDisk));
    let cases: [Damage<'_>; 6] = [
        ("cut short", true, &|sim| sim.damage(&second, |bytes| bytes.truncate(part(bytes) / 512 * 512))),
        ("cut to nothing", true, &|sim| sim.damage(&second, Vec::clear)),
        ("missing", true, &|sim| sim.mount().remove(&second).unwrap()),
        ("foreign", true, &|sim| {
            let first = sim.contents(&path("log-1-0.seg")).unwrap();
            sim.damage(&second, |bytes| *bytes = first.clone());
        }),
        ("zeros", true, &|sim| sim.damage(&second, |bytes| bytes.fill(0))),
        ("torn", false, &|sim| {
            sim.damage(&second, |bytes| {
                let at = part(bytes);
                bytes[at..].fill(0);
            });
        }),
    ];
    for (case, is_lost, damage) in cases {
        let sim = SimDisk::new();
        transaction(&sim, false);
        damage(&sim);
        let found = salvage(&sim);
        let kept = keys(&found);
        let first = ["before-0", "behind-0", "part-0"];
        assert!(first.iter().all(|key| kept.iter().any(|kept| kept == key)), "{case}: {kept:?}");
        assert_eq!(found.report.lost.len(), usize::from(is_lost), "{case}");
        assert_eq!(found.report.torn.len(), usize::from(!is_lost), "{case}");
        let incomplete = &found.report.incomplete[0];
        assert!(incomplete.is_kept && incomplete.missing == [ShardId(1)], "{case}");
    }
}

#[test]
fn a_transaction_that_was_never_whole_is_cut_as_by_a_start() {
    let sim = SimDisk::new();
    transaction(&sim, true);
    let found = salvage(&sim);
    let recovered = {
        let data = DataDir::open(sim.mount(), &dir()).unwrap();
        state(&data.recover().unwrap())
    };
    assert_eq!(state(&found.recovered), recovered);
    assert_eq!(keys(&found), ["before-0", "before-1"]);
    assert!(!found.report.incomplete[0].is_kept && found.report.lost.is_empty());
}

#[test]
fn a_survey_changes_nothing() {
    let sim = two_checkpoints();
    let before = (sim.contents(&path("MANIFEST")), sim.mount().list(&dir()).unwrap().len());
    drop(salvage(&sim));
    assert_eq!((sim.contents(&path("MANIFEST")), sim.mount().list(&dir()).unwrap().len()), before);
}
