//! Quantities as people write them: `15m`, `1h30m`, `1TB`, `20MB/s`, `99.9%`, `1200/h`.
//!
//! A unit is always asked for where there is more than one, and one that is read in two ways (`Mb/s`) is refused.

use lifeboat_core::Error;

use crate::quantity::{Bytes, Money, MoneyRate, Probability, Rate, Seconds, meaningless};

const TIME_HELP: &str = "write a number and a unit: 250ms, 30s, 15m, 2h, 1h30m, 3d, 2w, 1y";
const BYTES_HELP: &str = "write a number and a unit: 800MB, 1TB (1,000 GB), 1TiB (1,024 GiB)";
const RATE_HELP: &str = "write an amount for a time: 20MB/s, 1Gbit/s, 5GiB/h";

/// A number in front of a text, and the rest of the text.
fn number<'a>(text: &'a str, what: &str, help: &str) -> Result<(f64, &'a str), Error> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let value: f64 = digits.replace('_', "").parse().map_err(|_| wrong(text, what, help))?;
    if !value.is_finite() {
        return Err(wrong(text, what, help));
    }
    Ok((value, rest.trim_start()))
}

fn wrong(text: &str, what: &str, help: &str) -> Error {
    meaningless(format!("'{text}' is no {what}")).hint(help)
}

fn time_unit(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        "y" => 31_536_000.0,
        _ => return None,
    })
}

/// A unit of data in bytes. Decimal units are powers of 1,000 and binary ones of 1,024.
fn data_unit(unit: &str) -> Option<f64> {
    let (prefix, scale) = match unit.strip_suffix("bit") {
        Some(prefix) => (prefix, 1.0 / 8.0),
        None => (unit.strip_suffix('B')?, 1.0),
    };
    let factor: f64 = match prefix {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1_024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        _ => return None,
    };
    Some(factor * scale)
}

/// A help that fits what was written: `Mb` is a bit to some and a byte to others.
fn data_help(unit: &str, help: &str) -> String {
    let both_ways = unit.ends_with('b') && data_unit(&format!("{}B", unit.trim_end_matches('b'))).is_some();
    if !both_ways {
        return help.to_owned();
    }
    let prefix = unit.trim_end_matches('b');
    format!("'{unit}' is read in two ways: write {prefix}B for bytes, or {prefix}bit for bits")
}

impl Seconds {
    /// Reads a time: numbers with units, as `90s`, `1.5h`, `1h30m`.
    ///
    /// # Errors
    /// `LB0910` for what is no time.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut rest = text.trim();
        let mut total = 0.0;
        if rest.is_empty() {
            return Err(wrong(text, "time", TIME_HELP));
        }
        while !rest.is_empty() {
            let (value, behind) = number(rest, "time", TIME_HELP).map_err(|_| wrong(text, "time", TIME_HELP))?;
            let end = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
            let (unit, next) = behind.split_at_checked(end).unwrap_or((behind, ""));
            let factor = time_unit(unit).ok_or_else(|| wrong(text, "time", TIME_HELP))?;
            total += value * factor;
            rest = next.trim_start();
        }
        Self::new(total)
    }
}

impl Bytes {
    /// Reads an amount of data, as `800MB` or `1.5TiB`.
    ///
    /// # Errors
    /// `LB0910` for what is none, and for a unit that is read in two ways.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (value, unit) = number(text.trim(), "amount of data", BYTES_HELP)?;
        let factor = data_unit(unit).ok_or_else(|| wrong(text, "amount of data", &data_help(unit, BYTES_HELP)))?;
        Self::new(value * factor)
    }
}

impl Rate {
    /// Reads a rate, as `20MB/s` or `1Gbit/s`.
    ///
    /// # Errors
    /// `LB0910` for what is none, and for a unit that is read in two ways.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (value, units) = number(text.trim(), "rate", RATE_HELP)?;
        let (data, time) = units.split_once('/').ok_or_else(|| wrong(text, "rate", RATE_HELP))?;
        let bytes = data_unit(data.trim()).ok_or_else(|| wrong(text, "rate", &data_help(data.trim(), RATE_HELP)))?;
        let seconds = time_unit(time.trim()).ok_or_else(|| wrong(text, "rate", RATE_HELP))?;
        Self::new(value * bytes / seconds)
    }
}

impl Probability {
    /// Reads a probability, as `99.9%` or `0.999`.
    ///
    /// # Errors
    /// `LB0910` for what is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        const HELP: &str = "write a number from 0 to 1, or from 0% to 100%";
        let (value, rest) = number(text.trim(), "probability", HELP)?;
        match rest {
            "" => Self::new(value),
            "%" => Self::new(value / 100.0),
            _ => Err(wrong(text, "probability", HELP)),
        }
    }
}

impl Money {
    /// Reads an amount of money: a number, without a currency. `2.5k` and `3M` are thousands and millions.
    ///
    /// # Errors
    /// `LB0910` for what is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        const HELP: &str = "write a number without a currency: 1200, 2.5k, 3M";
        let (value, rest) = number(text.trim(), "amount of money", HELP)?;
        let factor = match rest {
            "" => 1.0,
            "k" => 1e3,
            "M" => 1e6,
            _ => return Err(wrong(text, "amount of money", HELP)),
        };
        Self::new(value * factor)
    }
}

impl MoneyRate {
    /// Reads a price of time, as `1200/h`.
    ///
    /// # Errors
    /// `LB0910` for what is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        const HELP: &str = "write an amount for a time: 1200/h, 3k/d";
        let (money, time) = text.split_once('/').ok_or_else(|| wrong(text, "price of time", HELP))?;
        let seconds = time_unit(time.trim()).ok_or_else(|| wrong(text, "price of time", HELP))?;
        Self::answer(Money::parse(money)?.get() / seconds)
    }
}
