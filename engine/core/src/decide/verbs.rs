//! What a person may ask of a run: each verb becomes an event, or is refused with the reason.

use serde_json::Value;

use crate::Error;
use crate::condition::outputs_used;
use crate::event::{EventKind, EvidenceFile, RunResult, Said};
use crate::ids::{Digest, StepId};
use crate::plan::{Step, StepKind};
use crate::state::{Heading, Phase, RunState, StepState};

fn not_possible(state: &RunState, id: &StepId, verb: &str, phase: &Phase, hint: &str) -> Error {
    Error::new("LB0502", format!("step '{id}' cannot be {verb}: its state is {}", phase.as_str()))
        .with("run", &state.run)
        .hint(hint)
}

fn find<'a>(state: &'a RunState, id: &StepId) -> Result<(&'a Step, &'a StepState), Error> {
    if let Some(next) = &state.continued_as {
        return Err(Error::new("LB1223", format!("run {next} goes on with run {}", state.run))
            .with("run", &state.run)
            .hint(format!("say it to that one: 'lifeboat show {next}' tells what it needs")));
    }
    state.step(id).ok_or_else(|| {
        let names: Vec<&str> = state.plan.steps.iter().take(20).map(|step| step.id.as_str()).collect();
        Error::new("LB0504", format!("the run has no step '{id}'"))
            .with("run", &state.run)
            .hint(format!("its steps are: {}", names.join(", ")))
    })
}

/// A person wants a step tried again.
///
/// # Errors
/// `LB0504` no such step; `LB0502` when it has not failed and asks nobody, or the run was unwound.
pub fn retry(state: &RunState, id: &StepId, said: Said) -> Result<EventKind, Error> {
    let (_, entry) = find(state, id)?;
    let unwinding = matches!(state.heading, Heading::Unwinding { .. });
    let legal = match entry.phase {
        Phase::Failed { .. } | Phase::Asking { .. } => {
            state.heading == Heading::Forward && matches!(state.result, None | Some(RunResult::Failed))
        }
        Phase::UndoFailed { .. } => unwinding,
        _ => false,
    };
    if legal {
        Ok(EventKind::StepRetried { step: id.clone(), said })
    } else {
        let hint = if unwinding {
            "the run was unwound: start a new one"
        } else {
            "only a step that failed, or whose outcome is in doubt, is retried"
        };
        Err(not_possible(state, id, "retried", &entry.phase, hint))
    }
}

/// A person wants the run to go on without a step.
///
/// # Errors
/// `LB0504` no such step; `LB0502` when it is under way, complete, an approval (which is never skipped), or when a step
/// that is still to come uses one of its outputs.
pub fn skip(state: &RunState, id: &StepId, said: Said) -> Result<EventKind, Error> {
    let (step, entry) = find(state, id)?;
    let unwinding = matches!(state.heading, Heading::Unwinding { .. });
    let over = !matches!(state.result, None | Some(RunResult::Failed));
    let legal = match entry.phase {
        Phase::UndoFailed { .. } => unwinding,
        Phase::Failed { .. }
        | Phase::Asking { .. }
        | Phase::InDoubt { .. }
        | Phase::Suspect { .. }
        | Phase::Backoff { .. }
        | Phase::Timer { .. }
        | Phase::Pending => state.heading == Heading::Forward && step.kind != StepKind::Approve && !over,
        _ => false,
    };
    if legal && let (false, Some((later, output))) = (unwinding, needed(state, id)) {
        let hint =
            format!("step '{later}' uses its output '{output}': do it by hand, and give its outputs with mark-done");
        return Err(not_possible(state, id, "skipped", &entry.phase, &hint));
    }
    if legal {
        Ok(EventKind::StepSkipped { step: id.clone(), said })
    } else {
        let hint = if step.kind == StepKind::Approve {
            "an approval is answered with 'approve' or 'deny', never skipped"
        } else {
            "a step that runs, is complete, or belongs to an ended run is not skipped"
        };
        Err(not_possible(state, id, "skipped", &entry.phase, hint))
    }
}

/// A step that is still to come and uses an output of this one, and which: without it, it could only fail.
fn needed(state: &RunState, id: &StepId) -> Option<(StepId, String)> {
    state.steps().filter(|(_, now)| !now.is_complete()).find_map(|(step, _)| {
        let mut used = outputs_used(step).filter(|(name, _)| name == id);
        used.find_map(|(_, output)| Some((step.id.clone(), output?)))
    })
}

