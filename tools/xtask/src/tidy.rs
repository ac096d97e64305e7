//! Rules of style that are tests: what a compiler does not see.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::mutants;
use crate::steps::root;

/// Longest source file in lines.
const MAX_LINES: usize = 800;

/// What each module of the server may use: the layers below it.
const LAYERS: [(&str, &[&str]); 10] = [
    ("config", &[]),
    ("clock", &[]),
    ("store", &[]),
    ("persist", &["clock"]),
    ("snapshot", &["clock", "store", "persist"]),
    ("shard", &["config", "clock", "store", "persist"]),
    ("command", &["config", "clock", "store", "persist", "snapshot", "shard"]),
    ("net", &["config", "clock", "shard", "command"]),
    ("server", &["config", "clock", "store", "persist", "snapshot", "shard", "command", "net"]),
    ("main", &[]),
];

/// Where the file system may be touched directly.
const FILE_SYSTEM: [&str; 7] = [
    "src/persist/disk/",
    "src/config/",
    "src/server/tracing_setup.rs",
    "src/command/server/info/system.rs", // reads /proc
    "tools/",
    "recovery-tests/",
    "benches/",
];
/// Where `unsafe` may stand.
const UNSAFE: [&str; 1] = ["src/persist/disk/mmap.rs"];
/// Where time may be read: the server has one place.
const CLOCK: [&str; 1] = ["src/clock.rs"];

/// A rule: what it says, and whether a file breaks it.
type Rule = fn(&str, &str, &mut Vec<String>);

const RULES: [Rule; 7] = [head, size, leftovers, layers, file_system, no_unsafe, one_clock];

/// Checks all Rust sources of the repository.
pub fn run() -> Result<(), String> {
    let root = root();
    let mut files = Vec::new();
    for top in ["src", "tests", "formats", "recovery-tests", "benches", "tools"] {
        collect(&root.join(top), &mut files);
    }
    files.sort();
    let mut broken = Vec::new();
    for path in &files {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.strip_prefix(&root).unwrap_or(path).to_string_lossy().replace('\\', "/");
        for rule in RULES {
            rule(&name, &text, &mut broken);
        }
    }
    commands_are_tested(&root, &mut broken);
    documented_tests_exist(&root, &files, &mut broken);
    broken.extend(mutants::broken());
    if broken.is_empty() {
        println!("tidy: {} files, no rule broken", files.len());
        return Ok(());
    }
    let mut message = format!("{} rules broken:", broken.len());
    for line in broken {
        let _ = write!(message, "\n  {line}"); // writing to a string does not fail
    }
    Err(message)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// A module opens with what it does.
fn head(name: &str, text: &str, broken: &mut Vec<String>) {
    if !text.starts_with("//!") {
        broken.push(format!("{name}: does not open with what it does (`//!`)"));
    }
}

fn size(name: &str, text: &str, broken: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > MAX_LINES {
        broken.push(format!("{name}: {lines} lines; a folder of files reads better above {MAX_LINES}"));
    }
}

fn leftovers(name: &str, text: &str, broken: &mut Vec<String>) {
    if name == "tools/xtask/src/tidy.rs" {
        return;
    }
    for word in ["FIXME", "XXX", "HACK", "todo!(", "unimplemented!(", "dbg!("] {
        if text.contains(word) {
            broken.push(format!("{name}: left over: {word}"));
        }
    }
}

fn layers(name: &str, text: &str, broken: &mut Vec<String>) {
    let Some(module) = name.strip_prefix("src/").and_then(|rest| rest.split(['/', '.']).next()) else {
        return;
    };
    let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == module) else { return };
    for line in text.lines().map(str::trim_start) {
        let Some(used) = line.split("crate::").nth(1).filter(|_| !line.starts_with("//")) else { continue };
        let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let is_layer = LAYERS.iter().any(|(layer, _)| *layer == used);
        if is_layer && used != module && !allowed.contains(&used.as_str()) {
            broken.push(format!("{name}: `{module}` must not use `{used}`: {line}"));
        }
    }
}

fn outside(name: &str, allowed: &[&str]) -> bool {
    !allowed.iter().any(|prefix| name.starts_with(prefix))
}

/// The part of a file that is not its tests.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

fn file_system(name: &str, text: &str, broken: &mut Vec<String>) {
    let is_test = name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("tests.rs");
    if outside(name, &FILE_SYSTEM) && !is_test && product(text).contains("std::fs") {
        broken.push(format!("{name}: touches the file system; `persist::disk` is the only door"));
    }
}

fn no_unsafe(name: &str, text: &str, broken: &mut Vec<String>) {
    let has = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(line))
        .any(|code| code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl"));
    if has && outside(name, &UNSAFE) && name != "tools/xtask/src/tidy.rs" {
        broken.push(format!("{name}: `unsafe` outside its named modules"));
    }
}

fn one_clock(name: &str, text: &str, broken: &mut Vec<String>) {
    let is_server = name.starts_with("src/") && !name.contains("/tests/") && !name.ends_with("tests.rs");
    let reads = ["Instant::now", "SystemTime::now"].iter().any(|call| product(text).contains(call));
    if is_server && reads && outside(name, &CLOCK) {
        broken.push(format!("{name}: reads the time; `clock` is the only source"));
    }
}

/// Every command in the table has a test that names it.
fn commands_are_tested(root: &Path, broken: &mut Vec<String>) {
    let mut tables = Vec::new();
    collect(&root.join("src/command/table"), &mut tables);
    let mut tests = Vec::new();
    collect(&root.join("tests"), &mut tests);
    let read = |files: &[PathBuf]| {
        files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect::<String>().to_lowercase()
    };
    let (table, tests) = (read(&tables), read(&tests));
    for name in table.split("name: \"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let spoken = name.replace('|', " ");
        if !tests.contains(&spoken) {
            broken.push(format!("tests: no test names the command `{spoken}`"));
        }
    }
}

/// Every test that the documentation names (`module::test`, in backticks) is there.
fn documented_tests_exist(root: &Path, files: &[PathBuf], broken: &mut Vec<String>) {
    for page in ["docs/recovery.md", "docs/testing.md"] {
        let Ok(text) = fs::read_to_string(root.join(page)) else {
            broken.push(format!("{page}: not there"));
            continue;
        };
        let quoted = text.split('`').skip(1).step_by(2);
        for (module, test) in
            quoted.filter_map(|word| word.split_once("::")).filter(|(_, test)| is_test_name(test))
        {
            let holds = |path: &&PathBuf| {
                path.file_stem().is_some_and(|stem| stem.to_string_lossy() == module)
                    && fs::read_to_string(path).is_ok_and(|source| source.contains(&format!("fn {test}(")))
            };
            if files.iter().find(holds).is_none() {
                broken.push(format!("{page}: there is no test `{module}::{test}`"));
            }
        }
    }
}

/// Tests have names of several words; types and short functions do not look like that.
fn is_test_name(name: &str) -> bool {
    name.matches('_').count() >= 2
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
