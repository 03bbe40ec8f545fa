//! Readiness: whether a plan could be carried out now, without doing any of it. All that is in the way is told at once, each with
//! what mends it.
//!
//! What can be told from the plan and the operator's file is told here. What has to be asked of plugins, vaults, secrets and disks is
//! asked through [`Asks`], and what earlier runs say comes as [`Past`]; so this crate knows neither a sandbox nor a clock, and the
//! command line and the service say the same.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod asks;
mod lints;
mod look;
mod past;
mod probes;
mod row;

pub use asks::{Asks, Finding, Newest};
pub use lints::overlapping;
pub use look::{Question, in_words, look, lost};
pub use past::{Lesson, Past, drills_of, worth_reading};
pub use row::{Readiness, Row};

#[cfg(test)]
mod tests;
