//! What the tests need beyond Rust: the real `redis-server` and `redis-cli`, clients of Python
//! and Node.js, a browser, a C++ compiler.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::steps::{root, run};

/// Programs that must be there, each with the Debian package that brings it.
const PROGRAMS: [(&str, &str); 9] = [
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("redis-benchmark", "redis-tools"),
    ("redis-check-rdb", "redis-tools"),
    ("python3", "python3"),
    ("node", "nodejs"),
    ("npm", "npm"),
    (CHROMIUM, "chromium"),
    ("c++", "g++"), // the fuzzer's run time is compiled
];
/// The browser in which reports are looked at.
pub const CHROMIUM: &str = "chromium";
const PYTHON_CLIENT: &str = "redis==6.4.0";
const NODE_CLIENT: (&str, &str) = ("ioredis", "5.8.2");
const RDBTOOLS: [&str; 2] = ["rdbtools==0.1.15", "python-lzf==0.2.6"];

/// Installs what is missing.
pub fn install() -> Result<(), String> {
    let mut missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    missing.dedup(); // packages that bring several programs stand next to each other
    if !missing.is_empty() {
        install_packages(&missing).map_err(|error| {
            format!("the tests need {}, and installing them failed: {error}", missing.join(", "))
        })?;
    }
    python_client()?;
    node_client().map(drop)
}

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn install_packages(packages: &[&str]) -> Result<(), String> {
    let sudo = !is_root() && is_there("sudo");
    let apt_get = |args: &[&str]| {
        let mut command = if sudo { Command::new("sudo") } else { Command::new("apt-get") };
        if sudo {
            command.arg("apt-get");
        }
        // A service that starts with its package would hold the port.
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        run(&mut command)
    };
    apt_get(&["update"])?;
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    apt_get(&install)
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

/// A Python with the client library.
pub fn python_client() -> Result<PathBuf, String> {
    python_with("python-client", "redis", &[PYTHON_CLIENT])
}

/// A folder of modules for Node.js, among them the client library.
pub fn node_client() -> Result<PathBuf, String> {
    let home = root().join("target/node-client");
    let modules = home.join("node_modules");
    let (name, version) = NODE_CLIENT;
    if has_module(&modules, name, version) {
        return Ok(modules);
    }
    // npm takes a package for whole whose files are gone or empty.
    if home.exists() {
        std::fs::remove_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    }
    std::fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    let package = format!("{name}@{version}");
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--no-save", "--silent", "--prefix"]).arg(&home);
    run(install.arg(&package))
        .map_err(|error| format!("the tests need Node.js and its package {package}: {error}"))?;
    Ok(modules)
}

/// Whether Node.js can load the module from that folder, in that version.
fn has_module(modules: &Path, name: &str, version: &str) -> bool {
    let load = format!(
        "require('{name}'); process.exit(require('{name}/package.json').version === '{version}' ? 0 : 1)"
    );
    let mut command = Command::new("node");
    command.args(["-e", &load]).env("NODE_PATH", modules).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The program `rdb` of rdbtools, to compare with.
pub fn rdbtools() -> Result<PathBuf, String> {
    Ok(python_with("rdbtools", "rdbtools, lzf", &RDBTOOLS)?.with_file_name("rdb"))
}

/// A Python that can import `modules`, in an environment of its own under `target`.
fn python_with(name: &str, modules: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let home = root().join("target").join(name);
    let python = home.join("bin/python");
    let import = format!("import {modules}");
    let has_them = |python: &PathBuf| {
        let mut command = Command::new(python);
        command.args(["-c", &import]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if has_them(&python) {
        return Ok(python);
    }
    if run(Command::new("python3").args(["-m", "venv"]).arg(&home)).is_err() {
        install_packages(&["python3-venv"])?;
        run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    }
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages))
        .map_err(|error| format!("Python packages are needed ({}): {error}", packages.join(", ")))?;
    Ok(python)
}
