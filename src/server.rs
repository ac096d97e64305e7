//! The life of the server: open the data directory, recover, serve, drain, final sync.
//!
//! Invariants:
//! 1. Sockets listen before the recovery starts (clients are told `-LOADING`), and no command is served before
//!    everything that the recovery found is in memory and the new logs are open.
//! 2. On the way down no command is taken any more, then what was appended is made durable, then the logs are sealed.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::command::{self, server};
use crate::config::{BindAddress, Config, Loaded, LogWriters};
use crate::net::{Buffers, listener};
use crate::persist::disk::{Disk, RealDisk};
use crate::persist::{
    self, DataDir, Gsn, Log, LogOptions, PersistError, RecoveryReport, ShardId, file_names,
};
use crate::shard::engine::Engine;
use crate::shard::mailbox::{Mailbox, Message};
use crate::shard::shared::{Shared, ShutdownRequest};
use crate::shard::stats::EngineStats;
use crate::shard::{Shard, cron, spawn};
use crate::snapshot::Checksum;
use crate::store::KeyHasher;
use crate::waiting;
use load::LoadFile;

pub mod import;
mod leaving;
mod limits;
pub mod load;
pub mod offline;
mod replay;
mod saver;
#[cfg(feature = "sim")]
pub mod simulated;
mod tracing_setup;

pub use replay::{ReplayFailure, Skipped, Summary};
use saver::SaverThreads;

/// Why the server did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot open the log file {path}: {source}")]
    LogFile { path: String, source: io::Error },
    #[error(transparent)]
    Persist(#[from] PersistError),
    #[error("the log cannot be replayed: {0}")]
    Replay(#[from] ReplayFailure),
    #[error("cannot measure the disk of the data directory: {0}")]
    Calibrate(io::Error),
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    #[error("cannot import {from}: {why}")]
    Import { from: PathBuf, why: String },
    #[error("dbfilename '{name}' is the name of a file of the data directory: choose another")]
    DumpName { name: String },
    #[error("cannot load {path}: {why}")]
    Dump { path: PathBuf, why: String },
    #[error(
        "{dir} has a data directory's MANIFEST, which `appendonly no` would leave unread: export it with \
         everfast-recover, or name another dir"
    )]
    LogLeftUnread { dir: PathBuf },
    #[cfg(feature = "fail-points")]
    #[error("what shall go wrong cannot be understood: {0}")]
    FailPoints(String),
    #[error("the data directory could not be closed cleanly: {0}")]
    Close(PersistError),
}

