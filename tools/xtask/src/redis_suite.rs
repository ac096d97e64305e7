//! Redis' own tests, run against this server.
//!
//! They come with Redis' sources (`apt-get source redis`, with a `deb-src` line) and start the server themselves: a script
//! stands where they expect `redis-server`. What becomes of them is compared with `docs/redis-suite.md`, which has how many pass and
//! a reason for each test that is expected to fail.

use std::collections::{BTreeMap, BTreeSet};
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
    enable-protected-configs|enable-module-command|propagation-error-behavior|unixsocket";

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
#[derive(Default)]
struct Outcome {
    counts: Counts,
    /// The names of the tests; several may have one.
    passed: BTreeSet<String>,
    failed: Vec<Failure>,
    finished: bool,
}

/// How many tests passed, and how many failed: those of one name once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    passed: usize,
    failed: usize,
}

/// What `docs/redis-suite.md` says, by unit.
#[derive(Default)]
struct Page {
    counts: BTreeMap<String, Counts>,
    /// The tests that are expected to fail.
    failures: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, PartialEq)]
struct Failure {
    test: String,
    /// The first line of what is said about it.
    text: String,
}

/// Runs the units, and prints how many tests passed in the form of the page. An error if they do not do what the page says: a test
/// failed that has no reason there, one passed that has, or fewer passed.
pub fn redis_suite(options: &Options) -> Result<(), String> {
    run(&mut cargo(&["build", "--quiet", "--profile", "test-release", "--bin", "everfast"]))?;
    let place = prepare(&options.source).map_err(|error| format!("cannot set the tests up: {error}"))?;
    let page = Page::read()?;
    let units: Vec<&str> = match &options.units[..] {
        [] => UNITS.to_vec(),
        units => units.iter().map(String::as_str).collect(),
    };
    let (mut all, mut wrong, mut rows) = (Counts::default(), Vec::new(), Vec::new());
    for unit in units {
        let outcome = run_unit(&place, unit)?;
        let Counts { passed, failed } = outcome.counts;
        println!("{unit}: {passed} passed, {failed} failed");
        wrong.extend(page.differences(unit, &outcome).into_iter().map(|what| format!("{unit}: {what}")));
        rows.push(outcome.counts.row(unit));
        all = Counts { passed: all.passed + passed, failed: all.failed + failed };
    }
    if options.units.is_empty() {
        rows.push(all.row(ALL));
    }
    println!("\n{COUNTS}\n|---|---|---|\n{}\n", rows.join("\n"));
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{} differences from docs/redis-suite.md:\n{}", wrong.len(), wrong.join("\n")))
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
    let mut outcome = Outcome::default();
    let mut lines = text.lines().map(without_colours).peekable();
    while let Some(line) = lines.next() {
        let mut fail = |test: &str| {
            if !outcome.failed.iter().any(|failure| failure.test == test) {
                let text = lines.peek().cloned().unwrap_or_default();
                outcome.failed.push(Failure { test: test.to_owned(), text });
            }
        };
        if let Some(test) = line.strip_prefix("[ok]: ") {
            outcome.counts.passed += 1;
            outcome.passed.insert(without_time(test).to_owned());
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
    outcome.counts.failed = outcome.failed.len();
    outcome
}

/// `test (3 ms)` without how long it took.
fn without_time(test: &str) -> &str {
    match test.rsplit_once(" (") {
        Some((test, time)) if time.ends_with(" ms)") => test.trim(),
        _ => test.trim(),
    }
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

/// How the page's tables begin.
const COUNTS: &str = "| unit | passed | failed |";
const FAILURES: &str = "| unit | test |";
/// What stands for the unit in the row of sums.
const ALL: &str = "all";

impl Counts {
    fn row(self, unit: &str) -> String {
        format!("| {unit} | {} | {} |", self.passed, self.failed)
    }
}

impl Page {
    fn read() -> Result<Page, String> {
        let page = root().join("docs/redis-suite.md");
        let text = fs::read_to_string(&page).map_err(|error| format!("{}: {error}", page.display()))?;
        Page::parse(&text).map_err(|error| format!("{}: {error}", page.display()))
    }

    /// Two tables: rows of `| unit | passed | failed |`, and of `| unit | test | reason |`, in which `\|` stands for a bar.
    fn parse(text: &str) -> Result<Page, String> {
        let mut page = Page::default();
        for (line, cells) in rows(text, COUNTS) {
            let counts = match &cells[..] {
                [unit, passed, failed] => {
                    passed.parse().ok().zip(failed.parse().ok()).map(|counts| (unit, counts))
                }
                _ => None,
            };
            let (unit, (passed, failed)) = counts.ok_or(format!("not a row of counts: {line}"))?;
            page.counts.insert((*unit).to_owned(), Counts { passed, failed });
        }
        for (line, cells) in rows(text, FAILURES) {
            let [unit, test, _reason] = cells[..] else {
                return Err(format!("not a test with its reason: {line}"));
            };
            page.failures.entry(unit.to_owned()).or_default().push(test.replace("\\|", "|"));
        }
        Ok(page)
    }

    /// What a unit did that the page does not say. Prints what is said of a failure, and which tests were not met.
    fn differences(&self, unit: &str, outcome: &Outcome) -> Vec<String> {
        let mut wrong = Vec::new();
        let known = self.failures.get(unit).map_or(&[][..], Vec::as_slice);
        let failed = |test: &String| outcome.failed.iter().any(|failure| failure.test == *test);
        for Failure { test, text } in outcome.failed.iter().filter(|failure| !known.contains(&failure.test)) {
            println!("    failed: {test}\n        {text}");
            wrong.push(format!("failed without a reason: {test}"));
        }
        for test in known.iter().filter(|test| !failed(test)) {
            match outcome.passed.contains(test) {
                true => wrong.push(format!("passes now, take it off the page: {test}")),
                false => println!("    not reached: {test}"),
            }
        }
        let passed = outcome.counts.passed;
        match self.counts.get(unit) {
            None => wrong.push("the page does not count it".to_owned()),
            Some(page) if passed < page.passed => {
                wrong.push(format!("{passed} passed, the page says {}", page.passed));
            }
            Some(_) => {}
        }
        if !outcome.finished {
            wrong.push("did not come to its end".to_owned());
        }
        wrong
    }
}

/// The rows of the table with that heading, each with its cells.
fn rows<'a>(text: &'a str, heading: &'static str) -> impl Iterator<Item = (&'a str, Vec<&'a str>)> {
    let table = text.lines().skip_while(move |line| !line.starts_with(heading)).skip(2);
    table
        .take_while(|line| line.starts_with('|'))
        .map(|line| (line, line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect()))
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
        assert_eq!(outcome.counts, Counts { passed: 1, failed: 1 });
        assert_eq!((outcome.failed, outcome.finished), (vec![failed], true));
        assert!(outcome.passed.contains("SCAN basic"));
        assert!(!read_outcome("[ok]: SCAN basic (3 ms)\n").finished);
        assert_eq!(without_time("SCAN (all) (12 ms)"), "SCAN (all)");
        assert_eq!(without_time("SCAN (all)"), "SCAN (all)");
    }

    const PAGE: &str = "Counts:\n\n| unit | passed | failed |\n|---|---|---|\n| scan | 2 | 1 |\n| all | 2 | 1 |\n\n\
        Tests:\n\n| unit | test | why it fails |\n|---|---|---|\n| scan | A \\| B | no lists |\n\nMore | of | it\n";

    #[test]
    fn pages_are_read() {
        let page = Page::parse(PAGE).unwrap();
        assert_eq!(page.counts["scan"].row("scan"), "| scan | 2 | 1 |");
        assert_eq!(page.counts.keys().collect::<Vec<_>>(), ["all", "scan"]);
        assert_eq!(page.failures, BTreeMap::from([("scan".to_owned(), vec!["A | B".to_owned()])]));
        assert!(Page::parse(&PAGE.replace("| 2 |", "| two |")).is_err());
        assert!(Page::parse(&PAGE.replace(" | no lists", "")).is_err());
    }

    #[test]
    fn what_the_page_does_not_say_is_an_error() {
        let page = Page::parse(PAGE).unwrap();
        let of = |unit: &str, text: &str| {
            page.differences(unit, &read_outcome(&(text.to_owned() + "Test Summary")))
        };
        let expected = "[ok]: one (1 ms)\n[ok]: two (1 ms)\n[err]: A | B in tests/unit/scan.tcl\nno\n";
        assert_eq!(of("scan", expected), [""; 0]);
        assert_eq!(of("scan", &format!("{expected}[ok]: three (1 ms)\n")), [""; 0]);
        let worse = expected.replace("[ok]: two (1 ms)", "[err]: two in tests/unit/scan.tcl");
        assert_eq!(of("scan", &worse), ["failed without a reason: two", "1 passed, the page says 2"]);
        let better = expected.replace("[err]: A | B in tests/unit/scan.tcl", "[ok]: A | B (1 ms)");
        assert_eq!(of("scan", &better), ["passes now, take it off the page: A | B"]);
        assert_eq!(of("nosuch", "[ok]: one (1 ms)\n"), ["the page does not count it"]);
        assert_eq!(page.differences("scan", &read_outcome(expected)), ["did not come to its end"]);
    }

    #[test]
    fn the_page_is_about_the_units_that_are_run_and_adds_up() {
        let page = Page::read().unwrap();
        let mut all = Counts::default();
        for unit in UNITS {
            let counts = page.counts[*unit];
            assert_eq!(counts.failed, page.failures.get(*unit).map_or(0, Vec::len), "{unit}");
            all = Counts { passed: all.passed + counts.passed, failed: all.failed + counts.failed };
        }
        assert_eq!(page.counts[ALL], all);
        assert_eq!(page.counts.len(), UNITS.len() + 1);
        for unit in page.failures.keys() {
            assert!(UNITS.contains(&unit.as_str()), "{unit}");
        }
    }
}
