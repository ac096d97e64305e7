//! The table of directives: all that can be configured, in the order in which `--help` shows it.
//!
//! The reading of files, the flags, CONFIG GET, SET and REWRITE follow from it; defaults stand in `Config::default`.
//! A new setting is a field of [`Config`] with its default, a row here, and a place in `everfast.conf`.

use super::directive::Change::{AtRuntime, AtStart, ThisStart};
use super::directive::Group::{Clients, Durability, Fixed, General, Memory, Monitoring, Network, Snapshots};
use super::directive::{Change, Directive, Group, Kind};
use super::parse;
use super::types::{AppendFsync, DebugCommand, LogLevel};

const INT_MAX: i64 = i32::MAX as i64;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// The largest size that Redis takes, and what its error texts name.
const SIZE_MAX: u64 = i64::MAX as u64;

macro_rules! yes_no {
    ($field:ident) => {
        Kind::YesNo { get: |config| config.$field, set: |config, value| config.$field = value }
    };
}

/// The range must fit the field's type: a test sets both ends of every row.
macro_rules! integer {
    ($field:ident, $min:expr, $max:expr) => {
        Kind::Integer {
            min: $min,
            max: $max,
            get: |config| i64::from(config.$field),
            set: |config, value| config.$field = value as _,
        }
    };
}

macro_rules! bytes {
    ($field:ident, $min:expr, $max:expr) => {
        Kind::Bytes {
            min: $min,
            max: $max,
            get: |config| config.$field,
            set: |config, value| config.$field = value,
        }
    };
}

macro_rules! choice {
    ($field:ident, $type:ident) => {
        Kind::Choice {
            words: $type::WORDS,
            get: |config| config.$field as usize,
            set: |config, index| config.$field = $type::ALL[index],
        }
    };
}

macro_rules! text {
    ($parse:path, $format:path) => {
        Kind::Text { parse: $parse, format: $format }
    };
}

const fn row(
    name: &'static str,
    group: Group,
    change: Change,
    unit: &'static str,
    kind: Kind,
    meaning: &'static str,
) -> Directive {
    Directive { name, group, change, unit, kind, meaning }
}

const fn only(name: &'static str, change: Change, word: &'static str, why: &'static str) -> Directive {
    row(name, Fixed, change, word, Kind::Only { word, why }, why)
}

/// The row of that name, in either case.
pub fn find(name: &[u8]) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|row| row.name.as_bytes().eq_ignore_ascii_case(name))
}

