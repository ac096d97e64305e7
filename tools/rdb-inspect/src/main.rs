//! Reads RDB files and tells what is in them.

#![forbid(unsafe_code)]
#![allow(dead_code)] // until the collector fills a report

mod report;

fn main() {}
