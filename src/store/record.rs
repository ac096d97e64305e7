//! The bytes of one key and its value inside a page.
//!
//! ```text
//! +-------+---------+-----------------+--------------------+----------------------+
//! | flags | key_len | key             | expire_at (TTL)    | value                |
//! | 1 B   | 1 B     | key_len B       | 8 B little-endian  | to the record's end  |
//! +-------+---------+-----------------+--------------------+----------------------+
//!
//! flags   bit 0  VALUE_OUTSIDE: the value is the number (u16) of an object beside the page
//!         bit 1  TTL: expire_at is there, in Unix milliseconds
//!         bit 2  KEY_OUTSIDE: the key is the number (u16) of an object beside the page
//!         bit 3  0, kept for three bytes of access history behind expire_at
//!         4..8   the type
//! ```
//!
//! Invariants:
//! 1. A record ends where the next one of its page starts: the value's length is not stored.
//! 2. A record is never longer than [`MAX_RECORD`], so that a page holds several.
//! 3. The key stands at a fixed place: a lookup compares it before it reads anything else.

use super::value::{Object, Type};

const VALUE_OUTSIDE: u8 = 1;
const TTL: u8 = 1 << 1;
const KEY_OUTSIDE: u8 = 1 << 2;
const TYPE_SHIFT: u32 = 4;

/// Bytes ahead of the key.
const HEAD: usize = 2;
/// Bytes of `expire_at`.
pub(super) const EXPIRY: usize = 8;
/// Bytes of the number of an object beside the page.
const NUMBER: usize = 2;
/// Longer keys stand outside the page.
const MAX_KEY: usize = 255;
/// Longer values stand outside the page.
pub(super) const MAX_VALUE: usize = 1024;
pub(super) const MAX_RECORD: usize = HEAD + MAX_KEY + EXPIRY + MAX_VALUE;

/// A key or a value on its way into a page.
pub(super) enum Field<'a> {
    Inline(&'a [u8]),
    Outside(Object),
}

impl<'a> Field<'a> {
    pub(super) fn key(key: &'a [u8]) -> Self {
        if key.len() <= MAX_KEY { Field::Inline(key) } else { Field::Outside(Object::string(key.to_vec())) }
    }

    pub(super) fn string(value: &'a [u8]) -> Self {
        if value.len() <= MAX_VALUE {
            Field::Inline(value)
        } else {
            Field::Outside(Object::string(value.to_vec()))
        }
    }

    fn len(&self) -> usize {
        match self {
            Field::Inline(bytes) => bytes.len(),
            Field::Outside(_) => NUMBER,
        }
    }

    /// Fills the front of `out`; returns what is behind.
    #[inline]
    fn write<'o>(&self, out: &'o mut [u8], put_outside: &mut impl FnMut(Object) -> u16) -> &'o mut [u8] {
        match self {
            Field::Inline(bytes) => fill(out, bytes),
            Field::Outside(object) => fill(out, &put_outside(object.clone()).to_le_bytes()),
        }
    }

    fn flag(&self, flag: u8) -> u8 {
        if matches!(self, Field::Outside(_)) { flag } else { 0 }
    }
}

/// A record that is about to be written.
pub(super) struct NewRecord<'a> {
    pub(super) kind: Type,
    pub(super) key: Field<'a>,
    pub(super) value: Field<'a>,
    pub(super) expire_at: Option<u64>,
}

impl NewRecord<'_> {
    pub(super) fn len(&self) -> usize {
        HEAD + self.key.len() + self.expire_at.map_or(0, |_| EXPIRY) + self.value.len()
    }

    /// Fills `out`, which is as long as the record. `put_outside` stores an object beside the page and numbers it.
    #[inline]
    pub(super) fn write(&self, out: &mut [u8], mut put_outside: impl FnMut(Object) -> u16) {
        out[0] = (self.kind as u8) << TYPE_SHIFT
            | self.key.flag(KEY_OUTSIDE)
            | self.value.flag(VALUE_OUTSIDE)
            | self.expire_at.map_or(0, |_| TTL);
        out[1] = self.key.len() as u8;
        let mut rest = self.key.write(&mut out[HEAD..], &mut put_outside);
        if let Some(at) = self.expire_at {
            rest = fill(rest, &at.to_le_bytes());
        }
        self.value.write(rest, &mut put_outside);
    }
}

