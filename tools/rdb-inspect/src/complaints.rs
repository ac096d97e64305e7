//! Tells on stderr what is wrong with an input: where, and with which key.

use formats::rdb::{RdbError, RdbString};

use crate::names;
use crate::walk::{Checksum, Findings};

/// Complaints about values that are told one by one; beyond them their number is told.
const TOLD: u64 = 20;

/// Counts what is wrong with one input, and tells it.
pub struct Complaints<'n> {
    name: &'n str,
    count: u64,
}

impl<'n> Complaints<'n> {
    pub fn about(name: &'n str) -> Complaints<'n> {
        Complaints { name, count: 0 }
    }

    /// The content of a key is damaged.
    pub fn key(&mut self, db: u64, key: RdbString<'_>, error: &RdbError) {
        self.tell(|| format!("{error} ({})", name_key(db, key)));
    }

    /// Something about a key that is no damage to the file, such as what the output cannot hold.
    pub fn remark(&mut self, db: u64, key: RdbString<'_>, what: &str) {
        self.tell(|| format!("{what} ({})", name_key(db, key)));
    }

    /// Something that belongs to no key.
    pub fn about_file(&mut self, what: &str) {
        self.tell(|| what.to_string());
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.count <= TOLD {
            eprintln!("rdb-inspect: {}: {}", self.name, what());
        }
    }

    /// Tells what the pass found out; answers whether there was nothing to complain about.
    pub fn finish(self, findings: &Findings) -> bool {
        let name = self.name;
        if self.count > TOLD {
            eprintln!("rdb-inspect: {name}: {} more of the kind", self.count - TOLD);
        }
        if let Some(damage) = &findings.damage {
            eprintln!("rdb-inspect: {name}: {damage}; nothing behind it was read");
        }
        if let Checksum::Wrong { expected, found } = findings.checksum {
            eprintln!("rdb-inspect: {name}: checksum {found:016x}, the file says {expected:016x}");
        }
        if findings.trailing_bytes > 0 {
            eprintln!("rdb-inspect: {name}: {} bytes behind the end", findings.trailing_bytes);
        }
        if findings.command_bytes > 0 {
            let bytes = findings.command_bytes;
            eprintln!(
                "rdb-inspect: {name}: {bytes} bytes of commands follow, which are not looked at: see `log`"
            );
        }
        self.count == 0 && findings.is_sound()
    }
}

fn name_key(db: u64, key: RdbString<'_>) -> String {
    format!("db {db}, key {}", names::of(key))
}
