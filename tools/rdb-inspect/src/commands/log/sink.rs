//! What every command goes through: the filters, then the sums, then the lines.

use super::command::Command;
use super::filter::Filter;
use super::gather::Gathered;
use super::lines::Lines;
use crate::failure::Failure;
use crate::interrupt;

/// Takes commands.
pub struct Sink<'s> {
    pub filter: &'s Filter,
    pub gathered: Gathered,
    /// Where each command is shown, if that is wanted.
    pub lines: Option<&'s mut Lines>,
    since_check: u32,
}

/// Commands between two looks at the signals.
const COMMANDS_BETWEEN_CHECKS: u32 = 4096;

impl<'s> Sink<'s> {
    pub fn new(filter: &'s Filter, gathered: Gathered, lines: Option<&'s mut Lines>) -> Sink<'s> {
        Sink { filter, gathered, lines, since_check: 0 }
    }

    /// Takes one command; `name` is the name of its file. `false`: no more are wanted.
    #[inline]
    pub fn command(&mut self, command: &Command<'_, '_>, name: &str) -> Result<bool, Failure> {
        self.since_check += 1;
        if self.since_check == COMMANDS_BETWEEN_CHECKS {
            self.since_check = 0;
            interrupt::check()?;
        }
        if !self.filter.in_range(command) {
            return Ok(true);
        }
        self.gathered.follow_transaction(command);
        if let Some(pattern) = &self.filter.glob {
            let key = self.gathered.key(command.args);
            if !self.filter.matches(pattern, key) {
                return Ok(true);
            }
        }
        self.gathered.command(command);
        match &mut self.lines {
            Some(lines) => lines.command(command, name),
            None => Ok(true),
        }
    }
}
