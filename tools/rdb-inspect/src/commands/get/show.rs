//! Shows values as redis-cli does: on a terminal, or with `--raw`.

use formats::rdb::stream::StreamFields;
use formats::rdb::string::StringBuffer;
use formats::rdb::value::ModulePart;
use formats::rdb::{Element, RdbError, RdbString, Scratch, Value, ValueType};

use crate::content::{PIECE_BYTES, Stop, damage_of, pieces};
use crate::failure::Failure;
use crate::json_text::push_score;
use crate::names::{push_escaped, push_quoted};
use crate::output::Output;

/// Writes values.
pub struct Show<'s> {
    pub output: &'s mut Output,
    pub buffer: &'s mut StringBuffer,
    /// Bytes as they are, one element a line.
    pub raw: bool,
}

impl Show<'_> {
    /// Writes the value; answers with the damage in it.
    pub fn value(&mut self, value: &Value<'_>, scratch: &mut Scratch) -> Result<Option<RdbError>, Failure> {
        if let Some(string) = value.string() {
            let damage = damage_of(self.string(string))?;
            if !self.raw {
                self.bytes(b"\n");
            }
            return Ok(damage);
        }
        let each = match value.value_type() {
            ValueType::Hash | ValueType::SortedSet => 2,
            _ => 1,
        };
        let width = value.count(scratch).map_or(1, |count| (count * each).max(1).to_string().len());
        let mut number = 0;
        let mut damage = None;
        let end = value.for_each(scratch, |element| {
            let error = damage_of(self.element(element, width, &mut number))?;
            damage = damage.take().or(error);
            self.output.flow()?;
            Ok::<_, Stop>(())
        });
        if number == 0 && !self.raw {
            self.bytes(b"(empty array)\n");
        }
        let end = damage_of(end)?;
        Ok(damage.or(end))
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.output.buffer().extend_from_slice(bytes);
    }

    /// Writes a string without a newline; none of it if it is damaged.
    pub fn string(&mut self, string: RdbString<'_>) -> Result<(), Stop> {
        let raw = self.raw;
        if string.len() <= PIECE_BYTES {
            let bytes = string.bytes(self.buffer)?;
            let out = self.output.buffer();
            if raw {
                out.extend_from_slice(bytes);
            } else {
                push_quoted(out, bytes);
            }
            return Ok(());
        }
        string.check()?;
        let quote: &[u8] = if raw { b"" } else { b"\"" };
        self.bytes(quote);
        let output = &mut *self.output;
        pieces(string, |piece| {
            if raw {
                output.buffer().extend_from_slice(piece);
            } else {
                push_escaped(output.buffer(), piece);
            }
            output.flow()
        })?;
        self.bytes(quote);
        Ok(())
    }

    /// Begins the line of the next element.
    fn number(&mut self, indent: usize, width: usize, number: u64) {
        if !self.raw {
            self.bytes(format!("{:indent$}{number:>width$}) ", "").as_bytes());
        }
    }

    fn line(&mut self, width: usize, number: &mut u64, string: RdbString<'_>) -> Result<(), Stop> {
        *number += 1;
        self.number(0, width, *number);
        let end = self.string(string);
        self.bytes(b"\n");
        end
    }

    fn fact(&mut self, name: &str, value: impl std::fmt::Display) {
        self.bytes(format!("{name}: {value}\n").as_bytes());
    }

    fn element(&mut self, element: Element<'_>, width: usize, number: &mut u64) -> Result<(), Stop> {
        match element {
            Element::String(item) | Element::ListItem(item) | Element::SetMember(item) => {
                self.line(width, number, item)
            }
            Element::HashField { field, value, .. } => {
                let end = self.line(width, number, field);
                end.and(self.line(width, number, value))
            }
            Element::SortedSetMember { member, score } => {
                let mut digits = Vec::new();
                push_score(&mut digits, score);
                let end = self.line(width, number, member);
                end.and(self.line(width, number, RdbString::Raw(&digits)))
            }
            Element::StreamEntry { id, fields } => {
                *number += 1;
                self.number(0, width, *number);
                self.number(0, 1, 1);
                self.bytes(if self.raw { b"" } else { b"\"" });
                self.bytes(id.to_string().as_bytes());
                self.bytes(if self.raw { b"\n" } else { b"\"\n" });
                self.fields(fields, width)
            }
            other => self.rest(other, number),
        }
    }

    /// Fields and values below the id of their entry.
    fn fields(&mut self, fields: StreamFields<'_>, width: usize) -> Result<(), Stop> {
        let indent = width + 2;
        let digits = (2 * fields.len()).max(1).to_string().len();
        for (i, string) in fields.flat_map(|(field, value)| [field, value]).enumerate() {
            if i == 0 {
                self.number(indent, 1, 2);
                self.number(0, digits, 1);
            } else {
                self.number(indent + 3, digits, i as u64 + 1);
            }
            self.string(string)?;
            self.bytes(b"\n");
            self.output.flow()?;
        }
        Ok(())
    }

    /// What redis-cli shows by other commands: XINFO, and of modules nothing.
    fn rest(&mut self, element: Element<'_>, number: &mut u64) -> Result<(), Stop> {
        if self.raw {
            return Ok(());
        }
        match element {
            Element::StreamInfo(info) => {
                *number += 1;
                self.fact("last id", info.last_id);
                if let Some(added) = info.entries_added {
                    self.fact("entries added", added);
                }
            }
            Element::StreamGroup(group) => {
                self.bytes(b"group ");
                self.string(group.name)?;
                self.bytes(format!(": last id {}\n", group.last_id).as_bytes());
            }
            Element::StreamPending(pending) => {
                let facts = format!("pending {}: delivered {} times\n", pending.id, pending.deliveries);
                self.bytes(b"  ");
                self.bytes(facts.as_bytes());
            }
            Element::StreamConsumer(consumer) => {
                self.bytes(b"  consumer ");
                self.string(consumer.name)?;
                self.bytes(b"\n");
            }
            Element::StreamConsumerPending(id) => {
                self.bytes(b"    ");
                self.fact("pending", id);
            }
            Element::ModulePart(part) => {
                *number += 1;
                match part {
                    ModulePart::Id(id) => self.fact("module", format_args!("{} {}", id.name(), id.version())),
                    ModulePart::Signed(part) => self.fact("signed", part as i64),
                    ModulePart::Unsigned(part) => self.fact("unsigned", part),
                    ModulePart::Float(part) => self.fact("float", part),
                    ModulePart::Double(part) => self.fact("double", part),
                    ModulePart::String(part) => {
                        self.bytes(b"string: ");
                        self.string(part)?;
                        self.bytes(b"\n");
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
