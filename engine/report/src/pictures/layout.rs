//! Where the steps of a plan stand in a picture.
//!
//! They are placed by a layered layout (Sugiyama's method). Its cost grows faster than the plan, so that big plans are placed
//! wave by wave instead.

use std::collections::HashMap;
use std::fmt::Write;

use lifeboat_core::graph::PlanGraph;
use lifeboat_core::ids::StepId;
use lifeboat_core::plan::Plan;
use rust_sugiyama::configure::{Config, RankingType};

/// Width and height of a step's box.
pub const BOX: (f64, f64) = (216.0, 70.0);
/// Between two boxes.
pub const GAP: (f64, f64) = (36.0, 54.0);
/// Steps above which the layout is by waves alone. Beyond it nobody reads a picture, and the method takes seconds.
const LAYOUT_STEPS_MAX: usize = 400;

/// Where the middle of each step's box is, by its place in the source.
pub type Places = Vec<(f64, f64)>;

/// The places of the steps, in the order of the plan. The layout begins at 0, 0.
pub fn places(plan: &Plan, graph: &PlanGraph) -> Places {
    let index: HashMap<&StepId, usize> = plan.steps.iter().enumerate().map(|(at, step)| (&step.id, at)).collect();
    layered(plan.steps.len(), &edges(&index, graph)).unwrap_or_else(|| by_waves(plan, graph, &index))
}

/// The edges of the picture, by the places of the steps in the plan.
pub fn edges(index: &HashMap<&StepId, usize>, graph: &PlanGraph) -> Vec<(usize, usize)> {
    graph.edges().iter().filter_map(|(before, after)| Some((*index.get(before)?, *index.get(after)?))).collect()
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

/// An edge, as an arrow from the foot of one box to the head of another.
pub fn edge(out: &mut String, from: (f64, f64), to: (f64, f64), critical: bool) {
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
