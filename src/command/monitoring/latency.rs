//! LATENCY: events that took long, and how long each command takes.

use std::fmt::Write;

use formats::resp::Reply;

use crate::clock;
use crate::command::args::quoted;
use crate::command::{Invocation, Session, TaskFuture, help, index_of, table};
use crate::config::AppendFsync;
use crate::shard::Shard;
use crate::shard::context::CommandError;
use crate::shard::latencies::Latencies;
use crate::shard::latency::{self, Series};

/// Seconds, and heights, of a graph.
const GRAPH_COLUMNS: usize = 80;
const GRAPH_ROWS: u64 = 4;

/// LATENCY LATEST: of each event the last sample and the worst.
pub fn latest(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let events = invocation.shard.shared.latency();
        invocation.reply(|reply| {
            reply.array(events.iter().len());
            for (name, series) in events.iter() {
                reply.array(4);
                reply.bulk_str(name);
                reply.integer(series.last().unix_seconds as i64);
                reply.integer(series.last().millis as i64);
                reply.integer(series.worst_millis as i64);
            }
        })
    })
}

/// LATENCY HISTORY event
pub fn history(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let events = invocation.shard.shared.latency();
        invocation.reply(|reply| {
            let Some((_, series)) = events.get(invocation.request().arg(2)) else { return reply.array(0) };
            reply.array(series.samples().len());
            for sample in series.samples() {
                reply.array(2);
                reply.integer(sample.unix_seconds as i64);
                reply.integer(sample.millis as i64);
            }
        })
    })
}

/// LATENCY RESET [event ...]
pub fn reset(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let mut events = invocation.shard.shared.latency();
        let names = invocation.request().skip(2);
        let forgotten = match names.len() == 0 {
            true => events.reset(None),
            false => names.iter().map(|name| events.reset(Some(name))).sum(),
        };
        invocation.reply(|reply| reply.integer(forgotten as i64))
    })
}

/// LATENCY GRAPH event
pub fn graph(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let events = invocation.shard.shared.latency();
        let event = invocation.request().arg(2);
        match events.get(event) {
            Some((name, series)) => {
                let text = draw(name, series, clock::unix_ms() / 1000);
                invocation.reply(|reply| reply.verbatim("txt", text.as_bytes()))
            }
            None => {
                let event = quoted(event, usize::MAX);
                invocation.error(&format!("ERR No samples available for event '{event}'"))
            }
        }
    })
}

/// A column per sample, the newest at the right, with its age below it, to be read downwards.
fn draw(name: &str, series: &Series, now_seconds: u64) -> String {
    let samples: Vec<_> =
        series.samples().skip(series.samples().len().saturating_sub(GRAPH_COLUMNS)).collect();
    let of_all = || series.samples().map(|sample| sample.millis);
    let (high, low) = (of_all().max().unwrap_or(0), of_all().min().unwrap_or(0));
    let worst = series.worst_millis;
    let mut text = format!("{name} - high {high} ms, low {low} ms (all time high {worst} ms)\n");
    text += &"-".repeat(GRAPH_COLUMNS);
    text.push('\n');
    let mut line = |column: &dyn Fn(usize) -> char| {
        let row: String = (0..samples.len()).map(column).collect();
        text += row.trim_end();
        text.push('\n');
    };
    for row in (0..GRAPH_ROWS).rev() {
        line(&|column| {
            // From 1 to all rows, by the share of the highest.
            let height = 1 + samples[column].millis * (GRAPH_ROWS - 1) / high.max(1);
            if height > row { '#' } else { ' ' }
        });
    }
    line(&|_| ' ');
    let ages: Vec<Vec<char>> =
        samples.iter().map(|sample| age(now_seconds.saturating_sub(sample.unix_seconds))).collect();
    for row in 0..ages.iter().map(Vec::len).max().unwrap_or(0) {
        line(&|column| ages[column].get(row).copied().unwrap_or(' '));
    }
    text
}

fn age(seconds: u64) -> Vec<char> {
    let text = match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    };
    text.chars().collect()
}

/// LATENCY DOCTOR: what the events look like, and what could be done.
pub fn doctor(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let config = invocation.shard.config.borrow().clone();
        let shared = &invocation.shard.shared;
        let (threshold_ms, is_always) =
            (config.latency_monitor_threshold_ms, config.appendfsync == AppendFsync::Always);
        let events = shared.latency();
        let report = match events.iter().len() {
            0 if threshold_ms == 0 => {
                "Latency is not monitored: nothing can be said. Turn it on with CONFIG SET \
                                       latency-monitor-threshold <milliseconds>.\n"
                    .to_owned()
            }
            0 => format!("Nothing took {threshold_ms} ms or more so far.\n"),
            _ => diagnose(events.iter(), clock::unix_ms() / 1000, is_always),
        };
        invocation.reply(|reply| reply.verbatim("txt", report.as_bytes()))
    })
}

fn diagnose<'e>(
    events: impl Iterator<Item = (&'static str, &'e Series)>,
    now_seconds: u64,
    is_always: bool,
) -> String {
    let (mut report, mut advice) = (String::from("What took long:\n\n"), String::new());
    for (number, (name, series)) in events.enumerate() {
        let count = series.samples().len() as u64;
        let mean = series.samples().map(|sample| sample.millis).sum::<u64>() / count;
        let deviation = series.samples().map(|sample| sample.millis.abs_diff(mean)).sum::<u64>() / count;
        let first = series.samples().next().map_or(now_seconds, |sample| sample.unix_seconds);
        let period = now_seconds.saturating_sub(first).max(1) as f64 / count as f64;
        // Writing into a string does not fail.
        let _ = writeln!(
            report,
            "{}. {name}: {count} latency spikes (average {mean}ms, mean deviation {deviation}ms, period {period:.2} sec). \
             Worst all time event {}ms.",
            number + 1,
            series.worst_millis
        );
        if let Some(text) = advice_on(name, is_always) {
            let _ = writeln!(advice, "- {name}: {text}");
        }
    }
    if !advice.is_empty() {
        let _ = write!(report, "\nWhat could be done:\n\n{advice}");
    }
    report
}

