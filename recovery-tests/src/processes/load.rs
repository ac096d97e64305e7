//! Clients that load a server until it dies or their time is up, and what was promised to them then.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::client::{Client, keep_saving};
use crate::clients::checker;
use crate::clients::model::Promise;
use crate::clients::workload::{End, Workload};
use crate::family::{Counts, Place};
use crate::random::Random;
use crate::server_process::{Launch, ServerProcess};

/// Between two checkpoints under load.
const SAVE_PAUSE: Duration = Duration::from_millis(15);
/// A process that closed its connections is gone so much later at the latest, on a machine that is busy with other things.
const REAPED: Duration = Duration::from_secs(30);
/// Between a refused write and the next attempt.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);
/// Between two probes of the disk.
const PROBE_PAUSE: Duration = Duration::from_millis(20);
/// `everysec`: what was acknowledged so long before a crash is there.
const WINDOW: Duration = Duration::from_secs(2);
/// One of so many loads begins with FLUSHALL.
const FLUSHES: u64 = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Always,
    EverySecond,
}

impl Policy {
    /// `always` three times of four: it promises more.
    pub fn draw(random: &mut Random) -> Policy {
        if random.below(4) == 0 { Policy::EverySecond } else { Policy::Always }
    }

    fn word(self) -> &'static str {
        match self {
            Policy::Always => "always",
            Policy::EverySecond => "everysec",
        }
    }
}

/// How a server came to its end.
#[derive(Debug)]
pub struct Ended {
    /// By itself, before it was killed.
    pub by_itself: Option<ExitStatus>,
    /// When it was seen to have ended.
    at: Instant,
}

/// The clients of one round, on one directory.
pub struct Fleet {
    workloads: Vec<Workload>,
    policy: Policy,
    /// The disk fails: what `everysec` writes may be held back, or lost, since nobody knows when.
    pub disk_fails: bool,
    /// Of the last load, on the same file system and by nobody of the server.
    longest_sync: Duration,
    dir: PathBuf,
    place: Place,
    segment_kib: u64,
    retention: u64,
    random: Random,
    flushes: u64,
}

impl Fleet {
    /// Draws how many clients there are, and what they do.
    pub fn new(place: &Place, random: &mut Random, policy: Policy) -> Fleet {
        let clients = 2 + random.below(14) as usize;
        let workloads = (0..clients).map(|index| Workload::among(index, clients, random.draw())).collect();
        Fleet {
            workloads,
            policy,
            disk_fails: false,
            longest_sync: Duration::ZERO,
            dir: place.scratch.join("data"),
            place: place.clone(),
            // Small ones, so that the next one is needed soon; sometimes the usual.
            segment_kib: [1024, 1024, 65536][random.below(3) as usize],
            retention: random.below(3),
            random: Random::new(random.draw()),
            flushes: 0,
        }
    }

    /// One that writes on a disk that fails. Half of the time a life on a sound one comes first, so that there is something
    /// for a start to find. Answers what is promised of it.
    pub fn on_a_failing_disk(place: &Place, random: &mut Random) -> Result<(Fleet, Promise), String> {
        let policy = Policy::draw(random);
        let mut fleet = Fleet::new(place, random, policy);
        fleet.disk_fails = true;
        if random.below(2) > 0 {
            return Ok((fleet, Promise::All));
        }
        let mut server = start(&fleet.launch(1 + random.below(4)))?;
        let ended = fleet.load(&mut server, Duration::from_millis(50 + random.below(150)), true, true)?;
        let promise = fleet.promise(&ended);
        Ok((fleet, promise))
    }

    /// Two last lives on a sound disk: what was promised is there, and after some more work and a kill as well.
    pub fn live_on(
        &mut self,
        promise: Promise,
        random: &mut Random,
        counts: &mut Counts,
    ) -> Result<(), String> {
        let mut server = start(&self.launch(1 + random.below(4)))?;
        self.check(&server, promise)?;
        let ended = self.load(&mut server, Duration::from_millis(random.below(100)), true, true)?;
        let server = start(&self.launch(1 + random.below(4)))?;
        self.check(&server, self.promise(&ended))?;
        self.count(counts);
        Ok(())
    }

