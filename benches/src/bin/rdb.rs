//! `rdb-inspect` beside `redis-check-rdb` and rdbtools on one file of small strings, and what it takes of memory for one
//! large hash.
//!
//! A round runs every program once, one after the other; the table has the medians of the rounds, and ratios against
//! `redis-check-rdb` of the same round. Memory is anonymous memory, looked at every few milliseconds: pages of the mapped
//! file belong to the page cache.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use everfast_benches::process::anonymous_bytes;
use everfast_benches::{Spread, median};
use formats::rdb::encode::{EncodeError, EncodeVersion, Encoder, KeyMeta};

/// Pause between two looks at a process' memory.
const LOOK: Duration = Duration::from_millis(2);
/// Bytes of a field and its value in the large hash.
const FIELD_BYTES: u64 = 16 + 64 + 3;

#[derive(Parser)]
#[command(about = "rdb-inspect beside redis-check-rdb and rdbtools")]
struct Options {
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Small strings in the file: keys of 16 bytes, values of 64
    #[arg(long, default_value_t = 2_500_000)]
    keys: u64,
    /// Size of the hash in one key, in MB
    #[arg(long, default_value_t = 400)]
    hash_mb: u64,
    /// rdbtools' program `rdb`; it takes minutes, so it runs in the first round alone
    #[arg(long, value_name = "PATH")]
    rdbtools: Option<PathBuf>,
}

/// A program with its arguments; `FILE` and `OUT` stand for the input and a file to write to.
struct Row {
    name: &'static str,
    args: &'static [&'static str],
    /// Longest time against redis-check-rdb that we allow ourselves.
    needed: Option<f64>,
}

const CHECK: &str = "redis-check-rdb";
const ROWS: [Row; 9] = [
    Row { name: CHECK, args: &["FILE"], needed: None },
    Row { name: "rdb-inspect verify", args: &["verify", "FILE"], needed: Some(0.5) },
    Row { name: "rdb-inspect summary", args: &["summary", "FILE"], needed: Some(1.0) },
    Row { name: "rdb-inspect memory", args: &["memory", "FILE", "--output", "OUT"], needed: Some(3.0) },
    Row { name: "rdb-inspect json", args: &["json", "FILE", "--output", "OUT"], needed: Some(3.0) },
    Row { name: "rdb-inspect bigkeys", args: &["bigkeys", "FILE"], needed: None },
    Row { name: "rdb-inspect prefixes", args: &["prefixes", "FILE"], needed: None },
    Row { name: "rdbtools memory", args: &["-c", "memory", "-f", "OUT", "FILE"], needed: None },
    Row { name: "rdbtools json", args: &["-c", "json", "-f", "OUT", "FILE"], needed: None },
];
const HASH_ROWS: [&str; 3] = ["rdb-inspect summary", "rdb-inspect json", "rdb-inspect memory"];

/// One run of a program.
#[derive(Clone, Copy)]
struct Run {
    seconds: f64,
    anonymous_bytes: u64,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rdb: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let inspect = beside_us("rdb-inspect")?;
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = dir.path().join("small.rdb");
    write_file(&file, |encoder, out| small_strings(options.keys, encoder, out))?;
    let old_file = dir.path().join("old.rdb");
    as_version_9(&file, &old_file).map_err(|error| error.to_string())?;
    println!("{} keys, {} MB; {} rounds\n", options.keys, megabytes(&file)?, options.rounds);
    let mut runs: Vec<Vec<Run>> = ROWS.iter().map(|_| Vec::new()).collect();
    for round in 0..options.rounds.max(1) {
        for (row, runs) in ROWS.iter().zip(&mut runs) {
            let (program, file) = match row.name.split(' ').next() {
                Some("rdbtools") if round > 0 => continue,
                Some("rdbtools") => match &options.rdbtools {
                    Some(rdbtools) => (rdbtools.clone(), &old_file),
                    None => continue,
                },
                Some("rdb-inspect") => (inspect.clone(), &file),
                _ => (CHECK.into(), &file),
            };
            runs.push(measure(&program, row.args, file, &dir.path().join("out"))?);
        }
    }
    print_rows(&runs);
    if options.hash_mb > 0 {
        large_hash(options, &inspect, dir.path())?;
    }
    Ok(())
}

fn print_rows(runs: &[Vec<Run>]) {
    println!("| program | s | against {CHECK} | needed | peak anonymous MB |");
    println!("|---|---|---|---|---|");
    let check: Vec<f64> = runs[0].iter().map(|run| run.seconds).collect();
    for (row, runs) in ROWS.iter().zip(runs) {
        let seconds: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
        let ratios: Vec<f64> = seconds.iter().zip(&check).map(|(own, check)| own / check).collect();
        let (Some(middle), Some(ratio)) = (median(&seconds), Spread::of(&ratios)) else { continue };
        let needed = match row.needed {
            Some(needed) if ratio.median <= needed => format!("<= {needed}"),
            Some(needed) => format!("<= {needed}: MISSED"),
            None => "–".to_owned(),
        };
        let peak = runs.iter().map(|run| run.anonymous_bytes).max().unwrap_or(0);
        println!(
            "| {} | {middle:.3} | {:.2}x ({:.2}–{:.2}) | {needed} | {:.1} |",
            row.name,
            ratio.median,
            ratio.smallest,
            ratio.largest,
            peak as f64 / 1e6
        );
    }
}

