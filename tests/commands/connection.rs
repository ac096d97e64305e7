//! The connection: greeting, password, name; other clients.

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
        "kind: CLIENT HELP",
    ]);
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
