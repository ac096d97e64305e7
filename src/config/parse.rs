//! The directives with rules of their own: what their arguments must be, and how they are written.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::Config;
use super::types::{
    BindAddress, LogRetention, LogWriters, OutputBufferLimit, Password, SavePoint, ShutdownOptions,
};
use super::value::{parse_bytes, parse_choice, parse_integer};

/// Most addresses that `bind` takes, and most save points.
const LIST_LIMIT: usize = 64;
const PASSWORD_LIMIT_BYTES: usize = 512;
const INT_MAX: i64 = i32::MAX as i64;

fn path(arg: &[u8]) -> Result<PathBuf, String> {
    if arg.contains(&0) {
        return Err("a path cannot contain a NUL byte".into());
    }
    Ok(PathBuf::from(OsString::from_vec(arg.to_vec())))
}

fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

pub fn set_dir(config: &mut Config, arg: &[u8]) -> Result<(), String> {
    if arg.is_empty() {
        return Err("a directory is needed".into());
    }
    config.dir = path(arg)?;
    Ok(())
}

/// Absolute, as clients expect it. The server never changes its working directory, so the answer stays true.
pub fn dir(config: &Config) -> Vec<u8> {
    match std::path::absolute(&config.dir) {
        Ok(dir) => bytes(&dir.components().collect::<PathBuf>()),
        Err(_) => bytes(&config.dir),
    }
}

pub fn set_logfile(config: &mut Config, arg: &[u8]) -> Result<(), String> {
    config.logfile = path(arg)?;
    Ok(())
}

pub fn logfile(config: &Config) -> Vec<u8> {
    bytes(&config.logfile)
}

pub fn set_dbfilename(config: &mut Config, arg: &[u8]) -> Result<(), String> {
    let name = path(arg)?;
    if !arg.is_empty() && name.file_name() != Some(OsStr::from_bytes(arg)) {
        return Err("dbfilename can't be a path, just a filename".into());
    }
    config.dbfilename = name;
    Ok(())
}

pub fn dbfilename(config: &Config) -> Vec<u8> {
    bytes(&config.dbfilename)
}

pub fn set_import(config: &mut Config, arg: &[u8]) -> Result<(), String> {
    config.import = path(arg)?;
    Ok(())
}

pub fn import(config: &Config) -> Vec<u8> {
    bytes(&config.import)
}

const RETENTION_WORDS: &[&str] = &["checkpoints", "seconds", "bytes"];

/// Pairs of a word and a number, each word at most once.
pub fn set_log_retention(config: &mut Config, args: &[Vec<u8>]) -> Result<(), String> {
    if !args.len().is_multiple_of(2) {
        return Err("a number is needed behind each of: checkpoints, seconds, bytes".into());
    }
    let mut values = [0; RETENTION_WORDS.len()];
    for pair in args.chunks_exact(2) {
        let word = parse_choice(&pair[0], RETENTION_WORDS)?;
        let value = match RETENTION_WORDS[word] {
            "bytes" => parse_bytes(&pair[1], 1, i64::MAX as u64)?,
            _ => parse_integer(&pair[1], 1, INT_MAX)?.unsigned_abs(),
        };
        if std::mem::replace(&mut values[word], value) > 0 {
            return Err(format!("'{}' is given twice", RETENTION_WORDS[word]));
        }
    }
    let [checkpoints, seconds, max_bytes] = values;
    config.log_retention = LogRetention { checkpoints: checkpoints as u32, seconds, max_bytes };
    Ok(())
}

pub fn log_retention(config: &Config) -> Vec<String> {
    let LogRetention { checkpoints, seconds, max_bytes } = config.log_retention;
    let values = [u64::from(checkpoints), seconds, max_bytes];
    let given = RETENTION_WORDS.iter().zip(values).filter(|(_, value)| *value > 0);
    let words: Vec<_> = given.map(|(word, value)| format!("{word} {value}")).collect();
    if words.is_empty() { words } else { vec![words.join(" ")] }
}

pub fn set_percentiles(config: &mut Config, args: &[Vec<u8>]) -> Result<(), String> {
    let mut percentiles = Vec::with_capacity(args.len());
    for arg in args.iter().filter(|arg| !arg.is_empty()) {
        let number = std::str::from_utf8(arg).ok().and_then(|text| text.parse::<f64>().ok());
        match number.filter(|number| !number.is_nan()) {
            None => return Err("Invalid latency-tracking-info-percentiles parameters".into()),
            Some(percentile) if !(0.0..=100.0).contains(&percentile) => {
                return Err(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into()
                );
            }
            Some(percentile) => percentiles.push(percentile),
        }
    }
    config.latency_tracking_info_percentiles = percentiles;
    Ok(())
}

pub fn percentiles(config: &Config) -> Vec<String> {
    let words: Vec<_> =
        config.latency_tracking_info_percentiles.iter().copied().map(percentile_text).collect();
    if words.is_empty() { words } else { vec![words.join(" ")] }
}

