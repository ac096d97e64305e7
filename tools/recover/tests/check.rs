//! `check`: each kind of damage is found, named, and told from what a crash leaves.

use crate::harness::{
    Everfast, change, checkpointed, cmd, contents, crash_image, folder, frames, fullest_segment, names,
    segments,
};
use crate::run;

#[test]
fn a_sound_directory_is_sound_and_stays_as_it_is() {
    let (dir, _) = checkpointed();
    let before = contents(dir.path());
    let json = run!("check", dir.path(), "--json").ends(0).json();
    assert_eq!((&json["sound"], &json["next_start"]["outcome"]), (&true.into(), &"clean".into()));
    assert_eq!(json["snapshot_keys"], 201);
    assert_eq!(json["effects"].as_u64(), Some(51));
    assert_eq!(json["files"].as_array().unwrap().iter().filter(|file| file["kind"] == "snapshot").count(), 2);
    assert_eq!(contents(dir.path()), before);
    // Without a command the directory is checked, too.
    let text = run!(dir.path()).ends(0).text();
    assert!(text.contains("next start: begins with checkpoint 1 (201 keys)"), "{text}");
}

#[test]
fn a_running_server_has_the_directory() {
    let dir = folder();
    let server = Everfast::start(dir.path());
    cmd(&mut server.connect(), "SET a 1");
    let run = run!("check", dir.path()).ends(2);
    assert!(run.stderr.contains("a server runs on this data directory"), "{run:?}");
}

#[test]
fn what_is_no_data_directory_is_an_error_of_usage() {
    let dir = folder();
    run!("check", dir.path()).ends(2);
    run!("check", dir.path().join("nowhere").as_path()).ends(2);
    run!("check", dir.path(), "--unknown").ends(2);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_torn_tail_is_no_damage_and_will_be_cut() {
    let dir = folder();
    let server = Everfast::start(dir.path());
    let mut connection = server.connect();
    (0..20).for_each(|i| cmd(&mut connection, &format!("SET k:{i} v")));
    let image = crash_image(dir.path());
    let segment = fullest_segment(image.path());
    let (at, length) = *frames(&segment).last().unwrap();
    change(&segment, |bytes| bytes[at + length - 20..at + length].fill(0));
    let json = run!("check", image.path(), "--json").ends(0).json();
    assert_eq!((&json["sound"], &json["next_start"]["outcome"]), (&true.into(), &"cuts".into()));
    let tail = &json["next_start"]["left_out"]["torn_ends"][0];
    assert_eq!(tail["offset"], at);
    assert!(tail["bytes"].as_u64().unwrap() >= 64, "{tail}");
}

#[test]
fn a_flipped_bit_in_durable_data_is_damage_with_its_place() {
    let (dir, _) = checkpointed();
    let segment = fullest_segment(dir.path());
    let (at, length) = frames(&segment)[5];
    change(&segment, |bytes| bytes[at + 80] ^= 4);
    let json = run!("check", dir.path(), "--json").ends(1).json();
    assert_eq!((&json["sound"], &json["next_start"]["outcome"]), (&false.into(), &"refused".into()));
    assert_eq!(json["next_start"]["offset"], at);
    let lost = json["lost"].as_array().unwrap();
    assert_eq!(lost.len(), 1, "{json}");
    assert_eq!((&lost[0]["from_byte"], &lost[0]["to_byte"]), (&at.into(), &(at + length).into()));
    assert_eq!((&lost[0]["first_frame"], &lost[0]["last_frame"]), (&5.into(), &5.into()));
}

#[test]
fn a_missing_segment_is_named() {
    let (dir, _) = checkpointed();
    let segment = fullest_segment(dir.path());
    std::fs::remove_file(&segment).unwrap();
    let run = run!("check", dir.path()).ends(1);
    let name = segment.file_name().unwrap().to_string_lossy().into_owned();
    assert!(run.text().contains(&format!("{name} (segment, 0 bytes): lost")), "{run:?}");
    assert!(run.text().contains("next start: refused"), "{run:?}");
}

#[test]
fn a_damaged_manifest_is_named() {
    let (dir, _) = checkpointed();
    change(&dir.path().join("MANIFEST"), |bytes| bytes[30] ^= 1);
    let json = run!("check", dir.path(), "--json").ends(1).json();
    assert_eq!(json["manifest"]["state"], "damaged");
    std::fs::remove_file(dir.path().join("MANIFEST")).unwrap();
    let json = run!("check", dir.path(), "--json").ends(1).json();
    assert_eq!(
        (&json["manifest"]["state"], &json["next_start"]["outcome"]),
        (&"missing".into(), &"refused".into())
    );
}

#[test]
fn a_missing_or_damaged_snapshot_is_named() {
    let (dir, _) = checkpointed();
    let snapshot = dir.path().join("checkpoint-1-shard-1.rdb");
    change(&snapshot, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    let run = run!("check", dir.path()).ends(1);
    assert!(run.text().contains("checkpoint-1-shard-1.rdb (snapshot"), "{run:?}");
    assert!(run.text().contains("damaged: expected checksum"), "{run:?}");
    std::fs::remove_file(snapshot).unwrap();
    let run = run!("check", dir.path()).ends(1);
    assert!(run.text().contains("checkpoint-1-shard-1.rdb (snapshot, 0 bytes): lost"), "{run:?}");
}

#[test]
fn files_that_nothing_names_are_told_apart() {
    let (dir, _) = checkpointed();
    let segment = segments(dir.path()).remove(0);
    std::fs::copy(&segment, dir.path().join("log-77-0.seg")).unwrap();
    std::fs::copy(&segment, dir.path().join("pool-3.seg")).unwrap();
    std::fs::write(dir.path().join("checkpoint-9-shard-0.rdb"), b"half").unwrap();
    std::fs::write(dir.path().join("notes.txt"), b"mine").unwrap();
    let json = run!("check", dir.path(), "--json").ends(0).json();
    let state = |name: &str| {
        let files = json["files"].as_array().unwrap();
        let file = files.iter().find(|file| file["file"].as_str().unwrap().ends_with(name));
        file.map(|file| file["state"].clone())
    };
    for name in ["log-77-0.seg", "pool-3.seg", "checkpoint-9-shard-0.rdb"] {
        assert_eq!(state(name), Some("leftover".into()), "{name}");
    }
    assert_eq!(state("notes.txt"), Some("not ours".into()));
}

#[test]
fn json_may_stand_before_the_command() {
    let (dir, _) = checkpointed();
    assert_eq!(
        run!("--json", "check", dir.path()).ends(0).json(),
        run!("check", dir.path(), "--json").json()
    );
}
