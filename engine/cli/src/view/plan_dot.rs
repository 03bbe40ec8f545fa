//! The plan in the DOT language, for Graphviz and all that reads it.

use std::fmt::Write;

use lifeboat_core::graph::PlanGraph;
use lifeboat_core::plan::{Effect, Plan};

/// A directed graph: one rank a wave, border style by effect, thick lines along the critical path.
pub fn render(plan: &Plan, graph: &PlanGraph, outlook: &super::Outlook) -> String {
    let names = super::node_names(plan);
    let critical = super::Critical::of(plan, graph, outlook);
    let title = escape(&format!("{} ({})", plan.runbook, plan.mode.as_str()));
    let mut out = format!("digraph plan {{\n    label=\"{title}\"; labelloc=t; rankdir=TB; fontname=\"sans-serif\";\n");
    out.push_str("    node [shape=box, fontname=\"sans-serif\"]; edge [arrowsize=0.7];\n");
    for (place, step) in plan.steps.iter().enumerate() {
        let style = match step.effect {
            Effect::Read => "dotted",
            Effect::Reversible => "dashed",
            Effect::Compensatable | Effect::Irreversible => "solid",
        };
        let (name, kind, effect) = (escape(step.id.as_str()), step.kind.as_str(), step.effect.as_str());
        let borders = if step.effect == Effect::Irreversible { ", peripheries=2" } else { "" };
        let width = if critical.steps.contains(&step.id) { ", penwidth=2.5" } else { "" };
        let _ = writeln!(out, "    s{place} [label=\"{name}\\n{kind}, {effect}\", style={style}{borders}{width}];");
    }
    for wave in graph.waves() {
        let members: Vec<&str> = wave.iter().filter_map(|id| names.get(id.as_str())).map(String::as_str).collect();
        let _ = writeln!(out, "    {{ rank=same; {}; }}", members.join("; "));
    }
    for edge in graph.edges() {
        let (before, after) = &edge;
        if let (Some(from), Some(to)) = (names.get(before.as_str()), names.get(after.as_str())) {
            let on_path = critical.edges.contains(&edge);
            let _ = writeln!(out, "    {from} -> {to}{};", if on_path { " [penwidth=2.5]" } else { "" });
        }
    }
    out.push_str("}\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
