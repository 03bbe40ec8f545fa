//! Step by step: what is new, gone, renamed, and done in another way.

use std::collections::BTreeMap;

use lifeboat_core::StepId;
use lifeboat_core::plan::{Condition, Policy, Retry, Step, Test};
use serde_json::Value;

use super::Half;
use super::change::{Change, Kind, Weight};
use super::guards::{is_dangerous, undoes};
use crate::words::{some, span, span_or, value};

pub(super) fn compare(old: &Half<'_>, new: &Half<'_>, changes: &mut Vec<Change>) {
    let by_id = |half: &Half<'_>| -> BTreeMap<StepId, Step> {
        half.saved.plan.steps.iter().map(|step| (step.id.clone(), step.clone())).collect()
    };
    let (before, after) = (by_id(old), by_id(new));
    let gone: Vec<&Step> = old.saved.plan.steps.iter().filter(|step| !after.contains_key(&step.id)).collect();
    let mut renamed = BTreeMap::new();
    for step in new.saved.plan.steps.iter().filter(|step| !before.contains_key(&step.id)) {
        let same = gone.iter().find(|was| is_the_same(was, step) && !renamed.contains_key(&was.id));
        match same {
            Some(was) => {
                renamed.insert(was.id.clone(), step.id.clone());
                let text = format!("{} {} is named {} now", was.kind.as_str(), was.id, step.id);
                changes.push(Change::new(Kind::Renamed, step.id.as_str(), text));
            }
            None => added(step, changes),
        }
    }
    for step in gone.into_iter().filter(|step| !renamed.contains_key(&step.id)) {
        removed(step, changes);
    }
    for step in &new.saved.plan.steps {
        if let Some(was) = before.get(&step.id) {
            one(was, step, changes);
            undo(old, new, was, step, changes);
            order(was, step, &renamed, changes);
        }
    }
}

/// Whether two steps of different names do the same to the same.
fn is_the_same(a: &Step, b: &Step) -> bool {
    (a.kind, &a.plugin, &a.targets, &a.args, &a.approval, a.wait_ms)
        == (b.kind, &b.plugin, &b.targets, &b.args, &b.approval, b.wait_ms)
}

fn added(step: &Step, changes: &mut Vec<Change>) {
    let text = format!("{} {} ({}) is new", step.kind.as_str(), step.id, step.effect.as_str());
    let kind = match () {
        () if is_dangerous(step) => Kind::DangerousStep,
        () if step.approval.is_some() => Kind::Safer,
        () => Kind::StepAdded,
    };
    changes.push(Change::new(kind, step.id.as_str(), text));
    waivers(&[], step, changes);
}

/// Approvals and checks that are gone are told among the guards.
fn removed(step: &Step, changes: &mut Vec<Change>) {
    use lifeboat_core::StepKind::{Approve, Validate, Verify};
    if !matches!(step.kind, Approve | Validate | Verify) {
        let text = format!("{} {} removed", step.kind.as_str(), step.id);
        changes.push(Change::new(Kind::StepRemoved, step.id.as_str(), text));
    }
}

/// What a drill's step makes, with whether it is removed again by itself.
fn makes(step: &Step) -> String {
    let told = |makes: &lifeboat_core::ledger::Makes| {
        let left = if makes.removable { "" } else { ", which stays" };
        format!("{} at {}{left}", makes.what, makes.target)
    };
    some(&step.makes.iter().map(told).collect::<Vec<_>>())
}

fn one(old: &Step, new: &Step, changes: &mut Vec<Change>) {
    let id = new.id.as_str();
    let mut push = |kind, what: &str, before: String, after: String| {
        changes.push(Change::of(kind, id, &format!("step {id}: {what}"), before, after));
    };
    if old.kind != new.kind {
        push(Kind::ArgumentsChanged, "kind", old.kind.as_str().to_owned(), new.kind.as_str().to_owned());
    }
    if old.effect != new.effect {
        let kind = if new.effect > old.effect { Kind::EffectWorse } else { Kind::Safer };
        push(kind, "effect", old.effect.as_str().to_owned(), new.effect.as_str().to_owned());
    }
    if old.plugin != new.plugin {
        let name = |step: &Step| step.plugin.clone().unwrap_or_else(|| "none".to_owned());
        push(Kind::PluginChanged, "plugin", name(old), name(new));
    }
    let uses = |step: &Step| -> Vec<String> {
        step.targets.iter().map(|used| format!("{} {}", used.role, used.target)).collect()
    };
    if old.targets != new.targets {
        push(Kind::TargetChanged, "targets", some(&uses(old)), some(&uses(new)));
    }
    for (name, before, after) in members(&old.args, &new.args) {
        push(Kind::ArgumentsChanged, &name, before, after);
    }
    if old.when != new.when {
        let told = |step: &Step| match step.when.as_slice() {
            [] => "always".to_owned(),
            all => all.iter().map(condition).collect::<Vec<_>>().join(" and "),
        };
        push(Kind::ConditionChanged, "needed", told(old), told(new));
    }
    if old.scan != new.scan {
        let (kind, word) =
            (if new.scan { Kind::Safer } else { Kind::CheckRemoved }, |step: &Step| step.scan.to_string());
        push(kind, "is a scan", word(old), word(new));
    }
    if old.makes != new.makes {
        push(Kind::TargetChanged, "makes", makes(old), makes(new));
    }
    if old.wait_ms != new.wait_ms {
        push(Kind::PolicyChanged, "waits", span_or(old.wait_ms, "not"), span_or(new.wait_ms, "not"));
    }
    if old.fan.as_ref().map(|fan| fan.limit) != new.fan.as_ref().map(|fan| fan.limit) {
        let limit = |step: &Step| step.fan.as_ref().map_or_else(|| "no limit".to_owned(), |fan| fan.limit.to_string());
        push(Kind::RoomChanged, "items at once", limit(old), limit(new));
    }
    policy(&old.policy, &new.policy, &mut push);
    if old.undo != new.undo {
        let told = |step: &Step| {
            step.undo.as_ref().map_or_else(
                || "as the step".to_owned(),
                |undo| format!("timeout {}, {}", span(undo.timeout_ms), retries(&undo.retry)),
            )
        };
        push(Kind::PolicyChanged, "undone", told(old), told(new));
    }
    waivers(&old.waivers, new, changes);
}