/// A thread of a shard, and how to end it.
struct ShardThread {
    thread: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

type ShutdownReceiver = mpsc::UnboundedReceiver<(ShutdownRequest, Option<oneshot::Sender<String>>)>;

/// A server that serves.
pub struct Server {
    shared: Arc<Shared>,
    data_dir: Option<Arc<DataDir>>,
    threads: Vec<ShardThread>,
    shutdown: ShutdownReceiver,
    savers: Arc<SaverThreads>,
}

/// Runs the server until a signal or SHUTDOWN ends it.
///
/// # Errors
/// It cannot start (nothing was changed on disk then beyond what a recovery seals), or the last sync failed.
pub fn run(loaded: Loaded) -> Result<(), ServerError> {
    let set_level = tracing_setup::init(&loaded.config)?;
    let server = Server::start(loaded, &disk()?)?;
    if let Some(set_level) = set_level {
        let _ = server.shared.set_log_level.set(set_level); // the first and only one
    }
    server.serve()
}

#[cfg(not(feature = "fail-points"))]
fn disk() -> Result<Arc<dyn Disk>, ServerError> {
    Ok(Arc::new(RealDisk))
}

/// The disk with what shall go wrong.
#[cfg(feature = "fail-points")]
fn disk() -> Result<Arc<dyn Disk>, ServerError> {
    crate::fail_point::configure().map_err(ServerError::FailPoints)?;
    persist::disk::faulty::from_environment(Arc::new(RealDisk)).map_err(ServerError::FailPoints)
}

impl Server {
    /// Recovers from `disk` and begins to serve.
    pub fn start(loaded: Loaded, disk: &Arc<dyn Disk>) -> Result<Server, ServerError> {
        let mut config = loaded.config;
        limits::raise_open_files(&mut config);
        let configured = config.clone(); // CONFIG REWRITE must not pin what depends on the machine
        if config.shards == 0 {
            config.shards = one_shard_per_core();
        }
        let started = clock::now();
        check_dump_name(&config)?;
        import_first(&config, disk)?;
        warn_of_files_left_alone(&config, disk);
        let data_dir = match config.appendonly {
            true => Some(Arc::new(DataDir::open(Arc::clone(disk), &config.dir)?)),
            false if disk.file_bytes(&config.dir.join(file_names::MANIFEST)).is_ok() => {
                return Err(ServerError::LogLeftUnread { dir: config.dir });
            }
            false => None,
        };
        let hash_seed =
            data_dir.as_ref().map_or_else(persist::random_u64, |data_dir| data_dir.manifest().hash_seed);
        let shared = Shared::new(config.shards, configured, run_id());
        shared.set_config_file(loaded.config_file);
        shared.loading.started_unix_ms.store(clock::unix_ms(), Ordering::Relaxed);
        shared.loading.active.store(true, Ordering::Release);
        let (sender, shutdown) = mpsc::unbounded_channel();
        let _ = shared.shutdown.set(sender); // the first and only one
        let threads = start_shards(&shared, &config, KeyHasher::new(hash_seed))?;
        shared.startup_bytes.store(cron::allocated_bytes().unwrap_or(0), Ordering::Relaxed);
        announce(&config);
        let server = Server { shared, data_dir, threads, shutdown, savers: Arc::default() };
        match &server.data_dir {
            Some(data_dir) => recover(data_dir, &server.shared, &config, disk)?,
            None => load_dump(&server.shared, &config, disk, hash_seed)?,
        }
        if let Some(data_dir) = server.data_dir.clone() {
            let (shards, databases) = (config.shards, config.databases as usize);
            let load =
                move || offline::load_again(&data_dir, shards, databases).map_err(|error| error.to_string());
            let _ = server.shared.load_log.set(Box::new(load)); // the first and only one
        }
        let data_dir = server.data_dir.clone();
        let threads = Arc::clone(&server.savers);
        saver::install(&server.shared, disk, data_dir, hash_seed, move |work| threads.start(work));
        server.shared.loading.active.store(false, Ordering::Release);
        tracing::info!(took_ms = started.elapsed().as_millis() as u64, "Ready to accept connections");
        Ok(server)
    }

    /// Serves until a signal, SHUTDOWN or [`Server::stopper`] ends it.
    pub fn serve(mut self) -> Result<(), ServerError> {
        while let Some((request, answer)) = self.shutdown.blocking_recv() {
            let Err(objection) = leaving::prepare(&self.shared, request) else { break };
            tracing::error!("the server stays: {objection}");
            if let Some(answer) = answer {
                let _ = answer.send("ERR Errors trying to SHUTDOWN. Check logs.".to_owned()); // the client may be gone
            }
        }
        self.end()
    }

    /// Ends the server from another thread, as SHUTDOWN does.
    pub fn stopper(&self) -> impl FnOnce(ShutdownRequest) + Send + use<> {
        let shared = Arc::clone(&self.shared);
        move |request| {
            if let Some(shutdown) = shared.shutdown.get() {
                let _ = shutdown.send((request, None)); // nobody listens: the server is ending
            }
        }
    }

    fn end(self) -> Result<(), ServerError> {
        drain(&self.shared);
        drop(take_logs(&self.shared)); // which hands over what they gathered
        let result = self.data_dir.map_or(Ok(()), |data_dir| data_dir.close().map_err(ServerError::Close));
        // A save that a server gives up by force may wait for its disk for ever.
        if self.shared.saves.running().is_none() {
            self.savers.join();
        }
        for thread in self.threads {
            let _ = thread.stop.send(()); // it may have ended by itself
            if thread.thread.join().is_err() {
                tracing::error!("a shard's thread panicked");
            }
        }
        match &result {
            Ok(()) => tracing::info!("the server has ended"),
            Err(error) => tracing::error!(%error, "the server ends"),
        }
        result
    }
}

/// The dump file must not take the place of a file of the data directory.
fn check_dump_name(config: &Config) -> Result<(), ServerError> {
    let name = config.dbfilename.to_string_lossy();
    match file_names::FileKind::of(&name) {
        file_names::FileKind::Other => Ok(()),
        _ => Err(ServerError::DumpName { name: name.into_owned() }),
    }
}

/// Whoever starts on a directory of Redis, or on a backup, may expect what is in it.
fn warn_of_files_left_alone(config: &Config, disk: &Arc<dyn Disk>) {
    let is_there = |name: &str| disk.file_bytes(&config.dir.join(name)).is_ok();
    if !config.appendonly || is_there(file_names::MANIFEST) {
        return;
    }
    let dump = config.dbfilename.to_string_lossy();
    for name in [&*dump, "appendonlydir"] {
        if !name.is_empty() && is_there(name) {
            tracing::warn!(
                "{} is not read: this server starts empty. To begin with what is in it, end the server, empty \
                 its directory and start it once with --import",
                config.dir.join(name).display()
            );
        }
    }
}

/// Fills an empty directory from the files of another server, where that is asked for.
fn import_first(config: &Config, disk: &Arc<dyn Disk>) -> Result<(), ServerError> {
    if config.import.as_os_str().is_empty() {
        return Ok(());
    }
    let failed = |why: String| ServerError::Import { from: config.import.clone(), why };
    if !config.appendonly {
        let why = "it makes a data directory with a log, and appendonly is off: name the file as dbfilename";
        return Err(failed(why.to_owned()));
    }
    tracing::info!(from = %config.import.display(), "importing");
    let progress = import::Progress::default();
    let report = import::import(Arc::clone(disk), &config.import, &config.dir, config.shards, &progress);
    let report = report.map_err(|error| failed(error.to_string()))?;
    tracing::info!(keys = report.keys, commands = report.commands, bytes = report.bytes, "imported");
    if let Some(left_out) = report.left_out {
        let (file, offset, bytes) = (left_out.file.display(), left_out.offset, left_out.bytes);
        tracing::warn!(%file, offset, bytes, "left out an end that was never complete: {}", left_out.why);
    }
    Ok(())
}

fn one_shard_per_core() -> u16 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(1024) as u16)
}

