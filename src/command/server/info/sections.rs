//! The sections of INFO.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::figures::Figures;
use super::{Text, system};
use crate::clock;
use crate::command::connection::REDIS_VERSION;
use crate::command::table;
use crate::config::percentile_text;
use crate::persist::log::{LogShared, LogStatus};
use crate::shard::stats::CommandStats;

pub fn server(text: &mut Text, figures: &Figures) {
    let shared = &figures.shared;
    let uptime = clock::now().duration_since(shared.started).as_secs();
    text.field("redis_version", REDIS_VERSION); // whose commands these are
    text.field("redis_mode", "standalone");
    text.field("server_name", "everfast");
    text.field("everfast_version", env!("CARGO_PKG_VERSION"));
    text.field("os", system::os());
    text.field("arch_bits", usize::BITS);
    text.field("monotonic_clock", "POSIX clock_gettime");
    text.field("multiplexing_api", "epoll");
    text.field("process_id", std::process::id());
    text.field("process_supervised", "no");
    text.field("run_id", &shared.run_id);
    text.field("tcp_port", figures.config.port);
    text.field("server_time_usec", clock::since_epoch().as_micros());
    text.field("uptime_in_seconds", uptime);
    text.field("uptime_in_days", uptime / 86_400);
    text.field("hz", figures.config.hz);
    text.field("configured_hz", figures.config.hz);
    text.field("io_threads_active", 0);
    text.field("shards", shared.shards());
    if let Ok(executable) = std::env::current_exe() {
        text.field("executable", executable.display());
    }
    text.field("config_file", shared.config_file().map_or(String::new(), |path| path.display().to_string()));
}

pub fn clients(text: &mut Text, figures: &Figures) {
    text.field("connected_clients", figures.sum(|shard| shard.clients as u64));
    text.field("cluster_connections", 0);
    text.field("maxclients", figures.config.maxclients);
    text.field("client_recent_max_input_buffer", figures.max(|shard| shard.max_input_bytes));
    text.field("client_recent_max_output_buffer", figures.max(|shard| shard.max_output_bytes));
    text.field("blocked_clients", figures.sum(|shard| shard.blocked_clients as u64));
    text.field("tracking_clients", 0);
    for (index, shard) in figures.shards.iter().enumerate() {
        text.field(&format!("shard{index}_clients"), shard.clients);
    }
}

pub fn memory(text: &mut Text, figures: &Figures) {
    let resident = system::resident_bytes();
    if let Some(memory) = system::allocated() {
        text.field("used_memory", memory.allocated);
        text.field("used_memory_human", human(memory.allocated));
        usage(text, figures, memory.allocated);
        text.field("allocator_allocated", memory.allocated);
        text.field("allocator_active", memory.active);
        text.field("allocator_resident", memory.resident);
        text.field("allocator_frag_ratio", ratio(memory.active, memory.allocated));
        text.field("allocator_frag_bytes", memory.active.saturating_sub(memory.allocated));
        text.field("allocator_rss_ratio", ratio(memory.resident, memory.active));
        text.field("allocator_rss_bytes", memory.resident.saturating_sub(memory.active));
        if let Some(resident) = resident {
            text.field("rss_overhead_ratio", ratio(resident, memory.resident));
            text.field("rss_overhead_bytes", resident as i64 - memory.resident as i64);
            text.field("mem_fragmentation_bytes", resident as i64 - memory.allocated as i64);
            text.field("mem_fragmentation_ratio", ratio(resident, memory.allocated));
        }
    }
    if let Some(resident) = resident {
        text.field("used_memory_rss", resident);
        text.field("used_memory_rss_human", human(resident));
    }
    if let Some(total) = system::total_bytes() {
        text.field("total_system_memory", total);
        text.field("total_system_memory_human", human(total));
    }
    text.field("maxmemory", figures.config.maxmemory_bytes);
    text.field("maxmemory_human", human(figures.config.maxmemory_bytes as usize));
    text.field("maxmemory_policy", "noeviction");
    text.field("mem_clients_normal", figures.sum(|shard| shard.client_bytes as u64));
    for nothing in ["mem_clients_slaves", "mem_replication_backlog", "mem_cluster_links"] {
        text.field(nothing, 0);
    }
    for nothing in ["number_of_cached_scripts", "number_of_functions", "number_of_libraries"] {
        text.field(nothing, 0);
    }
    text.field("mem_aof_buffer", figures.sum(|shard| shard.queue_bytes as u64));
    text.field("mem_allocator", "jemalloc");
    text.field("active_defrag_running", 0);
}