fn policy(old: &Policy, new: &Policy, push: &mut impl FnMut(Kind, &str, String, String)) {
    if old.in_doubt != new.in_doubt {
        let (before, after) = (old.in_doubt.as_str(), new.in_doubt.as_str());
        push(Kind::InDoubtChanged, "in doubt", before.to_owned(), after.to_owned());
    }
    if old.timeout_ms != new.timeout_ms {
        push(Kind::PolicyChanged, "timeout", span(old.timeout_ms), span(new.timeout_ms));
    }
    if old.heartbeat_ms != new.heartbeat_ms {
        push(Kind::PolicyChanged, "heartbeat", span_or(old.heartbeat_ms, "none"), span_or(new.heartbeat_ms, "none"));
    }
    if old.retry != new.retry {
        push(Kind::PolicyChanged, "retries", retries(&old.retry), retries(&new.retry));
    }
}

fn retries(retry: &Retry) -> String {
    if retry.count == 0 {
        return "no retry".to_owned();
    }
    let jitter = if retry.jitter { "" } else { " without jitter" };
    format!("retry {} after {} to {}{jitter}", retry.count, span(retry.backoff_ms), span(retry.max_ms))
}

fn undo(old: &Half<'_>, new: &Half<'_>, was: &Step, is: &Step, changes: &mut Vec<Change>) {
    let id = is.id.as_str();
    match (undoes(&old.saved.plan, was), undoes(&new.saved.plan, is)) {
        (true, false) => {
            changes.push(Change::new(Kind::UndoLost, id, format!("step {id} is not undone on failure any more")));
        }
        (false, true) => changes.push(Change::new(Kind::Safer, id, format!("step {id} is undone on failure now"))),
        _ => {}
    }
}

fn order(was: &Step, is: &Step, renamed: &BTreeMap<StepId, StepId>, changes: &mut Vec<Change>) {
    let before: std::collections::BTreeSet<&StepId> =
        was.after.iter().map(|id| renamed.get(id).unwrap_or(id)).collect();
    let after: std::collections::BTreeSet<&StepId> = is.after.iter().collect();
    if before == after {
        return;
    }
    let names = |all: &std::collections::BTreeSet<&StepId>| {
        let names: Vec<&str> = all.iter().map(|id| id.as_str()).collect();
        if names.is_empty() { "nothing".to_owned() } else { some(&names) }
    };
    let what = format!("step {}: waits for", is.id);
    changes.push(Change::of(Kind::OrderChanged, is.id.as_str(), &what, names(&before), names(&after)));
}

fn waivers(old: &[lifeboat_core::plan::Waiver], new: &Step, changes: &mut Vec<Change>) {
    for waiver in new.waivers.iter().filter(|waiver| !old.iter().any(|was| was.rule == waiver.rule)) {
        let text = format!("step {}: rule {} waived: {}", new.id, waiver.rule, value(&waiver.reason.clone().into()));
        changes.push(Change::new(Kind::RuleWaived, new.id.as_str(), text));
    }
    for waiver in old.iter().filter(|was| !new.waivers.iter().any(|waiver| waiver.rule == was.rule)) {
        let text = format!("step {}: rule {} holds again", new.id, waiver.rule);
        changes.push(Change::new(Kind::Safer, new.id.as_str(), text).weighing(Weight::Note));
    }
}

/// The members of two objects that are different, with both values.
pub(super) fn members(old: &Value, new: &Value) -> Vec<(String, String, String)> {
    let none = "nothing".to_owned();
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return if old == new { Vec::new() } else { vec![("value".to_owned(), value(old), value(new))] };
    };
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let told = |found: Option<&Value>| found.map_or_else(|| none.clone(), value);
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| (name.clone(), told(before.get(name)), told(after.get(name))))
        .collect()
}

fn condition(condition: &Condition) -> String {
    let asked = match &condition.test {
        Test::Holds => String::new(),
        Test::Is(wanted) => format!(" is {}", value(wanted)),
        Test::Not(refused) => format!(" is not {}", value(refused)),
        Test::Above(limit) => format!(" is above {limit}"),
        Test::Below(limit) => format!(" is below {limit}"),
    };
    format!("when {}{asked}", condition.value)
}
