//! Load and one checkpoint after the other, SIGKILL at a random moment, restart with another number of shards, check.

use std::time::Duration;

use super::load::{Fleet, Policy, start};
use crate::clients::model::Promise;
use crate::family::{Counts, Place};
use crate::random::Random;

/// Longest load before a kill. Of `everysec` most are longer than its window.
const LOAD_MS: u64 = 500;
const LONG_LOAD_MS: u64 = 2_700;
/// A server is killed at most so long after it began to start.
const START_MS: u64 = 40;

/// See the module.
pub fn round(seed: u64, place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let mut counts = Counts::default();
    let policy = if random.below(3) == 0 { Policy::EverySecond } else { Policy::Always };
    let is_long = policy == Policy::EverySecond && random.below(3) > 0;
    let mut fleet = Fleet::new(place, &mut random, policy);
    let mut promise = Promise::All;
    let kills = if is_long { 1 } else { 1 + random.below(3) };
    for _ in 0..kills {
        let launch = fleet.launch(1 + random.below(4));
        while random.below(3) == 0 {
            let mut starting = launch.spawn().map_err(|error| error.to_string())?;
            std::thread::sleep(Duration::from_millis(random.below(START_MS)));
            starting.kill().map_err(|error| error.to_string())?;
            counts.add("kills in a start", 1);
        }
        let mut server = start(&launch)?;
        fleet.check(&server, promise)?;
        let time = if is_long { LONG_LOAD_MS } else { 1 + random.below(LOAD_MS) };
        // A checkpoint hands over what a log has gathered, whatever the time.
        let saves = random.below(4) > if is_long { 2 } else { 0 };
        let ended = fleet.load(&mut server, Duration::from_millis(time), saves, true)?;
        if let Some(status) = ended.by_itself {
            return Err(format!("the server ended by itself: {status}"));
        }
        counts.add("kills", 1);
        promise = fleet.promise(&ended);
    }
    let mut server = start(&fleet.launch(1 + random.below(4)))?;
    fleet.check(&server, promise)?;
    // A clean end keeps everything, whatever the policy.
    fleet.load(&mut server, Duration::from_millis(random.below(LOAD_MS / 4)), false, false)?;
    if !server.terminate().map_err(|error| error.to_string())? {
        return Err("the server did not end well".into());
    }
    fleet.check(&start(&fleet.launch(1 + random.below(4)))?, Promise::All)?;
    counts.add("clean ends", 1);
    fleet.count(&mut counts);
    Ok(counts)
}
