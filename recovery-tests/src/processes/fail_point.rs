//! A server ends at a named point, the n-th time that it gets there; sometimes the next one does so in its recovery.

use std::time::Duration;

use everfast::fail_point::{POINTS, Point, VARIABLE, When};

use super::load::{Fleet, Policy, start, was_killed};
use crate::clients::model::Promise;
use crate::family::{Counts, Place};
use crate::random::Random;
use crate::server_process::has_fail_points;

/// Longest load until the point is reached.
const LOAD: Duration = Duration::from_millis(700);
/// The same, where it must be reached, on a machine with much else to do.
const LONG_LOAD: Duration = Duration::from_secs(20);

/// How long others may go on while somebody stands at a point, in ms.
const PAUSE_MS: u64 = 20;

/// Where a server shall end.
struct Goal {
    point: &'static Point,
    /// So often it is passed before.
    passes: u64,
    /// And so often more, with a pause in which others go on.
    pauses: u64,
    /// Longest load until it is reached.
    patience: Duration,
}

impl Goal {
    fn draw(point: &'static Point, random: &mut Random) -> Goal {
        let (limit, pauses) = match point.when {
            When::Writing => (300, [0, 4]),
            When::Saving => ([3, 12][random.below(2) as usize], [0, 4]),
            When::Starting | When::Ending => (1, [0, 0]),
        };
        let pauses = pauses[random.below(2) as usize];
        Goal { point, passes: random.below(limit), pauses, patience: LOAD }
    }

    /// In the words of [`VARIABLE`].
    fn words(&self) -> String {
        let off = if self.passes > 0 { format!("{}*off->", self.passes) } else { String::new() };
        let sleep =
            if self.pauses > 0 { format!("{}*sleep({PAUSE_MS})->", self.pauses) } else { String::new() };
        format!("{}={off}{sleep}return(kill)", self.point.name)
    }
}

fn draw(random: &mut Random, wanted: impl Fn(&Point) -> bool) -> &'static Point {
    let points: Vec<&Point> = POINTS.iter().filter(|point| wanted(point)).collect();
    points[random.below(points.len() as u64) as usize]
}

/// See the module.
pub fn round(seed: u64, place: &Place) -> Result<Counts, String> {
    match has_fail_points(&place.server) {
        Ok(true) => {}
        Ok(false) => return Err(format!("{} has no fail points", place.server.display())),
        Err(error) => return Err(format!("{}: {error}", place.server.display())),
    }
    let mut random = Random::new(seed);
    // Batches of writes are most of what a server does.
    let is_writing = random.below(3) == 0;
    let point = draw(&mut random, |point| !is_writing || point.when == When::Writing);
    round_at(point, &mut random, place).map_err(|what| format!("at {}: {what}", point.name))
}

/// Some data, an end the first time that the point is reached with them, and a check.
pub fn short_round(point: &'static Point, random: &mut Random, place: &Place) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let mut fleet = Fleet::new(place, random, Policy::Always);
    let ended = fleet.load(
        &mut start(&fleet.launch(1 + random.below(4)))?,
        Duration::from_millis(60),
        false,
        true,
    )?;
    let promise = fleet.promise(&ended);
    let goal = Goal { point, passes: 0, pauses: 0, patience: LONG_LOAD };
    let promise = one_life(&goal, random, &mut fleet, promise, &mut counts)?;
    fleet.check(&start(&fleet.launch(1 + random.below(4)))?, promise)?;
    fleet.count(&mut counts);
    Ok(counts)
}

fn round_at(point: &'static Point, random: &mut Random, place: &Place) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let policy = Policy::draw(random);
    let mut fleet = Fleet::new(place, random, policy);
    let mut promise = Promise::All;
    if point.when == When::Starting || random.below(2) == 0 {
        // Something for a start to find.
        let mut server = start(&fleet.launch(1 + random.below(4)))?;
        let time = Duration::from_millis(50 + random.below(200));
        let ended = fleet.load(&mut server, time, random.below(2) == 0, true)?;
        promise = fleet.promise(&ended);
    }
    promise = one_life(&Goal::draw(point, random), random, &mut fleet, promise, &mut counts)?;
    if random.below(2) == 0 {
        let is_passed = |point: &Point| matches!(point.when, When::Starting | When::Saving);
        let goal = Goal::draw(draw(random, is_passed), random);
        promise = one_life(&goal, random, &mut fleet, promise, &mut counts)?;
    }
    fleet.live_on(promise, random, &mut counts)?;
    Ok(counts)
}

/// A server from its start to its end at the point, wherever that is met. Answers what is promised then.
fn one_life(
    goal: &Goal,
    random: &mut Random,
    fleet: &mut Fleet,
    promise: Promise,
    counts: &mut Counts,
) -> Result<Promise, String> {
    let mut launch = fleet.launch(1 + random.below(4));
    let point = goal.point;
    launch.variables.push((VARIABLE, goal.words()));
    let mut server = launch.spawn().map_err(|error| error.to_string())?;
    let ended = server.wait_until_it_serves().map_err(|error| error.to_string())?;
    if let Some(status) = ended {
        counts.add(point.name, 1);
        counts.add("ends in a start", 1);
        return if was_killed(status) { Ok(promise) } else { Err(format!("a start ended with {status}")) };
    }
    if let Some(status) = fleet.check_of_mortal(&mut server, promise)? {
        counts.add(point.name, 1);
        return if was_killed(status) { Ok(promise) } else { Err(format!("the server ended with {status}")) };
    }
    let kills = point.when != When::Ending;
    // Where it is reached at the end, there is nothing to wait for.
    let time = if kills { goal.patience } else { goal.patience.min(LOAD) };
    let saves = point.when == When::Saving || random.below(2) == 0;
    let ended = fleet.load(&mut server, time, saves, kills)?;
    match ended.by_itself {
        Some(status) if was_killed(status) => counts.add(point.name, 1),
        Some(status) => return Err(format!("the server ended with {status}")),
        None if kills => counts.add("points not reached", 1),
        None => {
            let status = server.terminate_and_wait().map_err(|error| error.to_string())?;
            if !was_killed(status) {
                return Err(format!("an end that should have been cut short: {status}"));
            }
            counts.add(point.name, 1);
            return Ok(Promise::All);
        }
    }
    Ok(fleet.promise(&ended))
}
