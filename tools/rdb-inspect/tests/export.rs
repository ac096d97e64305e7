//! `json`, `ndjson`, `csv`: keys and values out of a file.

use serde_json::Value;

use crate::program::{BROKEN_LZF, file, key, rdb, run, server_file, string};

/// The bytes that a string of our JSON stands for.
fn bytes(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    text.strip_prefix("base64:").map_or_else(|| text.as_bytes().to_vec(), decode_base64)
}

fn decode_base64(text: &str) -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.bytes().filter(|&letter| letter != b'=') {
        bits = bits << 6 | letters.iter().position(|&other| other == letter).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// The bytes in an expectation: hexadecimal digits, with parts that are repeated: `6162*3+63`.
fn expected_bytes(text: &Value) -> Vec<u8> {
    let part = |part: &str| {
        let (digits, times) = part.split_once('*').unwrap_or((part, "1"));
        let bytes: Vec<u8> = (0..digits.len() / 2)
            .map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        bytes.repeat(times.parse().unwrap())
    };
    text.as_str().unwrap().split('+').flat_map(part).collect()
}

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

/// A number of our JSON, or of an expectation where numbers are text.
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn sorted<T: PartialOrd>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_by(|a, b| a.partial_cmp(b).unwrap());
    items
}

/// Compares a value with what the server said about it.
fn assert_value(record: &Value, expected: &Value, what: &str) {
    let (value, expected_value) = (&record["value"], &expected["value"]);
    match expected["type"].as_str().unwrap() {
        "string" => assert!(bytes(value) == expected_bytes(expected_value), "{what}"),
        "list" => assert!(
            array(value).iter().map(bytes).eq(array(expected_value).iter().map(expected_bytes)),
            "{what}"
        ),
        "set" => assert_eq!(
            sorted(array(value).iter().map(bytes)),
            sorted(array(expected_value).iter().map(expected_bytes)),
            "{what}"
        ),
        "zset" => assert_eq!(
            sorted(array(value).iter().map(|pair| (bytes(&pair[0]), number(&pair[1])))),
            sorted(array(expected_value).iter().map(|pair| (expected_bytes(&pair[0]), number(&pair[1])))),
            "{what}"
        ),
        "hash" => {
            let expiries = record["field_expires_at"].as_object();
            let fields = value.as_object().unwrap().iter().map(|(name, value)| {
                let expiry = expiries.and_then(|expiries| expiries.get(name)).and_then(Value::as_u64);
                (bytes(&name.as_str().into()), bytes(value), expiry)
            });
            let expected = array(expected_value)
                .iter()
                .map(|field| (expected_bytes(&field[0]), expected_bytes(&field[1]), field[2].as_u64()));
            assert_eq!(sorted(fields), sorted(expected), "{what}");
        }
        "stream" => assert_stream(value, expected_value, what),
        _ => assert_eq!(record["type"], "module", "{what}"),
    }
}

fn assert_stream(value: &Value, expected: &Value, what: &str) {
    let entries: Vec<_> = array(&value["entries"])
        .iter()
        .map(|entry| {
            (&entry["id"], array(&entry["fields"]).iter().map(|f| (bytes(&f[0]), bytes(&f[1]))).collect())
        })
        .collect();
    let expected_entries: Vec<(_, Vec<_>)> = array(&expected["entries"])
        .iter()
        .map(|entry| {
            let fields = array(&entry[1]).iter().map(|f| (expected_bytes(&f[0]), expected_bytes(&f[1])));
            (&entry[0], fields.collect())
        })
        .collect();
    assert_eq!(entries, expected_entries, "{what}");
    for name in ["length", "last_id", "first_id", "max_deleted_id", "entries_added"] {
        if !value[name].is_null() && !expected[name].is_null() {
            assert_eq!(value[name], expected[name], "{what}: {name}");
        }
    }
    let (groups, expected_groups) = (array(&value["groups"]), array(&expected["groups"]));
    assert_eq!(groups.len(), expected_groups.len(), "{what}");
    for (group, expected) in groups.iter().zip(expected_groups) {
        assert_eq!(bytes(&group["name"]), expected_bytes(&expected["name"]), "{what}");
        assert_eq!(group["last_id"], expected["last_id"], "{what}");
        let pending = |group: &Value| array(&group["pending"]).len();
        assert_eq!(pending(group), pending(expected), "{what}");
        let consumers = array(&group["consumers"]);
        let expected_consumers = array(&expected["consumers"]);
        assert_eq!(consumers.len(), expected_consumers.len(), "{what}");
        for (consumer, expected) in consumers.iter().zip(expected_consumers) {
            assert_eq!(bytes(&consumer["name"]), expected_bytes(&expected["name"]), "{what}");
            assert_eq!(consumer["pending"], expected["pending"], "{what}");
        }
    }
}

#[test]
fn json_holds_what_the_server_said() {
    let folder = server_file("");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rdb") {
            continue;
        }
        files += 1;
        let text = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        let result = run(&["json".as_ref(), path.as_os_str()]);
        assert_eq!((result.code, result.stderr.as_str()), (0, ""), "{path:?}");
        let records = result.json();
        let find = |expected: &Value| {
            let key = expected_bytes(&expected["key"]);
            array(&records).iter().find(|r| r["db"] == expected["db"] && bytes(&r["key"]) == key)
        };
        for expected in array(&expected["keys"]) {
            let what = format!("{path:?} {}", expected["key"]);
            let record = find(expected).unwrap_or_else(|| panic!("{what} is missing"));
            assert_eq!(record["expires_at"], expected["expires_at_ms"], "{what}");
            assert_value(record, expected, &what);
        }
        assert!(
            array(&records).len() <= array(&expected["keys"]).len() + array(&expected["expired_keys"]).len()
        );
    }
    assert!(files > 40, "{files} files");
}

