//! Servers of Everfast in this process.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use everfast::config::{AppendFsync, Config, Loaded, LogWriters};
use everfast::persist::disk::{Disk, RealDisk};
use everfast::server::{Server, ServerError};
use everfast::shard::shared::ShutdownRequest;

use super::redis_server::free_port;

/// A server that writes to a directory; it is stopped when it is dropped.
pub struct Everfast {
    stop: Option<Box<dyn FnOnce(ShutdownRequest) + Send>>,
    serving: Option<JoinHandle<Result<(), ServerError>>>,
    port: u16,
}

impl Everfast {
    pub fn start(dir: &Path) -> Everfast {
        let port = free_port();
        let config = Config {
            dir: dir.to_path_buf(),
            port,
            shards: 2,
            appendfsync: AppendFsync::Always,
            log_writers: LogWriters::Count(1),
            segment_size_bytes: 1 << 20,
            shutdown_timeout_seconds: 0,
            maxclients: 100,
            ..Config::default()
        };
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let server = Server::start(Loaded { config, config_file: None }, &disk).expect("it starts");
        let stop = Some(Box::new(server.stopper()) as _);
        Everfast { stop, serving: Some(std::thread::spawn(move || server.serve())), port }
    }

    pub fn connect(&self) -> redis::Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/", self.port)).unwrap();
        client.get_connection().expect("it answers")
    }
}

impl Drop for Everfast {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop(ShutdownRequest::default());
        }
        if let Some(serving) = self.serving.take() {
            let _ = serving.join(); // a test that fails says why
        }
    }
}
