//! The `redis` crate.

use redis::Commands;

use crate::harness::Server;

#[test]
fn the_redis_crate_works_in_both_protocols() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "3"]);
    for protocol in ["resp2", "resp3"] {
        let client =
            redis::Client::open(format!("redis://127.0.0.1:{}/?protocol={protocol}", server.port)).unwrap();
        let mut connection = client.get_connection().unwrap();
        let _: () = redis::cmd("FLUSHALL").query(&mut connection).unwrap();
        let _: () = connection.set("greeting", "hello").unwrap();
        assert_eq!(connection.get::<_, String>("greeting").unwrap(), "hello");
        assert_eq!(connection.get::<_, Option<String>>("nothing").unwrap(), None);
        assert_eq!(connection.incr::<_, _, i64>("count", 41).unwrap(), 41);
        let _: () = connection.mset(&[("a", 1), ("b", 2), ("c", 3)]).unwrap();
        assert_eq!(connection.mget::<_, Vec<i64>>(&["a", "b", "c"]).unwrap(), [1, 2, 3]);
        assert_eq!(connection.del::<_, i64>(&["a", "b", "nothing"]).unwrap(), 2);
        let _: () = connection.set_ex("short", "x", 100).unwrap();
        assert!((1..=100).contains(&connection.ttl::<_, i64>("short").unwrap()));
        let (x, y): (i64, String) =
            redis::pipe().cmd("INCR").arg("count").cmd("GET").arg("greeting").query(&mut connection).unwrap();
        assert_eq!((x, y.as_str()), (42, "hello"));
        let mut keys: Vec<String> = connection.scan().unwrap().collect::<Result<_, _>>().unwrap();
        keys.sort();
        assert_eq!(keys, ["c", "count", "greeting", "short"]);
        let error = redis::cmd("INCR").arg("greeting").query::<i64>(&mut connection).unwrap_err();
        assert!(error.to_string().contains("not an integer"), "{error}");
    }
}
