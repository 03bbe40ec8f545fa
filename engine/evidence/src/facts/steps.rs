//! Every step with its attempts.

use std::collections::HashMap;

use lifeboat_core::event::{Event, EventKind, Said};
use lifeboat_core::ids::StepId;
use lifeboat_core::outcome::{Outcome, ProbeAnswer};
use lifeboat_core::plan::{Effect, StepKind};
use lifeboat_core::ports::Direction;
use lifeboat_core::state::{Phase, RunState};
use serde::{Deserialize, Serialize};

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptFacts {
    /// Forward, undo or cleanup.
    pub direction: Direction,
    /// From 1, over the step and direction.
    pub number: u32,
    /// When it began.
    pub from: u64,
    /// When it was known how it ended; none while it is under way, and where the run was abandoned meanwhile.
    pub to: Option<u64>,
    /// `done`, `failed`, `unknown`, `interrupted`, or `under way`.
    pub outcome: String,
    /// Why, where it was not done; what the plugin said when it was asked.
    pub told: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFacts {
    /// Its name.
    pub step: StepId,
    /// What it is.
    pub kind: StepKind,
    /// What it does to the world.
    pub effect: Effect,
    /// The targets that it uses.
    pub targets: Vec<String>,
    /// Where it ended, as `done`.
    pub phase: String,
    /// Why it is there, where it is not done, or who did it by hand.
    pub why: Option<String>,
    /// What to do about a failure.
    pub hint: Option<String>,
    /// When its first attempt, question or timer began.
    pub from: Option<u64>,
    /// When it came to its end.
    pub to: Option<u64>,
    /// Its attempts, in order.
    pub attempts: Vec<AttemptFacts>,
}

/// Collects while events are followed.
#[derive(Debug)]
pub struct Book {
    attempts: Vec<Vec<AttemptFacts>>,
    places: HashMap<StepId, usize>,
}

impl Book {
    pub fn new(state: &RunState) -> Self {
        let places = state.steps().enumerate().map(|(place, (step, _))| (step.id.clone(), place));
        let places: HashMap<StepId, usize> = places.collect();
        Self { attempts: vec![Vec::new(); places.len()], places }
    }

    fn of(&mut self, step: &StepId) -> Option<&mut Vec<AttemptFacts>> {
        self.attempts.get_mut(*self.places.get(step)?)
    }

    pub fn after(&mut self, event: &Event) {
        match &event.kind {
            EventKind::AttemptStarted { step, direction, number, .. } => {
                let begun = AttemptFacts {
                    direction: *direction,
                    number: *number,
                    from: event.at,
                    to: None,
                    outcome: "under way".to_owned(),
                    told: Vec::new(),
                };
                if let Some(attempts) = self.of(step) {
                    attempts.push(begun);
                }
            }
            EventKind::AttemptFinished { step, outcome, interrupted, .. } => {
                let Some(last) = self.of(step).and_then(|attempts| attempts.last_mut()) else { return };
                last.to = Some(event.at);
                let (word, told) = match outcome {
                    Outcome::Done { .. } => ("done", None),
                    Outcome::Failed { failure } => ("failed", Some(message(failure))),
                    Outcome::Unknown { reason } => ("unknown", Some(reason.clone())),
                };
                last.outcome = if *interrupted { "interrupted" } else { word }.to_owned();
                last.told.extend(told);
            }
            EventKind::Probed { step, answer, .. } => {
                let told = match answer {
                    ProbeAnswer::Happened { .. } => "asked, the plugin says that it happened".to_owned(),
                    ProbeAnswer::DidNotHappen => "asked, the plugin says that it did not happen".to_owned(),
                    ProbeAnswer::CannotTell { reason } => format!("asked, the plugin cannot tell: {reason}"),
                };
                if let Some(last) = self.of(step).and_then(|attempts| attempts.last_mut()) {
                    last.told.push(told);
                }
            }
            _ => {}
        }
    }

    pub fn close(self, state: &RunState) -> Vec<StepFacts> {
        let steps = state.steps().zip(self.attempts).map(|((step, now), attempts)| {
            let (why, hint) = why(&now.phase);
            let by_hand = now.by_hand.as_ref().map(|hand| spoken("by hand, says", &hand.said));
            let carried = now.carried.as_ref().map(|from| match from.attempt {
                0 => format!("taken over from run {}", from.run),
                attempt => format!("taken over from run {}, attempt {attempt}", from.run),
            });
            let begun = || now.begun_in.as_ref().map(|run| format!("begun in run {run}, and gone on with here"));
            let carried = carried.or_else(begun);
            let taken_over = match (carried, by_hand) {
                (Some(carried), Some(hand)) => Some(format!("{carried}; {hand}")),
                (carried, hand) => carried.or(hand),
            };
            let why = why.or(taken_over);
            StepFacts {
                step: step.id.clone(),
                kind: step.kind,
                effect: step.effect,
                targets: step.targets.iter().map(|used| used.target.clone()).collect(),
                phase: now.phase.as_str().to_owned(),
                why,
                hint,
                from: now.started_at,
                to: now.finished_at,
                attempts,
            }
        });
        steps.collect()
    }
}

fn message(failure: &lifeboat_core::Failure) -> String {
    failure.code.as_ref().map_or_else(|| failure.message.clone(), |code| format!("{code}: {}", failure.message))
}

fn spoken(what: &str, said: &Said) -> String {
    if said.why.is_empty() { format!("{what} {}", said.by) } else { format!("{what} {}: {}", said.by, said.why) }
}

fn why(phase: &Phase) -> (Option<String>, Option<String>) {
    match phase {
        Phase::Failed { failure } | Phase::UndoFailed { failure } => (Some(message(failure)), failure.hint.clone()),
        Phase::InDoubt { reason, .. } | Phase::Asking { reason } => (Some(reason.clone()), None),
        Phase::NotNeeded { because } => (Some(because.clone()), None),
        Phase::Skipped { said } => (Some(spoken("skipped by", said)), None),
        _ => (None, None),
    }
}
