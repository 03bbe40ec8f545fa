//! The longest that a plan can take until it ends or asks somebody.
//!
//! A step takes at most its time-out for each attempt, and all its pauses; an approval until it expires; a `wait` what it
//! waits. What people take who are asked about a failure is not in it, nor are probes. With as many places as steps the
//! longest way is the worst case. With fewer, at any moment either a step of some longest way is under way, or all places
//! are taken: so it is at most `longest way + sum of all / places`, whatever the order in which steps are begun (after R.
//! Graham, *Bounds on multiprocessing timing anomalies*, SIAM J. Appl. Math. 17(2), 1969), and as much again for each fan-out
//! with a limit of its own. It is never more than all steps one after the other.

use std::collections::BTreeMap;

use lifeboat_core::graph::PlanGraph;
use lifeboat_core::plan::{Plan, Step, StepKind};
use lifeboat_core::policy::backoff_ms;
use lifeboat_core::ports::Direction;
use lifeboat_core::{StepId, limits};
use serde::Serialize;

/// The worst case of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Worst {
    /// The longest that all steps with an end can take, in milliseconds.
    pub ms: u64,
    /// Questions that stand for ever: with them there is no worst case.
    pub without_end: Vec<StepId>,
}

/// The longest that one step can take; `None`: for ever.
pub fn of_step(step: &Step) -> Option<u64> {
    match step.kind {
        StepKind::Approve => step.approval.as_ref().and_then(|approval| approval.expires_ms),
        StepKind::Wait => Some(step.wait_ms.unwrap_or(0)),
        _ => {
            let retry = lifeboat_core::plan::Retry { jitter: false, ..step.retry(Direction::Forward).clone() };
            let count = retry.count.min(limits::ATTEMPTS_PER_STEP_MAX);
            let pauses = (1..=count).fold(0_u64, |sum, failures| sum.saturating_add(backoff_ms(&retry, failures, 0)));
            let attempts = step.timeout_ms(Direction::Forward).saturating_mul(u64::from(count) + 1);
            Some(attempts.saturating_add(pauses))
        }
    }
}

/// The worst case of a plan.
pub fn of_plan(plan: &Plan, graph: &PlanGraph) -> Worst {
    let (_, longest) = graph.critical_path(plan, |step| of_step(step).unwrap_or(0));
    let mut crowds: BTreeMap<&str, Crowd> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| step.kind.by_plugin()) {
        let ms = of_step(step).unwrap_or(0);
        crowds.entry("").or_insert_with(|| Crowd::of(plan.max_parallel)).add(ms);
        if let Some(fan) = &step.fan {
            crowds.entry(&fan.of).or_insert_with(|| Crowd::of(fan.limit)).add(ms);
        }
    }
    let waits = crowds.values().fold(longest, |sum, crowd| sum.saturating_add(crowd.waits()));
    let one_by_one = plan.steps.iter().filter_map(of_step).fold(0_u64, u64::saturating_add);
    let without_end = plan.steps.iter().filter(|step| of_step(step).is_none()).map(|step| step.id.clone()).collect();
    Worst { ms: waits.min(one_by_one), without_end }
}

/// Steps that share places.
struct Crowd {
    places: u64,
    steps: u64,
    ms: u64,
}

impl Crowd {
    fn of(places: u32) -> Self {
        Self { places: u64::from(places.max(1)), steps: 0, ms: 0 }
    }

    fn add(&mut self, ms: u64) {
        self.steps += 1;
        self.ms = self.ms.saturating_add(ms);
    }

    /// How long its members may wait for a place.
    fn waits(&self) -> u64 {
        if self.steps <= self.places { 0 } else { self.ms.div_ceil(self.places) }
    }
}
