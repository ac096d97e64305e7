//! `replay`: back to a point in time, into a directory that a server starts on.

use crate::harness::{Everfast, checkpointed, cmd, contents, folder, keys_of, names, served, value_of};
use crate::run;

/// A directory whose server was told FLUSHALL, what it had before, and the JSON line of that effect.
fn flushed() -> (tempfile::TempDir, crate::harness::Keys, serde_json::Value) {
    let dir = folder();
    let keys = {
        let server = Everfast::start(dir.path());
        let mut connection = server.connect();
        (0..100).for_each(|i| cmd(&mut connection, &format!("SET k:{i} {i}")));
        cmd(&mut connection, "MSET a 1 b 2 c 3 d 4");
        let keys = keys_of(&mut connection);
        std::thread::sleep(std::time::Duration::from_millis(20));
        cmd(&mut connection, "FLUSHALL");
        cmd(&mut connection, "SET later 1");
        keys
    };
    let log = run!("log", "--command", "flushall", "--json", dir.path()).ends(0).text();
    let line = serde_json::from_str(log.lines().next().expect("a line")).expect("JSON");
    (dir, keys, line)
}

#[test]
fn a_flushall_is_undone_by_a_time() {
    let (dir, keys, flush) = flushed();
    let outer = folder();
    let new = outer.path().join("new");
    let until = format!("@{}", flush["time_ms"].as_u64().unwrap() - 1);
    let json = run!("replay", dir.path(), "--into", &new, "--until", &until, "--json").ends(0).json();
    assert_eq!(json["keys"], keys.len());
    assert!(json["left_out"]["effects_beyond_limit"].as_u64().unwrap() >= 3, "{json}");
    assert!(json["last_effect"]["ms"].as_u64() < flush["time_ms"].as_u64());
    assert_eq!(served(&new), keys);
}

#[test]
fn a_flushall_is_undone_by_a_number() {
    let (dir, keys, flush) = flushed();
    let outer = folder();
    let new = outer.path().join("new");
    let until = format!("gsn:{}", flush["gsn"].as_u64().unwrap() - 1);
    run!("replay", dir.path(), "--into", &new, "--until", &until).ends(0);
    assert_eq!(served(&new), keys);
    // With the number itself it is done, and what came later is too, as far as no other transaction did.
    let whole = outer.path().join("whole");
    run!("replay", dir.path(), "--into", &whole, "--until", &flush["gsn"].to_string()).ends(0);
    assert_eq!(value_of(&served(&whole), "k:1"), None);
}

#[test]
fn all_of_it_is_compacted_for_any_number_of_shards() {
    let (dir, keys) = checkpointed();
    let before = contents(dir.path());
    let outer = folder();
    for shards in ["1", "5"] {
        let new = outer.path().join(shards);
        run!("replay", dir.path(), "--into", &new, "--shards", shards).ends(0);
        assert_eq!(names(&new).iter().filter(|name| name.ends_with(".rdb")).count().to_string(), shards);
        run!("check", &new).ends(0);
        assert_eq!(served(&new), keys, "{shards}");
    }
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_time_before_history_is_refused() {
    let (dir, _) = checkpointed();
    let outer = folder();
    let new = outer.path().join("new");
    let run = run!("replay", dir.path(), "--into", &new, "--until", "2020-01-01").ends(1);
    assert!(run.stderr.contains("history begins at checkpoint 1, cut at 20"), "{run:?}");
    assert!(names(outer.path()).is_empty());
}

#[test]
fn nothing_is_ever_overwritten() {
    let (dir, _) = checkpointed();
    let full = folder();
    std::fs::write(full.path().join("mine"), b"precious").unwrap();
    let file = full.path().join("mine");
    for command in ["replay", "salvage"] {
        run!(command, dir.path(), "--into", full.path()).ends(2);
        run!(command, dir.path(), "--into", dir.path()).ends(2);
        run!(command, dir.path(), "--into", &file).ends(2);
    }
    run!("export", dir.path(), "--rdb", &file).ends(2);
    run!("export", dir.path(), "--rdb", dir.path().join("dump.rdb").as_path()).ends(2);
    run!("export", dir.path(), "--aof", full.path()).ends(2);
    assert_eq!(
        contents(full.path()).into_iter().collect::<Vec<_>>(),
        [("mine".into(), b"precious".to_vec())]
    );
    // An empty directory may be filled.
    let empty = folder();
    run!("replay", dir.path(), "--into", empty.path()).ends(0);
    run!("check", empty.path()).ends(0);
}

#[test]
fn a_number_that_can_be_no_gsn_is_taken_for_a_forgotten_at_sign() {
    let (dir, keys) = checkpointed();
    let outer = folder();
    let new = outer.path().join("new");
    let run = run!("replay", dir.path(), "--into", &new, "--until", "1763624832").ends(2);
    assert!(run.stderr.contains("@1763624832") && run.stderr.contains("gsn:1763624832"), "{run:?}");
    run!("export", dir.path(), "--rdb", &new, "--until", "1763624832").ends(2);
    assert!(names(outer.path()).is_empty());
    let run = run!("replay", dir.path(), "--into", &new, "--until", "gsn:1763624832").ends(0);
    assert!(run.text().contains("nothing was left out: the last GSN is "), "{run:?}");
    assert_eq!(served(&new), keys);
}

#[test]
fn nothing_is_made_inside_the_directory_that_is_read() {
    let (dir, _) = checkpointed();
    let before = contents(dir.path());
    let outer = folder();
    let link = outer.path().join("link");
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    for inside in [dir.path().join("new"), dir.path().join("some/new"), link.join("new")] {
        for command in ["replay", "salvage", "import"] {
            let run = run!(command, dir.path(), "--into", &inside).ends(2);
            assert!(run.stderr.contains("is in the directory that is read"), "{run:?}");
        }
        run!("export", dir.path(), "--aof", &inside).ends(2);
        assert_eq!(contents(dir.path()), before);
    }
}

#[test]
fn a_directory_of_something_else_is_told_as_such() {
    let (dir, outer) = (folder(), folder());
    let new = outer.path().join("new");
    for run in [run!("replay", dir.path(), "--into", &new), run!("export", dir.path(), "--rdb", &new)] {
        assert!(run.code == 2 && run.stderr.contains("has no files of Everfast"), "{run:?}");
    }
    let (dir, _) = checkpointed();
    std::fs::remove_file(dir.path().join("MANIFEST")).unwrap();
    let run = run!("replay", dir.path(), "--into", &new).ends(1);
    assert!(run.stderr.contains("MANIFEST is missing; `salvage`"), "{run:?}");
}
