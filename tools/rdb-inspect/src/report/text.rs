//! Bytes of unknown encoding as text that may be shown.
//!
//! Invariants:
//! 1. A [`Text`] made from bytes has no control character and none that changes the direction or hides itself,
//!    so that a key cannot look like another one.
//! 2. It has at most [`Text::MAX_CHARS`] characters and a mark of what was left out.

use std::fmt::Write;

use serde::Serialize;

/// Text from a data file. UTF-8 stays as it is; other bytes and characters that do not show are written as
/// `\xNN` or `\u{NNNN}`, a backslash as `\\`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// Characters that are kept; a longer text ends in `…`.
    pub const MAX_CHARS: usize = 400;

    pub fn from_bytes(bytes: &[u8]) -> Self {
        // No character takes more than four bytes, so what lies behind these is cut in any case.
        let head = &bytes[..bytes.len().min(4 * (Self::MAX_CHARS + 1))];
        let mut text = String::with_capacity(head.len().min(Self::MAX_CHARS));
        let mut room = Self::MAX_CHARS;
        for chunk in head.utf8_chunks() {
            for c in chunk.valid().chars() {
                if room == 0 {
                    return Text(text + "…");
                }
                push_char(&mut text, c);
                room -= 1;
            }
            for byte in chunk.invalid() {
                if room == 0 {
                    return Text(text + "…");
                }
                push_byte(&mut text, *byte);
                room -= 1;
            }
        }
        Text(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::from_bytes(text.as_bytes())
    }
}

fn push_char(text: &mut String, c: char) {
    match c {
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        c if c.is_ascii_control() => push_byte(text, c as u8),
        c if c.is_control() || is_invisible(c) => {
            let _ = write!(text, "\\u{{{:x}}}", u32::from(c)); // writing to a string does not fail
        }
        c => text.push(c),
    }
}

fn push_byte(text: &mut String, byte: u8) {
    let _ = write!(text, "\\x{byte:02x}"); // writing to a string does not fail
}

/// Formatting characters of Unicode: directions, joiners, tags, byte order marks, and separators of lines.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
