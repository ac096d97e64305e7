//! Records that are no keys: which of them a written file gets.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use formats::rdb::{Dialect, Item, RdbError, RdbString, opcode};

use super::{RdbFile, Sink};
use crate::failure::Failure;
use crate::soundness::digest;

/// Libraries of functions came with this version.
pub const FUNCTIONS_SINCE: u16 = 10;
/// Libraries and modules that are remembered, to write none twice.
const MAX_REMEMBERED: usize = 1 << 20;
/// Bytes of a string in which its name is looked for.
const HEAD_BYTES: usize = 64 << 10;

/// Copies records that are no keys. Hints of how many keys there are, by database or by slot, are not copied: they are
/// made anew, or left out.
pub struct ItemWriter {
    /// The keys are no longer those that the file's replication history tells of.
    keys_change: bool,
    seen: HashSet<u64>,
    /// Hashes names so that no file can be made to have two collide.
    random: RandomState,
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
        let (seen, random) = (HashSet::new(), RandomState::new());
        ItemWriter { keys_change, seen, random, left_out: LeftOut::default() }
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
    fn wants_aux(&self, name: RdbString<'_>) -> bool {
        match head(name) {
            Ok(name) => !self.keys_change || !name.starts_with(b"repl-"),
            Err(_) => false,
        }
    }

    fn function<S: Sink>(&mut self, file: &mut RdbFile<S>, code: RdbString<'_>) -> Result<(), Failure> {
        if file.version().number < FUNCTIONS_SINCE {
            self.left_out.functions += 1;
            return Ok(());
        }
        let head = head(code);
        let is_new = head.is_ok_and(|head| match library_name(&head) {
            Some(name) => self.is_new(name),
            None => digest(code, 0).is_ok_and(|digest| self.is_new(&digest.to_le_bytes())),
        });
        if !is_new {
            self.left_out.repeated += 1;
            return Ok(());
        }
        file.byte(opcode::FUNCTION);
        file.string(code)
    }

    fn is_new(&mut self, name: &[u8]) -> bool {
        self.seen.len() < MAX_REMEMBERED && self.seen.insert(self.random.hash_one(name))
    }
}

/// The first [`HEAD_BYTES`] of a string of which all can be unpacked.
fn head(string: RdbString<'_>) -> Result<Vec<u8>, RdbError> {
    let mut head = Vec::new();
    string.for_each_chunk(|part| {
        let room = HEAD_BYTES - head.len();
        head.extend_from_slice(&part[..part.len().min(room)]);
    })?;
    Ok(head)
}

/// The name that the first line of a library gives: `#!lua name=mylib`.
fn library_name(code: &[u8]) -> Option<&[u8]> {
    let line = code.split(|&byte| byte == b'\n').next()?;
    let mut words = line.split(|byte| byte.is_ascii_whitespace());
    words.find_map(|word| word.strip_prefix(b"name="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_named_by_its_first_line() {
        assert_eq!(library_name(b"#!lua name=one\nname=two"), Some(&b"one"[..]));
        assert_eq!(library_name(b"no name"), None);
    }
}
