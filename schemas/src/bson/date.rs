//! Milliseconds since 1970 as the ISO 8601 text that relaxed Extended JSON uses for the years 1970 to 9999.

use std::io::Write;

const DAY_MILLIS: i64 = 86_400_000;
/// After the last millisecond of the year 9999.
const END: i64 = 253_402_300_800_000;

/// Appends `YYYY-MM-DDTHH:MM:SSZ`, with three decimals where there are milliseconds. `false`, and nothing appended, outside
/// those years.
pub(super) fn append_iso(millis: i64, out: &mut Vec<u8>) -> bool {
    if !(0..END).contains(&millis) {
        return false;
    }
    let (year, month, day) = civil(millis / DAY_MILLIS);
    let of_day = millis % DAY_MILLIS;
    let (seconds, rest) = (of_day / 1_000, of_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if rest != 0 {
        let _ = write!(out, ".{rest:03}");
    }
    out.push(b'Z');
    true
}

/// Year, month and day of a day from 1970 on. Howard Hinnant, "chrono-compatible low-level date algorithms".
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