    /// How the server is started on so many shards.
    pub fn launch(&self, shards: u64) -> Launch {
        let (shards, segment) = (shards.to_string(), format!("{}kb", self.segment_kib));
        let mut args =
            vec!["--shards", &shards, "--appendfsync", self.policy.word(), "--segment-size", &segment];
        let retention = format!("checkpoints {}", 1 + self.retention);
        if self.retention > 0 {
            args.extend(["--log-retention", &retention]);
        }
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        Launch::new(&self.place.server, &self.dir, &args)
    }

    /// Loads the server, with one checkpoint after the other if `saves`, until it ends by itself or `time` is up; then kills
    /// it, or leaves it if not `kills`.
    ///
    /// # Errors
    /// A violation.
    pub fn load(
        &mut self,
        server: &mut ServerProcess,
        time: Duration,
        saves: bool,
        kills: bool,
    ) -> Result<Ended, String> {
        let address = server.address();
        let deadline = Instant::now() + time;
        let (probe, goes_on) = (self.dir.with_file_name("probe"), AtomicBool::new(true));
        let flushes = self.random.below(FLUSHES) == 0;
        let bounds = self.policy == Policy::EverySecond;
        let (ends, ended) = std::thread::scope(|scope| {
            let saving = saves.then(|| scope.spawn(move || keep_saving_until(address, deadline)));
            let flushed = if flushes { flush_all(&mut self.workloads, address, deadline) } else { Ok(true) };
            self.flushes += u64::from(flushes && flushed == Ok(true));
            let may_go_on = flushed == Ok(true);
            let clients: Vec<_> = self
                .workloads
                .iter_mut()
                .filter(|_| may_go_on)
                .map(|workload| scope.spawn(move || run(workload, address, (!kills).then_some(deadline))))
                .collect();
            let probing = bounds.then(|| scope.spawn(|| longest_sync(&probe, &goes_on)));
            let ended = wait(server, deadline, kills);
            goes_on.store(false, Ordering::Relaxed);
            let probed = probing.and_then(|probing| probing.join().ok());
            self.longest_sync = probed.unwrap_or_default();
            drop(saving.map(|saving| saving.join())); // it ends with its connection
            let panicked = |_| End::Wrong("a client panicked".into());
            let mut ends: Vec<End> =
                clients.into_iter().map(|client| client.join().unwrap_or_else(panicked)).collect();
            ends.extend(flushed.err().map(End::Wrong));
            (ends, ended)
        });
        for end in ends {
            if let End::Wrong(what) = end {
                return Err(format!("a reply that must not be: {what}"));
            }
        }
        ended.map_err(|error| error.to_string())
    }

    /// What must be there after the server ended like this.
    pub fn promise(&self, ended: &Ended) -> Promise {
        match self.policy {
            Policy::Always => Promise::All,
            Policy::EverySecond if self.disk_fails => Promise::Prefix,
            Policy::EverySecond => {
                let slowest =
                    self.workloads.iter().map(|workload| workload.slowest).max().unwrap_or_default();
                // A disk that stalls holds the log up, and no client sees it.
                let held_up = slowest + 2 * self.longest_sync;
                ended.at.checked_sub(WINDOW + held_up).map_or(Promise::Prefix, Promise::Before)
            }
        }
    }

    /// Looks at what is there.
    ///
    /// # Errors
    /// A violation.
    pub fn check(&mut self, server: &ServerProcess, promise: Promise) -> Result<(), String> {
        self.look(server, promise)?.map_err(|error| format!("the check was interrupted: {error}"))
    }

