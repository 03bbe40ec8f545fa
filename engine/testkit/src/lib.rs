//! What the tests put in the place of the world: a clock that jumps, seeded randomness, a store that fails on demand, and an
//! executor that does as it is told and remembers what it did.
//!
//! For tests only: helpers panic where a test would, and a run that can never go on is a panic and not a hang.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod clock;
mod crash;
mod executor;
mod left;
mod plan;
mod random;
mod rig;
mod rng;
mod store;
mod world;

pub use clock::{SimClock, WallClock};
pub use crash::{CrashStore, Fault};
pub use executor::ScriptedExecutor;
pub use left::{Left, Leftovers, left, restore};
pub use plan::PlanBuilder;
pub use random::{RandomCase, random_case, random_script};
pub use rig::{Rig, said};
pub use rng::SeededRng;
pub use store::SimStore;
pub use world::{Act, Entry, Script, Tell, World};
