//! `differential`: random commands on a Redis server and on Everfast.
//!
//! It ends with 0: no difference; 1: at least one; 2: it could not be run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use differential::campaign::Campaign;
use differential::grammar::Grammar;

/// Runs random commands on a Redis server and on Everfast and tells where they differ.
#[derive(Parser)]
#[command(name = "differential")]
struct Args {
    /// How many, for all numbers of shards together.
    #[arg(long, default_value_t = 200_000)]
    commands: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Numbers of shards, each with servers of its own.
    #[arg(long, value_delimiter = ',', default_value = "1,4", value_parser = clap::value_parser!(u16).range(1..))]
    shards: Vec<u16>,
    /// Ends after so many minutes in any case.
    #[arg(long)]
    minutes: Option<f64>,
    /// Fewer commands than these in that time are an error.
    #[arg(long, default_value_t = 0, value_name = "COMMANDS")]
    at_least: u64,
    /// Lines of a script, between which all keys are deleted.
    #[arg(long, default_value_t = 150)]
    length: usize,
    /// Only these commands, as `get,client|list`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only the script of this number.
    #[arg(long)]
    script: Option<u64>,
    /// Tells which commands are made, and why others are not, and ends.
    #[arg(long)]
    list: bool,
    /// Our server.
    #[arg(long, value_name = "FILE", default_value = "target/test-release/everfast")]
    server: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("differential: {error}");
            ExitCode::from(2)
        }
    }
}

/// Answers how many differences there were.
fn run(args: &Args) -> Result<usize, String> {
    if args.list {
        return list().map(|()| 0);
    }
    let time = match args.minutes {
        Some(minutes) => {
            Some(Duration::try_from_secs_f64(minutes * 60.0).map_err(|error| error.to_string())?)
        }
        None => None,
    };
    let campaign = Campaign {
        program: args.server.clone(),
        seed: args.seed,
        commands: args.commands,
        shards: args.shards.clone(),
        length: args.length.max(1),
        time,
        only: args.only.clone(),
        script: args.script,
    };
    let started = Instant::now();
    let outcome = campaign.run()?;
    println!(
        "{} commands in {} scripts (seed {}, shards {:?}) in {:.0?}: {} differences, {} more like them",
        outcome.commands,
        outcome.scripts,
        args.seed,
        args.shards,
        started.elapsed(),
        outcome.found.len(),
        outcome.repeated
    );
    if outcome.is_out_of_time {
        println!("the time ran out before all {} commands were run", args.commands);
        if outcome.found.is_empty() && outcome.commands < args.at_least {
            return Err(format!("{} commands were run, {} are needed", outcome.commands, args.at_least));
        }
    }
    Ok(outcome.found.len())
}

fn list() -> Result<(), String> {
    let grammar = Grammar::new()?;
    let made: Vec<&str> = grammar.plans().iter().map(|plan| plan.name()).collect();
    println!("made: {}\n\nleft out:", made.join(" "));
    for (name, reason) in &grammar.left {
        println!("{name}: {reason}");
    }
    Ok(())
}
