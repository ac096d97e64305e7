//! Proof that the crash suite can fail: deliberate bugs, each of which it must catch.
//!
//! A bug is a patch in `recovery-tests/mutations`: a line that says what it breaks, one that says which promise must catch it,
//! an empty line, the difference. It is applied to a copy of the workspace, which is built and tried by one family of crashes
//! after the other.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use clap::Args;

use crate::steps::{cargo, root, target};

/// Characters of a violation that a table shows.
const WORDS: usize = 90;
const FOLDER: &str = "recovery-tests/mutations";
/// Begins the second line of a patch.
const PROMISE: &str = "To be caught by: ";
/// The tree changes in a few places from one bug to the next: built again as fast as may be, and fast enough to run.
const PROFILE: [(&str, &str); 3] =
    [("CARGO_PROFILE_DEV_OPT_LEVEL", "0"), ("CARGO_PROFILE_DEV_DEBUG", "0"), ("CARGO_INCREMENTAL", "1")];

#[derive(Args)]
pub struct Options {
    /// Only bugs whose name contains this; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Longest search for each, in minutes, divided among the families.
    #[arg(long, default_value_t = 4.0)]
    minutes: f64,
    /// The search's seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

struct Mutant {
    name: String,
    path: PathBuf,
    breaks: String,
    promise: String,
    /// Files that it changes.
    files: Vec<String>,
}

/// What found it.
struct Found {
    family: String,
    /// The violation's first words.
    what: String,
    seed: String,
    seconds: f64,
}

/// Tries all bugs; fails if one is not caught, or if something is caught where there is none.
pub fn mutants(options: &Options) -> Result<(), String> {
    let broken = broken();
    if !broken.is_empty() {
        return Err(broken.join("\n"));
    }
    let folder = target().join("mutants");
    let place = Workshop { tree: folder.join("tree"), build: folder.join("build") };
    place.refresh()?;
    let is_wanted = |mutant: &Mutant| {
        options.only.is_empty() || options.only.iter().any(|only| mutant.name.contains(only))
    };
    let mutants: Vec<Mutant> = read_all()?.into_iter().filter(is_wanted).collect();
    let mut table =
        "| bug | promise | caught by | as | seed | seconds |\n|---|---|---|---|--:|--:|\n".to_owned();
    println!("== no bug");
    if let Some(Found { family, what, .. }) = place.search(options)? {
        return Err(format!("{family} finds something in the server as it is: {what}"));
    }
    let mut survivors = Vec::new();
    for mutant in &mutants {
        println!("== {}: {}", mutant.name, mutant.breaks);
        let found = place.try_one(mutant, options)?;
        let [family, what, seed, seconds] = match &found {
            Some(Found { family, what, seed, seconds }) => {
                [family.clone(), what.clone(), seed.clone(), format!("{seconds:.1}")]
            }
            None => ["**nothing**", "", "", ""].map(str::to_owned),
        };
        println!("== {}: caught by {family}, seed {seed}, {seconds} s: {what}", mutant.name);
        let Mutant { breaks, promise, .. } = mutant;
        let _ = writeln!(table, "| {breaks} | {promise} | {family} | {what} | {seed} | {seconds} |");
        fs::write(folder.join("report.md"), &table).map_err(|error| format!("report.md: {error}"))?;
        if found.is_none() {
            survivors.push(mutant.name.clone());
        }
    }
    println!("\n{table}");
    if survivors.is_empty() { Ok(()) } else { Err(format!("not caught: {}", survivors.join(", "))) }
}

/// Patches that do not apply any more, or do not say what they are for.
pub fn broken() -> Vec<String> {
    let mutants = match read_all() {
        Ok(mutants) => mutants,
        Err(error) => return vec![error],
    };
    let applies = |mutant: &Mutant| {
        let output =
            Command::new("git").args(["apply", "--check"]).arg(&mutant.path).current_dir(root()).output();
        output.is_ok_and(|output| output.status.success())
    };
    let names = mutants.iter().filter(|mutant| !applies(mutant)).map(|mutant| &mutant.name);
    names.map(|name| format!("{FOLDER}: {name} does not apply")).collect()
}

fn read_all() -> Result<Vec<Mutant>, String> {
    let folder = root().join(FOLDER);
    let entries = fs::read_dir(&folder).map_err(|error| format!("{FOLDER}: {error}"))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Result<Mutant, String> {
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut lines = text.lines();
    let breaks = lines.next().filter(|line| !line.starts_with("diff ")).unwrap_or_default().to_owned();
    let promise = lines.next().and_then(|line| line.strip_prefix(PROMISE)).unwrap_or_default().to_owned();
    if breaks.is_empty() || promise.is_empty() {
        return Err(format!("{}: does not begin with what it breaks and `{PROMISE}`", path.display()));
    }
    let files = lines.filter_map(|line| line.strip_prefix("+++ b/")).map(str::to_owned).collect();
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Mutant { name, path, breaks, promise, files })
}

/// A copy of the workspace, and what is built of it.
struct Workshop {
    tree: PathBuf,
    build: PathBuf,
}

impl Workshop {
    /// Makes the copy the same as the workspace. What is the same stays untouched, so that little is built anew.
    fn refresh(&self) -> Result<(), String> {
        let list = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root())
            .output();
        let list = list.map_err(|error| format!("git ls-files: {error}"))?.stdout;
        let names: BTreeSet<String> = String::from_utf8_lossy(&list)
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        self.remove_others(&self.tree, &names)?;
        names.iter().try_for_each(|name| self.restore(name))
    }

