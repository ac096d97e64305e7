//! What a report shows: the interface between the collector and the page.
//!
//! Unless a field says otherwise, *bytes* are bytes in memory as estimated for Redis 7: the key, its value and
//! its share of the tables. *Keys* are counts. Times are Unix milliseconds. Whatever the page shows with a
//! share takes the root of [`ReportData::prefixes`] as the whole.
//!
//! Invariants:
//! 1. It can be filled in one pass in bounded memory: the limits are constants here, histograms are fixed, the
//!    tree is merged into "(other)" nodes, the biggest keys are a heap of [`MAX_BIGGEST_KEYS`].
//! 2. What comes from a data file is [`Text`], with its unprintable characters spelled out.
//! 3. A parent's keys and bytes cover those of its children.

use serde::{Serialize, Serializer};

pub use super::text::Text;
pub use crate::histogram::{
    ExpiryHistogram, FREQUENCY_BANDS, FrequencyHistogram, IDLE_BANDS_SECONDS, IdleHistogram, SizeHistogram,
    TTL_BANDS_MS, Tally,
};

/// Most nodes of the tree of prefixes; the page lays out so many without a pause.
pub const MAX_PREFIX_NODES: usize = 3000;
/// Most levels of the tree below its root.
pub const MAX_PREFIX_DEPTH: usize = 16;
/// Most rows of the table of biggest keys.
pub const MAX_BIGGEST_KEYS: usize = 10_000;
/// Most warnings; what comes after them is counted.
pub const MAX_WARNINGS: usize = 100;
/// Most fields of a file's head that are listed.
pub const MAX_AUX_FIELDS: usize = 64;

/// One report over one or more files.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReportData {
    /// The program that made the report and its version.
    pub generator: String,
    /// When the report was made; 0 is not shown.
    pub made_at_ms: u64,
    pub files: Vec<FileSummary>,
    /// At most [`MAX_WARNINGS`].
    pub warnings: Vec<Warning>,
    /// Warnings that are not listed.
    pub warnings_left_out: u64,
    pub memory: MemoryEstimate,
    /// The root stands for everything and has no name.
    pub prefixes: PrefixNode,
    /// Indexed by [`KeyType`].
    pub types: [Tally; KeyType::COUNT],
    pub encodings: Vec<EncodingRow>,
    pub databases: Vec<DatabaseRow>,
    pub sizes: SizeHistogram,
    pub expiry: ExpiryHistogram,
    /// Where the files say how long keys were idle.
    pub idle: Option<IdleHistogram>,
    /// Where the files say how often keys were used.
    pub frequency: Option<FrequencyHistogram>,
    /// Biggest first, at most [`MAX_BIGGEST_KEYS`].
    pub biggest: Vec<BigKey>,
}

/// What the data would take in memory.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct MemoryEstimate {
    pub redis7_bytes: u64,
    pub everfast_bytes: u64,
}

/// What a file says of itself, and what was found to be true.
#[derive(Clone, Debug, Serialize)]
pub struct FileSummary {
    /// Name without its folder.
    pub name: Text,
    /// Length of the file.
    pub file_bytes: u64,
    pub rdb_version: u32,
    pub producer: Option<Producer>,
    pub created_ms: Option<u64>,
    pub keys: u64,
    pub checksum: Checksum,
    /// Name and value of each auxiliary field, at most [`MAX_AUX_FIELDS`].
    pub aux: Vec<(Text, Text)>,
}

/// The server that wrote a file: from `redis-ver` or `valkey-ver`.
#[derive(Clone, Debug, Serialize)]
pub struct Producer {
    /// `Redis` or `Valkey`.
    pub name: &'static str,
    pub version: Text,
}

/// The verdict on a file's CRC-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Checksum {
    Verified {
        #[serde(serialize_with = "hex")]
        value: u64,
    },
    Mismatch {
        #[serde(serialize_with = "hex")]
        expected: u64,
        #[serde(serialize_with = "hex")]
        found: u64,
    },
    /// The file was written without one (RDB version below 5, or `rdbchecksum no`).
    Absent,
    /// Reading ended before it.
    NotReached,
}

/// Sums are 64 bits wide, the numbers of a script 53.
fn hex<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:016x}"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Some figures are less exact than they look.
    Warning,
    /// Data is damaged or missing.
    Error,
}

#[derive(Clone, Debug, Serialize)]
pub struct Warning {
    pub severity: Severity,
    pub text: Text,
    /// Index in [`ReportData::files`].
    pub file: Option<u32>,
    /// Offset in that file, in bytes.
    pub offset: Option<u64>,
}

/// A key's type, in the order of the page's colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    String,
    Hash,
    List,
    Set,
    SortedSet,
    Stream,
    Module,
}

impl KeyType {
    pub const COUNT: usize = 7;
    /// In the order of their indexes.
    pub const ALL: [KeyType; Self::COUNT] = [
        KeyType::String,
        KeyType::Hash,
        KeyType::List,
        KeyType::Set,
        KeyType::SortedSet,
        KeyType::Stream,
        KeyType::Module,
    ];

    /// Position in arrays by type.
    pub fn index(self) -> usize {
        self as usize
    }

    pub fn name(self) -> &'static str {
        match self {
            KeyType::String => "string",
            KeyType::Hash => "hash",
            KeyType::List => "list",
            KeyType::Set => "set",
            KeyType::SortedSet => "zset",
            KeyType::Stream => "stream",
            KeyType::Module => "module",
        }
    }
}

/// In JSON its index.
impl Serialize for KeyType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

/// Keys that share a prefix.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PrefixNode {
    /// What the prefix has beyond its parent's, with the separator that ends it, if any: the names from below the root
    /// to here, joined, are the prefix. A `*` stands for a part that varies, such as a number; the page's filter
    /// reads it so. `(other)` where nodes were merged.
    pub name: Text,
    pub keys: u64,
    pub bytes: u64,
    /// Bytes by [`KeyType`]; they add up to `bytes`.
    pub type_bytes: [u64; KeyType::COUNT],
    /// Whether this stands for several small prefixes that were merged.
    #[serde(skip_serializing_if = "is_false")]
    pub merged: bool,
    /// In any order. What the parent has beyond them is shown as keys without a further prefix.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<PrefixNode>,
}

fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Clone, Debug, Serialize)]
pub struct EncodingRow {
    #[serde(rename = "type")]
    pub key_type: KeyType,
    /// As `OBJECT ENCODING` names it, where there is such a name.
    pub encoding: &'static str,
    pub tally: Tally,
}

#[derive(Clone, Debug, Serialize)]
pub struct DatabaseRow {
    pub database: u32,
    pub tally: Tally,
    /// Keys that have an expiry.
    pub expiring_keys: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct BigKey {
    pub key: Text,
    /// Length of the key; [`Text`] may show less.
    pub key_bytes: u64,
    pub database: u32,
    #[serde(rename = "type")]
    pub key_type: KeyType,
    pub encoding: &'static str,
    /// Fields, items, members or entries; 1 for a string.
    pub elements: u64,
    pub bytes: u64,
    /// Bytes of its record in the file.
    pub file_bytes: u64,
    /// Length of the longest element: of a hash's field and value together.
    pub largest_element_bytes: u64,
    pub expires_at_ms: Option<u64>,
}
