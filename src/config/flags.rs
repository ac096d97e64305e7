//! The command line: an optional file, and every directive as a flag. Built from the table for clap.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use clap::builder::ValueRange;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::directive::{Directive, Group};
use super::error::{ConfigError, Place};
use super::{file, table};

const FILE: &str = "config-file";

/// What the command line says.
pub(super) struct Given {
    pub file: Option<PathBuf>,
    /// In the order of the table; of one that is given twice, the last counts.
    pub flags: Vec<Flag>,
}

pub(super) struct Flag {
    pub directive: &'static Directive,
    pub values: Vec<Vec<u8>>,
}

/// Reads the command line, program name first.
pub(super) fn read(args: impl Iterator<Item = OsString>) -> Result<Given, ConfigError> {
    let mut matches = command().try_get_matches_from(args).map_err(explain)?;
    let file = matches.remove_one(FILE);
    let flags = table::DIRECTIVES.iter().filter_map(|directive| flag(&mut matches, directive)).collect();
    Ok(Given { file, flags })
}

fn flag(matches: &mut ArgMatches, directive: &'static Directive) -> Option<Flag> {
    let last = matches.remove_occurrences::<OsString>(directive.name)?.last()?;
    Some(Flag { directive, values: last.map(OsString::into_vec).collect() })
}

fn command() -> Command {
    let file = Arg::new(FILE)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Configuration file; the flags below win over it");
    Command::new("everfast")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A durable in-memory key-value server that speaks the Redis protocol")
        .after_help("Sizes may have a unit: 1kb is 1024 bytes, 1k is 1000; likewise mb, m, gb, g.")
        .arg(file)
        .args(table::DIRECTIVES.iter().map(arg))
}

fn arg(directive: &'static Directive) -> Arg {
    let count: ValueRange = if directive.takes_many() { (1..).into() } else { 1.into() };
    Arg::new(directive.name)
        .long(directive.name)
        .value_name(directive.unit)
        .value_parser(value_parser!(OsString))
        .action(ArgAction::Append)
        .num_args(count)
        .allow_negative_numbers(true)
        .help_heading(directive.group.heading())
        .help(help(directive))
        .hide(directive.group == Group::Fixed)
}

/// The meaning, and the default as it would stand in a file.
fn help(directive: &Directive) -> String {
    format!("{} [default: {}]", directive.meaning, directive.default_text())
}

