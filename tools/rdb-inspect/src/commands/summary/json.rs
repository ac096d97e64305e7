//! The summary for programs.

use formats::rdb::version::Dialect;
use serde_json::{Map, Value, json};

use super::gather::{FREQUENCY_LIMITS, Gathered, Group, IDLE_LIMITS, expiry_names};
use super::prefixes::Sum;
use crate::input::Input;
use crate::json_text::text;
use crate::walk::{Checksum, Findings};

/// Appends the summary as one line.
pub fn write(out: &mut Vec<u8>, input: &Input, gathered: &Gathered, findings: &Findings, prefixes: usize) {
    let total = gathered.total();
    let mut object = json!({
        "file": text(input.name.as_bytes()),
        "file_bytes": input.len(),
        "format": findings.version.map(|version| match version.dialect {
            Dialect::Redis => "redis",
            Dialect::Valkey => "valkey",
        }),
        "rdb_version": findings.version.map(|version| version.number),
        "aux": gathered.aux.iter().map(|(name, value)| (text(name), text(value).into())).collect::<Map<_, _>>(),
        "keys": total.keys,
        "expiring": gathered.expiring(),
        "bytes": total.bytes,
        "databases": gathered.databases.iter().map(|database| json!({
            "db": database.number,
            "keys": database.keys,
            "expiring": database.expiring,
            "bytes": database.bytes,
        })).collect::<Vec<_>>(),
        "types": types(gathered),
        "sizes": sizes(gathered),
        "expiry": classes(expiry_names().zip(gathered.expiry)),
        "prefixes": prefixes_of(gathered, prefixes),
        "largest": largest(gathered),
        "functions": {
            "count": gathered.function_count,
            "names": gathered.functions.iter().map(|name| text(name)).collect::<Vec<_>>(),
        },
        "modules": gathered.modules.iter().map(|(name, values)| (name.clone(), (*values).into()))
            .collect::<Map<_, _>>(),
        "slots": gathered.slots,
        "checksum": checksum(findings.checksum),
        "trailing_bytes": findings.trailing_bytes,
        "command_bytes": findings.command_bytes,
        "damaged_values": gathered.damaged,
        "damage": damage(gathered, findings),
    });
    if gathered.idle.iter().any(|&keys| keys > 0) {
        let names = IDLE_LIMITS.iter().map(|(_, name)| *name).chain(["longer"]);
        object["idle"] = classes(names.zip(gathered.idle));
    }
    if gathered.frequency.iter().any(|&keys| keys > 0) {
        let names = FREQUENCY_LIMITS.iter().map(|(_, name)| *name);
        object["frequency"] = classes(names.zip(gathered.frequency));
    }
    out.extend_from_slice(object.to_string().as_bytes());
    out.push(b'\n');
}

fn classes<'c>(classes: impl Iterator<Item = (&'c str, u64)>) -> Value {
    Value::Object(classes.map(|(name, keys)| (name.to_string(), keys.into())).collect())
}

fn types(gathered: &Gathered) -> Vec<Value> {
    let types = gathered.types();
    let types = types.iter().map(|(value_type, total, encodings)| {
        let encodings: Vec<_> =
            encodings.iter().map(|(name, group)| named("encoding", name, group)).collect();
        let mut object = named("type", value_type.name(), total);
        object["encodings"] = encodings.into();
        object
    });
    types.collect()
}

fn named(member: &str, name: &str, group: &Group) -> Value {
    json!({
        member: name,
        "keys": group.keys,
        "bytes": group.bytes,
        "elements": group.elements,
        "largest": group.largest,
    })
}

fn sizes(gathered: &Gathered) -> Vec<Value> {
    let sizes = gathered.sizes.iter().enumerate().filter(|(_, group)| group.keys > 0);
    let sizes = sizes
        .map(|(i, group)| json!({ "up_to": 1u64 << i.min(63), "keys": group.keys, "bytes": group.bytes }));
    sizes.collect()
}

fn prefixes_of(gathered: &Gathered, count: usize) -> Value {
    let prefixes = &gathered.prefixes;
    let sum = |sum: Sum| json!({ "keys": sum.keys, "bytes": sum.bytes });
    let top = prefixes.top(count);
    let top =
        top.iter().map(|(name, sum)| json!({ "prefix": text(name), "keys": sum.keys, "bytes": sum.bytes }));
    json!({
        "exact": prefixes.is_exact,
        "kept": prefixes.len(),
        "top": top.collect::<Vec<_>>(),
        "none": sum(prefixes.none),
        "other": sum(prefixes.other),
    })
}

fn largest(gathered: &Gathered) -> Vec<Value> {
    let keys = gathered.largest.iter().map(|large| {
        json!({
            "db": large.db,
            "key": text(&large.key),
            "type": large.value_type.name(),
            "encoding": large.encoding,
            "bytes": large.bytes,
            "elements": large.elements,
        })
    });
    keys.collect()
}

fn checksum(checksum: Checksum) -> &'static str {
    match checksum {
        Checksum::Good => "good",
        Checksum::Wrong { .. } => "wrong",
        Checksum::Absent => "absent",
        Checksum::Unknown => "unknown",
    }
}

fn damage(gathered: &Gathered, findings: &Findings) -> Value {
    let (error, key) = match (&findings.damage, &gathered.first_damage) {
        (Some(damage), _) => (&damage.error, damage.key.as_deref()),
        (None, Some(error)) => (error, None),
        _ => return Value::Null,
    };
    json!({ "offset": error.offset(), "what": error.to_string(), "key": key.map(text) })
}
