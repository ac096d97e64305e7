//! Visits the elements of a value.

use super::{Element, ModuleId, ModulePart, Scratch, Value, stream};
use crate::rdb::error::{Problem, RdbError};
use crate::rdb::input::Input;
use crate::rdb::intset::Intset;
use crate::rdb::kind::ValueKind;
use crate::rdb::listpack::{Listpack, PackedEntry, PackedError};
use crate::rdb::opcode;
use crate::rdb::string::{RdbString, StringBuffer};
use crate::rdb::ziplist::Ziplist;
use crate::rdb::zipmap::Zipmap;

/// A quicklist's node that is one element by itself.
pub(super) const CONTAINER_PLAIN: u64 = 1;
/// A quicklist's node that is a listpack.
const CONTAINER_PACKED: u64 = 2;

/// Latest expiry of a field, in milliseconds: Redis keeps 48 bits.
const MAX_FIELD_EXPIRY_MS: u64 = (1 << 48) - 1;

/// Stands for none in Valkey's hashes.
const VALKEY_NO_EXPIRY: i64 = -1;
/// Longest packed structure: their own lengths have 32 bits.
const MAX_BLOB_BYTES: u64 = u32::MAX as u64;

/// Where a packed blob stands, so that an error in it can say so.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) structure: &'static str,
}

impl Place {
    #[cold]
    pub(super) fn error(self, error: PackedError) -> RdbError {
        let problem = Problem::Packed { structure: self.structure, at: error.at, what: error.what };
        RdbError::new(self.offset, "packed value", problem)
    }
}

/// Entries of a listpack or a ziplist, one after the other.
pub(super) trait Packed<'e> {
    fn next_entry(&mut self) -> Result<Option<PackedEntry<'e>>, PackedError>;
}

impl<'e> Packed<'e> for Listpack<'e> {
    #[inline]
    fn next_entry(&mut self) -> Result<Option<PackedEntry<'e>>, PackedError> {
        self.next_entry()
    }
}

impl<'e> Packed<'e> for Ziplist<'e> {
    #[inline]
    fn next_entry(&mut self) -> Result<Option<PackedEntry<'e>>, PackedError> {
        self.next_entry()
    }
}

pub(super) fn for_each<E: From<RdbError>>(
    value: &Value<'_>,
    scratch: &mut Scratch,
    mut visit: impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut input = value.input();
    let input = &mut input;
    let buffer = &mut scratch.blob;
    match value.kind {
        ValueKind::String => visit(Element::String(input.string("string")?)),
        ValueKind::List => {
            for _ in 0..input.length("list length")? {
                visit(Element::ListItem(input.string("list item")?))?;
            }
            Ok(())
        }
        ValueKind::Set => {
            for _ in 0..input.length("set size")? {
                visit(Element::SetMember(input.string("set member")?))?;
            }
            Ok(())
        }
        ValueKind::SortedSetText | ValueKind::SortedSet => {
            for _ in 0..input.length("sorted set size")? {
                let member = input.string("sorted set member")?;
                let binary = value.kind == ValueKind::SortedSet;
                let score = if binary { input.double("score")? } else { input.text_double("score")? };
                visit(Element::SortedSetMember { member, score })?;
            }
            Ok(())
        }
        ValueKind::Hash => {
            for _ in 0..input.length("hash size")? {
                let (field, value) = (input.string("hash field")?, input.string("hash value")?);
                visit(Element::HashField { field, value, expires_at_ms: None })?;
            }
            Ok(())
        }
        ValueKind::HashZipmap => zipmap(input, buffer, visit),
        ValueKind::ListZiplist => ziplist(input, buffer, |list, place| list_items(list, place, &mut visit)),
        ValueKind::SortedSetZiplist => ziplist(input, buffer, |list, place| scored(list, place, &mut visit)),
        ValueKind::HashZiplist => ziplist(input, buffer, |list, place| fields(list, place, &mut visit)),
        ValueKind::SetIntset => intset(input, buffer, visit),
        ValueKind::SetListpack => {
            listpack(input, buffer, |list, place| each(list, place, |entry| visit(Element::SetMember(entry))))
        }
        ValueKind::SortedSetListpack => {
            listpack(input, buffer, |list, place| scored(list, place, &mut visit))
        }
        ValueKind::HashListpack => listpack(input, buffer, |list, place| fields(list, place, &mut visit)),
        ValueKind::HashListpackExPreGa => {
            listpack(input, buffer, |list, place| expiring_fields(list, place, &mut visit))
        }
        ValueKind::HashListpackEx => {
            input.millis("earliest expiry")?;
            listpack(input, buffer, |list, place| expiring_fields(list, place, &mut visit))
        }
        ValueKind::ListQuicklist => {
            for _ in 0..input.length("quicklist length")? {
                ziplist(input, buffer, |list, place| list_items(list, place, &mut visit))?;
            }
            Ok(())
        }
        ValueKind::ListQuicklist2 => quicklist2(input, buffer, visit),
        ValueKind::HashExpiringPreGa => expiring_hash(input, None, visit),
        ValueKind::HashExpiring => {
            let earliest = input.millis("earliest expiry")?;
            expiring_hash(input, Some(earliest as u64), visit)
        }
        ValueKind::ValkeyHashExpiring => valkey_hash(input, visit),
        ValueKind::Stream1 | ValueKind::Stream2 | ValueKind::Stream3 => {
            stream::for_each(input, value.kind, scratch, visit)
        }
        ValueKind::Module => module(input, visit),
        ValueKind::OpaqueModule => Ok(()),
    }
}

