//! What is read: pipes and devices, files of other kinds, several files of which one is bad.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::{inspect, program};
use crate::program::{file, key, rdb, run, server_file, string};

/// All commands that read one RDB file or more, with what they need; salvage reads what is no such file, too.
const READERS: [&[&str]; 14] = [
    &["summary"],
    &["keys"],
    &["json"],
    &["ndjson"],
    &["csv"],
    &["resp"],
    &["memory"],
    &["bigkeys"],
    &["prefixes"],
    &["report", "-o", "-"],
    &["verify"],
    &["filter", "-o", "-"],
    &["convert", "--rdb-version", "11", "-o", "-"],
    &["split", "--by", "db", "--output-dir", "/tmp/never-made-by-a-test"],
];

/// Those that go from file to file.
const ONE_BY_ONE: usize = 11;

#[test]
fn pipes_are_read_like_files() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let content = fs::read(server_file("redis-7.0.rdb")).unwrap();
    let expected = run(&["keys", &server_file("redis-7.0.rdb")]).good().stdout;
    let child = program().arg("keys").arg(&pipe).stdout(Stdio::piped()).spawn().unwrap();
    fs::write(&pipe, &content).unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, expected);
    for name in ["-", "/dev/stdin", "/dev/fd/0"] {
        let mut child =
            program().args(["keys", name]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&content).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &output.stdout), (Some(0), &expected), "{name}");
    }
}

#[test]
fn standard_input_that_gives_nothing_is_told() {
    let program = env!("CARGO_BIN_EXE_rdb-inspect");
    for redirection in ["<&-", "</dev/null"] {
        let output = Command::new("sh")
            .args(["-c", &format!("\"$0\" verify - {redirection}"), program])
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{redirection}: {stderr}");
        assert!(stderr.contains("standard input: empty, or closed"), "{redirection}: {stderr}");
    }
    let twice = run(&["diff", "-", "-"]);
    assert_eq!(twice.code, 2, "{twice:?}");
    let twice = run(&["verify", "-", "-"]);
    assert!(twice.code == 2 && twice.stderr.contains("only once"), "{twice:?}");
}

#[test]
fn newer_versions_are_not_damage() {
    for (header, server) in [(&b"REDIS0013"[..], "Redis"), (b"VALKEY081", "Valkey")] {
        let newer = file(&[header, &key(b"k", b"v"), b"\xff\0\0\0\0\0\0\0\0"].concat());
        for command in READERS {
            let run = inspect(command.iter().copied().chain([&newer.path[..]]));
            assert_eq!(run.code, 2, "{command:?}: {run:?}");
            assert!(
                run.stderr.contains(&format!("of {server}'s RDB files is newer")),
                "{command:?}: {run:?}"
            );
            assert!(!run.stderr.contains("damage"), "{command:?}: {run:?}");
        }
    }
}

#[test]
fn other_files_are_not_damaged_rdb_files() {
    for (content, said) in [
        (&b"no RDB file at all"[..], "no RDB file"),
        (b"", "empty"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip -dc"),
        (b"\x28\xb5\x2f\xfd\0\0", "zstd -dc"),
        (b"\xfd7zXZ\0\0", "xz -dc"),
    ] {
        let input = file(content);
        for command in READERS {
            let run = inspect(command.iter().copied().chain([&input.path[..]]));
            assert_eq!(run.code, 2, "{command:?}: {run:?}");
            assert!(run.stderr.contains(said), "{command:?}: {run:?}");
        }
    }
    // One that ends within its first bytes, or in which those of the version are damaged, is.
    for content in [&b"REDIS00"[..], b"VAL", b"REDIS0\xff10garbage"] {
        assert_eq!(run(&["verify", &file(content).path]).code, 1);
    }
}

#[test]
fn a_bad_file_does_not_stop_the_others() {
    let (good, text) = (rdb(&[&key(b"found", b"v")]), file(b"some text"));
    for command in READERS.into_iter().take(ONE_BY_ONE).chain([&["log"][..]]) {
        let files = ["/no/such/file", &text.path, &good.path, "/no/such/file"];
        let run = inspect(command.iter().copied().chain(files));
        assert_eq!(run.code, 2, "{command:?}: {run:?}");
        assert_eq!(run.stderr.matches("/no/such/file: No such file").count(), 2, "{command:?}: {run:?}");
        let alone = inspect(command.iter().copied().chain([&good.path[..]])).good();
        assert!(run.stdout.len() >= alone.stdout.len() / 2, "{command:?}: {run:?}");
        let none = inspect(command.iter().copied().chain(["/no/such/file", "/no/such/other"]));
        assert_eq!((none.code, none.stdout.len()), (2, 0), "{command:?}: {none:?}");
    }
}

#[test]
fn the_name_of_a_damaged_record_is_cut() {
    let name = vec![b'n'; 1 << 20];
    let input = file(&[&b"REDIS0009\x04"[..], &string(&name), b"\x02\x01f"].concat());
    for command in [&["verify"][..], &["keys"], &["keys", "-n", "5"], &["json"], &["summary"]] {
        let run = inspect(command.iter().copied().chain([&input.path[..]]));
        assert_eq!(run.code, 1, "{command:?}: {run:?}");
        assert!(run.stderr.contains("nnnn") || run.text().contains("nnnn"), "{command:?}: {run:?}");
        assert!(run.stderr.len() + run.stdout.len() < 2000, "{command:?}: {} bytes", run.stderr.len());
    }
    let json = run(&["verify", "--json", &input.path]).json();
    assert_eq!(json["damage"]["key"].as_str().unwrap().len(), 64 << 10);
}
