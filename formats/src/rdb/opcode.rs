//! The bytes that start a record other than a key, and the forms of a length and a string.

/// State of an atomic slot import (Valkey 9).
pub const SLOT_IMPORT: u8 = 243;
/// How many keys a cluster slot holds (Redis 7.4).
pub const SLOT_INFO: u8 = 244;
/// The code of a library of functions.
pub const FUNCTION: u8 = 245;
/// The same in release candidates of Redis 7.0.
pub const FUNCTION_PRE_GA: u8 = 246;
/// Data of a module that belongs to no key.
pub const MODULE_AUX: u8 = 247;
/// Seconds since the next key was used.
pub const IDLE: u8 = 248;
/// How often the next key is used, one byte on a logarithmic scale.
pub const FREQUENCY: u8 = 249;
pub const AUX: u8 = 250;
pub const RESIZE_DB: u8 = 251;
/// Milliseconds since 1970, eight bytes, at which the next key expires.
pub const EXPIRE_MS: u8 = 252;
/// The same in seconds, four bytes.
pub const EXPIRE_SECONDS: u8 = 253;
pub const SELECT_DB: u8 = 254;
pub const EOF: u8 = 255;

/// First byte of a length of 32 bits, big endian.
pub const LENGTH_32: u8 = 0x80;
/// First byte of a length of 64 bits, big endian.
pub const LENGTH_64: u8 = 0x81;

/// In place of a string's length: an integer of 1, 2 or 4 bytes, little endian, stands for its decimal digits.
pub const STRING_INT8: u8 = 0xC0;
pub const STRING_INT16: u8 = 0xC1;
pub const STRING_INT32: u8 = 0xC2;
/// In place of a string's length: compressed length, length, LZF data.
pub const STRING_LZF: u8 = 0xC3;

/// Parts of a module's value: each is announced, so that it can be skipped without the module.
pub const MODULE_EOF: u64 = 0;
pub const MODULE_SIGNED: u64 = 1;
pub const MODULE_UNSIGNED: u64 = 2;
pub const MODULE_FLOAT: u64 = 3;
pub const MODULE_DOUBLE: u64 = 4;
pub const MODULE_STRING: u64 = 5;
