//! The models against simulations that do not know their formulas, and the simulation of plans against what can be told by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// How long the simulation itself takes is measured by a clock.
#![allow(clippy::disallowed_methods)]

mod availability;
mod backups;
mod cost;
mod engine;
mod history;
mod plan;
mod quantities;
mod recovery;
mod storage;

use lifeboat_forecast::{Bytes, Money, MoneyRate, Probability, Rate, Seconds};

fn s(value: f64) -> Seconds {
    Seconds::new(value).unwrap()
}

fn time(text: &str) -> Seconds {
    Seconds::parse(text).unwrap()
}

fn bytes(text: &str) -> Bytes {
    Bytes::parse(text).unwrap()
}

fn rate(text: &str) -> Rate {
    Rate::parse(text).unwrap()
}

fn p(value: f64) -> Probability {
    Probability::new(value).unwrap()
}

fn money(value: f64) -> Money {
    Money::new(value).unwrap()
}

fn price(text: &str) -> MoneyRate {
    MoneyRate::parse(text).unwrap()
}

/// Both are the same, but for that share of the larger.
#[track_caller]
fn close(actual: f64, expected: f64, share: f64) {
    let off = (actual - expected).abs();
    assert!(off <= share * actual.abs().max(expected.abs()), "{actual} is not {expected} within {share}");
}
