//! What is made of the ends of attempts, of the answers of probes, and of what a crash left behind.

use crate::Error;
use crate::event::EventKind;
use crate::ids::StepId;
use crate::limits;
use crate::outcome::{Failure, FailureKind, Outcome, ProbeAnswer};
use crate::plan::{Effect, InDoubt, Step};
use crate::policy::backoff_ms;
use crate::ports::Direction;
use crate::state::{Heading, Phase, RunState, StepState};

/// What is said of attempts that nobody saw the end of.
const STOPPED: &str = "the engine stopped during the attempt";

/// The event for the end of an attempt: whether and when it is tried again is decided here.
///
/// `interrupted` says that the engine stopped meanwhile. `None` when the attempt is not under way (any more): a late answer
/// of an attempt that was given up is dropped.
pub fn attempt_finished(
    state: &RunState,
    id: &StepId,
    direction: Direction,
    number: u32,
    outcome: Outcome,
    interrupted: bool,
    (now, random): (u64, u64),
) -> Option<EventKind> {
    let (step, entry) = state.step(id)?;
    if direction == Direction::Cleanup {
        return super::ledger::finished(state, (step, entry), number, outcome, interrupted, (now, random));
    }
    let current =
        matches!(entry.phase, Phase::Running { direction: d, number: n, .. } if d == direction && n == number);
    if !current || state.result.is_some() {
        return None;
    }
    #[cfg(feature = "mutants")]
    let outcome = mutated(outcome);
    let retry_at = match &outcome {
        Outcome::Done { .. } => None,
        Outcome::Failed { failure } => {
            let can_help = matches!(failure.kind, FailureKind::Temporary | FailureKind::Sandbox);
            if can_help { retry_time(step, entry, direction, now, random) } else { None }
        }
        // Undo is idempotent by contract: what may have been undone is undone again.
        Outcome::Unknown { .. } if direction == Direction::Undo || step.policy.in_doubt == InDoubt::Rerun => {
            if interrupted {
                Some(now)
            } else {
                retry_time(step, entry, direction, now, random)
            }
        }
        Outcome::Unknown { .. } => None,
    };
    let retry_at = retry_at.filter(|_| !matches!(state.heading, Heading::Cancelling { .. }));
    Some(EventKind::AttemptFinished { step: id.clone(), direction, number, outcome, retry_at, interrupted })
}

#[cfg(feature = "mutants")]
fn mutated(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unknown { reason } if crate::mutant::is(crate::mutant::Mutant::UnknownIsFailed) => {
            Outcome::Failed { failure: Failure { kind: FailureKind::Temporary, ..Failure::permanent(reason) } }
        }
        outcome => outcome,
    }
}

fn retry_time(step: &Step, entry: &StepState, direction: Direction, now: u64, random: u64) -> Option<u64> {
    let failures = entry.failures + 1;
    let attempts = entry.attempts.max(entry.undo_attempts);
    let retry = step.retry(direction);
    let again = failures <= retry.count && attempts < limits::ATTEMPTS_PER_STEP_MAX;
    again.then(|| now.saturating_add(backoff_ms(retry, failures, random)))
}

/// The event for a plugin's answer. `None` when the step is not in doubt (any more).
///
/// What did not happen is tried again: at once where the engine was at fault, by the retry policy else. What cannot be
/// told is tried again too, unless it is irreversible: then a person is asked.
pub fn probed(
    state: &RunState,
    id: &StepId,
    number: u32,
    answer: ProbeAnswer,
    (now, random): (u64, u64),
) -> Option<EventKind> {
    let (step, entry) = state.step(id)?;
    let Phase::InDoubt { number: asked, interrupted, .. } = &entry.phase else { return None };
    if *asked != number || state.result.is_some() {
        return None;
    }
    let forward = state.heading == Heading::Forward;
    if !forward && matches!(answer, ProbeAnswer::CannotTell { .. }) {
        // The run is ending; what cannot be told stays in doubt.
        return None;
    }
    // The failure was counted when the attempt ended, so the policy is asked about the one before.
    let counted = StepState { failures: entry.failures.saturating_sub(1), ..entry.clone() };
    let again = || if *interrupted { Some(now) } else { retry_time(step, &counted, Direction::Forward, now, random) };
    let retry_at = match &answer {
        _ if !forward => None,
        ProbeAnswer::Happened { .. } => None,
        ProbeAnswer::DidNotHappen => again(),
        ProbeAnswer::CannotTell { .. } if step.effect == Effect::Irreversible => None,
        ProbeAnswer::CannotTell { .. } => again(),
    };
    Some(EventKind::Probed { step: id.clone(), number, answer, retry_at })
}

/// What is made of the attempts that were under way when the engine stopped: their outcome is unknown.
pub fn recover(state: &RunState, now: u64) -> Vec<EventKind> {
    let mut events = Vec::new();
    for (step, entry) in state.steps() {
        let Phase::Running { direction, number, .. } = entry.phase else { continue };
        // A step that only reads has no effect to be in doubt about.
        let outcome = Outcome::Unknown { reason: STOPPED.to_owned() };
        if step.effect == Effect::Read && direction == Direction::Forward {
            let retry_at = Some(now);
            events.push(EventKind::AttemptFinished {
                step: step.id.clone(),
                direction,
                number,
                outcome,
                retry_at,
                interrupted: true,
            });
        } else {
            events.extend(attempt_finished(state, &step.id, direction, number, outcome, true, (now, 0)));
        }
    }
    if let Some((step, number)) = super::ledger::interrupted(state) {
        let outcome = Outcome::Unknown { reason: STOPPED.to_owned() };
        let removal = Direction::Cleanup;
        events.extend(attempt_finished(state, &step, removal, number, outcome, true, (now, 0)));
    }
    events
}

/// The failure of a step whose arguments cannot be filled in: a reference to an output that is not there.
pub fn unfillable(error: Error) -> Outcome {
    Outcome::Failed { failure: Failure::from(error) }
}
