//! `resp`: a server that is sent the commands holds what the file holds.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::RedisServer;
use crate::program::{BROKEN_LZF, key, rdb, run, server_file, string};

fn client(server: &RedisServer) -> Command {
    let mut client = Command::new("redis-cli");
    client.arg("-p").arg(server.port.to_string());
    client
}

/// What redis-cli prints.
fn ask(server: &RedisServer, command: &[&str]) -> String {
    let output = client(server).args(command).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Sends commands; fails if one is answered with an error.
fn pipe(server: &RedisServer, commands: &[u8]) {
    let mut client =
        client(server).arg("--pipe").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    client.stdin.take().unwrap().write_all(commands).unwrap();
    let output = client.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("errors: 0,"), "{text}");
}

#[test]
fn a_server_gets_all_that_the_file_holds() {
    let path = server_file("redis-7.0.rdb");
    let original = RedisServer::load(path.as_ref());
    let digest = original.digest();
    let copy = RedisServer::start();
    for arguments in [&["resp", &path][..], &["resp", "--replace", "--batch", "1", &path]] {
        let commands = run(arguments);
        assert_eq!((commands.code, commands.stderr.as_str()), (0, ""));
        pipe(&copy, &commands.stdout);
        assert_eq!(copy.digest(), digest);
    }
    for stream in ["stream:emptied", "stream:last ids", "stream:only a group", "stream:set id"] {
        let info = ["XINFO", "STREAM", stream, "FULL"];
        assert_eq!(ask(&copy, &info), ask(&original, &info), "{stream}");
    }
    let pending = ["XPENDING", "stream:groups", "\0group\u{fffd}"];
    assert_eq!(ask(&copy, &pending[..2]), ask(&original, &pending[..2]));
    assert_eq!(ask(&copy, &["PEXPIRETIME", "expires"]), ask(&original, &["PEXPIRETIME", "expires"]));
    let mut libraries = [&original, &copy].map(|server| {
        let text = ask(server, &["FUNCTION", "LIST", "WITHCODE"]);
        let mut lines: Vec<String> = text.lines().map(String::from).collect();
        lines.sort();
        lines
    });
    assert!(libraries[0].len() > 10);
    assert_eq!(std::mem::take(&mut libraries[0]), libraries[1]);
}

#[test]
fn pending_entries_keep_their_consumer_time_and_count() {
    let original = RedisServer::start();
    for command in [
        &["XADD", "s", "1-1", "f", "v"][..],
        &["XADD", "s", "2-1", "f", "v", "g", "w"],
        &["XGROUP", "CREATE", "s", "g", "0"],
        &["XCLAIM", "s", "g", "alice", "0", "1-1", "TIME", "1600000000123", "RETRYCOUNT", "3", "FORCE"],
        &["XCLAIM", "s", "g", "bob", "0", "2-1", "TIME", "1600000000456", "RETRYCOUNT", "5", "FORCE"],
    ] {
        assert!(!ask(&original, command).contains("ERR"));
    }
    let file = original.save();
    let copy = RedisServer::start();
    pipe(&copy, &run(&["resp".as_ref(), file.as_os_str()]).stdout);
    let consumers = |server: &RedisServer| {
        let text = ask(server, &["XINFO", "STREAM", "s", "FULL"]);
        // The line behind "seen-time" is the time of the last command.
        let mut lines: Vec<String> = text.lines().map(String::from).collect();
        for i in 1..lines.len() {
            if lines[i - 1] == "seen-time" {
                lines[i].clear();
            }
        }
        lines
    };
    assert!(consumers(&original).contains(&"1600000000456".to_string()));
    assert_eq!(consumers(&copy), consumers(&original));
}

/// The commands as words, one command a line.
fn words(resp: &[u8]) -> String {
    let mut out = String::new();
    for line in String::from_utf8_lossy(resp).split("\r\n") {
        if line.starts_with('*') {
            out.push_str(if out.is_empty() { "" } else { "\n" });
        } else if !line.starts_with('$') && !line.is_empty() {
            out.push_str(if out.ends_with('\n') || out.is_empty() { "" } else { " " });
            out.push_str(line);
        }
    }
    out
}

#[test]
fn elements_are_sent_in_batches() {
    let list = [b"\x01".as_slice(), &string(b"l"), b"\x05"].concat();
    let items: Vec<u8> = (0..5).flat_map(|i| string(format!("i{i}").as_bytes())).collect();
    let input = rdb(&[&list, &items]);
    let commands = words(&run(&["resp", "--batch", "2", &input.path]).stdout);
    assert_eq!(commands, "SELECT 0\nRPUSH l i0 i1\nRPUSH l i2 i3\nRPUSH l i4");
    let replacing = words(&run(&["resp", "--replace", "--no-select", &input.path]).stdout);
    assert_eq!(replacing, "DEL l\nRPUSH l i0 i1 i2 i3 i4");
}

#[test]
fn an_element_that_cannot_be_read_is_left_out_whole() {
    let hash = [b"\x04".as_slice(), &string(b"h"), b"\x03", &string(b"a"), &string(b"1")].concat();
    let input = rdb(&[&hash, &string(b"b"), BROKEN_LZF, &string(b"c"), &string(b"3")]);
    let result = run(&["resp", &input.path]);
    assert_eq!((result.code, words(&result.stdout).as_str()), (1, "SELECT 0\nHSET h a 1 c 3"));
    assert!(result.stderr.contains("LZF"), "{}", result.stderr);
}

#[test]
fn databases_can_be_mapped() {
    let input = rdb(&[&key(b"a", b"1"), b"\xfe\x03", &key(b"b", b"2"), b"\xfe\x04", &key(b"c", b"3")]);
    let commands = |options: &[&str]| words(&run(&[&["resp", &input.path], options].concat()).stdout);
    assert_eq!(commands(&[]), "SELECT 0\nSET a 1\nSELECT 3\nSET b 2\nSELECT 4\nSET c 3");
    assert_eq!(commands(&["--db-map", "3=0"]), "SELECT 0\nSET a 1\nSET b 2\nSELECT 4\nSET c 3");
    assert_eq!(commands(&["--to-db", "7"]), "SELECT 7\nSET a 1\nSET b 2\nSET c 3");
    assert_eq!(commands(&["--no-select"]), "SET a 1\nSET b 2\nSET c 3");
}

#[test]
fn expired_keys_are_left_out_unless_asked_for() {
    let expired = [b"\xfc".as_slice(), &1000u64.to_le_bytes(), &key(b"old", b"1")].concat();
    let expiring = [b"\xfc".as_slice(), &4_102_444_800_000u64.to_le_bytes(), &key(b"new", b"2")].concat();
    let input = rdb(&[&expired, &expiring]);
    let commands = words(&run(&["resp", &input.path]).stdout);
    assert_eq!(commands, "SELECT 0\nSET new 2\nPEXPIREAT new 4102444800000");
    let all = words(&run(&["resp", "--with-expired", &input.path]).stdout);
    assert_eq!(all, "SELECT 0\nSET old 1\nSET new 2\nPEXPIREAT new 4102444800000");
}

#[test]
fn fields_that_expire_get_their_expiry() {
    let commands = words(&run(&["resp", "--type", "hash", &server_file("redis-8.0.rdb")]).stdout);
    let expiries: Vec<&str> = commands.lines().filter(|line| line.starts_with("HPEXPIREAT")).collect();
    assert!(expiries.len() > 1, "{commands}");
    assert!(expiries.iter().all(|line| line.contains(" FIELDS 1 ")));
}