fn announce(config: &Config) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        address = %addresses(config).map(|address| address.to_string()).collect::<Vec<_>>().join(" "),
        dir = %config.dir.display(),
        appendfsync = if config.appendonly { config.appendfsync.word() } else { "none: appendonly is off" },
        shards = config.shards,
        pid = std::process::id(),
        "Everfast starts"
    );
}

fn addresses(config: &Config) -> impl Iterator<Item = SocketAddr> + '_ {
    config.bind.iter().map(|bind| SocketAddr::new(bind.address, config.port))
}

fn start_shards(
    shared: &Arc<Shared>,
    config: &Config,
    hasher: KeyHasher,
) -> Result<Vec<ShardThread>, ServerError> {
    let mut listeners: Vec<Vec<std::net::TcpListener>> = (0..config.shards).map(|_| Vec::new()).collect();
    for bind in &config.bind {
        bind_everywhere(*bind, config, &mut listeners)?;
    }
    let config = Arc::new(config.clone());
    let mut threads = Vec::new();
    for (id, listeners) in shared.shard_ids().zip(listeners) {
        let (stop, stopped) = oneshot::channel();
        let (shared, config) = (Arc::clone(shared), Arc::clone(&config));
        let make = move || make_shard(id, &config, hasher, &shared);
        let main = move |shard| shard_main(shard, listeners, stopped);
        let thread = spawn::spawn(format!("shard-{}", id.0), make, main).map_err(ServerError::Thread)?;
        threads.push(ShardThread { thread, stop });
    }
    Ok(threads)
}

fn make_shard(id: ShardId, config: &Arc<Config>, hasher: KeyHasher, shared: &Arc<Shared>) -> Rc<Shard> {
    let mut engine = Engine::new(id, config.databases as u16, hasher, persist::random_u64());
    engine.stats = EngineStats::new(command::table().len());
    Shard::new(engine, Arc::clone(config), Arc::clone(shared))
}

fn bind_everywhere(
    bind: BindAddress,
    config: &Config,
    listeners: &mut [Vec<std::net::TcpListener>],
) -> Result<(), ServerError> {
    let address = SocketAddr::new(bind.address, config.port);
    let failed = |source| ServerError::Listen { address, source };
    match listener::is_taken(address) {
        Ok(false) => {}
        Ok(true) => return Err(failed(io::ErrorKind::AddrInUse.into())),
        Err(_) if bind.optional => return Ok(()),
        Err(source) => return Err(failed(source)),
    }
    for sockets in listeners {
        sockets.push(listener::bind(address, config.tcp_backlog).map_err(failed)?);
    }
    Ok(())
}

/// What runs on a shard's thread.
async fn shard_main(shard: Rc<Shard>, listeners: Vec<std::net::TcpListener>, stopped: oneshot::Receiver<()>) {
    let buffers = Rc::<Buffers>::default();
    for socket in listeners {
        match tokio::net::TcpListener::from_std(socket) {
            Ok(socket) => {
                let accept = listener::accept(socket, Rc::clone(&shard), Rc::clone(&buffers));
                tokio::task::spawn_local(accept);
            }
            Err(error) => tracing::error!(%error, "a listening socket cannot be used"),
        }
    }
    tokio::task::spawn_local(cron::run(Rc::clone(&shard)));
    if shard.id.0 == 0 {
        tokio::task::spawn_local(watch_signals(Arc::clone(&shard.shared)));
    }
    let _ = stopped.await; // a dropped sender ends the shard as well
}

