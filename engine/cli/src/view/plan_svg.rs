//! The plan as a picture: one SVG file that needs nothing else, reads in light and dark, and says in words what it says
//! in colour or line.
//!
//! Steps are placed by a layered layout (Sugiyama's method). The layout's cost grows faster than the plan, so that big
//! plans are placed wave by wave instead.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use lifeboat_core::graph::PlanGraph;
use lifeboat_core::ids::StepId;
use lifeboat_core::plan::{Effect, Plan, Step, StepKind};
use rust_sugiyama::configure::{Config, RankingType};

use super::duration::duration;

const BOX: (f64, f64) = (216.0, 70.0);
const GAP: (f64, f64) = (36.0, 54.0);
const MARGIN: f64 = 24.0;
const HEAD: f64 = 74.0;
const FOOT: f64 = 58.0;
/// The narrowest picture: the title and the legend have to fit.
const NARROWEST: f64 = 640.0;
/// Steps above which the layout is by waves alone. Beyond it nobody reads a picture, and the method takes seconds.
const LAYOUT_STEPS_MAX: usize = 400;

/// Plain colours with a second set for dark, and no custom properties: not every program that draws SVG knows those.
const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1b1f24;font-size:13px}\
.ground{fill:#ffffff}.soft{fill:#57606a;font-size:12px}.title{font-size:18px;font-weight:600}\
.name{font-weight:600;font-size:14px}.box{fill:#f6f8fa;stroke-width:1.4}.icon{fill:none;stroke:#57606a;\
stroke-width:1.5;stroke-linecap:round;stroke-linejoin:round}.edge{fill:none;stroke:#57606a;stroke-width:1.3}\
.tip{fill:#57606a}.read{stroke:#57606a;stroke-dasharray:2 4}.reversible{stroke:#1a7f37;stroke-dasharray:9 4}\
.compensatable{stroke:#9a6700}.irreversible{stroke:#b3261e}.critical .box,.edge.critical{stroke-width:3.2}\
.inner{fill:none;stroke-width:1.2}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.ground{fill:#0d1117}.soft{fill:#9da7b1}.box{fill:#161b22}\
.icon,.edge,.read{stroke:#9da7b1}.tip{fill:#9da7b1}.reversible{stroke:#56d364}.compensatable{stroke:#e3b341}\
.irreversible{stroke:#ff7b72}}";

/// Where the middle of each step's box is, by its place in the source.
type Places = Vec<(f64, f64)>;

/// The picture as an SVG document.
pub fn render(plan: &Plan, graph: &PlanGraph, outlook: &super::Outlook) -> String {
    let index: HashMap<&StepId, usize> = plan.steps.iter().enumerate().map(|(at, step)| (&step.id, at)).collect();
    let edges: Vec<(usize, usize)> =
        graph.edges().iter().filter_map(|(before, after)| Some((*index.get(before)?, *index.get(after)?))).collect();
    let places = layered(plan.steps.len(), &edges).unwrap_or_else(|| by_waves(plan, graph, &index));
    let right = places.iter().map(|(x, _)| x + BOX.0 / 2.0).fold(0.0, f64::max);
    let bottom = places.iter().map(|(_, y)| y + BOX.1 / 2.0).fold(0.0, f64::max);
    let (width, height) = ((right + 2.0 * MARGIN).max(NARROWEST), bottom + HEAD + FOOT + MARGIN);
    let shift = (width - right) / 2.0;
    let places: Places = places.into_iter().map(|(x, y)| (x + shift, y + HEAD + MARGIN / 2.0)).collect();

    let (path, total) = graph.critical_path(plan, |step| outlook.estimate(step).unwrap_or(0));
    let path: Vec<usize> = path.iter().filter_map(|id| index.get(id).copied()).collect();
    let (on_path, path_edges): (HashSet<usize>, HashSet<(usize, usize)>) =
        (path.iter().copied().collect(), path.iter().copied().zip(path.iter().copied().skip(1)).collect());
    let mut out = head(plan, graph, outlook, (width, height), total);
    for (from, to) in &edges {
        let critical = path_edges.contains(&(*from, *to));
        if let (Some(from), Some(to)) = (places.get(*from), places.get(*to)) {
            edge(&mut out, *from, *to, critical);
        }
    }
    let no_return = graph.point_of_no_return(plan);
    for (at, (step, place)) in plan.steps.iter().zip(&places).enumerate() {
        let step_time = (step, outlook.estimate(step));
        draw_step(&mut out, step_time, *place, on_path.contains(&at), no_return.as_ref() == Some(&step.id));
    }
    legend(&mut out, height);
    out.push_str("</svg>\n");
    out
}

/// The layered layout, every part of the plan that hangs together beside the one before. `None` where the plan is too
/// big for it, or where a step got no place.
fn layered(steps: usize, edges: &[(usize, usize)]) -> Option<Places> {
    if steps > LAYOUT_STEPS_MAX {
        return None;
    }
    let number = |at: usize| u32::try_from(at).ok();
    let vertices: Vec<(u32, (f64, f64))> = (0..steps).map(|at| Some((number(at)?, BOX))).collect::<Option<_>>()?;
    let edges: Vec<(u32, u32)> =
        edges.iter().map(|(from, to)| Some((number(*from)?, number(*to)?))).collect::<Option<_>>()?;
    let config =
        Config { vertex_spacing: GAP.0, ranking_type: RankingType::Up, transpose: steps <= 100, ..Config::default() };
    let mut places: Vec<Option<(f64, f64)>> = vec![None; steps];
    let mut left = 0.0;
    let mut parts = rust_sugiyama::from_vertices_and_edges(&vertices, &edges, &config);
    parts.sort_by_key(|(part, _, _)| part.iter().map(|(at, _)| *at).min());
    for (part, _, _) in &parts {
        let (min_x, max_x) = bounds(part.iter().map(|(_, (x, _))| *x))?;
        let mut rows: Vec<f64> = part.iter().map(|(_, (_, y))| *y).collect();
        rows.sort_by(f64::total_cmp);
        rows.dedup_by(|a, b| (*a - *b).abs() < 1.0);
        for (at, (x, y)) in part {
            let row = rows.iter().take_while(|row| **row < y - 0.5).count();
            let middle = BOX.1 / 2.0 + row_offset(row);
            *places.get_mut(*at)? = Some((x - min_x + left + BOX.0 / 2.0, middle));
        }
        left += max_x - min_x + BOX.0 + GAP.0;
    }
    places.into_iter().collect()
}

fn row_offset(row: usize) -> f64 {
    u32::try_from(row).map_or(f64::MAX, f64::from) * (BOX.1 + GAP.1)
}

fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |found: Option<(f64, f64)>, value| {
        Some(found.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
    })
}

/// One row a wave, in source order.
fn by_waves(plan: &Plan, graph: &PlanGraph, index: &HashMap<&StepId, usize>) -> Places {
    let mut places = vec![(0.0, 0.0); plan.steps.len()];
    for (row, wave) in graph.waves().iter().enumerate() {
        for (column, id) in wave.iter().enumerate() {
            let x = u32::try_from(column).map_or(f64::MAX, f64::from) * (BOX.0 + GAP.0) + BOX.0 / 2.0;
            if let Some(place) = index.get(id).and_then(|at| places.get_mut(*at)) {
                *place = (x, BOX.1 / 2.0 + row_offset(row));
            }
        }
    }
    places
}

fn head(plan: &Plan, graph: &PlanGraph, outlook: &super::Outlook, (width, height): (f64, f64), total: u64) -> String {
    let name = escape(&format!("{} ({})", plan.runbook, plan.mode.as_str()));
    let forecast = super::forecast(plan, graph, outlook).map_or_else(|| "no estimates".to_owned(), |f| f.brief());
    let (steps, waves) = (plan.steps.len(), graph.waves().len());
    let chain = graph.critical_path(plan, |step| outlook.estimate(step).unwrap_or(0)).0;
    let chain = escape(&chain.iter().map(StepId::as_str).collect::<Vec<_>>().join(", "));
    let edge = graph.point_of_no_return(plan).map_or_else(|| "none".to_owned(), |id| escape(id.as_str()));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-labelledby=\"plan-title plan-desc\">\n"
    );
    let _ = writeln!(out, "<title id=\"plan-title\">Plan of {name}</title>");
    let _ = writeln!(
        out,
        "<desc id=\"plan-desc\">{steps} steps in {waves} waves. Critical path, {}: {chain}. Point of no return: {edge}. \
         Forecast: {}.</desc>",
        duration(total),
        escape(&forecast)
    );
    let _ = writeln!(out, "<style>{STYLE}</style>");
    let _ = writeln!(out, "<rect class=\"ground\" width=\"100%\" height=\"100%\"/>");
    let _ = writeln!(out, "<text class=\"title\" x=\"{MARGIN}\" y=\"34\">{name}</text>");
    let fingerprint = plan.fingerprint();
    let short = fingerprint.short();
    let _ = writeln!(
        out,
        "<text class=\"soft\" x=\"{MARGIN}\" y=\"56\">forecast {} · fingerprint {short}</text>",
        escape(&forecast)
    );
    out
}

fn edge(out: &mut String, from: (f64, f64), to: (f64, f64), critical: bool) {
    let class = if critical { "edge critical" } else { "edge" };
    let (x1, y1) = (from.0, from.1 + BOX.1 / 2.0);
    let (x2, y2) = (to.0, to.1 - BOX.1 / 2.0);
    let bend = GAP.1 * 0.55;
    let _ = writeln!(
        out,
        "<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}C{x1:.1} {:.1} {x2:.1} {:.1} {x2:.1} {:.1}\"/>\
         <path class=\"tip\" d=\"M{:.1} {:.1}h10l-5 8z\"/>",
        y1 + bend,
        y2 - bend - 8.0,
        y2 - 7.0,
        x2 - 5.0,
        y2 - 9.0
    );
}

fn draw_step(
    out: &mut String,
    (step, time): (&Step, Option<u64>),
    (x, y): (f64, f64),
    critical: bool,
    no_return: bool,
) {
    let (left, top) = (x - BOX.0 / 2.0, y - BOX.1 / 2.0);
    let (name, kind, effect) = (escape(step.id.as_str()), step.kind.as_str(), step.effect.as_str());
    let time = time.map_or_else(|| "no estimate".to_owned(), duration);
    let class = if critical { " class=\"critical\"" } else { "" };
    let path = if critical { ", on the critical path" } else { "" };
    let _ = writeln!(out, "<g{class} transform=\"translate({left:.1} {top:.1})\">");
    let _ = writeln!(out, "<title>{name}: {kind}, {effect}, {time}{path}</title>");
    let (w, h) = BOX;
    let _ = writeln!(out, "<rect class=\"box {effect}\" width=\"{w}\" height=\"{h}\" rx=\"8\"/>");
    if step.effect == Effect::Irreversible {
        let (w, h) = (w - 8.0, h - 8.0);
        let _ = writeln!(out, "<rect class=\"inner {effect}\" x=\"4\" y=\"4\" width=\"{w}\" height=\"{h}\" rx=\"5\"/>");
    }
    let _ = writeln!(out, "<path class=\"icon\" transform=\"translate(13 13)\" d=\"{}\"/>", icon(step.kind));
    let _ = writeln!(out, "<text class=\"name\" x=\"42\" y=\"25\">{}</text>", cut(step.id.as_str(), 19));
    let _ = writeln!(out, "<text class=\"soft\" x=\"42\" y=\"43\">{kind} · {time}</text>");
    let last = if no_return { " · no return" } else { "" };
    let _ = writeln!(out, "<text class=\"soft\" x=\"42\" y=\"59\">{effect}{last}</text>\n</g>");
}

/// A drawing of 20 by 20 for each kind: camera, tick in a circle, two arrows, arrow into a tray, magnifying glass,
/// fork, person, clock, letter.
const fn icon(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Snapshot => "M1 6h4l2-3h6l2 3h4v12H1zM10 8a4 4 0 1 1 0 8a4 4 0 1 1 0-8",
        StepKind::Verify => "M10 1a9 9 0 1 1 0 18a9 9 0 1 1 0-18M6 10l3 3l5-6",
        StepKind::Transfer => "M1 6h16l-4-4M19 14H3l4 4",
        StepKind::Restore => "M10 1v11M5 8l5 5l5-5M1 13v6h18v-6",
        StepKind::Validate => "M8 1a7 7 0 1 1 0 14a7 7 0 1 1 0-14M13 13l6 6",
        StepKind::Switch => "M1 10h6l6-7h6M7 10l6 7h6M16 0l3 3l-3 3M16 14l3 3l-3 3",
        StepKind::Approve => "M10 1a4 4 0 1 1 0 8a4 4 0 1 1 0-8M2 19c0-9 16-9 16 0",
        StepKind::Wait => "M10 1a9 9 0 1 1 0 18a9 9 0 1 1 0-18M10 5v5l4 3",
        StepKind::Notify => "M1 4h18v12H1zM1 4l9 7l9-7",
    }
}

fn legend(out: &mut String, height: f64) {
    let y = height - 30.0;
    let effects = [Effect::Read, Effect::Reversible, Effect::Compensatable, Effect::Irreversible];
    for (effect, x) in effects.into_iter().zip([24.0, 106.0, 224.0, 366.0]) {
        let name = effect.as_str();
        let _ = writeln!(
            out,
            "<rect class=\"box {name}\" x=\"{x}\" y=\"{:.1}\" width=\"26\" height=\"14\" rx=\"3\"/>\
             <text class=\"soft\" x=\"{}\" y=\"{y:.1}\">{name}</text>",
            y - 11.0,
            x + 33.0
        );
        if effect == Effect::Irreversible {
            let (x, y) = (x + 3.0, y - 8.0);
            let _ = writeln!(
                out,
                "<rect class=\"inner {name}\" x=\"{x}\" y=\"{y:.1}\" width=\"20\" height=\"8\" rx=\"1\"/>"
            );
        }
    }
    let _ = writeln!(
        out,
        "<path class=\"edge critical\" d=\"M490 {:.1}h26\"/><text class=\"soft\" x=\"523\" y=\"{y:.1}\">critical path</text>",
        y - 4.0
    );
}

/// The text cut to `most` characters, so that it stays in its box; the whole is in the box's title.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return escape(text);
    }
    escape(&text.chars().take(most.saturating_sub(1)).chain(['…']).collect::<String>())
}

/// XML text. Control characters are not allowed in XML at all, so they become spaces.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}