    /// A file that moved would stand in two places.
    fn remove_others(&self, folder: &Path, names: &BTreeSet<String>) -> Result<(), String> {
        let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.strip_prefix(&self.tree).unwrap_or(&path).to_string_lossy().into_owned();
            if path.is_dir() {
                self.remove_others(&path, names)?;
            } else if !names.contains(&name) {
                fs::remove_file(&path).map_err(|error| format!("{name}: {error}"))?;
            }
        }
        Ok(())
    }

    fn restore(&self, name: &str) -> Result<(), String> {
        let (from, to) = (root().join(name), self.tree.join(name));
        let failed = |error: std::io::Error| format!("{name}: {error}");
        let Ok(wanted) = fs::read(&from) else {
            return if to.exists() { fs::remove_file(&to).map_err(failed) } else { Ok(()) };
        };
        if fs::read(&to).is_ok_and(|there| there == wanted) {
            return Ok(());
        }
        fs::create_dir_all(to.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
        fs::write(&to, wanted).map_err(failed)
    }

    fn try_one(&self, mutant: &Mutant, options: &Options) -> Result<Option<Found>, String> {
        let outcome = self.apply(mutant).and_then(|()| self.search(options));
        mutant.files.iter().try_for_each(|name| self.restore(name))?;
        outcome.map_err(|error| format!("{}: {error}", mutant.name))
    }

    fn apply(&self, mutant: &Mutant) -> Result<(), String> {
        let mut command = Command::new("git");
        command.args(["apply", "--whitespace=nowarn"]).arg(&mutant.path);
        self.output(&mut command).map(drop)
    }

    /// Runs a command in the copy, which lies within a repository and is none of its files.
    fn output(&self, command: &mut Command) -> Result<Output, String> {
        let ceiling = self.tree.parent().unwrap_or(&self.tree).to_owned();
        command.current_dir(&self.tree).env("GIT_CEILING_DIRECTORIES", ceiling).envs(PROFILE);
        let output =
            command.env("CARGO_TARGET_DIR", &self.build).output().map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(output);
        }
        Err(format!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Builds what is changed, and lets one family after the other try it.
    fn search(&self, options: &Options) -> Result<Option<Found>, String> {
        let package = ["build", "--quiet", "--package", "everfast-recovery-tests", "--bin", "crash"];
        self.output(&mut cargo(&package))?;
        let crash = self.build.join("debug/crash");
        let families = self.output(Command::new(&crash).arg("--list"))?.stdout;
        let families = String::from_utf8_lossy(&families).into_owned();
        let families: Vec<&str> = families.split_whitespace().collect();
        let started = Instant::now();
        let mut built = false;
        let mut building = 0.0;
        for family in &families {
            if !built && !is_in_process(family) {
                let since = Instant::now();
                let server = ["build", "--quiet", "--bin", "everfast", "--features", "fail-points"];
                self.output(&mut cargo(&server))?;
                (built, building) = (true, since.elapsed().as_secs_f64());
            }
            let minutes = options.minutes / families.len() as f64;
            if let Some((seed, what)) = self.crash(&crash, family, minutes, options.seed)? {
                let seconds = started.elapsed().as_secs_f64() - building;
                return Ok(Some(Found { family: (*family).to_owned(), what, seed, seconds }));
            }
        }
        Ok(None)
    }

    /// The seed of the round that found something, if one did, and the first words of what it found.
    fn crash(
        &self,
        crash: &Path,
        family: &str,
        minutes: f64,
        seed: u64,
    ) -> Result<Option<(String, String)>, String> {
        let mut command = Command::new(crash);
        command.args([
            "--only",
            family,
            "--minutes",
            &minutes.to_string(),
            "--seed",
            &seed.to_string(),
            "--no-shrinking",
            "--server",
        ]);
        let scratch = self.build.join("scratch");
        fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
        command.arg(self.build.join("debug/everfast")).current_dir(&self.tree).env("TMPDIR", &scratch);
        let output = command.output().map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(None);
        }
        let _ = fs::remove_dir_all(&scratch); // what a violation left
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mark = format!("VIOLATION in family {family}, seed ");
        let found = text.split(&mark).nth(1).and_then(|rest| rest.split(',').next());
        let found =
            found.ok_or_else(|| format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))?;
        let what = text.split(&mark).nth(1).and_then(|rest| rest.lines().nth(1)).unwrap_or_default();
        let what: String = what.trim().chars().take(WORDS).collect();
        Ok(Some((found.to_owned(), what.replace('|', "\\|"))))
    }
}

/// Families that need no server program.
fn is_in_process(family: &str) -> bool {
    ["sim", "subsets", "damage", "linear", "linear-power-cut", "power-cut"].contains(&family)
}
