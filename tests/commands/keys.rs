//! Keys of any type: there or not, other names, copies, databases.

use crate::harness::compare;

#[test]
fn there_or_not() {
    compare(&[
        "MSET a 1 b 2 c 3 d 4 e 5",
        "EXISTS a",
        "EXISTS a b c nothing a",
        "EXISTS nothing",
        "EXISTS",
        "TOUCH a b nothing",
        "TOUCH",
        "TYPE a",
        "TYPE nothing",
        "DEL a nothing",
        "DEL b b",
        "UNLINK c d nothing",
        "UNLINK e",
        "DEL",
        "DBSIZE",
        "any-order: KEYS *",
        "RANDOMKEY",
        "SET only 1",
        "RANDOMKEY",
        "DBSIZE x",
        "SET a 1 PX 20",
        "wait: 40",
        "EXISTS a",
        "TYPE a",
        "DEL a",
        "TOUCH a",
    ]);
}

#[test]
fn the_empty_key() {
    compare(&[
        "MSET \"\" 1 a 2",
        "any-order: KEYS *",
        "KEYS **",
        "any-order: KEYS \"\"",
        "KEYS ?",
        "EXPIRE \"\" 100 \"x\\r\\n\"",
        "EXPIRE a 100 \"\\r\\nx\\r\"",
    ]);
}

#[test]
fn other_names() {
    compare(&[
        "RENAME a b",
        "RENAMENX a b",
        "RENAME a a",
        "MSET a 1 b 2 c 3 d 4 e 5",
        "RENAME a b",
        "MGET a b",
        "RENAME b a",
        "RENAME a z",
        "RENAME z y",
        "RENAME y x",
        "RENAME x x",
        "GET x",
        "RENAMENX x b",
        "RENAMENX x c",
        "RENAMENX x x",
        "RENAMENX d b",
        "RENAMENX d x",
        "RENAMENX d dd",
        "RENAMENX e ee",
        "MGET b c d e dd ee x",
        "EXPIRE ee 100",
        "RENAME ee e1",
        "near: TTL e1",
        "RENAME e1 e2",
        "near: TTL e2",
        "RENAME e2 e3",
        "near: TTL e3",
        "SET plain 1",
        "RENAME plain e3",
        "TTL e3",
        "RENAME a",
        "RENAMENX a b c",
        "any-order: KEYS *",
    ]);
}

#[test]
fn copies() {
    compare(&[
        "COPY a b",
        "SET a 1",
        "COPY a b",
        "COPY a c",
        "COPY a d",
        "COPY a e",
        "MGET a b c d e",
        "SET a 2",
        "COPY a b",
        "COPY a b REPLACE",
        "COPY a c replace",
        "COPY a d REPLACE REPLACE",
        "MGET b c d",
        "COPY a a",
        "COPY a a REPLACE",
        "COPY a a DB 1",
        "COPY a a DB 1",
        "COPY a b DB 1",
        "COPY a c DB 1",
        "COPY a d DB 2 REPLACE",
        "COPY a d REPLACE DB 2",
        "SELECT 1",
        "MGET a b c d",
        "SELECT 2",
        "GET d",
        "COPY d e DB 0 REPLACE",
        "SELECT 0",
        "GET e",
        "COPY a b DB x",
        "COPY a b DB 16",
        "COPY a b DB -1",
        "COPY a b DB 99999999999",
        "COPY a b DB",
        "COPY a b foo",
        "COPY a c foo",
        "COPY a",
        "EXPIRE a 100",
        "COPY a f",
        "COPY a g",
        "near: TTL f",
        "near: TTL g",
    ]);
}

#[test]
fn databases_and_flushes() {
    compare(&[
        "SET a 0",
        "SELECT 3",
        "GET a",
        "SET a 3",
        "MSET b 1 c 2 d 3",
        "DBSIZE",
        "SELECT 15",
        "SELECT 16",
        "SELECT -1",
        "SELECT x",
        "SELECT 1.0",
        "SELECT 99999999999",
        "SELECT",
        "DBSIZE",
        "SELECT 3",
        "FLUSHDB foo",
        "FLUSHDB SYNC ASYNC",
        "FLUSHDB ASYNC",
        "DBSIZE",
        "SELECT 0",
        "DBSIZE",
        "SET b 1",
        "FLUSHALL foo",
        "FLUSHALL sync",
        "DBSIZE",
        "SET b 1",
        "FLUSHDB",
        "GET b",
        "FLUSHALL",
    ]);
}

#[test]
fn patterns() {
    compare(&[
        "MSET one 1 two 2 three 3 four 4 'a b' 5 [x] 6 'h*llo' 7 hello 8 hallo 9",
        "any-order: KEYS *",
        "any-order: KEYS t*",
        "any-order: KEYS ?wo",
        "any-order: KEYS h[ae]llo",
        "any-order: KEYS h[^e]llo",
        "any-order: KEYS h\\\\*llo",
        "any-order: KEYS 'a b'",
        "any-order: KEYS \\\\[x]",
        "any-order: KEYS ''",
        "any-order: KEYS nothing",
        "KEYS",
        "KEYS a b",
        "SET gone 1 PX 20",
        "wait: 40",
        "any-order: KEYS g*",
    ]);
}
