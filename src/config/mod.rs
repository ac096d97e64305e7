//! Every setting: what there is, how it is given, how it changes.
//!
//! ```text
//! table.rs       THE TABLE: one row per directive; all else follows from it
//! directive.rs   what a row is; text <-> value by kind         value.rs  parse.rs   the kinds' own rules
//! file.rs        reads files in Redis' syntax (line.rs)        flags.rs  the command line, by clap
//! runtime.rs     CONFIG GET and SET                            rewrite.rs  CONFIG REWRITE
//! foreign.rs     what Redis knows and Everfast does not        nearest.rs  what was probably meant
//! ```
//!
//! Order of precedence: defaults, then the file, then the flags, then CONFIG SET.
//!
//! Invariants:
//! 1. What `load` and `set` give is valid: every value came through its row's check.
//! 2. `set` changes all that it was given or nothing.
//! 3. A directive that is accepted means something here; what is not supported is refused, never ignored.
//! 4. `rewrite` leaves either the old file or the new one, whole, and the new one reads back as what is set.

mod directive;
mod error;
mod file;
mod flags;
mod foreign;
mod line;
mod nearest;
mod parse;
mod rewrite;
mod runtime;
mod table;
mod types;
mod value;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

pub use directive::{Change, Directive, Group, Kind};
pub use error::{ConfigError, Place, RewriteError, SetError};
pub use parse::percentile_text;
pub use table::{DIRECTIVES, find};
pub use types::{
    AppendFsync, BindAddress, DebugCommand, LogLevel, LogRetention, LogWriters, OutputBufferLimit,
    OutputBufferLimits, Password, SavePoint, ShutdownOptions,
};

/// The settings. A shard holds an `Arc` of it, which the server swaps when something changed.
///
/// What each field means stands in its row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub dir: PathBuf,
    /// Empty: nothing is imported.
    pub import: PathBuf,
    pub databases: u32,
    /// 0: one per core.
    pub shards: u16,
    /// Runs per second.
    pub hz: u32,
    pub loglevel: LogLevel,
    /// Empty: standard output.
    pub logfile: PathBuf,
    pub shutdown_timeout_seconds: u32,
    pub shutdown_on_sigint: ShutdownOptions,
    pub shutdown_on_sigterm: ShutdownOptions,
    pub enable_debug_command: DebugCommand,

    pub port: u16,
    pub bind: Vec<BindAddress>,
    pub protected_mode: bool,
    pub tcp_backlog: u32,
    /// 0: never.
    pub tcp_keepalive_seconds: u32,

    pub requirepass: Password,
    pub maxclients: u32,
    /// 0: never.
    pub timeout_seconds: u32,
    pub proto_max_bulk_len_bytes: u64,
    pub client_query_buffer_limit_bytes: u64,
    pub client_output_buffer_limits: OutputBufferLimits,

    /// Negative: nothing is logged.
    pub slowlog_log_slower_than_us: i64,
    pub slowlog_max_len: i64,
    /// 0: no events are kept.
    pub latency_monitor_threshold_ms: i64,
    pub latency_tracking: bool,
    /// Each from 0 to 100.
    pub latency_tracking_info_percentiles: Vec<f64>,

    pub appendonly: bool,
    pub appendfsync: AppendFsync,
    pub log_writers: LogWriters,
    pub segment_size_bytes: u64,
    pub log_queue_limit_bytes: u64,
    /// 0: never.
    pub auto_aof_rewrite_percentage: u32,
    pub auto_aof_rewrite_min_size_bytes: u64,
    pub log_retention: LogRetention,

    pub save: Vec<SavePoint>,
    /// A bare file name; empty: none is written.
    pub dbfilename: PathBuf,
    pub rdbcompression: bool,
    /// 0: half of the cores.
    pub snapshot_threads: u16,
    pub stop_writes_on_bgsave_error: bool,

    /// 0: no limit.
    pub maxmemory_bytes: u64,
    pub lazyfree_lazy_user_del: bool,
    pub lazyfree_lazy_user_flush: bool,
    pub lazyfree_lazy_server_del: bool,
    pub lazyfree_lazy_expire: bool,
    pub lazyfree_lazy_eviction: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            dir: "./data".into(),
            import: PathBuf::new(),
            databases: 16,
            shards: 0,
            hz: 10,
            loglevel: LogLevel::Notice,
            logfile: PathBuf::new(),
            shutdown_timeout_seconds: 10,
            shutdown_on_sigint: ShutdownOptions::default(),
            shutdown_on_sigterm: ShutdownOptions::default(),
            enable_debug_command: DebugCommand::No,

            port: 6379,
            bind: vec![BindAddress::required(IpAddr::V4(Ipv4Addr::LOCALHOST))],
            protected_mode: true,
            tcp_backlog: 511,
            tcp_keepalive_seconds: 300,

            requirepass: Password::default(),
            maxclients: 10_000,
            timeout_seconds: 0,
            proto_max_bulk_len_bytes: 512 << 20,
            client_query_buffer_limit_bytes: 1 << 30,
            client_output_buffer_limits: OutputBufferLimits {
                // A client that never reads must not be able to use up the memory.
                normal: OutputBufferLimit { hard_bytes: 1 << 30, soft_bytes: 0, soft_seconds: 0 },
                replica: OutputBufferLimit { hard_bytes: 256 << 20, soft_bytes: 64 << 20, soft_seconds: 60 },
                pubsub: OutputBufferLimit { hard_bytes: 32 << 20, soft_bytes: 8 << 20, soft_seconds: 60 },
            },

            slowlog_log_slower_than_us: 10_000,
            slowlog_max_len: 128,
            latency_monitor_threshold_ms: 0,
            latency_tracking: true,
            latency_tracking_info_percentiles: vec![50.0, 99.0, 99.9],

            appendonly: true,
            appendfsync: AppendFsync::Everysec,
            log_writers: LogWriters::Auto,
            segment_size_bytes: 64 << 20,
            log_queue_limit_bytes: 64 << 20,
            auto_aof_rewrite_percentage: 100,
            auto_aof_rewrite_min_size_bytes: 64 << 20,
            log_retention: LogRetention::default(),

            save: [(3600, 1), (300, 100), (60, 10_000)]
                .map(|(seconds, changes)| SavePoint { seconds, changes })
                .to_vec(),
            dbfilename: "dump.rdb".into(),
            rdbcompression: false,
            snapshot_threads: 0,
            stop_writes_on_bgsave_error: true,

            maxmemory_bytes: 0,
            lazyfree_lazy_user_del: false,
            lazyfree_lazy_user_flush: false,
            lazyfree_lazy_server_del: false,
            lazyfree_lazy_expire: false,
            lazyfree_lazy_eviction: false,
        }
    }
}

