//! Places where a test can end the process, as a power failure would: nothing is flushed, nothing unwinds.
//!
//! Compiled with the feature `fail-points` alone; without it [`crash_point!`] is no code at all. The variable
//! `VARIABLE` says what happens where, in the words of the crate `fail`:
//!
//! ```text
//! FAILPOINTS='log-after-write=17*off->return(kill);segment-after-create=sleep(20)'
//!             the point        │      │            └ in another one: wait 20 ms each time
//!                              │      └ from then on: SIGKILL to oneself
//!                              └ nothing, the first 17 times
//! ```
//!
//! Invariants:
//! 1. `POINTS` names each point of the source once, and each of its names is a point in the source: a test compares.
//! 2. A configuration with another name is refused: a run that never gets anywhere proves nothing.
//! 3. With `LIFELINE` set, the process does not outlive whoever holds the other end of its standard input.

#[cfg(any(test, feature = "sim", feature = "fail-points"))]
mod points;

#[cfg(any(test, feature = "sim", feature = "fail-points"))]
pub use points::{POINTS, Point, When};

/// The environment variable that says what happens where.
#[cfg(any(test, feature = "sim", feature = "fail-points"))]
pub const VARIABLE: &str = "FAILPOINTS";

/// The environment variable that, set to anything, ends the process with SIGKILL at the end of its standard input. A test
/// holds the other end of a pipe: however the test ends, its servers end too.
#[cfg(any(test, feature = "sim", feature = "fail-points"))]
pub const LIFELINE: &str = "ENDS_WITH_STDIN";

/// The process may end here: see the module [`fail_point`](crate::fail_point).
#[cfg(feature = "fail-points")]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::fail_point::reach($name)
    };
}
#[cfg(not(feature = "fail-points"))]
macro_rules! crash_point {
    ($name:literal) => {};
}

/// Puts [`VARIABLE`] and [`LIFELINE`] into effect.
///
/// # Errors
/// [`VARIABLE`] names what is no point, or cannot be read; there is no thread for [`LIFELINE`].
#[cfg(feature = "fail-points")]
pub fn configure() -> Result<(), String> {
    if std::env::var_os(LIFELINE).is_some() {
        let watch = std::thread::Builder::new().name("lifeline".into()).spawn(|| {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink()); // an error is an end too
            kill()
        });
        watch.map_err(|error| format!("no thread that watches the standard input: {error}"))?;
    }
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(()) };
    for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (name, actions) =
            entry.split_once('=').ok_or_else(|| format!("'{entry}' is not name=actions"))?;
        if POINTS.iter().all(|point| point.name != name) {
            return Err(format!("there is no fail point '{name}'"));
        }
        fail::cfg(name, actions)?;
    }
    Ok(())
}

/// What [`crash_point!`] becomes.
#[cfg(feature = "fail-points")]
pub fn reach(name: &str) {
    if fail::eval(name, |_| ()).is_some() {
        kill();
    }
}

/// SIGKILL to oneself.
#[cfg(feature = "fail-points")]
fn kill() -> ! {
    use rustix::process::{Signal, getpid, kill_process};
    let _ = kill_process(getpid(), Signal::KILL); // which does not come back
    std::process::abort()
}
