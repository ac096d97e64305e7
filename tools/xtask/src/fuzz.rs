//! Runs the fuzz targets of `formats/fuzz`: with the compiler that is there and a C++ compiler, without `cargo-fuzz`.
//!
//! Everything that a run makes stands under `target/fuzz`: the build, `corpus/TARGET` (what was found, kept for the next
//! run), `artifacts/TARGET` (inputs that break a decoder) and `TARGET.log`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::steps::{cargo, root, run};

/// Names of the targets, each with the files beside `formats/testdata` that it starts from.
const TARGETS: [(&str, Option<&str>); 5] =
    [("aof", Some("aof")), ("log", None), ("packed", None), ("rdb", Some("rdb")), ("resp", Some("aof"))];
const MANIFEST: &str = "formats/fuzz/Cargo.toml";
/// What the fuzzer needs to see where an input goes.
const INSTRUMENTATION: &str = "--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Longest input, and longest file to start from: many short runs find more than few long ones.
const MAX_INPUT_BYTES: u64 = 8192;
/// Longest input and most bytes of a target's committed corpus.
const MAX_SAVED_INPUT_BYTES: u64 = 1024;
const MAX_SAVED_BYTES: u64 = 100 << 10;
const MAX_MEMORY_MIB: u64 = 512;
/// An input that takes longer is a finding.
const MAX_SECONDS_EACH: u64 = 10;

/// What `cargo xtask fuzz` takes.
#[derive(clap::Args)]
pub struct Options {
    /// How long each target runs.
    #[arg(long, conflicts_with = "seconds")]
    minutes: Option<u64>,
    /// How long each target runs, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Runs this target alone; to be repeated.
    #[arg(long, value_parser = TARGETS.map(|(name, _)| name))]
    target: Vec<String>,
    /// Replaces the committed corpus of the targets by few that cover as much as all that was found.
    #[arg(long)]
    merge: bool,
}

/// Builds the targets and runs them.
pub fn fuzz(options: &Options) -> Result<(), String> {
    let seconds = options.minutes.map_or(options.seconds, |minutes| minutes * 60);
    let chosen: Vec<Target> = TARGETS
        .iter()
        .filter(|(name, _)| options.target.is_empty() || options.target.iter().any(|target| target == name))
        .map(|&(name, testdata)| Target { name, testdata })
        .collect();
    let programs = build()?;
    run_all(&programs, &chosen, seconds)?;
    if options.merge {
        chosen.iter().try_for_each(|target| target.merge(&programs))?;
    }
    Ok(())
}

/// A share of a test run: format and lints of the fuzz workspace, and each target for a few seconds.
pub fn short() -> Result<(), String> {
    run(&mut cargo(&["fmt", "--check", "--manifest-path", MANIFEST]))?;
    let lints = ["clippy", "--quiet", "--locked", "--all-targets", "--manifest-path", MANIFEST];
    run(cargo(&lints).arg("--target-dir").arg(home()).args(["--", "-D", "warnings"]))?;
    fuzz(&Options { minutes: None, seconds: 5, target: Vec::new(), merge: false })
}

fn home() -> PathBuf {
    root().join("target/fuzz")
}

/// Builds all targets; answers the folder they are in.
fn build() -> Result<PathBuf, String> {
    let host = host_triple()?;
    let mut build = cargo(&["build", "--quiet", "--locked", "--release", "--manifest-path", MANIFEST]);
    build.args(["--target", &host]).arg("--target-dir").arg(home());
    // A target of its own keeps the flags away from build scripts.
    build.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", INSTRUMENTATION);
    run(&mut build)?;
    Ok(home().join(host).join("release"))
}

fn host_triple() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".into())
}

