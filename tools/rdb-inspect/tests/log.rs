//! `log`: append-only files of real servers, and data directories of a server in this process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use formats::log::frame::decode_frame;
use formats::log::segment::SEGMENT_HEADER_BYTES;
use formats::log::{Frame, SegmentHeader};
use serde_json::Value;

use crate::harness::{Everfast, Run, copy_files, inspect, program, testdata};

/// The JSON of one log, and the exit code.
fn log_json(path: &Path, more: &[&str]) -> (Value, i32) {
    let mut args = vec!["log".as_ref(), "--json".as_ref(), path.as_os_str()];
    args.extend(more.iter().map(std::ffi::OsStr::new));
    let run = inspect(args);
    assert_eq!(run.stderr, "");
    (serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}")), run.code)
}

fn log_text(path: &Path, more: &[&str]) -> Run {
    let mut args = vec!["log".as_ref(), path.as_os_str()];
    args.extend(more.iter().map(std::ffi::OsStr::new));
    inspect(args)
}

/// What a file of commands holds, with no help of the code that is tested: offset, and words.
fn commands_of(file: &[u8]) -> Vec<(usize, Vec<Vec<u8>>)> {
    let line = |at: usize| {
        let len = file[at..].windows(2).position(|two| two == b"\r\n").expect("an end of the line");
        (&file[at..at + len], at + len + 2)
    };
    let number = |line: &[u8]| std::str::from_utf8(&line[1..]).unwrap().parse::<usize>().unwrap();
    // Behind an RDB file the first command selects a database.
    let first = b"*2\r\n$6\r\nSELECT";
    let mut at = match file.first() {
        Some(b'R' | b'V') => file.windows(first.len()).position(|part| part == first).unwrap_or(file.len()),
        _ => 0,
    };
    let mut commands = Vec::new();
    while at < file.len() {
        let start = at;
        let (head, mut next) = line(at);
        if head[0] == b'*' {
            let mut words = Vec::new();
            for _ in 0..number(head) {
                let (len, from) = line(next);
                words.push(file[from..from + number(len)].to_vec());
                next = from + number(len) + 2;
            }
            commands.push((start, words));
        }
        at = next;
    }
    commands
}

/// The files of a log in the test data, in their order.
fn files_of(dir: &Path) -> Vec<PathBuf> {
    let folder = dir.join("appendonlydir");
    let folder = if folder.exists() { folder } else { dir.to_path_buf() };
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| !path.to_string_lossy().ends_with("manifest")).collect();
    files.sort_by_key(|path| (!path.to_string_lossy().contains(".base."), path.clone()));
    files
}

#[test]
fn commands_of_real_servers_are_counted() {
    let entries = std::fs::read_dir(testdata("")).unwrap().map(|entry| entry.unwrap().path());
    let dirs: Vec<PathBuf> =
        entries.filter(|path| path.is_dir() && path.to_string_lossy().contains("-aof")).collect();
    assert!(dirs.len() > 10);
    for dir in dirs {
        let (mut by_name, mut commands, mut bytes) = (BTreeMap::<String, u64>::new(), 0, 0);
        for path in files_of(&dir) {
            let file = std::fs::read(path).unwrap();
            bytes += file.len();
            for (_, words) in commands_of(&file) {
                commands += 1;
                *by_name.entry(String::from_utf8_lossy(&words[0]).to_uppercase()).or_default() += 1;
            }
        }
        let (json, code) = log_json(&dir, &[]);
        assert_eq!(
            (code, &json["verdict"], &json["commands"]),
            (0, &"sound".into(), &commands.into()),
            "{dir:?}"
        );
        assert_eq!(json["bytes"], bytes, "{dir:?}");
        let found = json["by_command"].as_array().unwrap().iter();
        let found: BTreeMap<String, u64> = found
            .map(|row| (row["command"].as_str().unwrap().to_owned(), row["commands"].as_u64().unwrap()))
            .collect();
        assert_eq!(found, by_name, "{dir:?}");
        assert_eq!(json["transactions"]["count"], by_name["EXEC"], "{dir:?}");
        let whole = json["files"].as_array().unwrap().iter().all(|file| file["bytes"] == file["sound_until"]);
        assert!(whole, "{json}");
    }
}

