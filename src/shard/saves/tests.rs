//! The state machine of saves, transition by transition, with a runner that hands its jobs to the test.

use std::sync::mpsc;

use super::*;
use crate::config::SavePoint;

/// Saves whose runner hands the jobs to the test.
fn saves() -> (Saves, mpsc::Receiver<Job>) {
    let saves = Saves::default();
    let (sender, jobs) = mpsc::channel();
    saves.set_runner(Box::new(move |job| sender.send(job).unwrap()));
    (saves, jobs)
}

fn good() -> Outcome {
    Outcome {
        result: Ok(()),
        dump: Ok(()),
        keys: 10,
        cow_peak_bytes: 7,
        snapshot_bytes: 1000,
        cut_max_us: 50,
    }
}

fn bad() -> Outcome {
    Outcome::failure("disk on fire")
}

const QUIET: LogSight = LogSight { bytes: 0, is_poisoned: false, growth_percent: 100, min_bytes: 64 };

fn sight(after: Duration, changes: u64, log: Option<LogSight>) -> Sight<'static> {
    const POINTS: &[SavePoint] =
        &[SavePoint { seconds: 60, changes: 100 }, SavePoint { seconds: 3600, changes: 1 }];
    Sight { now: clock::now() + after, changes, log, points: POINTS }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What is due by itself, so long from now.
fn due(saves: &Saves, after: Duration, changes: u64, log: Option<LogSight>) -> Option<(Kind, bool)> {
    saves.state().due(&sight(after, changes, log))
}

#[test]
fn one_save_runs_at_a_time() {
    let (saves, jobs) = saves();
    assert_eq!(saves.start(Kind::Rewrite, false, None), Ok(()));
    let job = jobs.try_recv().unwrap();
    assert_eq!((job.kind, job.dump), (Kind::Rewrite, false));
    for kind in [Kind::Save, Kind::Rewrite, Kind::Heal] {
        assert_eq!(saves.start(kind, true, None), Err(Busy::Running(Kind::Rewrite)));
    }
    assert_eq!(saves.view().running.map(|running| running.kind), Some(Kind::Rewrite));
    assert!(jobs.try_recv().is_err());
    saves.finished(good());
    assert!(saves.view().running.is_none());
    assert_eq!(saves.start(Kind::Save, true, None), Ok(()));
    assert!(jobs.try_recv().unwrap().dump);
}

#[test]
fn without_a_runner_a_save_fails_and_none_starts_by_itself() {
    let saves = Saves::default();
    saves.start_due(&sight(seconds(4000), 1_000_000, Some(LogSight { is_poisoned: true, ..QUIET })));
    assert_eq!(saves.view().last_error, None);
    let (done, mut told) = oneshot::channel();
    assert_eq!(saves.start(Kind::Save, true, Some(done)), Ok(()));
    assert!(told.try_recv().unwrap().is_err());
    assert!(saves.view().last_error.is_some() && saves.view().running.is_none());
}

#[test]
fn a_failure_that_somebody_is_told_leaves_the_status() {
    let (saves, _jobs) = saves();
    let (done, mut told) = oneshot::channel();
    saves.start(Kind::Save, true, Some(done)).unwrap();
    saves.finished(bad());
    assert_eq!(told.try_recv(), Ok(Err("disk on fire".into())));
    assert!(saves.last_save_was_ok());
    assert_eq!(saves.view().last_error.as_deref(), Some("disk on fire"));
}

#[test]
fn a_good_save_counts_from_its_cut() {
    let (saves, _jobs) = saves();
    saves.set_base(500, 300);
    assert_eq!((saves.view().snapshot_bytes, saves.log_bytes(40)), (500, 340));
    saves.start(Kind::Save, true, None).unwrap();
    saves.note_cut(70, 4000);
    assert_eq!(saves.view().saved_changes, 0, "not before it is done");
    saves.finished(good());
    let view = saves.view();
    assert_eq!((view.saved_changes, view.snapshot_bytes, view.cut_max_us), (70, 1000, Some(50)));
    assert_eq!((view.save.count, view.save.is_ok, view.save.last_cow_bytes), (1, true, 7));
    assert_eq!((view.rewrite.count, view.rewrite.took), (0, None));
    assert_eq!(saves.log_bytes(4100), 100);
    assert!(view.save.took.is_some());
}

