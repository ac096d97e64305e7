//! Records that few files have: functions, modules' own data, slots of a cluster.

use super::{Decoder, Item};
use crate::rdb::error::{Problem, RdbError};
use crate::rdb::input::Input;
use crate::rdb::opcode;
use crate::rdb::value::{ModuleId, skip_module_parts};

impl<'a> Decoder<'a> {
    pub(super) fn rare(&mut self, start: Input<'a>, first: u8) -> Result<Item<'a>, RdbError> {
        let input = &mut self.input;
        match first {
            opcode::FUNCTION => Ok(Item::Function { code: input.string("function library")? }),
            opcode::FUNCTION_PRE_GA => {
                skip_pre_ga_function(input)?;
                Ok(Item::FunctionPreGa { bytes: self.between(start) })
            }
            opcode::MODULE_AUX => {
                let module = ModuleId(input.length("module id")?);
                skip_module_aux(input)?;
                Ok(Item::ModuleAux { module, bytes: self.between(start) })
            }
            opcode::SLOT_INFO => Ok(Item::SlotInfo {
                slot: input.length("slot")?,
                keys: input.length("slot's keys")?,
                expires: input.length("slot's keys that expire")?,
            }),
            opcode::SLOT_IMPORT => {
                skip_slot_import(input)?;
                Ok(Item::SlotImport { bytes: self.between(start) })
            }
            byte => Err(self.unknown(byte)),
        }
    }
}

/// Name, engine, whether a description follows, description, code.
fn skip_pre_ga_function(input: &mut Input<'_>) -> Result<(), RdbError> {
    input.string("function name")?;
    input.string("function engine")?;
    if input.length("function description")? != 0 {
        input.string("function description")?;
    }
    input.string("function code").map(drop)
}

/// When it is to be loaded, as a module's number, then parts as in a module's value.
fn skip_module_aux(input: &mut Input<'_>) -> Result<(), RdbError> {
    if input.length("module data")? != opcode::MODULE_UNSIGNED {
        return Err(input.error("module data", Problem::Malformed("does not say when to load it")));
    }
    input.length("module data")?;
    skip_module_parts(input)
}

/// Name of the job, number of ranges, first and last slot of each.
fn skip_slot_import(input: &mut Input<'_>) -> Result<(), RdbError> {
    input.string("slot import")?;
    for _ in 0..input.count(2, "slot ranges")? {
        input.length("slot range")?;
        input.length("slot range")?;
    }
    Ok(())
}
