//! The types of those settings that are more than a number, a size or yes/no, with their text form.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Defines an enum whose variants have one word each, as a directive's value.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            pub const WORDS: &'static [&'static str] = &[$($word,)*];

            /// Its word, as it stands in the file.
            pub const fn word(self) -> &'static str {
                Self::WORDS[self as usize]
            }
        }
    };
}

words! {
    /// When a write is on stable storage, and what a reply waits for.
    AppendFsync {
        /// Synced once a second; replies do not wait.
        Everysec = "everysec",
        /// A reply leaves only when what it tells is on stable storage.
        Always = "always",
        /// The system writes back when it likes.
        No = "no",
    }
}

words! {
    /// The least important kind of message that is still logged.
    LogLevel {
        Debug = "debug",
        Verbose = "verbose",
        Notice = "notice",
        Warning = "warning",
    }
}

words! {
    /// Who may use DEBUG.
    DebugCommand {
        No = "no",
        Yes = "yes",
        /// Clients on the same machine.
        Local = "local",
    }
}

/// How much history is kept beyond what a start needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogRetention {
    /// Checkpoints, the newest one included; 0: not asked for.
    pub checkpoints: u32,
    /// So far back any moment can be recovered; 0: not asked for.
    pub seconds: u64,
    /// Most bytes of files that only history needs; alone: all that fits. 0: no limit.
    pub max_bytes: u64,
}

/// How many threads write the logs of the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogWriters {
    /// Measured at start: one per shard where the device flushes in parallel, else one.
    Auto,
    Count(u16),
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindAddress {
    pub address: IpAddr,
    /// Written with a leading `-`: no error if the machine does not have this address.
    pub optional: bool,
}

impl BindAddress {
    pub const fn required(address: IpAddr) -> Self {
        BindAddress { address, optional: false }
    }

    /// From `127.0.0.1`, `::1`, `*` (all of IPv4), `::*` (all of IPv6), each with an optional leading `-`.
    pub fn parse(text: &str) -> Option<Self> {
        let (optional, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let address = match text {
            "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            "::*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => text.parse().ok()?,
        };
        Some(BindAddress { address, optional })
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.optional { "-" } else { "" };
        match self.address {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => write!(out, "{sign}*"),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => write!(out, "{sign}::*"),
            address => write!(out, "{sign}{address}"),
        }
    }
}

/// A snapshot is due after `seconds` if at least `changes` writes came since the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    pub seconds: u32,
    pub changes: u32,
}

/// When a client that does not read its replies is disconnected. 0 means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputBufferLimit {
    /// At once, at so many bytes.
    pub hard_bytes: u64,
    /// After `soft_seconds` without a break above so many bytes.
    pub soft_bytes: u64,
    pub soft_seconds: u32,
}

/// The limits by class of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputBufferLimits {
    pub normal: OutputBufferLimit,
    pub replica: OutputBufferLimit,
    pub pubsub: OutputBufferLimit,
}

/// What a signal to stop does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownOptions {
    /// Whether to write a snapshot first; `None`: if there are save points.
    pub save: Option<bool>,
    /// Without waiting for clients.
    pub now: bool,
    /// Also if the snapshot cannot be written.
    pub force: bool,
}

impl ShutdownOptions {
    pub const WORDS: &'static [&'static str] = &["default", "save", "nosave", "now", "force"];

    /// Its words in their fixed order.
    pub fn words(self) -> Vec<&'static str> {
        let ShutdownOptions { save, now, force } = self;
        let set = [save == Some(true), save == Some(false), now, force];
        let words: Vec<_> =
            Self::WORDS[1..].iter().zip(set).filter(|(_, set)| *set).map(|(word, _)| *word).collect();
        if words.is_empty() { vec![Self::WORDS[0]] } else { words }
    }
}

/// The password of the default user; empty: none is asked for. `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(pub(super) Vec<u8>);

impl Password {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is the password, in a time that does not tell how much of it was right.
    pub fn matches(&self, given: &[u8]) -> bool {
        let differing = self.0.iter().zip(given).fold(0, |bits, (ours, theirs)| bits | (ours ^ theirs));
        self.0.len() == given.len() && differing == 0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.is_empty() { "none" } else { "set" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_written() {
        for text in ["127.0.0.1", "::1", "*", "::*", "-::1", "-*"] {
            assert_eq!(BindAddress::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "-", "localhost", "1.2.3.4.5", "1.2.3.4:80"] {
            assert_eq!(BindAddress::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_password_matches_only_itself_and_stays_hidden() {
        let password = Password(b"secret".to_vec());
        assert!(password.matches(b"secret"));
        for wrong in [&b""[..], b"secre", b"secrets", b"Secret", b"xxxxxx"] {
            assert!(!password.matches(wrong));
        }
        assert_eq!(format!("{password:?}"), "set");
    }
}