/// Runs as many targets side by side as there are cores; all of them, whatever they find.
fn run_all(programs: &Path, targets: &[Target], seconds: u64) -> Result<(), String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut failed = Vec::new();
    for targets in targets.chunks(cores) {
        thread::scope(|scope| {
            let runs: Vec<_> =
                targets.iter().map(|target| scope.spawn(|| target.run(programs, seconds))).collect();
            for run in runs {
                failed.extend(run.join().unwrap_or_else(|_| Err("a run panicked".into())).err());
            }
        });
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

struct Target {
    name: &'static str,
    /// End of the names of the real files that it reads.
    testdata: Option<&'static str>,
}

impl Target {
    fn found(&self) -> PathBuf {
        home().join("corpus").join(self.name)
    }

    /// The corpus that is committed.
    fn saved(&self) -> PathBuf {
        root().join("formats/fuzz/corpus").join(self.name)
    }

    fn run(&self, programs: &Path, seconds: u64) -> Result<(), String> {
        let artifacts = home().join("artifacts").join(self.name);
        for folder in [&self.found(), &artifacts] {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let log_path = home().join(format!("{}.log", self.name));
        let log = fs::File::create(&log_path).map_err(|error| format!("{}: {error}", log_path.display()))?;
        let mut command = Command::new(programs.join(self.name));
        command.arg(self.found()).arg(self.saved()).args(limits()).args(self.seed_inputs()?).args([
            format!("-max_total_time={seconds}"),
            format!("-artifact_prefix={}/", artifacts.display()),
            "-print_final_stats=1".into(),
        ]);
        let started = Instant::now();
        let status = command.current_dir(root()).stdout(Stdio::null()).stderr(log).status();
        let status = status.map_err(|error| format!("{}: {error}", self.name))?;
        let text = fs::read(&log_path).map_err(|error| format!("{}: {error}", log_path.display()))?;
        let report = Report::read(&String::from_utf8_lossy(&text), started.elapsed());
        println!("fuzz {:8}{report}", self.name);
        if status.success() { Ok(()) } else { Err(report.failure(self.name, programs, &log_path)) }
    }

    /// Small files of real servers, as the fuzzer's argument.
    fn seed_inputs(&self) -> Result<Option<String>, String> {
        let Some(end) = self.testdata else { return Ok(None) };
        let mut files = Vec::new();
        collect(&root().join("formats/testdata"), end, &mut files)?;
        files.sort();
        Ok((!files.is_empty()).then(|| format!("-seed_inputs={}", files.join(","))))
    }

    /// Leaves in the committed corpus what adds coverage, shortest first, as far as there is room.
    fn merge(&self, programs: &Path) -> Result<(), String> {
        let merged = home().join("merged").join(self.name);
        let _ = fs::remove_dir_all(&merged);
        fs::create_dir_all(&merged).map_err(|error| format!("{}: {error}", merged.display()))?;
        let mut command = Command::new(programs.join(self.name));
        // Each place in the code once: without the counters, that say how often.
        command.args(["-set_cover_merge=1", "-use_counters=0", "-verbosity=0"]);
        command.arg(format!("-max_len={MAX_SAVED_INPUT_BYTES}"));
        command.args([&merged, &self.saved(), &self.found()]);
        run(command.stderr(Stdio::null()))?;
        fs::remove_dir_all(self.saved()).map_err(|error| format!("{}: {error}", self.saved().display()))?;
        fs::create_dir_all(self.saved()).map_err(|error| format!("{}: {error}", self.saved().display()))?;
        let mut room = MAX_SAVED_BYTES;
        for (length, file) in by_length(&merged)? {
            let Some(left) = room.checked_sub(length) else { break };
            room = left;
            let to = self.saved().join(file.file_name().unwrap_or_default());
            fs::copy(&file, &to).map_err(|error| format!("{}: {error}", to.display()))?;
        }
        Ok(())
    }
}

fn by_length(folder: &Path) -> Result<Vec<(u64, PathBuf)>, String> {
    let with_length = |file: PathBuf| (file.metadata().map_or(0, |metadata| metadata.len()), file);
    let mut files: Vec<_> = entries(folder)?.into_iter().map(with_length).collect();
    files.sort();
    Ok(files)
}

fn limits() -> [String; 3] {
    [
        format!("-max_len={MAX_INPUT_BYTES}"),
        format!("-rss_limit_mb={MAX_MEMORY_MIB}"),
        format!("-timeout={MAX_SECONDS_EACH}"),
    ]
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

fn collect(folder: &Path, end: &str, files: &mut Vec<String>) -> Result<(), String> {
    for path in entries(folder)? {
        if path.is_dir() {
            collect(&path, end, files)?;
        } else if path.extension().is_some_and(|extension| extension == end)
            && path.metadata().is_ok_and(|metadata| metadata.len() <= MAX_INPUT_BYTES)
        {
            files.push(path.display().to_string());
        }
    }
    Ok(())
}

/// What the fuzzer's log says.
struct Report {
    runs: u64,
    /// Places in the code that were reached.
    coverage: u64,
    corpus: String,
    elapsed: Duration,
    /// The input that breaks the decoder.
    finding: Option<String>,
    /// The panic or the limit.
    reason: Option<String>,
}

impl Report {
    fn read(log: &str, elapsed: Duration) -> Report {
        let number = |text: &str| text.trim().parse().unwrap_or(0);
        let after = |mark: &str| log.lines().rev().find_map(|line| Some(line.split_once(mark)?.1));
        let word = |mark: &str| after(mark).and_then(|rest| rest.split_whitespace().next());
        let reason =
            log.lines().find(|line| line.contains("panicked at") || line.contains("ERROR: libFuzzer"));
        Report {
            runs: after("stat::number_of_executed_units:").map_or(0, number),
            coverage: word(" cov:").map_or(0, number),
            corpus: word(" corp:").unwrap_or("none").into(),
            elapsed,
            finding: after("Test unit written to ").map(str::to_owned),
            reason: reason.map(str::to_owned),
        }
    }

    fn failure(&self, target: &str, programs: &Path, log: &Path) -> String {
        let reason = self.reason.as_deref().unwrap_or("the run failed");
        match &self.finding {
            Some(input) => {
                let program = programs.join(target);
                format!("{target}: {reason}\n  input: {input}\n  again: {} {input}", program.display())
            }
            None => format!("{target}: {reason}\n  log: {}", log.display()),
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Report { runs, coverage, corpus, elapsed, .. } = self;
        let verdict = if self.finding.is_some() { ", FAILED" } else { "" };
        write!(f, "{runs:>12} runs, coverage {coverage}, corpus {corpus}, {} s{verdict}", elapsed.as_secs())
    }
}
