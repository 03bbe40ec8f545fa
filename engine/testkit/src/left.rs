//! What a dead engine left behind in the world, read from the events that it stored.

use std::collections::BTreeMap;

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::outcome::{Outcome, ProbeAnswer};
use lifeboat_core::ports::Direction;

use crate::rng::SeededRng;
use crate::world::World;

/// What a dead engine left behind of one step: whether its effect is there, and whether it was done or undone for sure.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// Its effect is there.
    pub present: bool,
    /// It was done, and is not to be done again.
    pub done: bool,
    /// It was undone, and is not to be undone again.
    pub undone: bool,
}

/// What is left, by step.
pub type Leftovers = BTreeMap<String, Left>;

/// The world as it is after these events. Whether an attempt under way had its effect is drawn.
pub fn left(events: &[Event], doomed: Option<&str>, rng: &SeededRng) -> Leftovers {
    let (mut all, mut under_way, mut unwinding) = (Leftovers::new(), BTreeMap::new(), false);
    for event in events {
        match &event.kind {
            EventKind::AttemptStarted { step, direction, .. } => {
                under_way.insert(step.0.clone(), *direction);
            }
            EventKind::AttemptFinished { step, direction, outcome, .. } => {
                under_way.remove(step.as_str());
                let entry = all.entry(step.0.clone()).or_default();
                match (outcome, direction) {
                    (Outcome::Done { .. }, Direction::Forward) => (entry.present, entry.done) = (true, true),
                    (Outcome::Done { .. }, Direction::Undo) => (entry.present, entry.undone) = (false, true),
                    (Outcome::Done { .. }, Direction::Cleanup) => entry.present = false,
                    // What was there may be gone, and what was gone does not come back.
                    (Outcome::Unknown { .. }, Direction::Cleanup) => entry.present &= rng.chance(50),
                    (Outcome::Unknown { .. }, _) => entry.present |= doomed != Some(step.as_str()) && rng.chance(50),
                    (Outcome::Failed { .. }, _) => {}
                }
            }
            EventKind::Probed { step, answer, .. } => {
                let entry = all.entry(step.0.clone()).or_default();
                match answer {
                    ProbeAnswer::Happened { .. } => (entry.present, entry.done) = (true, true),
                    ProbeAnswer::DidNotHappen => entry.present = false,
                    ProbeAnswer::CannotTell { .. } => {}
                }
            }
            // The operator looked, and it was not there.
            EventKind::StepRetried { step, .. } if !unwinding => all.entry(step.0.clone()).or_default().present = false,
            EventKind::UnwindStarted { .. } => unwinding = true,
            EventKind::StepMarkedDone { step, .. } => {
                let entry = all.entry(step.0.clone()).or_default();
                entry.present = !unwinding;
                entry.done |= !unwinding;
                entry.undone |= unwinding;
            }
            _ => {}
        }
    }
    for (step, direction) in under_way {
        if doomed != Some(step.as_str()) && rng.chance(50) {
            all.entry(step).or_default().present = direction == Direction::Forward;
        }
    }
    all
}

/// Puts a world into the state that was left.
pub fn restore(world: &World, run: &str, left: &Leftovers) {
    for (step, left) in left {
        world.preset(run, step, left.present);
    }
}
