//! CONFIG GET, SET, REWRITE, RESETSTAT, HELP.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::clock;
use crate::command::args::SYNTAX;
use crate::command::{Invocation, Session, TaskFuture, help};
use crate::config::AppendFsync;
use crate::persist::log::SyncPolicy;
use crate::shard::context::CommandError;
use crate::shard::shared::NetRates;
use crate::shard::{Shard, cron};

/// CONFIG GET pattern [pattern ...]
pub fn get(session: &mut Session<'_>) -> Result<(), CommandError> {
    let patterns: Vec<&[u8]> = session.request.skip(2).iter().collect();
    let pairs = session.shard.config.borrow().get(&patterns);
    session.reply.map(pairs.len());
    for (name, value) in pairs {
        session.reply.bulk(&name);
        session.reply.bulk(&value);
    }
    Ok(())
}

/// CONFIG SET name value [name value ...]
pub fn set(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let args = invocation.request().skip(2);
        if !args.len().is_multiple_of(2) {
            return invocation.error(SYNTAX);
        }
        let pairs: Vec<(&[u8], &[u8])> =
            (0..args.len() / 2).map(|pair| (args.arg(pair * 2), args.arg(pair * 2 + 1))).collect();
        let result = invocation.shard.shared.config().set(&pairs);
        if let Err(error) = result {
            return invocation.error(&error.to_string());
        }
        let shared = &invocation.shard.shared;
        if let Some(set_log_level) = shared.set_log_level.get() {
            set_log_level(shared.config().loglevel);
        }
        shared.call_all(apply).await;
        invocation.reply(|reply| reply.ok())
    })
}

/// Puts the settings that are in force now into effect on one shard. Reads the master copy when it runs: of two changes at the
/// same time, the later one is what stays on every shard.
pub fn apply(shard: &Shard) {
    let config = Arc::new(shard.shared.config().clone());
    let policy = sync_policy(config.appendfsync);
    let mut engine = shard.engine.borrow_mut();
    engine.max_string_bytes = config.proto_max_bulk_len_bytes;
    engine.compresses_dumps = config.rdbcompression;
    engine.watch(&config);
    let gated = policy == SyncPolicy::Always;
    if let Some(data_dir) = shard.shared.data_dir.get() {
        data_dir.set_policy(policy);
    }
    let is_gated = engine.is_gated();
    if let Some(log) = &mut engine.log {
        // Replies that wait, and reads that will, wait for what is durable: under the old policy that may be long ago.
        if gated != is_gated {
            log.submit_all();
            log.request_sync();
            log.submit(clock::unix_ms());
        }
        engine.set_gated(gated);
    }
    drop(engine);
    *shard.config.borrow_mut() = config;
    if shard.id.0 == 0 {
        cron::watch_memory(shard);
    }
}

/// The policy of the log for a value of `appendfsync`.
pub fn sync_policy(appendfsync: AppendFsync) -> SyncPolicy {
    match appendfsync {
        AppendFsync::Always => SyncPolicy::Always,
        AppendFsync::Everysec => SyncPolicy::EverySecond,
        AppendFsync::No => SyncPolicy::No,
    }
}

/// CONFIG REWRITE
pub fn rewrite(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let shared = Arc::clone(&invocation.shard.shared);
        // File work stays off the shard's thread.
        let rewritten = tokio::task::spawn_blocking(move || {
            let config = shared.config().clone();
            config.rewrite(shared.config_file()).map_err(|error| error.to_string())
        });
        match rewritten.await {
            Ok(Ok(())) => invocation.reply(|reply| reply.ok()),
            Ok(Err(error)) => invocation.error(&error),
            Err(_) => invocation.error("ERR Rewriting config file: the task ended early"),
        }
    })
}

/// CONFIG RESETSTAT
pub fn reset_stat(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let shared = &invocation.shard.shared;
        for counter in [
            &shared.counters.accepted,
            &shared.counters.rejected,
            &shared.counters.net_input_bytes,
            &shared.counters.net_output_bytes,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
        shared.saves.reset_counts();
        *shared.net_rates.lock().unwrap_or_else(PoisonError::into_inner) = NetRates::default();
        let reset = |shard: &Shard| {
            shard.engine.borrow_mut().stats.reset();
            shard.commands_rate.take();
        };
        shared.call_all(reset).await;
        invocation.reply(|reply| reply.ok())
    })
}

/// CONFIG HELP
pub fn help(session: &mut Session<'_>) -> Result<(), CommandError> {
    help::write(&mut session.reply, "CONFIG", HELP);
    Ok(())
}

const HELP: help::Lines = &[
    ("GET <pattern> [<pattern> ...]", &["Answers the settings whose names match, and their values."]),
    ("SET <name> <value> [<name> <value> ...]", &["Changes settings, all or none."]),
    ("RESETSTAT", &["Starts the counters of INFO anew."]),
    ("REWRITE", &["Writes the settings into the file that the server was started with."]),
];
