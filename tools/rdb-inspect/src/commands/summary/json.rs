//! The summary for programs.

use formats::rdb::version::Dialect;
use serde_json::{Map, Value, json};

use super::gather::{Gathered, Group};
use crate::histogram::Tally;
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
        "expiring": gathered.expiry.expiring(),
        "bytes": total.bytes,
        "databases": gathered.databases.iter().map(|database| json!({
            "db": database.number,
            "keys": database.keys,
            "expiring": database.expiring,
            "bytes": database.bytes,
        })).collect::<Vec<_>>(),
        "types": types(gathered),
        "sizes": sizes(gathered),
        "expiry": classes(gathered.expiry.classes()),
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
    if let Some(idle) = &gathered.idle {
        object["idle"] = classes(idle.classes());
    }
    if let Some(frequency) = &gathered.frequency {
        object["frequency"] = classes(frequency.classes());
    }
    out.extend_from_slice(object.to_string().as_bytes());
    out.push(b'\n');
}

fn classes(classes: impl Iterator<Item = (String, Tally)>) -> Value {
    Value::Object(classes.map(|(name, tally)| (name, tally.count.into())).collect())
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
    let sizes = gathered.sizes.classes().filter(|(_, tally)| tally.count > 0);
    sizes.map(|(up_to, tally)| json!({ "up_to": up_to, "keys": tally.count, "bytes": tally.bytes })).collect()
}

fn prefixes_of(gathered: &Gathered, count: usize) -> Value {
    let prefixes = &gathered.prefixes;
    let sum = |sum: Tally| json!({ "keys": sum.count, "bytes": sum.bytes });
    let top = prefixes.top(count);
    let top =
        top.iter().map(|(name, sum)| json!({ "prefix": text(name), "keys": sum.count, "bytes": sum.bytes }));
    json!({
        "exact": prefixes.is_exact,
        "kept": prefixes.len(),
        "top": top.collect::<Vec<_>>(),
        "none": sum(prefixes.none),
        "other": sum(prefixes.other),
    })
}

fn largest(gathered: &Gathered) -> Vec<Value> {
    let largest = gathered.largest.sorted();
    let keys = largest.iter().map(|large| {
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
