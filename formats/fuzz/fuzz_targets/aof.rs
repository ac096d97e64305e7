//! Fuzzes `everfast_formats_fuzz::aof::decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| everfast_formats_fuzz::aof::decode(input));