    /// As [`Fleet::check`], on a server that may be killed by what is asked: a read deletes what has expired. Answers how it
    /// ended then; what was promised before is promised still.
    pub fn check_of_mortal(
        &mut self,
        server: &mut ServerProcess,
        promise: Promise,
    ) -> Result<Option<ExitStatus>, String> {
        match self.look(server, promise)? {
            Ok(()) => Ok(None),
            Err(error) => {
                let ended =
                    wait(server, Instant::now() + REAPED, false).map_err(|error| error.to_string())?;
                ended.by_itself.map(Some).ok_or_else(|| format!("the check was interrupted: {error}"))
            }
        }
    }

    /// The inner error: it could not be looked at all of it.
    fn look(&mut self, server: &ServerProcess, promise: Promise) -> Result<io::Result<()>, String> {
        let result = Client::connect(server.address())
            .and_then(|mut client| checker::check(&mut self.workloads, &mut client, promise));
        let violations = match result {
            Ok(violations) => violations,
            Err(error) => return Ok(Err(error)),
        };
        self.workloads.iter_mut().for_each(|workload| workload.slowest = Duration::ZERO);
        if violations.is_empty() { Ok(Ok(())) } else { Err(violations.join("\n  ")) }
    }

    pub fn count(&self, counts: &mut Counts) {
        for workload in &self.workloads {
            counts.add("commands acknowledged", workload.acknowledged);
            counts.add("writes refused", workload.refused);
        }
        counts.add("FLUSHALLs", self.flushes);
    }
}

/// Sends commands until the connection ends, or the time is up; goes on after refusals.
fn run(workload: &mut Workload, address: std::net::SocketAddr, deadline: Option<Instant>) -> End {
    let Ok(mut client) = Client::connect(address) else { return End::Connection };
    let rounds = if deadline.is_some() { 1 } else { u64::MAX };
    loop {
        match workload.run_rounds(&mut client, rounds) {
            End::Refused => std::thread::sleep(REFUSED_PAUSE),
            End::Finished => {}
            end => return end,
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return End::Finished;
        }
    }
}

/// Before any client of a load begins, beside a checkpoint if there are any. Answers whether clients may begin.
fn flush_all(
    workloads: &mut [Workload],
    address: std::net::SocketAddr,
    deadline: Instant,
) -> Result<bool, String> {
    let Ok(mut client) = Client::connect(address) else { return Ok(false) };
    let patience = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    Workload::flush_all(workloads, &mut client, patience)
}

fn keep_saving_until(address: std::net::SocketAddr, deadline: Instant) {
    keep_saving(address, SAVE_PAUSE, || Instant::now() < deadline);
}

/// Writes and syncs a little again and again; answers the longest time that it took.
fn longest_sync(path: &Path, goes_on: &AtomicBool) -> Duration {
    let mut longest = Duration::ZERO;
    while goes_on.load(Ordering::Relaxed) {
        let started = Instant::now();
        let written = std::fs::File::create(path).and_then(|mut file| {
            file.write_all(&[1; 4096])?;
            file.sync_data()
        });
        if written.is_err() {
            return longest; // a full disk does not stall
        }
        longest = longest.max(started.elapsed());
        std::thread::sleep(PROBE_PAUSE);
    }
    longest
}

fn wait(server: &mut ServerProcess, deadline: Instant, kills: bool) -> io::Result<Ended> {
    loop {
        if let Some(status) = server.ended()? {
            return Ok(Ended { by_itself: Some(status), at: Instant::now() });
        }
        if Instant::now() >= deadline {
            if kills {
                server.kill()?;
            }
            return Ok(Ended { by_itself: None, at: Instant::now() });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether it was SIGKILL that ended a process.
pub fn was_killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(rustix::process::Signal::KILL.as_raw())
}

/// Starts a server that must start.
///
/// # Errors
/// It does not: a violation.
pub fn start(launch: &Launch) -> Result<ServerProcess, String> {
    launch.start().map_err(|error| format!("a start that should have gone well: {error}"))
}
