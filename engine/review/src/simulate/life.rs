//! One life of a run: the engine's own rules, with plugins, people and time played.

use std::collections::{BTreeMap, HashMap};

use lifeboat_core::actions::{probes, wake_after};
use lifeboat_core::apply::{apply, create};
use lifeboat_core::decide::{self, Round};
use lifeboat_core::event::{Event, EventKind, Said};
use lifeboat_core::ids::RunId;
use lifeboat_core::outcome::{Failure, FailureKind, Outcome, ProbeAnswer};
use lifeboat_core::plan::{Effect, Plan, Step};
use lifeboat_core::ports::Direction;
use lifeboat_core::state::{Phase, RunState, RunStatus};
use lifeboat_core::{Error, StepId};
use serde_json::{Value, json};

use super::cases::{Case, Trouble};
use super::{Setting, outputs};

/// When simulations begin, in milliseconds since the Unix epoch. Any time would do.
const BEGIN_MS: u64 = 1_700_000_000_000;

/// What is the same in all lives of a plan.
pub(super) struct World<'a> {
    setting: &'a Setting,
    outputs: BTreeMap<StepId, Value>,
    /// By name: a plan looks for a step from its first one on.
    steps: HashMap<&'a StepId, &'a Step>,
    last: Option<StepId>,
    /// Every life begins like this.
    first: Event,
    begin: RunState,
}

/// Where a life comes to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The run has ended.
    Ended,
    /// Nothing goes on without a person.
    Person,
}

/// A run under way.
pub(super) struct Life<'a> {
    world: &'a World<'a>,
    pub(super) state: RunState,
    now: u64,
    fence: u64,
    case: Option<Case>,
    /// Whether what was under way when the engine died happened.
    happened: bool,
    /// What was under way then.
    pub(super) in_doubt: Vec<StepId>,
    /// Attempts that have begun and not ended. Kept beside the state, whose steps are many.
    under_way: Vec<(StepId, Direction, u32)>,
    /// Questions that are open.
    asked: Vec<StepId>,
    trail: Option<Vec<Event>>,
    rounds: usize,
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a Plan, setting: &'a Setting) -> Result<Self, Error> {
        let graph = lifeboat_core::graph::PlanGraph::new(plan).ok();
        let order = graph.map(|graph| graph.order()).unwrap_or_default();
        let steps: HashMap<&StepId, &Step> = plan.steps.iter().map(|step| (&step.id, step)).collect();
        let by_plugin = |id: &StepId| steps.get(id).is_some_and(|step| step.kind.by_plugin());
        let last = order.into_iter().rev().find(by_plugin);
        let first = Event::new(
            BEGIN_MS,
            EventKind::RunCreated {
                run: RunId::new(BEGIN_MS, setting.seed),
                plan: Box::new(plan.clone()),
                fingerprint: plan.fingerprint(),
                runbook: String::new(),
                engine: "simulated".to_owned(),
                detected_at: None,
                continues: None,
                said: said("simulated"),
            },
        );
        let begin = create(&first)?;
        Ok(Self { setting, outputs: outputs::of(plan), steps, last, first, begin })
    }

    fn life(&'a self, state: RunState) -> Life<'a> {
        let now = state.updated_at;
        Life {
            world: self,
            state,
            now,
            fence: 1,
            case: None,
            happened: false,
            in_doubt: Vec::new(),
            under_way: Vec::new(),
            asked: Vec::new(),
            trail: None,
            rounds: 0,
        }
    }

    /// The run in which nothing goes wrong: its events, and how it ends.
    pub(super) fn undisturbed(&'a self) -> Result<(Vec<Event>, RunStatus), Error> {
        let life = Life { trail: Some(vec![self.first.clone()]), ..self.life(self.begin.clone()) };
        let (life, _) = life.come_to_rest()?;
        let status = life.state.status();
        Ok((life.trail.unwrap_or_default(), status))
    }

    /// A run in which one thing goes wrong.
    pub(super) fn troubled(&'a self, case: &Case) -> Life<'a> {
        Life { case: Some(case.clone()), ..self.life(self.begin.clone()) }
    }

    /// A run that is taken up again where the engine died.
    pub(super) fn cut(&'a self, state: RunState, happened: bool) -> Life<'a> {
        let (mut in_doubt, mut asked) = (Vec::new(), Vec::new());
        for (step, now) in state.steps() {
            match now.phase {
                Phase::Running { .. } => in_doubt.push(step.id.clone()),
                Phase::Approval { .. } => asked.push(step.id.clone()),
                _ => {}
            }
        }
        Life { happened, in_doubt, asked, fence: 2, ..self.life(state) }
    }

    pub(super) fn walker<'b>(&self, trail: &'b [Event]) -> Result<Walker<'b>, Error> {
        let first = trail.first().ok_or_else(|| lost("there are no events"))?;
        Ok(Walker { state: create(first)?, trail, place: 1 })
    }
}

