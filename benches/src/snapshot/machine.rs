//! Where and when figures were measured.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// One sentence about this machine, and today.
#[derive(Clone, Debug)]
pub struct Machine {
    pub description: String,
    /// Year, month, day, in UTC.
    pub date: String,
}

impl Machine {
    pub fn this() -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (processors, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let description = format!(
            "{cores} cores of {}, {:.0} GB of memory, Linux {}",
            field(&processors, "model name").unwrap_or("an unknown processor"),
            gigabytes(&memory).unwrap_or(f64::NAN),
            read("/proc/sys/kernel/osrelease").trim()
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Machine { description, date: date(now.as_secs() / 86_400) }
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.filter(|(found, _)| found.trim() == name).map(|(_, value)| value.trim()).next()
}

fn gigabytes(memory: &str) -> Option<f64> {
    let kibibytes: f64 = field(memory, "MemTotal")?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0 / 1e9)
}

/// The date of a day since 1970-01-01, in the proleptic Gregorian calendar: `civil_from_days` in Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms". Years begin in March, so that the leap day is the last of its year.
fn date(days: u64) -> String {
    let shifted = days + 719_468; // since 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_453, "2025-12-31"),
        ] {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn the_kernel_tells_names_and_sizes() {
        let text = "processor\t: 0\nmodel name\t: A B\nmodel name\t: C\nMemTotal:       2000000 kB\n";
        assert_eq!((field(text, "model name"), field(text, "model")), (Some("A B"), None));
        assert_eq!(gigabytes(text), Some(2.048));
    }
}
