//! Fills a report's data in one pass over the files.
//!
//! Invariants:
//! 1. What is kept has a limit: the tree of prefixes, the biggest keys, databases, warnings; the rest are counters.
//! 2. What had to be merged, left out or scaled up is told in a warning.

use std::path::Path;

use formats::rdb::{Item, KeyRecord, RdbError, ValueType};

use super::data::{
    BigKey, Checksum, DatabaseRow, EncodingRow, ExpiryHistogram, FileSummary, KeyType, MAX_AUX_FIELDS,
    MAX_BIGGEST_KEYS, MAX_PREFIX_DEPTH, MAX_PREFIX_NODES, MAX_WARNINGS, PrefixNode, Producer, ReportData,
    Severity, Tally, Text, Warning,
};
use crate::estimate::{Estimate, Estimated, Scale};
use crate::failure::Failure;
use crate::input::Input;
use crate::memory::everfast_stores;
use crate::names;
use crate::prefix_tree::{Branch, PrefixTree, Rule, View};
use crate::select::now_ms;
use crate::text;
use crate::top::Top;
use crate::walk::{self, Findings};

/// Nodes of the tree while it is filled; far more than are shown, so that what is shown is nearly exact.
const TREE_NODES: usize = 20_000;
/// Databases that are told apart; the keys of further ones count with the last.
const MAX_DATABASES: usize = 1024;
/// Bytes of a name or a value in a file's head that are kept.
const AUX_BYTES: usize = 256;

/// What to collect, and how.
pub struct Options<'o> {
    pub estimate: &'o Estimate,
    pub separators: Vec<u8>,
}

/// A report on `inputs`, and whether they are sound.
pub fn collect(inputs: &[Input], options: &Options<'_>) -> Result<(ReportData, bool), Failure> {
    let mut collector = Collector::new(options);
    let mut sound = true;
    for input in inputs {
        sound &= collector.file(input, options)?;
    }
    Ok((collector.finish(options), sound))
}

struct Collector {
    data: ReportData,
    tree: PrefixTree,
    biggest: Top<BigKey>,
    has_expiry_reference: bool,
    /// Bytes of types that Everfast does not store yet.
    planned_bytes: u64,
}

/// What a file says beside its keys.
#[derive(Default)]
struct Head {
    aux: Vec<(Vec<u8>, Vec<u8>)>,
    checksum: Option<u64>,
}

