//! BITFIELD, BITFIELD_RO: integers of any width up to 64 bits, anywhere in a string.
//!
//! Invariants:
//! 1. All arguments are read before anything is done.
//! 2. What is written near together is logged together: writes gather in a [`Window`], which is put into the string as one.

use formats::resp::{Request, parse_i64};

use super::bit_offset;
use crate::command::args::{SYNTAX, integer, is};
use crate::shard::context::{CommandError, Context, Key};

type Result<T = ()> = std::result::Result<T, CommandError>;

/// Bytes that a field can touch: 64 bits that begin within a byte.
const FIELD_BYTES: usize = 9;
/// Bytes of a window. Logging some bytes that did not change costs less than logging another effect.
const WINDOW_BYTES: usize = 64;

/// An integer in a string: its width and where its highest bit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    is_signed: bool,
    width: u32,
    offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

/// What becomes of a number that the field cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy)]
struct Operation {
    field: Field,
    action: Action,
    overflow: Overflow,
}

impl Field {
    fn parse(context: &Context<'_>, kind: &[u8], offset: &[u8]) -> Result<Field> {
        const NO_TYPE: &str = "ERR Invalid bitfield type. Use something like i16 u8. \
            Note that u64 is not supported but i64 is.";
        let (is_signed, digits, widest) = match kind {
            [b'i', digits @ ..] => (true, digits, 64),
            [b'u', digits @ ..] => (false, digits, 63),
            _ => return Err(NO_TYPE.into()),
        };
        let width = parse_i64(digits).filter(|width| (1..=widest).contains(width)).ok_or(NO_TYPE)? as u32;
        Ok(Field { is_signed, width, offset: bit_offset(context, offset, Some(width))? })
    }

    /// The bytes that the field is in: the first, and how many.
    fn bytes(self) -> (usize, usize) {
        let count = (self.offset & 7) as usize + self.width as usize;
        ((self.offset >> 3) as usize, count.div_ceil(8))
    }

    fn mask(self) -> u128 {
        (1 << self.width) - 1
    }

    /// How far the field's lowest bit is from the lowest one of its [`FIELD_BYTES`].
    fn shift(self) -> u32 {
        8 * FIELD_BYTES as u32 - (self.offset & 7) as u32 - self.width
    }

    /// Least and greatest number that it can hold.
    fn limits(self) -> (i128, i128) {
        match self.is_signed {
            true => (-1 << (self.width - 1), (1 << (self.width - 1)) - 1),
            false => (0, (1 << self.width) - 1),
        }
    }

    /// The number that the lowest bits of `number` mean here.
    fn wrap(self, number: i128) -> i128 {
        let bits = number as u128 & self.mask();
        let is_negative = self.is_signed && bits >> (self.width - 1) == 1;
        if is_negative { (bits | !self.mask()) as i128 } else { bits as i128 }
    }

    fn get(self, bytes: &[u8; FIELD_BYTES]) -> i128 {
        self.wrap((word(bytes) >> self.shift()) as i128)
    }

    fn set(self, bytes: &mut [u8; FIELD_BYTES], number: i128) {
        let (mask, shift) = (self.mask(), self.shift());
        let word = word(bytes) & !(mask << shift) | (number as u128 & mask) << shift;
        bytes.copy_from_slice(&word.to_be_bytes()[16 - FIELD_BYTES..]);
    }
}

fn word(bytes: &[u8; FIELD_BYTES]) -> u128 {
    bytes.iter().fold(0, |word, byte| word << 8 | u128::from(*byte))
}