/// The configuration that the command line asks for.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// The file that it came from, absolute: what `rewrite` writes.
    pub config_file: Option<PathBuf>,
}

impl Config {
    /// Whether a save that somebody asks for writes the file `dbfilename`.
    pub fn writes_dump(&self) -> bool {
        !self.dbfilename.as_os_str().is_empty()
    }

    /// From the command line, program name first: `everfast [FILE] [--directive VALUE...]...`.
    pub fn load(args: impl Iterator<Item = OsString>) -> Result<Loaded, ConfigError> {
        let given = flags::read(args)?;
        let mut config = Config::default();
        let mut met = Vec::new();
        let config_file = match given.file {
            Some(path) => {
                met = file::load(&mut config, &path)?;
                let absolute = std::path::absolute(&path);
                Some(absolute.map_err(|source| ConfigError::Read { place: None, path, source })?)
            }
            None => None,
        };
        for flag in given.flags {
            let mut args = Vec::new();
            // Where lines of a file add up, flags go on adding.
            if flag.directive.gathers() && met.iter().any(|met| met.directive.name == flag.directive.name) {
                args = flag.directive.split(&flag.directive.format(&config));
            }
            for value in &flag.values {
                let more = flag.directive.split(value);
                if more.is_empty() {
                    args.clear();
                }
                args.extend(more);
            }
            flag.directive.parse(&mut config, &args).map_err(|reason| ConfigError::Invalid {
                place: Place::Flag { name: flag.directive.name.into() },
                name: flag.directive.name,
                reason,
            })?;
        }
        Ok(Loaded { config, config_file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_file_names_every_directive_with_its_default() {
        let sample = include_str!("../../everfast.conf");
        let mut config = Config { port: 1, timeout_seconds: 1, save: Vec::new(), ..Config::default() };
        let met = file::load_text(&mut config, "everfast.conf".as_ref(), sample.as_bytes()).unwrap();
        assert_eq!(config, Config::default());
        let in_files = |row: &&Directive| row.group != Group::Fixed && row.change != Change::ThisStart;
        for row in DIRECTIVES.iter().filter(in_files) {
            assert!(met.iter().any(|met| met.directive.name == row.name), "{} is missing", row.name);
        }
    }

    #[test]
    fn the_documentation_has_every_row_as_the_table_has_it() {
        let page = include_str!("../../docs/configuration.md");
        let missing: Vec<_> = DIRECTIVES.iter().map(documented).filter(|row| !page.contains(row)).collect();
        assert!(missing.is_empty(), "docs/configuration.md lacks these lines:\n{}", missing.join("\n"));
    }

    fn documented(row: &Directive) -> String {
        let Directive { name, meaning, .. } = row;
        let change = match row.change {
            Change::AtStart => "start",
            Change::AtRuntime => "run time",
            Change::ThisStart => "flag only",
        };
        match row.kind {
            Kind::Only { word, .. } => format!("| `{name}` | `{word}` | {meaning} |"),
            _ => format!(
                "| `{name}` | {} | `{}` | {change} | {meaning} |",
                row.unit.replace('|', ", "),
                row.default_text()
            ),
        }
    }
}
