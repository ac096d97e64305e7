//! Where the server's own messages go, and which.

use std::fs::OpenOptions;
use std::io;
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use super::ServerError;
use crate::config::{Config, LogLevel};

/// Changes the least important kind of message that is logged.
pub type SetLevel = Box<dyn Fn(LogLevel) + Send + Sync>;

/// Starts logging to the file that the configuration names, or to standard output. `None` where this process logs already (a
/// second server in one process): then its first server's settings hold.
///
/// # Errors
/// The file cannot be opened.
pub fn init(config: &Config) -> Result<Option<SetLevel>, ServerError> {
    let (level, handle) = reload::Layer::new(filter(config.loglevel));
    let registry = tracing_subscriber::registry().with(level);
    let layer = tracing_subscriber::fmt::layer().with_target(false);
    let started = if config.logfile.as_os_str().is_empty() {
        registry.with(layer.with_ansi(io::IsTerminal::is_terminal(&io::stdout()))).try_init()
    } else {
        let file = OpenOptions::new().create(true).append(true).open(&config.logfile);
        let file = file
            .map_err(|source| ServerError::LogFile { path: config.logfile.display().to_string(), source })?;
        registry.with(layer.with_ansi(false).with_writer(Mutex::new(file))).try_init()
    };
    let set = move |level| drop(handle.reload(filter(level))); // fails only when nothing logs any more
    Ok(started.is_ok().then(|| Box::new(set) as SetLevel))
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
    }
}
