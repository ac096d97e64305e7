//! Where the server's own messages go.

use std::fs::OpenOptions;
use std::io;
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;

use super::ServerError;
use crate::config::{Config, LogLevel};

/// Starts logging to the file that the configuration names, or to standard output.
pub fn init(config: &Config) -> Result<(), ServerError> {
    let level = match config.loglevel {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_target(false);
    // A second start within one process (tests) keeps the first one's output.
    if config.logfile.as_os_str().is_empty() {
        let terminal = io::IsTerminal::is_terminal(&io::stdout());
        let _ = builder.with_ansi(terminal).try_init();
        return Ok(());
    }
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&config.logfile)
        .map_err(|source| ServerError::LogFile { path: config.logfile.display().to_string(), source })?;
    let _ = builder.with_ansi(false).with_writer(Mutex::new(file)).try_init();
    Ok(())
}
