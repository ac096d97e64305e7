//! Reads configuration files: one directive per line, `#` before a comment, `include FILE`.
//!
//! A relative path of `include` is meant from the working directory, as in Redis. A later line wins over an earlier
//! one, except where lines add up (`save`).
//!
//! Invariants:
//! 1. An error names the file and the line; all errors are told, not only the first.
//! 2. A file's length and the depth of includes are limited, so files that include each other end in an error.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::directive::{Change, Directive};
use super::error::{ConfigError, Place};
use super::line::split_args;
use super::nearest::nearest_name;
use super::{Config, foreign, table};

const FILE_LIMIT_BYTES: u64 = 4 << 20;
const INCLUDE_DEPTH_LIMIT: usize = 16;
const ERROR_LIMIT: usize = 100;
pub(super) const INCLUDE: &str = "include";

/// A directive that was met while reading.
pub(super) struct Met {
    pub directive: &'static Directive,
    /// Index of the line in the main file, or `None` if it stands in an included one.
    pub main_line: Option<usize>,
}

/// Applies the file at `path`, and those it includes, to `config`.
pub(super) fn load(config: &mut Config, path: &Path) -> Result<Vec<Met>, ConfigError> {
    let text =
        read_limited(path).map_err(|source| ConfigError::Read { place: None, path: path.into(), source })?;
    load_text(config, path, &text)
}

/// The same for a file whose text is at hand; `path` names it in errors.
pub(super) fn load_text(config: &mut Config, path: &Path, text: &[u8]) -> Result<Vec<Met>, ConfigError> {
    let mut reader = Reader { config, gathered: HashMap::new(), met: Vec::new(), errors: Vec::new() };
    reader.read_text(path, text, 0);
    ConfigError::all(reader.errors)?;
    Ok(reader.met)
}

/// The whole file; one byte more than the limit if it is too long.
pub(super) fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_LIMIT_BYTES + 1).read_to_end(&mut text)?;
    Ok(text)
}

struct Reader<'a> {
    config: &'a mut Config,
    /// Arguments so far of directives whose lines add up, by name.
    gathered: HashMap<&'static str, Vec<Vec<u8>>>,
    met: Vec<Met>,
    errors: Vec<ConfigError>,
}

impl Reader<'_> {
    fn read_text(&mut self, path: &Path, text: &[u8], depth: usize) {
        if text.len() as u64 > FILE_LIMIT_BYTES {
            return self
                .errors
                .push(ConfigError::TooLong { path: path.into(), limit_bytes: FILE_LIMIT_BYTES });
        }
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii_start().starts_with(b"#") {
                continue;
            }
            let place = Place::Line { file: path.into(), line: index + 1 };
            let result = self.read_line(place, line, (depth == 0).then_some(index), depth);
            self.errors.extend(result.err());
            // An endless chain of includes would tell the same for ever; a file of nonsense needs no book.
            if self.errors.len() >= ERROR_LIMIT {
                return;
            }
        }
    }

    fn read_line(
        &mut self,
        place: Place,
        line: &[u8],
        main_line: Option<usize>,
        depth: usize,
    ) -> Result<(), ConfigError> {
        let Ok(args) = split_args(line) else { return Err(ConfigError::UnbalancedQuotes { place }) };
        let Some((name, args)) = args.split_first() else { return Ok(()) };
        if name.eq_ignore_ascii_case(INCLUDE.as_bytes()) {
            return self.include(place, args, depth);
        }
        let Some(directive) = table::find(name) else { return Err(not_a_directive(place, name)) };
        self.met.push(Met { directive, main_line });
        let name = directive.name;
        self.apply(directive, args).map_err(|reason| ConfigError::Invalid { place, name, reason })
    }

    fn apply(&mut self, directive: &'static Directive, args: &[Vec<u8>]) -> Result<(), String> {
        // In a list, '' stands for no arguments.
        let args = if directive.takes_many() && args == [b""] { &[] } else { args };
        if directive.change == Change::ThisStart {
            return Err("it is for one start: give it as a flag".into());
        }
        if !directive.gathers() {
            return directive.parse(self.config, args);
        }
        // A line must make sense by itself before it is added to those before it.
        directive.parse(&mut self.config.clone(), args)?;
        let gathered = self.gathered.entry(directive.name).or_default();
        if args.is_empty() {
            gathered.clear();
        }
        gathered.extend_from_slice(args);
        directive.parse(self.config, gathered)
    }

    fn include(&mut self, place: Place, args: &[Vec<u8>], depth: usize) -> Result<(), ConfigError> {
        let [path] = args else {
            let reason = "wrong number of arguments".into();
            return Err(ConfigError::Invalid { place, name: INCLUDE, reason });
        };
        if depth + 1 > INCLUDE_DEPTH_LIMIT {
            return Err(ConfigError::IncludedTooDeep { place, limit: INCLUDE_DEPTH_LIMIT });
        }
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
        match read_limited(&path) {
            Ok(text) => {
                self.read_text(&path, &text, depth + 1);
                Ok(())
            }
            Err(source) => Err(ConfigError::Read { place: Some(place), path, source }),
        }
    }
}

