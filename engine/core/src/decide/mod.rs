//! From a wish to events: what may happen next to a run, and what a person may ask of it.
//!
//! All functions are pure: state, time and randomness in, events or a refusal out. Nothing has happened until those
//! events are durable.

mod attempts;
mod ledger;
mod verbs;

use std::collections::HashMap;

pub use self::attempts::{attempt_finished, probed, recover, unfillable};
pub use self::ledger::cleanup;
pub use self::verbs::{abandon, approve, attest, cancel, deny, mark_done, pause, retry, skip, unpause};
use crate::actions::key_of;
pub use crate::carry::decide as continue_as;
use crate::condition::{Need, need};
use crate::event::{EventKind, RunResult};
use crate::ledger::intents;
use crate::outcome::Failure;
use crate::plan::{Step, StepKind};
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
    if state.result.is_some() || state.paused.is_some() || state.wants_locks() {
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
                vec![ledger::end(state, RunResult::Cancelled)]
            }
        }
        Heading::Unwinding { then } => unwind(state, round, *then),
        Heading::Cleaning { then } => ledger::clean(state, round, *then),
    }
}

/// How many attempts are under way.
pub fn running(state: &RunState) -> usize {
    state.running.len()
}

/// How many attempts the run would start now if it could: for asking for places.
pub fn wanted(state: &RunState, now: u64) -> usize {
    if state.result.is_some() || state.paused.is_some() || state.wants_locks() {
        return 0;
    }
    if let Heading::Unwinding { .. } = state.heading {
        return usize::from(running(state) == 0 && next_undo(state, now).is_some());
    }
    if let Heading::Cleaning { .. } = state.heading {
        return usize::from(ledger::next(state, now).is_some());
    }
    if state.heading != Heading::Forward || failing_with_compensation(state) {
        return 0;
    }
    let mut lanes = Lanes::new(state, room(state));
    let mut count = 0;
    for (step, entry) in state.held.iter().chain(&state.ready).filter_map(|place| at(state, *place)) {
        if lanes.room == 0 {
            break;
        }
        count += usize::from(can_start(entry, step, now) && lanes.enter(step));
    }
    count
}

fn at(state: &RunState, place: usize) -> Option<(&Step, &StepState)> {
    Some((state.plan.steps.get(place)?, state.steps.get(place)?))
}

/// Whether an attempt of the step could start now, were there room.
fn can_start(entry: &StepState, step: &Step, now: u64) -> bool {
    match &entry.phase {
        Phase::Pending => step.kind.has_attempts(),
        Phase::Backoff { until, direction: Direction::Forward } => *until <= now,
        _ => false,
    }
}

/// The room that is left: of the run, and of each fan-out in it.
struct Lanes<'a> {
    room: usize,
    fans: HashMap<&'a str, u32>,
}

impl<'a> Lanes<'a> {
    fn new(state: &'a RunState, room: usize) -> Self {
        let mut fans = HashMap::new();
        if state.has_fans {
            let running = state.running.iter().filter_map(|place| state.plan.steps.get(*place)?.fan.as_ref());
            running.for_each(|fan| *fans.entry(fan.of.as_str()).or_default() += 1);
        }
        Self { room, fans }
    }

