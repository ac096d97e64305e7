//! Redis' own tests, run against this server.
//!
//! They come with Redis' sources (`apt-get source redis`, with a `deb-src` line) and start the server themselves: a script
//! stands where they expect `redis-server`. What fails is compared with `docs/redis-suite.md`, which gives a reason for each
//! test that is expected to.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::steps::{cargo, root, run, target};

/// Units whose commands exist here.
const UNITS: &[&str] = &[
    "type/string",
    "type/incr",
    "expire",
    "keyspace",
    "scan",
    "bitops",
    "bitfield",
    "protocol",
    "other",
    "introspection",
    "introspection-2",
    "info",
    "slowlog",
    "latency-monitor",
    "querybuf",
    "obuf-limits",
    "limits",
    "pause",
];

/// Tests of what is not there at all yet, or that need more than this machine may have.
const TAGS: &str = "-needs:repl -cluster -large-memory";

/// What the tests' configuration sets and the server refuses.
const REFUSED: &str = "always-show-logo|notify-keyspace-events|pidfile|repl-diskless-sync-delay|\
    enable-protected-configs|enable-module-command|propagation-error-behavior|unixsocket|protected-mode";

const TOOLS: [&str; 2] = ["redis-cli", "redis-benchmark"];

#[derive(Args)]
pub struct Options {
    /// Sources of Redis 7.0.
    #[arg(long)]
    source: PathBuf,
    /// Only these units, such as `type/string`.
    units: Vec<String>,
}

/// What became of a unit.
struct Outcome {
    passed: usize,
    failed: Vec<Failure>,
    finished: bool,
}

#[derive(Debug, PartialEq)]
struct Failure {
    test: String,
    /// The first line of what is said about it.
    text: String,
}

/// Runs the units. An error if a test failed that has no reason in the page.
pub fn redis_suite(options: &Options) -> Result<(), String> {
    run(&mut cargo(&["build", "--quiet", "--profile", "test-release", "--bin", "everfast"]))?;
    let place = prepare(&options.source).map_err(|error| format!("cannot set the tests up: {error}"))?;
    let known = known_failures()?;
    let units: Vec<&str> = match &options.units[..] {
        [] => UNITS.to_vec(),
        units => units.iter().map(String::as_str).collect(),
    };
    let mut unexpected = Vec::new();
    for unit in units {
        let outcome = run_unit(&place, unit)?;
        let known = known.get(unit).map_or(&[][..], Vec::as_slice);
        let (failed, passed) = (&outcome.failed, outcome.passed);
        println!("{unit}: {passed} passed, {} failed", failed.len());
        for Failure { test, text } in failed.iter().filter(|failure| !known.contains(&failure.test)) {
            println!("    failed: {test}\n        {text}");
            unexpected.push(format!("{unit}: {test}"));
        }
        for test in known.iter().filter(|test| !failed.iter().any(|failure| failure.test == **test)) {
            println!("    passes now, or was not reached: {test}");
        }
        if !outcome.finished {
            unexpected.push(format!("{unit}: did not come to its end"));
        }
    }
    if unexpected.is_empty() {
        return Ok(());
    }
    Err(format!("{} failures without a reason:\n{}", unexpected.len(), unexpected.join("\n")))
}

/// A copy of the tests, with our server in the place of theirs.
fn prepare(source: &Path) -> std::io::Result<PathBuf> {
    let place = target().join("redis-suite");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(place.join("src"))?;
    let copied = Command::new("cp").arg("-r").arg(source.join("tests")).arg(&place).status()?;
    if !copied.success() {
        return Err(std::io::Error::other(format!("{} has no tests", source.display())));
    }
    for tool in TOOLS {
        symlink(Path::new("/usr/bin").join(tool), place.join("src").join(tool))?;
    }
    let server = place.join("src/redis-server");
    let script = format!(
        "#!/bin/sh\n\
         if [ -f \"$1\" ]; then sed -i -E '/^({REFUSED}) /d' \"$1\"; fi\n\
         echo \" PID: $$.\"\n\
         exec {} \"$@\"\n",
        target().join("test-release/everfast").display()
    );
    fs::write(&server, script)?;
    fs::set_permissions(&server, fs::Permissions::from_mode(0o755))?;
    Ok(place)
}

fn run_unit(place: &Path, unit: &str) -> Result<Outcome, String> {
    let output = Command::new("tclsh")
        .args(["tests/test_helper.tcl", "--durable", "--clients", "1", "--tags", TAGS, "--single"])
        .arg(format!("unit/{unit}"))
        .current_dir(place)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("tclsh cannot be run (apt-get install tcl): {error}"))?;
    Ok(read_outcome(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads what the tests say: a line for each, and at the end what failed once more.
fn read_outcome(text: &str) -> Outcome {
    let mut outcome = Outcome { passed: 0, failed: Vec::new(), finished: false };
    let mut lines = text.lines().map(without_colours).peekable();
    while let Some(line) = lines.next() {
        let mut fail = |test: &str| {
            if !outcome.failed.iter().any(|failure| failure.test == test) {
                let text = lines.peek().cloned().unwrap_or_default();
                outcome.failed.push(Failure { test: test.to_owned(), text });
            }
        };
        if line.starts_with("[ok]: ") {
            outcome.passed += 1;
        } else if let Some(test) = line.strip_prefix("[err]: ") {
            fail(test.split(" in tests/").next().unwrap_or(test).trim());
        } else if let Some(text) = line.strip_prefix("[exception]: ") {
            fail(text);
        } else if line.contains("Test Summary")
            || line.contains("All tests passed")
            || line.contains("!!! WARNING")
        {
            outcome.finished = true;
        }
    }
    outcome
}

fn without_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, escape)) = rest.split_once('\x1b') {
        plain += before;
        rest = escape.split_once('m').map_or("", |(_, after)| after);
    }
    plain + rest
}

/// How the table of known failures begins.
const HEADING: &str = "| unit | test |";

/// The page's failures by unit: rows of `| unit | test | reason |`.
fn known_failures() -> Result<BTreeMap<String, Vec<String>>, String> {
    let page = root().join("docs/redis-suite.md");
    let text = fs::read_to_string(&page).map_err(|error| format!("{}: {error}", page.display()))?;
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().skip_while(|line| !line.starts_with(HEADING)).skip(2) {
        let cells: Vec<&str> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        if let [unit, test, _reason] = cells[..] {
            known.entry(unit.to_owned()).or_default().push(test.replace("\\|", "|"));
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read() {
        let text = "\x1b[1;37;49mTesting unit/scan\x1b[0m\n[\x1b[0;32;49mok\x1b[0m]: SCAN basic (3 ms)\n\
            [\x1b[0;31;49merr\x1b[0m]: SCAN TYPE in tests/unit/scan.tcl\nexpected this\n\
            \x1b[1;31;49m!!! WARNING\x1b[0m The following tests failed:\n\
            *** [\x1b[0;31;49merr\x1b[0m]: SCAN TYPE in tests/unit/scan.tcl\n";
        let outcome = read_outcome(text);
        let failed = Failure { test: "SCAN TYPE".into(), text: "expected this".into() };
        assert_eq!((outcome.passed, outcome.failed, outcome.finished), (1, vec![failed], true));
        assert!(!read_outcome("[ok]: SCAN basic (3 ms)\n").finished);
    }

    #[test]
    fn every_expected_failure_belongs_to_a_unit_that_is_run() {
        for unit in known_failures().unwrap().keys() {
            assert!(UNITS.contains(&unit.as_str()), "{unit}");
        }
    }
}
