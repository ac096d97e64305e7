//! What the server tells of its own work: SLOWLOG, LATENCY, MONITOR, and the figures of commands.

use std::time::{Duration, Instant};

use formats::resp::Value;

use crate::harness::{Client, Server, compare, compare_with};

#[test]
fn slow_log() {
    compare_with(
        &["--slowlog-log-slower-than", "-1"],
        &[
            "CONFIG SET slowlog-log-slower-than -1",
            "CONFIG SET slowlog-max-len 128",
            "SLOWLOG RESET",
            "SLOWLOG",
            "SLOWLOG foo",
            "SLOWLOG GET",
            "SLOWLOG GET 5",
            "SLOWLOG GET -1",
            "SLOWLOG GET -2",
            "SLOWLOG GET x",
            "SLOWLOG GET 1 2",
            "SLOWLOG get 1 2",
            "SLOWLOG LEN",
            "SLOWLOG LEN x",
            "SLOWLOG RESET",
            "SLOWLOG RESET x",
            "kind: SLOWLOG HELP",
            "CONFIG GET slowlog-max-len",
            "CONFIG SET slowlog-max-len -1",
            "CONFIG SET slowlog-log-slower-than -2",
            "CONFIG SET slowlog-log-slower-than 0",
            "SLOWLOG LEN",
            "SLOWLOG LEN",
            "CONFIG SET slowlog-max-len 1",
            "SLOWLOG LEN",
            "SLOWLOG RESET",
            "kind: SLOWLOG GET",
            "COMMAND INFO slowlog|get slowlog|help slowlog|len slowlog|reset latency|doctor latency|graph latency|help",
            "COMMAND INFO latency|histogram latency|history latency|latest latency|reset monitor wait",
        ],
    );
}

#[test]
fn latency_events() {
    compare(&[
        "LATENCY",
        "LATENCY foo",
        "LATENCY LATEST",
        "LATENCY LATEST x",
        "LATENCY HISTORY command",
        "LATENCY HISTORY",
        "LATENCY GRAPH nosuch",
        "LATENCY RESET",
        "LATENCY RESET command nosuch",
        "kind: LATENCY DOCTOR",
        "kind: LATENCY HELP",
        "LATENCY HISTOGRAM nosuch",
        "LATENCY HISTOGRAM incrbyfloat",
        "any-order: CONFIG GET latency-tracking*",
        "CONFIG SET latency-tracking-info-percentiles '50.0 100.0 x'",
        "CONFIG SET latency-tracking-info-percentiles '50.0 101'",
        "CONFIG SET latency-tracking-info-percentiles '0.0 50.0 99.900 100.0'",
        "CONFIG GET latency-tracking-info-percentiles",
        "CONFIG SET latency-tracking-info-percentiles ''",
        "CONFIG GET latency-tracking-info-percentiles",
        "CONFIG SET latency-tracking no",
        "CONFIG RESETSTAT",
        "SET a 1",
        "LATENCY HISTOGRAM set",
        "CONFIG SET latency-tracking yes",
        "SET a 1",
        "kind: LATENCY HISTOGRAM set",
        "kind: LATENCY HISTOGRAM",
        "CONFIG SET latency-tracking-info-percentiles '50 99 99.9'",
    ]);
}

#[test]
fn monitoring() {
    compare(&["MONITOR x", "MONITOR", "SET a 1", "GET a", "RESET", "GET a"]);
}

fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Bulk(bytes) | Value::Verbatim { text: bytes, .. } => bytes.clone(),
        other => panic!("a text was expected, not {other:?}"),
    }
}

fn text(client: &mut Client, words: &[&str]) -> String {
    String::from_utf8(bytes(&client.call(words))).unwrap()
}

/// The words of the entries of the slow log, the newest first.
fn logged(client: &mut Client) -> Vec<String> {
    let Value::Array(entries) = client.call(&["SLOWLOG", "GET", "-1"]) else { panic!("entries are a list") };
    let words = |entry: &Value| {
        let Value::Array(fields) = entry else { panic!("an entry is a list") };
        let Value::Array(words) = &fields[3] else { panic!("a command is a list of words") };
        words.iter().map(|word| String::from_utf8(bytes(word)).unwrap()).collect::<Vec<_>>().join(" ")
    };
    entries.iter().map(words).collect()
}