    /// Takes the room for one more attempt of that step, if there is any.
    fn enter(&mut self, step: &'a Step) -> bool {
        if self.room == 0 {
            return false;
        }
        if let Some(fan) = &step.fan {
            let under_way = self.fans.entry(fan.of.as_str()).or_default();
            // A limit of none at all would never end.
            if *under_way >= fan.limit.max(1) {
                return false;
            }
            *under_way += 1;
        }
        self.room -= 1;
        true
    }
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
    let mut lanes = Lanes::new(state, room(state).min(round.starts));
    let mut token = state.token;
    for (step, now) in state.held.iter().chain(&state.ready).filter_map(|place| at(state, *place)) {
        if now.phase == Phase::Pending
            && let Some(passed) = passed_by(state, step)
        {
            events.push(passed);
            continue;
        }
        if now.phase == Phase::Pending
            && let Some(held) = crate::taint::holds(state, step, now)
        {
            events.push(held);
            continue;
        }
        match (&now.phase, step.kind) {
            (Phase::Pending, StepKind::Approve) => events.push(ask(state, step, round.now)),
            (Phase::Pending, StepKind::Wait) => events.push(EventKind::WaitStarted {
                step: step.id.clone(),
                until: round.now.saturating_add(step.wait_ms.unwrap_or(0)),
            }),
            _ if can_start(now, step, round.now) && lanes.enter(step) => {
                token += 1;
                if now.ledger.is_none() && !step.makes.is_empty() {
                    let resources = intents(state, step, round.now);
                    events.push(EventKind::ResourcesIntended { step: step.id.clone(), resources });
                }
                events.push(start(state, step, now, Direction::Forward, token));
            }
            _ => {}
        }
        if lanes.room == 0 && state.ready.len() > 64 {
            // A wide plan: the rest of the ready steps is looked at when there is room again.
            break;
        }
    }
    let nothing_left = state.running.is_empty() && state.held.is_empty() && state.ready.is_empty();
    if events.is_empty() && nothing_left {
        let all = state.complete == state.plan.steps.len();
        let result = if all { RunResult::Succeeded } else { RunResult::Failed };
        events.push(ledger::end(state, result));
    }
    events
}

/// A step that is not carried out although its turn has come.
fn passed_by(state: &RunState, step: &Step) -> Option<EventKind> {
    if step.when.is_empty() && !state.some_not_needed {
        return None;
    }
    let id = step.id.clone();
    match need(state, step) {
        Need::Needed => None,
        Need::NotNeeded(because) => Some(EventKind::StepNotNeeded { step: id, because }),
        Need::Unclear(error) => Some(EventKind::ConditionUnclear { step: id, failure: Failure::from(error) }),
    }
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
    let before = match direction {
        Direction::Forward => now.attempts,
        Direction::Undo => now.undo_attempts,
        Direction::Cleanup => now.ledger.as_ref().map_or(0, |entry| entry.attempts),
    };
    EventKind::AttemptStarted {
        step: step.id.clone(),
        direction,
        number: before + 1,
        key: key_of(state, &step.id),
        token,
    }
}

/// The newest effect that is still there, if its undo can be tried now.
fn next_undo(state: &RunState, now: u64) -> Option<(&Step, &StepState)> {
    let place = *state.effects.last()?;
    #[cfg(feature = "mutants")]
    let place = if crate::mutant::is(crate::mutant::Mutant::UndoOrderReversed) { oldest_effect(state)? } else { place };
    let (step, entry) = (state.plan.steps.get(place)?, state.steps.get(place)?);
    let waits = match &entry.phase {
        Phase::Backoff { until, direction: Direction::Undo } => *until > now,
        Phase::UndoFailed { .. } => true,
        _ => false,
    };
    (!waits).then_some((step, entry))
}

#[cfg(feature = "mutants")]
fn oldest_effect(state: &RunState) -> Option<usize> {
    let there = |place: &&usize| state.steps.get(**place).is_some_and(|step| step.may_have_happened);
    state.effects.iter().find(there).copied()
}

/// One undo after the other: what depends on an effect is gone before the effect is.
fn unwind(state: &RunState, round: Round, then: RunResult) -> Vec<EventKind> {
    if running(state) > 0 {
        return Vec::new();
    }
    if state.effects.is_empty() {
        return vec![ledger::end(state, then)];
    }
    match next_undo(state, round.now) {
        Some((step, entry)) if round.starts > 0 => {
            vec![start(state, step, entry, Direction::Undo, state.token + 1)]
        }
        _ => Vec::new(),
    }
}
