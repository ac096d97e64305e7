//! The connection: greeting, password, name; other clients.

use std::time::{Duration, Instant};

use formats::resp::Value;

use crate::harness::{Client, Server, compare};

#[test]
fn small_talk() {
    compare(&[
        "PING",
        "PING hello",
        "PING a b",
        "ECHO hello",
        "ECHO ''",
        "ECHO",
        "nosuch",
        "nosuch a 'b c' d",
        "NoSuch \"a\\r\\nb\"",
        "AUTH x",
        "AUTH default x",
        "AUTH other x",
        "AUTH a b c",
        "AUTH",
        "HELLO 1",
        "HELLO 4",
        "HELLO x",
        "HELLO 3 foo",
        "HELLO 3 AUTH default",
        "HELLO 3 AUTH other x",
        "HELLO 3 SETNAME",
        "HELLO 3 SETNAME 'a b'",
        "kind: HELLO",
        "kind: HELLO 2 AUTH default x SETNAME me",
        "CLIENT GETNAME",
        "kind: HELLO 3",
        "CLIENT GETNAME",
        "CLIENT SETNAME ''",
        "CLIENT GETNAME",
        "RESET",
        "GET a",
        "QUIT",
    ]);
}

#[test]
fn about_clients() {
    compare(&[
        "CLIENT",
        "CLIENT foo",
        "CLIENT GETNAME",
        "CLIENT SETNAME 'a b'",
        "CLIENT SETNAME \"a\\nb\"",
        "CLIENT SETNAME \"a\\xc3\\xa4\"",
        "CLIENT SETNAME ab",
        "CLIENT GETNAME",
        "CLIENT GETNAME x",
        "CLIENT ID x",
        "kind: CLIENT ID",
        "kind: CLIENT INFO",
        "kind: CLIENT LIST",
        "kind: CLIENT LIST TYPE normal",
        "CLIENT LIST TYPE foo",
        "CLIENT LIST TYPE",
        "CLIENT LIST TYPE normal x",
        "CLIENT LIST TYPE pubsub",
        "CLIENT LIST ID",
        "CLIENT LIST ID x",
        "CLIENT LIST ID 999999",
        "CLIENT LIST ID -1",
        "CLIENT LIST foo",
        "CLIENT KILL",
        "CLIENT KILL 1.2.3.4:5",
        "CLIENT KILL ID 999999",
        "CLIENT KILL ID 0",
        "CLIENT KILL ID x",
        "CLIENT KILL ID 1 foo",
        "CLIENT KILL ADDR 1.2.3.4:5",
        "CLIENT KILL LADDR 1.2.3.4:5",
        "CLIENT KILL TYPE foo",
        "CLIENT KILL TYPE replica",
        "CLIENT KILL USER foo",
        "CLIENT KILL ID 999999 SKIPME maybe",
        "CLIENT KILL ID 999999 SKIPME no",
        "CLIENT KILL foo bar",
        "CLIENT NO-EVICT",
        "CLIENT NO-EVICT ON",
        "CLIENT NO-EVICT off",
        "CLIENT NO-EVICT foo",
        "CLIENT GETREDIR",
        "CLIENT LIST ID -1 999999",
        "CLIENT REPLY",
        "CLIENT REPLY foo",
        "CLIENT REPLY ON",
        "CLIENT PAUSE",
        "CLIENT PAUSE x",
        "CLIENT PAUSE -1",
        "CLIENT PAUSE 1 foo",
        "CLIENT PAUSE 1 WRITE foo",
        "CLIENT PAUSE 0",
        "CLIENT PAUSE 60000 write",
        "GET a",
        "CLIENT PAUSE 1 WRITE",
        "CLIENT UNPAUSE",
        "CLIENT UNPAUSE x",
        "SET a 1",
        "CLIENT UNBLOCK",
        "CLIENT UNBLOCK x",
        "CLIENT UNBLOCK 999999",
        "CLIENT UNBLOCK -1",
        "CLIENT UNBLOCK 999999 TIMEOUT",
        "CLIENT UNBLOCK 999999 error",
        "CLIENT UNBLOCK 999999 foo",
        "CLIENT UNBLOCK 1 ERROR foo",
        "WAIT",
        "WAIT x 1",
        "WAIT 1 x",
        "WAIT 1 -1",
        "WAIT 0 0",
        "WAIT -1 0",
        "WAIT 1 10",
        "COMMAND INFO client|pause client|unpause client|reply client|unblock client|list client|kill wait",
        "kind: CLIENT HELP",
    ]);
}

