//! What shall go wrong with the disk of a real server, as an environment variable says; for tests.
//!
//! ```text
//! DISK_FAULTS='sync:log-:17+1:eio;write::100+20:enospc'
//!               │    │    │  │  └ what: eio, enospc, short (half of a write, at least a byte)
//!               │    │    │  └ so many calls; without it, all that follow
//!               │    │    └ from this one on, counted from 0 over all files that match
//!               │    └ files whose name begins so; empty: all
//!               └ create, open, write, sync, allocate, rename, remove, sync-dir, map
//! ```
//!
//! `DISK_FAULTS_FIRED` names a file that is created, and gets a byte for each call that a rule met: the number of the
//! rule, from 0. So its length is the number of faults, also of a process that is killed.
//!
//! Invariants:
//! 1. A failed sync takes back what was not synced: see [`GuardedDisk`].
//! 2. A fault is told before its call returns. A file that is missing means a program without this disk.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

use super::Disk;
use super::guarded::{Amount, Call, Guard, GuardedDisk};

/// The environment variable that says what shall go wrong.
pub const VARIABLE: &str = "DISK_FAULTS";
/// The environment variable that names the file that tells which rules met a call.
pub const FIRED_VARIABLE: &str = "DISK_FAULTS_FIRED";

const CALLS: [(&str, Call); 9] = [
    ("create", Call::Create),
    ("open", Call::Open),
    ("write", Call::Write),
    ("sync", Call::Sync),
    ("allocate", Call::Allocate),
    ("rename", Call::Rename),
    ("remove", Call::Remove),
    ("sync-dir", Call::SyncDir),
    ("map", Call::Map),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Fail(Errno),
    Short,
}

#[derive(Debug)]
struct Rule {
    call: Call,
    prefix: String,
    from: u64,
    count: u64,
    what: What,
    seen: AtomicU64,
}

impl Rule {
    /// `call:prefix:from[+count]:what`
    fn parse(text: &str) -> Option<Rule> {
        let mut parts = text.split(':');
        let (call, prefix, range, what) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (from, count) = match range.split_once('+') {
            Some((from, count)) => (from, count.parse().ok()?),
            None => (range, u64::MAX),
        };
        let what = match what {
            "eio" => What::Fail(Errno::IO),
            "enospc" => What::Fail(Errno::NOSPC),
            "short" => What::Short,
            _ => return None,
        };
        let (_, call) = CALLS.into_iter().find(|(name, _)| *name == call)?;
        let (prefix, seen) = (prefix.to_owned(), AtomicU64::new(0));
        parts.next().is_none().then_some(Rule { call, prefix, from: from.parse().ok()?, count, what, seen })
    }

    /// Whether it concerns this call, which counts then.
    fn applies(&self, call: Call, name: &str) -> bool {
        if self.call != call || !name.starts_with(&self.prefix) {
            return false;
        }
        let number = self.seen.fetch_add(1, Ordering::Relaxed);
        number >= self.from && number - self.from < self.count
    }
}

struct Rules {
    rules: Vec<Rule>,
    /// Opened to append: each byte is one write.
    fired: Option<File>,
}

impl Rules {
    fn parse(text: &str) -> Result<Rules, String> {
        let entries = text.split(';').map(str::trim).filter(|entry| !entry.is_empty());
        let rule =
            |entry| Rule::parse(entry).ok_or_else(|| format!("'{entry}' is not call:prefix:from+count:what"));
        let rules = entries.map(rule).collect::<Result<_, _>>()?;
        Ok(Rules { rules, fired: None })
    }

    fn tell(&self, number: usize) -> io::Result<()> {
        let Some(mut fired) = self.fired.as_ref() else { return Ok(()) };
        fired.write_all(&[number as u8])
    }
}

impl Guard for Rules {
    fn before(&self, call: Call, name: &str) -> io::Result<Amount> {
        let mut amount = Amount::Whole;
        for (number, rule) in self.rules.iter().enumerate() {
            if !rule.applies(call, name) {
                continue;
            }
            self.tell(number)?;
            match rule.what {
                What::Short => amount = Amount::Half,
                What::Fail(errno) => return Err(errno.into()),
            }
        }
        Ok(amount)
    }

    fn takes_back(&self) -> bool {
        self.rules.iter().any(|rule| rule.call == Call::Sync)
    }
}

/// `disk`, with what [`VARIABLE`] says.
///
/// # Errors
/// It cannot be understood, or the file that [`FIRED_VARIABLE`] names cannot be made.
pub fn from_environment(disk: Arc<dyn Disk>) -> Result<Arc<dyn Disk>, String> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(disk) };
    let mut rules = Rules::parse(&text)?;
    if let Some(path) = std::env::var_os(FIRED_VARIABLE) {
        let file = File::options().create(true).append(true).open(&path);
        rules.fired = Some(file.map_err(|error| format!("{}: {error}", path.display()))?);
    }
    Ok(Arc::new(GuardedDisk::new(disk, Arc::new(rules))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_that_a_rule_met_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("fired");
        let mut rules = Rules::parse("sync::5:eio;write::1+2:short;write::2:eio").expect("rules");
        rules.fired = Some(File::options().create(true).append(true).open(&path).expect("a file"));
        let writes: Vec<_> = (0..4).map(|_| rules.before(Call::Write, "x").is_ok()).collect();
        assert_eq!(writes, [true, true, false, false]);
        assert!(rules.before(Call::Sync, "x").is_ok());
        assert_eq!(std::fs::read(&path).expect("it"), [1, 1, 2, 2]);
    }

    #[test]
    fn rules_count_their_own_calls() {
        let rules = Rules::parse("sync:log-:1+2:eio; write::2:enospc;write:x:0+1:short").expect("rules");
        assert!(rules.takes_back());
        let failed = |call, name| rules.before(call, name).err().and_then(|error| error.raw_os_error());
        let (io, full) = (Some(Errno::IO.raw_os_error()), Some(Errno::NOSPC.raw_os_error()));
        let syncs: Vec<_> = (0..4).map(|_| failed(Call::Sync, "log-1-0.seg")).collect();
        assert_eq!(syncs, [None, io, io, None]);
        assert_eq!(failed(Call::Sync, "MANIFEST"), None);
        assert_eq!(rules.before(Call::Write, "x").ok(), Some(Amount::Half));
        let writes: Vec<_> = (0..3).map(|_| failed(Call::Write, "x")).collect();
        assert_eq!(writes, [None, full, full]);
        for wrong in ["sync", "sync:a:b:eio", "sink::0:eio", "sync::0:what", "sync::0:eio:more"] {
            assert!(Rules::parse(wrong).is_err(), "{wrong}");
        }
    }
}