/// The error for a name that is not in the table.
pub(super) fn not_a_directive(place: Place, name: &[u8]) -> ConfigError {
    if let Some((name, why)) = foreign::find(name) {
        return ConfigError::Unsupported { place, name, why };
    }
    let name = printable(name);
    let known = table::DIRECTIVES.iter().map(|row| row.name).chain([INCLUDE]);
    let nearest = nearest_name(&name, known);
    ConfigError::Unknown { place, name, nearest }
}

/// A name as an error shows it: nothing that a terminal or the protocol would take for more than text.
pub(super) fn printable(name: &[u8]) -> String {
    name[..name.len().min(128)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AppendFsync, SavePoint};
    use proptest::prelude::*;

    fn loaded(text: &str) -> Result<Config, String> {
        let mut config = Config::default();
        match load_text(&mut config, Path::new("everfast.conf"), text.as_bytes()) {
            Ok(_) => Ok(config),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn comments_blank_lines_and_case_do_not_matter() {
        let config = loaded("# a comment\r\n\r\n  \t# port 1\r\n\tPORT 6380\r\nAppendFsync ALWAYS").unwrap();
        assert_eq!((config.port, config.appendfsync), (6380, AppendFsync::Always));
        assert_eq!(Config { port: 6379, appendfsync: AppendFsync::Everysec, ..config }, Config::default());
    }

    #[test]
    fn later_lines_win() {
        assert_eq!(loaded("timeout 1\ntimeout 2").unwrap().timeout_seconds, 2);
    }

    #[test]
    fn save_points_add_up_and_start_anew() {
        let points = |text| -> Vec<_> {
            let save = loaded(text).unwrap().save;
            save.iter().map(|SavePoint { seconds, changes }| (*seconds, *changes)).collect()
        };
        assert_eq!(points("save 1 2\nsave 3 4 5 6"), [(1, 2), (3, 4), (5, 6)]);
        assert_eq!(points("save 1 2\nsave \"\""), []);
        assert_eq!(points("save 1 2\nsave ''\nsave 3 4"), [(3, 4)]);
        assert_eq!(points("port 1"), [(3600, 1), (300, 100), (60, 10_000)]);
    }

    #[test]
    fn limits_of_one_class_leave_the_others() {
        let limits =
            loaded("client-output-buffer-limit pubsub 1mb 2kb 3").unwrap().client_output_buffer_limits;
        assert_eq!((limits.pubsub.hard_bytes, limits.pubsub.soft_bytes), (1 << 20, 2 << 10));
        assert_eq!(limits.normal, Config::default().client_output_buffer_limits.normal);
    }

    #[test]
    fn errors_name_file_line_and_what_is_wrong() {
        let cases = [
            (
                "port 1\n\nappendfsnc no",
                "everfast.conf:3: unknown directive 'appendfsnc'; did you mean 'appendfsync'?",
            ),
            ("frobnicate 1", "everfast.conf:1: unknown directive 'frobnicate'"),
            ("includ x", "everfast.conf:1: unknown directive 'includ'; did you mean 'include'?"),
            ("a\x1b[31m", "everfast.conf:1: unknown directive 'a\\x1b[31m'"),
            ("port", "everfast.conf:1: port: wrong number of arguments"),
            ("port 1 2", "everfast.conf:1: port: wrong number of arguments"),
            (
                "port 1 # x",
                "everfast.conf:1: port: wrong number of arguments (a comment needs a line of its own)",
            ),
            ("port abc", "everfast.conf:1: port: argument couldn't be parsed into an integer"),
            ("port 0", "everfast.conf:1: port: argument must be between 1 and 65535 inclusive"),
            ("maxmemory 1xb", "everfast.conf:1: maxmemory: argument must be a memory value"),
            ("requirepass \"abc", "everfast.conf:1: unbalanced quotes"),
            ("save 1", "everfast.conf:1: save: Invalid save parameters"),
            ("save 1 2\nsave 1", "everfast.conf:2: save: Invalid save parameters"),
            (
                "save 1\nsave 2",
                "everfast.conf:1: save: Invalid save parameters\neverfast.conf:2: save: Invalid save parameters",
            ),
            ("save 0 1", "everfast.conf:1: save: Invalid save parameters"),
            ("dir \"\"", "everfast.conf:1: dir: a directory is needed"),
            ("bind localhost", "everfast.conf:1: bind: 'localhost' is not an IP address"),
            ("bind \"\"", "everfast.conf:1: bind: between 1 and 64 addresses are needed"),
            ("dbfilename a/b", "everfast.conf:1: dbfilename: dbfilename can't be a path, just a filename"),
            ("dbfilename ..", "everfast.conf:1: dbfilename: dbfilename can't be a path, just a filename"),
            (
                "log-writers 0",
                "everfast.conf:1: log-writers: argument must be 'auto' or between 1 and 1024 inclusive",
            ),
            (
                "maxmemory-policy allkeys-lru",
                "everfast.conf:1: maxmemory-policy: known to Redis, only 'noeviction' is supported by Everfast: \
                 keys are never evicted; a write beyond maxmemory is refused",
            ),
            (
                "replicaof h 1",
                "everfast.conf:1: replicaof: known to Redis, not supported by Everfast: there is no replication",
            ),
            (
                "primaryauth x",
                "everfast.conf:1: 'primaryauth' is known to Redis, not supported by Everfast: there is no replication",
            ),
            ("import /x", "everfast.conf:1: import: it is for one start: give it as a flag"),
            ("include", "everfast.conf:1: include: wrong number of arguments"),
        ];
        for (text, expected) in cases {
            assert_eq!(loaded(text).unwrap_err(), expected, "{text:?}");
        }
    }

    #[test]
    fn all_errors_are_told_up_to_a_limit() {
        let error = loaded("port x\nhz 20\nfoo 1\ninclude /nonexistent.conf\nrequirepass \"").unwrap_err();
        let places: Vec<_> = error.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(places, ["everfast.conf:1:", "everfast.conf:3:", "everfast.conf:4:", "everfast.conf:5:"]);
        assert_eq!(loaded(&"x\n".repeat(1000)).unwrap_err().lines().count(), ERROR_LIMIT);
    }

    /// Each file includes itself twice: without a limit on errors, 2^16 of them.
    #[test]
    fn includes_that_branch_end() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own.conf");
        std::fs::write(&own, format!("include {0}\ninclude {0}\n", own.display())).unwrap();
        let error = load(&mut Config::default(), &own).map(|_| ()).unwrap_err().to_string();
        assert_eq!(error.lines().count(), ERROR_LIMIT);
    }

    #[test]
    fn included_files_are_read_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other file.conf");
        std::fs::write(&other, "timeout 5\nport 7000\n").unwrap();
        let text = format!("port 1\ninclude \"{}\"\ntimeout 6", other.display());
        let config = loaded(&text).unwrap();
        assert_eq!((config.port, config.timeout_seconds), (7000, 6));

        std::fs::write(&other, "timeout 5\n\nfoo 1\n").unwrap();
        assert_eq!(loaded(&text).unwrap_err(), format!("{}:3: unknown directive 'foo'", other.display()));
    }

    #[test]
    fn a_missing_or_endless_include_is_an_error() {
        let error = loaded("port 1\ninclude /nonexistent.conf").unwrap_err();
        let expected = "everfast.conf:2: cannot read /nonexistent.conf: No such file or directory";
        assert!(error.starts_with(expected), "{error}");

        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own.conf");
        std::fs::write(&own, format!("include {}\n", own.display())).unwrap();
        let error = load(&mut Config::default(), &own).map(|_| ()).unwrap_err().to_string();
        let at_depth = |depth| {
            let file = |index| dir.path().join(format!("{index}.conf"));
            for index in 0..depth {
                std::fs::write(file(index), format!("include {}\n", file(index + 1).display())).unwrap();
            }
            std::fs::write(file(depth), "port 7\n").unwrap();
            let mut config = Config::default();
            load(&mut config, &file(0)).map(|_| config.port)
        };
        assert_eq!(at_depth(INCLUDE_DEPTH_LIMIT).unwrap(), 7);
        assert!(matches!(at_depth(INCLUDE_DEPTH_LIMIT + 1), Err(ConfigError::IncludedTooDeep { .. })));
        assert_eq!(error, format!("{}:1: files include each other more than 16 deep", own.display()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_loaded_or_refused(lines in prop::collection::vec(any_line(), 0..8)) {
            let mut config = Config::default();
            let result = load_text(&mut config, Path::new("x"), &lines.join(&b'\n'));
            prop_assert!(result.is_ok() || !result.err().unwrap().to_string().is_empty());
        }
    }

    /// A known name and any bytes behind it.
    fn any_line() -> impl Strategy<Value = Vec<u8>> {
        let names: Vec<&str> = table::DIRECTIVES.iter().map(|row| row.name).collect();
        let argument = prop_oneof![any::<Vec<u8>>(), "[0-9gmkb -]{0,8}".prop_map(String::into_bytes)];
        (prop::sample::select(names), argument)
            .prop_map(|(name, argument)| [name.as_bytes(), b" ", &argument].concat())
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused() {
        let error = loaded(&"#\n".repeat((FILE_LIMIT_BYTES / 2 + 1) as usize)).unwrap_err();
        assert_eq!(error, "everfast.conf: longer than 4194304 bytes");
    }
}