/// SIGTERM and SIGINT end the server as SHUTDOWN does.
async fn watch_signals(shared: Arc<Shared>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be watched: only SHUTDOWN ends this server cleanly");
        return;
    };
    loop {
        let name = tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "received a signal");
        let options = {
            let config = shared.config();
            if name == "SIGTERM" { config.shutdown_on_sigterm } else { config.shutdown_on_sigint }
        };
        let request = ShutdownRequest {
            force: options.force,
            no_save: options.save == Some(false),
            save: options.save == Some(true),
        };
        if let Some(shutdown) = shared.shutdown.get() {
            let _ = shutdown.send((request, None)); // nobody listens: the server is ending
        }
    }
}

/// Brings back what the data directory holds, and opens the new logs.
fn recover(
    data_dir: &Arc<DataDir>,
    shared: &Arc<Shared>,
    config: &Config,
    disk: &Arc<dyn Disk>,
) -> Result<(), ServerError> {
    let started = clock::now();
    let recovered = data_dir.recover()?;
    let lines = describe(&recovered.report);
    for line in &lines {
        tracing::info!("recovery: {line}");
    }
    let next_gsn = recovered.next_gsn;
    let summary = replay::replay(recovered, shared)?;
    tracing::info!(
        effects = summary.effects,
        log_bytes = summary.log_bytes,
        keys_loaded = summary.keys_loaded,
        snapshot_bytes = summary.snapshot_bytes,
        took_ms = started.elapsed().as_millis() as u64,
        "recovery is complete"
    );
    let _ = shared.recovery_report.set(lines.join("; ")); // the only one
    shared.saves.set_base(summary.snapshot_bytes, summary.log_bytes);
    shared.loading.snapshot_keys.store(summary.keys_loaded, Ordering::Relaxed);

    // Which holds the data directory, and so the logs that call these.
    let shards = Arc::downgrade(shared);
    let told_by = Weak::clone(&shards);
    let wake = Arc::new(move |shard: ShardId| {
        if let Some(shared) = shards.upgrade() {
            shared.mailboxes[usize::from(shard.0)].wake();
        }
    });
    let mut options = LogOptions::new(config.shards, wake);
    options.complete =
        Arc::new(move || told_by.upgrade().map_or(Gsn(0), |shared| shared.sequencer.complete()));
    options.policy = server::config::sync_policy(config.appendfsync);
    options.segments.max_bytes = config.segment_size_bytes;
    options.segments.first_bytes = options.segments.first_bytes.min(config.segment_size_bytes);
    options.close_patience_ms = u64::from(config.shutdown_timeout_seconds) * 1000;
    options.queue_limit_bytes = config.log_queue_limit_bytes as usize;
    (options.background_preparer, options.writer_threads) = (!waiting::is_alone(), !waiting::is_alone());
    options.writers = match config.log_writers {
        LogWriters::Count(count) => count.clamp(1, config.shards),
        LogWriters::Auto => {
            persist::calibrate_writers(disk, &config.dir, config.shards).map_err(ServerError::Calibrate)?
        }
    };
    let logs = data_dir.start_logs(&options)?;
    shared.sequencer.start(next_gsn, true);
    let _ = shared.data_dir.set(Arc::clone(data_dir)); // the only one
    hand_out_logs(shared, logs);
    Ok(())
}

/// Without a log: what the last save left, if there is something.
fn load_dump(
    shared: &Arc<Shared>,
    config: &Config,
    disk: &Arc<dyn Disk>,
    hash_seed: u64,
) -> Result<(), ServerError> {
    tracing::warn!("appendonly is off: what comes after the last save is lost when the server ends");
    if config.dbfilename.as_os_str().is_empty() {
        return Ok(());
    }
    let path = config.dir.join(&config.dbfilename);
    let failed = |why: String| ServerError::Dump { path: path.clone(), why };
    let map = match disk.map(&path) {
        Ok(map) => map,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error.to_string())),
    };
    shared.loading.total_bytes.store(map.len() as u64, Ordering::Relaxed);
    let file = LoadFile { path: path.clone(), map, checksum: Checksum::MayBeOff };
    let loaded = load::load(shared, KeyHasher::new(hash_seed), vec![file]);
    let loaded = loaded.map_err(|failure| failed(failure.error.to_string()))?;
    shared.loading.snapshot_keys.store(loaded.keys, Ordering::Relaxed);
    tracing::info!(keys = loaded.keys, bytes = loaded.bytes, path = %path.display(), "loaded");
    Ok(())
}

