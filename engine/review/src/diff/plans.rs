//! What a plan says of itself: mode, objectives, inputs, triggers, and how long it can take.

use std::collections::BTreeSet;

use lifeboat_core::plan::Plan;
use serde_json::Value;

use super::Half;
use super::change::{Change, Kind};
use super::steps::members;
use crate::words::{some, span, span_or, value};
use crate::worst;

pub(super) fn compare(old: &Half<'_>, new: &Half<'_>, changes: &mut Vec<Change>) {
    let (was, is) = (&old.saved.plan, &new.saved.plan);
    let mut push = |kind, what: &str, before: String, after: String| {
        if before != after {
            changes.push(Change::of(kind, what, what, before, after));
        }
    };
    push(Kind::ModeChanged, "mode", was.mode.as_str().to_owned(), is.mode.as_str().to_owned());
    let goals = [
        ("RTO", was.objectives.rto_ms, is.objectives.rto_ms),
        ("RPO", was.objectives.rpo_ms, is.objectives.rpo_ms),
        ("MTPD", was.objectives.mtpd_ms, is.objectives.mtpd_ms),
    ];
    for (name, before, after) in goals {
        push(Kind::ObjectiveChanged, name, span_or(before, "none"), span_or(after, "none"));
    }
    push(Kind::RoomChanged, "steps at once", was.max_parallel.to_string(), is.max_parallel.to_string());
    push(Kind::Wording, "name", was.runbook.clone(), is.runbook.clone());
    let owner = |plan: &Plan| plan.owner.clone().unwrap_or_else(|| "nobody".to_owned());
    push(Kind::Wording, "owner", owner(was), owner(is));
    push(
        Kind::Wording,
        "description",
        value(&Value::String(was.description.clone())),
        value(&Value::String(is.description.clone())),
    );
    let object = |plan: &Plan| Value::Object(plan.inputs.clone().into_iter().collect());
    for (name, before, after) in members(&object(was), &object(is)) {
        push(Kind::InputChanged, &format!("input {name}"), before, after);
    }
    triggers(&old.saved.triggers, &new.saved.triggers, changes);
    longest(old, new, changes);
}

fn triggers(old: &[String], new: &[String], changes: &mut Vec<Change>) {
    let (was, is): (BTreeSet<&String>, BTreeSet<&String>) = (old.iter().collect(), new.iter().collect());
    for trigger in is.difference(&was) {
        changes.push(Change::new(Kind::TriggerChanged, "trigger", format!("started by itself now: {trigger}")));
    }
    for trigger in was.difference(&is) {
        changes.push(Change::new(
            Kind::TriggerChanged,
            "trigger",
            format!("not started by itself any more: {trigger}"),
        ));
    }
}

fn longest(old: &Half<'_>, new: &Half<'_>, changes: &mut Vec<Change>) {
    let of = |half: &Half<'_>| worst::of_plan(&half.saved.plan, &half.graph);
    let (was, is) = (of(old), of(new));
    if was.ms != is.ms {
        let (sign, by) = if is.ms > was.ms { ("+", is.ms - was.ms) } else { ("-", was.ms - is.ms) };
        let text = format!("worst case {sign}{}: {} -> {}", span(by), span(was.ms), span(is.ms));
        let change = Change::new(Kind::WorstCase, "worst case", text);
        changes.push(Change { old: Some(was.ms.to_string()), new: Some(is.ms.to_string()), ..change });
    }
    let fresh: Vec<&str> =
        is.without_end.iter().filter(|id| !was.without_end.contains(id)).map(|id| id.as_str()).collect();
    if !fresh.is_empty() {
        let text = format!("worst case without end: {} may wait for ever", some(&fresh));
        changes.push(Change::new(Kind::WorstCase, "worst case", text));
    }
}
