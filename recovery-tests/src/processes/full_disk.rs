//! A real file system that is full: a small tmpfs is filled under `always` until writes are refused; reads go on; room is
//! made, and writing resumes by itself; the server is killed, and every acknowledged key is there after a restart.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use formats::resp::Value;

use crate::client::Client;
use crate::family::{Counts, Place};
use crate::random::Random;
use crate::server_process::{Launch, ServerProcess};

/// A segment of a log.
const SEGMENT_MIB: u64 = 4;
/// Longest wait for a held reply while the disk is full, and for writing to resume.
const HELD: Duration = Duration::from_millis(500);
const SOON: Duration = Duration::from_secs(10);
/// Keys written after there is room again.
const AFTER: usize = 200;

/// What mounts are called, with the number of the process that made them behind it.
const MOUNT: &str = "everfast-full-disk-";

/// A tmpfs; unmounted when dropped, at the latest by a later round if this process is killed.
struct Mount(PathBuf);

impl Mount {
    fn new(dir: &Path, size_mib: u64) -> io::Result<Self> {
        let size = format!("size={size_mib}m");
        let name = format!("{MOUNT}{}", std::process::id());
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, &name]).arg(dir))?;
        Ok(Self(dir.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.0) {
            eprintln!("full-disk: {error}; unmount {} by hand", self.0.display());
        }
    }
}

/// At once for everybody who looks; for a process that still has a file open, when it is closed.
fn unmount(dir: &Path) -> io::Result<()> {
    run(Command::new("umount").arg("--lazy").arg(dir))
}

/// Unmounts what processes left that are gone.
fn unmount_leftovers() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for dir in leftovers(&mounts, |process| Path::new("/proc").join(process).exists()) {
        let _ = unmount(Path::new(dir)); // somebody else may do it at the same time
    }
}

/// Of lines of `/proc/self/mounts` (`name dir type options 0 0`) the directories whose makers do not live.
fn leftovers<'a>(mounts: &'a str, lives: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let of_line = |line: &'a str| {
        let (name, rest) = line.split_once(' ')?;
        let process = name.strip_prefix(MOUNT)?;
        if lives(process) { None } else { rest.split(' ').next() }
    };
    mounts.lines().filter_map(of_line).collect()
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} ended with {status}"))) }
}

/// Keys `0..acknowledged` have been acknowledged; more may be there.
struct Filler {
    value: String,
    acknowledged: usize,
}

impl Filler {
    fn value(&self, key: usize) -> String {
        format!("{key}:{}", self.value)
    }

    fn set(&self, client: &mut Client, key: usize) -> io::Result<()> {
        client.send(&["SET", &format!("key:{key}"), &self.value(key)])
    }

    /// Writes until a write is not acknowledged.
    fn until_refused(&mut self, client: &mut Client) -> io::Result<Option<Value>> {
        loop {
            self.set(client, self.acknowledged)?;
            match client.reply_within(HELD)? {
                Some(Value::Simple(_)) => self.acknowledged += 1,
                other => return Ok(other),
            }
        }
    }

    fn check(&self, client: &mut Client) -> io::Result<()> {
        for key in 0..self.acknowledged {
            let found = client.call(&["GET", &format!("key:{key}")])?;
            if found != Value::Bulk(self.value(key).into_bytes()) {
                return Err(io::Error::other(format!("key:{key} was acknowledged and is not there")));
            }
        }
        Ok(())
    }
}

fn is_refusal(reply: &Value) -> bool {
    matches!(reply, Value::Error(text) if text.starts_with("MISCONF Errors writing to the AOF file: "))
}

