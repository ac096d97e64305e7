//! All that two servers hold: keys of all databases, their types, values and ends.

use std::collections::BTreeMap;

use formats::resp::Value;

use crate::client::{Answer, Client, Words};
use crate::compare::sorted;
use crate::run::{Difference, words};

/// Ends of keys may differ by so many milliseconds: the servers are asked one after the other.
const NEAR_MS: u64 = 10_000;
const DATABASES: usize = 16;

/// How a type is read, and how many elements of the reply belong together if their order means nothing.
const READS: [(&str, &[&str], Option<usize>); 6] = [
    ("string", &["GET", "KEY"], None),
    ("list", &["LRANGE", "KEY", "0", "-1"], None),
    ("set", &["SMEMBERS", "KEY"], Some(1)),
    ("zset", &["ZRANGE", "KEY", "0", "-1", "WITHSCORES"], None),
    ("hash", &["HGETALL", "KEY"], Some(2)),
    ("stream", &["XINFO", "STREAM", "KEY", "FULL", "COUNT", "0"], None),
];

/// A key as it is compared.
#[derive(PartialEq)]
struct Entry {
    kind: String,
    content: Vec<String>,
    ends_at: i64,
}

/// Holds the states against each other; tells the first difference.
pub fn compare(
    redis: &mut Client,
    ours: &mut Client,
    has_digest: bool,
) -> Result<Option<Difference>, String> {
    let theirs = keys(redis).map_err(|error| format!("redis-server: {error}"))?;
    let own = keys(ours).map_err(|error| format!("everfast: {error}"))?;
    for (database, (theirs, own)) in theirs.into_iter().zip(own).enumerate() {
        let theirs = read(redis, database, theirs).map_err(|error| format!("redis-server: {error}"))?;
        let own = read(ours, database, own).map_err(|error| format!("everfast: {error}"))?;
        if let Some((key, theirs, own)) = first_difference(&theirs, &own) {
            let tell = |entry: Option<&Entry>| tell(database, key, entry);
            return Ok(Some(Difference { step: None, redis: tell(theirs), ours: tell(own) }));
        }
    }
    if has_digest {
        let (theirs, own) = (redis.line("DEBUG DIGEST"), ours.line("DEBUG DIGEST"));
        if theirs != own {
            let tell = |answer: Answer| format!("DEBUG DIGEST: {:?}", answer.value());
            return Ok(Some(Difference { step: None, redis: tell(theirs), ours: tell(own) }));
        }
    }
    Ok(None)
}

type Entries = BTreeMap<Vec<u8>, Entry>;

fn first_difference<'a>(
    theirs: &'a Entries,
    own: &'a Entries,
) -> Option<(&'a [u8], Option<&'a Entry>, Option<&'a Entry>)> {
    let keys = theirs.keys().chain(own.keys());
    keys.map(|key| (&key[..], theirs.get(key), own.get(key))).find(|(_, theirs, own)| match (theirs, own) {
        (Some(theirs), Some(own)) => {
            let near = theirs.ends_at == own.ends_at
                || (theirs.ends_at > 0 && own.ends_at > 0 && theirs.ends_at.abs_diff(own.ends_at) <= NEAR_MS);
            theirs.kind != own.kind || theirs.content != own.content || !near
        }
        _ => true,
    })
}

fn tell(database: usize, key: &[u8], entry: Option<&Entry>) -> String {
    let key = key.escape_ascii();
    match entry {
        None => format!("database {database} has no key \"{key}\""),
        Some(Entry { kind, content, ends_at }) => {
            let mut content = content.join(" ");
            content.truncate(content.char_indices().nth(300).map_or(content.len(), |(index, _)| index));
            format!("database {database}, key \"{key}\": {kind} {content}, ends at {ends_at}")
        }
    }
}

/// The keys of all databases.
fn keys(client: &mut Client) -> Result<Vec<Vec<Vec<u8>>>, String> {
    let asked: Vec<Words> =
        (0..DATABASES).flat_map(|database| [words(&format!("SELECT {database}")), words("KEYS *")]).collect();
    client.send(asked.iter().map(|words| &words[..]));
    let answers: Vec<Answer> = asked.iter().map(|_| client.receive()).collect();
    let listed = answers.iter().skip(1).step_by(2).map(|answer| match answer.value() {
        Some(Value::Array(keys)) => Ok(keys.iter().filter_map(text).collect()),
        answer => Err(format!("KEYS is answered with {answer:?}")),
    });
    listed.collect()
}

/// What these keys of a database hold. The connection is left in that database.
fn read(client: &mut Client, database: usize, keys: Vec<Vec<u8>>) -> Result<Entries, String> {
    if keys.is_empty() {
        return Ok(Entries::new());
    }
    client.line(&format!("SELECT {database}"));
    let ask = |name: &str, key: &Vec<u8>| vec![name.as_bytes().to_vec(), key.clone()];
    let asked: Vec<Words> = keys.iter().flat_map(|key| [ask("TYPE", key), ask("PEXPIRETIME", key)]).collect();
    client.send(asked.iter().map(|words| &words[..]));
    let kinds: Vec<(Answer, Answer)> = keys.iter().map(|_| (client.receive(), client.receive())).collect();
    let mut told = Vec::new();
    for (key, (kind, ends_at)) in keys.into_iter().zip(kinds) {
        let kind = kind.value().and_then(text).map(|text| String::from_utf8_lossy(&text).into_owned());
        let (Some(kind), Some(Value::Integer(ends_at))) = (kind, ends_at.value()) else {
            return Err(format!("TYPE or PEXPIRETIME of \"{}\" is not answered", key.escape_ascii()));
        };
        if kind != "none" {
            // Else it ended meanwhile, or is past: KEYS may still tell it.
            told.push((key, kind, *ends_at));
        }
    }
    let calls: Vec<Words> =
        told.iter().map(|(key, kind, _)| call(kind, key)).collect::<Result<_, String>>()?;
    client.send(calls.iter().map(|words| &words[..]));
    let mut entries = Entries::new();
    for (key, kind, ends_at) in told {
        let content = content(&kind, client.receive())?;
        entries.insert(key, Entry { kind, content, ends_at });
    }
    Ok(entries)
}

fn way(kind: &str) -> Result<&'static (&'static str, &'static [&'static str], Option<usize>), String> {
    READS.iter().find(|(of, ..)| *of == kind).ok_or_else(|| format!("no way to read a {kind}"))
}

fn call(kind: &str, key: &[u8]) -> Result<Words, String> {
    let mut call = words(&way(kind)?.1.join(" "));
    call.iter_mut().filter(|word| *word == b"KEY").for_each(|word| *word = key.to_vec());
    Ok(call)
}

fn content(kind: &str, answer: Answer) -> Result<Vec<String>, String> {
    let value = answer.value().ok_or_else(|| format!("a {kind} is not answered: {answer:?}"))?;
    Ok(match (way(kind)?.2, value) {
        (Some(group), value) => sorted(value, group),
        (None, Value::Bulk(bytes)) => vec![bytes.escape_ascii().to_string()],
        (None, value) => vec![format!("{value:?}")],
    })
}

fn text(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Bulk(text) => Some(text.clone()),
        Value::Simple(text) => Some(text.clone().into_bytes()),
        _ => None,
    }
}
