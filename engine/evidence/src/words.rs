//! Times, durations, sizes and rates as people say them. One place, so that plans, progress bars, reports and evidence agree.
//!
//! Values are cut, not rounded: a screen never shows more time or more bytes than there are.

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A duration in milliseconds with its two largest units: `350 ms`, `1.2 s`, `42 s`, `4m 10s`, `2h 5m`, `3d 4h`.
pub fn duration(ms: u64) -> String {
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..10_000 if ms % SECOND >= 100 => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        SECOND..MINUTE => format!("{} s", ms / SECOND),
        MINUTE..HOUR => two(ms / MINUTE, "m", ms % MINUTE / SECOND, "s"),
        HOUR..DAY => two(ms / HOUR, "h", ms % HOUR / MINUTE, "m"),
        DAY.. => two(ms / DAY, "d", ms % DAY / HOUR, "h"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 { format!("{large}{large_unit}") } else { format!("{large}{large_unit} {small}{small_unit}") }
}

/// A number of bytes in binary units: `812 B`, `1.4 GiB`, `256 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut scale, mut unit) = (0, "B");
    for next in UNITS {
        if count >> scale < 1024 {
            break;
        }
        (scale, unit) = (scale + 10, next);
    }
    let whole = count >> scale;
    // The digit after the point, where it says something: below ten, or where it is not nought below a hundred.
    let tenth = if scale == 0 { 0 } else { ((count >> (scale - 10)) & 1023) * 10 / 1024 };
    if whole < 100 && tenth > 0 { format!("{whole}.{tenth} {unit}") } else { format!("{whole} {unit}") }
}

/// Bytes a second, over a time in milliseconds: `120 MiB/s`. Over no time at all there is no rate: `- B/s`.
pub fn rate(count: u64, ms: u64) -> String {
    let a_second = (u128::from(count) * u128::from(SECOND)).checked_div(u128::from(ms));
    a_second.map_or_else(|| "- B/s".to_owned(), |rate| format!("{}/s", bytes(u64::try_from(rate).unwrap_or(u64::MAX))))
}

/// A point in time for people, in UTC: `2026-01-31 04:05:06`.
pub fn utc(ms: u64) -> String {
    let (date, seconds) = (ms / 86_400_000, ms / 1_000 % 86_400);
    let (year, month, day) = civil(date);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Year, month and day of a count of days since 1970-01-01, in the Gregorian calendar. Source: the method of eras of 400
/// years, as in H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Text for a cell of a table in Markdown: one line, and nothing in it is a mark.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => out.extend(['\\', letter]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// A field of CSV (RFC 4180). What a spreadsheet would take for a formula is made a text.
pub fn csv(text: &str) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (ms, text) in [
            (0, "0 ms"),
            (350, "350 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (1_299, "1.2 s"),
            (9_999, "9.9 s"),
            (42_900, "42 s"),
            (60_000, "1m"),
            (250_000, "4m 10s"),
            (900_000, "15m"),
            (7_500_000, "2h 5m"),
            (14_400_000, "4h"),
            (273_600_000, "3d 4h"),
        ] {
            assert_eq!(duration(ms), text);
        }
        assert_eq!(duration(u64::MAX), "213503982334d 14h");
    }

    #[test]
    fn sizes_and_rates() {
        let sizes = [
            (0, "0 B"),
            (812, "812 B"),
            (1_023, "1023 B"),
            (1_024, "1 KiB"),
            (1_503_238_553, "1.3 GiB"),
            (268_435_456, "256 MiB"),
            (u64::MAX, "15.9 EiB"),
        ];
        for (count, text) in sizes {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(rate(125_829_120, 1_000), "120 MiB/s");
        assert_eq!(rate(1, 0), "- B/s");
        assert_eq!(rate(u64::MAX, 1), "15.9 EiB/s");
    }

    #[test]
    fn dates_are_right_around_leap_days() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(utc(1_704_067_199_000), "2023-12-31 23:59:59");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01 00:00:00");
    }

    #[test]
    fn hostile_texts_are_texts() {
        assert_eq!(markdown("a|b\n<script>`x`"), "a\\|b &lt;script&gt;\\`x\\`");
        assert_eq!(csv("=cmd|'x'!A1 \"q\""), "\"'=cmd|'x'!A1 \"\"q\"\"\"");
    }
}
