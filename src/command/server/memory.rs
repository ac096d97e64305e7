//! MEMORY: what takes how much, as far as it can be told.
//!
//! Fields of MEMORY STATS have Redis' names where they mean here what they mean there; what has no meaning here is left
//! out.

use std::sync::atomic::Ordering;

use formats::resp::{Reply, Request};
use tikv_jemalloc_ctl::stats_print::{Options, stats_print};
use tikv_jemalloc_ctl::{Access, AsName, arenas};

use super::info::figures::Figures;
use super::info::system::{self, Allocated};
use crate::command::args::{SYNTAX, integer, is};
use crate::command::{Invocation, Session, TaskFuture, help};
use crate::shard::context::{CommandError, Context};

type Result<T = ()> = std::result::Result<T, CommandError>;

/// MEMORY USAGE key [SAMPLES count]
pub fn usage(context: &mut Context<'_>) -> Result {
    check_samples(context.request.skip(3))?;
    match context.memory_of(context.key(0)) {
        Some(bytes) => context.reply.integer(bytes as i64),
        None => context.reply.null(),
    }
    Ok(())
}

/// Nothing is sampled: what a value takes is known.
fn check_samples(args: Request<'_>) -> Result {
    let mut index = 0;
    while let Some(word) = args.get(index) {
        let count = args.get(index + 1).filter(|_| is(word, "SAMPLES")).ok_or(SYNTAX)?;
        if integer(count)? < 0 {
            return Err(SYNTAX.into());
        }
        index += 2;
    }
    Ok(())
}

/// Bytes, and what follows from them.
struct Usage {
    startup: usize,
    peak: usize,
    heap: Allocated,
    resident: usize,
    dataset: usize,
    keys: usize,
    client_bytes: usize,
    clients: usize,
    log_bytes: usize,
    /// Number, and what its keys take, of each database that has any.
    databases: Vec<(usize, usize)>,
}

impl Usage {
    async fn collect(invocation: &Invocation) -> Option<Usage> {
        let figures = Figures::collect(invocation, false).await;
        let bytes = invocation.shard.shared.call_all(|shard| {
            let engine = shard.engine.borrow();
            engine.dbs.iter().map(|db| (db.len(), db.memory_bytes())).collect::<Vec<_>>()
        });
        let mut databases: Vec<(usize, usize, usize)> = Vec::new();
        for shard in bytes.await {
            for (db, (keys, bytes)) in shard.into_iter().enumerate().filter(|(_, (keys, _))| *keys > 0) {
                match databases.iter_mut().find(|database| database.0 == db) {
                    Some(database) => *database = (db, database.1 + keys, database.2 + bytes),
                    None => databases.push((db, keys, bytes)),
                }
            }
        }
        databases.sort_unstable();
        let heap = system::allocated()?;
        let peak = figures.shared.note_memory(heap.allocated as u64) as usize;
        Some(Usage {
            startup: figures.shared.startup_bytes.load(Ordering::Relaxed) as usize,
            peak,
            heap,
            resident: system::resident_bytes()?,
            dataset: databases.iter().map(|database| database.2).sum(),
            keys: databases.iter().map(|database| database.1).sum(),
            client_bytes: figures.sum(|shard| shard.client_bytes as u64) as usize,
            clients: figures.sum(|shard| shard.clients as u64) as usize,
            log_bytes: figures.sum(|shard| shard.queue_bytes as u64) as usize,
            databases: databases.into_iter().map(|(db, _, bytes)| (db, bytes)).collect(),
        })
    }

