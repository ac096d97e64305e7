//! The codecs beside what other programs wrote, and beside bytes that nobody would write.
//!
//! - `real_files`: each RDB file in `testdata` holds exactly what its server says; `contents` and `expected` are the two sides.
//! - `real_logs`: append-only files, read and written back to the same bytes.
//! - `damage`: every cut and every flipped bit of such files is noticed.
//! - `hostile`: lengths and compressed strings that are meant to exhaust memory or time.
//! - `any_bytes`: what the fuzz targets do, on random and mutated input and on their saved findings.

#![forbid(unsafe_code)]

mod any_bytes;
mod contents;
mod damage;
mod expected;
mod hostile;
mod real_files;
mod real_logs;
mod testdata;

#[path = "../fuzz/src/lib.rs"]
mod fuzz;