#[test]
fn what_a_directory_is_called_makes_no_difference() {
    let dir = testdata("redis-7.0-aof");
    let paths = ["", "appendonlydir", "appendonlydir/appendonly.aof.manifest"].map(|path| dir.join(path));
    let [whole, folder, manifest] = paths.map(|path| {
        let (mut json, code) = log_json(&path, &[]);
        assert_eq!(code, 0);
        json["name"] = Value::Null;
        json
    });
    assert_eq!(whole, folder);
    assert_eq!(whole, manifest);
    assert!(whole["time_from_ms"].as_u64().unwrap() > 1_600_000_000_000);
}

#[test]
fn every_command_is_shown_as_it_is() {
    let path = testdata("redis-6.2-aof-preamble/appendonly.aof");
    let expected = commands_of(&std::fs::read(&path).unwrap());
    let run = log_text(&path, &["--commands", "--json"]).good();
    let lines: Vec<Value> = run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), expected.len());
    for (line, (offset, words)) in lines.iter().zip(&expected) {
        let words: Vec<Value> =
            words.iter().map(|word| String::from_utf8(word.clone()).unwrap().into()).collect();
        assert_eq!((&line["offset"], &line["args"]), (&(*offset).into(), &words.into()));
    }
    let text = log_text(&path, &["--commands"]).good();
    assert_eq!(text.text().lines().count(), expected.len());
    let text = log_text(&path, &["--commands", "--limit", "3"]).good();
    let first = format!("{}\t-\t0\tSELECT 0", expected[0].0);
    assert_eq!((text.text().lines().count(), text.text().lines().next()), (3, Some(first.as_str())));
}

#[test]
fn arguments_are_cut_and_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.aof");
    std::fs::write(&path, "*3\r\n$3\r\nset\r\n$3\r\na b\r\n$12\r\n0123456789\u{1}\n\r\n").unwrap();
    let show = |cut: &str| log_text(&path, &["--commands", "--cut", cut]).good().text().to_owned();
    assert_eq!(show("5"), "0\t-\t0\tset \"a b\" \"01234\"...(12 bytes)\n");
    assert_eq!(show("0"), "0\t-\t0\tset \"a b\" \"0123456789\\x01\\n\"\n");
}

#[test]
fn filters_choose_commands() {
    let path = testdata("redis-7.0-aof/appendonlydir/appendonly.aof.2.incr.aof");
    let file = std::fs::read(&path).unwrap();
    let all = commands_of(&file);
    let middle = all[all.len() / 2].0;
    let count = |args: &[&str]| log_json(&path, args).0["commands"].as_u64().unwrap() as usize;
    let text = middle.to_string();
    assert_eq!(count(&["--from", &text]) + count(&["--until", &text]), all.len());
    assert_eq!(count(&["--until", &text]), all.len() / 2);
    let matching = all.iter().filter(|(_, words)| words.len() > 1 && words[1].starts_with(b"set:")).count();
    assert!(matching > 0);
    assert_eq!(count(&["--match", "set:*"]), matching);
    let json = log_json(&path, &[]).0;
    let last = json["time_until_ms"].as_u64().unwrap();
    let at_last = format!("@{}", last / 1000);
    let (before, since) = (count(&["--until", &at_last]), count(&["--from", &at_last]));
    assert!(since > 0 && before + since <= all.len(), "{before} + {since} of {}", all.len());
    assert_eq!(count(&["--from", &format!("@{}", last / 1000 + 1)]), 0);
}

#[test]
fn an_append_only_file_that_is_torn_anywhere_says_where() {
    let file = std::fs::read(testdata("redis-7.0-aof/appendonlydir/appendonly.aof.2.incr.aof")).unwrap();
    let commands = commands_of(&file);
    let last = commands.last().unwrap().0;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("torn.aof");
    for end in last + 1..file.len() {
        std::fs::write(&path, &file[..end]).unwrap();
        let (json, code) = log_json(&path, &[]);
        assert_eq!((code, &json["verdict"]), (1, &"torn".into()), "{end}");
        assert_eq!(json["commands"], commands.len() - 1, "{end}");
        let finding = &json["findings"][0];
        assert_eq!((&finding["sound_until"], &finding["bytes_behind"]), (&last.into(), &(end - last).into()));
        assert_eq!(finding["vouched_by"], Value::Null, "{end}");
    }
    std::fs::write(&path, &file[..last]).unwrap();
    assert_eq!(log_json(&path, &[]).1, 0);
}

