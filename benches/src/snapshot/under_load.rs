//! One snapshot while clients write: what it costs them, and how much memory it takes.
//!
//! ```text
//! writers, probe, memory start        BGSAVE sent   +OK        INFO: over
//! |-- warm-up --|------- before ------|---------- during ----------|
//!                                     |-- at the cut --|
//! ```

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::figures::{Figure, Figures};
use super::huge::Changes;
use super::info::Info;
use super::memory::MemoryOverTime;
use super::probe::Samples;
use super::saving::{Saved, Saving, Times, save};
use crate::compare::CompareError;
use crate::compare::client::Client;
use crate::compare::measure::{check, level_the_field, load_error, wrong};
use crate::compare::server::Server;
use crate::load::{Live, Random, Workload, run_while};

const WARM_UP: Duration = Duration::from_secs(1);
/// What begins so soon after the reply to BGSAVE counts as the beginning of the snapshot: a server may reply before its cut.
const CUT_WINDOW: Duration = Duration::from_millis(200);
const WRITERS: usize = 50;
const PIPELINE: usize = 16;
/// Between two changes of a huge value.
const CHANGE_PAUSE: Duration = Duration::from_millis(50);

/// What a snapshot is measured under.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub scenario: &'static str,
    pub keys: u64,
    /// Writes per second; `None`: as many as the server takes.
    pub rate: Option<f64>,
    /// Time before the snapshot that it is compared with.
    pub before: Duration,
    /// Size of the huge values that are changed now and then.
    pub huge_mib: Option<u64>,
}

/// Either figures, or the words in which the server refused.
pub type Measured = Result<Figures, String>;

/// When what happened, and how many writes were answered by then.
struct Course {
    from: Instant,
    replies_at_from: u64,
    /// With the replies by then.
    times: Times,
}

/// What went on beside the writers.
struct Witnesses {
    probe: Samples,
    changes: Option<Samples>,
    memory: MemoryOverTime,
}

impl Witnesses {
    fn of(
        server: &Server,
        probe: ScopedJoinHandle<'_, io::Result<Samples>>,
        changes: Option<ScopedJoinHandle<'_, io::Result<Samples>>>,
        memory: ScopedJoinHandle<'_, MemoryOverTime>,
    ) -> Result<Witnesses, CompareError> {
        let panicked = || server.process_error(io::Error::other("a thread that watches it panicked"));
        let samples = |thread: ScopedJoinHandle<'_, io::Result<Samples>>| {
            thread.join().map_err(|_| panicked())?.map_err(|source| server.process_error(source))
        };
        Ok(Witnesses {
            probe: samples(probe)?,
            changes: changes.map(samples).transpose()?,
            memory: memory.join().map_err(|_| panicked())?,
        })
    }
}

/// Takes a snapshot of a server that holds all keys while clients write to them.
pub fn measure(server: &Server, load: Load) -> Result<Measured, CompareError> {
    let writers = Workload {
        keys: load.keys,
        rate: load.rate,
        ..Workload::new(server.address, "SET {key} {random}").clients(WRITERS).pipeline(PIPELINE)
    };
    level_the_field();
    let over = AtomicBool::new(false);
    let (told, witnesses) = thread::scope(|scope| {
        let probe = scope.spawn(|| probe(server, load.keys, &over));
        let over = &over;
        let changes = load.huge_mib.map(|_| scope.spawn(move || change(server, over)));
        let memory = scope.spawn(|| MemoryOverTime::watch(server.pid(), over));
        let told = run_while(&[writers], |live| course(server, load, live));
        over.store(true, Ordering::Relaxed);
        (told, Witnesses::of(server, probe, changes, memory))
    });
    let (course, outcomes) = told.map_err(|source| load_error(server, load.scenario, source))?;
    check(server, load.scenario, &outcomes)?;
    match course? {
        Err(refused) => Ok(Err(refused)),
        Ok(course) => figures(server, load.scenario, &course, &witnesses?).map(Ok),
    }
}

fn probe(server: &Server, keys: u64, over: &AtomicBool) -> io::Result<Samples> {
    let mut random = Random::new(0x9e);
    Samples::take(server.address, over, Duration::ZERO, || {
        vec![b"GET".to_vec(), format!("key:{:012}", random.below(keys)).into_bytes()]
    })
}

fn change(server: &Server, over: &AtomicBool) -> io::Result<Samples> {
    let mut changes = Changes::new();
    Samples::take(server.address, over, CHANGE_PAUSE, || changes.next())
}