/// What the memory in use is used for: the keys, and all else.
fn usage(text: &mut Text, figures: &Figures, allocated: usize) {
    let startup = figures.shared.startup_bytes.load(Ordering::Relaxed) as usize;
    let peak = figures.shared.note_memory(allocated as u64) as usize;
    let dataset = figures.sum(|shard| shard.keyspace_bytes as u64) as usize;
    text.field("used_memory_peak", peak);
    text.field("used_memory_peak_human", human(peak));
    text.field("used_memory_peak_perc", percent(allocated, peak));
    text.field("used_memory_overhead", allocated.saturating_sub(dataset));
    text.field("used_memory_startup", startup);
    text.field("used_memory_dataset", dataset);
    text.field("used_memory_dataset_perc", percent(dataset, allocated.saturating_sub(startup).max(dataset)));
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64)
}

/// As Redis writes a size for people: `1.50K`.
fn human(bytes: usize) -> String {
    const UNITS: [&str; 4] = ["K", "M", "G", "T"];
    let mut size = bytes as f64;
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut unit = "B";
    for larger in UNITS {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    format!("{size:.2}{unit}")
}

fn ratio(whole: usize, part: usize) -> String {
    format!("{:.2}", whole as f64 / part.max(1) as f64)
}

/// Everfast's own: the log of every shard, and its writers.
pub fn log(text: &mut Text, figures: &Figures) {
    for (index, (log, shard)) in figures.shared.logs.iter().zip(&figures.shards).enumerate() {
        let Some(log) = log.get() else { continue };
        let status = match log.status() {
            LogStatus::Ok => "ok",
            LogStatus::Refusing(_) => "refusing",
            LogStatus::Poisoned(_) => "poisoned",
        };
        let line = format!(
            "log={},status={status},appended={},written={},durable={},queue_bytes={},queue_limit_bytes={},held_replies={}",
            log.log().0,
            shard.appended,
            log.written().0,
            log.durable().0,
            shard.queue_bytes,
            log.queue_limit_bytes(),
            shard.held_replies,
        );
        text.field(&format!("shard{index}"), line);
    }
    for log in figures.shared.writers() {
        writer(text, log);
    }
}

/// Latencies and sizes are upper bounds, at most a sixteenth too large.
fn writer(text: &mut Text, log: &LogShared) {
    let metrics = log.metrics();
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let name = format!("writer{}", log.log().0);
    let line = format!(
        "writes={},syncs={},frames={},bytes={},segments={},write_errors={}",
        count(&metrics.writes),
        count(&metrics.syncs),
        count(&metrics.frames),
        count(&metrics.bytes_written),
        count(&metrics.segments),
        count(&metrics.write_errors),
    );
    text.field(&name, line);
    for (what, histogram) in [
        ("sync_us", &metrics.sync_us),
        ("write_us", &metrics.write_us),
        ("batch_effects", &metrics.batch_effects),
        ("batch_bytes", &metrics.batch_bytes),
    ] {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| histogram.quantile(share));
        text.field(&format!("{name}_{what}"), format!("p50={p50},p99={p99},p99.9={p999}"));
    }
}

pub fn stats(text: &mut Text, figures: &Figures) {
    let counters = &figures.shared.counters;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    text.field("total_connections_received", count(&counters.accepted));
    text.field("total_commands_processed", figures.sum(|shard| shard.stats.commands));
    text.field("instantaneous_ops_per_sec", figures.sum(|shard| shard.commands_per_second));
    text.field("total_net_input_bytes", count(&counters.net_input_bytes));
    text.field("total_net_output_bytes", count(&counters.net_output_bytes));
    {
        let rates = figures.shared.net_rates.lock().unwrap_or_else(PoisonError::into_inner);
        let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
        text.field("instantaneous_input_kbps", kilobytes(rates.input.mean()));
        text.field("instantaneous_output_kbps", kilobytes(rates.output.mean()));
    }
    text.field("rejected_connections", count(&counters.rejected));
    text.field("expired_keys", figures.sum(|shard| shard.stats.expired_keys));
    text.field("expired_time_cap_reached_count", figures.sum(|shard| shard.stats.expire_slices_cut));
    text.field(
        "expire_cycle_cpu_milliseconds",
        figures.sum(|shard| shard.stats.expire_time.as_millis() as u64),
    );
    for nothing in ["evicted_keys", "evicted_clients", "total_eviction_exceeded_time"] {
        text.field(nothing, 0);
    }
    text.field("keyspace_hits", figures.sum(|shard| shard.stats.keyspace_hits));
    text.field("keyspace_misses", figures.sum(|shard| shard.stats.keyspace_misses));
    // What does not exist here, and what clients ask for: no channels, no child processes, no tracking.
    for nothing in [
        "pubsub_channels",
        "pubsub_patterns",
        "pubsubshard_channels",
        "latest_fork_usec",
        "total_forks",
        "tracking_total_keys",
        "tracking_total_items",
        "tracking_total_prefixes",
        "sync_full",
        "sync_partial_ok",
        "sync_partial_err",
        "unexpected_error_replies",
    ] {
        text.field(nothing, 0);
    }
    text.field("total_error_replies", figures.sum(|shard| shard.stats.errors_by_code.values().sum()));
}

