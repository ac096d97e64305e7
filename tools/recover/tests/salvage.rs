//! `salvage`: what is sound is kept, what is lost is listed.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    Everfast, Keys, change, checkpointed, cmd, contents, crash_image, folder, frames, fullest_segment,
    keys_of, names, served,
};
use crate::run;

/// Salvages; answers the report and what a server has of it. The input stays as it is.
fn salvaged(dir: &Path, code: i32) -> (Value, Keys, TempDir) {
    let before = contents(dir);
    let outer = folder();
    let new = outer.path().join("new");
    let json = run!("salvage", dir, "--into", &new, "--json").ends(code).json();
    assert_eq!(contents(dir), before);
    run!("check", &new).ends(0);
    assert!(names(&new).iter().all(|name| !name.contains("seg")), "{:?}", names(&new));
    let keys = served(&new);
    (json, keys, outer)
}

/// Keys that the second lacks.
fn missing(all: &Keys, some: &Keys) -> Vec<String> {
    some.iter().for_each(|(key, value)| assert_eq!(all.get(key), Some(value), "{key:?} was never there"));
    all.keys()
        .filter(|key| !some.contains_key(key))
        .map(|(_, key)| String::from_utf8_lossy(key).into_owned())
        .collect()
}

/// A directory of logs alone, and what its server had.
fn logs_only() -> (TempDir, Keys) {
    let dir = folder();
    let server = Everfast::start(dir.path());
    let mut connection = server.connect();
    (0..60).for_each(|i| cmd(&mut connection, &format!("SET k:{i} {i}")));
    let keys = keys_of(&mut connection);
    drop(server);
    (crash_image(dir.path()), keys)
}

#[test]
fn nothing_is_lost_of_a_sound_directory() {
    let (dir, keys) = checkpointed();
    let (json, kept, _new) = salvaged(dir.path(), 0);
    assert_eq!((&json["lossless"], &json["checkpoint"]), (&true.into(), &1.into()));
    assert_eq!(kept, keys);
}

#[test]
fn a_damaged_frame_costs_itself_and_is_listed() {
    let (dir, keys) = logs_only();
    let segment = fullest_segment(dir.path());
    let (at, length) = frames(&segment)[10];
    change(&segment, |bytes| bytes[at + 70] ^= 1);
    let (json, kept, _new) = salvaged(dir.path(), 1);
    assert_eq!(missing(&keys, &kept).len(), 1);
    let lost = &json["lost"][0];
    assert_eq!((&lost["from_byte"], &lost["to_byte"]), (&at.into(), &(at + length).into()));
    assert_eq!((&lost["first_frame"], &lost["last_frame"]), (&10.into(), &10.into()));
    let (first, end) = (&lost["positions"][0]["first"], &lost["positions"][0]["end"]);
    assert_eq!(end.as_u64().unwrap() - first.as_u64().unwrap(), 1, "{lost}");
    assert!(lost["time_before"]["ms"].as_u64() <= lost["time_behind"]["ms"].as_u64());
}

#[test]
fn zeros_over_several_frames_cost_those() {
    let (dir, keys) = logs_only();
    let segment = fullest_segment(dir.path());
    let places = frames(&segment);
    change(&segment, |bytes| bytes[places[4].0..places[9].0].fill(0));
    let (json, kept, _new) = salvaged(dir.path(), 1);
    assert_eq!(missing(&keys, &kept).len(), 5);
    assert_eq!((&json["lost"][0]["first_frame"], &json["lost"][0]["last_frame"]), (&4.into(), &8.into()));
}

#[test]
fn a_torn_end_is_left_out_and_listed() {
    let dir = folder();
    let server = Everfast::start(dir.path());
    let mut connection = server.connect();
    (0..20).for_each(|i| cmd(&mut connection, &format!("SET k:{i} v")));
    let keys = keys_of(&mut connection);
    let image = crash_image(dir.path());
    let segment = fullest_segment(image.path());
    let (at, length) = *frames(&segment).last().unwrap();
    change(&segment, |bytes| bytes[at + 40..at + length].fill(0));
    let (json, kept, _new) = salvaged(image.path(), 1);
    assert_eq!(missing(&keys, &kept).len(), 1);
    assert_eq!(json["lost"].as_array().map(Vec::len), Some(0));
    assert_eq!(json["torn_ends"][0]["from_byte"], at);
    run!("check", image.path()).ends(0);
}

#[test]
fn a_missing_segment_is_listed_and_snapshots_stay() {
    let (dir, keys) = checkpointed();
    let segment = fullest_segment(dir.path());
    std::fs::remove_file(&segment).unwrap();
    let (json, kept, _new) = salvaged(dir.path(), 1);
    let lost: Vec<String> = keys
        .keys()
        .filter(|key| !kept.contains_key(key))
        .map(|(_, key)| String::from_utf8_lossy(key).into_owned())
        .collect();
    assert!(lost.len() == 50 && lost.iter().all(|key| key.starts_with("new:")), "{lost:?}");
    assert_eq!(json["files"][0]["state"], "lost");
    assert_eq!(json["lost"][0]["first_frame"], 0);
    assert!(json["lost"][0]["last_frame"].is_u64(), "the seal says how many: {json}");
}

