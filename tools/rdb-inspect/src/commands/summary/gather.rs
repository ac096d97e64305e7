//! Adds up what a file holds, in one pass.
//!
//! Invariant: what is kept has a limit: [`MOST_DATABASES`], [`MOST_NAMES`], the top lists, the prefixes.

use formats::rdb::{Item, KeyRecord, RdbError, RdbString, Scratch, ValueKind, ValueType};

use crate::content;
use crate::histogram::{ExpiryHistogram, FrequencyHistogram, IdleHistogram, SizeHistogram};
use crate::names;
use crate::prefix_table::PrefixTable;
use crate::top::Top;

/// Databases that are told apart; keys of further ones are counted with the last.
const MOST_DATABASES: usize = 4096;
/// Names of modules, of libraries, and of facts about the file that are kept.
const MOST_NAMES: usize = 64;
/// Bytes of a name that are kept.
const NAME_BYTES: usize = 256;

/// Forms of a string, which has one type byte for all.
const STRING_FORMS: [&str; 3] = ["raw", "int", "lzf"];
const FORMS: usize = ValueKind::ALL.len() + STRING_FORMS.len();

/// The encodings of a type, largest first.
pub type Encodings = Vec<(&'static str, Group)>;

/// Keys with something in common.
#[derive(Clone, Copy, Default, Debug)]
pub struct Group {
    pub keys: u64,
    pub bytes: u64,
    pub elements: u64,
    /// Bytes of the largest.
    pub largest: u64,
}

impl Group {
    #[inline]
    fn add(&mut self, bytes: u64, elements: u64) {
        self.keys += 1;
        self.bytes += bytes;
        self.elements += elements;
        self.largest = self.largest.max(bytes);
    }

    fn merge(&mut self, other: &Group) {
        self.keys += other.keys;
        self.bytes += other.bytes;
        self.elements += other.elements;
        self.largest = self.largest.max(other.largest);
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Database {
    pub number: u64,
    pub keys: u64,
    pub expiring: u64,
    pub bytes: u64,
}

/// A large key.
#[derive(Debug)]
pub struct Large {
    pub db: u64,
    /// Its start, if it is long.
    pub key: Vec<u8>,
    pub value_type: ValueType,
    pub encoding: &'static str,
    pub bytes: u64,
    /// `None` where the value is damaged.
    pub elements: Option<u64>,
}

impl Large {
    #[cold]
    fn of(record: &KeyRecord<'_>, elements: Option<u64>) -> Large {
        Large {
            db: record.db,
            key: start_of(record.key),
            value_type: record.value.value_type(),
            encoding: content::encoding(&record.value),
            bytes: record.bytes.len() as u64,
            elements,
        }
    }
}

/// All that is counted.
pub struct Gathered {
    pub aux: Vec<(Vec<u8>, Vec<u8>)>,
    pub databases: Vec<Database>,
    forms: [Group; FORMS],
    pub sizes: SizeHistogram,
    pub expiry: ExpiryHistogram,
    pub idle: Option<IdleHistogram>,
    pub frequency: Option<FrequencyHistogram>,
    pub prefixes: PrefixTable,
    pub largest: Top<Large>,
    /// Names of libraries.
    pub functions: Vec<Vec<u8>>,
    pub function_count: u64,
    /// Names of modules with the number of their values.
    pub modules: Vec<(String, u64)>,
    pub slots: u64,
    /// Values whose elements cannot be counted, and the first error.
    pub damaged: u64,
    pub first_damage: Option<RdbError>,
    scratch: Scratch,
}

impl Gathered {
    pub fn new(separator: &[u8], largest_wanted: usize, now_ms: i64) -> Gathered {
        Gathered {
            aux: Vec::new(),
            databases: Vec::new(),
            forms: [Group::default(); FORMS],
            sizes: SizeHistogram::default(),
            expiry: ExpiryHistogram::new(now_ms.unsigned_abs()),
            idle: None,
            frequency: None,
            prefixes: PrefixTable::new(separator),
            largest: Top::new(largest_wanted),
            functions: Vec::new(),
            function_count: 0,
            modules: Vec::new(),
            slots: 0,
            damaged: 0,
            first_damage: None,
            scratch: Scratch::default(),
        }
    }

    #[inline]
    pub fn item(&mut self, item: Item<'_>) {
        match item {
            Item::Key(record) => self.key(&record),
            other => self.other(other),
        }
    }

    #[inline]
    fn key(&mut self, record: &KeyRecord<'_>) {
        let bytes = record.bytes.len() as u64;
        let (form, elements) = match record.value.kind {
            ValueKind::String => (string_form(record.value.bytes), Some(1)),
            kind => (kind as usize, self.count(record)),
        };
        self.forms[form].add(bytes, elements.unwrap_or(0));
        self.sizes.add(bytes);
        self.expiry.add(record.expires_at_ms.map(|at| at.max(0).unsigned_abs()), bytes);
        if let Some(seconds) = record.idle_seconds {
            self.idle.get_or_insert_default().add(seconds, bytes);
        }
        if let Some(counter) = record.frequency {
            self.frequency.get_or_insert_default().add(counter, bytes);
        }
        let database = self.database(record.db);
        database.keys += 1;
        database.bytes += bytes;
        database.expiring += u64::from(record.expires_at_ms.is_some());
        self.prefixes.add(record.key, bytes);
        self.largest.offer(bytes, || Large::of(record, elements));
    }

    /// Elements; of damaged values none.
    fn count(&mut self, record: &KeyRecord<'_>) -> Option<u64> {
        if let Some(id) = record.value.module_id() {
            let id = id.name();
            match self.modules.iter().position(|(name, _)| *name == id) {
                Some(at) => self.modules[at].1 += 1,
                None if self.modules.len() < MOST_NAMES => self.modules.push((id, 1)),
                None => {}
            }
        }
        match record.value.count(&mut self.scratch) {
            Ok(count) => Some(count),
            Err(error) => {
                self.damaged += 1;
                self.first_damage.get_or_insert(error);
                None
            }
        }
    }

    #[inline]
    fn database(&mut self, number: u64) -> &mut Database {
        // A file has its keys database by database.
        let at = match self.databases.iter().rposition(|database| database.number == number) {
            Some(at) => at,
            None if self.databases.len() < MOST_DATABASES => {
                self.databases.push(Database { number, keys: 0, expiring: 0, bytes: 0 });
                self.databases.len() - 1
            }
            None => self.databases.len() - 1,
        };
        &mut self.databases[at]
    }

    fn other(&mut self, item: Item<'_>) {
        match item {
            Item::Aux { name, value } if self.aux.len() < MOST_NAMES => {
                self.aux.push((start_of(name), start_of(value)));
            }
            Item::Function { code } => {
                self.function_count += 1;
                if self.functions.len() < MOST_NAMES {
                    self.functions.extend(library_name(&start_of(code)));
                }
            }
            Item::FunctionPreGa { .. } => self.function_count += 1,
            Item::ModuleAux { module, .. } => {
                let name = module.name();
                if self.modules.len() < MOST_NAMES && self.modules.iter().all(|(known, _)| *known != name) {
                    self.modules.push((name, 0));
                }
            }
            Item::SlotInfo { .. } => self.slots += 1,
            _ => {}
        }
    }

    /// Types that occur, largest first, each with its encodings.
    pub fn types(&self) -> Vec<(ValueType, Group, Encodings)> {
        let mut types = Vec::new();
        for value_type in ValueType::ALL {
            let mut encodings: Encodings = (0..FORMS)
                .filter_map(|form| {
                    let (of, name) = form_of(form);
                    (of == value_type && self.forms[form].keys > 0).then_some((name, self.forms[form]))
                })
                .collect();
            encodings.sort_by_key(|(_, group)| std::cmp::Reverse(group.bytes));
            let mut total = Group::default();
            encodings.iter().for_each(|(_, group)| total.merge(group));
            if total.keys > 0 {
                types.push((value_type, total, encodings));
            }
        }
        types.sort_by_key(|(_, group, _)| std::cmp::Reverse(group.bytes));
        types
    }

    /// All keys.
    pub fn total(&self) -> Group {
        let mut total = Group::default();
        self.forms.iter().for_each(|group| total.merge(group));
        total
    }
}

/// Which form a string has, by the first byte of its length.
#[inline]
fn string_form(value: &[u8]) -> usize {
    let form = match value.first() {
        Some(0xC3) => 2,
        Some(0xC0..) => 1,
        _ => 0,
    };
    ValueKind::ALL.len() + form
}

fn form_of(form: usize) -> (ValueType, &'static str) {
    match ValueKind::ALL.get(form) {
        Some(kind) => (kind.value_type(), kind.encoding()),
        None => (ValueType::String, STRING_FORMS[form - ValueKind::ALL.len()]),
    }
}

fn start_of(string: RdbString<'_>) -> Vec<u8> {
    names::start_of(string, NAME_BYTES)
}

/// The name in `#!lua name=mylib`, with which the code of a library begins.
fn library_name(code: &[u8]) -> Option<Vec<u8>> {
    let line = code.split(|&byte| byte == b'\n').next()?;
    let word = line.split(|&byte| byte == b' ').find_map(|word| word.strip_prefix(b"name="))?;
    Some(word.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_name_themselves() {
        assert_eq!(library_name(b"#!lua name=alib\nreturn 1"), Some(b"alib".to_vec()));
        assert_eq!(library_name(b"return 1\n#!lua name=x"), None);
    }
}