/// There is no replication yet: what clients ask for to know a master.
pub fn replication(text: &mut Text, figures: &Figures) {
    text.field("role", "master");
    text.field("connected_slaves", 0);
    text.field("master_failover_state", "no-failover");
    text.field("master_replid", &figures.shared.run_id);
    text.field("master_replid2", "0".repeat(40));
    text.field("master_repl_offset", 0);
    text.field("second_repl_offset", -1);
    for nothing in
        ["repl_backlog_active", "repl_backlog_size", "repl_backlog_first_byte_offset", "repl_backlog_histlen"]
    {
        text.field(nothing, 0);
    }
}

pub fn cpu(text: &mut Text, _: &Figures) {
    if let Some((user, system)) = system::cpu_seconds() {
        text.field("used_cpu_sys", format!("{system:.6}"));
        text.field("used_cpu_user", format!("{user:.6}"));
        text.field("used_cpu_sys_children", "0.000000"); // there are none
        text.field("used_cpu_user_children", "0.000000");
    }
}

pub fn command_stats(text: &mut Text, figures: &Figures) {
    for (index, row) in table().iter().enumerate() {
        let sum = |figure: fn(&CommandStats) -> u64| {
            figures.sum(|shard| shard.stats.by_command.get(index).map_or(0, figure))
        };
        let (calls, rejected) = (sum(|stats| stats.calls), sum(|stats| stats.rejected));
        if calls == 0 && rejected == 0 {
            continue;
        }
        let (micros, failed) = (sum(|stats| stats.nanos) / 1000, sum(|stats| stats.failed));
        let mean = if calls == 0 { 0.0 } else { micros as f64 / calls as f64 };
        let line = format!(
            "calls={calls},usec={micros},usec_per_call={mean:.2},rejected_calls={rejected},failed_calls={failed}"
        );
        text.field(&format!("cmdstat_{}", row.name), line);
    }
}

/// Percentiles of the commands' latencies, in µs.
pub fn latency_stats(text: &mut Text, figures: &Figures) {
    for (index, latencies) in &figures.latencies {
        let percentile = |percentile: &f64| {
            let nanos = latencies.percentile(*percentile);
            format!("p{}={:.3}", percentile_text(*percentile), nanos as f64 / 1000.0)
        };
        let percentiles = figures.config.latency_tracking_info_percentiles.iter().map(percentile);
        let name = table()[usize::from(*index)].name;
        text.field(&format!("latency_percentiles_usec_{name}"), percentiles.collect::<Vec<_>>().join(","));
    }
}

pub fn error_stats(text: &mut Text, figures: &Figures) {
    let mut total: std::collections::BTreeMap<&str, u64> = Default::default();
    for (code, count) in figures.shards.iter().flat_map(|shard| &shard.stats.errors_by_code) {
        *total.entry(code).or_default() += count;
    }
    for (code, count) in total {
        text.field(&format!("errorstat_{code}"), format!("count={count}"));
    }
}

pub fn cluster(text: &mut Text, _: &Figures) {
    text.field("cluster_enabled", 0);
}

pub fn keyspace(text: &mut Text, figures: &Figures) {
    for index in 0..figures.config.databases as usize {
        let database = figures.database(index);
        if database.keys > 0 {
            let line = format!(
                "keys={},expires={},avg_ttl={}",
                database.keys, database.keys_with_expiry, database.mean_ttl_ms
            );
            text.field(&format!("db{index}"), line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_are_written_as_redis_does() {
        assert_eq!(human(0), "0B");
        assert_eq!(human(1023), "1023B");
        assert_eq!(human(1536), "1.50K");
        assert_eq!(human(1_804_896), "1.72M");
        assert_eq!(human(25_276_510_208), "23.54G");
    }
}
