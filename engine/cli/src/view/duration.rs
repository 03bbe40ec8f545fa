//! Durations, sizes and rates as people say them: the same words as in reports and evidence.

pub use lifeboat_evidence::words::{bytes, duration, rate};
