//! When schedules are due, and what follows. Pure: the time is handed in, the zones are built in, nothing is random.
//!
//! What a service does, for each schedule, once a second and whenever a run of it ends:
//!
//! 1. [`Rule::new`] when the runbook is loaded, from its [`Spec`]; [`State::new`] where the store has no state of that name.
//! 2. [`decide`] with the state, the time and the run of this schedule that has not ended. It gives a new state and decisions.
//! 3. Both are written to the store in one step, compared on the state that was read. Only then anything is started.
//! 4. For each [`Decision::Fire`]: make the run whose key is [`Start::key`], or find that there is one already. Then
//!    [`State::settled`], and write the state. After a crash in between, [`decide`] tells the same start again.
//! 5. All decisions are shown: those that start nothing are what a person asks for.
//!
//! [`Rule::next`] is `lifeboat schedule next`. How a change of the clock is dealt with is told in `times.rs`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod blackout;
mod cron;
mod decide;
pub mod limits;
mod refused;
mod rule;
mod times;
mod zone;

pub use self::blackout::{Blackout, BlackoutText};
pub use self::cron::Cron;
pub use self::decide::{Cause, Decision, Skip, Start, State, decide};
pub use self::refused::Refused;
pub use self::rule::{Missed, Overlap, Rule, Spec, Upcoming};
pub use self::times::Times;
pub use self::zone::zone;