fn large_hash(options: &Options, inspect: &Path, dir: &Path) -> Result<(), String> {
    let file = dir.join("hash.rdb");
    let fields = options.hash_mb * 1_000_000 / FIELD_BYTES;
    write_file(&file, |encoder, out| one_hash(fields, encoder, out))?;
    println!("\nOne hash of {fields} fields, {} MB\n", megabytes(&file)?);
    println!("| program | s | peak anonymous MB |");
    println!("|---|---|---|");
    for row in ROWS.iter().filter(|row| HASH_ROWS.contains(&row.name)) {
        let run = measure(inspect, row.args, &file, &dir.join("out"))?;
        println!("| {} | {:.3} | {:.1} |", row.name, run.seconds, run.anonymous_bytes as f64 / 1e6);
    }
    Ok(())
}

fn beside_us(name: &str) -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let program = here.with_file_name(name);
    if program.exists() { Ok(program) } else { Err(format!("{} is not built", program.display())) }
}

fn megabytes(file: &Path) -> Result<u64, String> {
    file.metadata().map(|metadata| metadata.len() / 1_000_000).map_err(|error| error.to_string())
}

fn measure(program: &Path, args: &[&str], file: &Path, out: &Path) -> Result<Run, String> {
    let failed = |error: io::Error| format!("{}: {error}", program.display());
    let mut command = Command::new(program);
    command.args(args.iter().map(|&arg| match arg {
        "FILE" => file.as_os_str(),
        "OUT" => out.as_os_str(),
        other => other.as_ref(),
    }));
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().map_err(failed)?;
    let mut anonymous = 0;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        anonymous = anonymous.max(anonymous_bytes(child.id()).unwrap_or(0)); // it may just have ended
        std::thread::sleep(LOOK);
    };
    let seconds = started.elapsed().as_secs_f64();
    let _ = std::fs::remove_file(out); // not all write one
    if !status.success() {
        return Err(format!("{} {} ended with {status}", program.display(), args.join(" ")));
    }
    Ok(Run { seconds, anonymous_bytes: anonymous })
}

/// Makes a file, which is in the page cache afterwards.
fn write_file(
    path: &Path,
    fill: impl FnOnce(&mut Encoder, &mut dyn Write) -> Result<(), String>,
) -> Result<(), String> {
    let mut out = BufWriter::new(File::create(path).map_err(|error| error.to_string())?);
    let mut encoder = Encoder::new(EncodeVersion::V10, true);
    encoder.select_db(0).map_err(said)?;
    fill(&mut encoder, &mut out)?;
    encoder.finish().map_err(said)?;
    drain(&mut encoder, &mut out)?;
    out.flush().map_err(|error| error.to_string())
}

/// rdbtools reads no newer version; strings look the same in both, and it checks no checksum.
fn as_version_9(file: &Path, copy: &Path) -> io::Result<()> {
    std::fs::copy(file, copy)?;
    std::fs::OpenOptions::new().write(true).open(copy)?.write_all(b"REDIS0009")
}

fn said(error: EncodeError) -> String {
    error.to_string()
}

fn drain(encoder: &mut Encoder, out: &mut dyn Write) -> Result<(), String> {
    out.write_all(encoder.pending()).map_err(|error| error.to_string())?;
    encoder.clear_pending();
    Ok(())
}

fn small_strings(keys: u64, encoder: &mut Encoder, out: &mut dyn Write) -> Result<(), String> {
    encoder.resize_db(keys, 0).map_err(said)?;
    let mut digits = Digits(7);
    for number in 0..keys {
        let name = format!("key:{number:012}");
        let key = encoder.key(name.as_bytes(), KeyMeta::default()).map_err(said)?;
        key.string(&digits.next64()).map_err(said)?;
        if number % 4096 == 0 {
            drain(encoder, out)?;
        }
    }
    Ok(())
}

fn one_hash(fields: u64, encoder: &mut Encoder, out: &mut dyn Write) -> Result<(), String> {
    let mut digits = Digits(9);
    encoder.key(b"hash", KeyMeta::default()).and_then(|key| key.begin_hash(fields)).map_err(said)?;
    for number in 0..fields {
        let name = format!("field:{number:010}");
        encoder.hash_field(name.as_bytes(), &digits.next64()).map_err(said)?;
        if number % 4096 == 0 {
            drain(encoder, out)?;
        }
    }
    Ok(())
}

/// Random hexadecimal digits: they do not compress.
struct Digits(u64);

impl Digits {
    fn next64(&mut self) -> [u8; 64] {
        let mut text = [0; 64];
        for chunk in text.chunks_mut(16) {
            // xorshift64
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(format!("{:016x}", self.0).as_bytes());
        }
        text
    }
}
