//! From a wish to events: what may happen next to a run, and what a person may ask of it.
//!
//! All functions are pure: state, time and randomness in, events or a refusal out. Nothing has happened until those
//! events are durable.

use crate::Error;
use crate::actions::key;
use crate::event::{EventKind, RunResult, Said};
use crate::ids::{Digest, StepId};
use crate::limits;
use crate::outcome::{Failure, FailureKind, Outcome, ProbeAnswer};
use crate::plan::{Effect, InDoubt, Step, StepKind};
use crate::policy::backoff_ms;
use crate::ports::Direction;
use crate::state::{Heading, Phase, RunState, StepState};

/// What the round may use.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// The time, in milliseconds since the Unix epoch.
    pub now: u64,
    /// How many attempts may be started now, over and above the run's own limit.
    pub starts: usize,
}

/// The events that follow by themselves: timers that fired, steps that can start, the unwinding, the end.
///
/// Call it again after applying them, with the starts that are left, until nothing follows.
pub fn advance(state: &RunState, round: Round) -> Vec<EventKind> {
    if state.result.is_some() {
        return Vec::new();
    }
    match &state.heading {
        Heading::Forward => forward(state, round),
        Heading::Cancelling { compensate, .. } => {
            if running(state) > 0 {
                Vec::new()
            } else if *compensate {
                vec![EventKind::UnwindStarted { cause: None }]
            } else {
                vec![EventKind::RunFinished { result: RunResult::Cancelled }]
            }
        }
        Heading::Unwinding { then } => unwind(state, round, *then),
    }
}

/// How many attempts are under way.
pub fn running(state: &RunState) -> usize {
    state.running.len()
}

/// How many attempts the run would start now if it could: for asking for places.
pub fn wanted(state: &RunState, now: u64) -> usize {
    if state.result.is_some() {
        return 0;
    }
    if let Heading::Unwinding { .. } = state.heading {
        return usize::from(running(state) == 0 && next_undo(state, now).is_some());
    }
    if state.heading != Heading::Forward || failing_with_compensation(state) {
        return 0;
    }
    let room = room(state);
    let due = |place: &usize| {
        matches!(state.steps.get(*place).map(|step| &step.phase),
            Some(Phase::Backoff { until, direction: Direction::Forward }) if *until <= now)
    };
    let plugin = |place: &&usize| state.plan.steps.get(**place).is_some_and(|step| step.kind.by_plugin());
    let ready = state.ready.iter().filter(plugin).take(room).count();
    (ready + state.held.iter().filter(|place| due(place)).count()).min(room)
}

/// How many more attempts the run's own limit allows. A limit of none at all would never end.
fn room(state: &RunState) -> usize {
    let limit = usize::try_from(state.plan.max_parallel.max(1)).unwrap_or(usize::MAX);
    limit.saturating_sub(running(state))
}

fn failing_with_compensation(state: &RunState) -> bool {
    state.plan.on_failure.compensate && !state.failed.is_empty()
}

fn forward(state: &RunState, round: Round) -> Vec<EventKind> {
    if failing_with_compensation(state) {
        if running(state) > 0 {
            return Vec::new();
        }
        let cause = state.failed.first().and_then(|place| state.plan.steps.get(*place)).map(|step| step.id.clone());
        return vec![EventKind::UnwindStarted { cause }];
    }
    let mut events = timers(state, round.now);
    let mut room = room(state).min(round.starts);
    let mut token = state.token;
    let due = state.held.iter().chain(&state.ready);
    for (step, now) in due.filter_map(|place| Some((state.plan.steps.get(*place)?, state.steps.get(*place)?))) {
        match (&now.phase, step.kind) {
            (Phase::Pending, StepKind::Approve) => events.push(ask(state, step, round.now)),
            (Phase::Pending, StepKind::Wait) => events.push(EventKind::WaitStarted {
                step: step.id.clone(),
                until: round.now.saturating_add(step.wait_ms.unwrap_or(0)),
            }),
            (Phase::Pending, _) if room > 0 => {
                room -= 1;
                token += 1;
                events.push(start(state, step, now, Direction::Forward, token));
            }
            (Phase::Backoff { until, direction: Direction::Forward }, _) if room > 0 && *until <= round.now => {
                room -= 1;
                token += 1;
                events.push(start(state, step, now, Direction::Forward, token));
            }
            _ => {}
        }
        if room == 0 && state.ready.len() > 64 {
            // A wide plan: the rest of the ready steps is looked at when there is room again.
            break;
        }
    }
    let nothing_left = state.running.is_empty() && state.held.is_empty() && state.ready.is_empty();
    if events.is_empty() && nothing_left {
        let all = state.complete == state.plan.steps.len();
        let result = if all { RunResult::Succeeded } else { RunResult::Failed };
        events.push(EventKind::RunFinished { result });
    }
    events
}

