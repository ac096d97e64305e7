//! Fills lists, sets, sorted sets and hashes, some elements at a time.

use formats::rdb::string::StringBuffer;
use formats::rdb::{Element, KeyRecord, Problem, RdbError, RdbString, Scratch, ValueType};

use super::commands::{BATCH_BYTES, Commands, push_argument};
use crate::commands::json::record::may_expire;
use crate::content::{PIECE_BYTES, Stop, damage_of};
use crate::failure::Failure;
use crate::json_text::push_score;

/// What one command holds, and which fields are left out.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Elements in a command.
    pub batch: u64,
    /// Fields that expired up to then are left out.
    pub expired_before_ms: u64,
    /// Fields that expire later get their expiry.
    pub now_ms: u64,
}

/// Writes the elements; answers with the first damage among them.
pub fn write(
    commands: &mut Commands,
    record: &KeyRecord<'_>,
    scratch: &mut Scratch,
    limits: Limits,
) -> Result<Option<RdbError>, Failure> {
    let name: &[u8] = match record.value.value_type() {
        ValueType::List => b"RPUSH",
        ValueType::Set => b"SADD",
        ValueType::SortedSet => b"ZADD",
        _ => b"HSET",
    };
    let mut filling = Filling {
        commands,
        name,
        key: record.key,
        offset: record.value.offset,
        limits,
        waiting: Vec::new(),
        elements: 0,
        arguments: 0,
        buffer: StringBuffer::default(),
        damage: None,
    };
    let end = record.value.for_each(scratch, |element| filling.element(element));
    let end = damage_of(end)?;
    filling.flush()?;
    let damage = filling.damage.take().or(end);
    if may_expire(record.value.kind) {
        field_expiries(commands, record, scratch, limits)?;
    }
    Ok(damage)
}

struct Filling<'f, 'r> {
    commands: &'f mut Commands,
    name: &'static [u8],
    key: RdbString<'r>,
    /// Where the value stands in the file.
    offset: u64,
    limits: Limits,
    /// Arguments of the next command.
    waiting: Vec<u8>,
    elements: u64,
    arguments: u64,
    buffer: StringBuffer,
    damage: Option<RdbError>,
}

impl Filling<'_, '_> {
    fn element(&mut self, element: Element<'_>) -> Result<(), Stop> {
        let mut score = Vec::new();
        match element {
            Element::ListItem(item) | Element::SetMember(item) => self.add(&[item])?,
            Element::SortedSetMember { member, score: number } => {
                if number.is_nan() {
                    let problem = Problem::Malformed("a score that is no number");
                    self.damage.get_or_insert(RdbError::new(self.offset, "score", problem));
                    return Ok(());
                }
                push_score(&mut score, number);
                self.add(&[RdbString::Raw(&score), member])?;
            }
            Element::HashField { field, value, expires_at_ms }
                if expires_at_ms.is_none_or(|at| at > self.limits.expired_before_ms) =>
            {
                self.add(&[field, value])?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds an element of one or two strings; one that cannot be read is left out.
    fn add(&mut self, strings: &[RdbString<'_>]) -> Result<(), Failure> {
        if strings.iter().any(|string| string.len() > PIECE_BYTES) {
            if let Err(error) = strings.iter().try_for_each(RdbString::check) {
                self.damage.get_or_insert(error);
                return Ok(());
            }
            self.flush()?;
            self.begin(strings.len() as u64)?;
            for &string in strings {
                damage_of(self.commands.string(string))?;
            }
            return self.commands.output.flow();
        }
        let start = self.waiting.len();
        for string in strings {
            match string.bytes(&mut self.buffer) {
                Ok(bytes) => push_argument(&mut self.waiting, bytes),
                Err(error) => {
                    self.waiting.truncate(start);
                    self.damage.get_or_insert(error);
                    return Ok(());
                }
            }
        }
        self.elements += 1;
        self.arguments += strings.len() as u64;
        if self.elements == self.limits.batch || self.waiting.len() >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn begin(&mut self, arguments: u64) -> Result<(), Failure> {
        self.commands.on_key(2 + arguments, self.name, self.key)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if self.elements == 0 {
            return Ok(());
        }
        self.begin(self.arguments)?;
        self.commands.output.buffer().extend_from_slice(&self.waiting);
        self.waiting.clear();
        (self.elements, self.arguments) = (0, 0);
        self.commands.output.flow()
    }
}

/// A second pass, behind all fields: an expiry is set on a field that is there.
fn field_expiries(
    commands: &mut Commands,
    record: &KeyRecord<'_>,
    scratch: &mut Scratch,
    limits: Limits,
) -> Result<(), Failure> {
    let end = record.value.for_each(scratch, |element| {
        let Element::HashField { field, value, expires_at_ms: Some(at) } = element else { return Ok(()) };
        if at > limits.now_ms && field.check().and_then(|()| value.check()).is_ok() {
            commands.on_key(6, b"HPEXPIREAT", record.key)?;
            commands.number(at);
            commands.argument(b"FIELDS");
            commands.argument(b"1");
            commands.string(field)?;
            commands.output.flow()?;
        }
        Ok::<_, Stop>(())
    });
    // The first pass has told what is damaged.
    damage_of(end).map(drop)
}