fn fill<'a>(out: &'a mut [u8], bytes: &[u8]) -> &'a mut [u8] {
    let (head, rest) = out.split_at_mut(bytes.len());
    head.copy_from_slice(bytes);
    rest
}

/// A record that is there, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    flags: u8,
    key: &'a [u8],
    pub(super) expire_at: Option<u64>,
    value: &'a [u8],
}

/// A key or value of a record.
pub(super) enum Stored<'a> {
    Inline(&'a [u8]),
    Outside(u16),
}

impl<'a> Record<'a> {
    #[inline]
    pub(super) fn parse(bytes: &'a [u8]) -> Record<'a> {
        let flags = bytes[0];
        let (key, rest) = bytes[HEAD..].split_at(bytes[1] as usize);
        let (expire_at, value) = match rest.split_first_chunk::<EXPIRY>() {
            Some((at, value)) if flags & TTL != 0 => (Some(u64::from_le_bytes(*at)), value),
            _ => (None, rest),
        };
        Record { flags, key, expire_at, value }
    }

    pub(super) fn kind(&self) -> Type {
        Type::from_bits(self.flags >> TYPE_SHIFT)
    }

    #[inline]
    pub(super) fn key(&self) -> Stored<'a> {
        stored(self.key, self.flags & KEY_OUTSIDE != 0)
    }

    #[inline]
    pub(super) fn value(&self) -> Stored<'a> {
        stored(self.value, self.flags & VALUE_OUTSIDE != 0)
    }

    /// The numbers of the objects that the record owns.
    pub(super) fn outside(&self) -> impl Iterator<Item = u16> + use<> {
        [self.key(), self.value()]
            .map(|field| if let Stored::Outside(number) = field { Some(number) } else { None })
            .into_iter()
            .flatten()
    }

    /// Where `expire_at` stands in the record, or would.
    pub(super) fn expiry_position(&self) -> usize {
        HEAD + self.key.len()
    }
}

#[inline]
fn stored(bytes: &[u8], outside: bool) -> Stored<'_> {
    if outside { Stored::Outside(u16::from_le_bytes([bytes[0], bytes[1]])) } else { Stored::Inline(bytes) }
}

/// Whether `record`, the page's bytes from the record's start on, has this key inside the page.
#[inline]
pub(super) fn has_inline_key(record: &[u8], key: &[u8]) -> bool {
    record[1] as usize == key.len() && record[0] & KEY_OUTSIDE == 0 && record[HEAD..].starts_with(key)
}

/// Keys of this length are compared inside the page.
#[inline]
pub(super) fn key_stands_inside(key: &[u8]) -> bool {
    key.len() <= MAX_KEY
}

/// Says whether the record's expiry is there.
pub(super) fn mark_expiry(record: &mut [u8], present: bool) {
    record[0] = if present { record[0] | TTL } else { record[0] & !TTL };
}

/// Gives the objects of a record that moved to another page their new numbers.
pub(super) fn renumber(record: &mut [u8], mut number: impl FnMut(u16) -> u16) {
    let (flags, key_len) = (record[0], record[1] as usize);
    let value_at = HEAD + key_len + if flags & TTL != 0 { EXPIRY } else { 0 };
    for (flag, at) in [(KEY_OUTSIDE, HEAD), (VALUE_OUTSIDE, value_at)] {
        if flags & flag != 0 {
            let new = number(u16::from_le_bytes([record[at], record[at + 1]]));
            record[at..at + NUMBER].copy_from_slice(&new.to_le_bytes());
        }
    }
}

/// Whether any object of the record stands outside the page.
pub(super) fn owns_objects(record: &[u8]) -> bool {
    record[0] & (KEY_OUTSIDE | VALUE_OUTSIDE) != 0
}
