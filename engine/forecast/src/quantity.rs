//! Quantities with units. Each is a finite number that is not less than nothing; there is no other way to make one.
//!
//! A model takes and gives these, so a rate is never taken for an amount, and a mistake of units is a mistake of types.

use std::fmt::Display;

use lifeboat_core::Error;
use serde::Serialize;

/// `LB0910`: an input that means nothing.
pub(crate) fn meaningless(message: impl Into<String>) -> Error {
    Error::new("LB0910", message)
}

/// `LB0911`: a model that has no answer for its input.
pub(crate) fn no_answer(message: impl Into<String>) -> Error {
    Error::new("LB0911", message)
}

fn finite(value: f64, what: &str) -> Result<f64, Error> {
    if value.is_finite() && value >= 0.0 {
        // There is one nought: -0.0 would print a sign.
        return Ok(value + 0.0);
    }
    let why = if value.is_finite() { "is less than nothing" } else { "is not a finite number" };
    Err(meaningless(format!("{value} {why}, and no {what}")))
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(f64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0.0);

            /// A quantity.
            ///
            /// # Errors
            /// `LB0910` for what is less than nothing, infinite, or no number.
            pub fn new(value: f64) -> Result<Self, Error> {
                finite(value, $what).map(Self)
            }

            /// What a model came to.
            ///
            /// # Errors
            /// `LB0911` when that is out of the range of numbers.
            pub(crate) fn answer(value: f64) -> Result<Self, Error> {
                finite(value, $what).map(Self).map_err(|cause| {
                    no_answer(format!("the {} of this model is out of the range of numbers", $what))
                        .with("value", cause.message)
                })
            }

            /// The number, in the unit that the type names.
            pub const fn get(self) -> f64 {
                self.0
            }

            /// Whether it is nothing at all.
            pub fn is_zero(self) -> bool {
                self.0 == 0.0
            }
        }
    };
}

quantity!(
    /// A length of time, in seconds.
    Seconds,
    "time"
);
quantity!(
    /// An amount of data, in bytes. An average may be a fraction.
    Bytes,
    "amount of data"
);
quantity!(
    /// A speed of data, in bytes a second.
    Rate,
    "rate"
);
quantity!(
    /// An amount of money, in whatever currency the caller keeps to.
    Money,
    "amount of money"
);
quantity!(
    /// Money for each second.
    MoneyRate,
    "price of time"
);

/// A probability: from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Probability(f64);

impl Probability {
    /// Never.
    pub const NEVER: Self = Self(0.0);
    /// Always.
    pub const CERTAIN: Self = Self(1.0);

    /// A probability.
    ///
    /// # Errors
    /// `LB0910` for what is not from 0 to 1.
    pub fn new(value: f64) -> Result<Self, Error> {
        if (0.0..=1.0).contains(&value) {
            return Ok(Self(value + 0.0));
        }
        Err(meaningless(format!("{value} is no probability")).hint("probabilities are from 0 to 1, or from 0% to 100%"))
    }

    /// What a model came to: rounding may have pushed it over an end by a hair.
    ///
    /// # Errors
    /// `LB0911` when it is no number.
    pub(crate) fn answer(value: f64) -> Result<Self, Error> {
        if value.is_nan() {
            return Err(no_answer("the probability of this model is out of the range of numbers"));
        }
        Ok(Self(value.clamp(0.0, 1.0)))
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The probability of the opposite.
    #[must_use]
    pub fn opposite(self) -> Self {
        Self(1.0 - self.0)
    }
}

impl Seconds {
    /// From milliseconds.
    pub fn from_ms(ms: u64) -> Self {
        Self(ms as f64 / 1e3)
    }

    /// In milliseconds, rounded; at most `u64::MAX`.
    pub fn ms(self) -> u64 {
        (self.0 * 1e3).round() as u64
    }

    /// An hour.
    pub const HOUR: Self = Self(3_600.0);
    /// A day.
    pub const DAY: Self = Self(86_400.0);
    /// A year of 365 days.
    pub const YEAR: Self = Self(31_536_000.0);
}

/// The larger of nothing and a difference: what is left.
pub(crate) fn left(value: f64) -> f64 {
    value.max(0.0)
}

/// A quantity that has to be more than nothing for the model to mean something.
///
/// # Errors
/// `LB0911` when it is nothing.
pub(crate) fn positive(value: f64, what: impl Display) -> Result<f64, Error> {
    if value > 0.0 { Ok(value) } else { Err(no_answer(format!("{what} has to be more than nothing"))) }
}
