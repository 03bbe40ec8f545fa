//! The plan as JSON, for scripts. Fields are added, never renamed or removed.

use lifeboat_core::graph::PlanGraph;
use lifeboat_core::ids::{Digest, StepId};
use lifeboat_core::plan::Plan;
use serde::Serialize;

use super::Forecast;

#[derive(Serialize)]
struct View<'a> {
    fingerprint: Digest,
    plan: &'a Plan,
    waves: Vec<Vec<StepId>>,
    critical_path: CriticalPath,
    point_of_no_return: Option<StepId>,
    forecast: Option<Forecast>,
    /// What the operator's file or a target lacks, a line each.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    needed: &'a [String],
}

#[derive(Serialize)]
struct CriticalPath {
    steps: Vec<StepId>,
    expected_ms: u64,
}

/// The plan, its fingerprint and what follows from its shape: one JSON object, indented, with a line end.
pub fn render(plan: &Plan, graph: &PlanGraph, outlook: &super::Outlook, needed: &[String]) -> String {
    let (steps, expected_ms) = graph.critical_path(plan, |step| outlook.estimate(step).unwrap_or(0));
    let view = View {
        fingerprint: plan.fingerprint(),
        plan,
        waves: graph.waves(),
        critical_path: CriticalPath { steps, expected_ms },
        point_of_no_return: graph.point_of_no_return(plan),
        forecast: super::forecast(plan, graph, outlook),
        needed,
    };
    // Plans hold JSON values, strings and numbers only: that always serialises.
    serde_json::to_string_pretty(&view).unwrap_or_default() + "\n"
}