/// Goes along the events of the undisturbed run: the state after each, made once.
pub(super) struct Walker<'a> {
    state: RunState,
    trail: &'a [Event],
    place: usize,
}

impl Walker<'_> {
    /// The state after so many events; asked for in the order of events.
    pub(super) fn at(&mut self, seq: usize) -> Result<RunState, Error> {
        while self.place < seq {
            let event = self.trail.get(self.place).ok_or_else(|| lost("there is no such event"))?;
            apply(&mut self.state, event)?;
            self.place += 1;
        }
        Ok(self.state.clone())
    }
}

fn said(by: &str) -> Said {
    Said { by: by.to_owned(), why: String::new() }
}

fn lost(why: &str) -> Error {
    Error::new("LB1194", format!("the simulation came to no end: {why}"))
        .hint("this is a bug of Lifeboat, or a plan that it did not compile; please report it with the runbook")
}

impl Life<'_> {
    /// Goes on until the run ends, or a person would have to speak.
    pub(super) fn come_to_rest(mut self) -> Result<(Self, Rest), Error> {
        let most = 1_000 + 64 * self.state.plan.steps.len();
        for kind in decide::recover(&self.state, self.now) {
            self.push(kind)?;
        }
        if self.fence > 1 && !self.state.lock_names.is_empty() && self.state.result.is_none() {
            self.take_locks()?;
        }
        loop {
            self.rounds += 1;
            if self.rounds > most {
                return Err(lost("it goes in a circle"));
            }
            self.follow()?;
            if self.state.result.is_some() {
                return Ok((self, Rest::Ended));
            }
            if self.end_attempts()? || self.answer_probes()? || self.answer_questions()? {
                continue;
            }
            match wake_after(&self.state, self.now) {
                Some(at) => self.now = at,
                None => return Ok((self, Rest::Person)),
            }
        }
    }

    fn push(&mut self, kind: EventKind) -> Result<(), Error> {
        match &kind {
            EventKind::AttemptStarted { step, direction, number, .. } => {
                self.under_way.push((step.clone(), *direction, *number));
            }
            EventKind::ApprovalRequested { step, .. } => self.asked.push(step.clone()),
            _ => {}
        }
        let event = Event::new(self.now, kind);
        apply(&mut self.state, &event)?;
        if let Some(trail) = &mut self.trail {
            trail.push(event);
        }
        Ok(())
    }

    fn take_locks(&mut self) -> Result<(), Error> {
        let kind = EventKind::LocksTaken { locks: self.state.lock_names.clone(), fence: self.fence };
        self.fence += 1;
        self.push(kind)
    }

    /// All that follows by itself.
    fn follow(&mut self) -> Result<(), Error> {
        if self.state.wants_locks() {
            self.take_locks()?;
        }
        loop {
            let events = decide::advance(&self.state, Round { now: self.now, starts: usize::MAX });
            if events.is_empty() {
                return Ok(());
            }
            for kind in events {
                self.push(kind)?;
            }
        }
    }

    /// Every attempt under way comes to its end.
    fn end_attempts(&mut self) -> Result<bool, Error> {
        let running = std::mem::take(&mut self.under_way);
        for (id, direction, number) in &running {
            let Some(step) = self.world.steps.get(id).copied() else { continue };
            let outcome = self.outcome(step, *direction, *number);
            let finished =
                decide::attempt_finished(&self.state, id, *direction, *number, outcome, false, (self.now, 0));
            if let Some(kind) = finished {
                self.push(kind)?;
            }
        }
        Ok(!running.is_empty())
    }

    fn trouble(&self, step: &Step) -> Option<Trouble> {
        match &self.case.as_ref()?.trouble {
            Some((trouble, id)) if *id == step.id => Some(*trouble),
            // The last step fails, so that there is something to undo.
            Some((Trouble::UndoFails | Trouble::UndoBusy, _)) if self.world.last.as_ref() == Some(&step.id) => {
                Some(Trouble::Fails)
            }
            _ => None,
        }
    }

    fn outcome(&mut self, step: &Step, direction: Direction, number: u32) -> Outcome {
        let failed = |kind| Outcome::Failed { failure: Failure { kind, ..Failure::permanent("simulated") } };
        let unknown = || Outcome::Unknown { reason: "simulated".to_owned() };
        let done = || Outcome::Done { outputs: self.outputs(&step.id) };
        // What a drill made is removed: that changes nothing of what it shows.
        if direction == Direction::Cleanup {
            return done();
        }
        let forward = direction == Direction::Forward;
        match self.trouble(step) {
            Some(Trouble::Fails) if forward => failed(FailureKind::Permanent),
            Some(Trouble::UndoFails) if !forward => failed(FailureKind::Permanent),
            Some(Trouble::UndoBusy) if !forward && number == 1 => failed(FailureKind::Temporary),
            Some(Trouble::Unknown { .. }) if forward && number == 1 => unknown(),
            Some(Trouble::TooLong { .. }) if forward && number == 1 => {
                self.now = self.now.saturating_add(step.policy.timeout_ms);
                // As the engine does: what does no harm has failed, and of the rest nobody knows.
                if matches!(step.effect, Effect::Read | Effect::Reversible) {
                    failed(FailureKind::Sandbox)
                } else {
                    unknown()
                }
            }
            // A plan of one step: it is undone only if it was done, so it is the end of the run that fails it.
            _ => done(),
        }
    }

    fn outputs(&self, id: &StepId) -> Value {
        self.world.outputs.get(id).cloned().unwrap_or_else(|| json!({}))
    }

    /// Plugins that can tell say what is there; the others cannot.
    fn answer_probes(&mut self) -> Result<bool, Error> {
        let asked = probes(&self.state);
        for (id, number) in &asked {
            let can_tell = self.world.setting.probes.contains(id);
            let trouble = self.world.steps.get(id).and_then(|step| self.trouble(step));
            let there = match trouble {
                Some(Trouble::Unknown { happened } | Trouble::TooLong { happened }) => happened,
                _ => self.happened,
            };
            let answer = match (can_tell, there) {
                (false, _) => ProbeAnswer::CannotTell { reason: "simulated".to_owned() },
                (true, true) => ProbeAnswer::Happened { outputs: self.outputs(id) },
                (true, false) => ProbeAnswer::DidNotHappen,
            };
            if let Some(kind) = decide::probed(&self.state, id, *number, answer, (self.now, 0)) {
                self.push(kind)?;
            }
        }
        Ok(!asked.is_empty() && probes(&self.state) != asked)
    }

    /// People say yes, as many as are asked for; or no, or nothing, where that is the trouble.
    fn answer_questions(&mut self) -> Result<bool, Error> {
        let mut said_something = false;
        for id in std::mem::take(&mut self.asked) {
            let open = self.state.step(&id).and_then(|(step, now)| match (&now.phase, &step.approval) {
                (Phase::Approval { given, .. }, Some(approval)) => Some((given.len(), approval.people.clone())),
                _ => None,
            });
            let Some((given, people)) = open else { continue };
            // It is asked about again until enough have said yes.
            self.asked.push(id.clone());
            let trouble = self.world.steps.get(&id).and_then(|step| self.trouble(step));
            let name = match people.get(given) {
                Some(name) => name.clone(),
                None if people.is_empty() && !self.world.setting.roles => format!("person {}", given + 1),
                None => continue,
            };
            let kind = match trouble {
                Some(Trouble::Unanswered) => continue,
                Some(Trouble::Denied) => EventKind::Denied { step: id, said: said(&name) },
                _ => EventKind::Approved {
                    step: id,
                    fingerprint: self.state.fingerprint.clone(),
                    role: None,
                    said: said(&name),
                },
            };
            self.push(kind)?;
            said_something = true;
        }
        Ok(said_something)
    }
}
