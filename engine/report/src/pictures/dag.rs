//! The plan of a run with what came of each step.

use std::collections::HashMap;
use std::fmt::Write;

use lifeboat_core::graph::PlanGraph;
use lifeboat_core::ids::StepId;
use lifeboat_core::plan::Plan;
use lifeboat_evidence::Facts;
use lifeboat_evidence::facts::StepFacts;
use lifeboat_evidence::words::duration;

use super::layout::{BOX, Places, edge, edges, places};
use super::{cut, escape, icon};
use crate::page::Tone;

/// Steps above which the plan is no picture that anybody reads.
pub const STEPS_MAX: usize = 120;
const MARGIN: f64 = 12.0;

/// How the outcome of a step is meant.
pub fn tone(phase: &str) -> Tone {
    match phase {
        "done" => Tone::Good,
        "failed" | "undo-failed" => Tone::Bad,
        "pending" | "not-needed" => Tone::Soft,
        "skipped" | "undone" | "asking" | "in-doubt" | "approval" => Tone::Warn,
        _ => Tone::Plain,
    }
}

/// The picture; `None` where there are too many steps for one, or none, or they are no graph.
pub fn draw(plan: &Plan, facts: &Facts) -> Option<String> {
    if plan.steps.is_empty() || plan.steps.len() > STEPS_MAX {
        return None;
    }
    let graph = PlanGraph::new(plan).ok()?;
    let index: HashMap<&StepId, usize> = plan.steps.iter().enumerate().map(|(at, step)| (&step.id, at)).collect();
    let moved = |(x, y): (f64, f64)| (x + MARGIN, y + MARGIN);
    let places: Places = places(plan, &graph).into_iter().map(moved).collect();
    let right = places.iter().map(|(x, _)| x + BOX.0 / 2.0).fold(0.0, f64::max) + MARGIN;
    let bottom = places.iter().map(|(_, y)| y + BOX.1 / 2.0).fold(0.0, f64::max) + MARGIN;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {right:.0} {bottom:.0}\" width=\"{right:.0}\" height=\"{bottom:.0}\" role=\"img\" \
         aria-labelledby=\"dag-title dag-desc\">\n<title id=\"dag-title\">The plan, with what came of each step</title>\n\
         <desc id=\"dag-desc\">{}</desc>\n",
        escape(&words(facts))
    );
    for (from, to) in edges(&index, &graph) {
        if let (Some(from), Some(to)) = (places.get(from), places.get(to)) {
            edge(&mut svg, *from, *to, false);
        }
    }
    for (step, place) in facts.steps.iter().zip(&places) {
        draw_step(&mut svg, step, *place);
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// The picture in words: how many steps came to which end.
pub fn words(facts: &Facts) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for step in &facts.steps {
        match counts.iter_mut().find(|(phase, _)| *phase == step.phase) {
            Some((_, count)) => *count += 1,
            None => counts.push((&step.phase, 1)),
        }
    }
    let parts: Vec<String> = counts.iter().map(|(phase, count)| format!("{count} {phase}")).collect();
    format!("{} steps: {}", facts.steps.len(), parts.join(", "))
}

fn draw_step(svg: &mut String, step: &StepFacts, (x, y): (f64, f64)) {
    let (left, top) = (x - BOX.0 / 2.0, y - BOX.1 / 2.0);
    let (w, h) = BOX;
    let tone = tone(&step.phase);
    let (class, kind, phase) = (tone.as_str(), step.kind.as_str(), escape(&step.phase));
    let took = step.from.zip(step.to).map(|(from, to)| duration(to.saturating_sub(from)));
    let took = took.map_or_else(String::new, |took| format!(" · {took}"));
    let why = step.why.as_deref().map_or_else(String::new, |why| format!(": {why}"));
    let whole = escape(&format!("{}: {}{why}", step.step, step.phase));
    let name = cut(step.step.as_str(), 19);
    let mark = if tone.mark().is_empty() { "·" } else { tone.mark() };
    let _ = writeln!(
        svg,
        "<g class=\"step {class}\" transform=\"translate({left:.1} {top:.1})\"><title>{whole}</title>\
         <rect class=\"box\" width=\"{w}\" height=\"{h}\" rx=\"8\"/>\
         <path class=\"icon\" transform=\"translate(13 13)\" d=\"{}\"/>\
         <text class=\"name\" x=\"42\" y=\"25\">{name}</text><text class=\"label\" x=\"42\" y=\"43\">{kind}{took}</text>\
         <text class=\"outcome\" x=\"42\" y=\"60\">{mark} {phase}</text></g>",
        icon(step.kind)
    );
}