impl Head {
    fn note(&mut self, item: &Item<'_>) {
        match item {
            Item::Aux { name, value } if self.aux.len() < MAX_AUX_FIELDS => {
                self.aux.push((names::start_of(*name, AUX_BYTES), names::start_of(*value, AUX_BYTES)));
            }
            Item::End { checksum } => self.checksum = *checksum,
            _ => {}
        }
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        self.aux.iter().find(|(other, _)| other == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    fn created_ms(&self) -> Option<u64> {
        let seconds: u64 = std::str::from_utf8(self.get("ctime")?).ok()?.parse().ok()?;
        seconds.checked_mul(1000)
    }

    fn producer(&self) -> Option<Producer> {
        let versions = [("Redis", "redis-ver"), ("Valkey", "valkey-ver")];
        versions
            .into_iter()
            .find_map(|(name, field)| Some(Producer { name, version: Text::from_bytes(self.get(field)?) }))
    }
}

impl Collector {
    fn new(options: &Options<'_>) -> Collector {
        let rule = Rule::Separators {
            separators: options.separators.clone(),
            depth: MAX_PREFIX_DEPTH,
            joins_numbers: true,
        };
        Collector {
            data: ReportData {
                generator: format!("rdb-inspect {}", env!("CARGO_PKG_VERSION")),
                made_at_ms: now_ms().try_into().unwrap_or(0),
                ..ReportData::default()
            },
            tree: PrefixTree::new(rule, TREE_NODES),
            biggest: Top::new(MAX_BIGGEST_KEYS),
            has_expiry_reference: false,
            planned_bytes: 0,
        }
    }

    fn file(&mut self, input: &Input, options: &Options<'_>) -> Result<bool, Failure> {
        let number = self.data.files.len() as u32;
        let head = std::cell::RefCell::new(Head::default());
        let (mut keys, mut damaged) = (0, Vec::new());
        let mut damaged_count = 0;
        let findings = options.estimate.for_each_of(
            input,
            |mut key| {
                if keys == 0 && !self.has_expiry_reference {
                    self.start_expiry(head.borrow().created_ms());
                }
                keys += 1;
                self.key(&mut key);
                Ok(())
            },
            |record, error| {
                damaged_count += 1;
                if damaged.len() < MAX_WARNINGS {
                    damaged.push(damage(record, error, number));
                }
            },
            |item| head.borrow_mut().note(item),
        )?;
        let head = head.into_inner();
        let told = damaged.len() as u64;
        damaged.into_iter().for_each(|warning| self.warn(warning));
        self.data.warnings_left_out += damaged_count - told;
        self.findings(&findings, number);
        self.data.files.push(summary(input, &head, &findings, keys));
        Ok(findings.is_sound() && damaged_count == 0)
    }

    /// What has expired is told as of the time when the first file was made.
    fn start_expiry(&mut self, created_ms: Option<u64>) {
        let now = self.data.made_at_ms;
        self.data.expiry = ExpiryHistogram::new(created_ms.unwrap_or(now));
        self.has_expiry_reference = true;
    }

    fn key(&mut self, key: &mut Estimated<'_, '_>) {
        let (record, footprint) = (key.record, key.footprint);
        let value_type = record.value.value_type();
        let bytes = footprint.redis_bytes;
        let data = &mut self.data;
        data.memory.redis7_bytes = data.memory.redis7_bytes.saturating_add(bytes);
        data.memory.everfast_bytes = data.memory.everfast_bytes.saturating_add(footprint.everfast_bytes);
        if !everfast_stores(value_type) {
            self.planned_bytes = self.planned_bytes.saturating_add(footprint.everfast_bytes);
        }
        data.types[key_type(value_type).index()].add(bytes);
        encoding_row(&mut data.encodings, key_type(value_type), footprint.encoding).tally.add(bytes);
        let database = database_row(&mut data.databases, record.db);
        database.tally.add(bytes);
        database.expiring_keys += u64::from(record.expires_at_ms.is_some());
        data.sizes.add(bytes);
        data.expiry.add(expiry(record), bytes);
        if let Some(seconds) = record.idle_seconds {
            data.idle.get_or_insert_default().add(seconds, bytes);
        }
        if let Some(counter) = record.frequency {
            data.frequency.get_or_insert_default().add(counter, bytes);
        }
        self.tree.add(key.name, value_type, bytes);
        if self.biggest.takes(bytes) {
            self.biggest.offer(bytes, || big_key(key));
        }
    }

    fn findings(&mut self, findings: &Findings, file: u32) {
        let error = |text: String, offset| Warning {
            severity: Severity::Error,
            text: Text::from_bytes(text.as_bytes()),
            file: Some(file),
            offset,
        };
        if let Some(damage) = &findings.damage {
            let text = format!("{damage}; nothing behind it was read");
            self.warn(error(text, Some(damage.error.offset())));
        }
        if findings.trailing_bytes > 0 {
            self.warn(error(format!("{} bytes behind the end", findings.trailing_bytes), None));
        }
        if let walk::Checksum::Wrong { .. } = findings.checksum {
            self.warn(error("the checksum is wrong".into(), None));
        }
    }

    fn warn(&mut self, warning: Warning) {
        if self.data.warnings.len() < MAX_WARNINGS {
            self.data.warnings.push(warning);
        } else {
            self.data.warnings_left_out += 1;
        }
    }

    fn note(&mut self, severity: Severity, text: String) {
        self.warn(Warning { severity, text: Text::from(text.as_str()), file: None, offset: None });
    }

    fn finish(mut self, options: &Options<'_>) -> ReportData {
        let merged = self.tree.merges() > 0;
        // A node may have another one for what was merged into it.
        self.tree.keep(MAX_PREFIX_NODES / 2 - 1);
        let view = View { top: usize::MAX, least_bytes: 0, depth: MAX_PREFIX_DEPTH };
        self.data.prefixes = prefix_node(&self.tree.branch(&view));
        if merged {
            let what =
                "There are more prefixes than can be told apart: single ones may be shown with too little.";
            self.note(Severity::Warning, what.into());
        }
        if self.planned_bytes > 0 {
            let bytes = text::bytes(self.planned_bytes);
            let what = format!(
                "Everfast stores strings only so far; {bytes} of its estimate are for other types, as if packed."
            );
            self.note(Severity::Note, what);
        }
        if !options.estimate.select.is_all() {
            self.note(Severity::Note, "Only keys that pass the filters are in this report.".into());
        }
        self.data.biggest = std::mem::replace(&mut self.biggest, Top::new(0)).into_sorted();
        self.data.databases.sort_by_key(|row| row.database);
        let scale = options.estimate.scale();
        if scale.is_estimate() {
            self.data.scale_up(scale);
            let what = "Figures are scaled up from a sample; the biggest keys are those of the sample.";
            self.note(Severity::Warning, what.into());
        }
        self.data
    }
}

impl ReportData {
    fn scale_up(&mut self, scale: Scale) {
        let up = |figure: &mut u64| *figure = scale.up(*figure);
        let tally = |tally: &mut Tally| {
            up(&mut tally.count);
            up(&mut tally.bytes);
        };
        up(&mut self.memory.redis7_bytes);
        up(&mut self.memory.everfast_bytes);
        self.files.iter_mut().for_each(|file| up(&mut file.keys));
        self.types.iter_mut().for_each(tally);
        self.encodings.iter_mut().for_each(|row| tally(&mut row.tally));
        self.databases.iter_mut().for_each(|row| {
            tally(&mut row.tally);
            up(&mut row.expiring_keys);
        });
        self.sizes.tallies_mut().for_each(tally);
        self.expiry.tallies_mut().for_each(tally);
        self.idle.iter_mut().flat_map(|idle| idle.tallies_mut()).for_each(tally);
        self.frequency.iter_mut().flat_map(|frequency| frequency.tallies_mut()).for_each(tally);
        self.prefixes.scale_up(scale);
    }
}

impl PrefixNode {
    fn scale_up(&mut self, scale: Scale) {
        self.keys = scale.up(self.keys);
        self.type_bytes = self.type_bytes.map(|bytes| scale.up(bytes));
        self.bytes = self.type_bytes.iter().sum();
        self.children.iter_mut().for_each(|child| child.scale_up(scale));
    }
}

fn key_type(value_type: ValueType) -> KeyType {
    match value_type {
        ValueType::String => KeyType::String,
        ValueType::List => KeyType::List,
        ValueType::Set => KeyType::Set,
        ValueType::SortedSet => KeyType::SortedSet,
        ValueType::Hash => KeyType::Hash,
        ValueType::Stream => KeyType::Stream,
        ValueType::Module => KeyType::Module,
    }
}

fn expiry(record: &KeyRecord<'_>) -> Option<u64> {
    record.expires_at_ms.map(|at| at.try_into().unwrap_or(0))
}

fn encoding_row<'r>(
    rows: &'r mut Vec<EncodingRow>,
    key_type: KeyType,
    encoding: &'static str,
) -> &'r mut EncodingRow {
    let known = rows.iter().position(|row| row.key_type == key_type && row.encoding == encoding);
    let at = known.unwrap_or_else(|| {
        rows.push(EncodingRow { key_type, encoding, tally: Tally::default() });
        rows.len() - 1
    });
    &mut rows[at]
}

