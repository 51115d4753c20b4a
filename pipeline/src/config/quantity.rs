//! Durations and sizes as people write them: `7d`, `1h`, `30s`, `500ms`; `50GiB`, `10MB`.

use std::time::Duration;

/// Longest duration: ten years. More is a slip, and some clocks overflow.
const MAX_DURATION: Duration = Duration::from_secs(10 * 365 * 86_400);

/// None of anything needs no unit.
const NOTHING: &str = "0";

/// Parses a duration. `None`: not one, or beyond ten years.
pub fn duration(text: &str) -> Option<Duration> {
    if text == NOTHING {
        return Some(Duration::ZERO);
    }
    let (digits, unit) = split(text)?;
    let millis = match unit {
        "ms" => digits,
        "s" => digits.checked_mul(1_000)?,
        "m" | "min" => digits.checked_mul(60_000)?,
        "h" => digits.checked_mul(3_600_000)?,
        "d" => digits.checked_mul(86_400_000)?,
        "w" => digits.checked_mul(7 * 86_400_000)?,
        _ => return None,
    };
    Some(Duration::from_millis(millis)).filter(|duration| *duration <= MAX_DURATION)
}

/// A duration as it would be written, in the largest unit that divides it.
pub fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.into_iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit)) {
        Some((unit, word)) => format!("{}{word}", millis / unit),
        None => format!("{millis}ms"),
    }
}

/// Parses a size in bytes: powers of 1,024 with an `i`, of 1,000 without. `None`: not one, or beyond 63 bits.
pub fn size(text: &str) -> Option<u64> {
    if text == NOTHING {
        return Some(0);
    }
    let (digits, unit) = split(text)?;
    let factor: u64 = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    digits.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok())
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let digits = text[..end].parse().ok()?;
    Some((digits, text[end..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("7d"), Some(Duration::from_secs(7 * 86_400)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1 h"), Some(Duration::from_secs(3_600)));
        for bad in ["", "7", "d", "-1s", "1.5h", "1y", "99999999999d", "18446744073709551616s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_tell_thousands_from_powers_of_two() {
        assert_eq!(size("10MB"), Some(10_000_000));
        assert_eq!(size("50GiB"), Some(50 << 30));
        assert_eq!(size("1KiB"), Some(1_024));
        for bad in ["", "10", "GiB", "10G", "10 mb", "9999999999TiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
