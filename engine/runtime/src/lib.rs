//! The driver: it carries plans out, as [`lifeboat_core`] decides.
//!
//! Each run has one actor, the only one that changes its state. The actor takes what happened (ends of attempts, wishes
//! of people, timers), lets the core decide what follows, makes all of it durable in one append, and only then acts. A
//! crash at any point loses nothing: what was not durable did not happen, and what was durable is derived again.
//!
//! This crate reads no clock, draws no random number and touches no file by itself: all of that is injected
//! ([`EngineParts`]), so that the tests can simulate it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod actor;
mod args;
mod attempt;
mod closing;
mod engine;
mod locks;
mod notice;
mod places;
mod rooms;
mod takeover;
mod together;

pub use engine::{Engine, EngineParts, Loaded, RunHandle};
pub use notice::{Notice, Rest, Verb};
pub use takeover::Next;
pub use together::{all_at_rest, resume_all};