#[test]
fn every_kind_resets_the_changes_and_only_a_save_the_time_of_the_last_one() {
    for (kind, is_save) in [(Kind::Save, true), (Kind::Rewrite, false), (Kind::Heal, false)] {
        let (saves, _jobs) = saves();
        saves.state().last_save_unix = 5;
        saves.start(kind, false, None).unwrap();
        saves.note_cut(9, 0);
        saves.finished(good());
        assert_eq!(saves.view().saved_changes, 9, "{kind:?}");
        assert_eq!(saves.last_save_unix() != 5, is_save, "{kind:?}");
    }
}

#[test]
fn a_failed_save_leaves_all_but_its_status() {
    let (saves, _jobs) = saves();
    saves.state().last_save_unix = 5;
    saves.start(Kind::Save, true, None).unwrap();
    saves.note_cut(70, 4000);
    saves.finished(bad());
    let view = saves.view();
    assert_eq!((view.saved_changes, view.save.count, saves.last_save_unix()), (0, 0, 5));
    assert_eq!(view.last_error.as_deref(), Some("disk on fire"));
    assert!(!view.save.is_ok && view.rewrite.is_ok && !saves.last_save_was_ok());
    assert_eq!(saves.log_bytes(4100), 4100);

    saves.start(Kind::Save, true, None).unwrap();
    saves.finished(good());
    assert!(saves.last_save_was_ok());
    assert_eq!(saves.view().last_error, None);
}

#[test]
fn a_failed_rewrite_is_not_a_failed_save() {
    let (saves, _jobs) = saves();
    saves.start(Kind::Rewrite, false, None).unwrap();
    saves.finished(bad());
    assert!(saves.last_save_was_ok() && !saves.view().rewrite.is_ok);
}

#[test]
fn a_cancelled_save_keeps_the_status() {
    let (saves, jobs) = saves();
    saves.start(Kind::Save, true, None).unwrap();
    let job = jobs.try_recv().unwrap();
    assert!(!job.cancelled.load(Ordering::Acquire));
    saves.cancel();
    assert!(job.cancelled.load(Ordering::Acquire));
    assert!(!saves.wait_until_idle(Duration::from_millis(1)));
    saves.finished(Outcome::failure("cancelled"));
    assert!(saves.wait_until_idle(Duration::ZERO));
    assert!(saves.last_save_was_ok() && saves.view().last_error.is_none());
}

#[test]
fn a_runner_that_stops_its_threads_has_failed_all_the_same() {
    let (saves, jobs) = saves();
    saves.start(Kind::Save, true, None).unwrap();
    jobs.try_recv().unwrap().cancelled.store(true, Ordering::Release);
    saves.finished(bad());
    assert!(!saves.last_save_was_ok());
    assert_eq!(saves.view().last_error.as_deref(), Some("disk on fire"));
}

#[test]
fn a_save_that_was_done_before_it_saw_the_cancelling_counts() {
    let (saves, _jobs) = saves();
    saves.start(Kind::Save, true, None).unwrap();
    saves.note_cut(3, 0);
    saves.cancel();
    saves.finished(good());
    assert_eq!((saves.view().saved_changes, saves.view().save.count), (3, 1));
}

