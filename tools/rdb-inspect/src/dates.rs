//! Times in UTC as people write them; inside they are milliseconds since 1970.
//!
//! Days are counted in years that begin in March, so that the odd day of a leap year is the last one, and in eras of 400
//! years, which have equally many days.

const DAY_MS: i64 = 86_400_000;
/// Days from the first of March of year 0 to 1970.
const DAYS_TO_1970: i64 = 719_468;
/// Days of 400 years.
const ERA_DAYS: i64 = 146_097;

/// `2100-01-01T00:00:00Z`, with milliseconds where there are some: `2100-01-01T00:00:00.123Z`.
pub fn utc(ms: i64) -> String {
    match ms.rem_euclid(1000) {
        0 => format!("{}Z", to_the_second(ms)),
        _ => utc_ms(ms),
    }
}

/// The same, always with milliseconds, so that times sort as text.
pub fn utc_ms(ms: i64) -> String {
    format!("{}.{:03}Z", to_the_second(ms), ms.rem_euclid(1000))
}

fn to_the_second(ms: i64) -> String {
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let seconds = ms.rem_euclid(DAY_MS) / 1000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of a day since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (era, day) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day_of_month)
}

/// Reads `2026-11-20`, with `T07:47` or `T07:47:12`, and `Z` if liked.
pub fn parse(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "0:0"));
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u16>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut clock = clock.splitn(3, ':').map(|part| part.parse::<u8>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next().unwrap_or(Some(0))?);
    let good =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    let days = days_since_1970(i64::from(year), i64::from(month), i64::from(day));
    let seconds = days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    good.then_some(seconds * 1000)
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(4_102_444_800_123), "2100-01-01T00:00:00.123Z");
        assert_eq!(utc(951_782_399_000), "2000-02-28T23:59:59Z");
        assert_eq!(utc(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(utc(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(utc(1_795_161_103_905), "2026-11-20T07:51:43.905Z");
        assert_eq!(utc_ms(951_782_399_000), "2000-02-28T23:59:59.000Z");
        // The far ends do not overflow.
        assert!(utc(i64::MAX).ends_with('Z') && utc(i64::MIN).ends_with('Z'));
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for day in 0..40_000 {
            let ms = day * DAY_MS + 12_345_000;
            assert_eq!(parse(&utc(ms)), Some(ms), "{}", utc(ms));
        }
        assert_eq!(parse("2026-11-20 07:47"), parse("2026-11-20T07:47:00Z"));
        for wrong in ["", "2026-13-01", "2026-01", "2026-01-01T24:00", "2026-01-01T1", "x"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
