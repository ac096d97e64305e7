//! Numbers and names for people: sizes, counts, durations, dates, keys.

use std::fmt::Write;

/// Most bytes of a name that are shown where it is only mentioned.
const NAME_BYTES: usize = 120;

/// A size: `812 B`, `4.0 KiB`, `1.5 GiB`. Units are powers of 1024.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    // What would be rounded to 1024 of a unit is one of the next.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 99.95 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// A number with its thousands apart: `2,500,000`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of a whole: `12.5%`; empty where there is no whole.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { String::new() } else { format!("{:.1}%", part as f64 * 100.0 / whole as f64) }
}

/// A duration in its two largest units: `3d 4h`, `15m`, `42s`, `250ms`.
pub fn duration(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let seconds = ms / 1000;
    let Some(first) = UNITS.iter().position(|(size, _)| seconds >= *size) else { return format!("{ms}ms") };
    let (size, unit) = UNITS[first];
    let mut text = format!("{}{unit}", seconds / size);
    if let Some((next, unit)) = UNITS.get(first + 1) {
        let rest = seconds % size / next;
        if rest > 0 {
            let _ = write!(text, " {rest}{unit}"); // writing to a string does not fail
        }
    }
    text
}

/// A time in milliseconds since 1970: `2026-11-20 07:47:12 UTC`.
pub fn date(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (year, month, day) = civil_date(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01. Counts in years that begin in March,
/// so that the odd day is the last one, and in eras of 400 years, which have equally many days.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let since_year_0 = days + 719_468;
    let (era, day) = (since_year_0.div_euclid(146_097), since_year_0.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next_year, month, day_of_month)
}

/// Appends bytes as redis-cli shows them, without the quotes around: `a\n\x00\xff\"`.
pub fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = bytes;
    loop {
        let plain =
            rest.iter().position(|&byte| !matches!(byte, 0x20..0x7F) || byte == b'\\' || byte == b'"');
        let Some(at) = plain else { return out.extend_from_slice(rest) };
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        rest = &rest[at + 1..];
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            _ => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(&[b'\\', b'x', digits[0], digits[1]]);
            }
        }
    }
}

/// Whether a name can stand for itself in a line: text without control characters that is not mistaken for a quoted
/// one.
pub fn is_plain(name: &[u8]) -> bool {
    !name.is_empty()
        && name[0] != b'"'
        && (name.iter().all(|byte| (0x20..0x7F).contains(byte))
            || std::str::from_utf8(name).is_ok_and(|text| !text.chars().any(char::is_control)))
}

/// Appends a name: itself if [`is_plain`], else quoted and escaped as redis-cli does.
pub fn push_name(out: &mut Vec<u8>, name: &[u8]) {
    if is_plain(name) {
        out.extend_from_slice(name);
        return;
    }
    out.push(b'"');
    push_escaped(out, name);
    out.push(b'"');
}

/// Quoted and escaped; a long name is cut.
pub fn quoted_start(name: &[u8]) -> String {
    let mut out = vec![b'"'];
    push_escaped(&mut out, &name[..name.len().min(NAME_BYTES)]);
    out.extend_from_slice(if name.len() > NAME_BYTES { b"\"..." } else { b"\"" });
    String::from_utf8_lossy(&out).into_owned()
}

/// A name as by [`push_name`], of `width` characters at most: the middle of a longer one is left out.
pub fn shortened(name: &[u8], width: usize) -> String {
    let mut out = Vec::new();
    push_name(&mut out, name);
    let text = String::from_utf8_lossy(&out);
    let length = text.chars().count();
    if length <= width {
        return text.into_owned();
    }
    let kept = width.saturating_sub(1);
    let tail = kept / 3;
    let head: String = text.chars().take(kept - tail).collect();
    let tail: String = text.chars().skip(length - tail).collect();
    format!("{head}…{tail}")
}

/// The bytes that a name on the command line means: in double quotes as [`push_name`] writes them, else as they are.
pub fn unquoted(name: &[u8]) -> Option<Vec<u8>> {
    let Some(inner) = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")) else {
        return Some(name.to_vec());
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 0x07,
            b'b' => 0x08,
            b'x' => (hex(rest.next()?)? << 4) | hex(rest.next()?)?,
            other => other,
        });
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let sizes = [0, 1023, 1024, 1536, 102_400, (1 << 20) - 1, 210_000_098, u64::MAX];
        let shown = sizes.map(bytes);
        assert_eq!(
            shown,
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "100 KiB", "1.0 MiB", "200 MiB", "16.0 EiB"]
        );
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!([0, 999, 1000, 2_500_000].map(count), ["0", "999", "1,000", "2,500,000"]);
        assert_eq!([percent(1, 8), percent(1, 0)], ["12.5%", ""]);
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let shown = [5, 42_000, 60_000, 5_430_000, 273_600_000].map(duration);
        assert_eq!(shown, ["5ms", "42s", "1m", "1h 30m", "3d 4h"]);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(951_782_399_999), "2000-02-28 23:59:59 UTC");
        assert_eq!(date(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(date(4_102_444_800_000), "2100-01-01 00:00:00 UTC");
        assert_eq!(date(-1), "1969-12-31 23:59:59 UTC");
    }

    #[test]
    fn names_come_back_from_their_quoted_form() {
        let names: [&[u8]; 7] =
            [b"plain", "gr\u{fc}n".as_bytes(), b"", b"\"", b"a\0\xff\n", b"\x7f", b"back\\slash"];
        for name in names {
            let mut shown = Vec::new();
            push_name(&mut shown, name);
            assert_eq!(unquoted(&shown).as_deref(), Some(name));
        }
        assert!(is_plain("gr\u{fc}n".as_bytes()) && !is_plain(b"\xff"));
        assert_eq!(unquoted(b"\"\\x4\""), None);
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shortened(b"user:1", 10), "user:1");
        assert_eq!(shortened(b"user:1234567890", 10), "user:1…890");
    }
}
