//! The pure centre: what may follow what, what is decided, and that a log read back is the run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// Tests look at the real clock and write golden files; the code under test does neither.
#![allow(clippy::disallowed_methods)]

mod begun;
mod carry;
mod decisions;
mod format;
mod ledger;
mod legality;
mod measure;
mod replaying;
mod schema;
mod told;

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::{RunId, StepId};
use lifeboat_core::outcome::{Failure, FailureKind, Outcome};
use lifeboat_core::plan::Plan;
use lifeboat_core::ports::Direction;
use lifeboat_core::state::RunState;
use lifeboat_core::{apply, decide};
use lifeboat_testkit::said;

/// A run under a test's hand: each change is an event, kept for reading back.
pub(crate) struct Hand {
    pub(crate) state: RunState,
    pub(crate) events: Vec<Event>,
    pub(crate) now: u64,
}

pub(crate) fn id(step: &str) -> StepId {
    StepId::from(step)
}

pub(crate) fn created(plan: Plan) -> EventKind {
    EventKind::RunCreated {
        run: RunId::new(1_700_000_000_000, 42),
        fingerprint: plan.fingerprint(),
        plan: Box::new(plan),
        runbook: "runbook \"simulated\"".to_owned(),
        engine: "lifeboat 0.1.0".to_owned(),
        detected_at: None,
        continues: None,
        said: said("ada"),
    }
}

pub(crate) fn done() -> Outcome {
    Outcome::Done { outputs: serde_json::json!({ "ok": true }) }
}

pub(crate) fn failed(kind: FailureKind) -> Outcome {
    Outcome::Failed { failure: Failure { kind, ..Failure::permanent("no") } }
}

pub(crate) fn unknown() -> Outcome {
    Outcome::Unknown { reason: "lost".to_owned() }
}

impl Hand {
    pub(crate) fn new(plan: Plan) -> Self {
        let event = Event::new(1_000, created(plan));
        let state = apply::create(&event).unwrap();
        Self { state, events: vec![event], now: 1_000 }
    }

    pub(crate) fn apply(&mut self, kind: EventKind) {
        let event = Event::new(self.now, kind);
        apply::apply(&mut self.state, &event).unwrap();
        self.events.push(event);
    }

    /// Lets the core decide until nothing follows.
    pub(crate) fn follow(&mut self) -> &mut Self {
        loop {
            let kinds = decide::advance(&self.state, decide::Round { now: self.now, starts: 100 });
            if kinds.is_empty() {
                return self;
            }
            kinds.into_iter().for_each(|kind| self.apply(kind));
        }
    }

    /// The attempt of a step that is under way ends like this; then what follows.
    pub(crate) fn end(&mut self, step: &str, outcome: Outcome) -> &mut Self {
        let now = self.state.step(&id(step)).unwrap().1;
        let lifeboat_core::state::Phase::Running { direction, number, .. } = now.phase else {
            panic!("{step} is {}", now.phase.as_str())
        };
        let kind =
            decide::attempt_finished(&self.state, &id(step), direction, number, outcome, false, (self.now, 0)).unwrap();
        self.apply(kind);
        self.follow()
    }

    /// The plugin's answer about a step; then what follows.
    pub(crate) fn probed(&mut self, step: &str, answer: lifeboat_core::outcome::ProbeAnswer) -> &mut Self {
        let number = self.state.step(&id(step)).unwrap().1.attempts;
        let kind = decide::probed(&self.state, &id(step), number, answer, (self.now, 0)).unwrap();
        self.apply(kind);
        self.follow()
    }

    pub(crate) fn phase(&self, step: &str) -> &'static str {
        self.state.step(&id(step)).unwrap().1.phase.as_str()
    }

    /// Whether this event could come next.
    pub(crate) fn allows(&self, kind: &EventKind) -> bool {
        apply::apply(&mut self.state.clone(), &Event::new(self.now, kind.clone())).is_ok()
    }
}

pub(crate) const FORWARD: Direction = Direction::Forward;
pub(crate) const UNDO: Direction = Direction::Undo;
