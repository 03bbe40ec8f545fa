//! What has to be done next, derived from the state of a run and nothing else.
//!
//! The driver does each of these once while it lives. After a crash it asks again, and nothing is lost: an action that
//! was not done yet is simply still there.

use crate::ids::{Digest, RunId, StepId};
use crate::ledger::Made;
use crate::ports::Direction;
use crate::state::{Heading, Phase, RunState};

/// Something for the driver to do. It becomes possible only after the events that caused it are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Carry out an attempt whose intent is durable.
    Launch {
        /// The step.
        step: StepId,
        /// Forward or undo.
        direction: Direction,
        /// Which attempt.
        number: u32,
        /// Its fencing token.
        token: u64,
    },
    /// Ask the plugin whether an attempt happened.
    Probe {
        /// The step.
        step: StepId,
        /// Which attempt.
        number: u32,
    },
    /// Ask running attempts to stop.
    CancelRunning,
    /// Look again at that time.
    WakeAt(u64),
}

/// All that is outstanding.
pub fn pending(state: &RunState) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut wake: Option<u64> = None;
    if state.result.is_some() {
        return actions;
    }
    let forward = state.heading == Heading::Forward && state.paused.is_none();
    if let Some((step, made)) = state
        .removing
        .and_then(|place| Some((state.plan.steps.get(place)?, &state.steps.get(place)?.ledger.as_ref()?.made)))
        && let Made::Removing { number, token } = made
    {
        let (step, direction) = (step.id.clone(), Direction::Cleanup);
        actions.push(Action::Launch { step, direction, number: *number, token: *token });
    }
    if state.paused.is_none() {
        wake = state.removal_waits_until();
    }
    if matches!(state.heading, Heading::Cancelling { .. }) {
        actions.push(Action::CancelRunning);
    }
    let undoing = state.paused.is_none();
    for place in state.running.iter().chain(&state.held) {
        let (Some(step), Some(now)) = (state.plan.steps.get(*place), state.steps.get(*place)) else { continue };
        match &now.phase {
            Phase::Running { direction, number, token, .. } => actions.push(Action::Launch {
                step: step.id.clone(),
                direction: *direction,
                number: *number,
                token: *token,
            }),
            Phase::InDoubt { number, .. } if forward => {
                actions.push(Action::Probe { step: step.id.clone(), number: *number });
            }
            Phase::Backoff { until, direction } if forward || (undoing && *direction == Direction::Undo) => {
                wake = Some(wake.map_or(*until, |at| at.min(*until)));
            }
            Phase::Timer { until } if forward => wake = Some(wake.map_or(*until, |at| at.min(*until))),
            Phase::Approval { expires_at: Some(until), .. } if forward => {
                wake = Some(wake.map_or(*until, |at| at.min(*until)));
            }
            _ => {}
        }
    }
    actions.extend(wake.map(Action::WakeAt));
    actions
}

/// The steps whose plugin has to be asked whether an attempt happened, with the number of that attempt.
pub fn probes(state: &RunState) -> Vec<(StepId, u32)> {
    if state.paused.is_none() { doubts(state) } else { Vec::new() }
}

/// The same, also of a paused run: for who wants to know how it stands before something else is done with it.
pub fn doubts(state: &RunState) -> Vec<(StepId, u32)> {
    let asked = |place: &usize| match (state.plan.steps.get(*place)?, &state.steps.get(*place)?.phase) {
        (step, Phase::InDoubt { number, .. }) => Some((step.id.clone(), *number)),
        _ => None,
    };
    let forward = state.result.is_none() && state.heading == Heading::Forward;
    if forward { state.held.iter().filter_map(asked).collect() } else { Vec::new() }
}

/// The next time after `now` at which something becomes due. What is due already waits for a place, not for a time.
pub fn wake_after(state: &RunState, now: u64) -> Option<u64> {
    let forward = state.heading == Heading::Forward;
    let due = |place: &usize| match &state.steps.get(*place)?.phase {
        Phase::Backoff { until, direction } if forward || *direction == Direction::Undo => Some(*until),
        Phase::Timer { until } | Phase::Approval { expires_at: Some(until), .. } if forward => Some(*until),
        _ => None,
    };
    let times = state.held.iter().filter_map(due).chain(state.removal_waits_until()).filter(|at| *at > now);
    if state.result.is_some() || state.paused.is_some() || state.wants_locks() { None } else { times.min() }
}

/// The idempotency key of a step of this run. A step that was taken over has the key under which it was begun: who goes on with
/// it, or undoes it, finds what was left behind.
pub fn key_of(state: &RunState, step: &StepId) -> Digest {
    let now = state.step(step).map(|(_, now)| now);
    let origin = now.and_then(|now| now.begun_in.as_ref().or(now.carried.as_deref().map(|from| &from.run)));
    key(origin.unwrap_or(&state.run), step)
}

/// The idempotency key of a step: the same for all of its attempts in this run, forward and undo, so that an undo finds
/// what the effect left behind under that key.
pub fn key(run: &RunId, step: &StepId) -> Digest {
    Digest::of(format!("{run}\n{step}").as_bytes())
}