    /// In Redis' order: those before the databases, and those behind.
    fn fields(&self) -> (Vec<Field>, Vec<Field>) {
        let heap = self.heap;
        let part = |part: usize, whole: usize| Number::Ratio(part as f64 * 100.0 / whole.max(1) as f64);
        let ratio = |whole: usize, part: usize| Number::Ratio(whole as f64 / part.max(1) as f64);
        let over = |whole: usize, part: usize| Number::Bytes(whole as i64 - part as i64);
        let bytes = |bytes: usize| Number::Bytes(bytes as i64);
        let since_start = heap.allocated.saturating_sub(self.startup);
        let before = vec![
            ("peak.allocated", bytes(self.peak)),
            ("total.allocated", bytes(heap.allocated)),
            ("startup.allocated", bytes(self.startup)),
            ("clients.normal", bytes(self.client_bytes)),
            ("aof.buffer", bytes(self.log_bytes)),
        ];
        let behind = vec![
            ("overhead.total", bytes(heap.allocated.saturating_sub(self.dataset))),
            ("keys.count", bytes(self.keys)),
            ("keys.bytes-per-key", bytes(self.dataset / self.keys.max(1))),
            ("dataset.bytes", bytes(self.dataset)),
            ("dataset.percentage", part(self.dataset, since_start.max(self.dataset))),
            ("peak.percentage", part(heap.allocated, self.peak)),
            ("allocator.allocated", bytes(heap.allocated)),
            ("allocator.active", bytes(heap.active)),
            ("allocator.resident", bytes(heap.resident)),
            ("allocator-fragmentation.ratio", ratio(heap.active, heap.allocated)),
            ("allocator-fragmentation.bytes", over(heap.active, heap.allocated)),
            ("allocator-rss.ratio", ratio(heap.resident, heap.active)),
            ("allocator-rss.bytes", over(heap.resident, heap.active)),
            ("rss-overhead.ratio", ratio(self.resident, heap.resident)),
            ("rss-overhead.bytes", over(self.resident, heap.resident)),
            ("fragmentation", ratio(self.resident, heap.allocated)),
            ("fragmentation.bytes", over(self.resident, heap.allocated)),
        ];
        (before, behind)
    }
}

type Field = (&'static str, Number);

enum Number {
    Bytes(i64),
    Ratio(f64),
}

const NO_FIGURES: &str = "ERR The allocator and the system do not tell";

/// MEMORY STATS
pub fn stats(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let Some(usage) = Usage::collect(&invocation).await else { return invocation.error(NO_FIGURES) };
        let (before, behind) = usage.fields();
        invocation.reply(|reply| {
            reply.map(before.len() + usage.databases.len() + behind.len());
            before.iter().for_each(|field| write_field(reply, field));
            for (db, bytes) in &usage.databases {
                reply.bulk_str(&format!("db.{db}"));
                reply.map(1);
                write_field(reply, &("dataset.bytes", Number::Bytes(*bytes as i64)));
            }
            behind.iter().for_each(|field| write_field(reply, field));
        })
    })
}

fn write_field(reply: &mut Reply<'_>, (name, number): &(&str, Number)) {
    reply.bulk_str(name);
    match *number {
        Number::Bytes(bytes) => reply.integer(bytes),
        Number::Ratio(ratio) => reply.double(ratio),
    }
}

/// Below, ratios say nothing.
const SMALL_BYTES: usize = 5 << 20;
/// Differences that matter.
const MUCH_BYTES: usize = 10 << 20;
const MUCH_PER_CLIENT_BYTES: usize = 200 << 10;

/// MEMORY DOCTOR
pub fn doctor(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let Some(usage) = Usage::collect(&invocation).await else { return invocation.error(NO_FIGURES) };
        let report = diagnosis(&usage);
        invocation.reply(|reply| reply.verbatim("txt", report.as_bytes()))
    })
}

/// What is out of the ordinary, with the figures that say so.
fn diagnosis(usage: &Usage) -> String {
    let Usage { heap, peak, resident, .. } = *usage;
    if heap.allocated < SMALL_BYTES {
        return format!(
            "Only {} are in use: too little to find anything out of the ordinary.\n",
            mib(heap.allocated)
        );
    }
    let mut found = Vec::new();
    let exceeds = |whole: usize, part: usize, percent: usize| {
        whole / 100 > part / 100 * percent / 100 && whole.saturating_sub(part) > MUCH_BYTES
    };
    if peak / 3 > heap.allocated / 2 {
        found.push(format!(
            "Peak: {} were in use once, {} are now. What was freed is used again, and goes back to the system in time; \
             MEMORY PURGE gives it back at once.",
            mib(peak),
            mib(heap.allocated)
        ));
    }
    if exceeds(heap.active, heap.allocated, 110) {
        found.push(format!(
            "Fragmentation: {} are in use and take pages of {}. Keys that change their size often do that.",
            mib(heap.allocated),
            mib(heap.active)
        ));
    }
    if exceeds(heap.resident, heap.active, 110) {
        found.push(format!(
            "Held by the allocator: pages of {} are in use, {} are held. MEMORY PURGE gives the rest back.",
            mib(heap.active),
            mib(heap.resident)
        ));
    }
    if exceeds(resident, heap.resident, 110) {
        found.push(format!(
            "Beside the allocator: the process has {}, of which the allocator holds {}. Mapped files count, for one.",
            mib(resident),
            mib(heap.resident)
        ));
    }
    if usage.client_bytes / usage.clients.max(1) > MUCH_PER_CLIENT_BYTES {
        found.push(format!(
            "Clients: the buffers of {} clients take {}. CLIENT LIST tells which do.",
            usage.clients,
            mib(usage.client_bytes)
        ));
    }
    if found.is_empty() {
        return format!("Nothing out of the ordinary: {} are in use.\n", mib(heap.allocated));
    }
    found.iter().map(|line| format!("* {line}\n")).collect()
}

