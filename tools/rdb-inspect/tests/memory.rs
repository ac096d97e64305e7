//! What keys take in memory: `memory`, `bigkeys`, `prefixes`, `report`.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use crate::harness::{RedisServer, Run, inspect, testdata};

/// A line of `memory`.
#[derive(Debug, Clone)]
struct Line {
    db: i64,
    value_type: String,
    key: Vec<u8>,
    encoding: String,
    elements: u64,
    redis_bytes: u64,
    everfast_bytes: u64,
}

fn lines(run: &Run) -> Vec<Line> {
    let mut rows = csv_rows(run.text()).into_iter();
    let header = rows.next().expect("a line of names");
    assert_eq!(
        header.join(","),
        "db,type,key,encoding,elements,file_bytes,redis_bytes,everfast_bytes,expires_at_ms"
    );
    rows.map(|row| Line {
        db: row[0].parse().unwrap(),
        value_type: row[1].clone(),
        key: bytes_of(&row[2]),
        encoding: row[3].clone(),
        elements: row[4].parse().unwrap(),
        redis_bytes: row[6].parse().unwrap(),
        everfast_bytes: row[7].parse().unwrap(),
    })
    .collect()
}

/// Reads CSV as RFC 4180 has it.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.push(chars.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            c => field.push(c),
        }
    }
    assert!(field.is_empty() && row.is_empty(), "the last line has no end");
    rows
}

