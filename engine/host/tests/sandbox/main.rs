//! The sandbox against the real plugins: whatever the fixture does, it ends as it must, within its limit, and its neighbour
//! notices nothing. One engine for all tests of this binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod http;
mod misbehave;
mod objects;
mod outcomes;
mod reach;
mod setting;
