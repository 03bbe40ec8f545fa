//! Where the time went. Every moment of a run is counted once: work before waiting, people before timers.

use lifeboat_core::event::{Event, EventKind, RunResult};
use lifeboat_core::measure::is_after;
use lifeboat_core::plan::StepKind;
use lifeboat_core::ports::Direction;
use lifeboat_core::state::{Locks, Phase, RunState};
use serde::{Deserialize, Serialize};

/// Milliseconds by what went on. The sum is the recovery time, as long as nobody set the clock back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// From the alert to the making of the run, where an alert started it.
    #[serde(default)]
    pub declaring_ms: u64,
    /// The run that this one goes on with, in another mode.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earlier_ms: u64,
    /// Steps that change something were under way. An engine that was down during an attempt counts here: the attempt
    /// lasted until it was known how it ended.
    pub executing_ms: u64,
    /// Only `verify` and `validate` were under way.
    pub validating_ms: u64,
    /// Only undoing was under way.
    pub undoing_ms: u64,
    /// Nothing was under way, and a next attempt or a probe was waited for.
    pub retrying_ms: u64,
    /// Nothing was under way, and a person was waited for: an approval, a decision, a pause.
    pub people_ms: u64,
    /// Only a `wait` step was under way.
    pub timers_ms: u64,
    /// Another run had the locks.
    pub locks_ms: u64,
    /// None of these: the engine was between two steps, or down.
    pub engine_ms: u64,
}

// The form that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(ms: &u64) -> bool {
    *ms == 0
}

impl Spent {
    /// Each part with its name, in the order in which they are listed.
    pub fn parts(&self) -> [(&'static str, u64); 10] {
        [
            ("from the alert to the run", self.declaring_ms),
            ("the run that this one goes on with", self.earlier_ms),
            ("steps at work", self.executing_ms),
            ("verify and validate", self.validating_ms),
            ("undoing", self.undoing_ms),
            ("between attempts", self.retrying_ms),
            ("waiting for people", self.people_ms),
            ("waiting for timers", self.timers_ms),
            ("waiting for locks", self.locks_ms),
            ("between steps, or engine down", self.engine_ms),
        ]
    }
}

/// Counts while events are followed.
#[derive(Debug, Default)]
pub struct Counter {
    pub spent: Spent,
    executing: u64,
    validating: u64,
    undoing: u64,
}

impl Counter {
    /// Counts from the making of the run.
    pub fn new(state: &RunState) -> Self {
        let declaring_ms = state.detected_at.map_or(0, |at| state.declared_at().saturating_sub(at));
        let earlier_ms = state.created_at.saturating_sub(state.declared_at());
        Self { spent: Spent { declaring_ms, earlier_ms, ..Spent::default() }, ..Self::default() }
    }

    /// Time passes in that state until the next event. That of a cleanup is none of the recovery.
    pub fn pass(&mut self, state: &RunState, event: &Event) {
        if is_after(state, event) {
            return;
        }
        let time = event.at.saturating_sub(state.updated_at);
        let part = self.part(state);
        *part = part.saturating_add(time);
    }

    fn part(&mut self, state: &RunState) -> &mut u64 {
        let spent = &mut self.spent;
        if state.result == Some(RunResult::Failed) {
            // It was opened again later: until then a person had to decide.
            return &mut spent.people_ms;
        }
        match (self.executing, self.validating, self.undoing) {
            (1.., _, _) => return &mut spent.executing_ms,
            (_, 1.., _) => return &mut spent.validating_ms,
            (_, _, 1..) => return &mut spent.undoing_ms,
            _ => {}
        }
        if state.paused.is_some() {
            return &mut spent.people_ms;
        }
        if state.wants_locks() {
            let others = matches!(&state.locks, Locks::Wanted { held } if !held.is_empty());
            return if others { &mut spent.locks_ms } else { &mut spent.engine_ms };
        }
        let open = |wanted: fn(&Phase) -> bool| state.steps_active().any(|step| wanted(&step.phase));
        if open(|phase| matches!(phase, Phase::Backoff { .. } | Phase::InDoubt { .. })) {
            &mut spent.retrying_ms
        } else if open(|phase| {
            matches!(
                phase,
                Phase::Approval { .. } | Phase::Asking { .. } | Phase::Suspect { .. } | Phase::UndoFailed { .. }
            )
        }) {
            &mut spent.people_ms
        } else if open(|phase| matches!(phase, Phase::Timer { .. })) {
            &mut spent.timers_ms
        } else {
            &mut spent.engine_ms
        }
    }

    /// An event happened.
    pub fn after(&mut self, state: &RunState, event: &Event) {
        let (step, direction, begins) = match &event.kind {
            EventKind::AttemptStarted { direction: Direction::Cleanup, .. }
            | EventKind::AttemptFinished { direction: Direction::Cleanup, .. } => return,
            EventKind::AttemptStarted { step, direction, .. } => (step, *direction, true),
            EventKind::AttemptFinished { step, direction, .. } => (step, *direction, false),
            _ => return,
        };
        let kind = state.step(step).map(|(step, _)| step.kind);
        let count = match (direction, kind) {
            (Direction::Undo, _) => &mut self.undoing,
            (_, Some(StepKind::Verify | StepKind::Validate)) => &mut self.validating,
            _ => &mut self.executing,
        };
        *count = if begins { count.saturating_add(1) } else { count.saturating_sub(1) };
    }
}
