//! `keys` and `get`: one key or all of them.

use crate::program::{BROKEN_LZF, file, key, rdb, run, server_file, string};

#[test]
fn names_are_escaped_unless_they_are_plain() {
    let input =
        rdb(&[&key(b"plain", b""), &key("gr\u{fc}n".as_bytes(), b""), &key(b"a\0\xff", b""), &key(b"", b"")]);
    assert_eq!(run(&["keys", &input.path]).text(), "plain\ngr\u{fc}n\n\"a\\x00\\xff\"\n\"\"\n");
    assert_eq!(
        run(&["keys", "-0", &input.path]).stdout,
        "plain\0gr\u{fc}n\0a\0".bytes().chain(*b"\xff\0\0").collect::<Vec<_>>()
    );
    assert_eq!(run(&["keys", "--raw", "--match", "a*", &input.path]).stdout, b"a\0\xff\n");
    assert_eq!(run(&["keys", "--count", &input.path]).text(), "4\n");
    assert_eq!(run(&["keys", "--count", "--match", "p*", &input.path]).text(), "1\n");
}

#[test]
fn a_limit_ends_the_search() {
    // Broken behind the second key: with a limit of two nobody looks there.
    let input = file(&[&b"REDIS0009"[..], &key(b"a", b"1"), &key(b"b", b"2"), b"\x63"].concat());
    let limited = run(&["keys", "--limit", "2", &input.path]);
    assert_eq!((limited.code, limited.text()), (0, "a\nb\n"));
    let whole = run(&["keys", &input.path]);
    assert_eq!((whole.code, whole.text()), (1, "a\nb\n"));
    assert!(whole.stderr.contains("offset 19: "), "{}", whole.stderr);
}

#[test]
fn long_lines_have_facts() {
    let expiring = [b"\xfc".as_slice(), &4_102_444_800_000u64.to_le_bytes(), &key(b"k", b"v")].concat();
    let set = [b"\x02".as_slice(), &string(b"s"), b"\x02", &string(b"x"), &string(b"y")].concat();
    let input = rdb(&[&expiring, b"\xfe\x02", &set]);
    let lines = "0\tstring\traw\t1\t14\t4102444800000\tk\n2\tset\thashtable\t2\t8\t-\ts\n";
    assert_eq!(run(&["keys", "--long", &input.path]).text(), lines);
}

#[test]
fn values_look_as_in_redis_cli() {
    let path = server_file("redis-7.0.rdb");
    let small = run(&["get", &path, "hash:small"]);
    let expected = "1) \"field\"\n2) \"value\"\n3) \"\"\n4) \"empty field\"\n5) \"empty value\"\n6) \"\"\n7) \"\\x00\"\n8) \"\\xff\"\n";
    assert_eq!((small.code, small.text()), (0, expected));
    assert_eq!(run(&["get", &path, "hash:small", "--field", "\"\\x00\"", "--raw"]).stdout, b"\xff");
    assert_eq!(run(&["get", &path, "zset:scores", "--field", "score 1e300"]).text(), "1e+300\n");
    assert_eq!(run(&["get", &path, "\"\""]).text(), "\"the empty key\"\n");
    let stream = run(&["get", &path, "stream:groups"]);
    assert!(stream.text().starts_with(" 1) 1) \"1-0\"\n    2) 1) \"n\"\n       2) \"1\"\n 2) 1) \"2-0\"\n"));
    assert_eq!(run(&["get", "--json", &path, "\"\""]).json()["value"], "the empty key");
}

#[test]
fn all_databases_are_searched() {
    let input = rdb(&[&key(b"k", b"zero"), b"\xfe\x03", &key(b"k", b"three")]);
    assert_eq!(run(&["get", &input.path, "k"]).text(), "\"zero\"\n# db 3\n\"three\"\n");
    assert_eq!(run(&["get", &input.path, "k", "--first"]).text(), "\"zero\"\n");
    assert_eq!(run(&["get", &input.path, "k", "--db", "3", "--raw"]).text(), "three");
}

#[test]
fn no_such_key_is_an_answer() {
    let input = rdb(&[&key(b"k", b"v")]);
    for arguments in [&["get", &input.path, "none"][..], &["get", &input.path, "k", "--field", "f"]] {
        let result = run(arguments);
        assert_eq!((result.code, result.text()), (1, ""));
        assert!(result.stderr.contains("no such key"), "{}", result.stderr);
    }
    assert_eq!(run(&["get", &input.path, "\"\\xZZ\""]).code, 2);
}

#[test]
fn a_damaged_element_is_told() {
    let list = [b"\x01".as_slice(), &string(b"l"), b"\x02", BROKEN_LZF, &string(b"two")].concat();
    let result = run(&["get", &rdb(&[&list]).path, "l"]);
    assert_eq!((result.code, result.text()), (1, "1) \n2) \"two\"\n"));
    assert!(result.stderr.contains("key \"l\""), "{}", result.stderr);
}
