//! The safety kernel: what follows from alerts. Pure: state and fact in, events and decisions out.
//!
//! It promises: one incident has one run, whatever comes, how often, and in which order. An incident is what fires of one
//! group for one runbook, from its first alert until no alert of it fires.
//!
//! - Later alerts of the incident are facts for its run. Of two words on one alert the later one counts (by the time that its
//!   source gives), so an order of coming is as good as another, and what is repeated of a closed incident starts nothing.
//! - A run starts after the hold-down, if enough probes agree, and if the budget of the runbook is not spent; else a person is paged.
//! - Where it is resolved before its run is at the point of no return, that is noted and the run is aborted in order. After it, it
//!   is noted. What fires again during the abort is the next incident, which begins when the run has ended.
//! - A run stops before its point of no return, unless runbook and operator both let it go on.
//! - What is not started because of a limit is refused and told, never dropped.

mod decide;
mod event;
mod intake;
mod round;
mod state;
mod trigger;
mod verdict;

pub use self::decide::{Decision, Fact, Outcome, decide};
pub use self::event::{Event, IncidentId, What};
pub use self::state::{AlertState, Incident, Page, Phase, State, Terms};
pub use self::trigger::{Agree, Budget, Trigger};
pub use self::verdict::{Verdict, Word};
