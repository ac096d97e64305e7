//! Directives that Redis or Valkey know and Everfast does not, each with the reason: someone who brings a file of
//! theirs learns what is missing, not that a name is misspelled.

/// The name as they spell it and why it is not supported, if `name` is one of theirs.
pub fn find(name: &[u8]) -> Option<(&'static str, &'static str)> {
    let name = std::str::from_utf8(name).ok()?;
    FOREIGN.iter().find_map(|(why, names)| {
        let found = names.split_ascii_whitespace().find(|known| known.eq_ignore_ascii_case(name))?;
        Some((found, *why))
    })
}

/// Reason, and the names that it holds for.
const FOREIGN: &[(&str, &str)] = &[
    (
        "there is no replication",
        "replicaof slaveof masterauth masteruser primaryauth primaryuser min-replicas-max-lag min-replicas-to-write
         min-slaves-max-lag min-slaves-to-write rdb-del-sync-files repl-backlog-size repl-backlog-ttl
         repl-disable-tcp-nodelay repl-diskless-load repl-diskless-sync repl-diskless-sync-delay
         repl-diskless-sync-max-replicas repl-ping-replica-period repl-ping-slave-period repl-timeout
         replica-announce-ip replica-announce-port replica-announced replica-ignore-disk-write-errors
         replica-ignore-maxmemory replica-lazy-flush replica-priority replica-read-only replica-serve-stale-data
         replica-full-sync-buffer-limit slave-announce-ip slave-announce-port slave-ignore-maxmemory slave-lazy-flush
         slave-priority slave-read-only slave-serve-stale-data dual-channel-replication-enabled
         propagation-error-behavior",
    ),
    (
        "there is no cluster mode",
        "cluster-allow-pubsubshard-when-down cluster-allow-reads-when-down cluster-allow-replica-migration
         cluster-announce-bus-port cluster-announce-hostname cluster-announce-human-nodename cluster-announce-ip
         cluster-announce-port cluster-announce-tls-port cluster-config-file cluster-link-sendbuf-limit
         cluster-migration-barrier cluster-node-timeout cluster-port cluster-preferred-endpoint-type
         cluster-replica-no-failover cluster-replica-validity-factor cluster-require-full-coverage
         cluster-slave-no-failover cluster-slave-validity-factor",
    ),
    (
        "there is no TLS; put a proxy in front",
        "tls-auth-clients tls-ca-cert-dir tls-ca-cert-file tls-cert-file tls-ciphers tls-ciphersuites
         tls-client-cert-file tls-client-key-file tls-client-key-file-pass tls-cluster tls-dh-params-file tls-key-file
         tls-key-file-pass tls-port tls-prefer-server-ciphers tls-protocols tls-replication tls-session-cache-size
         tls-session-cache-timeout tls-session-caching",
    ),
    ("it listens on TCP only", "unixsocket unixsocketperm"),
    ("sockets are bound by 'bind' alone", "bind-source-addr socket-mark-id"),
    (
        "keys are never evicted",
        "maxmemory-samples maxmemory-eviction-tenacity maxmemory-clients lfu-decay-time lfu-log-factor",
    ),
    (
        "memory is laid out differently here: there are no such encodings",
        "hash-max-listpack-entries hash-max-listpack-value hash-max-ziplist-entries hash-max-ziplist-value
         list-max-listpack-size list-max-ziplist-size list-compress-depth set-max-intset-entries
         set-max-listpack-entries set-max-listpack-value zset-max-listpack-entries zset-max-listpack-value
         zset-max-ziplist-entries zset-max-ziplist-value hll-sparse-max-bytes stream-node-max-bytes
         stream-node-max-entries",
    ),
    (
        "the keyspace never rehashes and packs its memory by itself",
        "activerehashing active-defrag-cycle-max active-defrag-cycle-min active-defrag-ignore-bytes
         active-defrag-max-scan-fields active-defrag-threshold-lower active-defrag-threshold-upper",
    ),
    ("the allocator is set up by the server", "jemalloc-bg-thread disable-thp"),
    ("expired keys are found by page, not by sampling", "active-expire-effort"),
    ("'hz' is constant", "dynamic-hz"),
    ("threads are set by 'shards'", "io-threads io-threads-do-reads"),
    (
        "threads are not bound to processors by list",
        "server-cpulist server_cpulist bio-cpulist bio_cpulist aof-rewrite-cpulist aof_rewrite_cpulist bgsave-cpulist
         bgsave_cpulist",
    ),
    (
        "the log has a format of its own; its files are named by the server",
        "appendfilename appenddirname aof-use-rdb-preamble aof-timestamp-enabled aof-disable-auto-gc",
    ),
    ("files are written and synced as the durability promise needs", "aof-rewrite-incremental-fsync rdb-save-incremental-fsync"),
    ("there is no choice about RDB files yet", "sanitize-dump-payload rdb-version-check"),
    ("there are no ACLs yet, only 'requirepass'", "aclfile acllog-max-len acl-pubsub-default user"),
    ("commands keep their names", "rename-command"),
    ("there are no modules", "loadmodule enable-module-command"),
    ("there are no scripts yet", "lua-time-limit busy-reply-threshold"),
    ("there are no keyspace notifications yet", "notify-keyspace-events"),
    ("there is no client-side caching yet", "tracking-table-max-keys"),
    (
        "the slow log is set by 'slowlog-log-slower-than' and 'slowlog-max-len'",
        "commandlog-execution-slower-than commandlog-slow-execution-max-len",
    ),
    ("messages go to 'logfile' or standard output", "syslog-enabled syslog-facility syslog-ident"),
    ("a crash is reported in the log", "crash-log-enabled crash-memcheck-enabled"),
    (
        "the service manager looks after the process",
        "pidfile oom-score-adj oom-score-adj-values set-proc-title proc-title-template",
    ),
    ("there is no logo", "always-show-logo"),
    ("there is no such switch", "enable-protected-configs ignore-warnings locale-collate"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_either_case_with_their_reason() {
        assert_eq!(find(b"ReplicaOf"), Some(("replicaof", "there is no replication")));
        assert_eq!(find(b"min-slaves-to-write").unwrap().1, "there is no replication");
        for name in [&b""[..], b"timeout", b"replica", b"replicaof slaveof", b"\xff"] {
            assert_eq!(find(name), None);
        }
    }
}