#[rustfmt::skip]
pub static DIRECTIVES: &[Directive] = &[
    // General
    row("dir", General, AtStart, "directory", text!(parse::set_dir, parse::dir), "where the data lives; made if missing"),
    row("import", General, ThisStart, "path", text!(parse::set_import, parse::import), "fill an empty dir from an RDB file or a Redis appendonlydir first"),
    row("databases", General, AtStart, "number", integer!(databases, 1, 65_535), "number of databases that SELECT knows"),
    row("shards", General, AtStart, "number", integer!(shards, 0, 1024), "threads that each own a part of the keys; 0: one per core"),
    row("hz", General, AtRuntime, "per second", integer!(hz, 1, 500), "how often background work such as expiry runs"),
    row("loglevel", General, AtRuntime, "level", choice!(loglevel, LogLevel), "least important kind of message that is logged"),
    row("logfile", General, AtStart, "file", text!(parse::set_logfile, parse::logfile), "where messages go; empty: standard output"),
    row("shutdown-timeout", General, AtRuntime, "seconds", integer!(shutdown_timeout_seconds, 0, INT_MAX), "how long a shutdown waits for clients at most"),
    row("shutdown-on-sigint", General, AtRuntime, "words", Kind::List { parse: parse::set_sigint, lines: parse::sigint, gathers: false },
        "what SIGINT does: default, or some of save nosave now force"),
    row("shutdown-on-sigterm", General, AtRuntime, "words", Kind::List { parse: parse::set_sigterm, lines: parse::sigterm, gathers: false },
        "what SIGTERM does, likewise"),
    row("enable-debug-command", General, AtStart, "no|yes|local", choice!(enable_debug_command, DebugCommand), "who may use DEBUG; local: clients on this machine"),

    // Network
    row("port", Network, AtStart, "port", integer!(port, 1, 65_535), "TCP port to listen on"),
    row("bind", Network, AtStart, "address", Kind::List { parse: parse::set_bind, lines: parse::bind, gathers: false },
        "addresses to listen on; * and ::* are all, a leading - makes one optional"),
    row("tcp-backlog", Network, AtStart, "number", integer!(tcp_backlog, 1, INT_MAX), "connections that may wait to be accepted, per shard"),
    row("tcp-keepalive", Network, AtRuntime, "seconds", integer!(tcp_keepalive_seconds, 0, INT_MAX), "probe a silent connection after so long; 0: never"),

    // Clients
    row("requirepass", Clients, AtRuntime, "password", text!(parse::set_requirepass, parse::requirepass), "password that AUTH asks for; empty: none"),
    row("maxclients", Clients, AtRuntime, "number", integer!(maxclients, 1, u32::MAX as i64), "connections at the same time"),
    row("timeout", Clients, AtRuntime, "seconds", integer!(timeout_seconds, 0, INT_MAX), "close a client that is idle for so long; 0: never"),
    row("proto-max-bulk-len", Clients, AtRuntime, "bytes", bytes!(proto_max_bulk_len_bytes, MIB, SIZE_MAX), "longest single argument of a command"),
    row("client-query-buffer-limit", Clients, AtRuntime, "bytes", bytes!(client_query_buffer_limit_bytes, MIB, SIZE_MAX), "most that a client may have sent and not yet run"),
    row("client-output-buffer-limit", Clients, AtRuntime, "class hard soft seconds",
        Kind::List { parse: parse::set_output_limits, lines: parse::output_limits, gathers: false },
        "when a client that does not read is closed; class: normal, replica, pubsub"),

    // Monitoring
    row("slowlog-log-slower-than", Monitoring, AtRuntime, "microseconds", integer!(slowlog_log_slower_than_us, -1, i64::MAX), "commands that take so long go into the slow log; 0: all; -1: none"),
    row("slowlog-max-len", Monitoring, AtRuntime, "number", integer!(slowlog_max_len, 0, i64::MAX), "entries that the slow log keeps"),
    row("latency-monitor-threshold", Monitoring, AtRuntime, "milliseconds", integer!(latency_monitor_threshold_ms, 0, i64::MAX), "what takes so long is kept as an event of LATENCY; 0: nothing"),
    row("latency-tracking", Monitoring, AtRuntime, "yes|no", yes_no!(latency_tracking), "count the latencies of each command, for INFO and LATENCY HISTOGRAM"),
    row("latency-tracking-info-percentiles", Monitoring, AtRuntime, "percents", Kind::List { parse: parse::set_percentiles, lines: parse::percentiles, gathers: false },
        "percentiles of each command's latency that INFO tells; '': none"),

    // Durability
    row("appendonly", Durability, AtStart, "yes|no", yes_no!(appendonly), "log every write, so that it survives a restart"),
    row("appendfsync", Durability, AtRuntime, "policy", choice!(appendfsync, AppendFsync), "always: before the reply; everysec: once a second; no: when the system likes"),
    row("log-writers", Durability, AtStart, "auto|number", text!(parse::set_log_writers, parse::log_writers), "threads that write the log; auto: what the device rewards"),
    row("segment-size", Durability, AtStart, "bytes", bytes!(segment_size_bytes, MIB, GIB), "size to which the log's files grow"),
    row("log-queue-limit", Durability, AtStart, "bytes", bytes!(log_queue_limit_bytes, MIB, 64 * GIB), "unwritten log per shard at which writing clients wait"),
    row("auto-aof-rewrite-percentage", Durability, AtRuntime, "percent", integer!(auto_aof_rewrite_percentage, 0, INT_MAX),
        "checkpoint when the log has grown by so much since the last; 0: never"),
    row("auto-aof-rewrite-min-size", Durability, AtRuntime, "bytes", bytes!(auto_aof_rewrite_min_size_bytes, 0, SIZE_MAX), "but not while log and snapshots are smaller than this"),
    row("log-retention", Durability, AtRuntime, "words", Kind::List { parse: parse::set_log_retention, lines: parse::log_retention, gathers: false },
        "history kept to recover to a moment: checkpoints N, seconds N, bytes SIZE; '': only what a start needs"),

    // Snapshots
    row("save", Snapshots, AtRuntime, "seconds changes", Kind::List { parse: parse::set_save, lines: parse::save, gathers: true },
        "save after so long if there were so many changes; '': never"),
    row("dbfilename", Snapshots, AtStart, "file", text!(parse::set_dbfilename, parse::dbfilename), "RDB file in dir that SAVE and BGSAVE write; empty: none"),
    row("rdbcompression", Snapshots, AtRuntime, "yes|no", yes_no!(rdbcompression), "compress strings in snapshots: smaller files, and more memory and time while they are written"),
    row("snapshot-threads", Snapshots, AtStart, "number", integer!(snapshot_threads, 0, 1024), "threads that write snapshots; 0: half of the cores"),
    row("stop-writes-on-bgsave-error", Snapshots, AtRuntime, "yes|no", yes_no!(stop_writes_on_bgsave_error), "refuse writes while the last save failed, if there are save points"),

    // Memory
    row("maxmemory", Memory, AtRuntime, "bytes", bytes!(maxmemory_bytes, 0, u64::MAX), "refuse what needs more memory than this; 0: no limit"),
    row("lazyfree-lazy-user-del", Memory, AtRuntime, "yes|no", yes_no!(lazyfree_lazy_user_del), "DEL frees in the background, as UNLINK does"),
    row("lazyfree-lazy-user-flush", Memory, AtRuntime, "yes|no", yes_no!(lazyfree_lazy_user_flush), "FLUSHALL and FLUSHDB free in the background unless told SYNC"),
    row("lazyfree-lazy-server-del", Memory, AtRuntime, "yes|no", yes_no!(lazyfree_lazy_server_del), "what a command replaces is freed in the background"),
    row("lazyfree-lazy-expire", Memory, AtRuntime, "yes|no", yes_no!(lazyfree_lazy_expire), "what expires is freed in the background"),
    row("lazyfree-lazy-eviction", Memory, AtRuntime, "yes|no", yes_no!(lazyfree_lazy_eviction), "what is evicted is freed in the background"),

    // Fixed
    only("maxmemory-policy", AtRuntime, "noeviction", "keys are never evicted; a write beyond maxmemory is refused"),
    only("no-appendfsync-on-rewrite", AtRuntime, "no", "no option weakens appendfsync"),
    only("aof-load-truncated", AtRuntime, "yes", "a torn tail of the log is always cut and reported"),
    only("rdbchecksum", AtStart, "yes", "files are always checksummed"),
    only("daemonize", AtStart, "no", "it runs in the foreground, under the service manager"),
    only("supervised", AtStart, "no", "the service manager is not told about readiness"),
    only("protected-mode", AtRuntime, "no", "it listens on 127.0.0.1 unless 'bind' says otherwise; set 'requirepass' then"),
    only("cluster-enabled", AtStart, "no", "there is no cluster mode"),
    only("activedefrag", AtRuntime, "no", "the keyspace is packed without it"),
];
