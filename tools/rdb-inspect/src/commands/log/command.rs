//! One command of a log, and which of its arguments is the key.

use formats::log::{Epoch, FrameNo, Gsn, LogId, Position, ShardId};

/// A command, and where it stands.
#[derive(Clone, Copy)]
pub struct Command<'c, 'a> {
    /// Index of the file.
    pub file: usize,
    pub offset: u64,
    pub bytes: u64,
    /// When it was written, in milliseconds since 1970, if the log tells.
    pub time_ms: Option<i64>,
    pub db: u64,
    /// Shard and position, in logs of Everfast.
    pub place: Option<(ShardId, Position)>,
    /// Where it comes from, in logs of Everfast.
    pub origin: Option<Origin>,
    /// Name and arguments; the name is always there.
    pub args: &'c [&'a [u8]],
}

/// The frame that has an effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    pub epoch: Epoch,
    pub log: LogId,
    pub frame: FrameNo,
    /// The transaction over several shards that it is a part of.
    pub gsn: Option<Gsn>,
}

impl<'a> Command<'_, 'a> {
    pub fn name(&self) -> &'a [u8] {
        self.args.first().copied().unwrap_or_default()
    }
}

/// Where the first key stands among name and arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyAt {
    Nowhere,
    Index(usize),
    /// Behind the number of keys, which stands here.
    Counted(usize),
}

impl KeyAt {
    /// Of the command with this name, in capitals. One that is not known has its key behind the name, as most have.
    pub fn of(name: &[u8]) -> KeyAt {
        match name {
            b"SELECT" | b"MULTI" | b"EXEC" | b"DISCARD" | b"FLUSHALL" | b"FLUSHDB" | b"SWAPDB" | b"PING"
            | b"ECHO" | b"SCRIPT" | b"FUNCTION" | b"PUBLISH" | b"SPUBLISH" | b"REPLCONF" | b"ACL"
            | b"CONFIG" | b"CLIENT" | b"CLUSTER" | b"MODULE" | b"XREADGROUP" => KeyAt::Nowhere,
            b"BITOP" | b"XGROUP" | b"XINFO" | b"OBJECT" | b"MEMORY" | b"DEBUG" => KeyAt::Index(2),
            b"EVAL" | b"EVALSHA" | b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL" | b"FCALL_RO" | b"BLMPOP"
            | b"BZMPOP" => KeyAt::Counted(2),
            b"LMPOP" | b"ZMPOP" | b"MSETEX" => KeyAt::Counted(1),
            _ => KeyAt::Index(1),
        }
    }

    #[inline]
    pub fn find<'a>(self, args: &[&'a [u8]]) -> Option<&'a [u8]> {
        match self {
            KeyAt::Nowhere => None,
            KeyAt::Index(index) => args.get(index).copied(),
            KeyAt::Counted(index) if args.get(index).is_some_and(|count| *count == b"0") => None,
            KeyAt::Counted(index) => args.get(index + 1).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found() {
        let key = |line: &'static str| {
            let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            KeyAt::of(args[0]).find(&args).map(|key| std::str::from_utf8(key).unwrap())
        };
        assert_eq!(key("SET k v"), Some("k"));
        assert_eq!(key("SELECT 1"), None);
        assert_eq!(key("PING"), None);
        assert_eq!(key("BITOP AND dest a b"), Some("dest"));
        assert_eq!(key("EVAL script 1 k v"), Some("k"));
        assert_eq!(key("EVAL script 0 v"), None);
        assert_eq!(key("DEL"), None);
    }
}
