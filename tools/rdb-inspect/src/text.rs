//! Numbers for people: sizes, counts, shares, durations.

use std::fmt::Write;

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
}
