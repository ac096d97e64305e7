//! Running other programs, and the commands that several tasks share.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Says what is run, runs it in the workspace's root, and fails if it does.
pub fn run(command: &mut Command) -> Result<(), String> {
    let line = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    println!("$ {line}");
    match command.current_dir(root()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` ended with {status}")),
        Err(error) => Err(format!("`{line}` cannot be run: {error}")),
    }
}

/// Cargo, as the one that runs this.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

/// Builds the server with its fail points, and puts its program where no other build takes it for the product; answers
/// where that is.
pub fn fail_point_server() -> Result<PathBuf, String> {
    let build = ["build", "--quiet", "--profile", "test-release", "--bin", "everfast"];
    run(cargo(&build).args(["--features", "fail-points"]))?;
    let (built, place) = (target().join("test-release/everfast"), target().join("fail-points/everfast"));
    let moved =
        std::fs::create_dir_all(target().join("fail-points")).and_then(|()| std::fs::rename(&built, &place));
    moved.map_err(|error| format!("{} cannot be moved to {}: {error}", built.display(), place.display()))?;
    Ok(place)
}