/// A person attests that a switch may use what is suspect.
///
/// # Errors
/// `LB0504` no such step; `LB1195` when it is not held for that; `LB1196` without a file that shows what was looked at.
pub fn attest(state: &RunState, id: &StepId, evidence: Vec<EvidenceFile>, said: Said) -> Result<EventKind, Error> {
    let (_, entry) = find(state, id)?;
    let held = matches!(entry.phase, Phase::Suspect { .. });
    if !held || state.result.is_some() || state.heading != Heading::Forward {
        let phase = entry.phase.as_str();
        return Err(Error::new("LB1195", format!("step '{id}' waits for no attestation: its state is {phase}"))
            .with("run", &state.run)
            .hint("'lifeboat show' tells what the run waits for"));
    }
    if evidence.is_empty() {
        return Err(Error::new("LB1196", "an attestation needs a file that shows what was looked at")
            .with("run", &state.run)
            .with("step", id)
            .hint("give --evidence FILE: the report of a scan, a listing, a picture"));
    }
    Ok(EventKind::SuspectAttested { step: id.clone(), evidence, said })
}

/// A person answers an approval with yes. `roles` are the roles that the person has; `None` where the operator keeps no list
/// of roles, and whoever may open the data folder may answer.
///
/// # Errors
/// `LB0504` no such step; `LB0502` when it asks nobody now or this person said yes before; `LB0506` when the person saw
/// another plan; `LB0509` when the person does not have the role that is asked.
pub fn approve(
    state: &RunState,
    id: &StepId,
    fingerprint: &Digest,
    roles: Option<&[String]>,
    said: Said,
) -> Result<EventKind, Error> {
    let (step, entry) = find(state, id)?;
    let Phase::Approval { given, .. } = open_question(state, id, entry, "approved")? else {
        return Err(not_possible(state, id, "approved", &entry.phase, "it asks for no approval now"));
    };
    if fingerprint != &state.fingerprint {
        return Err(Error::new("LB0506", "the approval names another plan than the one that runs")
            .with("named", fingerprint)
            .with("runs", &state.fingerprint)
            .hint("look at the plan again with 'lifeboat show' and approve that one"));
    }
    let role = role(state, step, roles, &said)?;
    if given.iter().any(|earlier| earlier.by == said.by) {
        return Err(not_possible(
            state,
            id,
            "approved",
            &entry.phase,
            &format!("{} said yes already: the quorum asks for different people", said.by),
        ));
    }
    Ok(EventKind::Approved { step: id.clone(), fingerprint: fingerprint.clone(), role, said })
}

/// The role in which a person may answer; none where nobody keeps a list. The people that the plan was approved with count, whatever
/// the operator's file says now or somewhere else.
fn role(state: &RunState, step: &Step, roles: Option<&[String]>, said: &Said) -> Result<Option<String>, Error> {
    let Some(approval) = &step.approval else { return Ok(None) };
    let asked = &approval.role;
    let may = match (approval.people.as_slice(), roles) {
        ([], None) => return Ok(None),
        ([], Some(roles)) => roles.contains(asked),
        (people, _) => people.contains(&said.by),
    };
    if may {
        return Ok(Some(asked.clone()));
    }
    let hint = if approval.people.is_empty() {
        format!("the operator's file names who has it: role \"{asked}\" \"NAME\"")
    } else {
        format!("when the run was made, these had it: {}", approval.people.join(", "))
    };
    let error = Error::new("LB0509", format!("{} does not have the role '{asked}'", said.by));
    Err(error.with("run", &state.run).with("step", &step.id).hint(hint))
}

/// A person answers an approval with no.
///
/// # Errors
/// `LB0504` no such step; `LB0502` when it asks nobody now; `LB0509` when the person does not have the role that is asked.
pub fn deny(state: &RunState, id: &StepId, roles: Option<&[String]>, said: Said) -> Result<EventKind, Error> {
    let (step, entry) = find(state, id)?;
    open_question(state, id, entry, "denied")?;
    role(state, step, roles, &said)?;
    Ok(EventKind::Denied { step: id.clone(), said })
}