const OK: &[u8] = b"+OK\r\n";

#[test]
fn commands_of_all_shards_are_logged_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    for shards in ["1", "4"] {
        let server = Server::everfast(&dir.path().join(shards), &["--shards", shards]);
        let mut client = server.client();
        assert_eq!(client.raw(&["CLIENT", "SETNAME", "me"]), OK);
        assert_eq!(client.raw(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]), OK);
        assert_eq!(client.raw(&["SLOWLOG", "RESET"]), OK);
        let long = "x".repeat(200);
        let calls: [&[&str]; 9] = [
            &["SET", "a", "1"],
            &["SET", "b", &long],
            &["MSET", "c", "1", "b", "2", "a", "3"],
            &["MGET", "c", "b", "a"],
            &["COPY", "a", "d"],
            &["PING", "hello"],
            &["CLIENT", "REPLY", "SKIP"],
            &["GET", "e"],
            &["DBSIZE"],
        ];
        client.send_all(calls.iter().copied().chain(std::iter::once(&["SLOWLOG", "LEN"][..])));
        for call in calls.iter().filter(|call| call[0] != "CLIENT" && call[1..] != ["e"]) {
            assert_ne!(client.receive().0[0], b'-', "{call:?}");
        }
        assert_eq!(client.receive().1, Value::Integer(10), "RESET itself among them");
        let expected = [
            "DBSIZE".to_owned(),
            "GET e".into(),
            "CLIENT REPLY SKIP".into(),
            "PING hello".into(),
            "COPY a d".into(),
            "MGET c b a".into(),
            "MSET c 1 b 2 a 3".into(),
            format!("SET b {}... (72 more bytes)", &long[..128]),
            "SET a 1".into(),
            "SLOWLOG RESET".into(),
        ];
        // What runs on the connection is there at once, what runs elsewhere when it comes home.
        let (mut logged, mut expected) = (logged(&mut client), expected.to_vec());
        assert_eq!(logged.remove(0), "SLOWLOG LEN");
        logged.sort();
        expected.sort();
        assert_eq!(logged, expected, "{shards} shards");

        let Value::Array(entries) = client.call(&["SLOWLOG", "GET", "1"]) else { panic!("a list") };
        let Value::Array(fields) = &entries[0] else { panic!("a list") };
        assert_eq!(bytes(&fields[5]), b"me");
        assert!(bytes(&fields[4]).starts_with(b"127.0.0.1:"));
    }
}

#[test]
fn secrets_are_in_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2", "--slowlog-log-slower-than", "0"]);
    let mut client = server.client();
    let mut monitor = server.client();
    assert_eq!(monitor.raw(&["MONITOR"]), OK);
    client.call(&["SLOWLOG", "RESET"]);
    client.call(&["AUTH", "default", "secret"]);
    client.call(&["AUTH", "secret"]);
    client.call(&["HELLO", "3", "AUTH", "secret", "secret"]);
    assert_eq!(client.raw(&["CONFIG", "SET", "requirepass", "secret", "timeout", "0"]), OK);
    let expected = [
        "CONFIG SET requirepass (redacted) timeout 0",
        "HELLO 3 AUTH (redacted) (redacted)",
        "AUTH (redacted)",
        "AUTH default (redacted)",
        "SLOWLOG RESET",
    ];
    assert_eq!(logged(&mut client), expected);
    let lines: Vec<String> = (0..3).map(|_| line(&mut monitor)).collect();
    assert!(lines.iter().all(|line| line.contains("(redacted)") && !line.contains("secret")), "{lines:?}");
}

/// The next line of MONITOR, without its time and sender.
fn line(monitor: &mut Client) -> String {
    let (_, Value::Simple(line)) = monitor.receive() else { panic!("a line is a simple string") };
    let (head, words) = line.split_once("] ").expect("a sender stands in brackets");
    let time = head.split(' ').next().unwrap();
    assert!(time.parse::<f64>().is_ok_and(|seconds| seconds > 1e9), "{line}");
    words.to_owned()
}

