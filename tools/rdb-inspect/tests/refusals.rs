//! What is not done, and says so: rather than a file with less than was asked for.

use std::path::{Path, PathBuf};

use crate::program::{TempFile, file, key, rdb, run, string};

/// One key, and behind the end what follows.
fn followed_by(tail: &[u8]) -> TempFile {
    let mut bytes = std::fs::read(rdb(&[b"\xfe\x00", &key(b"k", b"v")]).path).unwrap();
    bytes.extend_from_slice(tail);
    file(&bytes)
}

fn in_folder(name: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name).to_str().unwrap().into();
    (folder, path)
}

/// The arguments of all commands that need the whole of a file.
fn commands<'a>(input: &'a str, output: &'a str) -> [Vec<&'a str>; 5] {
    [
        vec!["filter", input, "--output", output],
        vec!["convert", "--rdb-version", "10", input, "--output", output],
        vec!["merge", input, input, "--output", output],
        vec!["split", "--by", "db", input, "--output-dir", output],
        vec!["diff", input, input],
    ]
}

#[test]
fn commands_behind_an_rdb_file_are_not_dropped_by_surprise() {
    let input = followed_by(b"*1\r\n$4\r\nPING\r\n");
    let (_folder, output) = in_folder("output");
    for mut command in commands(&input.path, &output) {
        let refused = run(&command);
        assert_eq!(refused.code, 2, "{command:?}: {refused:?}");
        assert!(refused.stderr.contains("14 bytes of commands follow"), "{refused:?}");
        assert!(refused.stderr.contains("--ignore-commands"), "{refused:?}");
        assert!(!Path::new(&output).exists());
        command.push("--ignore-commands");
        let done = run(&command);
        assert_eq!(done.code, 0, "{command:?}: {done:?}");
        let _ = std::fs::remove_file(&output).or_else(|_| std::fs::remove_dir_all(&output)); // diff makes none
    }
}

#[test]
fn garbage_behind_the_end_is_damage() {
    let input = followed_by(b"garbage");
    let (_folder, output) = in_folder("output");
    for command in commands(&input.path, &output) {
        let refused = run(&command);
        assert_eq!(refused.code, 1, "{command:?}: {refused:?}");
        assert!(refused.stderr.contains("7 bytes behind the end"), "{refused:?}");
        assert!(!Path::new(&output).exists());
    }
}

#[test]
fn commands_that_join_databases_do_not_make_two_keys_one() {
    let clashing = rdb(&[b"\xfe\x00", &key(b"a", b"1"), b"\xfe\x03", &key(b"a", b"2"), &key(b"b", b"3")]);
    for options in [&["--to-db", "7"][..], &["--no-select"], &["--db-map", "3=0"]] {
        let refused = run(&[&["resp", &clashing.path], options].concat());
        assert_eq!((refused.code, refused.text()), (2, ""), "{options:?}: {refused:?}");
        assert!(refused.stderr.contains("\"a\" is in several databases"), "{refused:?}");
        let chosen = run(&[&["resp", &clashing.path, "--match", "b"], options].concat());
        assert_eq!(chosen.code, 0, "{options:?}: {chosen:?}");
    }
    // What joins nothing has nothing to refuse.
    for options in [&[][..], &["--db-map", "3=4"], &["--db", "3", "--to-db", "0"]] {
        let done = run(&[&["resp", &clashing.path], options].concat());
        assert_eq!(done.code, 0, "{options:?}: {done:?}");
    }
    let (one, other) = (rdb(&[b"\xfe\x00", &key(b"a", b"1")]), rdb(&[b"\xfe\x01", &key(b"a", b"1")]));
    for other in [&other.path, &one.path] {
        let refused = run(&["resp", &one.path, other, "--to-db", "0"]);
        assert_eq!(refused.code, 2, "{refused:?}");
    }
}

#[test]
fn a_split_that_fails_leaves_nothing_new() {
    let input = rdb(&[b"\xfe\x00", &key(&[&[b'x'; 300][..], b":1"].concat(), b"v")]);
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("made/for/it");
    let arguments = ["split", &input.path, "--by", "prefix", "--output-dir", output.to_str().unwrap()];
    let refused = run(&arguments);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(!folder.path().join("made").exists());
    std::fs::create_dir_all(output.parent().unwrap()).unwrap();
    run(&arguments);
    assert!(output.parent().unwrap().exists() && !output.exists());
}

#[test]
fn a_file_that_is_there_already_is_named() {
    let input = rdb(&[b"\xfe\x00", &key(b"k", b"v")]);
    let folder = tempfile::tempdir().unwrap();
    let there: PathBuf = folder.path().join("db-0.rdb");
    std::fs::write(&there, "mine").unwrap();
    let refused = run(&["split", &input.path, "--by", "db", "--output-dir", folder.path().to_str().unwrap()]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains(&format!("{} is there already", there.display())), "{refused:?}");
    assert_eq!(std::fs::read(&there).unwrap(), b"mine");
}

#[test]
fn parts_of_no_size_are_refused() {
    let input = rdb(&[b"\xfe\x00", &key(b"k", b"v")]);
    let (_folder, output) = in_folder("output");
    for way in ["size=0", "size=0k", "count=0", "shard=0"] {
        let refused = run(&["split", &input.path, "--by", way, "--output-dir", &output]);
        assert_eq!(refused.code, 2, "{way}: {refused:?}");
        assert!(!Path::new(&output).exists());
    }
}

#[test]
fn keys_that_come_twice_are_told_as_what_they_are() {
    let input = rdb(&[b"\xfe\x00", &key(b"k", b"1"), &key(b"k", b"2")]);
    let other = rdb(&[b"\xfe\x00", &key(b"l", b"1")]);
    let verified = run(&["verify", &input.path]).good();
    assert!(verified.text().contains("not looked for (--duplicates)"), "{verified:?}");
    let (_folder, output) = in_folder("merged.rdb");
    let merged = run(&["merge", &input.path, &other.path, "--output", &output]).good();
    assert!(merged.stderr.contains("1 keys left out, of which there is another"), "{merged:?}");
    assert!(!merged.stderr.contains("another file"), "{merged:?}");
}

#[test]
fn a_library_is_written_once_by_its_name() {
    let library = |code: &str| [b"\xf5".as_slice(), &string(code.as_bytes())].concat();
    let functions = |codes: &[&str]| {
        let records: Vec<u8> = codes.iter().flat_map(|code| library(code)).collect();
        file(&[b"REDIS0010", &records[..], b"\xff\0\0\0\0\0\0\0\0"].concat())
    };
    let inputs = [
        functions(&["#!lua name=one\n return 1", "#!lua name=two\n"]),
        functions(&["#!lua name=one\n return 2"]),
    ];
    let (_folder, output) = in_folder("merged.rdb");
    let merged = run(&["merge", &inputs[0].path, &inputs[1].path, "--output", &output]).good();
    assert!(merged.stderr.contains("1 libraries of functions left out"), "{merged:?}");
    let report = run(&["verify", "--json", &output]).good().json();
    assert_eq!(report["functions"], 2);
}
