//! The operator of the campaigns: answers every question, after a look at the world, as a good operator would.

use std::sync::Arc;

use lifeboat_core::ids::RunId;
use lifeboat_core::state::{Phase, RunState};
use lifeboat_runtime::{Rest, RunHandle, Verb};
use lifeboat_testkit::{Rig, World, said};
use serde_json::json;

/// Rounds of questions after which runs are taken for going in a circle.
const ROUNDS_MAX: u32 = 300;

/// What the operator says to a run at rest, and who says it; `None` where nobody is asked.
fn answer(state: &RunState, world: &World) -> Option<(Verb, String)> {
    let run = state.run.as_str();
    let asked = RunHandle::asking(state);
    let (step, now) = state.step(asked.first()?)?;
    let verb = match &now.phase {
        Phase::Approval { given, .. } => {
            let fingerprint = state.fingerprint.clone();
            let verb = Verb::Approve { step: step.id.clone(), fingerprint, roles: None };
            return Some((verb, format!("person {}", given.len())));
        }
        Phase::Asking { .. } if world.entry(run, step.id.as_str()).present => {
            Verb::MarkDone { step: step.id.clone(), outputs: json!({ "value": 1 }), evidence: Vec::new() }
        }
        Phase::Asking { .. } => Verb::Retry(step.id.clone()),
        _ => {
            // What could not be undone is undone by hand, then said to be.
            world.preset(run, step.id.as_str(), false);
            Verb::MarkDone { step: step.id.clone(), outputs: json!({}), evidence: Vec::new() }
        }
    };
    Some((verb, "operator".to_owned()))
}

/// Carries runs to their end, answering what is asked, one after the other in turn: one may wait for a lock of another that
/// waits for its operator.
///
/// # Errors
/// Why one does not end: its actor stopped, or it asks for ever, or waits for nothing.
pub async fn all_to_end(rig: &Rig, handles: &mut [RunHandle], world: &World) -> Result<Vec<Arc<RunState>>, String> {
    let mut ended: Vec<Option<Arc<RunState>>> = handles.iter().map(|_| None).collect();
    for _ in 0..ROUNDS_MAX {
        for (number, handle) in handles.iter_mut().enumerate() {
            if ended[number].is_some() {
                continue;
            }
            match rig.drive(handle.rest()).await {
                Rest::Ended(state) => ended[number] = Some(state),
                Rest::Stopped(error) => return Err(format!("run {number}: stopped: {error}")),
                Rest::Person(state) => {
                    let Some((verb, name)) = answer(&state, world) else { continue };
                    // The state may have gone on since the rest was told; then the question is looked at again.
                    let _ = rig.drive(handle.say(verb, said(&name))).await;
                }
            }
        }
        if ended.iter().all(Option::is_some) {
            return Ok(ended.into_iter().flatten().collect());
        }
        // A lock that came free a moment ago may not be known yet.
        rig.drive(tokio::task::yield_now()).await;
    }
    let left: Vec<usize> = (0..ended.len()).filter(|number| ended[*number].is_none()).collect();
    Err(format!("runs {left:?} wait and ask nobody, or ask for ever"))
}

/// Carries one run to its end.
///
/// # Errors
/// As [`all_to_end`].
pub async fn to_end(rig: &Rig, handle: &mut RunHandle, world: &World) -> Result<Arc<RunState>, String> {
    let mut states = all_to_end(rig, std::slice::from_mut(handle), world).await?;
    states.pop().ok_or_else(|| "no run".to_owned())
}

/// Takes a run up again and carries it to its end.
///
/// # Errors
/// As [`to_end`].
pub async fn resume_to_end(rig: &Rig, run: &RunId, world: &World) -> Result<Arc<RunState>, String> {
    let mut handle = rig.drive(rig.engine.resume(run)).await.map_err(|error| format!("not taken up: {error}"))?;
    to_end(rig, &mut handle, world).await
}
