//! Times as servers write and read them.

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Milliseconds since the Unix epoch of `2026-11-21T06:47:55.123Z` or `Sat, 21 Nov 2026 06:47:55 GMT`.
pub fn millis(text: &str) -> Option<u64> {
    let (date, clock, fraction) = if text.ends_with('Z') { iso(text)? } else { http(text)? };
    let (year, month, day) = date;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    // Years begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(((days - 719_468) * 86_400 + clock) * 1_000 + fraction)
}

type Parts = ((u64, u64, u64), u64, u64);

fn clock(text: &str) -> Option<u64> {
    let mut parts = text.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    Some(parts.next()?? * 3_600 + parts.next()?? * 60 + parts.next()??)
}

fn iso(text: &str) -> Option<Parts> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let fraction = match text.get(19..20)? {
        "." => {
            let digits: String = text.get(20..)?.trim_end_matches('Z').chars().chain("000".chars()).take(3).collect();
            digits.parse().ok()?
        }
        _ => 0,
    };
    Some(((number(0, 4)?, number(5, 7)?, number(8, 10)?), clock(text.get(11..19)?)?, fraction))
}

fn http(text: &str) -> Option<Parts> {
    let mut words = text.strip_suffix(" GMT")?.split_once(", ")?.1.split(' ');
    let day = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year = words.next()?.parse().ok()?;
    Some(((year, month, day), clock(words.next()?)?, 0))
}

/// Seconds since the Unix epoch as `2026-11-21T06:47:55Z`.
pub fn timestamp(seconds: u64) -> String {
    let ((year, month, date), rest) = (calendar(seconds / 86_400), seconds % 86_400);
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Seconds since the Unix epoch as `Sat, 21 Nov 2026 06:47:55 GMT`.
pub fn http_date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, date) = calendar(days);
    let pick = |names: &[&'static str], at: u64| names.get(usize::try_from(at).unwrap_or(0)).copied().unwrap_or("");
    let (day, month) = (pick(&DAYS, days % 7), pick(&MONTHS, month.saturating_sub(1)));
    format!("{day}, {date:02} {month} {year:04} {:02}:{:02}:{:02} GMT", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a day since the Unix epoch, by the calendar of Howard Hinnant.
fn calendar(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (date, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + u64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_servers_are_read() {
        assert_eq!(millis("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(millis("2024-02-29T00:00:00.000Z"), Some(1_709_164_800_000));
        assert_eq!(millis("2026-11-21T06:47:55.123Z"), Some(1_795_243_675_123));
        assert_eq!(millis("2026-11-21T06:47:55.5Z"), Some(1_795_243_675_500));
        assert_eq!(millis("2026-11-21T06:47:55.1234567Z"), Some(1_795_243_675_123));
        assert_eq!(millis("Sat, 21 Nov 2026 06:47:55 GMT"), Some(1_795_243_675_000));
        for text in ["Sat, 21 Nov 2026", "21 Nov 2026 06:47:55 GMT", "", "Z", "2026-13-01T00:00:00Z"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_written_as_servers_read_them() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(1_709_164_800), "2024-02-29T00:00:00Z");
        assert_eq!(timestamp(1_795_243_675), "2026-11-21T06:47:55Z");
        assert_eq!(http_date(1_795_243_675), "Sat, 21 Nov 2026 06:47:55 GMT");
    }
}