/// See the module.
pub fn round(seed: u64, place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let mut counts = Counts::default();
    let shards = 1 + random.below(4);
    let after = 1 + random.below(4);
    // What is freed later: room for another segment of each log and one to spare, and for the logs of the next start.
    let ballast_mib = (shards + 1 + after) * SEGMENT_MIB + 2;
    unmount_leftovers();
    let disk = place.scratch.join("disk");
    fs::create_dir_all(&disk).map_err(|error| error.to_string())?;
    let Ok(mount) = Mount::new(&disk, ballast_mib + shards * SEGMENT_MIB + 2) else {
        counts.add("skipped, no tmpfs", 1);
        return Ok(counts);
    };
    let mut filler = Filler { value: "x".repeat(1_000 + random.below(8_000) as usize), acknowledged: 0 };
    let result = check(place, &disk, (shards, after), ballast_mib, &mut filler);
    drop(mount);
    result.map_err(|error| format!("on {shards} shards, then {after}: {error}"))?;
    counts.add("file systems filled", 1);
    counts.add("commands acknowledged", filler.acknowledged as u64);
    Ok(counts)
}

fn check(
    place: &Place,
    disk: &Path,
    shards: (u64, u64),
    ballast_mib: u64,
    filler: &mut Filler,
) -> io::Result<()> {
    let ballast = disk.join("ballast");
    fs::File::create(&ballast)?.write_all(&vec![1; (ballast_mib << 20) as usize])?;
    let launch = |shards: u64| {
        let segment = format!("{SEGMENT_MIB}mb");
        let words = ["--shards", &shards.to_string(), "--appendfsync", "always", "--segment-size", &segment];
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut launch = Launch::new(&place.server, &disk.join("data"), &words);
        // The server's own log stays off the full disk.
        launch.log = place.scratch.join("server.log");
        launch
    };
    let mut server = launch(shards.0).start()?;
    fill_and_make_room(&server, filler, &ballast)?;
    server.kill()?;
    let mut server = launch(shards.1).start()?;
    filler.check(&mut Client::connect(server.address())?)?;
    if !server.terminate()? {
        return Err(io::Error::other("the server did not end well"));
    }
    Ok(())
}

fn fill_and_make_room(server: &ServerProcess, filler: &mut Filler, ballast: &Path) -> io::Result<()> {
    let mut writer = Client::connect(server.address())?;
    let held = match filler.until_refused(&mut writer)? {
        None => true,
        Some(reply) if is_refusal(&reply) => false,
        Some(other) => return Err(io::Error::other(format!("a write was answered {other:?}"))),
    };

    let mut client = Client::connect(server.address())?;
    let deadline = Instant::now() + SOON;
    loop {
        // Its log may be one that has room yet.
        filler.set(&mut client, usize::MAX - 1)?;
        match client.reply_within(HELD)? {
            Some(reply) if is_refusal(&reply) => break,
            Some(Value::Simple(_)) if Instant::now() < deadline => {}
            None => client = Client::connect(server.address())?,
            other => return Err(io::Error::other(format!("a write on a full disk was answered {other:?}"))),
        }
    }
    filler.check(&mut client)?;

    fs::remove_file(ballast)?;
    let freed = Instant::now();
    if held {
        match writer.reply_within(SOON)? {
            Some(Value::Simple(_)) => filler.acknowledged += 1,
            other => return Err(io::Error::other(format!("the held write was answered {other:?}"))),
        }
    }
    let after = filler.acknowledged + AFTER;
    while filler.acknowledged < after {
        filler.set(&mut client, filler.acknowledged)?;
        match client.reply_within(SOON)? {
            Some(Value::Simple(_)) => filler.acknowledged += 1,
            Some(reply) if is_refusal(&reply) && freed.elapsed() < SOON => {
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return Err(io::Error::other(format!("with room again a write was answered {other:?}"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_living_mounted_is_left_alone() {
        let mounts = "proc /proc proc rw 0 0\n\
                      everfast-full-disk-17 /tmp/a/disk tmpfs rw,size=9m 0 0\n\
                      everfast-full-disk-18 /tmp/b/disk tmpfs rw,size=9m 0 0\n";
        assert_eq!(leftovers(mounts, |process| process == "17"), ["/tmp/b/disk"]);
    }
}
