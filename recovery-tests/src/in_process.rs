//! A whole server in this process, sockets and all, on any disk.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use everfast::config::{AppendFsync, Config, Loaded, LogWriters};
use everfast::persist::disk::{CrashMode, Disk, SimDisk};
use everfast::server::{Server, ServerError};
use everfast::shard::shared::ShutdownRequest;

use crate::client::Client;
use crate::server_process::free_port;

/// Where the data lies on the disk.
pub const DIR: &str = "/data";

/// A setting for tests: as many log writers as shards, no patience when it stops, small segments.
pub fn config(shards: u16, appendfsync: AppendFsync) -> Config {
    Config {
        dir: PathBuf::from(DIR),
        shards,
        appendfsync,
        log_writers: LogWriters::Count(shards),
        segment_size_bytes: 1 << 20,
        shutdown_timeout_seconds: 0,
        maxclients: 100,
        ..Config::default()
    }
}

type Stop = Box<dyn FnOnce(ShutdownRequest) + Send>;

/// A server that serves. When dropped it is ended by force.
pub struct InProcess {
    address: SocketAddr,
    stop: Option<Stop>,
    serving: Option<JoinHandle<Result<(), ServerError>>>,
}

impl InProcess {
    /// Starts a server on `disk`, on a free port.
    ///
    /// # Errors
    /// It refuses to start.
    pub fn start(disk: &Arc<dyn Disk>, config: Config) -> Result<Self, ServerError> {
        let port = free_port().map_err(ServerError::Thread)?;
        Self::start_at(disk, Config { port, ..config })
    }

    /// As [`InProcess::start`], on the port that the configuration says.
    pub fn start_at(disk: &Arc<dyn Disk>, config: Config) -> Result<Self, ServerError> {
        let port = config.port;
        let loaded = Loaded { config, config_file: None };
        let server = Server::start(loaded, disk)?;
        let stop = Box::new(server.stopper());
        let serving = std::thread::spawn(move || server.serve());
        let address = (Ipv4Addr::LOCALHOST, port).into();
        Ok(Self { address, stop: Some(stop), serving: Some(serving) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection.
    ///
    /// # Panics
    /// If the server does not take it.
    pub fn client(&self) -> Client {
        Client::connect(self.address).unwrap_or_else(|error| panic!("{}: {error}", self.address))
    }

    /// Whether it has ended, by a SHUTDOWN for instance.
    pub fn has_ended(&self) -> bool {
        self.serving.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it, as asked for, and answers how it ended.
    ///
    /// # Panics
    /// If it panicked.
    pub fn stop(mut self, request: ShutdownRequest) -> Result<(), ServerError> {
        self.end(request).expect("it runs").unwrap_or_else(|_| panic!("the server panicked"))
    }

    /// Cuts the power of its disk, and with it the server.
    pub fn power_cut(mut self, disk: &SimDisk, mode: CrashMode) {
        disk.crash(mode);
        drop(self.end(ShutdownRequest { force: true, ..ShutdownRequest::default() })); // it cannot end well
    }

    fn end(&mut self, request: ShutdownRequest) -> Option<std::thread::Result<Result<(), ServerError>>> {
        if let Some(stop) = self.stop.take() {
            stop(request);
        }
        self.serving.take().map(JoinHandle::join)
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        drop(self.end(ShutdownRequest { force: true, ..ShutdownRequest::default() })); // nobody asks how
    }
}
