//! A plan, or a run under way, simulated many times: how long it takes, whether it succeeds, and which steps it hangs on.
//!
//! Each sample carries the plan out as the engine does: a step begins when all before it are complete and there is room for it
//! (`max-parallel`, and the limit of its fan-out), in the order of the source; a failed attempt is tried again after its backoff,
//! as often as its policy says; an attempt that is longer than its time-out ends there. What a step takes is drawn from what is
//! known of it (see [`Basis`]).
//!
//! What is not known is not made up. A step of which nothing is known counts as no time at all and is named: the forecast is
//! then a lower bound. A step whose failures nobody has counted does not fail in a sample, and is counted.

mod answer;
mod model;
mod sample;
mod tally;

use std::collections::BTreeMap;

use lifeboat_core::plan::Plan;
use lifeboat_core::state::{Heading, RunState};
use lifeboat_core::{Error, StepId};

pub use answer::{Basis, Estimate, Forecast, Note, Objective, Quantile, StepForecast};

use crate::history::History;
use crate::quantity::{Bytes, Rate, Seconds};

/// More samples than this tell nothing more that anybody could use.
pub const SAMPLES_MAX: u32 = 1_000_000;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// How many samples.
    pub samples: u32,
    /// Where their randomness comes from: the same seed gives the same answer.
    pub seed: u64,
    /// On how many threads. The answer does not depend on it.
    pub threads: usize,
    /// How much data is to be brought back. Steps whose earlier attempts tell their amounts are scaled to it.
    pub bytes: Option<Bytes>,
    /// How fast data moves. With `bytes`, it tells what each step takes that moves data, whatever is known of it otherwise.
    pub rate: Option<Rate>,
    /// What a person says that a step takes, by its name; it goes before everything else.
    pub takes: BTreeMap<StepId, Seconds>,
    /// What passes before a run begins: until the failure is seen, and until it is decided to recover.
    pub before: Seconds,
    /// The objective; `None`: that of the plan.
    pub rto: Option<Seconds>,
}

impl Default for Question {
    fn default() -> Self {
        Self {
            samples: 10_000,
            seed: 1,
            threads: 1,
            bytes: None,
            rate: None,
            takes: BTreeMap::new(),
            before: Seconds::ZERO,
            rto: None,
        }
    }
}

/// What a run of the plan will take, from its beginning.
///
/// # Errors
/// `LB0910` for a time of a step that the plan does not have; `LB0911` for data at a rate of nothing; `LB0912` for no samples
/// or too many, and for a plan whose steps wait for each other.
pub fn forecast(plan: &Plan, history: &History, asked: &Question) -> Result<Forecast, Error> {
    answer(plan, history, asked, None)
}

/// The same from the middle of a run: what is done is known, what is under way has taken its time already, and only the rest is
/// simulated. The times of the answer are those of the whole run, and the objective has its rest, too.
///
/// `now` is in milliseconds since the Unix epoch. Without `bytes` in the question, the largest amount that an output of the run
/// tells is taken.
///
/// # Errors
/// As [`forecast`]; `LB0912` for a run that has ended, or that does not go forward any more.
pub fn reforecast(state: &RunState, now: u64, history: &History, asked: &Question) -> Result<Forecast, Error> {
    let failing = state.plan.on_failure.compensate && state.steps().any(|(_, step)| model::has_failed(&step.phase));
    if state.result.is_some() || state.heading != Heading::Forward || failing {
        let word = state.status().as_str();
        return Err(Error::new("LB0912", format!("run {} is {word}: there is nothing ahead to forecast", state.run)));
    }
    answer(&state.plan, history, asked, Some((state, now)))
}

fn answer(plan: &Plan, history: &History, asked: &Question, live: Option<(&RunState, u64)>) -> Result<Forecast, Error> {
    if asked.samples == 0 || asked.samples > SAMPLES_MAX {
        return Err(Error::new("LB0912", format!("{} samples cannot be drawn", asked.samples))
            .hint(format!("ask for 1 to {SAMPLES_MAX}; 10000 tell the 99th percentile well")));
    }
    if let Some(unknown) = asked.takes.keys().find(|id| plan.step(id).is_none()) {
        return Err(crate::quantity::meaningless(format!("there is no step '{unknown}' in this plan")));
    }
    let model = model::Model::new(plan, history, asked, live)?;
    let tally = tally::Tally::of(&model, asked);
    Ok(answer::Answer { plan, history, asked, live, model: &model, tally: &tally }.forecast())
}
