//! What must be true of the world: judged from the ledger that the world keeps, never from what the engine says.

use lifeboat_core::event::Event;
use lifeboat_core::plan::{Effect, InDoubt};
use lifeboat_core::state::{Phase, RunState, RunStatus};
use lifeboat_testkit::{Leftovers, World};

/// Whether the end of a run is one that its plan promises.
///
/// # Errors
/// The first promise that is broken.
pub fn check(state: &RunState, world: &World, before: &Leftovers) -> Result<(), String> {
    check_with(state, world, before, false)
}

/// [`check`], for runs in which attempts may run out of time: what is only reversible is then done again without a look.
///
/// # Errors
/// As [`check`].
pub fn check_with(state: &RunState, world: &World, before: &Leftovers, timeouts: bool) -> Result<(), String> {
    let (run, status) = (state.run.as_str(), state.status());
    if !status.is_final() {
        return Err(format!("the run ended as {}", status.as_str()));
    }
    for (step, now) in state.steps().filter(|(step, _)| step.kind.by_plugin()) {
        let entry = world.entry(run, step.id.as_str());
        let left = before.get(step.id.as_str()).cloned().unwrap_or_default();
        if left.done && entry.executed > 0 {
            return Err(format!("{} was done and ran again", step.id));
        }
        if left.undone && entry.undo_calls > 0 {
            return Err(format!("{} was undone and is undone again", step.id));
        }
        let rerun = step.policy.in_doubt == InDoubt::Rerun || step.effect == Effect::Read;
        let repeatable = rerun || (timeouts && step.effect == Effect::Reversible);
        if now.phase == Phase::Done && !entry.present {
            return Err(format!("{} is done and not there", step.id));
        }
        if !repeatable && entry.happened > 1 + entry.undone {
            return Err(format!("{} happened {} times: {:?}", step.id, entry.happened, world.log()));
        }
        let clean = status == RunStatus::Failed && state.plan.on_failure.compensate || status == RunStatus::Cancelled;
        if clean && step.compensate && entry.present {
            return Err(format!("{} is still there after the unwinding", step.id));
        }
        if status == RunStatus::Succeeded && !matches!(now.phase, Phase::Done | Phase::NotNeeded { .. }) {
            return Err(format!("the run succeeded and {} is {}", step.id, now.phase.as_str()));
        }
    }
    order_of_undoing(state, world)
}

/// What depends on an effect is undone before the effect is.
fn order_of_undoing(state: &RunState, world: &World) -> Result<(), String> {
    let log = world.log();
    let last = |step: &str| log.iter().rposition(|line| line == &format!("undo {step}"));
    for step in &state.plan.steps {
        let Some(own) = last(step.id.as_str()) else { continue };
        for before in &step.after {
            if last(before.as_str()).is_some_and(|earlier| earlier < own) {
                return Err(format!("{before} was undone before {}, which comes after it: {log:?}", step.id));
            }
        }
    }
    Ok(())
}

/// No event of a run may be forgotten or changed by what came after a crash.
pub fn history(before: &[Event], after: &[Event]) -> Result<(), String> {
    if after.len() >= before.len() && after[..before.len()] == *before {
        return Ok(());
    }
    Err("history was changed".to_owned())
}
