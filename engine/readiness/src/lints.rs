//! What can be told from the plan and the operator's file alone.

use std::collections::BTreeSet;
use std::path::Path;

use lifeboat_core::Error;
use lifeboat_core::grants::{Grant, Lost, Operator};
use lifeboat_core::graph::PlanGraph;
use lifeboat_core::plan::{Mode, Plan, Step, StepKind, Target};
use serde_json::Value;

use crate::row::Row;

fn root(target: &Target) -> Option<&Path> {
    target.settings.get("root").and_then(Value::as_str).map(Path::new)
}

/// Steps that use a target of the lost site.
pub(crate) fn needs_lost(plan: &Plan, site: &str, lost: &Lost) -> Vec<Row> {
    let mut rows = Vec::new();
    for step in &plan.steps {
        let used: BTreeSet<&str> =
            step.targets.iter().map(|used| used.target.as_str()).filter(|name| lost.targets.contains(*name)).collect();
        for name in used {
            let message = format!("it needs target '{name}', which is lost with site '{site}'");
            let hint = "use a target at another site for this mode, or leave the step out of it with only= or except=";
            rows.push(Row::bad(format!("step {}", step.id), Error::new("LB1156", message).hint(hint)));
        }
    }
    if rows.is_empty() {
        rows.push(Row::good(format!("site {site}"), "no step uses a target that is there"));
    }
    rows
}

/// In a drill: places that the drill's grants and production's grants both allow to change.
pub(crate) fn overlaps(plan: &Plan, operator: &Operator, rows: &mut Vec<Row>) {
    if plan.mode != Mode::Drill {
        return;
    }
    rows.extend(overlapping(operator).into_iter().map(|(drill, production)| {
        let message = format!("drills may change '{drill}', and production's '{production}' is there");
        let hint = "give drills a folder of their own, in which production has nothing".to_owned();
        Row::bad("drill grants", Error::new("LB1157", message).hint(hint))
    }));
}

/// The writable folders of drills in which production has a writable one: the same, or below it. A drill's own folder inside of
/// production's is a smaller one, and no overlap.
pub fn overlapping(operator: &Operator) -> Vec<(String, String)> {
    let writable = |grants: &[Grant]| {
        let all = grants.iter().map(|grant| (grant.plugin.clone(), grant.target.clone(), grant.dirs.clone()));
        all.flat_map(|(plugin, target, dirs)| {
            dirs.into_iter().filter(|dir| dir.write).map(move |dir| (plugin.clone(), target.clone(), dir.path))
        })
        .collect::<Vec<_>>()
    };
    let mut found = BTreeSet::new();
    for (plugin, target, drill) in writable(&operator.drill_grants) {
        for (other, of, production) in writable(&operator.grants) {
            // One target under one name is shared on purpose, as a vault is.
            let shared = plugin == other && (target == of && target.is_some());
            if !shared && production.starts_with(&drill) && production != drill {
                found.insert((drill.display().to_string(), production.display().to_string()));
            }
        }
    }
    found.into_iter().collect()
}

/// Steps that need a place before the step that brings it back.
pub(crate) fn provided_later(plan: &Plan, graph: &PlanGraph, rows: &mut Vec<Row>) {
    let restores: Vec<(&Step, &Target)> = plan
        .steps
        .iter()
        .filter(|step| step.kind == StepKind::Restore)
        .filter_map(|step| Some((step, target(plan, step, "into")?)))
        .collect();
    for step in &plan.steps {
        let needed = match step.kind {
            StepKind::Validate => target(plan, step, "target"),
            StepKind::Verify | StepKind::Transfer | StepKind::Restore => target(plan, step, "from"),
            _ => None,
        };
        let Some(needed) = needed else { continue };
        let before: BTreeSet<_> = graph.ancestors(&step.id).into_iter().collect();
        let late = restores.iter().filter(|(restore, into)| restore.id != step.id && inside(needed, into));
        // A place that some step before has brought back is there.
        let (now, late): (Vec<_>, Vec<_>) = late.partition(|(restore, _)| before.contains(&restore.id));
        if let (true, Some((restore, into))) = (now.is_empty(), late.first()) {
            let message = format!("it needs target '{}', which step '{}' brings back later", needed.name, restore.id);
            let hint = format!("put it after the other: after=\"{}\"; '{}' is what is restored", restore.id, into.name);
            rows.push(Row::bad(format!("step {}", step.id), Error::new("LB1158", message).hint(hint)));
        }
    }
}

fn target<'a>(plan: &'a Plan, step: &Step, role: &str) -> Option<&'a Target> {
    let used = step.targets.iter().find(|used| used.role == role)?;
    plan.targets.get(&used.target)
}

/// Whether a place is one that a restore fills, or lies in it.
pub(crate) fn inside(needed: &Target, into: &Target) -> bool {
    if needed.name == into.name {
        return true;
    }
    match (root(needed), root(into)) {
        (Some(needed), Some(into)) => needed.starts_with(into),
        _ => false,
    }
}
