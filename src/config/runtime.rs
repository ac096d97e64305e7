//! CONFIG GET and CONFIG SET.

use formats::glob::{glob_match, is_glob};

use super::directive::{Change, Directive};
use super::error::SetError;
use super::file::printable;
use super::{Config, foreign, table};

impl Config {
    /// The directives that match any of `patterns`, in either case, and their values as Redis writes them. Each comes
    /// once, in the order of the table; a name that is no pattern comes back as it was spelled.
    pub fn get<P: AsRef<[u8]>>(&self, patterns: &[P]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let answer = |directive: &Directive| {
            let name = patterns.iter().find_map(|pattern| asked_as(pattern.as_ref(), directive.name))?;
            Some((name, directive.format(self)))
        };
        table::DIRECTIVES.iter().filter_map(answer).collect()
    }

    /// Sets all of `pairs` (name, value), or nothing. Returns the rows whose value is now another one: what the server
    /// must put into effect.
    pub fn set<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        pairs: &[(N, V)],
    ) -> Result<Vec<&'static Directive>, SetError> {
        let mut rows: Vec<&'static Directive> = Vec::with_capacity(pairs.len().min(table::DIRECTIVES.len()));
        // All names are looked at before any value, so that a wrong name is what the error tells.
        for (name, _) in pairs {
            let name = name.as_ref();
            let directive = changeable(name)?;
            if rows.iter().any(|row| std::ptr::eq(*row, directive)) {
                return Err(failed(name, "duplicate parameter"));
            }
            rows.push(directive);
        }
        let mut next = self.clone();
        for (directive, (name, value)) in rows.iter().zip(pairs) {
            let result = directive.parse_text(&mut next, value.as_ref());
            result.map_err(|reason| failed(name.as_ref(), reason))?;
        }
        rows.retain(|row| row.format(self) != row.format(&next));
        *self = next;
        Ok(rows)
    }
}

fn asked_as(pattern: &[u8], name: &str) -> Option<Vec<u8>> {
    if is_glob(pattern) {
        return glob_match(pattern, name.as_bytes(), true).then(|| name.into());
    }
    pattern.eq_ignore_ascii_case(name.as_bytes()).then(|| pattern.to_vec())
}

fn changeable(name: &[u8]) -> Result<&'static Directive, SetError> {
    match (table::find(name), foreign::find(name)) {
        (Some(Directive { change: Change::AtStart | Change::ThisStart, .. }), _) => {
            Err(failed(name, "can't set immutable config"))
        }
        (Some(directive), _) => Ok(directive),
        (None, Some((_, why))) => {
            Err(failed(name, format!("known to Redis, not supported by Everfast: {why}")))
        }
        (None, None) => Err(SetError::Unknown { name: printable(name) }),
    }
}