pub(super) fn count(value: &Value<'_>, scratch: &mut Scratch) -> Result<u64, RdbError> {
    let mut input = value.input();
    let input = &mut input;
    let buffer = &mut scratch.blob;
    let head = match value.kind {
        ValueKind::String | ValueKind::Module | ValueKind::OpaqueModule => Some(1),
        ValueKind::List
        | ValueKind::Set
        | ValueKind::SortedSetText
        | ValueKind::SortedSet
        | ValueKind::Hash
        | ValueKind::HashExpiringPreGa
        | ValueKind::ValkeyHashExpiring => Some(input.length("size")?),
        ValueKind::HashExpiring => {
            input.millis("earliest expiry")?;
            Some(input.length("size")?)
        }
        ValueKind::SetIntset => intset_count(input, buffer)?,
        ValueKind::ListZiplist => blob_count(input, buffer, ziplist_count, 1)?,
        ValueKind::SortedSetZiplist | ValueKind::HashZiplist => blob_count(input, buffer, ziplist_count, 2)?,
        ValueKind::SetListpack => blob_count(input, buffer, listpack_count, 1)?,
        ValueKind::SortedSetListpack | ValueKind::HashListpack => {
            blob_count(input, buffer, listpack_count, 2)?
        }
        ValueKind::Stream1 | ValueKind::Stream2 | ValueKind::Stream3 => Some(stream::length(input)?),
        _ => None,
    };
    if let Some(count) = head {
        return Ok(count);
    }
    let mut count = 0;
    value.for_each(scratch, |_| {
        count += 1;
        Ok::<_, RdbError>(())
    })?;
    Ok(count)
}

type BlobCount = fn(&[u8]) -> Result<Option<usize>, PackedError>;

fn listpack_count(blob: &[u8]) -> Result<Option<usize>, PackedError> {
    Ok(Listpack::new(blob)?.count())
}

fn ziplist_count(blob: &[u8]) -> Result<Option<usize>, PackedError> {
    Ok(Ziplist::new(blob)?.count())
}

fn blob_count(
    input: &mut Input<'_>,
    buffer: &mut StringBuffer,
    count: BlobCount,
    entries_each: usize,
) -> Result<Option<u64>, RdbError> {
    let (blob, place) = blob(input, buffer, "packed value")?;
    let count = count(blob).map_err(|error| place.error(error))?;
    Ok(count.map(|count| (count / entries_each) as u64))
}

fn intset_count(input: &mut Input<'_>, buffer: &mut StringBuffer) -> Result<Option<u64>, RdbError> {
    let (blob, place) = blob(input, buffer, "intset")?;
    let set = Intset::new(blob).map_err(|error| place.error(error))?;
    Ok(Some(set.count() as u64))
}

