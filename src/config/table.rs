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

// Why a setting of Redis has one value here.
const REPLICATION: &str = "there is no replication";
const CLUSTER: &str = "there is no cluster mode";
const TLS: &str = "there is no TLS; put a proxy in front";
const SOCKETS: &str = "it listens on TCP, where 'bind' says";
const EVICTION: &str = "keys are never evicted";
const CLIENTS: &str =
    "clients are bounded one by one, by 'client-query-buffer-limit' and 'client-output-buffer-limit'";
const ENCODINGS: &str = "memory is laid out differently here: there are no such encodings";
const PACKED: &str = "the keyspace never rehashes and packs its memory by itself";
const ALLOCATOR: &str = "the allocator and its pages are as the system sets them up";
const BY_PAGE: &str = "expired keys are found by page, not by sampling";
const CONSTANT_HZ: &str = "'hz' is constant";
const THREADS: &str = "threads are set by 'shards', 'log-writers' and 'snapshot-threads'";
const LOG_FORMAT: &str = "the log has a format of its own; its files are named by the server";
const SYNCS: &str = "files are written and synced as the durability promise needs";
const CHECKED: &str = "what is restored is always checked in full";
const ACL: &str = "there are no ACLs yet, only 'requirepass'";
const MODULES: &str = "there are no modules";
const SCRIPTS: &str = "there are no scripts yet";
const NOTIFICATIONS: &str = "there are no keyspace notifications yet";
const TRACKING: &str = "there is no client-side caching yet";
const MESSAGES: &str = "messages go to 'logfile' or standard output";
const CRASH: &str = "a crash is reported in the log";
const PROCESS: &str = "the service manager looks after the process";
const PROTECTED: &str = "settings that only a start can change stay as they are";
const WARNINGS: &str = "no warning can be turned off";

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
    row("protected-mode", Network, AtRuntime, "yes|no", yes_no!(protected_mode), "without a password, serve clients on this machine alone"),
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
    only("cluster-enabled", AtStart, "no", "there is no cluster mode"),
    only("activedefrag", AtRuntime, "no", "the keyspace is packed without it"),
    only("masterauth", AtRuntime, "", REPLICATION),
    only("masteruser", AtRuntime, "", REPLICATION),
    only("min-replicas-max-lag", AtRuntime, "10", REPLICATION),
    only("min-replicas-to-write", AtRuntime, "0", REPLICATION),
    only("min-slaves-max-lag", AtRuntime, "10", REPLICATION),
    only("min-slaves-to-write", AtRuntime, "0", REPLICATION),
    only("rdb-del-sync-files", AtRuntime, "no", REPLICATION),
    only("repl-backlog-size", AtRuntime, "1048576", REPLICATION),
    only("repl-backlog-ttl", AtRuntime, "3600", REPLICATION),
    only("repl-disable-tcp-nodelay", AtRuntime, "no", REPLICATION),
    only("repl-diskless-load", AtRuntime, "disabled", REPLICATION),
    only("repl-diskless-sync", AtRuntime, "yes", REPLICATION),
    only("repl-diskless-sync-delay", AtRuntime, "5", REPLICATION),
    only("repl-diskless-sync-max-replicas", AtRuntime, "0", REPLICATION),
    only("repl-ping-replica-period", AtRuntime, "10", REPLICATION),
    only("repl-ping-slave-period", AtRuntime, "10", REPLICATION),
    only("repl-timeout", AtRuntime, "60", REPLICATION),
    only("replica-announce-ip", AtRuntime, "", REPLICATION),
    only("replica-announce-port", AtRuntime, "0", REPLICATION),
    only("replica-announced", AtRuntime, "yes", REPLICATION),
    only("replica-ignore-disk-write-errors", AtRuntime, "no", REPLICATION),
    only("replica-ignore-maxmemory", AtRuntime, "yes", REPLICATION),
    only("replica-lazy-flush", AtRuntime, "no", REPLICATION),
    only("replica-priority", AtRuntime, "100", REPLICATION),
    only("replica-read-only", AtRuntime, "yes", REPLICATION),
    only("replica-serve-stale-data", AtRuntime, "yes", REPLICATION),
    only("replicaof", AtStart, "", REPLICATION),
    only("slave-announce-ip", AtRuntime, "", REPLICATION),
    only("slave-announce-port", AtRuntime, "0", REPLICATION),
    only("slave-ignore-maxmemory", AtRuntime, "yes", REPLICATION),
    only("slave-lazy-flush", AtRuntime, "no", REPLICATION),
    only("slave-priority", AtRuntime, "100", REPLICATION),
    only("slave-read-only", AtRuntime, "yes", REPLICATION),
    only("slave-serve-stale-data", AtRuntime, "yes", REPLICATION),
    only("slaveof", AtStart, "", REPLICATION),
    only("propagation-error-behavior", AtRuntime, "ignore", REPLICATION),
    only("cluster-allow-pubsubshard-when-down", AtRuntime, "yes", CLUSTER),
    only("cluster-allow-reads-when-down", AtRuntime, "no", CLUSTER),
    only("cluster-allow-replica-migration", AtRuntime, "yes", CLUSTER),
    only("cluster-announce-bus-port", AtRuntime, "0", CLUSTER),
    only("cluster-announce-hostname", AtRuntime, "", CLUSTER),
    only("cluster-announce-ip", AtRuntime, "", CLUSTER),
    only("cluster-announce-port", AtRuntime, "0", CLUSTER),
    only("cluster-announce-tls-port", AtRuntime, "0", CLUSTER),
    only("cluster-config-file", AtStart, "nodes.conf", CLUSTER),
    only("cluster-link-sendbuf-limit", AtRuntime, "0", CLUSTER),
    only("cluster-migration-barrier", AtRuntime, "1", CLUSTER),
    only("cluster-node-timeout", AtRuntime, "15000", CLUSTER),
    only("cluster-port", AtStart, "0", CLUSTER),
    only("cluster-preferred-endpoint-type", AtRuntime, "ip", CLUSTER),
    only("cluster-replica-no-failover", AtRuntime, "no", CLUSTER),
    only("cluster-replica-validity-factor", AtRuntime, "10", CLUSTER),
    only("cluster-require-full-coverage", AtRuntime, "yes", CLUSTER),
    only("cluster-slave-no-failover", AtRuntime, "no", CLUSTER),
    only("cluster-slave-validity-factor", AtRuntime, "10", CLUSTER),
    only("tls-auth-clients", AtRuntime, "yes", TLS),
    only("tls-ca-cert-dir", AtRuntime, "", TLS),
    only("tls-ca-cert-file", AtRuntime, "", TLS),
    only("tls-cert-file", AtRuntime, "", TLS),
    only("tls-ciphers", AtRuntime, "", TLS),
    only("tls-ciphersuites", AtRuntime, "", TLS),
    only("tls-client-cert-file", AtRuntime, "", TLS),
    only("tls-client-key-file", AtRuntime, "", TLS),
    only("tls-client-key-file-pass", AtRuntime, "", TLS),
    only("tls-cluster", AtRuntime, "no", TLS),
    only("tls-dh-params-file", AtRuntime, "", TLS),
    only("tls-key-file", AtRuntime, "", TLS),
    only("tls-key-file-pass", AtRuntime, "", TLS),
    only("tls-port", AtRuntime, "0", TLS),
    only("tls-prefer-server-ciphers", AtRuntime, "no", TLS),
    only("tls-protocols", AtRuntime, "", TLS),
    only("tls-replication", AtRuntime, "no", TLS),
    only("tls-session-cache-size", AtRuntime, "20480", TLS),
    only("tls-session-cache-timeout", AtRuntime, "300", TLS),
    only("tls-session-caching", AtRuntime, "yes", TLS),
    only("unixsocket", AtStart, "", SOCKETS),
    only("unixsocketperm", AtStart, "0", SOCKETS),
    only("bind-source-addr", AtRuntime, "", SOCKETS),
    only("socket-mark-id", AtStart, "0", SOCKETS),
    only("maxmemory-samples", AtRuntime, "5", EVICTION),
    only("maxmemory-eviction-tenacity", AtRuntime, "10", EVICTION),
    only("lfu-decay-time", AtRuntime, "1", EVICTION),
    only("lfu-log-factor", AtRuntime, "10", EVICTION),
    only("maxmemory-clients", AtRuntime, "0", CLIENTS),
    only("hash-max-listpack-entries", AtRuntime, "512", ENCODINGS),
    only("hash-max-listpack-value", AtRuntime, "64", ENCODINGS),
    only("hash-max-ziplist-entries", AtRuntime, "512", ENCODINGS),
    only("hash-max-ziplist-value", AtRuntime, "64", ENCODINGS),
    only("list-max-listpack-size", AtRuntime, "-2", ENCODINGS),
    only("list-max-ziplist-size", AtRuntime, "-2", ENCODINGS),
    only("list-compress-depth", AtRuntime, "0", ENCODINGS),
    only("set-max-intset-entries", AtRuntime, "512", ENCODINGS),
    only("zset-max-listpack-entries", AtRuntime, "128", ENCODINGS),
    only("zset-max-listpack-value", AtRuntime, "64", ENCODINGS),
    only("zset-max-ziplist-entries", AtRuntime, "128", ENCODINGS),
    only("zset-max-ziplist-value", AtRuntime, "64", ENCODINGS),
    only("hll-sparse-max-bytes", AtRuntime, "3000", ENCODINGS),
    only("stream-node-max-bytes", AtRuntime, "4096", ENCODINGS),
    only("stream-node-max-entries", AtRuntime, "100", ENCODINGS),
    only("activerehashing", AtRuntime, "yes", PACKED),
    only("active-defrag-cycle-max", AtRuntime, "25", PACKED),
    only("active-defrag-cycle-min", AtRuntime, "1", PACKED),
    only("active-defrag-ignore-bytes", AtRuntime, "104857600", PACKED),
    only("active-defrag-max-scan-fields", AtRuntime, "1000", PACKED),
    only("active-defrag-threshold-lower", AtRuntime, "10", PACKED),
    only("active-defrag-threshold-upper", AtRuntime, "100", PACKED),
    only("jemalloc-bg-thread", AtRuntime, "no", ALLOCATOR),
    only("disable-thp", AtStart, "no", ALLOCATOR),
    only("active-expire-effort", AtRuntime, "1", BY_PAGE),
    only("dynamic-hz", AtRuntime, "no", CONSTANT_HZ),
    only("io-threads", AtStart, "1", THREADS),
    only("io-threads-do-reads", AtStart, "no", THREADS),
    only("server_cpulist", AtStart, "", THREADS),
    only("bio_cpulist", AtStart, "", THREADS),
    only("aof_rewrite_cpulist", AtStart, "", THREADS),
    only("bgsave_cpulist", AtStart, "", THREADS),
    only("appendfilename", AtStart, "appendonly.aof", LOG_FORMAT),
    only("appenddirname", AtStart, "appendonlydir", LOG_FORMAT),
    only("aof-use-rdb-preamble", AtRuntime, "yes", LOG_FORMAT),
    only("aof-timestamp-enabled", AtRuntime, "no", LOG_FORMAT),
    only("aof-disable-auto-gc", AtRuntime, "no", LOG_FORMAT),
    only("aof-rewrite-incremental-fsync", AtRuntime, "yes", SYNCS),
    only("rdb-save-incremental-fsync", AtRuntime, "yes", SYNCS),
    only("sanitize-dump-payload", AtRuntime, "yes", CHECKED),
    only("aclfile", AtStart, "", ACL),
    only("acllog-max-len", AtRuntime, "128", ACL),
    only("acl-pubsub-default", AtRuntime, "resetchannels", ACL),
    only("enable-module-command", AtStart, "no", MODULES),
    only("lua-time-limit", AtRuntime, "5000", SCRIPTS),
    only("busy-reply-threshold", AtRuntime, "5000", SCRIPTS),
    only("notify-keyspace-events", AtRuntime, "", NOTIFICATIONS),
    only("tracking-table-max-keys", AtRuntime, "1000000", TRACKING),
    only("syslog-enabled", AtStart, "no", MESSAGES),
    only("syslog-facility", AtStart, "local0", MESSAGES),
    only("syslog-ident", AtStart, "redis", MESSAGES),
    only("always-show-logo", AtStart, "no", MESSAGES),
    only("crash-log-enabled", AtRuntime, "yes", CRASH),
    only("crash-memcheck-enabled", AtRuntime, "no", CRASH),
    only("pidfile", AtStart, "", PROCESS),
    only("oom-score-adj", AtRuntime, "no", PROCESS),
    only("oom-score-adj-values", AtRuntime, "0 200 800", PROCESS),
    only("set-proc-title", AtStart, "no", PROCESS),
    only("proc-title-template", AtRuntime, "{title} {listen-addr} {server-mode}", PROCESS),
    only("enable-protected-configs", AtStart, "no", PROTECTED),
    only("ignore-warnings", AtRuntime, "", WARNINGS),
];
