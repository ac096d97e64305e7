//! Ctrl-C: the program ends at once with code 130, whatever it does, and leaves no file behind.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::program;
use crate::program::{TempFile, file, key, rdb, string};

/// Far less than a program takes that waits for somebody else.
const AT_ONCE: Duration = Duration::from_secs(5);

fn signal(child: &Child, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().unwrap();
    assert!(status.success());
}

/// Sends a signal when the program has been at work for `after`; the code with which it ended, perhaps before.
#[track_caller]
fn interrupted(mut child: Child, after: Duration, name: &str) -> Option<i32> {
    std::thread::sleep(after);
    if let Some(status) = child.try_wait().unwrap() {
        return status.code();
    }
    signal(&child, name);
    let sent = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(sent.elapsed() < AT_ONCE, "still there {:?} after the signal", sent.elapsed());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A file with one hash of many fields, which takes seconds.
fn huge_key() -> TempFile {
    const FIELDS: u32 = 6_000_000;
    let mut bytes = b"REDIS0009\x04\x01h\x80".to_vec();
    bytes.extend_from_slice(&FIELDS.to_be_bytes());
    (0..FIELDS).for_each(|_| bytes.extend_from_slice(b"\x01f\x01v"));
    bytes.extend_from_slice(b"\xff\0\0\0\0\0\0\0\0");
    file(&bytes)
}

#[test]
fn while_it_waits_for_input() {
    let child = program().args(["verify", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    assert_eq!(interrupted(child, Duration::from_millis(300), "INT"), Some(130));
}

#[test]
fn while_input_flows() {
    let mut child = program().args(["verify", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let flow = std::thread::spawn(move || while pipe.write_all(&[b'x'; 1000]).is_ok() {});
    assert_eq!(interrupted(child, Duration::from_millis(300), "INT"), Some(130));
    flow.join().unwrap();
}

#[test]
fn while_nobody_reads_its_output() {
    let input = rdb(&[&key(b"k", &vec![b'x'; 16 << 20])]);
    let child = program().args(["json", &input.path]).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(interrupted(child, Duration::from_millis(500), "TERM"), Some(130));
}

/// Interrupts what `start` starts in an empty folder, at ten times, and looks for what was left behind: nothing, or all that
/// `is_whole` expects, where the signal came just behind the end of the work.
fn leaves_nothing_behind(
    start: impl Fn(&Path) -> Child,
    is_whole: impl Fn(&Path) -> bool,
    first_ms: u64,
    step_ms: u64,
) {
    let mut interruptions = 0;
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let after = Duration::from_millis(first_ms + step_ms * round);
        match interrupted(start(folder.path()), after, "INT") {
            Some(130) => {
                interruptions += 1;
                let left = std::fs::read_dir(folder.path()).unwrap().next();
                assert!(left.is_none() || is_whole(folder.path()), "after {after:?}: {left:?}");
            }
            code => assert_eq!(code, Some(0), "after {after:?}"), // it was done before
        }
    }
    assert!(interruptions > 0);
}

#[test]
fn within_one_key() {
    let input = huge_key();
    for command in ["json", "memory", "resp", "ndjson"] {
        let start = |folder: &Path| {
            program().args([command, &input.path, "-o"]).arg(folder.join("out")).spawn().unwrap()
        };
        let whole = tempfile::tempdir().unwrap();
        assert!(start(whole.path()).wait().unwrap().success());
        let bytes = |folder: &Path| std::fs::metadata(folder.join("out")).map(|out| out.len()).ok();
        let is_whole = |folder: &Path| bytes(folder) == bytes(whole.path());
        leaves_nothing_behind(start, is_whole, 20, 13);
    }
}

#[test]
fn while_it_splits() {
    let mut records = Vec::new();
    (0..200_000u32).for_each(|i| {
        records.push(0);
        records.extend(string(format!("{}:{i}", i % 1000).as_bytes()));
        records.extend(string(&[b'v'; 200]));
    });
    let input = rdb(&[&records]);
    let start = |folder: &Path| {
        let words = ["split", &input.path, "--by", "prefix", "--output-dir"];
        program().args(words).arg(folder.join("new/parts")).spawn().unwrap()
    };
    let is_whole = |folder: &Path| {
        let names =
            std::fs::read_dir(folder.join("new/parts")).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("prefix-")).count() == 1000
    };
    leaves_nothing_behind(start, is_whole, 30, 40);
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let input = rdb(&[&key(b"k", b"v")]);
    let script = "trap '' HUP INT; exec \"$0\" verify -";
    let mut child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_rdb-inspect")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "HUP");
    signal(&child, "INT");
    child.stdin.take().unwrap().write_all(&std::fs::read(&input.path).unwrap()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
