//! The end of a run that another one goes on with, and what that one is made of.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{BegunStep, CarriedStep, Continues, Handover, Origin, handover, refuse};
use crate::Error;
use crate::event::{Event, EventKind, Said};
use crate::ids::{Digest, RunId, StepId};
use crate::limits::EVENT_BYTES_MAX;
use crate::plan::{Mode, Plan};
use crate::state::{Heading, Locks, Phase, RunState};

/// What the successor takes over, once the run has ended for it: its steps with their outputs, and the line of history.
///
/// `carried` and `begun` are what the run's last event names; `events` and `chain` are where its log ends.
pub fn continues(state: &RunState, carried: &[StepId], begun: &[StepId], events: u64, chain: Digest) -> Continues {
    let step = |id: &StepId| {
        let (_, now) = state.step(id)?;
        let (begun_at, done_at) = (now.started_at, now.finished_at);
        let here = Origin { run: state.run.clone(), attempt: now.attempts, begun_at, done_at };
        let Origin { run, attempt, begun_at, done_at } = now.carried.as_deref().cloned().unwrap_or(here);
        let outputs = now.outputs.clone().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let (by_hand, begun_in) = (now.by_hand.clone(), now.begun_in.clone());
        Some(CarriedStep { step: id.clone(), run, attempt, begun_at, done_at, outputs, by_hand, begun_in })
    };
    let half = |id: &StepId| {
        let (_, now) = state.step(id)?;
        let (run, checkpoint) = (now.begun_in.clone().unwrap_or_else(|| state.run.clone()), now.checkpoint.clone());
        Some(BegunStep { step: id.clone(), run, checkpoint, may_have_happened: now.may_have_happened })
    };
    Continues {
        run: state.run.clone(),
        mode: state.plan.mode,
        events,
        chain,
        declared_at: state.declared_at(),
        disaster_at: (state.plan.mode == Mode::Failover).then(|| state.disaster_at()),
        token: state.token,
        locks: state.handed_locks.clone(),
        steps: carried.iter().filter_map(step).collect(),
        begun: begun.iter().filter_map(half).collect(),
    }
}

/// The locks that a run has now, and that its successor takes over.
pub fn locks_held(state: &RunState) -> &[String] {
    if state.locks == Locks::Held { &state.lock_names } else { &[] }
}

/// The carried steps in the order in which they were done, so that they are undone in the reverse of it.
fn in_order_of_doing(state: &RunState, handover: &Handover) -> Vec<StepId> {
    let carried: BTreeSet<&StepId> = handover.carried().collect();
    let mut found: Vec<(u64, usize, StepId)> = Vec::with_capacity(carried.len());
    for (place, (step, now)) in state.steps().enumerate().filter(|(_, (step, _))| carried.contains(&step.id)) {
        let done = now.finished_at.or_else(|| now.carried.as_ref()?.done_at).unwrap_or(0);
        let last = state.effects.iter().rposition(|effect| *effect == place).unwrap_or(0);
        found.push((done, last, step.id.clone()));
    }
    found.sort();
    found.into_iter().map(|(_, _, step)| step).collect()
}

/// The event with which the run ends and its successor is decided on. What it decides on can be made.
///
/// # Errors
/// As [`may_continue`]; `LB1224` while an attempt is under way, or something in the new plan is in doubt; `LB1228` when all that is
/// taken over is more than an event may hold; `LB0503` when the plan is none that can run.
pub fn decide(state: &RunState, successor: RunId, plan: Plan, runbook: String, said: Said) -> Result<EventKind, Error> {
    let found = handover(state, &plan)?;
    let under_way = state.steps().find(|(_, now)| matches!(now.phase, Phase::Running { .. } | Phase::InDoubt { .. }));
    if let Some((step, now)) = under_way {
        let message = format!("step '{}' is {}: it has to come to its end first", step.id, now.phase.as_str());
        return Err(refuse(state, "LB1224", message, "'lifeboat pause RUN' lets nothing new begin; then say it again"));
    }
    if let Some(step) = found.open().next() {
        return Err(in_doubt(state, step));
    }
    let carried = in_order_of_doing(state, &found);
    let begun: Vec<StepId> = found.begun().cloned().collect();
    let taken = continues(state, &carried, &begun, state.seq, Digest::of(b""));
    try_out(state, &successor, &plan, &runbook, taken)?;
    let fingerprint = plan.fingerprint();
    Ok(EventKind::RunContinued { successor, plan: Box::new(plan), fingerprint, runbook, carried, begun, said })
}

fn in_doubt(state: &RunState, step: &StepId) -> Error {
    let (me, phase) = (&state.run, state.step(step).map_or("unknown", |(_, now)| now.phase.as_str()));
    let message = format!("nobody knows how far step '{step}' came: it is {phase}");
    let hint = if matches!(state.heading, Heading::Unwinding { .. }) {
        format!(
            "let the undoing come to its end ('lifeboat unpause {me}'; what failed: mark-done, skip or retry), then say it again"
        )
    } else {
        format!(
            "settle it, then say it again: lifeboat mark-done {me} {step}, lifeboat skip {me} {step}, or lifeboat retry {me} {step}"
        )
    };
    refuse(state, "LB1224", message, &hint)
}

/// Makes the successor in memory: once the run has ended for it, there is no way back.
fn try_out(state: &RunState, run: &RunId, plan: &Plan, runbook: &str, taken: Continues) -> Result<(), Error> {
    /// For the name of the engine, the locks, and who said it.
    const MORE: usize = 1 << 20;
    let event = Event::new(
        state.updated_at,
        EventKind::RunCreated {
            run: run.clone(),
            plan: Box::new(plan.clone()),
            fingerprint: plan.fingerprint(),
            runbook: runbook.to_owned(),
            engine: String::new(),
            detected_at: None,
            continues: Some(Box::new(taken)),
            said: Said { by: String::new(), why: String::new() },
        },
    );
    crate::apply::create(&event)?;
    let bytes = event.encode()?.len();
    if bytes.saturating_add(MORE) > EVENT_BYTES_MAX {
        let message = format!("what would be taken over has {bytes} bytes, more than an event may have");
        return Err(refuse(state, "LB1228", message, "start a run of its own: lifeboat run RUNBOOK --mode MODE"));
    }
    Ok(())
}