fn timers(state: &RunState, now: u64) -> Vec<EventKind> {
    let mut events = Vec::new();
    for place in &state.held {
        let (Some(step), Some(entry)) = (state.plan.steps.get(*place), state.steps.get(*place)) else { continue };
        match &entry.phase {
            Phase::Timer { until } if *until <= now => events.push(EventKind::WaitEnded { step: step.id.clone() }),
            Phase::Approval { expires_at: Some(until), .. } if *until <= now => {
                events.push(EventKind::ApprovalExpired { step: step.id.clone() });
            }
            _ => {}
        }
    }
    events
}

fn ask(state: &RunState, step: &Step, now: u64) -> EventKind {
    let expires = step.approval.as_ref().and_then(|approval| approval.expires_ms);
    EventKind::ApprovalRequested {
        step: step.id.clone(),
        fingerprint: state.fingerprint.clone(),
        expires_at: expires.map(|ms| now.saturating_add(ms)),
    }
}

fn start(state: &RunState, step: &Step, now: &StepState, direction: Direction, token: u64) -> EventKind {
    let before = if direction == Direction::Forward { now.attempts } else { now.undo_attempts };
    EventKind::AttemptStarted {
        step: step.id.clone(),
        direction,
        number: before + 1,
        key: key(&state.run, &step.id),
        token,
    }
}

/// The newest effect that is still there, if its undo can be tried now.
fn next_undo(state: &RunState, now: u64) -> Option<(&Step, &StepState)> {
    let place = *state.effects.last()?;
    let (step, entry) = (state.plan.steps.get(place)?, state.steps.get(place)?);
    let waits = match &entry.phase {
        Phase::Backoff { until, direction: Direction::Undo } => *until > now,
        Phase::UndoFailed { .. } => true,
        _ => false,
    };
    (!waits).then_some((step, entry))
}

/// One undo after the other: what depends on an effect is gone before the effect is.
fn unwind(state: &RunState, round: Round, then: RunResult) -> Vec<EventKind> {
    if running(state) > 0 {
        return Vec::new();
    }
    if state.effects.is_empty() {
        return vec![EventKind::RunFinished { result: then }];
    }
    match next_undo(state, round.now) {
        Some((step, entry)) if round.starts > 0 => {
            vec![start(state, step, entry, Direction::Undo, state.token + 1)]
        }
        _ => Vec::new(),
    }
}

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
    let current =
        matches!(entry.phase, Phase::Running { direction: d, number: n, .. } if d == direction && n == number);
    if !current || state.result.is_some() {
        return None;
    }
    let retry_at = match &outcome {
        Outcome::Done { .. } => None,
        Outcome::Failed { failure } => {
            let can_help = matches!(failure.kind, FailureKind::Temporary | FailureKind::Sandbox);
            if can_help { retry_time(step, entry, now, random) } else { None }
        }
        // Undo is idempotent by contract: what may have been undone is undone again.
        Outcome::Unknown { .. } if direction == Direction::Undo || step.policy.in_doubt == InDoubt::Rerun => {
            if interrupted {
                Some(now)
            } else {
                retry_time(step, entry, now, random)
            }
        }
        Outcome::Unknown { .. } => None,
    };
    let retry_at = retry_at.filter(|_| !matches!(state.heading, Heading::Cancelling { .. }));
    Some(EventKind::AttemptFinished { step: id.clone(), direction, number, outcome, retry_at, interrupted })
}

