//! The pure centre of Lifeboat: what a plan is, what can happen to a run, and what follows from it.
//!
//! Nothing in here does IO, reads a clock, or knows of async runtimes. Everything that happens to a run is an
//! [`event::Event`]; [`apply::apply`] is the only writer of [`state::RunState`]; [`decide`] turns a wish (of a person, a
//! worker or a timer) into events or a refusal; [`actions::pending`] derives from the state alone what has to be done
//! next, so that a crash between deciding and doing loses nothing. The world outside is behind the traits of [`ports`].

pub mod actions;
pub mod apply;
pub mod carry;
pub mod condition;
pub mod corruption;
pub mod decide;
pub mod documents;
pub mod error;
pub mod event;
pub mod fence;
pub mod grants;
pub mod graph;
pub mod ids;
pub mod ledger;
pub mod limits;
pub mod measure;
#[cfg(feature = "mutants")]
pub mod mutant;
pub mod notify;
pub mod outcome;
pub mod plan;
pub mod plugin;
pub mod policy;
pub mod ports;
#[cfg(feature = "schema")]
pub mod schema;
pub mod secrets;
pub mod service;
pub mod state;
mod summary;
pub mod taint;
pub mod template;
pub mod verified;

pub use error::{Code, Error};
pub use ids::{Digest, RunId, StepId};
pub use outcome::{Failure, FailureKind, Outcome};
pub use plan::{Effect, Mode, Plan, Step, StepKind};
