//! What can be said of a plan before it runs.
//!
//! - [`saved`]: a plan as one file, which is run exactly as it is or not at all.
//! - [`diff`]: what is different between two plans, in words for a review, most dangerous first.
//! - [`worst`]: the longest that a plan can take.
//! - [`simulate`]: the plan carried out in a world in which everything goes wrong, one thing at a time, and the branches
//!   that nobody handles.
//!
//! All of it is pure: no clock, no disk, no plugin. Nothing that carries a run out depends on it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod diff;
pub mod saved;
pub mod simulate;
mod words;
pub mod worst;

pub use diff::{Change, Kind, Review, Weight, differences};
pub use saved::{Saved, check_plugins};
