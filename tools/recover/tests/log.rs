//! `log`: effects with their places, and filters.

use serde_json::Value;

use crate::harness::{Everfast, cmd, folder, segments};
use crate::run;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn effects_are_told_with_their_places_and_found_by_filters() {
    let dir = folder();
    {
        let server = Everfast::start(dir.path());
        let mut connection = server.connect();
        (0..40).for_each(|i| cmd(&mut connection, &format!("SET k:{i} v")));
        cmd(&mut connection, "DEL k:7");
        cmd(&mut connection, "FLUSHALL");
    }
    let all = lines(&run!("log", dir.path(), "--json").ends(0).text());
    let by = |args: &[&str]| {
        let mut words = vec!["log", dir.path().to_str().unwrap(), "--json"];
        words.extend(args);
        lines(&crate::harness::recover(words).ends(0).text())
    };
    let names = |lines: &[Value]| lines.iter().map(|line| line["args"][0].clone()).collect::<Vec<_>>();
    assert_eq!(names(&by(&["--key", "k:7"])), ["SET", "DEL"]);
    assert_eq!(names(&by(&["--command", "del"])), ["DEL"]);
    let (first, second) = (by(&["--shard", "0"]), by(&["--shard", "1"]));
    assert!(!first.is_empty() && !second.is_empty() && first.len() + second.len() == all.len());
    let flush = &by(&["--command", "FLUSHALL"])[0];
    let gsn = flush["gsn"].as_u64().expect("a number").to_string();
    let parts = by(&["--gsn", &gsn]);
    assert_eq!(parts.iter().filter(|part| part["args"][0] == "FLUSHALL").count(), 2, "{parts:?}");
    assert!(by(&["--gsn", &format!("{}..", gsn.parse::<u64>().unwrap() + 1)]).is_empty());
    let time = format!("@{}", flush["time_ms"].as_u64().unwrap());
    assert!(names(&by(&["--since", &time])).contains(&"FLUSHALL".into()));
    assert!(by(&["--since", "2100-01-01"]).is_empty() && by(&["--until", "2000-01-01"]).is_empty());
    assert_eq!(
        (&flush["epoch"], flush["frame"].is_u64(), flush["position"].is_u64()),
        (&1.into(), true, true)
    );
}

#[test]
fn a_segment_is_read_while_its_server_runs() {
    let dir = folder();
    let server = Everfast::start(dir.path());
    cmd(&mut server.connect(), "SET a 1");
    let text: String =
        segments(dir.path()).iter().map(|segment| run!("log", segment).ends(0).text()).collect();
    assert!(text.contains("SET a 1") && text.contains("1/"), "{text}");
    run!("log", dir.path()).ends(2);
}
