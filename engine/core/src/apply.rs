//! The only writer of [`RunState`]: one event in, one state out, or an error for an event that cannot follow.
//!
//! An illegal event is an error value, never a panic: a damaged log affects its run alone. What is legal is said in one
//! place, the `match` in [`apply`]; what is *wise* is decided before, in [`crate::decide`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::Error;
use crate::event::{Event, EventKind, RunResult, Said};
use crate::ids::StepId;
use crate::outcome::{Failure, Outcome, ProbeAnswer};
use crate::plan::{InDoubt, PLAN_FORMAT, StepKind};
use crate::ports::Direction;
use crate::state::{Heading, Phase, RunState, StepState};

/// The state of a run from its first event.
///
/// # Errors
/// `LB0503` when the event is not a `run-created` that this engine understands.
pub fn create(event: &Event) -> Result<RunState, Error> {
    let EventKind::RunCreated { run, plan, fingerprint, said, .. } = &event.kind else {
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
    Ok(RunState {
        run: run.clone(),
        fingerprint: fingerprint.clone(),
        said: said.clone(),
        created_at: event.at,
        updated_at: event.at,
        seq: 1,
        token: 0,
        heading: Heading::Forward,
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
        plan: Arc::new((**plan).clone()),
    })
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

fn illegal(message: impl Into<String>) -> Error {
    Error::new("LB0503", message).hint("run 'lifeboat doctor' to see what is damaged; other runs are not affected")
}

/// Applies one event.
///
/// # Errors
/// `LB0503` when the event cannot follow; the state is then not to be used any more.
pub fn apply(state: &mut RunState, event: &Event) -> Result<(), Error> {
    if state.result.is_some() && !matches!(event.kind, EventKind::StepRetried { .. } | EventKind::StepSkipped { .. }) {
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
        EventKind::Approved { step, said, .. } => approved(state, step, said, event.at)?,
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
        EventKind::StepRetried { step, .. } => retried(state, step, event.at)?,
        EventKind::StepSkipped { step, said } => skipped(state, step, said, event.at)?,
        EventKind::CancelRequested { compensate, said } => {
            state.going_forward("it is cancelled")?;
            state.heading = Heading::Cancelling { compensate: *compensate, said: said.clone() };
        }
        EventKind::UnwindStarted { .. } => state.unwind()?,
        EventKind::RunFinished { result } => state.finish(*result, event.at)?,
    }
    state.seq += 1;
    state.updated_at = event.at;
    Ok(())
}

/// The circumstances of an attempt's end.
struct End {
    at: u64,
    retry_at: Option<u64>,
    interrupted: bool,
}

fn started(
    state: &mut RunState,
    id: &StepId,
    direction: Direction,
    number: u32,
    token: u64,
    at: u64,
) -> Result<(), Error> {
    if token <= state.token {
        return Err(illegal(format!("the fencing token {token} of step '{id}' is not a new one")));
    }
    let place = state.place(id)?;
    let ready = state.ready.contains(&place);
    let unwinding = matches!(state.heading, Heading::Unwinding { .. });
    let forward = state.heading == Heading::Forward;
    let step = state.entry(id)?.1;
    let legal = match (direction, &step.phase) {
        (Direction::Forward, Phase::Pending) => forward && ready,
        (Direction::Forward, Phase::Backoff { direction, .. }) => forward && *direction == Direction::Forward,
        (Direction::Forward, _) | (Direction::Undo, Phase::Running { .. } | Phase::UndoFailed { .. }) => false,
        (Direction::Undo, _) => unwinding && step.may_have_happened,
    };
    let count = match direction {
        Direction::Forward => &mut step.attempts,
        Direction::Undo => &mut step.undo_attempts,
    };
    if !legal || number != *count + 1 {
        return Err(illegal(format!("an attempt of step '{id}' starts while it is {}", step.phase.as_str())));
    }
    *count = number;
    if direction == Direction::Undo && number == 1 {
        // An undo has the retries of its own policy, whatever the way forward cost.
        step.failures = 0;
    }
    step.started_at.get_or_insert(at);
    state.token = token;
    state.settle(place, Phase::Running { direction, number, token, since: at }, at);
    Ok(())
}

fn finished(
    state: &mut RunState,
    id: &StepId,
    direction: Direction,
    number: u32,
    outcome: &Outcome,
    end: &End,
) -> Result<(), Error> {
    let policy = state.step(id).map(|(step, _)| step.policy.in_doubt);
    let (place, step) = state.expect(
        id,
        |phase| matches!(phase, Phase::Running { direction: d, number: n, .. } if *d == direction && *n == number),
    )?;
    let counts = !end.interrupted && !matches!(outcome, Outcome::Done { .. });
    step.failures += u32::from(counts);
    let next = match outcome {
        Outcome::Done { outputs } if direction == Direction::Forward => {
            state.done(place, outputs.clone(), end.at);
            return Ok(());
        }
        Outcome::Done { .. } => Phase::Undone,
        Outcome::Failed { failure } => match (end.retry_at, direction) {
            (Some(until), _) => Phase::Backoff { direction, until },
            (None, Direction::Forward) => Phase::Failed { failure: failure.clone() },
            (None, Direction::Undo) => Phase::UndoFailed { failure: failure.clone() },
        },
        Outcome::Unknown { reason } => match (end.retry_at, direction) {
            (Some(until), _) => Phase::Backoff { direction, until },
            (None, Direction::Undo) => Phase::UndoFailed { failure: Failure::permanent(reason.clone()) },
            (None, Direction::Forward) if policy == Some(InDoubt::Probe) => {
                Phase::InDoubt { number, reason: reason.clone(), interrupted: end.interrupted }
            }
            (None, Direction::Forward) => Phase::Asking { reason: reason.clone() },
        },
    };
    if matches!(outcome, Outcome::Unknown { .. }) && direction == Direction::Forward {
        state.touch(place);
    }
    state.settle(place, next, end.at);
    Ok(())
}

fn probed(
    state: &mut RunState,
    id: &StepId,
    number: u32,
    answer: &ProbeAnswer,
    retry_at: Option<u64>,
    at: u64,
) -> Result<(), Error> {
    let (place, step) = state.expect(id, |phase| matches!(phase, Phase::InDoubt { number: n, .. } if *n == number))?;
    let Phase::InDoubt { reason: doubt, .. } = &step.phase else {
        return Err(illegal(format!("step '{id}' is not in doubt")));
    };
    let doubt = doubt.clone();
    let next = match (answer, retry_at) {
        (ProbeAnswer::Happened { outputs }, _) => {
            state.done(place, outputs.clone(), at);
            return Ok(());
        }
        (_, Some(until)) => Phase::Backoff { direction: Direction::Forward, until },
        (ProbeAnswer::DidNotHappen, None) => Phase::Failed { failure: Failure::permanent(doubt) },
        (ProbeAnswer::CannotTell { reason }, None) => {
            Phase::Asking { reason: format!("{doubt}; the plugin cannot tell: {reason}") }
        }
    };
    if matches!(answer, ProbeAnswer::DidNotHappen) {
        step.may_have_happened = false;
    }
    state.settle(place, next, at);
    Ok(())
}

fn approved(state: &mut RunState, id: &StepId, said: &Said, at: u64) -> Result<(), Error> {
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

fn retried(state: &mut RunState, id: &StepId, at: u64) -> Result<(), Error> {
    let unwinding = matches!(state.heading, Heading::Unwinding { .. });
    let cancelling = matches!(state.heading, Heading::Cancelling { .. });
    let (place, step) = state
        .expect(id, |phase| matches!(phase, Phase::Failed { .. } | Phase::Asking { .. } | Phase::UndoFailed { .. }))?;
    let undo = matches!(step.phase, Phase::UndoFailed { .. });
    if undo != unwinding || cancelling {
        return Err(illegal(format!("step '{id}' is retried in the wrong direction")));
    }
    step.failures = 0;
    let backoff = Phase::Backoff { direction: Direction::Undo, until: at };
    state.settle(place, if undo { backoff } else { Phase::Pending }, at);
    state.result = None;
    state.finished_at = None;
    Ok(())
}

fn skipped(state: &mut RunState, id: &StepId, said: &Said, at: u64) -> Result<(), Error> {
    let unwinding = matches!(state.heading, Heading::Unwinding { .. });
    if matches!(state.heading, Heading::Cancelling { .. }) {
        return Err(illegal(format!("step '{id}' is skipped while the run is cancelled")));
    }
    if state.step(id).is_some_and(|(step, _)| step.kind == StepKind::Approve) {
        return Err(illegal(format!("the approval '{id}' is skipped")));
    }
    let (place, step) = state.expect(id, |phase| {
        let closed = matches!(phase, Phase::Running { .. } | Phase::Done | Phase::Skipped { .. } | Phase::Undone);
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
    state.result = None;
    state.finished_at = None;
    Ok(())
}

impl RunState {
    fn place(&self, id: &StepId) -> Result<usize, Error> {
        self.index.get(id).copied().ok_or_else(|| illegal(format!("there is no step '{id}'")))
    }

    fn entry(&mut self, id: &StepId) -> Result<(usize, &mut StepState), Error> {
        let place = self.place(id)?;
        let step = self.steps.get_mut(place).ok_or_else(|| illegal(format!("there is no step '{id}'")))?;
        Ok((place, step))
    }

    fn expect(&mut self, id: &StepId, legal: impl Fn(&Phase) -> bool) -> Result<(usize, &mut StepState), Error> {
        let (place, step) = self.entry(id)?;
        if legal(&step.phase) {
            Ok((place, step))
        } else {
            Err(illegal(format!("an event of step '{id}' does not fit its phase '{}'", step.phase.as_str())))
        }
    }

    /// A step of the engine begins: its question, or its timer.
    fn begin(&mut self, id: &StepId, at: u64, phase: Phase) -> Result<(), Error> {
        let place = self.place(id)?;
        if !self.ready.contains(&place) || self.heading != Heading::Forward {
            return Err(illegal(format!("step '{id}' begins before its time")));
        }
        let step = self.entry(id)?.1;
        step.attempts += 1;
        step.started_at.get_or_insert(at);
        self.settle(place, phase, at);
        Ok(())
    }

    fn fail_question(&mut self, id: &StepId, why: &str, at: u64) -> Result<(), Error> {
        let (place, _) = self.expect(id, |phase| matches!(phase, Phase::Approval { .. }))?;
        self.settle(place, Phase::Failed { failure: Failure::permanent(why) }, at);
        Ok(())
    }

    /// The effect of a step may be there from now on.
    fn touch(&mut self, place: usize) {
        if let Some(step) = self.steps.get_mut(place) {
            step.may_have_happened = true;
        }
        // The order only matters for steps that are undone; the others would make the list long.
        if self.plan.steps.get(place).is_some_and(|step| step.compensate) {
            self.effects.push(place);
        }
    }

    fn done(&mut self, place: usize, outputs: Value, at: u64) {
        self.touch(place);
        if let Some(step) = self.steps.get_mut(place) {
            step.outputs = Some(outputs);
        }
        self.settle(place, Phase::Done, at);
        self.release_dependents(place);
    }

    fn release_dependents(&mut self, place: usize) {
        let dependents = self.dependents.get(place).cloned().unwrap_or_default();
        for next in dependents {
            let Some(unmet) = self.unmet.get_mut(next) else { continue };
            *unmet = unmet.saturating_sub(1);
            let pending = self.steps.get(next).is_some_and(|step| step.phase == Phase::Pending);
            if *unmet == 0 && pending {
                self.ready.insert(next);
            }
        }
    }

    fn going_forward(&self, what: &str) -> Result<(), Error> {
        let forward = self.heading == Heading::Forward;
        forward.then_some(()).ok_or_else(|| illegal(format!("{what} while the run does not go forward")))
    }

    fn unwind(&mut self) -> Result<(), Error> {
        let then = match self.heading {
            Heading::Cancelling { .. } => RunResult::Cancelled,
            Heading::Forward => RunResult::Failed,
            Heading::Unwinding { .. } => return Err(illegal("the run is unwound twice")),
        };
        if !self.running.is_empty() {
            return Err(illegal("the run is unwound while attempts are under way"));
        }
        self.withdraw();
        self.heading = Heading::Unwinding { then };
        Ok(())
    }

    fn finish(&mut self, result: RunResult, at: u64) -> Result<(), Error> {
        if !self.running.is_empty() {
            return Err(illegal("the run ends while attempts are under way"));
        }
        if result == RunResult::Succeeded && self.complete != self.steps.len() {
            return Err(illegal("the run succeeds while steps are not complete"));
        }
        self.withdraw();
        self.result = Some(result);
        self.finished_at = Some(at);
        Ok(())
    }

    /// Takes back what only waited: questions, timers, retries. They will not come about, and nobody is to answer them.
    fn withdraw(&mut self) {
        let waits = |phase: &Phase| match phase {
            Phase::Approval { .. } | Phase::Timer { .. } => true,
            Phase::Backoff { direction, .. } => *direction == Direction::Forward,
            _ => false,
        };
        let (steps, held) = (&mut self.steps, &mut self.held);
        held.retain(|place| match steps.get_mut(*place) {
            Some(step) if waits(&step.phase) => {
                step.phase = Phase::Pending;
                false
            }
            _ => true,
        });
    }

    /// Puts a step into a phase, and into the sets that belong to it. The only place where a phase changes, but for
    /// [`Self::withdraw`].
    fn settle(&mut self, place: usize, phase: Phase, at: u64) {
        let Some(step) = self.steps.get_mut(place) else { return };
        let was_complete = step.is_complete();
        let closed = matches!(phase, Phase::Done | Phase::Failed { .. } | Phase::Skipped { .. } | Phase::Undone);
        if matches!(phase, Phase::Undone) {
            step.may_have_happened = false;
        }
        step.finished_at = (closed || matches!(phase, Phase::UndoFailed { .. })).then_some(at);
        step.phase = phase;
        let (is_complete, phase) = (step.is_complete(), &step.phase);
        let put = |set: &mut BTreeSet<usize>, member: bool| if member { set.insert(place) } else { set.remove(&place) };
        let (pending, running) = (matches!(phase, Phase::Pending), matches!(phase, Phase::Running { .. }));
        put(&mut self.ready, pending);
        put(&mut self.running, running);
        put(&mut self.held, !(closed || pending || running));
        put(&mut self.failed, matches!(phase, Phase::Failed { .. }));
        self.complete = self.complete + usize::from(is_complete) - usize::from(was_complete);
        self.forget_undone();
    }

    /// Drops effects that are gone from the end of the list, so that the next one to undo is found at once.
    fn forget_undone(&mut self) {
        while let Some(last) = self.effects.last() {
            if self.steps.get(*last).is_some_and(|step| step.may_have_happened) {
                break;
            }
            self.effects.pop();
        }
    }
}
