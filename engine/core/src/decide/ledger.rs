//! When what was made is removed, and what follows from how that went.

use super::{Round, start};
use crate::Error;
use crate::event::{EventKind, RunResult, Said};
use crate::ids::StepId;
use crate::ledger::{CLEANUP_RETRY, Made};
use crate::limits::ATTEMPTS_PER_STEP_MAX;
use crate::outcome::{FailureKind, Outcome};
use crate::plan::Step;
use crate::policy::backoff_ms;
use crate::ports::Direction;
use crate::state::{RunState, StepState};

/// How the run ends: at once, or after what it made is removed.
pub(super) fn end(state: &RunState, result: RunResult) -> EventKind {
    if state.to_clean.is_empty() {
        return EventKind::RunFinished { result };
    }
    EventKind::CleanupStarted { then: result, said: None }
}

/// The newest thing that may still be there, if its removal can be tried now.
pub(super) fn next(state: &RunState, now: u64) -> Option<(&Step, &StepState)> {
    let place = *state.to_clean.last()?;
    let (step, entry) = super::at(state, place)?;
    let waits = match entry.ledger.as_ref()?.made {
        Made::Waiting { until } => until > now,
        _ => false,
    };
    (!waits && state.removing.is_none()).then_some((step, entry))
}

/// One removal after the other: what was made on top of something is gone before that is.
pub(super) fn clean(state: &RunState, round: Round, then: RunResult) -> Vec<EventKind> {
    if state.removing.is_some() {
        return Vec::new();
    }
    if state.to_clean.is_empty() {
        return vec![EventKind::RunFinished { result: then }];
    }
    match next(state, round.now) {
        Some((step, entry)) if round.starts > 0 => {
            vec![start(state, step, entry, Direction::Cleanup, state.token + 1)]
        }
        _ => Vec::new(),
    }
}

/// The event for the end of a removal. What failed for now, or of which nobody knows, is tried again: a removal is idempotent.
pub(super) fn finished(
    state: &RunState,
    (step, entry): (&Step, &StepState),
    number: u32,
    outcome: Outcome,
    interrupted: bool,
    (now, random): (u64, u64),
) -> Option<EventKind> {
    let ledger = entry.ledger.as_ref()?;
    if !matches!(ledger.made, Made::Removing { number: n, .. } if n == number) || state.result.is_some() {
        return None;
    }
    let failures = ledger.failures + 1;
    let again = failures <= CLEANUP_RETRY.count && ledger.attempts < ATTEMPTS_PER_STEP_MAX;
    let later = || again.then(|| now.saturating_add(backoff_ms(&CLEANUP_RETRY, failures, random)));
    let retry_at = match &outcome {
        Outcome::Done { .. } => None,
        _ if interrupted => Some(now),
        Outcome::Unknown { .. } => later(),
        Outcome::Failed { failure } => {
            let can_help = matches!(failure.kind, FailureKind::Temporary | FailureKind::Sandbox);
            if can_help { later() } else { None }
        }
    };
    let (step, direction) = (step.id.clone(), Direction::Cleanup);
    Some(EventKind::AttemptFinished { step, direction, number, outcome, retry_at, interrupted })
}

/// The step whose things were being removed when the engine stopped, and which attempt that was.
pub(super) fn interrupted(state: &RunState) -> Option<(StepId, u32)> {
    let (step, entry) = super::at(state, state.removing?)?;
    match entry.ledger.as_ref()?.made {
        Made::Removing { number, .. } => Some((step.id.clone(), number)),
        _ => None,
    }
}

/// A person wants removed what a run that has ended left behind.
///
/// # Errors
/// `LB1150` when the run has not ended; `LB1151` when nothing of it is left.
pub fn cleanup(state: &RunState, said: Said) -> Result<EventKind, Error> {
    let Some(then) = state.result else {
        return Err(Error::new(
            "LB1150",
            format!("the run cannot be cleaned up yet: it is {}", state.status().as_str()),
        )
        .with("run", &state.run)
        .hint("a run cleans up after itself when it ends; cancel or abandon it to end it now"));
    };
    let (left, all) = crate::ledger::left(state);
    if left == 0 {
        return Err(Error::new("LB1151", format!("nothing of the run is left: 0 of {all}"))
            .with("run", &state.run)
            .hint("'lifeboat ledger' shows what it made, and when it was removed"));
    }
    Ok(EventKind::CleanupStarted { then, said: Some(said) })
}