/// What a BITFIELD does with its key: it only reads it if all its operations are whole GETs.
pub fn access(line: Request<'_>) -> &'static [&'static str] {
    let mut words = line.skip(2);
    loop {
        let taken = match words.get(0) {
            None => return &["RO", "access"],
            Some(word) if is(word, "GET") && words.len() >= 3 => 3,
            Some(word) if is(word, "OVERFLOW") && words.len() >= 2 => 2,
            Some(_) => return &["RW", "access", "update"],
        };
        words = words.skip(taken);
    }
}

impl Operation {
    /// The number that an action leaves in a field that held `old`; nothing if it must not.
    fn result(self, old: i128) -> Option<i128> {
        let (least, greatest) = self.field.limits();
        let (wanted, is_above) = match self.action {
            Action::Get => return None,
            Action::Add(number) => (old + i128::from(number), old + i128::from(number) > greatest),
            Action::Set(number) if self.field.is_signed => {
                // Redis tells the side on which a number is out of range from a difference of 64 bits, which wraps.
                let wraps = self.field.width < 64 && (greatest as i64).wrapping_sub(number) < 0;
                (number.into(), i128::from(number) > greatest || wraps)
            }
            Action::Set(number) => ((number as u64).into(), i128::from(number as u64) > greatest),
        };
        if (least..=greatest).contains(&wanted) {
            return Some(wanted);
        }
        match self.overflow {
            Overflow::Wrap => Some(self.field.wrap(wanted)),
            Overflow::Saturate => Some(if is_above { greatest } else { least }),
            Overflow::Fail => None,
        }
    }
}

/// BITFIELD key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset value | ... INCRBY type offset increment] ...
pub fn bit_field(context: &mut Context<'_>) -> Result {
    let operations = parse(context)?;
    run(context, &operations)
}

/// BITFIELD_RO key [GET type offset] ...
pub fn bit_field_ro(context: &mut Context<'_>) -> Result {
    let operations = parse(context)?;
    if operations.iter().any(|operation| operation.action != Action::Get) {
        return Err("ERR BITFIELD_RO only supports the GET subcommand".into());
    }
    run(context, &operations)
}

fn parse(context: &Context<'_>) -> Result<Vec<Operation>> {
    let args = context.request;
    let (mut operations, mut overflow, mut index) = (Vec::new(), Overflow::Wrap, 2);
    while let Some(word) = args.get(index) {
        let count = args.len() - index;
        index += match word {
            _ if is(word, "OVERFLOW") && count >= 2 => {
                overflow = overflow_of(args.arg(index + 1))?;
                2
            }
            _ if is(word, "GET") && count >= 3 => {
                let field = Field::parse(context, args.arg(index + 1), args.arg(index + 2))?;
                operations.push(Operation { field, action: Action::Get, overflow });
                3
            }
            _ if (is(word, "SET") || is(word, "INCRBY")) && count >= 4 => {
                let field = Field::parse(context, args.arg(index + 1), args.arg(index + 2))?;
                let number = integer(args.arg(index + 3))?;
                let action = if is(word, "SET") { Action::Set(number) } else { Action::Add(number) };
                operations.push(Operation { field, action, overflow });
                4
            }
            _ => return Err(SYNTAX.into()),
        };
    }
    Ok(operations)
}

fn overflow_of(word: &[u8]) -> Result<Overflow> {
    match word {
        _ if is(word, "WRAP") => Ok(Overflow::Wrap),
        _ if is(word, "SAT") => Ok(Overflow::Saturate),
        _ if is(word, "FAIL") => Ok(Overflow::Fail),
        _ => Err("ERR Invalid OVERFLOW type specified".into()),
    }
}

fn run(context: &mut Context<'_>, operations: &[Operation]) -> Result {
    let key = context.key(0);
    let writes = operations.iter().filter(|operation| operation.action != Action::Get);
    let needed = writes.map(|write| write.field.bytes()).map(|(first, count)| first + count).max();
    match needed {
        None => drop(context.read_string(key)?),
        Some(_) => drop(context.string_to_change(key)?),
    }
    context.reply.array(operations.len());
    let mut window = Window::default();
    for operation in operations {
        match run_one(context, key, &mut window, *operation)? {
            Some(number) => context.reply.integer(number as i64),
            None => context.reply.null(),
        }
    }
    window.put(context, key)?;
    // A string that a write was to reach is that long, even if nothing but zeros came of it.
    let length = context.string_to_change(key)?.map_or(0, |(bytes, _)| bytes.len());
    if let Some(needed) = needed.filter(|needed| *needed > length) {
        context.overwrite_string(key, needed - 1, &[0])?;
    }
    Ok(())
}

/// Answers what the reply says.
fn run_one(
    context: &mut Context<'_>,
    key: Key<'_>,
    window: &mut Window,
    operation: Operation,
) -> Result<Option<i128>> {
    let field = operation.field;
    let (first, count) = field.bytes();
    let mut bytes = [0; FIELD_BYTES];
    window.read(context, key, first, &mut bytes)?;
    let old = field.get(&bytes);
    if operation.action == Action::Get {
        return Ok(Some(old));
    }
    let Some(new) = operation.result(old) else { return Ok(None) };
    if new != old {
        field.set(&mut bytes, new);
        window.write(context, key, first, &bytes[..count])?;
    }
    Ok(Some(if matches!(operation.action, Action::Set(_)) { old } else { new }))
}

/// Bytes of a string that were changed and not yet put into it, with what stands between them.
#[derive(Default)]
struct Window {
    start: usize,
    bytes: Vec<u8>,
}

impl Window {
    /// Fills `out` with what stands at `start`, zeros behind the end.
    fn read(&self, context: &mut Context<'_>, key: Key<'_>, start: usize, out: &mut [u8]) -> Result {
        let old = context.string_to_change(key)?.and_then(|(bytes, _)| bytes.get(start..)).unwrap_or(b"");
        let count = old.len().min(out.len());
        out[..count].copy_from_slice(&old[..count]);
        for (place, byte) in (start..).zip(out) {
            if let Some(changed) = place.checked_sub(self.start).and_then(|place| self.bytes.get(place)) {
                *byte = *changed;
            }
        }
        Ok(())
    }

    fn write(&mut self, context: &mut Context<'_>, key: Key<'_>, start: usize, bytes: &[u8]) -> Result {
        let (mut first, mut end) = (start, start + bytes.len());
        if !self.bytes.is_empty() {
            (first, end) = (first.min(self.start), end.max(self.start + self.bytes.len()));
            if end - first > WINDOW_BYTES {
                self.put(context, key)?;
                (first, end) = (start, start + bytes.len());
            }
        }
        let mut whole = vec![0; end - first];
        self.read(context, key, first, &mut whole)?;
        whole[start - first..][..bytes.len()].copy_from_slice(bytes);
        *self = Window { start: first, bytes: whole };
        Ok(())
    }

    fn put(&mut self, context: &mut Context<'_>, key: Key<'_>) -> Result {
        if !self.bytes.is_empty() {
            context.overwrite_string(key, self.start, &self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_out_of_range_wrap_stay_at_the_limit_or_fail() {
        use Action::{Add, Set};
        let field = |is_signed, width| Field { is_signed, width, offset: 0 };
        for (field, action, old, wrapped, limit) in [
            (field(false, 8), Add(1), 255, 0, 255),
            (field(false, 8), Add(-1), 0, 255, 0),
            (field(false, 8), Set(-1), 7, 255, 255),
            (field(false, 63), Add(i64::MAX), 1, 0, i64::MAX),
            (field(true, 8), Add(1), 127, -128, 127),
            (field(true, 8), Add(-1), -128, 127, -128),
            (field(true, 8), Set(200), 0, -56, 127),
            (field(true, 8), Set(-200), 0, 56, -128),
            (field(true, 8), Set(i64::MIN), 0, 0, 127), // see `Operation::result`
            (field(true, 64), Add(1), i64::MAX, i64::MIN, i64::MAX),
            (field(true, 64), Add(i64::MIN), -1, i64::MAX, i64::MIN),
            (field(true, 1), Add(1), 0, -1, 0),
        ] {
            let result = |overflow| Operation { field, action, overflow }.result(old.into());
            assert_eq!(result(Overflow::Wrap), Some(wrapped.into()), "{action:?} on {old} in {field:?}");
            assert_eq!(result(Overflow::Saturate), Some(limit.into()), "{action:?} on {old} in {field:?}");
            assert_eq!(result(Overflow::Fail), None, "{action:?} on {old} in {field:?}");
        }
    }

    proptest! {
        #[test]
        fn a_field_is_its_bits_and_no_others(
            mut bytes in any::<[u8; FIELD_BYTES]>(),
            offset in 0..8u64,
            width in 1..=64u32,
            number in any::<i64>(),
        ) {
            let bit = |bytes: &[u8], place: u64| bytes[(place / 8) as usize] >> (7 - place % 8) & 1;
            let field = Field { is_signed: false, width, offset };
            let before = bytes;
            field.set(&mut bytes, number.into());
            for place in 0..8 * FIELD_BYTES as u64 {
                let expected = match (offset + u64::from(width)).checked_sub(place + 1) {
                    Some(shift) if place >= offset => (number >> shift & 1) as u8,
                    _ => bit(&before, place),
                };
                prop_assert_eq!(bit(&bytes, place), expected, "{}", place);
            }
            let signed = Field { is_signed: true, ..field };
            prop_assert_eq!(signed.get(&bytes), i128::from(number << (64 - width) >> (64 - width)));
            prop_assert_eq!(field.get(&bytes), i128::from((number as u64) << (64 - width) >> (64 - width)));
        }
    }
}
