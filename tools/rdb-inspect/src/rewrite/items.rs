//! Records that are no keys: which of them a written file gets.

use std::collections::HashSet;

use formats::rdb::string::StringBuffer;
use formats::rdb::{Dialect, Item, RdbString, opcode};
use xxhash_rust::xxh3::xxh3_64;

use super::{RdbFile, Sink};
use crate::failure::Failure;

/// Libraries of functions came with this version.
pub const FUNCTIONS_SINCE: u16 = 10;
/// Libraries and modules that are remembered, to write none twice.
const MAX_REMEMBERED: usize = 1 << 20;

/// Copies records that are no keys. Hints of how many keys there are, by database or by slot, are not copied: they are
/// made anew, or left out.
pub struct ItemWriter {
    /// The keys are no longer those that the file's replication history tells of.
    keys_change: bool,
    seen: HashSet<u64>,
    buffer: StringBuffer,
    pub left_out: LeftOut,
}

/// Records that were not copied and are missed.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeftOut {
    pub functions: u64,
    /// Of a form that no release loads.
    pub pre_ga_functions: u64,
    pub slot_imports: u64,
    /// Functions of which there was one by that name.
    pub repeated: u64,
}

impl ItemWriter {
    pub fn new(keys_change: bool) -> ItemWriter {
        let (seen, buffer) = (HashSet::new(), StringBuffer::default());
        ItemWriter { keys_change, seen, buffer, left_out: LeftOut::default() }
    }

    /// Writes `item`, unless the file shall not have it.
    pub fn write<S: Sink>(&mut self, file: &mut RdbFile<S>, item: &Item<'_>) -> Result<(), Failure> {
        match *item {
            Item::Aux { name, value } if self.wants_aux(name) => {
                file.byte(opcode::AUX);
                file.string(name)?;
                file.string(value)
            }
            Item::Function { code } => self.function(file, code),
            Item::FunctionPreGa { .. } => {
                self.left_out.pre_ga_functions += 1;
                Ok(())
            }
            Item::ModuleAux { module, bytes } if self.is_new(&module.0.to_le_bytes()) => file.raw(bytes),
            Item::SlotImport { bytes } => match file.version().dialect {
                Dialect::Valkey => file.raw(bytes),
                Dialect::Redis => {
                    self.left_out.slot_imports += 1;
                    Ok(())
                }
            },
            _ => Ok(()),
        }
    }

    /// A file whose keys were changed must not claim a place in the history of replication.
    fn wants_aux(&mut self, name: RdbString<'_>) -> bool {
        match name.bytes(&mut self.buffer) {
            Ok(name) => !self.keys_change || !name.starts_with(b"repl-"),
            Err(_) => false,
        }
    }

    fn function<S: Sink>(&mut self, file: &mut RdbFile<S>, code: RdbString<'_>) -> Result<(), Failure> {
        if file.version().number < FUNCTIONS_SINCE {
            self.left_out.functions += 1;
            return Ok(());
        }
        let name = code.bytes(&mut self.buffer).map(|code| xxh3_64(library_name(code)));
        match name {
            Ok(name) if self.is_new(&name.to_be_bytes()) => {
                file.byte(opcode::FUNCTION);
                file.string(code)
            }
            _ => {
                self.left_out.repeated += 1;
                Ok(())
            }
        }
    }

    fn is_new(&mut self, name: &[u8]) -> bool {
        self.seen.len() < MAX_REMEMBERED && self.seen.insert(xxh3_64(name))
    }
}

/// The name that the first line of a library gives: `#!lua name=mylib`.
fn library_name(code: &[u8]) -> &[u8] {
    let line = code.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let words = line.split(|byte| byte.is_ascii_whitespace());
    words.filter_map(|word| word.strip_prefix(b"name=")).next().unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_named_by_its_first_line() {
        assert_eq!(library_name(b"#!lua name=one\nname=two"), b"one");
        assert_eq!(library_name(b"no name"), b"no name");
    }
}