#[test]
fn an_ending_server_saves_once_more_and_only_that() {
    let (saves, jobs) = saves();
    saves.start(Kind::Rewrite, false, None).unwrap();
    let (waiting, mut told) = oneshot::channel();
    saves.schedule(Kind::Save, true, Some(waiting));
    saves.schedule(Kind::Rewrite, false, None);
    saves.cancel();
    assert!(matches!(told.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
    let (last, _) = oneshot::channel();
    assert_eq!(saves.start_last(true, last), Err(Busy::Running(Kind::Rewrite)));
    saves.finished(bad());
    assert_eq!(saves.start(Kind::Save, true, None), Err(Busy::Ending));
    let poisoned = Some(LogSight { is_poisoned: true, ..QUIET });
    assert_eq!(due(&saves, seconds(4000), 1000, poisoned), None);
    jobs.try_recv().unwrap();
    let (last, _) = oneshot::channel();
    assert_eq!(saves.start_last(true, last), Ok(()));
    assert_eq!(jobs.try_recv().unwrap().kind, Kind::Save);
    saves.finished(bad());
    saves.resume();
    assert_eq!(due(&saves, seconds(4000), 0, poisoned), Some((Kind::Heal, false)));
    assert_eq!(due(&saves, seconds(4000), 0, Some(QUIET)), None, "what was scheduled is forgotten");
}

#[test]
fn save_points_want_changes_and_time() {
    let (saves, _jobs) = saves();
    for (after, changes, expected) in [
        (59, 1_000_000, false),
        (61, 99, false),
        (61, 100, true),
        (3599, 1, false),
        (3601, 1, true),
        (3601, 0, false),
    ] {
        let found = due(&saves, seconds(after), changes, None);
        assert_eq!(found, expected.then_some((Kind::Save, true)), "{after} s, {changes} changes");
        let log = LogSight { growth_percent: 0, ..QUIET };
        let found = due(&saves, seconds(after), changes, Some(log));
        assert_eq!(found, expected.then_some((Kind::Save, false)), "with a log no dump: {after} s");
    }
}

#[test]
fn after_a_failure_save_points_pause() {
    let (saves, _jobs) = saves();
    saves.start(Kind::Save, true, None).unwrap();
    saves.finished(bad());
    saves.state().saved_at = clock::now() - seconds(4000);
    assert_eq!(due(&saves, seconds(4), 100, None), None);
    assert_eq!(due(&saves, seconds(6), 100, None), Some((Kind::Save, true)));
}

#[test]
fn log_growth_is_measured_against_the_snapshots() {
    let (saves, _jobs) = saves();
    saves.state().snapshot_bytes = 1000;
    let growth = |bytes, growth_percent, min_bytes| {
        Some(LogSight { bytes, is_poisoned: false, growth_percent, min_bytes })
    };
    for (log, expected) in [
        (growth(999, 100, 64), false),
        (growth(1000, 100, 64), true),
        (growth(1000, 100, 2000), false),
        (growth(1001, 100, 2000), true),
        (growth(u64::MAX / 2, 0, 64), false),
        (growth(200, 20, 0), true),
        (growth(199, 20, 0), false),
    ] {
        let found = due(&saves, Duration::ZERO, 5, log);
        assert_eq!(found, expected.then_some((Kind::Rewrite, false)), "{log:?}");
        assert_eq!(due(&saves, Duration::ZERO, 0, log), None, "nothing has changed: {log:?}");
    }
}

#[test]
fn a_first_checkpoint_comes_at_the_least_size_and_one_for_what_was_recovered() {
    let (saves, _jobs) = saves();
    let log = |bytes| Some(LogSight { bytes, ..QUIET });
    assert_eq!(due(&saves, Duration::ZERO, 1, log(64)), None);
    assert_eq!(due(&saves, Duration::ZERO, 1, log(65)), Some((Kind::Rewrite, false)));
    saves.set_base(100, 100);
    assert_eq!(due(&saves, Duration::ZERO, 0, log(0)), Some((Kind::Rewrite, false)));
}

#[test]
fn after_a_failure_log_growth_pauses() {
    let (saves, _jobs) = saves();
    saves.start(Kind::Rewrite, false, None).unwrap();
    saves.finished(bad());
    let log = Some(LogSight { bytes: 1000, ..QUIET });
    assert_eq!(due(&saves, seconds(4), 5, log), None);
    assert_eq!(due(&saves, seconds(6), 5, log), Some((Kind::Rewrite, false)));
}

#[test]
fn a_poisoned_log_is_healed_at_once_and_again_after_a_pause() {
    let (saves, jobs) = saves();
    let poisoned = Some(LogSight { is_poisoned: true, ..QUIET });
    saves.start_due(&sight(Duration::ZERO, 0, poisoned));
    assert_eq!(jobs.try_recv().unwrap().kind, Kind::Heal);
    saves.start_due(&sight(Duration::ZERO, 0, poisoned));
    assert!(jobs.try_recv().is_err(), "it runs");
    // A log tells a moment later that it is well: a good attempt makes a pause too.
    for outcome in [bad(), good()] {
        saves.finished(outcome);
        assert_eq!(due(&saves, Duration::from_millis(900), 0, poisoned), None);
        assert_eq!(due(&saves, Duration::from_millis(1100), 0, poisoned), Some((Kind::Heal, false)));
        saves.start(Kind::Heal, false, None).unwrap();
    }
    assert!(saves.last_save_was_ok(), "a failed attempt to heal is not a failed save");
}

#[test]
fn what_is_scheduled_follows_the_running_save() {
    let (saves, jobs) = saves();
    saves.start(Kind::Heal, false, None).unwrap();
    jobs.try_recv().unwrap();
    let (done, mut told) = oneshot::channel();
    saves.schedule(Kind::Rewrite, false, None);
    saves.schedule(Kind::Save, false, None);
    saves.schedule(Kind::Save, true, Some(done));
    saves.schedule(Kind::Save, false, None);
    let view = saves.view();
    assert!(view.is_rewrite_scheduled && view.is_save_scheduled);
    let quiet = || sight(Duration::ZERO, 0, Some(QUIET));
    saves.start_due(&quiet());
    assert!(jobs.try_recv().is_err());
    saves.finished(good());
    saves.start_due(&quiet());
    assert_eq!(jobs.try_recv().unwrap().kind, Kind::Rewrite);
    saves.finished(good());
    saves.start_due(&quiet());
    let job = jobs.try_recv().unwrap();
    assert_eq!((job.kind, job.dump), (Kind::Save, true), "one save for all who wait");
    assert!(told.try_recv().is_err(), "nothing is told before the end");
    saves.finished(good());
    assert_eq!(told.try_recv(), Ok(Ok(())));
    saves.start_due(&quiet());
    assert!(jobs.try_recv().is_err());
}

#[test]
fn a_scheduled_save_pauses_after_a_failure_unless_somebody_waits() {
    let (saves, _jobs) = saves();
    saves.start(Kind::Save, true, None).unwrap();
    saves.finished(bad());
    saves.schedule(Kind::Save, true, None);
    assert_eq!(due(&saves, seconds(4), 0, None), None);
    assert_eq!(due(&saves, seconds(6), 0, None), Some((Kind::Save, true)));
    let (done, _told) = oneshot::channel();
    saves.schedule(Kind::Save, true, Some(done));
    assert_eq!(due(&saves, seconds(4), 0, None), Some((Kind::Save, true)));
}

#[test]
fn figures_are_those_of_the_running_job() {
    let (saves, _jobs) = saves();
    saves.set_figures(Box::new(|| RunningFigures { keys_processed: 3, ..RunningFigures::default() }));
    assert!(saves.view().running.is_none());
    saves.start(Kind::Save, true, None).unwrap();
    assert_eq!(saves.view().running.unwrap().figures.keys_processed, 3);
}

#[test]
fn a_dump_that_failed_behind_a_checkpoint_stops_nothing_and_is_owed() {
    let (saves, jobs) = saves();
    saves.start(Kind::Save, true, None).unwrap();
    saves.note_cut(70, 4000);
    saves.finished(Outcome { dump: Err("no room".into()), ..good() });
    let view = saves.view();
    assert_eq!((view.saved_changes, view.save.count, view.save.is_ok), (70, 0, false));
    assert_eq!(view.last_error.as_deref(), Some("no room"));
    assert!(saves.last_save_was_ok(), "the checkpoint counts");
    drop(jobs.try_recv());
    saves.start_due(&sight(seconds(4), 70, Some(QUIET)));
    assert!(jobs.try_recv().is_err(), "not at once");
    saves.start_due(&sight(seconds(6), 70, Some(QUIET)));
    assert!(!jobs.try_recv().unwrap().dump, "it is owed, though nothing has changed");
    saves.finished(good());
    assert!(saves.view().save.is_ok);
}

#[test]
fn any_checkpoint_lets_writes_go_on_after_a_failed_save() {
    let (saves, _jobs) = saves();
    saves.start(Kind::Save, true, None).unwrap();
    saves.finished(bad());
    assert!(!saves.last_save_was_ok());
    saves.start(Kind::Rewrite, false, None).unwrap();
    saves.finished(good());
    assert!(saves.last_save_was_ok());
}