/// The bytes of a packed structure, unpacked if need be, and where they stand.
pub(super) fn blob<'a: 's, 's>(
    input: &mut Input<'a>,
    buffer: &'s mut StringBuffer,
    structure: &'static str,
) -> Result<(&'s [u8], Place), RdbError> {
    let place = Place { offset: input.offset(), structure };
    let packed = input.string(structure)?;
    if packed.len() as u64 > MAX_BLOB_BYTES {
        return Err(place.error(PackedError { at: 0, what: "longer than 4 GiB" }));
    }
    Ok((packed.bytes(buffer)?, place))
}

fn listpack<E: From<RdbError>>(
    input: &mut Input<'_>,
    buffer: &mut StringBuffer,
    read: impl FnOnce(Listpack<'_>, Place) -> Result<(), E>,
) -> Result<(), E> {
    let (blob, place) = blob(input, buffer, "listpack")?;
    read(Listpack::new(blob).map_err(|error| place.error(error))?, place)
}

fn ziplist<E: From<RdbError>>(
    input: &mut Input<'_>,
    buffer: &mut StringBuffer,
    read: impl FnOnce(Ziplist<'_>, Place) -> Result<(), E>,
) -> Result<(), E> {
    let (blob, place) = blob(input, buffer, "ziplist")?;
    read(Ziplist::new(blob).map_err(|error| place.error(error))?, place)
}

fn each<'e, E: From<RdbError>>(
    mut list: impl Packed<'e>,
    place: Place,
    mut visit: impl FnMut(PackedEntry<'e>) -> Result<(), E>,
) -> Result<(), E> {
    while let Some(entry) = list.next_entry().map_err(|error| place.error(error))? {
        visit(entry)?;
    }
    Ok(())
}

fn list_items<'e, E: From<RdbError>>(
    list: impl Packed<'e>,
    place: Place,
    visit: &mut impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    each(list, place, |entry| visit(Element::ListItem(entry)))
}

fn fields<'e, E: From<RdbError>>(
    mut list: impl Packed<'e>,
    place: Place,
    visit: &mut impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    while let Some(field) = list.next_entry().map_err(|error| place.error(error))? {
        let value = partner(&mut list, place)?;
        visit(Element::HashField { field, value, expires_at_ms: None })?;
    }
    Ok(())
}

fn scored<'e, E: From<RdbError>>(
    mut list: impl Packed<'e>,
    place: Place,
    visit: &mut impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    while let Some(member) = list.next_entry().map_err(|error| place.error(error))? {
        let score = match partner(&mut list, place)? {
            RdbString::Int(number) => Some(number as f64),
            RdbString::Raw(digits) => std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()),
            RdbString::Lzf { .. } => None,
        };
        let score =
            score.ok_or_else(|| place.error(PackedError { at: 0, what: "a score is not a number" }))?;
        visit(Element::SortedSetMember { member, score })?;
    }
    Ok(())
}

fn expiring_fields<'e, E: From<RdbError>>(
    mut list: Listpack<'e>,
    place: Place,
    visit: &mut impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    while let Some(field) = list.next_entry().map_err(|error| place.error(error))? {
        let value = partner(&mut list, place)?;
        let at = list.at();
        let expiry = list.integer().map_err(|error| place.error(error))?;
        let expiry = u64::try_from(expiry).ok().filter(|&expiry| expiry <= MAX_FIELD_EXPIRY_MS);
        let expiry = expiry.ok_or_else(|| place.error(PackedError { at, what: "no time of expiry" }))?;
        let expires_at_ms = (expiry != 0).then_some(expiry);
        visit(Element::HashField { field, value, expires_at_ms })?;
    }
    Ok(())
}

/// The entry that belongs to the one before it.
fn partner<'e>(list: &mut impl Packed<'e>, place: Place) -> Result<PackedEntry<'e>, RdbError> {
    let missing = PackedError { at: 0, what: "an odd number of entries" };
    let entry = list.next_entry().map_err(|error| place.error(error))?;
    entry.ok_or_else(|| place.error(missing))
}