/// The row of the database: mostly that of the key before.
fn database_row(rows: &mut Vec<DatabaseRow>, db: u64) -> &mut DatabaseRow {
    let database = u32::try_from(db).unwrap_or(u32::MAX);
    let known = rows.iter().rposition(|row| row.database == database);
    let at = known.unwrap_or_else(|| {
        if rows.len() < MAX_DATABASES {
            rows.push(DatabaseRow { database, tally: Tally::default(), expiring_keys: 0 });
        }
        rows.len() - 1
    });
    &mut rows[at]
}

fn big_key(key: &mut Estimated<'_, '_>) -> BigKey {
    let (record, footprint) = (key.record, &key.footprint);
    BigKey {
        key: Text::from_bytes(key.name),
        key_bytes: record.key.len() as u64,
        database: u32::try_from(record.db).unwrap_or(u32::MAX),
        key_type: key_type(record.value.value_type()),
        encoding: footprint.encoding,
        elements: footprint.elements,
        bytes: footprint.redis_bytes,
        file_bytes: record.bytes.len() as u64,
        largest_element_bytes: key.model.longest_element(record),
        expires_at_ms: expiry(record),
    }
}

fn damage(record: &KeyRecord<'_>, error: &RdbError, file: u32) -> Warning {
    let text = format!("{error} (db {}, key {})", record.db, names::of(record.key));
    Warning {
        severity: Severity::Error,
        text: Text::from_bytes(text.as_bytes()),
        file: Some(file),
        offset: Some(error.offset()),
    }
}

fn summary(input: &Input, head: &Head, findings: &Findings, keys: u64) -> FileSummary {
    let name = Path::new(&input.name).file_name();
    let aux = head.aux.iter().map(|(name, value)| (Text::from_bytes(name), Text::from_bytes(value)));
    FileSummary {
        name: name.map_or_else(
            || Text::from(input.name.as_str()),
            |name| Text::from_bytes(name.as_encoded_bytes()),
        ),
        file_bytes: input.len(),
        rdb_version: findings.version.map_or(0, |version| version.number.into()),
        producer: head.producer(),
        created_ms: head.created_ms(),
        keys,
        checksum: match (findings.checksum, head.checksum) {
            (walk::Checksum::Good, Some(value)) => Checksum::Verified { value },
            (walk::Checksum::Wrong { expected, found }, _) => Checksum::Mismatch { expected, found },
            (walk::Checksum::Absent, _) => Checksum::Absent,
            _ => Checksum::NotReached,
        },
        aux: aux.collect(),
    }
}

fn prefix_node(branch: &Branch) -> PrefixNode {
    let mut type_bytes = [0; KeyType::COUNT];
    for (value_type, bytes) in ValueType::ALL.into_iter().zip(branch.sum.type_bytes) {
        type_bytes[key_type(value_type).index()] = bytes;
    }
    PrefixNode {
        name: if branch.is_other { Text::from("(other)") } else { Text::from_bytes(&branch.name) },
        keys: branch.sum.keys,
        bytes: branch.sum.bytes(),
        type_bytes,
        merged: branch.is_other,
        children: branch.children.iter().map(prefix_node).collect(),
    }
}