#[test]
fn a_monitor_sees_the_commands_of_all_shards() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "4"]);
    let mut monitors: Vec<Client> = (0..8).map(|_| server.client()).collect();
    for monitor in &mut monitors {
        assert_eq!(monitor.raw(&["MONITOR"]), OK);
    }
    let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        let number = index.to_string();
        assert_eq!(client.raw(&["SET", &number, "a b"]), OK);
        assert_eq!(client.raw(&["CONFIG", "GET", "nosuch"]), b"*0\r\n", "what administers is not shown");
        client.send_all([&["GET", &number][..], &["DBSIZE"]].into_iter());
        client.receive();
        client.receive();
    }
    for monitor in &mut monitors {
        let mut lines: Vec<String> = (0..24).map(|_| line(monitor)).collect();
        for index in 0..8 {
            let position = |words: &str| lines.iter().position(|line| line == words).expect(words);
            assert!(
                position(&format!("\"SET\" \"{index}\" \"a b\"")) < position(&format!("\"GET\" \"{index}\""))
            );
        }
        lines.retain(|line| line == "\"DBSIZE\"");
        assert_eq!(lines.len(), 8);
    }
    let list = text(&mut clients[0], &["CLIENT", "LIST"]);
    assert_eq!(list.lines().filter(|line| line.contains(" flags=O ")).count(), 8, "{list}");

    // Replies and lines come whole, and RESET ends it.
    let mut monitor = monitors.remove(0);
    monitor.send_all([&["PING"][..], &["GET", "1"], &["RESET"], &["PING", "again"]].into_iter());
    let mut replies = Vec::new();
    while replies.len() < 4 {
        let reply = String::from_utf8(monitor.receive().0).unwrap();
        if !reply.contains(" [0 127.0.0.1:") {
            replies.push(reply);
        }
    }
    let refused = "-ERR Replica can't interact with the keyspace\r\n";
    assert_eq!(replies, ["+PONG\r\n", refused, "+RESET\r\n", "$5\r\nagain\r\n"]);
    let list = text(&mut clients[0], &["CLIENT", "LIST"]);
    assert_eq!(list.lines().filter(|line| line.contains(" flags=O ")).count(), 7, "{list}");
}

#[test]
fn a_monitor_that_does_not_read_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let limit = ["--client-output-buffer-limit", "normal 1mb 0 0"];
    let server = Server::everfast(dir.path(), &[&["--shards", "2"], &limit[..]].concat());
    let mut deaf: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for monitor in &mut deaf {
        assert_eq!(monitor.raw(&["MONITOR"]), OK);
    }
    let mut client = server.client();
    let value = "x".repeat(100_000);
    let deadline = Instant::now() + Duration::from_secs(20);
    while text(&mut client, &["CLIENT", "LIST"]).contains(" flags=O ") {
        assert!(Instant::now() < deadline, "monitors that never read are still there");
        assert_eq!(client.raw(&["SET", "a", &value]), OK);
    }
}

/// The figures of a command in a section of INFO.
fn figures(client: &mut Client, section: &str, command: &str) -> Option<String> {
    let info = text(client, &["INFO", section]);
    info.lines().find_map(|line| line.strip_prefix(command)?.strip_prefix(':')).map(str::to_owned)
}

