//! A report as one HTML page that needs nothing else: no network, no second file, no font.
//!
//! The page is a fixed shell (`page.html`, `page.css`, `page.js` and `script/`) around one block of JSON. All figures and all
//! names are in that block; the script makes the page from it.
//!
//! Invariants:
//! 1. Nothing from a data file is ever markup: it is only in the JSON block, whose strings hold no `<`, `>` or
//!    `&` (they are escaped as `\u003c`), and the script puts it into the page as text nodes.
//! 2. The page refers to nothing outside itself, and its content security policy forbids loading anything.
//! 3. Rendering streams: beside the data itself it needs no memory that grows with it.

pub mod collect;
pub mod data;
mod text;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

pub use data::ReportData;
use data::{FREQUENCY_BANDS, IDLE_BANDS_SECONDS, KeyType, TTL_BANDS_MS};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// In the order in which they run, as one function.
const SCRIPTS: [&str; 5] = [
    include_str!("script/base.js"),
    include_str!("script/map.js"),
    include_str!("script/charts.js"),
    include_str!("script/keys.js"),
    include_str!("page.js"),
];

/// Writes the page that shows `data`. Writes in small pieces: give it a buffered writer.
///
/// # Errors
/// What `out` answers to a write.
pub fn render(data: &ReportData, out: &mut impl Write) -> io::Result<()> {
    for piece in PAGE.split("{{") {
        let (slot, markup) = piece.split_once("}}").unwrap_or(("", piece));
        match slot {
            "style" => out.write_all(STYLE.as_bytes())?,
            "script" => SCRIPTS.iter().try_for_each(|script| out.write_all(script.as_bytes()))?,
            "data" => write_json(&Block { legend: Legend::default(), data }, out)?,
            _ => {}
        }
        out.write_all(markup.as_bytes())?;
    }
    out.flush()
}

/// What the script reads.
#[derive(Serialize)]
struct Block<'a> {
    legend: Legend,
    data: &'a ReportData,
}

/// What the positions in the data's arrays mean, so that it is said in one place.
#[derive(Serialize)]
struct Legend {
    types: [&'static str; KeyType::COUNT],
    ttl_bands_ms: &'static [u64],
    idle_bands_seconds: &'static [u64],
    frequency_bands: &'static [u8],
}

impl Default for Legend {
    fn default() -> Self {
        Legend {
            types: KeyType::ALL.map(KeyType::name),
            ttl_bands_ms: &TTL_BANDS_MS,
            idle_bands_seconds: &IDLE_BANDS_SECONDS,
            frequency_bands: &FREQUENCY_BANDS,
        }
    }
}

fn write_json(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, InertInHtml)).map_err(io::Error::from)
}

/// Compact JSON whose strings hold no character that HTML gives a meaning. Outside of strings JSON has none.
struct InertInHtml;

impl Formatter for InertInHtml {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let special = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| special(*c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            write!(out, "\\u{:04x}", u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}
