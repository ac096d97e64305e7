//! The types of values between the keyspace and a file: a new type is one more arm in [`encode`] and one in [`decode`].

use formats::rdb::encode::KeyMeta;
use formats::rdb::lzf;
use formats::rdb::string::StringBuffer;
use formats::rdb::{Problem, RdbError, RdbString, Value, ValueType};

use super::WriteError;
use super::output::{Output, PIECE_BYTES};
use crate::store::{Entry, MAX_INLINE_VALUE_BYTES, Object, ValueRef};

/// A value on its way from a file into a keyspace.
#[derive(Debug)]
pub enum LoadedValue<'a> {
    /// A string that stands in its page: in the file, or in a buffer that the next key overwrites.
    Str(&'a [u8]),
    /// What stands outside its page, and is not copied again.
    Object(Object),
}

impl LoadedValue<'_> {
    /// The bytes of a string; nothing for another type.
    pub fn as_str(&self) -> Option<&[u8]> {
        match self {
            LoadedValue::Str(bytes) => Some(bytes),
            LoadedValue::Object(object) => object.as_ref().as_str(),
        }
    }
}

/// Writes a key with its value and expiry.
pub(super) fn encode(output: &mut Output<'_>, entry: &Entry<'_>) -> Result<(), WriteError> {
    let expires_at_ms = entry.expire_at.map(|at| i64::try_from(at).unwrap_or(i64::MAX));
    let key = output.encoder.key(entry.key, KeyMeta { expires_at_ms, ..KeyMeta::default() })?;
    match entry.value {
        ValueRef::Str(bytes) if bytes.len() > PIECE_BYTES => {
            key.begin_string(bytes.len() as u64)?;
            for piece in bytes.chunks(PIECE_BYTES) {
                output.encoder.string_chunk(piece)?;
                output.relieve()?;
            }
        }
        ValueRef::Str(bytes) => key.string(bytes)?,
    }
    output.relieve()
}

/// The value as a keyspace holds it; `None` for a type that this version has not.
#[inline]
pub fn decode<'v>(
    value: &Value<'v>,
    buffer: &'v mut StringBuffer,
) -> Result<Option<LoadedValue<'v>>, RdbError> {
    match value.value_type() {
        ValueType::String => value.string().map(|string| decode_string(string, buffer)).transpose(),
        ValueType::List
        | ValueType::Set
        | ValueType::SortedSet
        | ValueType::Hash
        | ValueType::Stream
        | ValueType::Module => Ok(None),
    }
}

#[inline]
fn decode_string<'v>(
    string: RdbString<'v>,
    buffer: &'v mut StringBuffer,
) -> Result<LoadedValue<'v>, RdbError> {
    match string {
        RdbString::Raw(bytes) if bytes.len() > MAX_INLINE_VALUE_BYTES => {
            Ok(LoadedValue::Object(Object::string(bytes.to_vec())))
        }
        RdbString::Lzf { compressed, length, offset } if length > MAX_INLINE_VALUE_BYTES => {
            // The length was found to be within what so many compressed bytes can yield.
            let mut bytes = Vec::with_capacity(length);
            lzf::decompress(compressed, length, &mut bytes)
                .map_err(|error| RdbError::new(offset, "compressed string", Problem::Lzf(error)))?;
            Ok(LoadedValue::Object(Object::string(bytes)))
        }
        _ => string.bytes(buffer).map(LoadedValue::Str),
    }
}

/// Whether a keyspace has values of this type: those that [`decode`] answers.
pub fn can_hold(value_type: ValueType) -> bool {
    matches!(value_type, ValueType::String)
}

/// What a value of this type is called in an error.
pub fn with_article(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::String => "a string",
        ValueType::List => "a list",
        ValueType::Set => "a set",
        ValueType::SortedSet => "a sorted set",
        ValueType::Hash => "a hash",
        ValueType::Stream => "a stream",
        ValueType::Module => "the value of a module",
    }
}