/// Warm-up, the time before, the snapshot.
fn course(server: &Server, load: Load, live: &Live<'_>) -> Result<Result<Course, String>, CompareError> {
    thread::sleep(WARM_UP);
    let (from, replies_at_from) = (Instant::now(), live.replies(0));
    thread::sleep(load.before);
    match save(server, Saving::Snapshot, load.scenario, || live.replies(0))? {
        Saved::Refused(reason) => Ok(Err(reason)),
        Saved::Done(times) => Ok(Ok(Course { from, replies_at_from, times })),
    }
}

fn figures(
    server: &Server,
    scenario: &'static str,
    course: &Course,
    witnesses: &Witnesses,
) -> Result<Figures, CompareError> {
    let Course { from, times, .. } = *course;
    let mut figures = Figures::from([(Figure::SnapshotSeconds, seconds(times.acknowledged, times.over))]);
    figures.extend(writes(course));
    figures.extend(latencies(from, times, witnesses));
    let usual = witnesses.memory.usual(from, times.asked);
    let Some(usual) = usual.filter(|&bytes| bytes > 0.0) else {
        return Err(wrong(server, scenario, "its memory could not be read".to_owned()));
    };
    // A snapshot shorter than the pause between two looks leaves no figure.
    if let Some(peak) = witnesses.memory.peak(times.asked, times.over) {
        let extra = (peak - usual).max(0.0);
        figures.extend([(Figure::ExtraBytes, extra), (Figure::ExtraPercent, 100.0 * extra / usual)]);
    }
    figures.extend(told_by_server(server).map_err(|source| server.process_error(source))?);
    Ok(figures)
}

fn writes(course: &Course) -> Figures {
    let [at_asked, at_over] = course.times.counted.map(|replies| replies as f64);
    let before = (at_asked - course.replies_at_from as f64) / seconds(course.from, course.times.asked);
    let during = (at_over - at_asked) / seconds(course.times.asked, course.times.over);
    Figures::from([
        (Figure::WritesBefore, before),
        (Figure::WritesDuring, during),
        (Figure::WritesKept, during / before),
    ])
}

fn latencies(from: Instant, times: Times, witnesses: &Witnesses) -> Figures {
    let micros = |nanoseconds: u64| nanoseconds as f64 / 1e3;
    let probe = &witnesses.probe;
    let before = probe.between(from, times.asked);
    let during = probe.between(times.asked, times.over);
    let at_cut = probe.between(times.asked, times.over.min(times.acknowledged + CUT_WINDOW));
    let p999 = [&before, &during].map(|histogram| micros(histogram.value_at_quantile(0.999)));
    let mut figures = Figures::from([
        (Figure::WorstAtCutMicros, micros(at_cut.max())),
        (Figure::WorstBeforeMicros, micros(before.max())),
        (Figure::WorstDuringMicros, micros(during.max())),
        (Figure::P999BeforeMicros, p999[0]),
        (Figure::P999DuringMicros, p999[1]),
        (Figure::P999Growth, p999[1] / p999[0]),
        (Figure::ProbeReplies, during.len() as f64),
    ]);
    if let Some(changes) = &witnesses.changes {
        let worst = |from, until| micros(changes.between(from, until).max());
        figures.insert(Figure::TouchBeforeMicros, worst(from, times.asked));
        figures.insert(Figure::TouchDuringMicros, worst(times.asked, times.over));
    }
    figures
}

/// Figures that only the server knows; those that it does not tell are left out.
fn told_by_server(server: &Server) -> io::Result<Figures> {
    let mut client = Client::connect(server.address)?;
    let persistence = Info::ask(&mut client, "persistence")?;
    let pause = if server.peer.is_ours() {
        persistence.number("checkpoint_last_cut_max_usec")
    } else {
        Info::ask(&mut client, "stats")?.number("latest_fork_usec")
    };
    let took = persistence.number("rdb_last_bgsave_time_sec").filter(|&seconds| seconds >= 0.0);
    let told = [(Figure::ServerSnapshotSeconds, took), (Figure::PauseMicros, pause)];
    Ok(told.into_iter().filter_map(|(figure, value)| Some((figure, value?))).collect())
}

fn seconds(from: Instant, until: Instant) -> f64 {
    until.saturating_duration_since(from).as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_divided_by_their_own_time() {
        let from = Instant::now();
        let asked = from + Duration::from_secs(2);
        let times =
            Times { asked, acknowledged: asked, over: asked + Duration::from_secs(4), counted: [300, 500] };
        let figures = writes(&Course { from, replies_at_from: 100, times });
        assert_eq!(figures[&Figure::WritesBefore], 100.0);
        assert_eq!(figures[&Figure::WritesDuring], 50.0);
        assert_eq!(figures[&Figure::WritesKept], 0.5);
    }
}
