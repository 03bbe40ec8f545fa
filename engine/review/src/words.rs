//! Durations and names as a review says them.

/// A duration in milliseconds with its two largest units, cut and not rounded: `350 ms`, `42 s`, `4m 10s`, `2h 5m`, `3d 4h`.
pub(crate) fn span(ms: u64) -> String {
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit} {small}{small_unit}"),
    };
    let (seconds, minutes, hours) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{seconds} s"),
        60_000..3_600_000 => two(minutes, "m", seconds % 60, "s"),
        3_600_000..86_400_000 => two(hours, "h", minutes % 60, "m"),
        86_400_000.. => two(hours / 24, "d", hours % 24, "h"),
    }
}

/// A duration that may be none.
pub(crate) fn span_or(ms: Option<u64>, none: &str) -> String {
    ms.map_or_else(|| none.to_owned(), span)
}

/// The first names of a list, and how many there are more.
pub(crate) fn some<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A JSON value on one line: texts as they are, and what is long is cut.
pub(crate) fn value(value: &serde_json::Value) -> String {
    const LONGEST: usize = 60;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if text.chars().count() <= LONGEST {
        return text;
    }
    let cut: String = text.chars().take(LONGEST).collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lists_and_values() {
        let of = [0, 999, 61_000, 480_000, 3_900_000, 90_000_000].map(span);
        assert_eq!(of, ["0 ms", "999 ms", "1m 1s", "8m", "1h 5m", "1d 1h"]);
        assert_eq!(span_or(None, "never"), "never");
        assert_eq!(some(&["a", "b"]), "a, b");
        assert_eq!(some(&["1", "2", "3", "4", "5", "6", "7"]), "1, 2, 3, 4, 5 and 2 more");
        assert_eq!(value(&"a\nb".into()), "a b");
        assert_eq!(value(&"x".repeat(61).into()).chars().count(), 61);
    }
}
