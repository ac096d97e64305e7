//! For tests: writers of the forms that today's servers read and no longer write, and of those that the encoder
//! leaves to others.

use super::listpack_writer::{ListpackWriter, canonical_integer};
use super::opcode;
use crate::checksum::Crc64;

/// A file of any version.
pub(super) struct LegacyFile {
    bytes: Vec<u8>,
    has_checksum: bool,
}

impl LegacyFile {
    /// `magic` has the version: `REDIS0001`, `VALKEY080`.
    pub(super) fn new(magic: &str) -> Self {
        let has_checksum = magic.starts_with("VALKEY") || magic > "REDIS0004";
        LegacyFile { bytes: magic.as_bytes().to_vec(), has_checksum }
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn key(&mut self, type_byte: u8, key: &[u8], value: &[u8]) {
        self.bytes.push(type_byte);
        self.bytes.extend(string(key));
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(opcode::EOF);
        if self.has_checksum {
            let mut crc = Crc64::new();
            crc.update(&self.bytes);
            self.bytes.extend_from_slice(&crc.value().to_le_bytes());
        }
        self.bytes
    }
}

/// A length in the form that the number needs.
pub(super) fn length(number: u64) -> Vec<u8> {
    match number {
        0..64 => vec![number as u8],
        64..16_384 => (number as u16 | 0x4000).to_be_bytes().to_vec(),
        16_384..=0xFFFF_FFFF => [&[0x80][..], &(number as u32).to_be_bytes()].concat(),
        _ => [&[0x81][..], &number.to_be_bytes()].concat(),
    }
}

/// A string as it is.
pub(super) fn string(bytes: &[u8]) -> Vec<u8> {
    [&length(bytes.len() as u64)[..], bytes].concat()
}

/// A number of parts, then the parts.
pub(super) fn counted(parts: &[Vec<u8>]) -> Vec<u8> {
    [length(parts.len() as u64), parts.concat()].concat()
}

/// A score as text.
pub(super) fn text_double(score: f64) -> Vec<u8> {
    match score {
        _ if score.is_nan() => vec![253],
        f64::INFINITY => vec![254],
        f64::NEG_INFINITY => vec![255],
        _ => {
            let text = format!("{score:e}");
            [&[text.len() as u8][..], text.as_bytes()].concat()
        }
    }
}

pub(super) fn intset(width: usize, members: &[i64]) -> Vec<u8> {
    let numbers = members.iter().flat_map(|member| member.to_le_bytes().into_iter().take(width));
    let head = [(width as u32).to_le_bytes(), (members.len() as u32).to_le_bytes()].concat();
    head.into_iter().chain(numbers).collect()
}

pub(super) fn ziplist(entries: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![0; 10];
    let mut previous = 0;
    let mut last_at = 10;
    for entry in entries {
        last_at = out.len();
        match previous {
            0..254 => out.push(previous as u8),
            _ => {
                out.push(0xFE);
                out.extend_from_slice(&(previous as u32).to_le_bytes());
            }
        }
        out.extend(ziplist_entry(entry));
        previous = out.len() - last_at;
    }
    out.push(0xFF);
    let total = out.len() as u32;
    out[..4].copy_from_slice(&total.to_le_bytes());
    out[4..8].copy_from_slice(&(last_at as u32).to_le_bytes());
    let count = u16::try_from(entries.len()).unwrap_or(u16::MAX);
    out[8..10].copy_from_slice(&count.to_le_bytes());
    out
}

fn ziplist_entry(entry: &[u8]) -> Vec<u8> {
    let with = |head: &[u8], bytes: &[u8]| [head, bytes].concat();
    if let Some(number) = canonical_integer(entry) {
        let bytes = number.to_le_bytes();
        return match number {
            0..=12 => vec![0xF1 + number as u8],
            -0x80..=0x7F => with(&[0xFE], &bytes[..1]),
            -0x8000..=0x7FFF => with(&[0xC0], &bytes[..2]),
            -0x80_0000..=0x7F_FFFF => with(&[0xF0], &bytes[..3]),
            -0x8000_0000..=0x7FFF_FFFF => with(&[0xD0], &bytes[..4]),
            _ => with(&[0xE0], &bytes),
        };
    }
    match entry.len() {
        len @ 0..64 => with(&[len as u8], entry),
        len @ 64..16_384 => with(&(len as u16 | 0x4000).to_be_bytes(), entry),
        len => [&[0x80][..], &(len as u32).to_be_bytes(), entry].concat(),
    }
}

/// Fields with their values and how many bytes stand unused behind each value.
pub(super) fn zipmap(fields: &[(&[u8], &[u8], u8)]) -> Vec<u8> {
    let length = |len: usize| match len {
        0..254 => vec![len as u8],
        _ => [&[0xFE][..], &(len as u32).to_le_bytes()].concat(),
    };
    let mut out = vec![fields.len().min(254) as u8];
    for &(field, value, free) in fields {
        out.extend(length(field.len()));
        out.extend_from_slice(field);
        out.extend(length(value.len()));
        out.push(free);
        out.extend_from_slice(value);
        out.extend(std::iter::repeat_n(b'?', usize::from(free)));
    }
    out.push(0xFF);
    out
}

pub(super) fn listpack(elements: &[&[u8]]) -> Vec<u8> {
    let mut writer = ListpackWriter::new();
    elements.iter().for_each(|element| writer.push(element).unwrap());
    writer.finish()
}

/// A field, its value, and when it expires: milliseconds since 1970.
pub(super) type ExpiringField<'a> = (&'a [u8], &'a [u8], Option<u64>);

/// Type 22 of Redis' release candidates: absolute times.
pub(super) fn hash_metadata_pre_ga(fields: &[ExpiringField<'_>]) -> Vec<u8> {
    let part = |&(field, value, expiry): &ExpiringField<'_>| {
        [length(expiry.unwrap_or(0)), string(field), string(value)].concat()
    };
    counted(&fields.iter().map(part).collect::<Vec<_>>())
}

/// Type 24: times are relative to the earliest, plus one.
pub(super) fn hash_metadata(fields: &[ExpiringField<'_>]) -> Vec<u8> {
    let earliest = fields.iter().filter_map(|field| field.2).min().unwrap_or(0);
    let part = |&(field, value, expiry): &ExpiringField<'_>| {
        let relative = expiry.map_or(0, |expiry| expiry - earliest + 1);
        [length(relative), string(field), string(value)].concat()
    };
    let fields = counted(&fields.iter().map(part).collect::<Vec<_>>());
    [&earliest.to_le_bytes()[..], &fields].concat()
}

/// Type 23 of Redis' release candidates, and all but the first eight bytes of type 25: ascending by time, those
/// without at the end.
pub(super) fn hash_listpack_ex(fields: &[ExpiringField<'_>]) -> Vec<u8> {
    let mut elements = Vec::new();
    for (field, value, expiry) in fields {
        let expiry = expiry.unwrap_or(0).to_string().into_bytes();
        elements.extend([field.to_vec(), value.to_vec(), expiry]);
    }
    string(&listpack(&elements.iter().map(Vec::as_slice).collect::<Vec<_>>()))
}

/// Type 22 of Valkey: absolute times behind the values, -1 for none.
pub(super) fn valkey_hash(fields: &[ExpiringField<'_>]) -> Vec<u8> {
    let part = |&(field, value, expiry): &ExpiringField<'_>| {
        let expiry = expiry.map_or(-1, |expiry| expiry as i64);
        [string(field), string(value), expiry.to_le_bytes().to_vec()].concat()
    };
    counted(&fields.iter().map(part).collect::<Vec<_>>())
}

/// The id of a module's type: nine letters and a version of ten bits.
pub(super) fn module_id(name: &str, version: u64) -> u64 {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letters = name.chars().map(|letter| LETTERS.find(letter).unwrap() as u64);
    letters.fold(0, |id, letter| id << 6 | letter) << 10 | version
}

/// A stream as version 9 had it: one node, one group, no consumers' active time.
pub(super) fn stream1(node: &[&[u8]], entries: u64) -> Vec<u8> {
    let id = [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9];
    let group = [
        string(b"g"),
        length(5),
        length(9),
        counted(&[[&id[..], &7i64.to_le_bytes(), &length(3)].concat()]),
        counted(&[[string(b"c"), 8i64.to_le_bytes().to_vec(), counted(&[id.to_vec()])].concat()]),
    ];
    let nodes = counted(&[[string(&id), string(&listpack(node))].concat()]);
    [nodes, length(entries), length(6), length(0), counted(&[group.concat()])].concat()
}