fn bytes_of(text: &str) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let Some(base64) = text.strip_prefix("base64:") else { return text.as_bytes().to_vec() };
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for letter in base64.bytes().filter(|&letter| letter != b'=') {
        bits = bits << 6 | LETTERS.iter().position(|&other| other == letter).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn path_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Keys of all types under a few prefixes.
fn shop() -> RedisServer {
    let server = RedisServer::start();
    let script = "
        for i = 1, 3000 do redis.call('set', 'user:' .. i .. ':name', string.rep('x', i % 300)) end
        for i = 1, 300 do redis.call('set', 'cache/' .. i, string.rep('y', 50), 'EX', 10000) end
        for i = 1, 60 do for j = 1, i * 3 do redis.call('hset', 'cart:' .. i, 'item' .. j, string.rep('z', i)) end end
        for i = 1, 40 do for j = 1, i * 20 do redis.call('rpush', 'feed:' .. i, 'entry ' .. j) end end
        for i = 1, 40 do for j = 1, i * 9 do redis.call('zadd', 'board:' .. i, j / 3, 'player' .. j) end end
        for i = 1, 40 do for j = 1, i * 30 do redis.call('sadd', 'tags:' .. i, j * i % 977) end end
        for i = 1, 10 do for j = 1, i * 30 do redis.call('xadd', 'log:' .. i, j .. '-1', 'level', j) end end
        redis.call('set', 'a,b \"c\"\\n', 'v')
        redis.call('set', '\\255\\254', 'v')
        redis.call('set', 'base64:', 'v')
        return 1";
    let _: i64 = redis::cmd("EVAL").arg(script).arg(0).query(&mut server.connect()).unwrap();
    server
}

#[test]
fn encodings_are_those_that_redis_has_after_loading() {
    let names = [
        "redis-2.8",
        "redis-3.0",
        "redis-3.2",
        "redis-5.0",
        "redis-6.2",
        "redis-7.0",
        "redis-7.0-uncompressed",
        "handmade-zipmap",
        "handmade-rdb1",
    ];
    let mut encodings = HashMap::new();
    for name in names {
        let file = testdata(&format!("{name}.rdb"));
        let lines = lines(&inspect(["memory", path_of(&file)]).good());
        let server = RedisServer::load(&file);
        let mut connection = server.connect();
        for line in lines {
            redis::cmd("SELECT").arg(line.db).exec(&mut connection).unwrap();
            let encoding: Option<String> =
                redis::cmd("OBJECT").arg("ENCODING").arg(&line.key).query(&mut connection).unwrap();
            // A key may have expired since the file was made.
            let Some(encoding) = encoding else { continue };
            assert_eq!(line.encoding, encoding, "{name}: {line:?}");
            *encodings.entry((line.value_type, encoding)).or_insert(0) += 1;
        }
    }
    for (value_type, encoding) in [
        ("string", "int"),
        ("string", "embstr"),
        ("string", "raw"),
        ("list", "quicklist"),
        ("set", "intset"),
        ("set", "hashtable"),
        ("hash", "listpack"),
        ("hash", "hashtable"),
        ("zset", "listpack"),
        ("zset", "skiplist"),
        ("stream", "stream"),
    ] {
        assert!(
            encodings.contains_key(&(value_type.into(), encoding.into())),
            "no {value_type} as {encoding}"
        );
    }
}

#[test]
fn names_and_elements_come_through() {
    let server = shop();
    let file = server.save();
    let lines = lines(&inspect(["memory", path_of(&file)]).good());
    let by_name: HashMap<&[u8], &Line> = lines.iter().map(|line| (line.key.as_slice(), line)).collect();
    for name in [&b"a,b \"c\"\n"[..], b"\xFF\xFE", b"base64:"] {
        assert!(by_name.contains_key(name), "{}", name.escape_ascii());
    }
    for (name, elements) in
        [(&b"cart:60"[..], 180), (b"feed:40", 800), (b"board:40", 360), (b"log:10", 300), (b"user:7:name", 1)]
    {
        assert_eq!(by_name[name].elements, elements, "{}", name.escape_ascii());
    }
    assert!(lines.iter().all(|line| line.everfast_bytes > line.key.len() as u64));
    let keys: usize = server.run("DBSIZE");
    assert_eq!(lines.len(), keys);
}

#[test]
fn totals_are_the_sums_of_the_lines_and_samples_are_marked() {
    let server = shop();
    let file = server.save();
    let lines = lines(&inspect(["memory", path_of(&file)]).good());
    let total = inspect(["memory", "--total", path_of(&file)]).good();
    let keys = format!("{},{:03}", lines.len() / 1000, lines.len() % 1000);
    let all = total.text().lines().find(|line| line.starts_with("all")).unwrap();
    assert!(all.contains(&keys), "{all}: not {keys}");
    assert!(!total.text().contains('~'));
    let sampled = inspect(["memory", "--total", "--sample", "0.5", path_of(&file)]).good();
    let all = sampled.text().lines().find(|line| line.starts_with("all")).unwrap();
    let estimate: f64 = all.split_whitespace().nth(1).unwrap().replace(['~', ','], "").parse().unwrap();
    assert!((estimate / lines.len() as f64 - 1.0).abs() < 0.1, "{all}");
    assert_eq!(all.matches('~').count(), 5, "{all}");
}

#[test]
fn the_biggest_keys_are_the_biggest_lines() {
    let server = shop();
    let file = server.save();
    let lines = lines(&inspect(["memory", path_of(&file)]).good());
    let report = inspect(["bigkeys", "--json", "--top", "7", path_of(&file)]).good();
    let report: Value = serde_json::from_str(report.text()).unwrap();
    let types = report["types"].as_array().unwrap();
    assert_eq!(types.len(), 6);
    for found in types {
        let of_type = lines.iter().filter(|line| line.value_type == found["type"].as_str().unwrap());
        let mut sizes: Vec<u64> = of_type.clone().map(|line| line.redis_bytes).collect();
        let mut counts: Vec<u64> = of_type.map(|line| line.elements).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let figures = |list: &str, field: &str| -> Vec<u64> {
            found[list].as_array().unwrap().iter().map(|key| key[field].as_u64().unwrap()).collect()
        };
        assert_eq!(figures("by_memory", "redis_bytes"), sizes[..7], "{found}");
        assert_eq!(figures("by_elements", "elements"), counts[..7], "{found}");
        assert_eq!(found["redis_bytes"].as_u64().unwrap(), sizes.iter().sum::<u64>());
    }
    let hash = types.iter().find(|found| found["type"] == "hash").unwrap();
    assert_eq!(hash["by_elements"][0]["key"], "cart:60");
    assert_eq!(hash["by_elements"][0]["longest_element_bytes"], 60 + 7);
    let string = types.iter().find(|found| found["type"] == "string").unwrap();
    let longest = string["by_elements"].as_array().unwrap();
    // However well they are compressed in the file.
    assert!(longest.iter().all(|key| key["longest_element_bytes"] == 299), "{longest:?}");
    let table = inspect(["bigkeys", path_of(&file)]).good();
    assert!(table.text().contains("cart:60"), "{}", table.text());
}

#[test]
fn prefixes_add_up() {
    let server = shop();
    let file = server.save();
    let lines = lines(&inspect(["memory", path_of(&file)]).good());
    let sum = |prefix: &[u8]| {
        let with = lines.iter().filter(|line| line.key.starts_with(prefix));
        (with.clone().count() as u64, with.map(|line| line.redis_bytes).sum::<u64>())
    };
    for args in
        [&["--separator", ":", "--separator", "/", "--min-share", "0"][..], &["--radix", "--min-share", "0"]]
    {
        let run = inspect([&["prefixes", "--json", path_of(&file)], args].concat()).good();
        let tree: Value = serde_json::from_str(run.text()).unwrap();
        assert_eq!(tree["merges"], 0);
        let all = &tree["tree"];
        assert_eq!((all["keys"].as_u64().unwrap(), all["bytes"].as_u64().unwrap()), sum(b""));
        let mut nodes = vec![all];
        let mut checked = 0;
        while let Some(node) = nodes.pop() {
            nodes.extend(node["children"].as_array().into_iter().flatten());
            let prefix = bytes_of(node["prefix"].as_str().unwrap());
            if node["other"] == true || prefix.contains(&b'*') {
                continue;
            }
            let figures = (node["keys"].as_u64().unwrap(), node["bytes"].as_u64().unwrap());
            assert_eq!(figures, sum(&prefix), "{}", prefix.escape_ascii());
            checked += 1;
        }
        assert!(checked > 6, "{}", run.text());
    }
    let table = inspect(["prefixes", path_of(&file)]).good();
    assert!(table.text().contains("user:*:"), "{}", table.text());
    let few = inspect([
        "prefixes",
        "--csv",
        "--keep-numbers",
        "--nodes",
        "256",
        "--min-share",
        "0",
        path_of(&file),
    ]);
    let few = few.good();
    let rows = csv_rows(few.text());
    let users = rows.iter().find(|row| row[0] == "user:").unwrap();
    assert_eq!(users[2], "3000");
    assert!(rows.iter().any(|row| row[0] == "user:(other)"), "{}", few.text());
}

#[test]
fn a_report_shows_what_memory_counts() {
    let server = shop();
    let file = server.save();
    let lines = lines(&inspect(["memory", path_of(&file)]).good());
    let page = file.with_file_name("report.html");
    inspect(["report", path_of(&file), "--output", path_of(&page)]).good();
    let page = std::fs::read_to_string(page).unwrap();
    let json =
        page.split("application/json\" id=\"data\">").nth(1).and_then(|rest| rest.split("</script>").next());
    let report: Value = serde_json::from_str(json.expect("a block of JSON")).unwrap();
    let data = &report["data"];
    let bytes: u64 = lines.iter().map(|line| line.redis_bytes).sum();
    let everfast: u64 = lines.iter().map(|line| line.everfast_bytes).sum();
    assert_eq!(data["prefixes"]["keys"], lines.len());
    assert_eq!(data["prefixes"]["bytes"], bytes);
    assert_eq!(data["memory"]["redis7_bytes"], bytes);
    assert_eq!(data["memory"]["everfast_bytes"], everfast);
    assert_eq!(data["files"][0]["keys"], lines.len());
    assert_eq!(data["files"][0]["producer"]["name"], "Redis");
    assert_eq!(data["files"][0]["checksum"]["state"], "verified");
    assert_eq!(data["biggest"].as_array().unwrap().len(), lines.len());
    let largest = lines.iter().map(|line| line.redis_bytes).max().unwrap();
    assert_eq!(data["biggest"][0]["bytes"], largest);
    let by_type: u64 = data["types"].as_array().unwrap().iter().map(|tally| tally[1].as_u64().unwrap()).sum();
    assert_eq!(by_type, bytes);
    let sum = |histogram: &str| -> u64 {
        let bands = &data[histogram];
        let bands = bands.get("bands").unwrap_or(bands).as_array().unwrap();
        bands.iter().map(|tally| tally[0].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("sizes"), sum("expiry")), (lines.len() as u64, lines.len() as u64));
}

#[test]
fn what_stands_before_damage_is_counted() {
    let server = shop();
    let file = server.save();
    let whole = lines(&inspect(["memory", path_of(&file)]).good());
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    for command in ["memory", "bigkeys", "prefixes"] {
        let run = inspect([command, path_of(&file)]);
        assert_eq!(run.code, 1, "{command}: {run:?}");
        assert!(run.stderr.contains("the file ends"), "{command}: {}", run.stderr);
        if command == "memory" {
            let before = lines(&run);
            assert!(before.len() > 100 && before.len() < whole.len(), "{}", before.len());
            assert_eq!(
                before.last().map(|line| &line.key),
                whole.get(before.len() - 1).map(|line| &line.key)
            );
        }
    }
    let page = file.with_file_name("report.html");
    let run = inspect(["report", path_of(&file), "--html", path_of(&page)]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(std::fs::read_to_string(page).unwrap().contains("nothing behind it was read"));
}
