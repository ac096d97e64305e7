//! Codecs.

pub mod glob;