/// An unknown flag is told as an unknown directive in a file is.
fn explain(error: clap::Error) -> ConfigError {
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && let Some(name) = flag.strip_prefix("--")
    {
        let name = name.split('=').next().unwrap_or(name);
        return file::not_a_directive(
            Place::Flag { name: file::printable(name.as_bytes()) },
            name.as_bytes(),
        );
    }
    ConfigError::Arguments(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AppendFsync, BindAddress, Config, Kind, Loaded};

    fn load(args: &[&str]) -> Result<Loaded, ConfigError> {
        Config::load(std::iter::once("everfast").chain(args.iter().copied()).map(OsString::from))
    }

    fn error(args: &[&str]) -> String {
        load(args).unwrap_err().to_string()
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn without_arguments_the_defaults_hold() {
        let loaded = load(&[]).unwrap();
        assert_eq!((loaded.config, loaded.config_file), (Config::default(), None));
    }

    #[test]
    fn every_directive_is_a_flag() {
        for directive in table::DIRECTIVES {
            let mut changed = Config::default();
            let value = match directive.kind {
                Kind::YesNo { get, .. } => if get(&changed) { "no" } else { "yes" }.to_string(),
                Kind::Integer { max, .. } => max.to_string(),
                Kind::Bytes { max, .. } => max.to_string(),
                Kind::Choice { words, .. } => words[words.len() - 1].to_string(),
                Kind::Only { word, .. } => word.to_string(),
                Kind::Text { .. } | Kind::List { .. } => match directive.name {
                    "log-writers" => "3",
                    "latency-tracking-info-percentiles" => "50 99.99",
                    "log-retention" => "seconds 5 bytes 1mb",
                    "bind" => "-::1 *",
                    "save" => "1 2 3 4",
                    "client-output-buffer-limit" => "pubsub 1 2 3",
                    "shutdown-on-sigint" | "shutdown-on-sigterm" => "nosave now force",
                    _ => "some-text",
                }
                .to_string(),
            };
            directive.parse_text(&mut changed, value.as_bytes()).unwrap();
            let given = load(&[&format!("--{}={value}", directive.name)]).unwrap().config;
            assert_eq!(given, changed, "--{}", directive.name);
            let fixed = matches!(directive.kind, Kind::Only { .. });
            assert_eq!(given == Config::default(), fixed, "--{} changes nothing", directive.name);
        }
    }

    #[test]
    fn flags_win_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("everfast.conf");
        std::fs::write(&path, "port 1\ntimeout 3\nsave 1 2\n").unwrap();
        let path = path.to_str().unwrap();
        let loaded =
            load(&[path, "--port", "6380", "--appendfsync", "always", "--save", "5", "6", "--shards=4"])
                .unwrap();
        let config = loaded.config;
        assert_eq!((config.port, config.timeout_seconds, config.shards), (6380, 3, 4));
        assert_eq!((config.appendfsync, config.save.len()), (AppendFsync::Always, 2));
        assert_eq!(loaded.config_file.unwrap().to_str(), Some(path));
    }

    #[test]
    fn lists_take_several_values_in_one_or_many_words() {
        let addresses = ["127.0.0.1", "::1"].map(|text| BindAddress::parse(text).unwrap());
        for args in
            [&["--bind", "127.0.0.1", "::1", "--port", "7"][..], &["--port", "7", "--bind", "127.0.0.1 ::1"]]
        {
            let config = load(args).unwrap().config;
            assert_eq!((config.bind.as_slice(), config.port), (&addresses[..], 7));
        }
        assert_eq!(load(&["--save", ""]).unwrap().config.save, []);
        let config = load(&["--dbfilename", "", "--import", "/x/dump.rdb"]).unwrap().config;
        assert_eq!((config.dbfilename.to_str(), config.import.to_str()), (Some(""), Some("/x/dump.rdb")));
        assert_eq!(load(&["--port", "1", "--port", "2"]).unwrap().config.port, 2);
    }

    #[test]
    fn a_wrong_flag_is_told_as_a_wrong_line_is() {
        let cases: &[(&[&str], &str)] = &[
            (&["--prot", "1"], "--prot: unknown directive 'prot'; did you mean 'port'?"),
            (
                &["--replicaof=h"],
                "--replicaof: known to Redis, not supported by Everfast: there is no replication",
            ),
            (&["--port", "x"], "--port: argument couldn't be parsed into an integer"),
            (&["--timeout", "-1"], "--timeout: argument must be between 0 and 2147483647 inclusive"),
        ];
        for (args, expected) in cases {
            assert_eq!(error(args), *expected);
        }
        assert!(error(&["/nonexistent.conf"]).starts_with("cannot read /nonexistent.conf: No such file"));
    }

    #[test]
    fn clap_answers_what_is_no_directive() {
        let kind = |args: &[&str]| match load(args).unwrap_err() {
            ConfigError::Arguments(error) => error.kind(),
            other => panic!("{other}"),
        };
        assert_eq!(kind(&["--version"]), ErrorKind::DisplayVersion);
        assert_eq!(kind(&["--help"]), ErrorKind::DisplayHelp);
        assert_eq!(kind(&["a.conf", "b.conf"]), ErrorKind::UnknownArgument);
        let help = error(&["--help"]);
        for expected in ["--appendfsync <policy>", "[default: 64mb]", "Durability:", "[FILE]"] {
            assert!(help.contains(expected), "{expected} is missing in:\n{help}");
        }
        assert!(!help.contains("--daemonize"));
    }
}
