//! Shares, decimal amounts of data and money as people say them. Shares are cut, not rounded: 99.96 % never reads as 100 %.

/// A share of 1 in percent: `100 %`, `99.98 %`, `4.2 %`, `1.0e-14 %`. Near 100 % it has as many digits as there are nines.
pub fn percent(share: f64) -> String {
    if share <= 0.0 || share >= 1.0 {
        return format!("{:.0} %", share * 100.0);
    }
    if share < 1e-4 {
        return format!("{:.1e} %", share * 100.0);
    }
    let nines = if share > 0.99 { (-(1.0 - share).log10()).ceil() as i32 - 1 } else { 1 };
    let places = nines.clamp(1, 12);
    let scale = 10_f64.powi(places);
    // A hair is added, so that 29 % is not cut to 28.9 %; it is less than the last digit.
    let cut = (share * 100.0 * scale + 1e-6).floor() / scale;
    let text = format!("{cut:.*}", places as usize);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A share that was counted in samples, with one digit after the point: more would be chance. `<0.1 %` is more than nothing.
pub fn share(share: f64) -> String {
    if share > 0.0 && share < 1e-3 {
        return "<0.1 %".to_owned();
    }
    // As in [`percent`]: cut, and a hair added.
    let cut = (share * 1e3 + 1e-6).floor() / 10.0;
    let text = format!("{cut:.1}");
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// An amount in powers of 1,000, with three digits: `1 TB`, `1.33 GB`, `800 MB`.
pub fn decimal(bytes: f64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let (mut value, mut place) = (bytes, 0);
    // From 999.5 on it would be rounded to 1000 of the unit.
    while value >= 999.5 && place + 1 < UNITS.len() {
        (value, place) = (value / 1e3, place + 1);
    }
    let digits = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {}", UNITS.get(place).unwrap_or(&"B"))
}

/// Money without a currency, thousands apart: `1,234.50`, `12,000`.
pub fn money(amount: f64) -> String {
    let sign = if amount < 0.0 { "-" } else { "" };
    let cents = (amount.abs() * 100.0).round();
    let (whole, part) = ((cents / 100.0).floor(), (cents % 100.0) as u32);
    let digits = format!("{whole:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if part == 0 { format!("{sign}{text}") } else { format!("{sign}{text}.{part:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_cut() {
        for (share, text) in [
            (0.0, "0 %"),
            (1.0, "100 %"),
            (0.29, "29 %"),
            (0.633_967, "63.3 %"),
            (0.999_96, "99.996 %"),
            (0.999_999_9, "99.99999 %"),
            (0.998_003_99, "99.8 %"),
            (1e-16, "1.0e-14 %"),
        ] {
            assert_eq!(percent(share), text, "{share}");
        }
    }

    #[test]
    fn counted_shares_have_one_digit() {
        for (value, text) in
            [(0.0, "0 %"), (1.0, "100 %"), (0.99999, "99.9 %"), (0.0001, "<0.1 %"), (0.29, "29 %"), (0.1234, "12.3 %")]
        {
            assert_eq!(share(value), text, "{value}");
        }
    }

    #[test]
    fn amounts_and_money() {
        for (bytes, text) in [
            (0.0, "0 B"),
            (1e12, "1 TB"),
            (2e7, "20 MB"),
            (1.333e9, "1.33 GB"),
            (999_700.0, "1 MB"),
            (12_340.0, "12.3 kB"),
            (1e30, "1000000000000 EB"),
        ] {
            assert_eq!(decimal(bytes), text);
        }
        for (amount, text) in
            [(0.0, "0"), (1_234.5, "1,234.50"), (-12_000.0, "-12,000"), (1e6, "1,000,000"), (999.999, "1,000")]
        {
            assert_eq!(money(amount), text);
        }
    }
}
