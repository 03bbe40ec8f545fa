//! Attempts: begun, ended, asked about.

use super::illegal;
use crate::Error;
use crate::ids::StepId;
use crate::outcome::{Failure, Outcome, ProbeAnswer};
use crate::plan::InDoubt;
use crate::ports::Direction;
use crate::state::{Heading, Phase, RunState};

/// The circumstances of an attempt's end.
pub(super) struct End {
    pub(super) at: u64,
    pub(super) retry_at: Option<u64>,
    pub(super) interrupted: bool,
}

pub(super) fn started(
    state: &mut RunState,
    id: &StepId,
    direction: Direction,
    number: u32,
    token: u64,
    at: u64,
) -> Result<(), Error> {
    if token <= state.token {
        return Err(illegal(format!("the fencing token {token} of step '{id}' is not a new one")));
    }
    if state.paused.is_some() || state.wants_locks() {
        return Err(illegal(format!("an attempt of step '{id}' starts while the run is paused or has no locks")));
    }
    if direction == Direction::Cleanup {
        return super::ledger::started(state, id, number, token);
    }
    let place = state.place(id)?;
    let ready = state.ready.contains(&place);
    let unwinding = matches!(state.heading, Heading::Unwinding { .. });
    let forward = state.heading == Heading::Forward;
    let step = state.entry(id)?.1;
    let legal = match (direction, &step.phase) {
        (Direction::Forward, Phase::Pending) => forward && ready,
        (Direction::Forward, Phase::Backoff { direction, .. }) => forward && *direction == Direction::Forward,
        (Direction::Forward | Direction::Cleanup, _)
        | (Direction::Undo, Phase::Running { .. } | Phase::UndoFailed { .. }) => false,
        (Direction::Undo, _) => unwinding && step.may_have_happened,
    };
    let count = match direction {
        Direction::Forward => &mut step.attempts,
        Direction::Undo | Direction::Cleanup => &mut step.undo_attempts,
    };
    if !legal || number != *count + 1 {
        return Err(illegal(format!("an attempt of step '{id}' starts while it is {}", step.phase.as_str())));
    }
    *count = number;
    if direction == Direction::Undo && number == 1 {
        // An undo has the retries of its own policy, whatever the way forward cost.
        step.failures = 0;
    }
    step.started_at.get_or_insert(at);
    state.token = token;
    state.settle(place, Phase::Running { direction, number, token, since: at }, at);
    Ok(())
}

pub(super) fn finished(
    state: &mut RunState,
    id: &StepId,
    direction: Direction,
    number: u32,
    outcome: &Outcome,
    end: &End,
) -> Result<(), Error> {
    if direction == Direction::Cleanup {
        return super::ledger::finished(state, id, number, outcome, end);
    }
    let policy = state.step(id).map(|(step, _)| step.policy.in_doubt);
    let (place, step) = state.expect(
        id,
        |phase| matches!(phase, Phase::Running { direction: d, number: n, .. } if *d == direction && *n == number),
    )?;
    let counts = !end.interrupted && !matches!(outcome, Outcome::Done { .. });
    step.failures += u32::from(counts);
    let next = match outcome {
        Outcome::Done { outputs } if direction == Direction::Forward => {
            state.done(place, outputs.clone(), end.at);
            return Ok(());
        }
        Outcome::Done { .. } => Phase::Undone,
        Outcome::Failed { failure } => match (end.retry_at, direction) {
            (Some(until), _) => Phase::Backoff { direction, until },
            (None, Direction::Forward) => Phase::Failed { failure: failure.clone() },
            (None, Direction::Undo | Direction::Cleanup) => Phase::UndoFailed { failure: failure.clone() },
        },
        Outcome::Unknown { reason } => match (end.retry_at, direction) {
            (Some(until), _) => Phase::Backoff { direction, until },
            (None, Direction::Undo | Direction::Cleanup) => {
                Phase::UndoFailed { failure: Failure::permanent(reason.clone()) }
            }
            (None, Direction::Forward) if policy == Some(InDoubt::Probe) => {
                Phase::InDoubt { number, reason: reason.clone(), interrupted: end.interrupted }
            }
            (None, Direction::Forward) => Phase::Asking { reason: reason.clone() },
        },
    };
    if matches!(outcome, Outcome::Unknown { .. }) && direction == Direction::Forward {
        state.touch(place);
    }
    state.settle(place, next, end.at);
    Ok(())
}

pub(super) fn probed(
    state: &mut RunState,
    id: &StepId,
    number: u32,
    answer: &ProbeAnswer,
    retry_at: Option<u64>,
    at: u64,
) -> Result<(), Error> {
    let (place, step) = state.expect(id, |phase| matches!(phase, Phase::InDoubt { number: n, .. } if *n == number))?;
    let Phase::InDoubt { reason: doubt, .. } = &step.phase else {
        return Err(illegal(format!("step '{id}' is not in doubt")));
    };
    let doubt = doubt.clone();
    let next = match (answer, retry_at) {
        (ProbeAnswer::Happened { outputs }, _) => {
            state.done(place, outputs.clone(), at);
            return Ok(());
        }
        (_, Some(until)) => Phase::Backoff { direction: Direction::Forward, until },
        (ProbeAnswer::DidNotHappen, None) => Phase::Failed { failure: Failure::permanent(doubt) },
        (ProbeAnswer::CannotTell { reason }, None) => {
            Phase::Asking { reason: format!("{doubt}; the plugin cannot tell: {reason}") }
        }
    };
    if matches!(answer, ProbeAnswer::DidNotHappen) {
        step.may_have_happened = false;
    }
    state.settle(place, next, at);
    Ok(())
}
