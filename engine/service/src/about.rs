//! What is told of a run beside its events: the runbook, and for each step its kind and plugin. Runs of one plan share it.

use std::collections::HashMap;
use std::sync::Arc;

use lifeboat_core::ids::{Digest, StepId};
use lifeboat_core::plan::{Mode, Plan, StepKind};

/// Plans that are kept for runs to come. Beyond it, those that no run uses are let go.
const PLANS_KEPT: usize = 256;

/// What is told of the runs of a plan.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) runbook: String,
    pub(crate) mode: Mode,
    pub(crate) fingerprint: Digest,
    steps: HashMap<StepId, (StepKind, Option<String>)>,
}

impl About {
    pub(crate) fn new(plan: &Plan, fingerprint: &Digest) -> Self {
        let step = |step: &lifeboat_core::plan::Step| (step.id.clone(), (step.kind, step.plugin.clone()));
        Self {
            runbook: plan.runbook.clone(),
            mode: plan.mode,
            fingerprint: fingerprint.clone(),
            steps: plan.steps.iter().map(step).collect(),
        }
    }

    /// The kind of a step, and its plugin; that of a step of the engine is empty.
    pub(crate) fn step(&self, step: &StepId) -> (&'static str, &str) {
        self.steps.get(step).map_or(("", ""), |(kind, plugin)| (kind.as_str(), plugin.as_deref().unwrap_or_default()))
    }
}

/// What is told of plans, each once.
#[derive(Debug, Default)]
pub(crate) struct Abouts(HashMap<Digest, Arc<About>>);

impl Abouts {
    /// What is told of that plan.
    pub(crate) fn of(&mut self, plan: &Plan, fingerprint: &Digest) -> Arc<About> {
        if let Some(known) = self.0.get(fingerprint) {
            return Arc::clone(known);
        }
        if self.0.len() >= PLANS_KEPT {
            self.0.retain(|_, about| Arc::strong_count(about) > 1);
        }
        let about = Arc::new(About::new(plan, fingerprint));
        self.0.insert(fingerprint.clone(), Arc::clone(&about));
        about
    }
}