#[test]
fn without_manifest_the_files_say_themselves_what_they_are() {
    let (dir, keys) = checkpointed();
    change(&dir.path().join("MANIFEST"), |bytes| bytes[40] ^= 1);
    let (json, kept, _new) = salvaged(dir.path(), 0);
    assert_eq!((&json["manifest"]["state"], &json["checkpoint"]), (&"damaged".into(), &1.into()));
    assert_eq!(kept, keys);
    std::fs::remove_file(dir.path().join("MANIFEST")).unwrap();
    let (json, kept, _new) = salvaged(dir.path(), 0);
    assert_eq!((&json["manifest"]["state"], &json["seed_unknown"]), (&"missing".into(), &false.into()));
    assert_eq!(kept, keys);
    // Logs alone, too.
    let (dir, keys) = logs_only();
    std::fs::remove_file(dir.path().join("MANIFEST")).unwrap();
    assert_eq!(salvaged(dir.path(), 0).1, keys);
}

#[test]
fn a_damaged_header_costs_nothing_while_manifest_is_there() {
    let (dir, keys) = logs_only();
    let segment = fullest_segment(dir.path());
    change(&segment, |bytes| bytes[100] ^= 1);
    assert_eq!(salvaged(dir.path(), 1).1, keys);
    std::fs::remove_file(dir.path().join("MANIFEST")).unwrap();
    let (json, kept, _new) = salvaged(dir.path(), 1);
    assert!(!missing(&keys, &kept).is_empty());
    assert_eq!(json["files"][0]["state"], "lost");
}

/// The snapshot with this number in its name.
fn snapshot(dir: &Path, shard: u16) -> PathBuf {
    dir.join(format!("checkpoint-1-shard-{shard}.rdb"))
}

#[test]
fn of_a_damaged_snapshot_the_sound_keys_are_kept_in_front_of_the_damage_and_behind_it() {
    let (dir, keys) = checkpointed();
    change(&snapshot(dir.path(), 0), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle..middle + 24].fill(0xFE);
    });
    let (json, mut kept, _new) = salvaged(dir.path(), 1);
    let damaged = &json["damaged_snapshots"][0];
    let lost = damaged["lost"].as_u64().unwrap();
    assert!((1..20).contains(&lost), "{damaged}");
    assert!(damaged["unreadable"][0].is_array(), "{damaged}");
    // Where the damage begins or ends within a value, that is another one now, and its key is named.
    for suspect in damaged["suspects"].as_array().expect("a list") {
        let key = (0, suspect.as_str().unwrap().as_bytes().to_vec());
        kept.insert(key.clone(), keys[&key].clone());
    }
    assert_eq!(missing(&keys, &kept).len() as u64, lost);
    assert_eq!(json["unusable_checkpoints"][0]["checkpoint"], 1);
}

#[test]
fn a_missing_snapshot_costs_its_shard_and_what_the_log_has_of_it_stays() {
    let (dir, keys) = checkpointed();
    std::fs::remove_file(snapshot(dir.path(), 1)).unwrap();
    let (_, kept, _new) = salvaged(dir.path(), 1);
    let lost = keys.keys().filter(|key| !kept.contains_key(key)).count();
    assert!((50..150).contains(&lost), "{lost}");
    assert!((0..50).all(|i| kept.contains_key(&(0, format!("new:{i}").into_bytes()))));
}

#[test]
fn a_servers_own_checkpoint_is_found_without_manifest() {
    let dir = folder();
    let server = Everfast::start(dir.path());
    let mut connection = server.connect();
    (0..60).for_each(|i| cmd(&mut connection, &format!("SET k:{i} {i}")));
    (0..60).for_each(|i| cmd(&mut connection, &format!("INCR n:{}", i % 20)));
    cmd(&mut connection, "SAVE");
    (0..60).for_each(|i| cmd(&mut connection, &format!("INCR n:{}", i % 30)));
    let keys = keys_of(&mut connection);
    let image = crash_image(dir.path());
    assert_eq!(run!("check", image.path(), "--json").ends(0).json()["next_start"]["checkpoint"], 1);
    assert_eq!(salvaged(image.path(), 0).1, keys);
    std::fs::remove_file(image.path().join("MANIFEST")).unwrap();
    let (json, kept, _new) = salvaged(image.path(), 0);
    assert_eq!(json["checkpoint"], 1);
    // What was counted before the cut is not counted again.
    assert_eq!(kept, keys);
}

