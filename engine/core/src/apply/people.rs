//! What people said: approvals and verbs.

use serde_json::{Value, json};

use super::illegal;
use crate::Error;
use crate::event::Said;
use crate::ids::StepId;
use crate::plan::StepKind;
use crate::ports::Direction;
use crate::state::{ByHand, Heading, Phase, RunState};

pub(super) fn approved(state: &mut RunState, id: &StepId, said: &Said, at: u64) -> Result<(), Error> {
    state.going_forward("a step is approved")?;
    let quorum = state.step(id).and_then(|(step, _)| step.approval.as_ref()).map_or(1, |approval| approval.quorum);
    let (place, step) = state.expect(id, |phase| matches!(phase, Phase::Approval { .. }))?;
    let Phase::Approval { given, .. } = &mut step.phase else {
        return Err(illegal(format!("step '{id}' asks nobody")));
    };
    if given.iter().any(|earlier| earlier.by == said.by) {
        return Err(illegal(format!("{} approved step '{id}' twice", said.by)));
    }
    given.push(said.clone());
    if given.len() >= usize::try_from(quorum).unwrap_or(usize::MAX) {
        let names: Vec<&str> = given.iter().map(|said| said.by.as_str()).collect();
        let outputs = json!({ "approved_by": names });
        state.done(place, outputs, at);
    }
    Ok(())
}

pub(super) fn retried(state: &mut RunState, id: &StepId, at: u64) -> Result<(), Error> {
    let unwinding = matches!(state.heading, Heading::Unwinding { .. });
    let cancelling = matches!(state.heading, Heading::Cancelling { .. } | Heading::Cleaning { .. });
    let (place, step) = state
        .expect(id, |phase| matches!(phase, Phase::Failed { .. } | Phase::Asking { .. } | Phase::UndoFailed { .. }))?;
    let undo = matches!(step.phase, Phase::UndoFailed { .. });
    if undo != unwinding || cancelling {
        return Err(illegal(format!("step '{id}' is retried in the wrong direction")));
    }
    step.failures = 0;
    let backoff = Phase::Backoff { direction: Direction::Undo, until: at };
    state.settle(place, if undo { backoff } else { Phase::Pending }, at);
    state.open_again();
    Ok(())
}

pub(super) fn skipped(state: &mut RunState, id: &StepId, said: &Said, at: u64) -> Result<(), Error> {
    let unwinding = matches!(state.heading, Heading::Unwinding { .. });
    if matches!(state.heading, Heading::Cancelling { .. } | Heading::Cleaning { .. }) {
        return Err(illegal(format!("step '{id}' is skipped while the run is cancelled or cleaned up")));
    }
    if state.step(id).is_some_and(|(step, _)| step.kind == StepKind::Approve) {
        return Err(illegal(format!("the approval '{id}' is skipped")));
    }
    let (place, step) = state.expect(id, |phase| {
        let closed = matches!(
            phase,
            Phase::Running { .. } | Phase::Done | Phase::Skipped { .. } | Phase::NotNeeded { .. } | Phase::Undone
        );
        !closed && (!unwinding || matches!(phase, Phase::UndoFailed { .. }))
    })?;
    let phase = Phase::Skipped { said: said.clone() };
    if unwinding {
        // What a person takes over is not undone by the engine any more.
        step.may_have_happened = false;
        state.settle(place, phase, at);
    } else {
        state.settle(place, phase, at);
        state.release_dependents(place);
    }
    state.open_again();
    Ok(())
}

pub(super) fn marked_done(
    state: &mut RunState,
    id: &StepId,
    outputs: &Value,
    hand: ByHand,
    at: u64,
) -> Result<(), Error> {
    let unwinding = matches!(state.heading, Heading::Unwinding { .. });
    if matches!(state.heading, Heading::Cancelling { .. } | Heading::Cleaning { .. }) {
        return Err(illegal(format!("step '{id}' is marked done while the run is cancelled or cleaned up")));
    }
    if state.step(id).is_some_and(|(step, _)| step.kind == StepKind::Approve) {
        return Err(illegal(format!("the approval '{id}' is marked done")));
    }
    let (place, _) = state.expect(id, |phase| {
        let open = matches!(
            phase,
            Phase::Pending
                | Phase::Failed { .. }
                | Phase::Asking { .. }
                | Phase::InDoubt { .. }
                | Phase::Backoff { .. }
                | Phase::Timer { .. }
        );
        if unwinding { matches!(phase, Phase::UndoFailed { .. }) } else { open }
    })?;
    if unwinding {
        state.settle(place, Phase::Undone, at);
    } else {
        state.done(place, outputs.clone(), at);
    }
    if let Some(step) = state.steps.get_mut(place) {
        step.by_hand = Some(Box::new(hand));
    }
    state.open_again();
    Ok(())
}

pub(super) fn paused(state: &mut RunState, said: &Said) -> Result<(), Error> {
    if state.paused.is_some() || matches!(state.heading, Heading::Cancelling { .. }) {
        return Err(illegal("the run is paused while it is paused or cancelled"));
    }
    state.paused = Some(said.clone());
    Ok(())
}

pub(super) fn unpaused(state: &mut RunState) -> Result<(), Error> {
    state.paused.take().map(drop).ok_or_else(|| illegal("the run goes on without having been paused"))
}
