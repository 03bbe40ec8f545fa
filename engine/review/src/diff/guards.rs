//! What kept a step from being begun too early: checks and approvals before it, and the point of no return.

use std::collections::BTreeSet;

use lifeboat_core::plan::{Approval, Effect, Plan, Step, StepKind};
use lifeboat_core::{StepId, plan};

use super::Half;
use super::change::{Change, Kind, Weight};
use crate::words::{some, span_or};

/// Whether people and data are kept safe by what comes before it.
pub(super) fn is_dangerous(step: &Step) -> bool {
    step.kind == StepKind::Switch || step.effect == Effect::Irreversible
}

fn is_guard(kind: StepKind) -> bool {
    matches!(kind, StepKind::Approve | StepKind::Validate | StepKind::Verify)
}

pub(super) fn compare(old: &Half<'_>, new: &Half<'_>, changes: &mut Vec<Change>) {
    for step in new.saved.plan.steps.iter().filter(|step| is_dangerous(step)) {
        if old.saved.plan.step(&step.id).is_some() {
            lost(old, new, step, changes);
        }
    }
    for before in old.saved.plan.steps.iter().filter(|step| is_guard(step.kind)) {
        let now = new.saved.plan.step(&before.id);
        match (&before.approval, now.map(|step| &step.approval)) {
            (Some(asked), None) => {
                let text = format!("approval '{}' removed: role {}, {} yes", before.id, asked.role, asked.quorum);
                changes.push(Change::new(Kind::ApprovalRemoved, before.id.as_str(), text));
            }
            (Some(asked), Some(Some(asks))) => weaker(&before.id, asked, asks, changes),
            (None, None) => {
                let text = format!("{} '{}' removed", before.kind.as_str(), before.id);
                changes.push(Change::new(Kind::CheckRemoved, before.id.as_str(), text));
            }
            _ => {}
        }
    }
    no_return(old, new, changes);
}

/// Guards that are in both plans, and come before the step in the old one only.
fn lost(old: &Half<'_>, new: &Half<'_>, step: &Step, changes: &mut Vec<Change>) {
    let names = |half: &Half<'_>, ids: Vec<StepId>| -> BTreeSet<StepId> {
        let guard = |id: &StepId| half.saved.plan.step(id).is_some_and(|step| is_guard(step.kind));
        ids.into_iter().filter(guard).collect()
    };
    let before = names(old, old.graph.ancestors(&step.id));
    let still = names(new, new.graph.ancestors(&step.id));
    let after = names(new, new.graph.descendants(&step.id));
    for guard in before.difference(&still) {
        let Some(kind) = new.saved.plan.step(guard).map(|step| step.kind.as_str()) else { continue };
        let how = if after.contains(guard) { "now before" } else { "no longer waits for" };
        let text = format!("step {} ({}) {how} {kind} {guard}", step.id, step.kind.as_str());
        changes.push(Change::new(Kind::GuardLost, step.id.as_str(), text));
    }
}

fn weaker(id: &StepId, old: &Approval, new: &Approval, changes: &mut Vec<Change>) {
    let mut push = |kind, what: &str, before: String, after: String| {
        changes.push(Change::of(kind, id.as_str(), &format!("approval {id}: {what}"), before, after));
    };
    if old.role != new.role {
        push(Kind::ApprovalWeaker, "role", old.role.clone(), new.role.clone());
    }
    if old.quorum != new.quorum {
        let kind = if new.quorum < old.quorum { Kind::ApprovalWeaker } else { Kind::Safer };
        push(kind, "yes asked for", old.quorum.to_string(), new.quorum.to_string());
    }
    if old.people != new.people {
        let more = new.people.is_empty() || new.people.iter().any(|person| !old.people.contains(person));
        let anybody = |people: &[String]| if people.is_empty() { "anybody".to_owned() } else { some(people) };
        // From "anybody" to a list of names is a gain, whoever is on it.
        let kind = if more && !old.people.is_empty() { Kind::ApprovalWeaker } else { Kind::Safer };
        push(kind, "people who may say yes", anybody(&old.people), anybody(&new.people));
    }
    if old.expires_ms != new.expires_ms {
        push(
            Kind::PolicyChanged,
            "the question stands for",
            span_or(old.expires_ms, "ever"),
            span_or(new.expires_ms, "ever"),
        );
    }
}

fn no_return(old: &Half<'_>, new: &Half<'_>, changes: &mut Vec<Change>) {
    let of = |half: &Half<'_>| half.graph.point_of_no_return(&half.saved.plan);
    let (before, after) = (of(old), of(new));
    if before == after {
        return;
    }
    let steps_before =
        |half: &Half<'_>, id: &Option<StepId>| id.as_ref().map(|id| half.graph.ancestors(id).len()).unwrap_or_default();
    let subject = after.as_ref().or(before.as_ref()).map(|id| id.0.clone()).unwrap_or_default();
    let change = match (&before, &after) {
        (_, None) => {
            Change::new(Kind::Safer, subject, "point of no return gone: every step can be undone or does no harm")
        }
        (None, Some(id)) => {
            Change::new(Kind::NoReturnMoved, subject, format!("point of no return: there was none, and now it is {id}"))
        }
        (Some(was), Some(is)) => {
            let (early, late) = (steps_before(old, &before), steps_before(new, &after));
            // More comes before it now: the way back is longer than it was.
            let (where_to, weight) = match late.cmp(&early) {
                std::cmp::Ordering::Less => ("earlier: ", Weight::Danger),
                std::cmp::Ordering::Greater => ("later: ", Weight::Caution),
                std::cmp::Ordering::Equal => ("", Weight::Danger),
            };
            let text = format!("point of no return moved {where_to}{was} ({early} steps before it) -> {is} ({late})");
            Change {
                old: Some(was.0.clone()),
                new: Some(is.0.clone()),
                ..Change::new(Kind::NoReturnMoved, subject, text).weighing(weight)
            }
        }
    };
    changes.push(change);
}

/// Whether a failure of the plan is undone.
pub(super) fn undoes(plan: &Plan, step: &plan::Step) -> bool {
    plan.on_failure.compensate && step.compensate
}
