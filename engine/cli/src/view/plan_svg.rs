//! The plan as a picture: one SVG file that needs nothing else, reads in light and dark, and says in words what it says
//! in colour or line.
//!
//! Where the steps stand is worked out with the pictures of reports (`lifeboat_report::pictures`).

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use lifeboat_core::graph::PlanGraph;
use lifeboat_core::ids::StepId;
use lifeboat_core::plan::{Effect, Plan, Step};
use lifeboat_report::pictures::layout::{BOX, Places, edge, edges, places};
use lifeboat_report::pictures::{cut, escape, icon};

use super::duration::duration;

const MARGIN: f64 = 24.0;
const HEAD: f64 = 74.0;
const FOOT: f64 = 58.0;
/// The narrowest picture: the title and the legend have to fit.
const NARROWEST: f64 = 640.0;

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

/// The picture as an SVG document.
pub fn render(plan: &Plan, graph: &PlanGraph, outlook: &super::Outlook) -> String {
    let index: HashMap<&StepId, usize> = plan.steps.iter().enumerate().map(|(at, step)| (&step.id, at)).collect();
    let edges = edges(&index, graph);
    let places = places(plan, graph);
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
