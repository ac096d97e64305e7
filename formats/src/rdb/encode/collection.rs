//! Values of any size, given in parts after their number.
//!
//! A list is written in its oldest form, of which every version of Redis and Valkey makes its own: the newer ones
//! would have to announce their number of nodes.

use super::{EncodeError, Encoder, KeyEncoder, Part};
use crate::rdb::kind::ValueKind;

impl KeyEncoder<'_> {
    /// A string whose `len` bytes follow with [`Encoder::string_chunk`]; it is not compressed.
    pub fn begin_string(self, len: u64) -> Result<(), EncodeError> {
        self.announce(ValueKind::String, Part::StringBytes, len)
    }

    /// A list whose items follow, head first, with [`Encoder::list_item`].
    pub fn begin_list(self, items: u64) -> Result<(), EncodeError> {
        self.announce(ValueKind::List, Part::ListItems, items)
    }

    /// A set whose members, all different, follow with [`Encoder::set_member`].
    pub fn begin_set(self, members: u64) -> Result<(), EncodeError> {
        self.announce(ValueKind::Set, Part::SetMembers, members)
    }

    /// A sorted set whose members, all different and in any order, follow with [`Encoder::sorted_set_member`].
    /// Redis loads them fastest from the greatest to the smallest.
    pub fn begin_sorted_set(self, members: u64) -> Result<(), EncodeError> {
        self.announce(ValueKind::SortedSet, Part::SortedSetMembers, members)
    }

    /// A hash whose fields, all different, follow with [`Encoder::hash_field`].
    pub fn begin_hash(self, fields: u64) -> Result<(), EncodeError> {
        self.announce(ValueKind::Hash, Part::HashFields, fields)
    }
}

impl Encoder {
    pub fn string_chunk(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.expect(Part::StringBytes, bytes.len() as u64)?;
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    pub fn list_item(&mut self, item: &[u8]) -> Result<(), EncodeError> {
        self.expect(Part::ListItems, 1)?;
        self.put(item);
        Ok(())
    }

    #[inline]
    pub fn set_member(&mut self, member: &[u8]) -> Result<(), EncodeError> {
        self.expect(Part::SetMembers, 1)?;
        self.put(member);
        Ok(())
    }

    #[inline]
    pub fn sorted_set_member(&mut self, member: &[u8], score: f64) -> Result<(), EncodeError> {
        if score.is_nan() {
            return Err(EncodeError::NotANumber);
        }
        self.expect(Part::SortedSetMembers, 1)?;
        self.put(member);
        self.pending.extend_from_slice(&score.to_le_bytes());
        Ok(())
    }

    #[inline]
    pub fn hash_field(&mut self, field: &[u8], value: &[u8]) -> Result<(), EncodeError> {
        self.expect(Part::HashFields, 1)?;
        self.put(field);
        self.put(value);
        Ok(())
    }
}
