//! SLOWLOG: the last commands that took long.
//!
//! Invariant: an entry holds at most [`MAX_ARGS`] arguments of [`MAX_ARG_BYTES`] bytes each and a note, whatever the command
//! was; there are at most `slowlog-max-len` entries.

use std::collections::VecDeque;

use formats::resp::Request;

/// Arguments of a command that are kept, the last of them a note if there were more.
pub const MAX_ARGS: usize = 32;
/// Bytes of an argument that are kept.
pub const MAX_ARG_BYTES: usize = 128;

/// What stands in the place of an argument that nobody shall see.
pub const REDACTED: &[u8] = b"(redacted)";

/// The words of a command, cut as an entry keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CutArgs {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl CutArgs {
    /// `hides` says which arguments are secrets.
    pub fn of(request: Request<'_>, hides: impl Fn(usize) -> bool) -> CutArgs {
        let mut cut = CutArgs::default();
        let count = request.len();
        let kept = if count > MAX_ARGS { MAX_ARGS - 1 } else { count };
        for (index, arg) in request.iter().take(kept).enumerate() {
            if hides(index) {
                cut.push(REDACTED);
            } else if arg.len() > MAX_ARG_BYTES {
                let more = arg.len() - MAX_ARG_BYTES;
                cut.push(&[&arg[..MAX_ARG_BYTES], format!("... ({more} more bytes)").as_bytes()].concat());
            } else {
                cut.push(arg);
            }
        }
        if count > kept {
            cut.push(format!("... ({} more arguments)", count - kept).as_bytes());
        }
        cut
    }

    fn push(&mut self, arg: &[u8]) {
        self.bytes.extend_from_slice(arg);
        self.ends.push(self.bytes.len() as u32); // at most 32 arguments of less than 200 bytes
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start as usize..*end as usize])
    }
}

/// One slow command.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: u64,
    pub unix_seconds: u64,
    pub micros: u64,
    pub args: CutArgs,
    pub client_address: String,
    pub client_name: Vec<u8>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct SlowLog {
    /// The newest first.
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl SlowLog {
    /// Adds an entry, which gets the next number, and forgets the oldest beyond `max_entries`.
    pub fn push(&mut self, mut entry: Entry, max_entries: usize) {
        entry.id = self.next_id;
        self.next_id += 1;
        self.entries.push_front(entry);
        self.entries.truncate(max_entries);
    }

    /// From the newest to the oldest.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets all entries; numbers go on.
    pub fn reset(&mut self) {
        self.entries = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::resp::ArgRange;

    fn cut(words: &[&[u8]], hides: impl Fn(usize) -> bool) -> Vec<String> {
        let (mut source, mut ranges) = (Vec::new(), Vec::new());
        for word in words {
            let start = source.len();
            source.extend_from_slice(word);
            ranges.push(ArgRange { start, end: source.len() });
        }
        let args = CutArgs::of(Request::new(&source, &ranges), hides);
        args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
    }

    #[test]
    fn arguments_are_cut() {
        assert_eq!(cut(&[b"set", b"a", b""], |_| false), ["set", "a", ""]);
        assert_eq!(cut(&[b"auth", b"secret"], |index| index == 1), ["auth", "(redacted)"]);
        let long = [b'x'; 130];
        let tail = "x".repeat(128) + "... (2 more bytes)";
        assert_eq!(cut(&[&long[..128], &long], |_| false), ["x".repeat(128), tail]);
        assert_eq!(cut(&[&b"a"[..]; 32], |_| false), ["a"; 32]);
        let many = cut(&[&b"a"[..]; 33], |_| false);
        assert_eq!((many.len(), &many[31][..]), (32, "... (2 more arguments)"));
    }

    #[test]
    fn the_oldest_is_forgotten_and_numbers_go_on() {
        let entry = Entry {
            id: 0,
            unix_seconds: 0,
            micros: 0,
            args: CutArgs::default(),
            client_address: String::new(),
            client_name: Vec::new(),
        };
        let mut log = SlowLog::default();
        (0..3).for_each(|_| log.push(entry.clone(), 2));
        let ids = |log: &SlowLog| log.entries().map(|entry| entry.id).collect::<Vec<_>>();
        assert_eq!(ids(&log), [2, 1]);
        log.reset();
        log.push(entry.clone(), 2);
        assert_eq!(ids(&log), [3]);
        log.push(entry, 0);
        assert!(log.is_empty());
    }
}