#[test]
fn an_open_transaction_is_cut_before_its_multi() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("open.aof");
    let (set, multi) = ("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n", "*1\r\n$5\r\nMULTI\r\n");
    std::fs::write(&path, format!("{set}{multi}{set}")).unwrap();
    let (json, code) = log_json(&path, &[]);
    let finding = &json["findings"][0];
    assert_eq!((code, &json["verdict"], &finding["sound_until"]), (1, &"torn".into(), &set.len().into()));
}

#[test]
fn damage_inside_is_told_from_a_torn_end() {
    let file = std::fs::read(testdata("redis-6.2-aof/appendonly.aof")).unwrap();
    let commands = commands_of(&file);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.aof");
    let at = commands.len() / 2;
    let (start, words) = &commands[at];
    let length_at = start + 5 + words[0].len().to_string().len() + 2 + words[0].len() + 2;
    assert_eq!(file[length_at], b'$', "the first argument");
    for bit in 0..8 {
        let mut damaged = file.clone();
        damaged[length_at] ^= 1 << bit;
        std::fs::write(&path, damaged).unwrap();
        let (json, code) = log_json(&path, &[]);
        let finding = &json["findings"][0];
        assert_eq!(
            (code, &json["verdict"], &json["commands"]),
            (1, &"damaged".into(), &at.into()),
            "bit {bit}"
        );
        assert_eq!(finding["sound_until"], *start, "bit {bit}");
        let next = format!("commands that read well go on at offset {}", commands[at + 1].0);
        assert_eq!(finding["vouched_by"], next, "bit {bit}");
    }
    // A length that swallows all that follows.
    let mut damaged = file[..=length_at].to_vec();
    damaged.extend_from_slice(b"9999999");
    damaged.extend_from_slice(&file[length_at + 1..]);
    std::fs::write(&path, damaged).unwrap();
    let (json, _) = log_json(&path, &[]);
    assert_eq!(
        (&json["verdict"], &json["findings"][0]["sound_until"]),
        (&"damaged".into(), &(*start).into())
    );
    let run = log_text(&path, &["--commands"]);
    assert_eq!((run.code, run.text().lines().count()), (1, at));
    assert!(run.stderr.contains("damage inside"), "{run:?}");
}

#[test]
fn a_missing_increment_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let from = testdata("redis-7.0-aof-failed-rewrite/appendonlydir");
    copy_files(&from, dir.path());
    std::fs::remove_file(dir.path().join("appendonly.aof.1.incr.aof")).unwrap();
    let (json, code) = log_json(dir.path(), &[]);
    assert_eq!((code, &json["verdict"]), (1, &"damaged".into()));
    assert_eq!(json["findings"][0]["file"], "appendonly.aof.1.incr.aof");
}

#[test]
fn standard_input_is_read() {
    let path = testdata("redis-5.0-aof-preamble/appendonly.aof");
    let stdin = Stdio::from(std::fs::File::open(&path).unwrap());
    let run = Run::from(program().args(["log", "--json", "-"]).stdin(stdin).output().unwrap()).good();
    let json: Value = serde_json::from_str(run.text()).unwrap();
    assert_eq!(json["commands"], commands_of(&std::fs::read(path).unwrap()).len());
}

#[test]
fn commands_for_rdb_files_name_what_to_use_instead() {
    let refused = |command: &str, path: PathBuf| {
        let run = inspect([command.as_ref(), path.as_os_str()]);
        assert_eq!((run.code, run.text()), (2, ""), "{run:?}");
        run.stderr
    };
    let commands = ["summary", "keys", "json", "verify", "csv"];
    for command in commands {
        let stderr = refused(command, testdata("redis-6.2-aof/appendonly.aof"));
        assert!(stderr.contains("`rdb-inspect log`"), "{stderr}");
    }
    let stderr = refused("summary", testdata("redis-7.0-aof-preamble"));
    assert!(stderr.contains("for the log use `rdb-inspect log"), "{stderr}");
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(testdata("redis-7.0.rdb"), dir.path().join("dump.rdb")).unwrap();
    let stderr = refused("summary", dir.path().to_path_buf());
    assert!(stderr.contains("name ") && stderr.contains("dump.rdb") && !stderr.contains("log"), "{stderr}");
}