fn zipmap<E: From<RdbError>>(
    input: &mut Input<'_>,
    buffer: &mut StringBuffer,
    mut visit: impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (blob, place) = blob(input, buffer, "zipmap")?;
    let mut map = Zipmap::new(blob).map_err(|error| place.error(error))?;
    while let Some((field, value)) = map.next_field().map_err(|error| place.error(error))? {
        let (field, value) = (RdbString::Raw(field), RdbString::Raw(value));
        visit(Element::HashField { field, value, expires_at_ms: None })?;
    }
    Ok(())
}

fn intset<E: From<RdbError>>(
    input: &mut Input<'_>,
    buffer: &mut StringBuffer,
    mut visit: impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (blob, place) = blob(input, buffer, "intset")?;
    let mut set = Intset::new(blob).map_err(|error| place.error(error))?;
    while let Some(member) = set.next_member().map_err(|error| place.error(error))? {
        visit(Element::SetMember(RdbString::Int(member)))?;
    }
    Ok(())
}

fn quicklist2<E: From<RdbError>>(
    input: &mut Input<'_>,
    buffer: &mut StringBuffer,
    mut visit: impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for _ in 0..input.length("quicklist length")? {
        let at = input.offset();
        match input.length("quicklist container")? {
            CONTAINER_PLAIN => visit(Element::ListItem(input.string("list item")?))?,
            CONTAINER_PACKED => listpack(input, buffer, |list, place| list_items(list, place, &mut visit))?,
            _ => {
                let problem = Problem::Malformed("neither a plain nor a packed node");
                return Err(RdbError::new(at, "quicklist container", problem).into());
            }
        }
    }
    Ok(())
}

fn expiring_hash<E: From<RdbError>>(
    input: &mut Input<'_>,
    earliest: Option<u64>,
    mut visit: impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for _ in 0..input.length("hash size")? {
        let at = input.offset();
        let expires_at_ms = match input.length("field's expiry")? {
            0 => None,
            expiry => Some(absolute_expiry(earliest, expiry, at)?),
        };
        let (field, value) = (input.string("hash field")?, input.string("hash value")?);
        visit(Element::HashField { field, value, expires_at_ms })?;
    }
    Ok(())
}

/// Relative expiries are one more than the distance to the earliest, because 0 stands for none.
fn absolute_expiry(earliest: Option<u64>, expiry: u64, at: u64) -> Result<u64, RdbError> {
    let absolute = match earliest {
        Some(earliest) => earliest.checked_add(expiry - 1),
        None => Some(expiry),
    };
    absolute.filter(|&absolute| absolute <= MAX_FIELD_EXPIRY_MS).ok_or_else(|| no_time(at))
}

#[cold]
fn no_time(at: u64) -> RdbError {
    RdbError::new(at, "field's expiry", Problem::Malformed("no time of expiry"))
}

fn valkey_hash<E: From<RdbError>>(
    input: &mut Input<'_>,
    mut visit: impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for _ in 0..input.length("hash size")? {
        let (field, value) = (input.string("hash field")?, input.string("hash value")?);
        let at = input.offset();
        let expires_at_ms = match input.millis("field's expiry")? {
            VALKEY_NO_EXPIRY => None,
            expiry => Some(u64::try_from(expiry).map_err(|_| no_time(at))?),
        };
        visit(Element::HashField { field, value, expires_at_ms })?;
    }
    Ok(())
}

fn module<E: From<RdbError>>(
    input: &mut Input<'_>,
    mut visit: impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    const PART: &str = "module part";
    visit(Element::ModulePart(ModulePart::Id(ModuleId(input.length("module id")?))))?;
    loop {
        let part = match input.length(PART)? {
            opcode::MODULE_SIGNED => ModulePart::Signed(input.length(PART)?),
            opcode::MODULE_UNSIGNED => ModulePart::Unsigned(input.length(PART)?),
            opcode::MODULE_FLOAT => ModulePart::Float(f32::from_le_bytes(input.array(PART)?)),
            opcode::MODULE_DOUBLE => ModulePart::Double(input.double(PART)?),
            opcode::MODULE_STRING => ModulePart::String(input.string(PART)?),
            // The framing has seen that nothing else is there.
            _ => return Ok(()),
        };
        visit(Element::ModulePart(part))?;
    }
}
