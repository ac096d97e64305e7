//! The `redis` crate.

use redis::{Client, Commands, Connection, ErrorKind};

use super::ARGS;
use crate::harness::Server;

fn client(server: &Server, protocol: &str, database: u8) -> Client {
    Client::open(format!("redis://127.0.0.1:{}/{database}?protocol={protocol}", server.port)).unwrap()
}

#[test]
fn the_redis_crate_works_in_both_protocols() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::everfast(dir.path(), &ARGS);
    for protocol in ["resp2", "resp3"] {
        let clients = [client(&server, protocol, 0), client(&server, protocol, 3)];
        let mut connection = clients[0].get_connection().unwrap();
        let mut other = clients[1].get_connection().unwrap();
        let _: () = redis::cmd("FLUSHALL").query(&mut connection).unwrap();
        strings_and_keys(&mut connection);
        pipelines(&mut connection);
        crowd(&clients[0]);
        databases(&mut connection, &mut other);
        restart(&mut server, &clients, [connection, other]);
    }
}

fn strings_and_keys(connection: &mut Connection) {
    let _: () = connection.set("greeting", "hello").unwrap();
    assert_eq!(connection.get::<_, String>("greeting").unwrap(), "hello");
    assert_eq!(connection.get::<_, Option<String>>("nothing").unwrap(), None);
    assert_eq!(connection.incr::<_, _, i64>("count", 41).unwrap(), 41);
    let _: () = connection.mset(&[("a", 1), ("b", 2), ("c", 3)]).unwrap();
    assert_eq!(connection.mget::<_, Vec<i64>>(&["a", "b", "c"]).unwrap(), [1, 2, 3]);
    assert_eq!(connection.del::<_, i64>(&["a", "b", "nothing"]).unwrap(), 2);
    let _: () = connection.set_ex("short", "x", 100).unwrap();
    assert!((1..=100).contains(&connection.ttl::<_, i64>("short").unwrap()));
    let mut keys: Vec<String> = connection.scan().unwrap().collect::<Result<_, _>>().unwrap();
    keys.sort();
    assert_eq!(keys, ["c", "count", "greeting", "short"]);
    let bytes = [0, 255, 13, 10, 128];
    let _: () = connection.set("bytes", &bytes[..]).unwrap();
    assert_eq!(connection.get::<_, Vec<u8>>("bytes").unwrap(), bytes);
    let error = redis::cmd("INCR").arg("greeting").query::<i64>(connection).unwrap_err();
    assert!(error.to_string().contains("not an integer"), "{error}");
}

fn pipelines(connection: &mut Connection) {
    let (x, y): (i64, String) =
        redis::pipe().cmd("INCR").arg("count").cmd("GET").arg("greeting").query(connection).unwrap();
    assert_eq!((x, y.as_str()), (42, "hello"));
    let mut pipe = redis::pipe();
    for index in 0..1000 {
        pipe.set(format!("p{index}"), index).ignore();
    }
    for index in 0..1000 {
        pipe.get(format!("p{index}"));
    }
    let replies: Vec<i64> = pipe.query(connection).unwrap();
    assert_eq!(replies, (0..1000).collect::<Vec<i64>>());
}

/// Many connections at once.
fn crowd(client: &Client) {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut connection = client.get_connection().unwrap();
                for _ in 0..100 {
                    let _: i64 = connection.incr("shared", 1).unwrap();
                }
            });
        }
    });
    assert_eq!(client.get_connection().unwrap().get::<_, i64>("shared").unwrap(), 800);
}

fn databases(connection: &mut Connection, other: &mut Connection) {
    assert_eq!(other.get::<_, Option<String>>("greeting").unwrap(), None);
    let _: () = other.set("greeting", "three").unwrap();
    assert_eq!(connection.get::<_, String>("greeting").unwrap(), "hello");
    let _: () = redis::cmd("CLIENT").arg("SETNAME").arg("tester").query(other).unwrap();
    let list: String = redis::cmd("CLIENT").arg("LIST").query(connection).unwrap();
    assert!(list.contains("name=tester") && list.contains("db=3"), "{list}");
}

/// The server is killed and comes back: old connections say that they have ended, new ones find everything.
fn restart(server: &mut Server, clients: &[Client; 2], old: [Connection; 2]) {
    server.restart();
    for mut connection in old {
        let error = connection.get::<_, String>("greeting").unwrap_err();
        assert!(error.is_connection_dropped() || error.kind() == ErrorKind::Io, "{error}");
    }
    let [mut connection, mut other] = clients.each_ref().map(|client| client.get_connection().unwrap());
    assert_eq!(connection.get::<_, i64>("count").unwrap(), 42);
    assert_eq!(connection.get::<_, i64>("shared").unwrap(), 800);
    assert_eq!(connection.get::<_, i64>("p999").unwrap(), 999);
    assert_eq!(other.get::<_, String>("greeting").unwrap(), "three");
    assert_eq!(connection.incr::<_, _, i64>("count", 1).unwrap(), 43);
}
