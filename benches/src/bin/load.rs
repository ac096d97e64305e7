//! The load generator as a program: one command against one server, figures to standard output.

use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use everfast_benches::load::{KeyOrder, Mark, Outcome, Timing, Workload, run};
use everfast_benches::process;

#[derive(Parser)]
#[command(about = "Drives a server of the Redis protocol and prints what it did")]
struct Options {
    /// What is sent: set, get, incr, mset (10 keys), ping, or words with {key} and {value} in them
    #[arg(default_value = "set")]
    command: String,
    #[arg(long, default_value = "127.0.0.1:6379")]
    server: String,
    #[arg(short, long, default_value_t = 50)]
    clients: usize,
    /// Commands per batch
    #[arg(short = 'P', long, default_value_t = 1)]
    pipeline: usize,
    /// Threads of this program
    #[arg(short, long, default_value_t = 1)]
    threads: usize,
    /// Number of different keys
    #[arg(short = 'r', long, default_value_t = 1_000_000)]
    keys: u64,
    /// Length of values in bytes
    #[arg(short = 'd', long, default_value_t = 64)]
    value_bytes: usize,
    /// Use keys in ascending order instead of at random
    #[arg(long)]
    ascending: bool,
    /// Measured seconds, after a warm-up of a fifth of it
    #[arg(short, long, default_value_t = 3.0)]
    seconds: f64,
    /// Send so many commands instead of for so many seconds
    #[arg(short = 'n', long)]
    commands: Option<u64>,
    /// Beside the load, one more connection sends this command alone
    #[arg(long, value_name = "COMMAND")]
    probe: Option<String>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    match Options::try_parse().map_err(|error| error.exit()).and_then(|options| measure(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), String> {
    let resolved =
        options.server.to_socket_addrs().map_err(|error| format!("{}: {error}", options.server))?;
    let address = resolved.into_iter().next().ok_or("the server's name has no address")?;
    let load = workload(options, address, &options.command);
    let probe = options.probe.as_deref().map(|command| {
        let base = workload(options, address, command);
        Workload { clients: 1, pipeline: 1, threads: 1, ..base }
    });
    let groups: Vec<Workload> = std::iter::once(load).chain(probe).collect();
    let timing = match options.commands {
        Some(commands) => Timing::Commands(commands),
        None => {
            let seconds = Duration::try_from_secs_f64(options.seconds).map_err(|error| error.to_string())?;
            Timing::For { warm_up: seconds / 5, measured: seconds }
        }
    };
    let server = process::listener_of(address.port()).filter(|_| address.ip().is_loopback());
    let mut cpu = Vec::new();
    let mut at_mark = |_: Mark| cpu.extend(server.and_then(|pid| process::cpu_time(pid).ok()));
    let outcomes = run(&groups, timing, &mut at_mark).map_err(|error| error.to_string())?;
    print(&options.command, &outcomes[0]);
    if let [before, after] = cpu[..] {
        let microseconds = (after - before).as_secs_f64() * 1e6;
        let replies: u64 = outcomes.iter().map(|outcome| outcome.replies).sum();
        println!("  server CPU {:.3} us per command", microseconds / replies.max(1) as f64);
    }
    if let Some(bytes) = server.and_then(|pid| process::resident_bytes(pid).ok()) {
        println!("  server memory {:.1} MiB", bytes as f64 / (1 << 20) as f64);
    }
    if let (Some(command), Some(outcome)) = (&options.probe, outcomes.get(1)) {
        print(&format!("probe {command}"), outcome);
    }
    Ok(())
}

fn workload(options: &Options, address: SocketAddr, command: &str) -> Workload {
    let words = match command {
        "set" => "SET {key} {value}".to_owned(),
        "get" => "GET {key}".to_owned(),
        "incr" => "INCR {key}".to_owned(),
        "mset" => format!("MSET{}", " {key} {value}".repeat(10)),
        "ping" => "PING".to_owned(),
        words => words.to_owned(),
    };
    Workload {
        address,
        command: words,
        clients: options.clients.max(1),
        pipeline: options.pipeline,
        threads: options.threads,
        keys: options.keys,
        key_order: if options.ascending { KeyOrder::Ascending } else { KeyOrder::Random },
        value_bytes: options.value_bytes,
        rate: None,
        seed: options.seed,
    }
}

fn print(name: &str, outcome: &Outcome) {
    let at = |quantile| outcome.latency(quantile).as_secs_f64() * 1e6;
    println!(
        "{name}: {:.0} per second ({} in {:.2} s)",
        outcome.replies_per_second(),
        outcome.replies,
        outcome.elapsed.as_secs_f64()
    );
    println!(
        "  latency us: p50 {:.1}  p99 {:.1}  p99.9 {:.1}  max {:.1}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    if outcome.nulls > 0 {
        println!("  {} null replies", outcome.nulls);
    }
    if let Some(error) = &outcome.first_error {
        println!("  {} ERRORS, the first: {error}", outcome.errors);
    }
}