fn mib(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// MEMORY MALLOC-STATS
pub fn malloc_stats(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let mut text = Vec::new();
        match stats_print(&mut text, Options::default()) {
            Ok(()) => invocation.reply(|reply| reply.verbatim("txt", &text)),
            Err(_) => invocation.error(NO_FIGURES),
        }
    })
}

/// MEMORY PURGE
pub fn purge(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        // Gigabytes may have to be given back: that takes its time.
        match tokio::task::spawn_blocking(purge_arenas).await {
            Ok(Ok(())) => invocation.reply(|reply| reply.ok()),
            _ => invocation.error("ERR Error purging dirty pages"),
        }
    })
}

/// Lets each arena give its idle pages back: it does so when it is told to keep none.
fn purge_arenas() -> tikv_jemalloc_ctl::Result<()> {
    for arena in 0..arenas::narenas::read()? {
        let name = format!("arena.{arena}.dirty_decay_ms\0");
        let decay = name.as_str().name();
        // An arena that no thread has used yet has no pages, and takes no setting.
        let Ok(kept_ms): tikv_jemalloc_ctl::Result<isize> = decay.read() else { continue };
        decay.write(0_isize)?;
        decay.write(kept_ms)?;
    }
    Ok(())
}

/// MEMORY HELP
pub fn help(session: &mut Session<'_>) -> Result {
    help::write(&mut session.reply, "MEMORY", HELP);
    Ok(())
}

const HELP: help::Lines = &[
    ("DOCTOR", &["Tells what is out of the ordinary about the memory in use."]),
    ("MALLOC-STATS", &["Answers what the allocator tells about itself."]),
    ("PURGE", &["Gives memory that was freed back to the system."]),
    ("STATS", &["Answers figures about the memory in use."]),
    (
        "USAGE <key> [SAMPLES <count>]",
        &["Answers how many bytes the key takes with its value and its share of what stores them."],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::with_line;

    const MIB: usize = 1 << 20;

    fn usage(allocated: usize, active: usize, resident: usize) -> Usage {
        Usage {
            startup: MIB,
            peak: allocated,
            heap: Allocated { allocated, active, resident },
            resident,
            dataset: allocated / 2,
            keys: 10,
            client_bytes: 1000,
            clients: 1,
            log_bytes: 0,
            databases: vec![(0, allocated / 2)],
        }
    }

    #[test]
    fn a_diagnosis_names_what_the_figures_show() {
        assert!(diagnosis(&usage(MIB, 9 * MIB, 90 * MIB)).starts_with("Only 1.0 MiB"));
        assert!(diagnosis(&usage(100 * MIB, 105 * MIB, 110 * MIB)).starts_with("Nothing"));
        assert!(diagnosis(&usage(100 * MIB, 150 * MIB, 150 * MIB)).starts_with("* Fragmentation: 100.0 MiB"));
        assert!(diagnosis(&usage(100 * MIB, 100 * MIB, 150 * MIB)).starts_with("* Held"));
        let beside = Usage { resident: 200 * MIB, ..usage(100 * MIB, 100 * MIB, 100 * MIB) };
        assert!(diagnosis(&beside).starts_with("* Beside"));
        let peak = Usage { peak: 200 * MIB, ..usage(100 * MIB, 100 * MIB, 100 * MIB) };
        assert!(diagnosis(&peak).starts_with("* Peak"));
        let clients = Usage { client_bytes: MIB, ..usage(100 * MIB, 100 * MIB, 100 * MIB) };
        assert!(diagnosis(&clients).starts_with("* Clients: the buffers of 1"));
    }

    #[test]
    fn samples_are_a_number_that_is_not_negative() {
        for (line, expected) in [
            ("", Ok(())),
            ("SAMPLES 0", Ok(())),
            ("samples 5 SAMPLES 6", Ok(())),
            ("SAMPLES -1", Err(SYNTAX.into())),
        ] {
            assert_eq!(with_line(line, check_samples), expected, "{line}");
        }
        for line in ["SAMPLES", "x", "SAMPLES x", "x 5"] {
            assert!(with_line(line, check_samples).is_err(), "{line}");
        }
    }

    #[test]
    fn arenas_can_be_purged() {
        assert_eq!(purge_arenas(), Ok(()));
    }
}