#[test]
fn calls_are_counted_with_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "4", "--enable-debug-command", "yes"]);
    let mut client = server.client();
    assert_eq!(client.raw(&["CONFIG", "RESETSTAT"]), OK);
    assert_eq!(client.raw(&["MSET", "a", "1", "b", "2", "c", "3", "d", "x"]), OK);
    for key in ["a", "b", "c", "d"] {
        client.call(&["INCR", key]);
    }
    client.call(&["INCR"]);
    client.call(&["NOSUCH"]);
    client.call(&["COPY", "a", "a2"]);
    client.call(&["COPY", "a", "a"]);
    let began = Instant::now();
    assert_eq!(client.raw(&["DEBUG", "SLEEP", "0.1"]), OK);
    let most_us = began.elapsed().as_micros() as u64;

    let mut of = |command: &str| figures(&mut client, "commandstats", &format!("cmdstat_{command}"));
    let counts = |line: &str| {
        let value = |name: &str| {
            let field = line.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            field.unwrap_or_else(|| panic!("no {name} in {line}")).parse::<f64>().unwrap() as u64
        };
        (value("calls"), value("rejected_calls"), value("failed_calls"), value("usec"))
    };
    let (calls, rejected, failed, _) = counts(&of("incr").unwrap());
    assert_eq!((calls, rejected, failed), (4, 1, 1));
    let (calls, rejected, failed, _) = counts(&of("mset").unwrap());
    assert_eq!((calls, rejected, failed), (1, 0, 0), "however many parts it has");
    let (calls, rejected, failed, _) = counts(&of("copy").unwrap());
    assert_eq!((calls, rejected, failed), (2, 0, 1));
    let (calls, _, _, micros) = counts(&of("debug").unwrap());
    assert!(calls == 1 && (100_000..most_us).contains(&micros), "{micros} of {most_us}");
    assert!(of("config|resetstat").unwrap().starts_with("calls=1,usec="));
    assert_eq!(of("nosuch"), None);

    let line = figures(&mut client, "latencystats", "latency_percentiles_usec_debug").unwrap();
    let percentiles: Vec<(&str, f64)> =
        line.split(',').map(|p| p.split_once('=').unwrap()).map(|(p, v)| (p, v.parse().unwrap())).collect();
    assert_eq!(percentiles.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["p50", "p99", "p99.9"]);
    assert!(percentiles.iter().all(|(_, micros)| *micros >= 100_000.0), "{line}");
    let Value::Array(histogram) = client.call(&["LATENCY", "HISTOGRAM", "incr", "config", "GET"]) else {
        panic!("pairs")
    };
    let names: Vec<Vec<u8>> = histogram.iter().step_by(2).map(bytes).collect();
    assert_eq!(names, [&b"incr"[..], b"config|resetstat"]);
    let Value::Array(incr) = &histogram[1] else { panic!("pairs") };
    assert_eq!(incr[1], Value::Integer(4));
    let Value::Array(steps) = &incr[3] else { panic!("pairs") };
    assert_eq!(steps.last(), Some(&Value::Integer(4)), "all are within the last bound");
}

/// The second that the server's clock shows: of the events in one, the longest alone is kept.
fn second(client: &mut Client) -> Vec<u8> {
    let Value::Array(time) = client.call(&["TIME"]) else { panic!("seconds and microseconds") };
    bytes(&time[0])
}

#[test]
fn what_takes_long_is_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2", "--enable-debug-command", "yes"]);
    let mut client = server.client();
    client.call(&["DEBUG", "SLEEP", "0.05"]);
    assert_eq!(client.raw(&["LATENCY", "LATEST"]), b"*0\r\n", "it is off");
    assert!(text(&mut client, &["LATENCY", "DOCTOR"]).contains("not monitored"));
    assert_eq!(client.raw(&["CONFIG", "SET", "latency-monitor-threshold", "40"]), OK);
    client.call(&["DEBUG", "SLEEP", "0.05"]);
    let first = second(&mut client);
    while second(&mut client) == first {
        std::thread::sleep(Duration::from_millis(5));
    }
    client.call(&["DEBUG", "SLEEP", "0.05"]);
    let Value::Array(samples) = client.call(&["LATENCY", "HISTORY", "command"]) else { panic!("a list") };
    assert_eq!(samples.len(), 2, "{samples:?}");
    let Value::Array(latest) = client.call(&["LATENCY", "LATEST"]) else { panic!("a list") };
    let Value::Array(event) = &latest[0] else { panic!("a list") };
    assert_eq!(event[0], Value::Bulk(b"command".into()));
    assert!(matches!(event[3], Value::Integer(50..)), "{event:?}");
    let graph = text(&mut client, &["LATENCY", "GRAPH", "command"]);
    assert!(graph.starts_with("command - high ") && graph.contains("##"), "{graph}");
    let report = text(&mut client, &["LATENCY", "DOCTOR"]);
    assert!(report.contains("1. command: 2 latency spikes"), "{report}");
    assert_eq!(client.call(&["LATENCY", "RESET", "COMMAND"]), Value::Integer(1));
    assert_eq!(client.raw(&["LATENCY", "HISTORY", "command"]), b"*0\r\n");
}
