//! `export`: a real server loads what is written, key by key the same.

use std::path::Path;

use crate::harness::{Everfast, Keys, RedisServer, checkpointed, cmd, folder, keys_of, names, recover};
use crate::run;

fn loaded(dump: &Path) -> Keys {
    let dir = folder();
    std::fs::copy(dump, dir.path().join("dump.rdb")).unwrap();
    keys_of(&mut RedisServer::start_with(dir, &[]).connect())
}

#[test]
fn redis_loads_an_rdb_file_of_logs_and_snapshots() {
    let (dir, keys) = checkpointed();
    let out = folder();
    for version in ["10", "11"] {
        let file = out.path().join(version);
        let json =
            run!("export", dir.path(), "--rdb", &file, "--rdb-version", version, "--json").ends(0).json();
        assert_eq!(json["keys"], keys.len());
        if version == "10" {
            assert_eq!(loaded(&file), keys);
        }
    }
    assert_eq!(&std::fs::read(out.path().join("11")).unwrap()[..9], b"REDIS0011");
}

#[test]
fn snapshots_alone_are_copied_and_redis_loads_them() {
    let (dir, keys) = checkpointed();
    let outer = folder();
    let (compact, file) = (outer.path().join("compact"), outer.path().join("out.rdb"));
    run!("replay", dir.path(), "--into", &compact, "--shards", "3").ends(0);
    let json = run!("export", &compact, "--rdb", &file, "--json").ends(0).json();
    assert_eq!((&json["keys"], &json["last_effect"]), (&keys.len().into(), &serde_json::Value::Null));
    assert_eq!(loaded(&file), keys);
    // The same on standard output, where the report goes to standard error.
    let piped = run!("export", &compact, "--rdb", "-").ends(0);
    assert!(piped.stderr.contains("keys") && piped.stdout.starts_with(b"REDIS0010"));
    std::fs::write(&file, piped.stdout).unwrap();
    assert_eq!(loaded(&file), keys);
}

#[test]
fn redis_starts_on_a_directory_of_append_only_files() {
    let dir = folder();
    let keys = {
        let server = Everfast::start(dir.path());
        let mut connection = server.connect();
        for db in 0..3 {
            cmd(&mut connection, &format!("SELECT {db}"));
            (0..30).for_each(|i| cmd(&mut connection, &format!("SET k:{i} {db}-{i}")));
        }
        keys_of(&mut connection)
    };
    let target = folder();
    let aof = target.path().join("appendonlydir");
    run!("export", dir.path(), "--aof", &aof).ends(0);
    assert_eq!(names(&aof).len(), 3);
    let server = RedisServer::start_with(target, &["--appendonly", "yes"]);
    assert_eq!(keys_of(&mut server.connect()), keys);
    // And goes on with it.
    cmd(&mut server.connect(), "SET more 1");
}

#[test]
fn an_empty_directory_is_an_empty_file() {
    let (dir, out) = (folder(), folder());
    drop(Everfast::start(dir.path()));
    let file = out.path().join("empty.rdb");
    run!("export", dir.path(), "--rdb", &file).ends(0);
    assert_eq!(loaded(&file), Keys::new());
}

#[test]
fn exactly_one_target_is_needed() {
    let (dir, _) = checkpointed();
    recover(["export".as_ref(), dir.path().as_os_str()]).ends(2);
    run!("export", dir.path(), "--rdb", "x", "--aof", "y").ends(2);
}

#[test]
fn a_full_disk_is_told_with_the_file() {
    let (dir, _) = crate::harness::checkpointed();
    let run = run!("export", dir.path(), "--rdb", "/dev/full").ends(2);
    assert!(run.stderr.contains("/dev/full"), "{run:?}");
}
