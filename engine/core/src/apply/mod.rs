//! The only writer of [`RunState`]: one event in, one state out, or an error for an event that cannot follow.
//!
//! An illegal event is an error value, never a panic: a damaged log affects its run alone. What is legal is said in one
//! place, the `match` in [`apply`]; what is *wise* is decided before, in [`crate::decide`].

mod attempts;
mod carried;
mod ledger;
mod people;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use self::attempts::{End, finished, probed, started};
use crate::Error;
use crate::carry::Continues;
use crate::event::{Event, EventKind, HeldLock, RunResult};
use crate::ids::{RunId, StepId};
use crate::plan::{PLAN_FORMAT, Plan};
use crate::state::{ByHand, Heading, Locks, Phase, RunState, StepState};
use crate::template;

/// The state of a run from its first event.
///
/// # Errors
/// `LB0503` when the event is not a `run-created` that this engine understands.
pub fn create(event: &Event) -> Result<RunState, Error> {
    let EventKind::RunCreated { run, plan, fingerprint, detected_at, continues, said, .. } = &event.kind else {
        return Err(illegal("the first event of a run is not 'run-created'"));
    };
    if plan.format > PLAN_FORMAT {
        return Err(illegal(format!("the plan has the later format version {}", plan.format)));
    }
    let index: BTreeMap<StepId, usize> =
        plan.steps.iter().enumerate().map(|(place, step)| (step.id.clone(), place)).collect();
    if index.len() != plan.steps.len() {
        return Err(illegal("the plan names a step twice"));
    }
    let mut dependents = vec![Vec::new(); plan.steps.len()];
    let mut unmet = Vec::with_capacity(plan.steps.len());
    let mut ready = BTreeSet::new();
    for (place, step) in plan.steps.iter().enumerate() {
        for before in &step.after {
            let known = index.get(before).and_then(|place| dependents.get_mut(*place));
            known.ok_or_else(|| illegal(format!("the plan names an unknown step '{before}'")))?.push(place);
        }
        unmet.push(step.after.len());
        if step.after.is_empty() {
            ready.insert(place);
        }
    }
    let lock_names = lock_names(run, plan, continues.as_deref());
    let mut state = RunState {
        run: run.clone(),
        fingerprint: fingerprint.clone(),
        said: said.clone(),
        created_at: event.at,
        detected_at: *detected_at,
        continues: continues.clone().map(Arc::from),
        continued_as: None,
        handed_locks: Vec::new(),
        updated_at: event.at,
        seq: 1,
        // What this run undoes of an earlier one has a later token than what that one did.
        token: continues.as_ref().map_or(0, |earlier| earlier.token),
        heading: Heading::Forward,
        paused: None,
        locks: if lock_names.is_empty() { Locks::Free } else { Locks::Wanted { held: Vec::new() } },
        lock_names,
        result: None,
        finished_at: None,
        steps: plan.steps.iter().map(|_| StepState::new()).collect(),
        index,
        dependents,
        unmet,
        ready,
        running: BTreeSet::new(),
        held: BTreeSet::new(),
        effects: Vec::new(),
        complete: 0,
        failed: BTreeSet::new(),
        some_not_needed: false,
        suspects: BTreeSet::new(),
        made: Vec::new(),
        to_clean: Vec::new(),
        removing: None,
        worked_until: None,
        has_fans: plan.steps.iter().any(|step| step.fan.is_some()),
        plan: Arc::new((**plan).clone()),
    };
    carried::take_over(&mut state, event.at)?;
    Ok(state)
}

/// The names of a run's locks, with its id filled in, and those that it takes over. A name that cannot be filled in is a lock all
/// the same.
pub fn lock_names(run: &RunId, plan: &Plan, continues: Option<&Continues>) -> Vec<String> {
    let context = json!({ "run": { "id": run, "mode": plan.mode.as_str() }, "inputs": plan.inputs });
    let name = |text: &str| match template::render(text, &context) {
        Ok(serde_json::Value::String(name)) => name,
        _ => text.to_owned(),
    };
    let earlier = continues.map(|earlier| earlier.locks.as_slice()).unwrap_or_default();
    let names: BTreeSet<String> = plan.locks().into_iter().map(name).chain(earlier.iter().cloned()).collect();
    names.into_iter().collect()
}

/// The state of a run from all of its events.
///
/// # Errors
/// `LB0503` with the sequence number of the first event that cannot follow.
pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<RunState, Error> {
    let mut events = events.into_iter();
    let first = events.next().ok_or_else(|| illegal("the run has no events"))?;
    let mut state = create(first)?;
    for event in events {
        let seq = state.seq + 1;
        apply(&mut state, event).map_err(|error| error.with("event", seq))?;
    }
    Ok(state)
}

pub(crate) fn illegal(message: impl Into<String>) -> Error {
    Error::new("LB0503", message).hint("run 'lifeboat doctor' to see what is damaged; other runs are not affected")
}

/// Whether such an event can come after the end of a run, if it has ended: a failed run is opened again, and what is left of
/// any run is removed when a person asks for it.
fn may_follow(state: &RunState, kind: &EventKind) -> bool {
    let result = state.result;
    match kind {
        _ if result.is_none() => true,
        // Another run goes on with it.
        _ if state.continued_as.is_some() => false,
        EventKind::RunContinued { .. } => result == Some(RunResult::Failed),
        EventKind::StepRetried { .. } | EventKind::StepSkipped { .. } | EventKind::StepMarkedDone { .. } => {
            result == Some(RunResult::Failed)
        }
        EventKind::CleanupStarted { said, .. } => said.is_some(),
        _ => false,
    }
}

