//! Commands on strings: [`value`] (read, append, take), [`range`] (a part of one), [`set`] (SET and its family), [`counter`],
//! [`float`], and [`lcs`], which compares two.
//!
//! What they log is absolute: the value that came out and the time when it ends, never the question.

pub mod counter;
pub mod float;
pub mod lcs;
mod long_double;
pub mod range;
pub mod set;
pub mod value;