#[test]
fn no_reply_comes_that_nobody_wants() {
    let dir = tempfile::tempdir().unwrap();
    let redis = Server::redis(dir.path());
    let policies: [&[&str]; 3] =
        [&["--shards", "1"], &["--shards", "4"], &["--shards", "4", "--appendfsync", "always"]];
    let ours = (0..3)
        .map(|index| Server::everfast(&dir.path().join(index.to_string()), policies[index]))
        .collect::<Vec<_>>();
    let calls: Vec<Vec<&str>> = [
        "SET a 1",
        "CLIENT REPLY SKIP",
        "GET a",
        "GET a",
        "CLIENT REPLY SKIP",
        "CLIENT REPLY SKIP",
        "MGET a b c d",
        "MGET a b c d",
        "CLIENT REPLY SKIP",
        "CLIENT REPLY ON",
        "CLIENT REPLY SKIP",
        "NOSUCH",
        "CLIENT REPLY OFF",
        "SET b 2",
        "SET c 3",
        "MSET d 4 e 5 f 6",
        "INCR f",
        "COPY a g",
        "GET",
        "NOSUCH",
        "PING",
        "CLIENT REPLY SKIP",
        "WAIT 0 0",
        "DBSIZE",
        "CLIENT REPLY ON",
        "MGET a b c d e f g",
        "CLIENT REPLY OFF",
        "RESET",
        "CLIENT REPLY OFF",
        "CLIENT REPLY foo",
        "CLIENT REPLY ON",
        "CLIENT REPLY SKIP",
        "COPY a h",
        "EXISTS a b c d e f g h",
        "PING last",
    ]
    .iter()
    .map(|line| line.split(' ').collect())
    .collect();
    let replies = |server: &Server, at_once: bool| {
        let mut client = server.client();
        client.raw(&["FLUSHALL"]);
        match at_once {
            true => client.send_all(calls.iter().map(|call| &call[..])),
            false => calls.iter().for_each(|call| {
                client.send(call);
                std::thread::sleep(Duration::from_millis(2));
            }),
        }
        let mut replies = Vec::new();
        while replies.last().is_none_or(|reply| reply != "$4\r\nlast\r\n") {
            replies.push(String::from_utf8(client.receive().0).unwrap());
        }
        replies
    };
    for at_once in [true, false] {
        let expected = replies(&redis, at_once);
        assert!(expected.len() > 8, "{expected:?}");
        for server in &ours {
            assert_eq!(replies(server, at_once), expected);
        }
    }
}

