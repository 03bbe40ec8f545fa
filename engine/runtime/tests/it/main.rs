//! The driver over a simulated world: every test here runs in simulated time, and a run that hangs is a panic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cut;
mod failing;
mod flow;
mod limits;
mod scale;
mod storing;
mod verbs;