fn failed(name: &[u8], reason: impl Into<String>) -> SetError {
    SetError::Failed { name: printable(name), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Kind;

    fn get(config: &Config, patterns: &[&str]) -> Vec<String> {
        let pairs = config.get(patterns).into_iter();
        pairs.map(|(name, value)| [&name[..], b"=", &value].concat().escape_ascii().to_string()).collect()
    }

    /// What `pairs` changed in a default configuration, or the error.
    fn set(pairs: &[(&str, &str)]) -> Result<Vec<&'static str>, String> {
        let mut config = Config::default();
        match config.set(pairs) {
            Ok(changed) => Ok(changed.iter().map(|row| row.name).collect()),
            Err(error) => {
                assert_eq!(config, Config::default(), "a failed set must change nothing");
                Err(error.to_string())
            }
        }
    }

    #[test]
    fn values_come_as_redis_writes_them() {
        let expected = [
            "databases=16",
            "shutdown-on-sigint=default",
            "bind=127.0.0.1",
            "tcp-keepalive=300",
            "requirepass=",
            "maxclients=10000",
            "timeout=0",
            "proto-max-bulk-len=536870912",
            "client-query-buffer-limit=1073741824",
            "client-output-buffer-limit=normal 1073741824 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
            "appendonly=yes",
            "appendfsync=everysec",
            "auto-aof-rewrite-min-size=67108864",
            "save=3600 1 300 100 60 10000",
            "maxmemory=0",
            "maxmemory-policy=noeviction",
        ];
        let names: Vec<_> = expected.iter().map(|line| line.split('=').next().unwrap()).collect();
        assert_eq!(get(&Config::default(), &names), expected);
    }

    #[test]
    fn patterns_select() {
        let config = Config::default();
        assert_eq!(
            get(&config, &["maxc*s", "maxmemory", "maxmemory-p*"]),
            ["maxclients=10000", "maxmemory=0", "maxmemory-policy=noeviction"]
        );
        assert_eq!(get(&config, &["SAVE", "TIMEOUT"]), ["TIMEOUT=0", "SAVE=3600 1 300 100 60 10000"]);
        assert_eq!(get(&config, &["[TX]imeou?"]), ["timeout=0"]);
        assert_eq!(get(&config, &["max[c]lients", "MAXCLIENTS"]), ["maxclients=10000"]);
        assert_eq!(get(&config, &["nosuch", "primaryauth", "include"]), [""; 0]);
        assert_eq!(get(&config, &["*"]).len(), table::DIRECTIVES.len());
    }

    #[test]
    fn dir_is_absolute() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(get(&Config::default(), &["dir"]), [format!("dir={}/data", here.display())]);
    }

    #[test]
    fn values_are_set_and_only_changes_reported() {
        let mut config = Config::default();
        let pairs = [
            ("TimeOut", "5"),
            ("maxclients", "10000"),
            ("maxmemory", "1gb"),
            ("save", ""),
            ("requirepass", "p w"),
        ];
        let changed: Vec<_> = config.set(&pairs).unwrap().iter().map(|row| row.name).collect();
        assert_eq!(changed, ["timeout", "maxmemory", "save", "requirepass"]);
        let names = ["requirepass", "timeout", "save", "maxmemory"];
        assert_eq!(get(&config, &names), ["requirepass=p w", "timeout=5", "save=", "maxmemory=1073741824"]);

        let limits = ("client-output-buffer-limit", "normal 1mb 2kb 3 REPLICA 1 1 1");
        config.set(&[limits]).unwrap();
        let expected = "normal 1048576 2048 3 slave 1 1 1 pubsub 33554432 8388608 60";
        assert_eq!(get(&config, &[limits.0]), [format!("{}={expected}", limits.0)]);
        config.set(&[("shutdown-on-sigterm", "now FORCE nosave")]).unwrap();
        assert_eq!(get(&config, &["shutdown-on-sigterm"]), ["shutdown-on-sigterm=nosave now force"]);
        config.set(&[("log-retention", "Bytes 1kb checkpoints 3")]).unwrap();
        assert_eq!(get(&config, &["log-retention"]), ["log-retention=checkpoints 3 bytes 1024"]);
        config.set(&[("log-retention", "")]).unwrap();
        assert_eq!(get(&config, &["log-retention"]), ["log-retention="]);
    }

    #[test]
    fn nothing_changes_when_the_same_is_set() {
        assert_eq!(set(&[("maxmemory-policy", "noeviction"), ("appendfsync", "EVERYSEC")]), Ok(vec![]));
    }

    #[test]
    fn errors_are_those_of_redis() {
        let unknown =
            |name: &str| format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'");
        assert_eq!(set(&[("nosuch", "1")]), Err(unknown("nosuch")));
        assert_eq!(set(&[("maxclients", "0"), ("no\r\nsuch", "1")]), Err(unknown("no\\r\\nsuch")));
        assert_eq!(set(&[("include", "x")]), Err(unknown("include")));

        type Pairs = &'static [(&'static str, &'static str)];
        let cases: &[(Pairs, &str, &str)] = &[
            (&[("maxclients", "0")], "maxclients", "argument must be between 1 and 4294967295 inclusive"),
            (&[("maxclients", "abc")], "maxclients", "argument couldn't be parsed into an integer"),
            (&[("timeout", "7"), ("port", "1")], "port", "can't set immutable config"),
            (&[("port", "1"), ("nosuch", "1")], "port", "can't set immutable config"),
            (&[("timeout", "1"), ("TIMEOUT", "2")], "TIMEOUT", "duplicate parameter"),
            (
                &[("maxclients", "5"), ("timeout", "-1")],
                "timeout",
                "argument must be between 0 and 2147483647 inclusive",
            ),
            (&[("maxmemory", "10%")], "maxmemory", "argument must be a memory value"),
            (
                &[("appendfsync", "foo")],
                "appendfsync",
                "argument(s) must be one of the following: everysec, always, no",
            ),
            (
                &[("loglevel", "foo")],
                "loglevel",
                "argument(s) must be one of the following: debug, verbose, notice, warning",
            ),
            (
                &[("stop-writes-on-bgsave-error", "on")],
                "stop-writes-on-bgsave-error",
                "argument must be 'yes' or 'no'",
            ),
            (&[("save", "10 20 30")], "save", "Invalid save parameters"),
            (
                &[("proto-max-bulk-len", "1")],
                "proto-max-bulk-len",
                "argument must be between 1048576 and 9223372036854775807 inclusive",
            ),
            (
                &[("client-output-buffer-limit", "normal 1 2")],
                "client-output-buffer-limit",
                "Wrong number of arguments in buffer limit configuration.",
            ),
            (
                &[("client-output-buffer-limit", "master 1 2 3")],
                "client-output-buffer-limit",
                "Invalid client class specified in buffer limit configuration.",
            ),
            (
                &[("client-output-buffer-limit", "pubsub 1 2 3 normal -1 0 0")],
                "client-output-buffer-limit",
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            ),
            (&[("import", "x")], "import", "can't set immutable config"),
            (
                &[("log-retention", "seconds")],
                "log-retention",
                "a number is needed behind each of: checkpoints, seconds, bytes",
            ),
            (&[("log-retention", "seconds 5 SECONDS 6")], "log-retention", "'seconds' is given twice"),
            (
                &[("log-retention", "days 5")],
                "log-retention",
                "argument(s) must be one of the following: checkpoints, seconds, bytes",
            ),
            (
                &[("log-retention", "checkpoints 0")],
                "log-retention",
                "argument must be between 1 and 2147483647 inclusive",
            ),
            (&[("rdbcompression", "x")], "rdbcompression", "argument must be 'yes' or 'no'"),
            (
                &[("shutdown-on-sigint", "")],
                "shutdown-on-sigint",
                "argument(s) must be one of the following: default, save, nosave, now, force",
            ),
            (
                &[("shutdown-on-sigint", "save nosave")],
                "shutdown-on-sigint",
                "shutdown options SAVE and NOSAVE can't be used simultaneously",
            ),
            (
                &[("commandlog-slow-execution-max-len", "1")],
                "commandlog-slow-execution-max-len",
                "known to Redis, not supported by Everfast: the slow log is set by 'slowlog-log-slower-than' and \
                 'slowlog-max-len'",
            ),
            (
                &[("latency-tracking-info-percentiles", "50 x")],
                "latency-tracking-info-percentiles",
                "Invalid latency-tracking-info-percentiles parameters",
            ),
            (
                &[("latency-tracking-info-percentiles", "100.1")],
                "latency-tracking-info-percentiles",
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
            ),
        ];
        for (pairs, name, reason) in cases {
            let expected =
                format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}");
            assert_eq!(set(pairs), Err(expected), "{pairs:?}");
        }
    }

    #[test]
    fn both_ends_of_every_range_are_kept() {
        for row in table::DIRECTIVES {
            let ends = match row.kind {
                Kind::Integer { min, max, .. } => [min.to_string(), max.to_string()],
                Kind::Bytes { min, max, .. } => [min.to_string(), max.to_string()],
                _ => continue,
            };
            for end in ends {
                let mut config = Config::default();
                row.parse_text(&mut config, end.as_bytes()).unwrap();
                assert_eq!(row.format(&config), end.as_bytes(), "{}", row.name);
            }
        }
    }

    #[test]
    fn every_word_of_a_choice_is_kept() {
        for row in table::DIRECTIVES {
            let Kind::Choice { words, .. } = row.kind else { continue };
            for word in words {
                let mut config = Config::default();
                row.parse_text(&mut config, word.as_bytes()).unwrap();
                assert_eq!(row.format(&config), word.as_bytes(), "{}", row.name);
            }
        }
    }

    #[test]
    fn every_default_passes_its_own_check() {
        for row in table::DIRECTIVES {
            let mut config = Config::default();
            row.parse_text(&mut config, &row.format(&Config::default())).unwrap();
            assert_eq!(row.format(&config), row.format(&Config::default()), "{}", row.name);
        }
    }

    #[test]
    fn names_are_unique_and_none_is_foreign() {
        for (index, row) in table::DIRECTIVES.iter().enumerate() {
            assert!(std::ptr::eq(table::find(row.name.as_bytes()).unwrap(), row), "{} twice", row.name);
            assert!(foreign::find(row.name.as_bytes()).is_none(), "{index}: {} is foreign", row.name);
        }
    }
}