#[test]
fn paused_clients_wait_and_nothing_expires() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "4"]);
    let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
    let mut boss = server.client();
    let ok = Value::Simple("OK".into());
    assert_eq!(boss.call(&["SET", "ending", "1", "PX", "50"]), ok);
    assert_eq!(boss.call(&["CLIENT", "PAUSE", "100", "WRITE"]), ok);
    assert_eq!(boss.call(&["CLIENT", "PAUSE", "60000", "WRITE"]), ok);
    assert_eq!(boss.call(&["CLIENT", "PAUSE", "1", "WRITE"]), ok, "a pause is never made shorter");
    for (index, client) in clients.iter_mut().enumerate() {
        client.send_all([&["GET", "a"][..], &["INCR", "n"], &["GET", &index.to_string()]].into_iter());
        assert_eq!(client.receive().1, Value::Null, "reads go on");
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(boss.call(&["GET", "ending"]), Value::Null, "its time has come");
    assert_eq!(boss.call(&["DBSIZE"]), Value::Integer(1), "but it is not removed");
    assert_eq!(boss.call(&["GET", "n"]), Value::Null);
    let Value::Bulk(list) = boss.call(&["CLIENT", "LIST"]) else { panic!("a list is text") };
    assert_eq!(String::from_utf8(list).unwrap().matches(" flags=b ").count(), 8);
    let Value::Bulk(info) = boss.call(&["INFO", "clients"]) else { panic!("INFO is text") };
    assert!(String::from_utf8(info).unwrap().contains("blocked_clients:8\r\n"));

    let began = Instant::now();
    assert_eq!(boss.call(&["CLIENT", "UNPAUSE"]), ok);
    for client in &mut clients {
        assert!(matches!(client.receive().1, Value::Integer(1..=8)));
        assert_eq!(client.receive().1, Value::Null);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    let deadline = Instant::now() + Duration::from_secs(5);
    while boss.call(&["DBSIZE"]) != Value::Integer(1) || boss.call(&["EXISTS", "n"]) != Value::Integer(1) {
        assert!(Instant::now() < deadline, "what has expired is removed behind the pause");
    }

    let began = Instant::now();
    assert_eq!(boss.call(&["CLIENT", "PAUSE", "200"]), ok);
    assert_eq!(boss.call(&["PING"]), Value::Simple("PONG".into()), "it ends by itself");
    assert!(began.elapsed() >= Duration::from_millis(199), "it ends with a millisecond of the clock");
}

#[test]
fn a_blocked_client_is_set_free() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "4"]);
    let mut boss = server.client();
    let unblocked = Value::Error("UNBLOCKED client unblocked via CLIENT UNBLOCK".into());
    for call in [&["WAIT", "1", "0"][..], &["WAITAOF", "0", "1", "0"]] {
        for how in ["TIMEOUT", "ERROR"] {
            let mut client = server.client();
            let id = id(&mut client);
            assert_eq!(boss.call(&["CLIENT", "UNBLOCK", &id]), Value::Integer(0), "it does not wait");
            client.send_all([call, &["PING"]].into_iter());
            let deadline = Instant::now() + Duration::from_secs(10);
            while boss.call(&["CLIENT", "UNBLOCK", &id, how]) == Value::Integer(0) {
                assert!(Instant::now() < deadline, "it never blocked");
            }
            let reply = client.receive().1;
            match how {
                "ERROR" => assert_eq!(reply, unblocked),
                _ => assert!(matches!(reply, Value::Integer(0) | Value::Array(_)), "{reply:?}"),
            }
            assert_eq!(client.receive().1, Value::Simple("PONG".into()));
        }
    }
    let mut client = server.client();
    let began = Instant::now();
    assert_eq!(client.call(&["WAIT", "2", "100"]), Value::Integer(0));
    assert!(began.elapsed() >= Duration::from_millis(100));
}

fn id(client: &mut Client) -> String {
    match client.call(&["CLIENT", "ID"]) {
        Value::Integer(id) => id.to_string(),
        other => panic!("an id is a number, not {other:?}"),
    }
}

#[test]
fn clients_are_listed_and_killed_on_all_shards() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "4"]);
    let mut clients: Vec<Client> = (0..16).map(|_| server.client()).collect();
    let ids: Vec<String> = clients.iter_mut().map(id).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.raw(&["CLIENT", "SETNAME", &format!("name{index}")]);
        assert_eq!(client.call(&["CLIENT", "SETINFO", "LIB-NAME", "lib"]), Value::Simple("OK".into()));
    }
    let Value::Bulk(list) = clients[0].call(&["CLIENT", "LIST"]) else { panic!("a list is text") };
    let list = String::from_utf8(list).unwrap();
    for (index, id) in ids.iter().enumerate() {
        let line =
            list.lines().find(|line| line.starts_with(&format!("id={id} "))).expect("every client is listed");
        assert!(line.contains(&format!(" name=name{index} ")) && line.contains(" lib-name=lib "), "{line}");
    }
    let Value::Bulk(list) = clients[0].call(&["CLIENT", "LIST", "ID", &ids[3], &ids[5]]) else {
        panic!("text")
    };
    assert_eq!(String::from_utf8(list).unwrap().lines().count(), 2);

    assert_eq!(clients[0].call(&["CLIENT", "KILL", "ID", &ids[7]]), Value::Integer(1));
    assert_eq!(clients[7].try_receive(), None, "a killed connection is closed");
    assert_eq!(
        clients[0].call(&["CLIENT", "KILL", "ID", &ids[0]]),
        Value::Integer(0),
        "SKIPME is the default"
    );
    assert_eq!(clients[0].call(&["CLIENT", "KILL", "ID", &ids[0], "SKIPME", "no"]), Value::Integer(1));
    assert_eq!(clients[0].try_receive(), None, "who kills itself is answered, then closed");
    assert_eq!(clients[1].call(&["CLIENT", "KILL", "TYPE", "normal"]), Value::Integer(13));
}