/// The phase of an approval that can be answered now.
fn open_question<'a>(state: &RunState, id: &StepId, entry: &'a StepState, verb: &str) -> Result<&'a Phase, Error> {
    let open = matches!(entry.phase, Phase::Approval { .. });
    if open && state.result.is_none() && state.heading == Heading::Forward {
        Ok(&entry.phase)
    } else {
        Err(not_possible(state, id, verb, &entry.phase, "it asks for no approval now"))
    }
}

/// A person wants the run to end.
///
/// # Errors
/// `LB0502` when it has ended, or is being ended already.
pub fn cancel(state: &RunState, compensate: bool, said: Said) -> Result<EventKind, Error> {
    if state.result.is_some() || state.heading != Heading::Forward {
        return Err(Error::new(
            "LB0502",
            format!("the run cannot be cancelled: its state is {}", state.status().as_str()),
        )
        .hint("only a run that has not ended, and is not being undone already, is cancelled")
        .with("run", &state.run));
    }
    Ok(EventKind::CancelRequested { compensate, said })
}

/// A person saw to it that a step is done; where its undo failed, that it is undone. The outputs were checked against the
/// step's schema before.
///
/// # Errors
/// `LB0504` no such step; `LB0502` when it is under way, complete, an approval, or belongs to a run that has ended otherwise
/// than by a failure; `LB0508` when the outputs are no object.
pub fn mark_done(
    state: &RunState,
    id: &StepId,
    outputs: Value,
    evidence: Vec<EvidenceFile>,
    said: Said,
) -> Result<EventKind, Error> {
    let (step, entry) = find(state, id)?;
    let unwinding = matches!(state.heading, Heading::Unwinding { .. });
    let open = matches!(state.result, None | Some(RunResult::Failed));
    let legal = match entry.phase {
        Phase::UndoFailed { .. } => unwinding,
        Phase::Failed { .. }
        | Phase::Asking { .. }
        | Phase::InDoubt { .. }
        | Phase::Backoff { .. }
        | Phase::Timer { .. }
        | Phase::Pending => state.heading == Heading::Forward && step.kind != StepKind::Approve && open,
        _ => false,
    };
    if !legal {
        let hint = if step.kind == StepKind::Approve {
            "an approval is answered with 'approve' or 'deny', never marked"
        } else {
            "a step that runs, is complete, or belongs to an ended run is not marked"
        };
        return Err(not_possible(state, id, "marked done", &entry.phase, hint));
    }
    if !outputs.is_object() {
        return Err(Error::new("LB0508", "outputs are one JSON object")
            .with("step", id)
            .hint("give --outputs '{\"NAME\": VALUE}' as the plugin would have"));
    }
    Ok(EventKind::StepMarkedDone { step: id.clone(), outputs, evidence, said })
}

fn not_now(state: &RunState, verb: &str, hint: &str) -> Error {
    Error::new("LB0502", format!("the run cannot be {verb}: it is {}", state.status().as_str()))
        .with("run", &state.run)
        .hint(hint)
}

/// A person wants nothing new begun. What is under way comes to its end; questions may still be answered.
///
/// # Errors
/// `LB0502` when the run has ended, is being cancelled, or is paused already.
pub fn pause(state: &RunState, said: Said) -> Result<EventKind, Error> {
    let cancelling = matches!(state.heading, Heading::Cancelling { .. });
    if state.result.is_some() || state.paused.is_some() || cancelling {
        return Err(not_now(state, "paused", "only a run that goes on is paused"));
    }
    Ok(EventKind::RunPaused { said })
}

/// A person wants a paused run to go on. Times that came meanwhile have come.
///
/// # Errors
/// `LB0502` when it is not paused.
pub fn unpause(state: &RunState, said: Said) -> Result<EventKind, Error> {
    if state.paused.is_none() {
        return Err(not_now(state, "unpaused", "only a paused run is unpaused"));
    }
    Ok(EventKind::RunUnpaused { said })
}

/// A person takes over: the run ends at once and as it is. What is under way is stopped, nothing is undone, and the run is
/// never taken up again.
///
/// # Errors
/// `LB0502` when it has ended.
pub fn abandon(state: &RunState, said: Said) -> Result<EventKind, Error> {
    if state.result.is_some() {
        return Err(not_now(state, "abandoned", "a run that has ended needs no abandoning"));
    }
    Ok(EventKind::RunAbandoned { said })
}
