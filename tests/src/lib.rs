//! What the integration tests and the benchmarks share: the parts of Lifeboat put together in one process.

// Tests and benchmarks may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod bench;
#[cfg(test)]
mod readme;
