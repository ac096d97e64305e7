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
        "primaryauth primaryuser replica-full-sync-buffer-limit dual-channel-replication-enabled",
    ),
    ("there is no cluster mode", "cluster-announce-human-nodename"),
    (
        "memory is laid out differently here: there are no such encodings",
        "set-max-listpack-entries set-max-listpack-value",
    ),
    (
        "threads are not bound to processors by list",
        "server-cpulist bio-cpulist aof-rewrite-cpulist bgsave-cpulist",
    ),
    ("there is no choice about RDB files yet", "rdb-version-check"),
    ("there are no ACLs yet, only 'requirepass'", "user"),
    ("commands keep their names", "rename-command"),
    ("there are no modules", "loadmodule"),
    (
        "the slow log is set by 'slowlog-log-slower-than' and 'slowlog-max-len'",
        "commandlog-execution-slower-than commandlog-slow-execution-max-len",
    ),
    ("there is no such switch", "locale-collate"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_either_case_with_their_reason() {
        assert_eq!(find(b"PrimaryAuth"), Some(("primaryauth", "there is no replication")));
        assert_eq!(find(b"rename-command").unwrap().1, "commands keep their names");
        for name in [&b""[..], b"timeout", b"primary", b"primaryauth primaryuser", b"\xff"] {
            assert_eq!(find(name), None);
        }
    }
}