#[test]
fn what_clients_of_newer_versions_send_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "1"]);
    let mut client = server.client();
    let (ok, error) = (Value::Simple("OK".into()), |text: &str| Value::Error(text.into()));
    for (words, expected) in [
        (["CLIENT", "SETINFO", "lib-name", "a-b(c)"], ok.clone()),
        (["CLIENT", "SETINFO", "LIB-VER", "1.2"], ok.clone()),
        (
            ["CLIENT", "SETINFO", "LIB-NAME", "a b"],
            error("ERR lib-name cannot contain spaces, newlines or special characters."),
        ),
        (["CLIENT", "SETINFO", "FOO", "x"], error("ERR Unrecognized option 'FOO'")),
    ] {
        assert_eq!(client.call(&words), expected);
    }
    assert_eq!(client.call(&["CLIENT", "NO-TOUCH", "ON"]), ok);
    assert_eq!(client.call(&["CLIENT", "NO-TOUCH", "maybe"]), error("ERR syntax error"));
    let Value::Bulk(info) = client.call(&["CLIENT", "INFO"]) else { panic!("INFO is text") };
    let info = String::from_utf8(info).unwrap();
    assert!(info.contains(" flags=T ") && info.ends_with(" lib-name=a-b(c) lib-ver=1.2\n"), "{info}");
}

#[test]
fn a_password_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2"]);
    let mut before = server.client();
    assert_eq!(before.call(&["CONFIG", "SET", "requirepass", "secret"]), Value::Simple("OK".into()));
    assert_eq!(before.call(&["PING"]), Value::Simple("PONG".into()), "who was there before stays");
    let error = |text: &str| Value::Error(text.into());
    for _ in 0..4 {
        let mut client = server.client();
        assert_eq!(client.call(&["GET", "a"]), error("NOAUTH Authentication required."));
        let wrong = error("WRONGPASS invalid username-password pair or user is disabled.");
        assert_eq!(client.call(&["AUTH", "wrong"]), wrong);
        assert_eq!(client.call(&["AUTH", "other", "secret"]), wrong);
        assert!(
            matches!(client.call(&["HELLO", "3"]), Value::Error(text) if text.starts_with("NOAUTH HELLO"))
        );
        assert_eq!(client.call(&["AUTH", "secret"]), Value::Simple("OK".into()));
        assert_eq!(client.call(&["GET", "a"]), Value::Null);
        assert_eq!(client.call(&["RESET"]), Value::Simple("RESET".into()));
        assert_eq!(client.call(&["GET", "a"]), error("NOAUTH Authentication required."));
        assert!(matches!(client.call(&["HELLO", "3", "AUTH", "default", "secret"]), Value::Map(_)));
        assert_eq!(client.call(&["GET", "a"]), Value::Null);
    }
}

#[test]
fn who_waits_or_monitors_is_not_idle() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--timeout", "1", "--shards", "2"]);
    let (mut monitor, mut waits, mut idle) = (server.client(), server.client(), server.client());
    monitor.raw(&["MONITOR"]);
    idle.raw(&["PING"]);
    waits.send(&["WAIT", "1", "3500"]);
    let mut writes = server.client();
    let mut admin = server.client();
    admin.raw(&["CLIENT", "PAUSE", "3500", "WRITE"]);
    writes.send(&["SET", "k", "1"]);
    assert_eq!(idle.try_receive(), None, "it said nothing for more than a second");
    assert_eq!(waits.receive().0, b":0\r\n");
    assert_eq!(writes.receive().0, b"+OK\r\n");
    monitor.send(&["RESET"]);
    while monitor.receive().0 != b"+RESET\r\n" {}
}
