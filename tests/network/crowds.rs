//! Many clients, and clients that take without end.

use std::time::{Duration, Instant};

use formats::resp::Value;

use crate::harness::{Client, Server};

fn info(client: &mut Client, section: &str, field: &str) -> u64 {
    let text = match client.call(&["INFO", section]) {
        Value::Bulk(text) | Value::Verbatim { text, .. } => String::from_utf8(text).unwrap(),
        other => panic!("INFO answered {other:?}"),
    };
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:"))).map(str::to_owned);
    line.unwrap_or_else(|| panic!("no {field} in\n{text}")).parse().unwrap()
}

#[test]
fn idle_connections_cost_little() {
    const CONNECTIONS: u64 = 400;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2"]);
    let mut client = server.client();
    let before = info(&mut client, "memory", "used_memory");
    let mut crowd: Vec<Client> = (0..CONNECTIONS).map(|_| server.client()).collect();
    for member in &mut crowd {
        assert_eq!(member.raw(&["SET", "k", &"v".repeat(3000)]), b"+OK\r\n");
    }
    assert_eq!(info(&mut client, "clients", "connected_clients"), CONNECTIONS + 1);
    let each = (info(&mut client, "memory", "used_memory") - before) / CONNECTIONS;
    assert!(each < 8 * 1024, "{each} bytes for each idle connection");
}

#[test]
fn a_connection_gives_back_what_a_large_exchange_took() {
    const CONNECTIONS: u64 = 30;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2", "--appendfsync", "always"]);
    let mut client = server.client();
    client.raw(&["SET", "large", &"x".repeat(1 << 20)]);
    let mut crowd: Vec<Client> = (0..CONNECTIONS).map(|_| server.client()).collect();
    crowd.iter_mut().for_each(|member| drop(member.raw(&["PING"])));
    let before = info(&mut client, "memory", "used_memory");
    let many: Vec<String> =
        std::iter::once("EXISTS".to_owned()).chain((0..20_000).map(|n| n.to_string())).collect();
    for member in &mut crowd {
        assert_eq!(member.raw(&["GET", "large"]).len(), (1 << 20) + 12);
        assert_eq!(member.raw(&many), b":0\r\n");
    }
    let after = info(&mut client, "memory", "used_memory");
    let each = after.saturating_sub(before) / CONNECTIONS;
    assert!(each < 64 * 1024, "{each} bytes kept by each connection");
}

#[test]
fn a_client_that_never_reads_is_closed_and_nobody_else_waits() {
    let dir = tempfile::tempdir().unwrap();
    let limit = ["--client-output-buffer-limit", "normal 16mb 0 0"];
    let server = Server::everfast(dir.path(), &[&["--shards", "2"], &limit[..]].concat());
    let mut client = server.client();
    client.raw(&["SET", "large", &"x".repeat(1 << 20)]);
    // On the shard of the key, or on the other: some of them come to either.
    for _ in 0..8 {
        let mut deaf = server.client();
        let requests = vec![["GET", "large"]; 200]; // 200 MB of replies, asked for in one packet
        deaf.send_all(requests.iter().map(|request| &request[..]));
        let deadline = Instant::now() + Duration::from_secs(10);
        while info(&mut client, "clients", "connected_clients") > 1 {
            assert!(Instant::now() < deadline, "the client that never reads is still there");
            assert_eq!(client.raw(&["PING"]), b"+PONG\r\n");
            let used = info(&mut client, "memory", "used_memory");
            assert!(used < 100 << 20, "{used} bytes in use");
        }
        let peak = info(&mut client, "memory", "used_memory_peak");
        assert!(peak < 100 << 20, "{peak} bytes were in use");
    }
}

#[test]
fn more_than_maxclients_are_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--maxclients", "5", "--shards", "2"]);
    // The harness' own first connection may not be gone yet.
    std::thread::sleep(Duration::from_millis(50));
    let mut crowd: Vec<Client> = (0..5).map(|_| server.client()).collect();
    for member in &mut crowd {
        assert_eq!(member.raw(&["PING"]), b"+PONG\r\n");
    }
    let mut one_too_many = server.client();
    let reply = one_too_many.try_receive().expect("a reply without a request").0;
    assert_eq!(reply, b"-ERR max number of clients reached\r\n");
    drop(crowd.pop());
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(server.client().raw(&["PING"]), b"+PONG\r\n");
}

#[test]
fn idle_clients_are_closed_after_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--timeout", "1"]);
    let mut client = server.client();
    client.raw(&["PING"]);
    let started = Instant::now();
    assert_eq!(client.try_receive(), None);
    assert!(started.elapsed() >= Duration::from_millis(900), "closed after {:?}", started.elapsed());
}

#[test]
fn a_second_server_is_refused_the_port_and_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &[]);
    let try_start = |port: u16, dir: &std::path::Path| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_everfast"))
            .args(["--port", &port.to_string(), "--dir"])
            .arg(dir)
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let other = tempfile::tempdir().unwrap();
    let taken = try_start(server.port, other.path());
    assert!(taken.contains(&server.port.to_string()), "{taken}");
    let locked = try_start(1025 + server.port % 30000, dir.path());
    assert!(locked.contains(&dir.path().display().to_string()), "{locked}");
}
