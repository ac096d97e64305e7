//! Commands on strings: [`value`] (read, append, take), [`set`] (SET and its family), [`counter`].
//!
//! What they log is absolute: the value that came out and the time when it ends, never the question.

pub mod counter;
pub mod set;
pub mod value;