/// What a recovery found, for people, a line each.
fn describe(report: &RecoveryReport) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(checkpoint) = report.checkpoint {
        lines.push(format!(
            "begins with checkpoint {checkpoint}: {} keys in {} snapshots, {} bytes",
            report.snapshot_keys, report.snapshots, report.snapshot_bytes
        ));
    }
    lines.push(format!(
        "found {} effects in {} frames, {} bytes, {} segments of {} logs from {} starts",
        report.effects, report.frames, report.bytes, report.segments, report.logs, report.epochs
    ));
    for tail in &report.tails {
        lines.push(format!(
            "cut a torn end that was never acknowledged: {} at byte {}, {} bytes: {}",
            tail.file.display(),
            tail.offset,
            tail.bytes,
            tail.why
        ));
    }
    if !report.transactions_cut.is_empty() {
        lines.push(format!(
            "left out {} transactions that were not complete and never acknowledged, with {} effects: {}",
            report.transactions_cut.len(),
            report.effects_cut,
            report.transactions_cut.iter().take(20).map(ToString::to_string).collect::<Vec<_>>().join(" ")
        ));
    }
    lines
}

/// Gives each shard its log, and puts into effect what CONFIG SET may have changed meanwhile.
fn hand_out_logs(shared: &Shared, logs: Vec<Log>) {
    let (done, all_done) = std_mpsc::channel::<()>();
    for (mailbox, (cell, log)) in shared.mailboxes.iter().zip(shared.logs.iter().zip(logs)) {
        let _ = cell.set(log.shared()); // the only log of this shard
        let done = done.clone();
        mailbox.send(Message::Call(Box::new(move |shard| {
            shard.engine.borrow_mut().log = Some(log);
            server::config::apply(shard);
            drop(done);
        })));
    }
    drop(done);
    let _ = waiting::receive(&all_done); // returns when every shard has dropped its sender
}

/// No more commands; those under way are finished, and replies that wait for the log leave.
fn drain(shared: &Shared) {
    call_all(shared, |shard| {
        shard.stopping.set(true);
        if let Some(log) = &mut shard.engine.borrow_mut().log {
            log.submit_all();
            log.request_sync();
        }
    });
    let patience = Duration::from_secs(u64::from(shared.config().shutdown_timeout_seconds));
    let deadline = clock::now() + patience;
    while clock::now() < deadline {
        let busy = call_all(shared, |shard| {
            shard.pump();
            shard.held_replies() > 0
        });
        if shared.sequencer.is_calm() && !busy.contains(&true) {
            return;
        }
        if shared.log_refuses().is_some() {
            return; // waiting will not help
        }
        waiting::sleep(Duration::from_millis(2));
    }
}

/// Closes all shards at one point of the common order: a transaction is run on all its participants before, or on none.
fn take_logs(shared: &Shared) -> Vec<Log> {
    let section = shared.sequencer.read();
    let waits = send_all(shared, Shard::close);
    drop(section);
    receive_all(waits).into_iter().flatten().collect()
}

/// As `Shared::call_all`, for a thread that may wait.
fn call_all<T: Send + 'static>(
    shared: &Shared,
    call: impl Fn(&Shard) -> T + Clone + Send + 'static,
) -> Vec<T> {
    receive_all(send_all(shared, call))
}

fn send_all<T: Send + 'static>(
    shared: &Shared,
    call: impl Fn(&Shard) -> T + Clone + Send + 'static,
) -> Vec<std_mpsc::Receiver<T>> {
    let send = |mailbox: &Mailbox| {
        let (sender, receiver) = std_mpsc::channel();
        let call = call.clone();
        mailbox.send(Message::Call(Box::new(move |shard| {
            let _ = sender.send(call(shard)); // the receiver waits
        })));
        receiver
    };
    shared.mailboxes.iter().map(send).collect()
}

fn receive_all<T>(receivers: Vec<std_mpsc::Receiver<T>>) -> Vec<T> {
    receivers.into_iter().filter_map(|receiver| waiting::receive(&receiver).ok()).collect()
}

fn run_id() -> String {
    (0..3).map(|_| format!("{:016x}", persist::random_u64())).collect::<String>()[..40].to_owned()
}
