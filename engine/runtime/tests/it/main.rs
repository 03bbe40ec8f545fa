//! The driver over a simulated world: every test here runs in simulated time, and a run that hangs is a panic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// Tests look at the real clock and write golden files; the code under test does neither.
#![allow(clippy::disallowed_methods)]

mod closing;
mod cut;
mod failing;
mod flow;
mod ledger;
mod limits;
mod locks;
mod missing;
mod needs;
mod overtaken;
mod scale;
mod storing;
mod suspect;
mod takeover;
mod verbs;
