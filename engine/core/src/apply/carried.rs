//! A run that goes on with another one in another mode: what it takes over, and the end of the other one.

use super::illegal;
use crate::Error;
use crate::carry::{Origin, carries, locks_held};
use crate::event::{Event, EventKind, RunResult};
use crate::plan::Mode;
use crate::state::{Heading, Phase, RunState};

/// What the run takes over is done from its start. What comes after such a step still waits for all that comes before it. What was
/// only begun waits for its turn, and goes on from its checkpoint.
pub(super) fn take_over(state: &mut RunState, at: u64) -> Result<(), Error> {
    let Some(earlier) = state.continues.clone() else { return Ok(()) };
    if state.plan.mode == Mode::Drill || earlier.mode == Mode::Drill || earlier.run == state.run {
        return Err(illegal("a drill is continued, or a run continues a drill or itself"));
    }
    for step in &earlier.steps {
        let place = state.place(&step.step)?;
        let kind = state.plan.steps.get(place).map(|step| step.kind);
        let (_, now) = state.expect(&step.step, |phase| *phase == Phase::Pending)?;
        if !kind.is_some_and(carries) {
            return Err(illegal(format!("step '{}' is taken over, and cannot be", step.step)));
        }
        now.outputs = Some(step.outputs.clone());
        now.by_hand = step.by_hand.clone();
        now.begun_in = step.begun_in.clone();
        let (run, attempt) = (step.run.clone(), step.attempt);
        let (begun_at, done_at) = (step.begun_at, step.done_at);
        now.carried = Some(Box::new(Origin { run, attempt, begun_at, done_at }));
        if crate::taint::is_suspect(&step.outputs) {
            state.suspects.insert(place);
        }
        state.touch(place);
        state.settle(place, Phase::Done, at);
        if let Some(now) = state.steps.get_mut(place) {
            // Its times are those of the run that did it, and stand in its origin.
            now.finished_at = None;
        }
    }
    for step in &earlier.begun {
        let place = state.place(&step.step)?;
        let by_plugin = state.plan.steps.get(place).is_some_and(|step| step.kind.by_plugin());
        let (_, now) = state.expect(&step.step, |phase| *phase == Phase::Pending)?;
        if !by_plugin || now.begun_in.is_some() {
            return Err(illegal(format!("step '{}' is gone on with, and cannot be", step.step)));
        }
        now.begun_in = Some(step.run.clone());
        now.checkpoint = step.checkpoint.clone();
        if step.may_have_happened {
            state.touch(place);
        }
    }
    let first = |place: &usize| state.plan.steps.get(*place).is_some_and(|step| step.after.is_empty());
    let carried = |place: &usize| state.steps.get(*place).is_some_and(|step| step.carried.is_some());
    let roots: Vec<usize> = (0..state.steps.len()).filter(first).filter(carried).collect();
    roots.into_iter().for_each(|place| state.release_dependents(place));
    Ok(())
}

/// The run ends as it is, and another one goes on. One that had failed has ended already.
pub(super) fn continued(state: &mut RunState, event: &Event) -> Result<(), Error> {
    let EventKind::RunContinued { successor, plan, carried, begun, .. } = &event.kind else { return Ok(()) };
    let turned = matches!(state.heading, Heading::Cancelling { .. } | Heading::Cleaning { .. });
    if turned || state.plan.mode == Mode::Drill || plan.mode == Mode::Drill || *successor == state.run {
        return Err(illegal("a run is continued that is a drill, or is being ended"));
    }
    if !state.running.is_empty() {
        return Err(illegal("the run is continued while attempts are under way"));
    }
    for step in carried {
        state.expect(step, |phase| *phase == Phase::Done)?;
    }
    for step in begun {
        state.place(step)?;
    }
    state.handed_locks = locks_held(state).to_vec();
    if state.result != Some(RunResult::Failed) {
        state.abandon(event.at);
    }
    state.continued_as = Some(successor.clone());
    Ok(())
}
