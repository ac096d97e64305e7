//! `full_disk`: a real server on a real file system that is full.
//!
//! Mounts a small tmpfs, fills it under `always` until writes are refused, looks whether reads go on, makes room, looks
//! whether writing resumes by itself, kills the server, and checks every acknowledged key after a restart.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use formats::resp::Value;
use recovery_tests::client::Client;
use recovery_tests::server_process::{ServerProcess, binary};

/// Fills a small file system under a server, and checks that nothing acknowledged is lost. Must run as root, to mount it.
#[derive(Parser)]
struct Args {
    /// Size of the file system in MiB.
    #[arg(long, default_value_t = 24)]
    size_mib: u64,
    /// Shards of the server.
    #[arg(long, default_value_t = 2)]
    shards: u16,
    /// Bytes of a value.
    #[arg(long, default_value_t = 4000)]
    value_bytes: usize,
}

/// What is freed when the file system is full: room for another segment of 4 MiB in each of two logs, and one to spare.
const BALLAST_BYTES: usize = 14 << 20;
/// Longest wait for a held reply while the disk is full, and for writing to resume.
const HELD: Duration = Duration::from_millis(500);
const SOON: Duration = Duration::from_secs(10);
/// Keys written after there is room again.
const AFTER: usize = 200;

/// A tmpfs; unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(dir: &Path, size_mib: u64) -> io::Result<Self> {
        let size = format!("size={size_mib}m");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "everfast-full-disk"]).arg(dir))?;
        Ok(Self(dir.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("umount").arg(&self.0)) {
            eprintln!("full_disk: {error}; unmount {} by hand", self.0.display());
        }
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} ended with {status}"))) }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !rustix::process::geteuid().is_root() {
        eprintln!("full_disk: must run as root: it mounts a file system");
        return ExitCode::FAILURE;
    }
    match check(&args) {
        Ok(()) => {
            println!("full_disk: 0 violations");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("full_disk: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
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

fn check(args: &Args) -> io::Result<()> {
    let binary = binary()?;
    let temp = tempfile::Builder::new().prefix("everfast-full-disk-").tempdir()?;
    let place = temp.path().join("disk");
    fs::create_dir(&place)?;
    let mount = Mount::new(&place, args.size_mib)?;
    println!("full_disk: {}, tmpfs of {} MiB, {}", place.display(), args.size_mib, binary.display());
    let ballast = place.join("ballast");
    fs::File::create(&ballast)?.write_all(&vec![1; BALLAST_BYTES])?;

    let data = place.join("data");
    let words = ["--shards", &args.shards.to_string(), "--appendfsync", "always", "--segment-size", "4mb"];
    // The server's own log stays off the full disk.
    let log = temp.path().join("server.log");
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let mut server = ServerProcess::start_logging(&binary, &data, &words, &log)?;
    let mut filler = Filler { value: "x".repeat(args.value_bytes), acknowledged: 0 };
    fill_and_make_room(&server, &mut filler, &ballast)?;

    server.kill()?;
    let started = Instant::now();
    let mut server = ServerProcess::start_logging(&binary, &data, &words, &log)?;
    println!("killed; started again in {:.0?}", started.elapsed());
    filler.check(&mut Client::connect(server.address())?)?;
    println!("all {} acknowledged keys are there", filler.acknowledged);
    if !server.terminate()? {
        return Err(io::Error::other("the server did not end well"));
    }
    drop(mount);
    Ok(())
}

fn fill_and_make_room(server: &ServerProcess, filler: &mut Filler, ballast: &Path) -> io::Result<()> {
    let mut writer = Client::connect(server.address())?;
    let held = match filler.until_refused(&mut writer)? {
        None => true,
        Some(reply) if is_refusal(&reply) => false,
        Some(other) => return Err(io::Error::other(format!("a write was answered {other:?}"))),
    };
    println!("full after {} acknowledged keys; the write that met it is held: {held}", filler.acknowledged);

    let mut client = Client::connect(server.address())?;
    let deadline = Instant::now() + SOON;
    let refusal = loop {
        // Its log may be one that has room yet.
        filler.set(&mut client, usize::MAX - 1)?;
        match client.reply_within(HELD)? {
            Some(reply) if is_refusal(&reply) => break reply,
            Some(Value::Simple(_)) if Instant::now() < deadline => {}
            None => client = Client::connect(server.address())?,
            other => return Err(io::Error::other(format!("a write on a full disk was answered {other:?}"))),
        }
    };
    println!("writes are answered {refusal:?}");
    let reading = Instant::now();
    filler.check(&mut client)?;
    println!("{} reads of acknowledged keys in {:.0?}", filler.acknowledged, reading.elapsed());

    fs::remove_file(ballast)?;
    let freed = Instant::now();
    if held {
        match writer.reply_within(SOON)? {
            Some(Value::Simple(_)) => filler.acknowledged += 1,
            other => return Err(io::Error::other(format!("the held write was answered {other:?}"))),
        }
        println!("room: the held write was acknowledged after {:.0?}", freed.elapsed());
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
    println!("room: {AFTER} more keys acknowledged, {:.0?} after it was made", freed.elapsed());
    Ok(())
}
