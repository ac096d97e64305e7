//! The sums for programs.

use serde_json::{Value, json};

use super::gather::Gathered;
use super::report::{FileFacts, LogFacts, Report};
use super::table::verdict;
use crate::json_text::text;

/// Appends the report as one line.
pub fn write(out: &mut Vec<u8>, report: &Report, gathered: &Gathered, prefixes: usize) {
    let object = json!({
        "name": text(report.name.as_bytes()),
        "kind": report.kind.id(),
        "verdict": verdict(report),
        "bytes": report.bytes(),
        "commands": gathered.total.count,
        "command_bytes": gathered.total.bytes,
        "time_from_ms": gathered.times_ms.map(|(first, _)| first),
        "time_until_ms": gathered.times_ms.map(|(_, last)| last),
        "by_command": gathered.kinds().iter().map(|kind| json!({
            "command": text(&kind.name),
            "commands": kind.sum.count,
            "bytes": kind.sum.bytes,
        })).collect::<Vec<_>>(),
        "databases": gathered.databases.iter().map(|(db, sum)| json!({
            "db": db,
            "commands": sum.count,
            "bytes": sum.bytes,
        })).collect::<Vec<_>>(),
        "prefixes": prefixes_of(gathered, prefixes),
        "largest": largest(report, gathered),
        "transactions": transactions(report, gathered),
        "files": report.files.iter().map(file).collect::<Vec<_>>(),
        "epochs": report.epochs,
        "logs": report.logs.iter().map(log).collect::<Vec<_>>(),
        "remarks": report.remarks,
        "findings": report.findings.iter().map(|finding| json!({
            "file": text(finding.file.as_bytes()),
            "offset": finding.offset,
            "what": finding.what,
            "sound_until": finding.sound_until,
            "bytes_behind": finding.bytes_behind,
            "vouched_by": finding.vouched_by,
            "damage": finding.is_damage,
        })).collect::<Vec<_>>(),
    });
    out.extend_from_slice(object.to_string().as_bytes());
    out.push(b'\n');
}

fn prefixes_of(gathered: &Gathered, count: usize) -> Value {
    let prefixes = &gathered.prefixes;
    let top = prefixes.top(count);
    let top = top
        .iter()
        .map(|(name, sum)| json!({ "prefix": text(name), "commands": sum.count, "bytes": sum.bytes }));
    json!({
        "exact": prefixes.is_exact,
        "kept": prefixes.len(),
        "top": top.collect::<Vec<_>>(),
        "none": { "commands": prefixes.none.count, "bytes": prefixes.none.bytes },
        "other": { "commands": prefixes.other.count, "bytes": prefixes.other.bytes },
    })
}

fn file_name(report: &Report, index: usize) -> Option<String> {
    report.files.get(index).map(|file| text(file.name.as_bytes()))
}

fn largest(report: &Report, gathered: &Gathered) -> Vec<Value> {
    let largest = gathered.largest.sorted();
    let commands = largest.iter().map(|large| {
        json!({
            "file": file_name(report, large.file),
            "offset": large.offset,
            "db": large.db,
            "command": text(&large.name),
            "key": large.key.as_deref().map(text),
            "bytes": large.bytes,
        })
    });
    commands.collect()
}

fn transactions(report: &Report, gathered: &Gathered) -> Value {
    let largest = gathered.largest_transaction.map(|transaction| {
        json!({
            "file": file_name(report, transaction.file),
            "offset": transaction.offset,
            "commands": transaction.commands,
            "bytes": transaction.bytes,
        })
    });
    json!({ "count": gathered.transactions, "largest": largest })
}

fn file(file: &FileFacts) -> Value {
    json!({
        "name": text(file.name.as_bytes()),
        "role": file.role,
        "bytes": file.bytes,
        "sound_until": file.sound_until,
        "commands": file.commands,
        "preamble": file.preamble.as_ref().map(|preamble| json!({
            "version": preamble.version,
            "keys": preamble.keys,
            "bytes": preamble.bytes,
            "checksum": preamble.checksum,
        })),
        "segment": file.segment.as_ref().map(|segment| json!({
            "epoch": segment.epoch.0,
            "log": segment.log.0,
            "number": segment.number.0,
            "uid": segment.uid.to_string(),
            "shards": segment.shards.iter().map(|shard| shard.0).collect::<Vec<_>>(),
            "frames": segment.frames,
            "sealed": segment.is_sealed,
        })),
    })
}

fn log(log: &LogFacts) -> Value {
    json!({
        "log": log.id.0,
        "epoch": log.epoch.0,
        "sealed": log.is_sealed,
        "frames": log.frames.1.0 - log.frames.0.0,
        "first_frame": log.frames.0.0,
        "durable_frames": log.durable.0,
        "shards": log.positions.iter().map(|(shard, first, end)| json!({
            "shard": shard.0,
            "first_position": first.0,
            "end_position": end.0,
        })).collect::<Vec<_>>(),
        "first_gsn": log.gsns.map(|(first, _)| first.0),
        "last_gsn": log.gsns.map(|(_, last)| last.0),
    })
}
