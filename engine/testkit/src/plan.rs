//! Plans in a few words.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::ids::{Digest, StepId};
use lifeboat_core::ledger::Makes;
use lifeboat_core::plan::{
    Approval, Condition, Effect, Fan, InDoubt, Mode, Objectives, OnFailure, PLAN_FORMAT, Plan, Policy, Retry, Step,
    StepKind, Target, TargetUse, Test, UndoPolicy,
};
use serde_json::{Value, json};

/// Builds a plan step by step; what follows a step changes that step.
#[derive(Clone, Debug)]
pub struct PlanBuilder {
    plan: Plan,
}

impl Default for PlanBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl PlanBuilder {
    /// A plan without steps, in mode drill, that runs eight steps at once.
    pub fn new() -> Self {
        let plan = Plan {
            format: PLAN_FORMAT,
            runbook: "simulated".to_owned(),
            description: String::new(),
            owner: None,
            mode: Mode::Drill,
            objectives: Objectives::default(),
            inputs: BTreeMap::new(),
            targets: BTreeMap::new(),
            plugins: BTreeMap::new(),
            steps: Vec::new(),
            on_failure: OnFailure::default(),
            max_parallel: 8,
            source: Digest::of(b"simulated"),
        };
        Self { plan }
    }

    /// A chain of `count` steps, `s0` first.
    pub fn chain(count: usize) -> Self {
        (0..count).fold(Self::new(), |plan, place| {
            let plan = plan.step(&format!("s{place}"));
            if place == 0 { plan } else { plan.after([format!("s{}", place - 1).as_str()]) }
        })
    }

    /// `count` steps that depend on nothing, `s0` first.
    pub fn wide(count: usize) -> Self {
        (0..count).fold(Self::new(), |plan, place| plan.step(&format!("s{place}")))
    }

    fn push(mut self, id: &str, kind: StepKind, effect: Effect) -> Self {
        let retry = Retry { count: 0, backoff_ms: 1_000, max_ms: 60_000, jitter: false };
        let line = u32::try_from(self.plan.steps.len() + 1).unwrap();
        self.plan.steps.push(Step {
            id: StepId::from(id),
            kind,
            effect,
            plugin: kind.by_plugin().then(|| "simulated".to_owned()),
            targets: Vec::new(),
            args: json!({}),
            after: BTreeSet::new(),
            policy: Policy { timeout_ms: 3_600_000, heartbeat_ms: None, retry, in_doubt: InDoubt::Probe },
            compensate: false,
            undo: None,
            when: Vec::new(),
            fan: None,
            estimate_ms: None,
            capabilities: Vec::new(),
            approval: None,
            wait_ms: None,
            makes: Vec::new(),
            corruptions: Vec::new(),
            waivers: Vec::new(),
            scan: false,
            line,
        });
        self
    }

    fn last(&mut self) -> &mut Step {
        self.plan.steps.last_mut().expect("a step comes first")
    }

    /// A step that a plugin carries out: reversible, no retries, a time-out of an hour.
    #[must_use]
    pub fn step(self, id: &str) -> Self {
        self.push(id, StepKind::Restore, Effect::Reversible)
    }

    /// A step that asks so many people.
    #[must_use]
    pub fn approve(self, id: &str, quorum: u32, expires_ms: Option<u64>) -> Self {
        let mut plan = self.push(id, StepKind::Approve, Effect::Read);
        plan.last().approval =
            Some(Approval { role: "incident-commander".to_owned(), people: Vec::new(), quorum, expires_ms });
        plan
    }

    /// A step that lets time pass.
    #[must_use]
    pub fn wait(self, id: &str, ms: u64) -> Self {
        let mut plan = self.push(id, StepKind::Wait, Effect::Read);
        plan.last().wait_ms = Some(ms);
        plan
    }

    /// The last step comes after these.
    #[must_use]
    pub fn after<'a>(mut self, ids: impl IntoIterator<Item = &'a str>) -> Self {
        self.last().after.extend(ids.into_iter().map(StepId::from));
        self
    }

    /// What the last step does to the world. What can be compensated is.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        let step = self.last();
        (step.effect, step.compensate) = (effect, effect == Effect::Compensatable);
        self
    }

    /// The last step is tried again so often, first after `backoff_ms`, then doubled, without jitter.
    #[must_use]
    pub fn retry(mut self, count: u32, backoff_ms: u64) -> Self {
        self.last().policy.retry = Retry { count, backoff_ms, max_ms: 60_000, jitter: false };
        self
    }

    /// The time-out of the last step.
    #[must_use]
    pub fn timeout(mut self, ms: u64) -> Self {
        self.last().policy.timeout_ms = ms;
        self
    }

    /// The heartbeat of the last step.
    #[must_use]
    pub fn heartbeat(mut self, ms: u64) -> Self {
        self.last().policy.heartbeat_ms = Some(ms);
        self
    }

    /// The in-doubt policy of the last step.
    #[must_use]
    pub fn in_doubt(mut self, policy: InDoubt) -> Self {
        self.last().policy.in_doubt = policy;
        self
    }

    /// The arguments of the last step.
    #[must_use]
    pub fn args(mut self, args: Value) -> Self {
        self.last().args = args;
        self
    }

    /// The last step makes something that the run removes at its end.
    #[must_use]
    pub fn makes(mut self, what: &str) -> Self {
        let (target, what) = ("scratch".to_owned(), what.to_owned());
        self.last().makes.push(Makes { target, what, own: false, removable: true, keep_ms: 3_600_000 });
        self
    }

    /// The run is unwound when a step fails for good.
    #[must_use]
    pub fn compensate_on_failure(mut self) -> Self {
        self.plan.on_failure.compensate = true;
        self
    }

    /// The last step acts on a target that has this lock.
    #[must_use]
    pub fn lock(mut self, lock: &str) -> Self {
        let target = Target {
            name: lock.to_owned(),
            plugin: "simulated".to_owned(),
            site: None,
            settings: json!({}),
            secrets: BTreeMap::new(),
            lock: Some(lock.to_owned()),
        };
        self.plan.targets.insert(lock.to_owned(), target);
        self.last().targets.push(TargetUse { role: "target".to_owned(), target: lock.to_owned() });
        self
    }

    /// The last step is only needed when this holds.
    #[must_use]
    pub fn when(mut self, value: &str, test: Test) -> Self {
        self.last().when.push(Condition { value: value.to_owned(), test });
        self
    }

    /// The last step is one of a fan-out, of which so many may be under way at once.
    #[must_use]
    pub fn fan(mut self, of: &str, limit: u32) -> Self {
        let item = json!(self.last().id);
        self.last().fan = Some(Fan { of: of.to_owned(), item, limit });
        self
    }

    /// The last step is undone with a policy of its own.
    #[must_use]
    pub fn undo(mut self, timeout_ms: u64, count: u32, backoff_ms: u64) -> Self {
        let retry = Retry { count, backoff_ms, max_ms: 60_000, jitter: false };
        self.last().undo = Some(UndoPolicy { timeout_ms, retry });
        self
    }

    /// An input of the run.
    #[must_use]
    pub fn input(mut self, name: &str, value: Value) -> Self {
        self.plan.inputs.insert(name.to_owned(), value);
        self
    }

    /// How many steps of the run may be under way at once.
    #[must_use]
    pub fn max_parallel(mut self, count: u32) -> Self {
        self.plan.max_parallel = count;
        self
    }

    /// The plan.
    pub fn build(self) -> Plan {
        self.plan
    }
}
