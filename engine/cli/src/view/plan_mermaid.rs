//! The plan as a Mermaid flow chart, for pull requests and wikis that draw it.

use std::fmt::Write;

use lifeboat_core::graph::PlanGraph;
use lifeboat_core::plan::{Effect, Plan, StepKind};

/// A flow chart, top down. Irreversible steps are hexagons, questions to people are rounded; steps on the critical path
/// have thick borders, and the effect is written in each box.
pub fn render(plan: &Plan, graph: &PlanGraph, outlook: &super::Outlook) -> String {
    let names = super::node_names(plan);
    let critical = super::Critical::of(plan, graph, outlook);
    // The front matter is YAML, and a JSON string is one of its forms.
    let title = serde_json::Value::String(format!("{} ({})", plan.runbook, plan.mode.as_str()));
    let mut out = format!("---\ntitle: {title}\n---\nflowchart TD\n");
    for (place, step) in plan.steps.iter().enumerate() {
        let (open, close) = match (step.effect, step.kind) {
            (Effect::Irreversible, _) => ("{{", "}}"),
            (_, StepKind::Approve) => ("([", "])"),
            _ => ("[", "]"),
        };
        let label = format!("{}<br/>{}, {}", escape(step.id.as_str()), step.kind.as_str(), step.effect.as_str());
        let class = if critical.steps.contains(&step.id) { ":::critical" } else { "" };
        let _ = writeln!(out, "    s{place}{open}\"{label}\"{close}{class}");
    }
    for edge in graph.edges() {
        let (before, after) = &edge;
        if let (Some(from), Some(to)) = (names.get(before.as_str()), names.get(after.as_str())) {
            let on_path = critical.edges.contains(&edge);
            let _ = writeln!(out, "    {from} {} {to}", if on_path { "==>" } else { "-->" });
        }
    }
    out.push_str("    classDef critical stroke-width:3px\n");
    out
}

/// Mermaid has entities of its own; these four cover what ends a quoted label or starts markup in it.
fn escape(text: &str) -> String {
    text.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;").replace('\n', " ")
}