#[test]
fn commands_behind_an_rdb_file_are_no_damage() {
    let path = testdata("redis-6.2-aof-preamble/appendonly.aof");
    let file = std::fs::read(&path).unwrap();
    let behind = file.len() - commands_of(&file)[0].0;
    for command in ["summary", "verify"] {
        let run = inspect([command.as_ref(), "--json".as_ref(), path.as_os_str()]).good();
        let json: Value = serde_json::from_str(run.text()).unwrap();
        assert_eq!((&json["command_bytes"], &json["trailing_bytes"]), (&behind.into(), &0.into()));
        assert_eq!(json["checksum"], "good");
        let run = inspect([command.as_ref(), path.as_os_str()]).good();
        assert!(run.text().contains("of commands follow"), "{run:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let garbage = dir.path().join("garbage.rdb");
    std::fs::write(&garbage, [&file[..file.len() - behind], b"garbage"].concat()).unwrap();
    assert_eq!(inspect(["verify".as_ref(), garbage.as_os_str()]).code, 1);
}

/// Fills a server, one frame for each command; answers how many there were.
fn fill(server: &Everfast) -> u64 {
    let mut connection = server.connect();
    for i in 0..20 {
        let value = "x".repeat(i);
        redis::cmd("SET").arg(format!("user:{i}")).arg(value).exec(&mut connection).unwrap();
    }
    // So many keys that both shards have some, whatever the seed of their hashes.
    let mut many = redis::cmd("MSET");
    for i in 0..40 {
        many.arg(format!("many-{i}")).arg(i);
    }
    many.exec(&mut connection).unwrap();
    redis::cmd("SELECT").arg(3).exec(&mut connection).unwrap();
    redis::cmd("SET").arg("last").arg("of all of them").exec(&mut connection).unwrap();
    22
}

/// A data directory as it is while a server runs: nothing is sealed.
fn left_open() -> tempfile::TempDir {
    let (dir, open) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Everfast::start(dir.path());
    fill(&server);
    copy_files(dir.path(), open.path());
    open
}

/// The frames of a segment, each with its offset.
fn frames(segment: &[u8]) -> Vec<(usize, Frame<'_>)> {
    let uid = SegmentHeader::decode(segment).unwrap().uid;
    let (mut at, mut frames) = (SEGMENT_HEADER_BYTES, Vec::new());
    while let Ok(frame) = decode_frame(&segment[at..], uid) {
        let bytes = frame.header.frame_bytes() as usize;
        frames.push((at, frame));
        at += bytes;
    }
    frames
}

fn segment_in(dir: &Path) -> PathBuf {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("log-");
    let mut segments: Vec<PathBuf> = entries.filter(is_segment).collect();
    segments.sort();
    segments.pop().expect("a segment")
}

#[test]
fn a_data_directory_is_read_open_and_sealed() {
    let (dir, open) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Everfast::start(dir.path());
    let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    fill(&server);
    copy_files(dir.path(), open.path());

    let run = log_text(dir.path(), &[]);
    assert!(run.code == 2 && run.stderr.contains("a server runs on this"), "{run:?}");
    let (segment, code) = log_json(&segment_in(dir.path()), &[]);
    assert_eq!((code, &segment["kind"], &segment["verdict"]), (0, &"segment".into(), &"sound".into()));
    drop(server);

    let bytes = std::fs::read(segment_in(open.path())).unwrap();
    let frames = frames(&bytes);
    for (dir, sealed) in [(open.path(), false), (dir.path(), true)] {
        let (json, code) = log_json(dir, &[]);
        assert_eq!(
            (code, &json["kind"], &json["verdict"]),
            (0, &"everfast_directory".into(), &"sound".into()),
            "{json}"
        );
        let log = &json["logs"][0];
        assert_eq!((&log["sealed"], &log["frames"]), (&sealed.into(), &frames.len().into()), "{json}");
        assert_eq!(json["files"][0]["segment"]["sealed"], sealed);
        assert_eq!(
            json["files"][0]["segment"]["uid"],
            SegmentHeader::decode(&bytes).unwrap().uid.to_string()
        );
        let last = frames.last().unwrap();
        let end = last.0 as u64 + last.1.header.frame_bytes();
        assert_eq!(json["files"][0]["sound_until"], end);
        let effects: u64 = frames.iter().map(|(_, frame)| u64::from(frame.header.effects)).sum();
        assert_eq!((&json["commands"], &segment["commands"]), (&effects.into(), &effects.into()));
        let positions =
            log["shards"].as_array().unwrap().iter().map(|shard| shard["end_position"].as_u64().unwrap());
        assert_eq!(positions.sum::<u64>(), effects);
        let durable = if sealed { frames.len() as u64 } else { last.1.header.durable_frames.0 };
        assert_eq!(log["durable_frames"], durable);
        let gsns = frames.iter().flat_map(|(_, frame)| frame.transactions.iter().map(|entry| entry.gsn.0));
        assert_eq!(log["first_gsn"], gsns.clone().min().unwrap());
        assert_eq!(log["last_gsn"], gsns.max().unwrap());
        assert_eq!(json["transactions"]["count"], 2, "MSET on both shards");
        let prefix = &json["prefixes"]["top"][0];
        assert_eq!((&prefix["prefix"], &prefix["commands"]), (&"user:".into(), &20.into()));
        let databases = json["databases"].as_array().unwrap().iter().map(|row| row["db"].as_u64().unwrap());
        assert_eq!(databases.collect::<Vec<_>>(), [0, 3]);
        assert!(u128::from(json["time_from_ms"].as_u64().unwrap()) >= started);
        assert_eq!(
            log_text(dir, &["--from", &format!("@{}", started / 1000), "--match", "last"]).good().code,
            0
        );
    }
    let run = log_text(dir.path(), &["--commands", "--match", "last"]).good();
    assert!(run.text().ends_with("\t3\tSET last \"of all of them\"\n"), "{run:?}");
    let stderr = inspect(["summary".as_ref(), segment_in(open.path()).as_os_str()]).stderr;
    assert!(stderr.contains("`rdb-inspect log`"), "{stderr}");
}

#[test]
fn a_torn_frame_is_told_at_every_byte() {
    let open = left_open();
    let path = segment_in(open.path());
    let bytes = std::fs::read(&path).unwrap();
    let frames = frames(&bytes);
    let (start, last) = frames.last().unwrap();
    let end = start + last.header.frame_bytes() as usize;
    for cut in *start..end {
        let mut torn = bytes.clone();
        torn[cut..].fill(0);
        std::fs::write(&path, &torn).unwrap();
        // Padding is zeros anyway.
        let is_whole = torn == bytes;
        let header_is_whole = cut >= start + 64;
        let expected = if is_whole || !header_is_whole { "sound" } else { "torn" };
        for path in [open.path(), &path] {
            let (json, code) = log_json(path, &[]);
            assert_eq!((code, &json["verdict"]), (0, &expected.into()), "{cut} {json}");
            assert_eq!(json["files"][0]["sound_until"], if is_whole { end } else { *start }, "{cut}");
            assert_eq!(json["logs"][0]["frames"], frames.len() - usize::from(!is_whole), "{cut}");
            if expected == "torn" {
                let finding = &json["findings"][0];
                assert_eq!(
                    (&finding["offset"], &finding["bytes_behind"]),
                    (&(*start).into(), &(end - start).into())
                );
                assert_eq!(finding["damage"], false);
            }
        }
        // A segment that was copied in part.
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let (json, code) = log_json(&path, &[]);
        assert_eq!(
            (code, &json["verdict"]),
            (0, &if cut == *start { "sound" } else { "torn" }.into()),
            "{cut} {json}"
        );
        assert_eq!(json["files"][0]["sound_until"], *start, "{cut}");
    }
}

#[test]
fn a_flipped_bit_before_durable_frames_is_damage() {
    let open = left_open();
    let path = segment_in(open.path());
    let bytes = std::fs::read(&path).unwrap();
    let frames = frames(&bytes);
    let at = frames.len() / 2;
    let (start, frame) = &frames[at];
    for byte in [0, 16, 63, 64, frame.header.frame_bytes() as usize - 1] {
        let mut damaged = bytes.clone();
        damaged[start + byte] ^= 4;
        std::fs::write(&path, damaged).unwrap();
        for path in [open.path(), &path] {
            let (json, code) = log_json(path, &[]);
            assert_eq!((code, &json["verdict"]), (1, &"damaged".into()), "{byte} {json}");
            let finding = &json["findings"][0];
            assert_eq!((&finding["offset"], &finding["sound_until"]), (&(*start).into(), &(*start).into()));
            assert_eq!(json["logs"][0]["frames"], at, "{byte}");
        }
        let run = log_text(open.path(), &[]);
        assert!(run.text().contains("at stake") && run.text().contains("DAMAGED"), "{run:?}");
        let run = log_text(&path, &[]);
        assert!(run.text().contains("frames were durable"), "{run:?}");
    }
}
