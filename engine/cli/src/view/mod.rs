//! Plans as people and programs see them. Each form is one file with one `render`; none of them knows how it was asked for.
//!
//! - [`plan_text`]: for the terminal and for a review.
//! - [`plan_json`]: for scripts; its form is stable.
//! - [`plan_mermaid`] and [`plan_dot`]: for other tools.
//! - [`plan_svg`]: a picture that needs nothing else.
//!
//! What they all say of a plan (what a step is expected to take, the forecast) is worked out here, once.

use std::collections::{HashMap, HashSet};

use lifeboat_core::graph::PlanGraph;
use lifeboat_core::ids::StepId;
use lifeboat_core::plan::Plan;
use serde::Serialize;

pub use outlook::Outlook;

pub mod amount;
pub mod duration;
pub mod outlook;
pub mod plan_dot;
pub mod plan_json;
pub mod plan_mermaid;
pub mod plan_svg;
pub mod plan_text;

/// How long a run of the plan is expected to take, as far as its steps say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The time along the critical path, in milliseconds. A step without an estimate counts as nothing.
    pub expected_ms: u64,
    /// The recovery time objective, in milliseconds.
    pub rto_ms: Option<u64>,
    /// Whether `expected_ms` is within the objective. `None` without an objective.
    pub within_rto: Option<bool>,
    /// How many steps there are.
    pub steps: usize,
    /// How many of them have no estimate, so that `expected_ms` is a lower bound if this is not 0.
    pub without_estimate: usize,
    /// What a simulation over earlier runs and estimates says.
    pub simulated: Option<lifeboat_forecast::Forecast>,
}

/// The forecast for a plan; `None` where not one step has an estimate.
pub fn forecast(plan: &Plan, graph: &PlanGraph, outlook: &Outlook) -> Option<Forecast> {
    let without_estimate = plan.steps.iter().filter(|step| outlook.estimate(step).is_none()).count();
    if without_estimate == plan.steps.len() {
        return None;
    }
    let (_, expected_ms) = graph.critical_path(plan, |step| outlook.estimate(step).unwrap_or(0));
    let rto_ms = plan.objectives.rto_ms;
    let within_rto = rto_ms.map(|rto| expected_ms <= rto);
    let simulated = outlook.simulated.clone();
    Some(Forecast { expected_ms, rto_ms, within_rto, steps: plan.steps.len(), without_estimate, simulated })
}

impl Forecast {
    /// The forecast as a sentence: what the simulation says, where there is one.
    pub fn sentence(&self) -> String {
        self.simulated.as_ref().map_or_else(|| self.brief(), outlook::sentence)
    }

    /// The time along the critical path in a few words: `4m 10s of 15m RTO; 2 of 7 steps have no estimate`.
    pub fn brief(&self) -> String {
        let mut text = duration::duration(self.expected_ms);
        if let Some(rto) = self.rto_ms {
            let rto_text = duration::duration(rto);
            let verdict = if self.expected_ms > rto { ", which is too long" } else { "" };
            text.push_str(&format!(" of {rto_text} RTO{verdict}"));
        }
        if self.without_estimate > 0 {
            let have = if self.without_estimate == 1 { "has" } else { "have" };
            text.push_str(&format!("; {} of {} steps {have} no estimate", self.without_estimate, self.steps));
        }
        text
    }
}

/// How many: `1 run`, `2 runs`.
pub fn plural(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// A name for a step that every graph language takes: `s` and its place in the source.
fn node_names(plan: &Plan) -> HashMap<&str, String> {
    plan.steps.iter().enumerate().map(|(place, step)| (step.id.as_str(), format!("s{place}"))).collect()
}

/// The critical path as the pictures need it.
struct Critical {
    steps: HashSet<StepId>,
    edges: HashSet<(StepId, StepId)>,
}

impl Critical {
    fn of(plan: &Plan, graph: &PlanGraph, outlook: &Outlook) -> Self {
        let (path, _) = graph.critical_path(plan, |step| outlook.estimate(step).unwrap_or(0));
        let edges = path.iter().cloned().zip(path.iter().skip(1).cloned()).collect();
        Self { steps: path.into_iter().collect(), edges }
    }
}

#[cfg(test)]
pub(crate) mod tests;