#[test]
fn what_has_nothing_of_ours_is_no_input() {
    let (dir, outer) = (folder(), folder());
    run!("salvage", dir.path(), "--into", outer.path().join("new").as_path()).ends(2);
    assert!(names(outer.path()).is_empty());
}

/// A snapshot of one shard with keys in several databases, the same names in the first two.
fn several_databases() -> (TempDir, PathBuf, Keys) {
    let (first, dir) = (folder(), folder());
    let server = Everfast::start(first.path());
    let mut connection = server.connect();
    for (db, names) in [(0, ["s", "t"]), (1, ["s", "u"]), (3, ["v", "w"])] {
        cmd(&mut connection, &format!("SELECT {db}"));
        for name in names {
            (0..40).for_each(|i| cmd(&mut connection, &format!("SET {name}:{i} {db}.{i}")));
        }
    }
    let keys = keys_of(&mut connection);
    drop(server);
    let new = dir.path().join("data");
    run!("replay", first.path(), "--into", &new, "--shards", "1").ends(0);
    (dir, snapshot(&new, 0), keys)
}

#[test]
fn a_missing_select_is_noticed_by_the_number_of_keys() {
    let (dir, file, keys) = several_databases();
    change(&file, |bytes| {
        let at = select(bytes, 1);
        bytes.drain(at..at + 6); // with how many keys there are, and how many expire
    });
    let (json, kept, _new) = salvaged(&dir.path().join("data"), 1);
    assert_eq!(kept, keys);
    assert_eq!(json["damaged_snapshots"][0]["database_not_known"][0]["keys"], 80, "{json}");
    // The same with the head: what is left begins with a fact or with a database.
    let (dir, file, keys) = several_databases();
    for cut in [9, 0] {
        change(&file, |bytes| drop(bytes.drain(..if cut == 0 { select(bytes, 0) } else { cut })));
        assert_eq!(salvaged(&dir.path().join("data"), 1).1, keys, "{cut}");
    }
}

/// Where the keys of a database begin in a snapshot.
fn select(bytes: &[u8], db: u8) -> usize {
    let opcodes = [0xFE, db, 0xFB];
    bytes.windows(3).position(|three| three == opcodes).expect("its opcodes")
}

#[test]
fn keys_of_unknown_database_replace_none_and_are_listed() {
    let (dir, file, keys) = several_databases();
    let data = dir.path().join("data");
    change(&file, |bytes| {
        let at = select(bytes, 1);
        bytes[at..at + 3].fill(0xFF);
    });
    let (json, kept, _new) = salvaged(&data, 1);
    // Those of database 1 have names that database 0 has: they are in the next one that is free, which here is theirs.
    assert_eq!(kept, keys);
    let unplaced = &json["damaged_snapshots"][0]["database_not_known"];
    assert_eq!((&unplaced[0]["database"], &unplaced[0]["keys"]), (&1.into(), &80.into()), "{unplaced}");
    assert_eq!(unplaced.as_array().map(Vec::len), Some(1));
    assert_eq!(unplaced[0]["is_spare"], true);
    let first = unplaced[0]["first"].as_array().expect("a list");
    assert!(first.len() == 80 && first.contains(&"u:7".into()), "{first:?}");
}

#[test]
fn a_damaged_head_of_a_snapshot_costs_no_key() {
    let (dir, file, keys) = several_databases();
    let data = dir.path().join("data");
    let sound = std::fs::read(&file).unwrap();
    // The header, then all up to the first database; at last without MANIFEST.
    for (bytes, has_manifest) in
        [(9, true), (select(&sound, 0), true), (9, false), (select(&sound, 0), false)]
    {
        change(&file, |now| now[..bytes].fill(0));
        if !has_manifest && data.join("MANIFEST").exists() {
            std::fs::remove_file(data.join("MANIFEST")).unwrap();
        }
        let (json, kept, _new) = salvaged(&data, 1);
        assert_eq!(kept, keys, "{bytes} bytes, MANIFEST: {has_manifest}: {json}");
        change(&file, |now| now.clone_from(&sound));
    }
}

#[test]
fn a_sound_dump_beside_damaged_snapshots_is_named() {
    let (dir, _) = checkpointed();
    let dump = dir.path().join("dump.rdb");
    let sound = folder();
    let source = sound.path().join("some.rdb");
    run!("export", dir.path(), "--rdb", &source).ends(0);
    std::fs::copy(&source, &dump).unwrap();
    change(&snapshot(dir.path(), 0), |bytes| bytes.truncate(300));
    let (json, ..) = salvaged(dir.path(), 1);
    assert_eq!(json["sound_dump"]["keys"], 251, "{json}");
    change(&dump, |bytes| bytes[200] ^= 1);
    assert!(salvaged(dir.path(), 1).0["sound_dump"].is_null());
}