#[test]
fn ndjson_has_the_same_records() {
    let path = server_file("redis-7.0.rdb");
    let whole = run(&["json", &path]).json();
    let result = run(&["ndjson", &path]);
    let lines: Vec<Value> = result.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&lines, array(&whole));
}

#[test]
fn csv_is_a_table() {
    let input = rdb(&[
        &key(b"a,\"b", b"two\nlines"),
        &key(b"\xff", b"1"),
        b"\x02",
        &string(b"set"),
        b"\x01",
        &string(b"x"),
    ]);
    let table = "db,key,type,encoding,elements,bytes,expires_at,value\r\n\
        0,\"a,\"\"b\",string,raw,1,16,,\"two\nlines\"\r\n\
        0,base64:/w==,string,raw,1,5,,1\r\n\
        0,set,set,hashtable,1,8,,\r\n";
    assert_eq!(run(&["csv", "--value", &input.path]).text(), table);
    let facts = run(&["csv", "--no-header", "--type", "set", &input.path]);
    assert_eq!(facts.text(), "0,set,set,hashtable,1,8,\r\n");
}

#[test]
fn filters_choose_keys_and_values_can_be_left_out() {
    let input = rdb(&[&key(b"user:1", b"x"), b"\xfe\x03", &key(b"user:2", b"y"), &key(b"z", b"z")]);
    let records = run(&["json", "--no-value", "--match", "user:*", "--db", "3", &input.path]).json();
    let expected = serde_json::json!([{
        "db": 3, "key": "user:2", "type": "string", "encoding": "raw", "bytes": 10,
    }]);
    assert_eq!(records, expected);
    assert_eq!(run(&["json", "--match", "none", &input.path]).json(), serde_json::json!([]));
    assert_eq!(run(&["ndjson", "--match", "none", &input.path]).text(), "");
}

#[test]
fn records_name_their_file_where_there_are_several() {
    let (first, second) = (rdb(&[&key(b"a", b"1")]), rdb(&[&key(b"a", b"2")]));
    let records = run(&["json", &first.path, &second.path]).json();
    assert_eq!(records[0]["file"], first.path);
    assert_eq!(records[1]["file"], second.path);
    assert_eq!(records[1]["value"], "2");
}

#[test]
fn what_is_before_the_damage_is_exported() {
    let path = server_file("redis-7.0.rdb");
    let whole = run(&["json", &path]).json();
    let mut bytes = std::fs::read(path).unwrap();
    bytes.truncate(bytes.len() / 2);
    let input = file(&bytes);
    let result = run(&["json", &input.path]);
    assert_eq!(result.code, 1);
    assert!(
        result.stderr.contains("offset ") && result.stderr.contains("the file ends"),
        "{}",
        result.stderr
    );
    let before = result.json();
    let count = array(&before).len();
    assert!(count > 10 && count < array(&whole).len(), "{count}");
    assert_eq!(array(&before), &array(&whole)[..count]);
    let lines = run(&["ndjson", &input.path]);
    assert_eq!((lines.code, lines.text().lines().count()), (1, count));
}

#[test]
fn a_damaged_value_costs_that_value() {
    let list =
        [b"\x01".as_slice(), &string(b"list"), b"\x03", &string(b"one"), BROKEN_LZF, &string(b"three")]
            .concat();
    let hash =
        [b"\x04".as_slice(), &string(b"hash"), b"\x02", BROKEN_LZF, &string(b"v"), &string(b"f"), BROKEN_LZF]
            .concat();
    let broken = [b"\0".as_slice(), &string(b"broken"), BROKEN_LZF].concat();
    let named = [b"\0".as_slice(), BROKEN_LZF, &string(b"value")].concat();
    let input = rdb(&[&list, &hash, &broken, &named, &key(b"sound", b"here")]);
    let result = run(&["json", &input.path]);
    assert_eq!(result.code, 1);
    assert_eq!(result.stderr.lines().count(), 4, "{}", result.stderr);
    let records = result.json();
    assert_eq!(records[0]["value"], serde_json::json!(["one", null, "three"]));
    assert_eq!(records[1]["value"], serde_json::json!({ "f": null }));
    assert_eq!((&records[2]["value"], &records[3]["key"]), (&Value::Null, &Value::Null));
    assert!((0..4).all(|i| records[i]["error"].as_str().unwrap().contains("LZF")));
    assert_eq!((&records[4]["value"], &records[4]["error"]), (&"here".into(), &Value::Null));
}

#[test]
fn long_strings_are_as_exact_as_short_ones() {
    // Around the size from which strings are written in pieces, with a character across it.
    for length in [65_535, 65_536, 65_537, 200_001] {
        let mut text = "x".repeat(65_535 - 1) + "\u{20ac}\"\n" + &"\u{1f600}".repeat(40_000);
        text.truncate((0..=length).rev().find(|&at| text.is_char_boundary(at)).unwrap());
        let binary: Vec<u8> = (0..length).map(|i| (i * 7 % 256) as u8).collect();
        let input = rdb(&[&key(b"text", text.as_bytes()), &key(b"binary", &binary)]);
        let records = run(&["json", &input.path]).json();
        assert!(records[0]["value"] == text, "{length}");
        assert!(bytes(&records[1]["value"]) == binary, "{length}");
        let table = run(&["csv", "--value", "--no-header", &input.path]);
        let quoted = format!(",\"{}\"\r\n", text.replace('"', "\"\""));
        assert!(length < 65_537 || table.text().contains(&quoted), "{length}");
    }
}