fn advice_on(event: &str, is_always: bool) -> Option<&'static str> {
    match event {
        latency::COMMAND => Some(
            "some commands have much to do. SLOWLOG GET tells which; ask for less at a time (SCAN for KEYS, UNLINK \
             for DEL of large values).",
        ),
        latency::FAST_COMMAND => Some(
            "commands that never have much to do took long: the machine has more to run than it has cores, or too \
             little memory.",
        ),
        latency::EXPIRE_CYCLE => {
            Some("many keys expire at the same time: give them times that differ a little.")
        }
        latency::LOG_WRITE => Some(
            "the device, or others that use it, holds up writes to the log: look at it, or use a faster one.",
        ),
        latency::LOG_SYNC_ALWAYS if is_always => Some(
            "replies wait for these syncs (appendfsync always): a device with a protected write cache makes them \
             short, appendfsync everysec does without.",
        ),
        latency::LOG_SYNC | latency::LOG_SYNC_ALWAYS => Some(
            "the device takes long to sync the log; no reply waits for it now, but a crash would lose more.",
        ),
        latency::CHECKPOINT_CUT => Some(
            "a shard stood still to freeze its keys: the machine was busy, for there is little to do then.",
        ),
        _ => None,
    }
}

/// LATENCY HISTOGRAM [command ...]: of a container, those of its subcommands.
pub fn histogram(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let names = invocation.request().skip(2);
        let mut wanted: Vec<u16> = Vec::new();
        for index in names.iter().filter_map(index_of) {
            let subcommands = table()[usize::from(index)].subcommands.len() as u16;
            wanted.extend(index..=index + subcommands);
        }
        if names.len() == 0 {
            wanted.extend(0..table().len() as u16);
        }
        let latencies = collect(&invocation, wanted).await;
        invocation.reply(|reply| {
            reply.map(latencies.len());
            for (index, latencies) in &latencies {
                reply.bulk_str(table()[usize::from(*index)].name);
                write_histogram(reply, latencies);
            }
        })
    })
}

fn write_histogram(reply: &mut Reply<'_>, latencies: &Latencies) {
    reply.map(2);
    reply.bulk_str("calls");
    reply.integer(latencies.total() as i64);
    reply.bulk_str("histogram_usec");
    let steps = latencies.cumulative();
    reply.map(steps.len());
    for (micros, count) in steps {
        reply.integer(micros as i64);
        reply.integer(count as i64);
    }
}

/// The latencies of those of the `wanted` commands that were called, over all shards, in that order.
pub async fn collect(invocation: &Invocation, wanted: Vec<u16>) -> Vec<(u16, Latencies)> {
    let of_shard = move |shard: &Shard| {
        let engine = shard.engine.borrow();
        let latencies = |index: &u16| engine.stats.by_command.get(usize::from(*index))?.latencies.clone();
        wanted.iter().map(|index| (*index, latencies(index))).collect::<Vec<_>>()
    };
    let mut all: Vec<(u16, Option<Latencies>)> = Vec::new();
    for shard in invocation.shard.shared.call_all(of_shard).await {
        if all.is_empty() {
            all = shard;
            continue;
        }
        for ((_, total), (_, part)) in all.iter_mut().zip(shard) {
            match (&mut *total, part) {
                (Some(total), Some(part)) => total.add(&part),
                (None, part) => *total = part,
                (Some(_), None) => {}
            }
        }
    }
    all.into_iter().filter_map(|(index, latencies)| Some((index, latencies?))).collect()
}

/// LATENCY HELP
pub fn help(session: &mut Session<'_>) -> Result<(), CommandError> {
    help::write(&mut session.reply, "LATENCY", HELP);
    Ok(())
}

const HELP: help::Lines = &[
    ("DOCTOR", &["Tells what took long and what could be done."]),
    ("GRAPH <event>", &["Draws the samples of an event."]),
    ("HISTORY <event>", &["Answers the samples of an event: Unix time and milliseconds."]),
    ("LATEST", &["Answers the last and the worst sample of each event."]),
    ("RESET [<event> ...]", &["Forgets these events, or all."]),
    ("HISTOGRAM [<command> ...]", &["Answers how long calls of these commands, or of all, have taken."]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::latency::{Events, Sample};

    fn events() -> Events {
        let mut events = Events::default();
        for (unix_seconds, millis) in [(1000, 10), (1040, 40), (4650, 20)] {
            events.add(latency::COMMAND, Sample { unix_seconds, millis });
        }
        events
    }

    #[test]
    fn a_graph_has_a_column_for_each_sample() {
        let events = events();
        let (name, series) = events.get(b"command").unwrap();
        let expected = [
            "command - high 40 ms, low 10 ms (all time high 40 ms)".to_owned(),
            "-".repeat(80),
            " #".into(),
            " #".into(),
            " ##".into(),
            "###".into(),
            String::new(),
            "111".into(),
            "hh0".into(),
            "  s".into(),
        ];
        assert_eq!(draw(name, series, 4660).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_doctor_knows_the_figures() {
        let report = diagnose(events().iter(), 4660, false);
        assert!(
            report.contains("1. command: 3 latency spikes (average 23ms, mean deviation 11ms, period 1220.00 sec). Worst all time event 40ms."),
            "{report}"
        );
        assert!(report.contains("SLOWLOG GET"), "{report}");
    }
}
