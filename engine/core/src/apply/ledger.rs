//! What is made, and its removal. A step's phase is not touched by it: what was done stays done when it is cleaned up.

use super::attempts::End;
use super::illegal;
use crate::Error;
use crate::event::{RunResult, Said};
use crate::ids::StepId;
use crate::ledger::{Entry, Made, Resource};
use crate::outcome::{Failure, Outcome};
use crate::state::{Heading, Phase, RunState};

/// The intent to make something, before anything is made.
pub(super) fn intended(state: &mut RunState, id: &StepId, resources: &[Resource], at: u64) -> Result<(), Error> {
    state.going_forward("something is to be made")?;
    let (place, step) = state.expect(id, |phase| matches!(phase, Phase::Pending | Phase::Backoff { .. }))?;
    if step.ledger.is_some() || resources.is_empty() {
        return Err(illegal(format!("step '{id}' says twice what it makes, or nothing")));
    }
    let resources = resources.to_vec();
    let entry = Entry { intended_at: at, resources, made: Made::There, attempts: 0, failures: 0 };
    step.ledger = Some(Box::new(entry));
    state.made.push(place);
    state.to_clean.push(place);
    Ok(())
}

/// From here on nothing is done but cleaning up, and the run ends with that result.
pub(super) fn cleaning(state: &mut RunState, then: RunResult, said: Option<&Said>, at: u64) -> Result<(), Error> {
    if !state.running.is_empty() || state.removing.is_some() {
        return Err(illegal("the run is cleaned up while attempts are under way"));
    }
    let legal = match (&state.heading, state.result) {
        (_, Some(result)) => said.is_some() && result == then,
        (Heading::Forward, None) if then == RunResult::Succeeded => state.complete == state.steps.len(),
        (Heading::Forward, None) => then == RunResult::Failed,
        (Heading::Cancelling { compensate, .. }, None) => !compensate && then == RunResult::Cancelled,
        (Heading::Unwinding { then: end }, None) => *end == then && state.effects.is_empty(),
        (Heading::Cleaning { .. }, None) => false,
    };
    if !legal {
        return Err(illegal("the run is cleaned up at the wrong time, or for another end"));
    }
    if state.result.is_some() {
        let made = std::mem::take(&mut state.made);
        state.to_clean.clear();
        for place in &made {
            let Some(entry) = state.steps.get_mut(*place).and_then(|step| step.ledger.as_mut()) else { continue };
            if !entry.is_removed() {
                (entry.made, entry.failures) = (Made::There, 0);
                state.to_clean.push(*place);
            }
        }
        state.made = made;
    }
    // The time of the cleanup is none of the recovery.
    state.worked_until.get_or_insert(state.finished_at.unwrap_or(at));
    state.open_again();
    state.withdraw();
    state.heading = Heading::Cleaning { then };
    Ok(())
}

pub(super) fn started(state: &mut RunState, id: &StepId, number: u32, token: u64) -> Result<(), Error> {
    let place = state.place(id)?;
    let turn = state.to_clean.last() == Some(&place) && state.removing.is_none();
    let entry = state.entry(id)?.1.ledger.as_mut();
    match entry {
        Some(entry) if turn && number == entry.attempts + 1 => {
            entry.attempts = number;
            entry.made = Made::Removing { number, token };
        }
        _ => return Err(illegal(format!("what step '{id}' made is removed before its turn"))),
    }
    if !matches!(state.heading, Heading::Cleaning { .. }) {
        return Err(illegal(format!("what step '{id}' made is removed while the run goes on")));
    }
    state.token = token;
    state.removing = Some(place);
    Ok(())
}

pub(super) fn finished(
    state: &mut RunState,
    id: &StepId,
    number: u32,
    outcome: &Outcome,
    end: &End,
) -> Result<(), Error> {
    let entry = state.entry(id)?.1.ledger.as_mut();
    let under_way = |entry: &&mut Box<Entry>| matches!(entry.made, Made::Removing { number: n, .. } if n == number);
    let Some(entry) = entry.filter(under_way) else {
        return Err(illegal(format!("the removal of what step '{id}' made ends without having begun")));
    };
    entry.failures += u32::from(!end.interrupted && !matches!(outcome, Outcome::Done { .. }));
    entry.made = match (outcome, end.retry_at) {
        (Outcome::Done { .. }, _) => Made::Removed { at: end.at },
        (_, Some(until)) => Made::Waiting { until },
        (Outcome::Failed { failure }, None) => Made::Left { failure: failure.clone() },
        (Outcome::Unknown { reason }, None) => Made::Left { failure: Failure::permanent(reason.clone()) },
    };
    let closed = matches!(entry.made, Made::Removed { .. } | Made::Left { .. });
    state.removing = None;
    if closed {
        state.to_clean.pop();
    }
    Ok(())
}

impl RunState {
    /// Whoever takes over finds the removal that was under way as not done.
    pub(super) fn drop_removal(&mut self) {
        let Some(place) = self.removing.take() else { return };
        if let Some(entry) = self.steps.get_mut(place).and_then(|step| step.ledger.as_mut()) {
            entry.made = Made::There;
        }
    }
}