fn retry_time(step: &Step, entry: &StepState, now: u64, random: u64) -> Option<u64> {
    let failures = entry.failures + 1;
    let attempts = entry.attempts.max(entry.undo_attempts);
    let again = failures <= step.policy.retry.count && attempts < limits::ATTEMPTS_PER_STEP_MAX;
    again.then(|| now.saturating_add(backoff_ms(&step.policy.retry, failures, random)))
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
    let again = || if *interrupted { Some(now) } else { retry_time(step, &counted, now, random) };
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
        let outcome = Outcome::Unknown { reason: "the engine stopped during the attempt".to_owned() };
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
    events
}

fn not_possible(state: &RunState, id: &StepId, verb: &str, phase: &Phase, hint: &str) -> Error {
    Error::new("LB0502", format!("step '{id}' cannot be {verb}: it is {}", phase.as_str()))
        .with("run", &state.run)
        .hint(hint)
}

fn find<'a>(state: &'a RunState, id: &StepId) -> Result<(&'a Step, &'a StepState), Error> {
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
            state.heading == Heading::Forward && state.result != Some(RunResult::Cancelled)
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
/// `LB0504` no such step; `LB0502` when it is under way, complete, or an approval (which is never skipped).
pub fn skip(state: &RunState, id: &StepId, said: Said) -> Result<EventKind, Error> {
    let (step, entry) = find(state, id)?;
    let unwinding = matches!(state.heading, Heading::Unwinding { .. });
    let over = matches!(state.result, Some(RunResult::Succeeded | RunResult::Cancelled));
    let legal = match entry.phase {
        Phase::UndoFailed { .. } => unwinding,
        Phase::Failed { .. }
        | Phase::Asking { .. }
        | Phase::InDoubt { .. }
        | Phase::Backoff { .. }
        | Phase::Timer { .. }
        | Phase::Pending => state.heading == Heading::Forward && step.kind != StepKind::Approve && !over,
        _ => false,
    };
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

/// A person answers an approval with yes.
///
/// # Errors
/// `LB0504` no such step; `LB0502` when it asks nobody now or this person said yes before; `LB0506` when the person saw
/// another plan.
pub fn approve(state: &RunState, id: &StepId, fingerprint: &Digest, said: Said) -> Result<EventKind, Error> {
    let (_, entry) = find(state, id)?;
    let Phase::Approval { given, .. } = open_question(state, id, entry, "approved")? else {
        return Err(not_possible(state, id, "approved", &entry.phase, "it asks for no approval now"));
    };
    if fingerprint != &state.fingerprint {
        return Err(Error::new("LB0506", "the approval names another plan than the one that runs")
            .with("named", fingerprint)
            .with("runs", &state.fingerprint)
            .hint("look at the plan again with 'lifeboat show' and approve that one"));
    }
    if given.iter().any(|earlier| earlier.by == said.by) {
        return Err(not_possible(
            state,
            id,
            "approved",
            &entry.phase,
            &format!("{} said yes already: the quorum asks for different people", said.by),
        ));
    }
    Ok(EventKind::Approved { step: id.clone(), fingerprint: fingerprint.clone(), said })
}

/// A person answers an approval with no.
///
/// # Errors
/// `LB0504` no such step; `LB0502` when it asks nobody now.
pub fn deny(state: &RunState, id: &StepId, said: Said) -> Result<EventKind, Error> {
    let (_, entry) = find(state, id)?;
    open_question(state, id, entry, "denied")?;
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

/// The failure of a step whose arguments cannot be filled in: a reference to an output that is not there.
pub fn unfillable(error: Error) -> Outcome {
    Outcome::Failed { failure: Failure::from(error) }
}