/// Applies one event.
///
/// # Errors
/// `LB0503` when the event cannot follow; the state is then not to be used any more.
pub fn apply(state: &mut RunState, event: &Event) -> Result<(), Error> {
    if !may_follow(state, &event.kind) {
        return Err(illegal("an event follows the end of the run"));
    }
    match &event.kind {
        EventKind::RunCreated { .. } => return Err(illegal("'run-created' is not the first event")),
        EventKind::AttemptStarted { step, direction, number, token, .. } => {
            started(state, step, *direction, *number, *token, event.at)?;
        }
        EventKind::AttemptFinished { step, direction, number, outcome, retry_at, interrupted } => {
            let end = End { at: event.at, retry_at: *retry_at, interrupted: *interrupted };
            finished(state, step, *direction, *number, outcome, &end)?;
        }
        EventKind::Checkpointed { step, number, value } => {
            let under_way = |phase: &Phase| matches!(phase, Phase::Running { number: n, .. } if n == number);
            state.expect(step, under_way)?.1.checkpoint = Some(value.clone());
        }
        EventKind::Probed { step, number, answer, retry_at } => {
            probed(state, step, *number, answer, *retry_at, event.at)?;
        }
        EventKind::ApprovalRequested { step, expires_at, .. } => {
            state.begin(step, event.at, Phase::Approval { expires_at: *expires_at, given: Vec::new() })?;
        }
        EventKind::Approved { step, said, .. } => people::approved(state, step, said, event.at)?,
        EventKind::Denied { step, said } => {
            let why = if said.why.is_empty() { String::new() } else { format!(": {}", said.why) };
            state.fail_question(step, &format!("{} said no{why}", said.by), event.at)?;
        }
        EventKind::ApprovalExpired { step } => {
            state.fail_question(step, "nobody answered in time", event.at)?;
        }
        EventKind::WaitStarted { step, until } => state.begin(step, event.at, Phase::Timer { until: *until })?,
        EventKind::WaitEnded { step } => {
            let (place, _) = state.expect(step, |phase| matches!(phase, Phase::Timer { .. }))?;
            state.done(place, json!({}), event.at);
        }
        EventKind::StepRetried { step, .. } => people::retried(state, step, event.at)?,
        EventKind::StepSkipped { step, said } => people::skipped(state, step, said, event.at)?,
        EventKind::StepMarkedDone { step, outputs, evidence, said } => {
            people::marked_done(state, step, outputs, ByHand::of(said, evidence), event.at)?;
        }
        EventKind::SuspectHeld { .. } | EventKind::SuspectAttested { .. } => state.suspect(&event.kind, event.at)?,
        EventKind::StepNotNeeded { step, because } => {
            state.passes_by(step, event.at, Phase::NotNeeded { because: because.clone() })?;
        }
        EventKind::ConditionUnclear { step, failure } => {
            state.passes_by(step, event.at, Phase::Failed { failure: failure.clone() })?;
        }
        EventKind::LocksAwaited { held } => awaited(state, held)?,
        EventKind::LocksTaken { locks, fence } => taken(state, locks, *fence)?,
        EventKind::RunPaused { said } => people::paused(state, said)?,
        EventKind::RunUnpaused { .. } => people::unpaused(state)?,
        EventKind::RunAbandoned { .. } => state.abandon(event.at),
        EventKind::RunContinued { .. } => carried::continued(state, event)?,
        EventKind::CancelRequested { compensate, said } => {
            state.going_forward("it is cancelled")?;
            // Who ends a run does not want it to rest.
            state.paused = None;
            state.heading = Heading::Cancelling { compensate: *compensate, said: said.clone() };
        }
        EventKind::UnwindStarted { .. } => state.unwind()?,
        EventKind::ResourcesIntended { step, resources } => ledger::intended(state, step, resources, event.at)?,
        EventKind::CleanupStarted { then, said } => ledger::cleaning(state, *then, said.as_ref(), event.at)?,
        EventKind::RunFinished { result } => state.finish(*result, event.at)?,
    }
    state.seq += 1;
    state.updated_at = event.at;
    Ok(())
}

fn awaited(state: &mut RunState, held: &[HeldLock]) -> Result<(), Error> {
    if !matches!(state.locks, Locks::Wanted { .. }) || held.is_empty() {
        return Err(illegal("the run waits for locks that it does not need"));
    }
    state.locks = Locks::Wanted { held: held.to_vec() };
    Ok(())
}

fn taken(state: &mut RunState, locks: &[String], fence: u64) -> Result<(), Error> {
    let base = crate::fence::base(fence).ok_or_else(|| illegal("the fence of the locks is too large"))?;
    // Who takes a run up again takes its locks anew, under a later fence.
    if state.locks == Locks::Free || locks != state.lock_names || base <= state.token {
        return Err(illegal("the run takes locks that are not its own"));
    }
    state.locks = Locks::Held;
    state.token = base;
    Ok(())
}