/// With up to six digits behind the point, and none that say nothing.
pub fn percentile_text(percentile: f64) -> String {
    let text = format!("{percentile:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub fn set_requirepass(config: &mut Config, arg: &[u8]) -> Result<(), String> {
    if arg.len() > PASSWORD_LIMIT_BYTES {
        return Err(format!("a password has at most {PASSWORD_LIMIT_BYTES} bytes"));
    }
    config.requirepass = Password(arg.to_vec());
    Ok(())
}

pub fn requirepass(config: &Config) -> Vec<u8> {
    config.requirepass.0.clone()
}

pub fn set_log_writers(config: &mut Config, arg: &[u8]) -> Result<(), String> {
    config.log_writers = match arg {
        auto if auto.eq_ignore_ascii_case(b"auto") => LogWriters::Auto,
        number => match parse_integer(number, 1, 1024) {
            Ok(count) => LogWriters::Count(count as u16),
            Err(_) => return Err("argument must be 'auto' or between 1 and 1024 inclusive".into()),
        },
    };
    Ok(())
}

pub fn log_writers(config: &Config) -> Vec<u8> {
    match config.log_writers {
        LogWriters::Auto => b"auto".to_vec(),
        LogWriters::Count(count) => count.to_string().into(),
    }
}

pub fn set_bind(config: &mut Config, args: &[Vec<u8>]) -> Result<(), String> {
    if args.is_empty() || args.len() > LIST_LIMIT {
        return Err(format!("between 1 and {LIST_LIMIT} addresses are needed"));
    }
    let addresses = args.iter().map(|arg| {
        let address = std::str::from_utf8(arg).ok().and_then(BindAddress::parse);
        address.ok_or_else(|| format!("'{}' is not an IP address", arg.escape_ascii()))
    });
    config.bind = addresses.collect::<Result<_, _>>()?;
    Ok(())
}

pub fn bind(config: &Config) -> Vec<String> {
    let addresses: Vec<_> = config.bind.iter().map(BindAddress::to_string).collect();
    vec![addresses.join(" ")]
}

pub fn set_save(config: &mut Config, args: &[Vec<u8>]) -> Result<(), String> {
    let invalid = || "Invalid save parameters".to_string();
    let number = |arg: &Vec<u8>, min| parse_integer(arg, min, INT_MAX).map(|number| number as u32);
    if !args.len().is_multiple_of(2) || args.len() > 2 * LIST_LIMIT {
        return Err(invalid());
    }
    let points = args
        .chunks_exact(2)
        .map(|pair| Ok(SavePoint { seconds: number(&pair[0], 1)?, changes: number(&pair[1], 0)? }));
    config.save = points.collect::<Result<_, String>>().map_err(|_| invalid())?;
    Ok(())
}

pub fn save(config: &Config) -> Vec<String> {
    config.save.iter().map(|point| format!("{} {}", point.seconds, point.changes)).collect()
}

pub fn set_output_limits(config: &mut Config, args: &[Vec<u8>]) -> Result<(), String> {
    if !args.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut limits = config.client_output_buffer_limits;
    for entry in args.chunks_exact(4) {
        let class = match entry[0].to_ascii_lowercase().as_slice() {
            b"normal" => &mut limits.normal,
            b"replica" | b"slave" => &mut limits.replica,
            b"pubsub" => &mut limits.pubsub,
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        };
        *class = output_limit(&entry[1..]).map_err(|_| {
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.".to_string()
        })?;
    }
    config.client_output_buffer_limits = limits;
    Ok(())
}

fn output_limit(args: &[Vec<u8>]) -> Result<OutputBufferLimit, String> {
    Ok(OutputBufferLimit {
        hard_bytes: parse_bytes(&args[0], 0, i64::MAX as u64)?,
        soft_bytes: parse_bytes(&args[1], 0, i64::MAX as u64)?,
        soft_seconds: parse_integer(&args[2], 0, INT_MAX)? as u32,
    })
}

/// The class of replicas under its old name, by which CONFIG GET has always shown it.
pub fn output_limits(config: &Config) -> Vec<String> {
    let limits = &config.client_output_buffer_limits;
    let classes = [("normal", limits.normal), ("slave", limits.replica), ("pubsub", limits.pubsub)];
    let line = |(class, limit): &(&str, OutputBufferLimit)| {
        format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
    };
    classes.iter().map(line).collect()
}

fn shutdown_options(args: &[Vec<u8>]) -> Result<ShutdownOptions, String> {
    if args.is_empty() {
        parse_choice(b"", ShutdownOptions::WORDS)?;
    }
    let mut options = ShutdownOptions::default();
    for arg in args {
        match ShutdownOptions::WORDS[parse_choice(arg, ShutdownOptions::WORDS)?] {
            word @ ("save" | "nosave") => {
                let save = word == "save";
                if options.save == Some(!save) {
                    return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
                }
                options.save = Some(save);
            }
            "now" => options.now = true,
            "force" => options.force = true,
            _ => {}
        }
    }
    Ok(options)
}

pub fn set_sigint(config: &mut Config, args: &[Vec<u8>]) -> Result<(), String> {
    config.shutdown_on_sigint = shutdown_options(args)?;
    Ok(())
}

pub fn sigint(config: &Config) -> Vec<String> {
    vec![config.shutdown_on_sigint.words().join(" ")]
}

pub fn set_sigterm(config: &mut Config, args: &[Vec<u8>]) -> Result<(), String> {
    config.shutdown_on_sigterm = shutdown_options(args)?;
    Ok(())
}

pub fn sigterm(config: &Config) -> Vec<String> {
    vec![config.shutdown_on_sigterm.words().join(" ")]
}
