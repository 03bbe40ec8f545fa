//! What becomes of each step of a plan that a run goes on with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Fate, carries};
use crate::ids::StepId;
use crate::plan::{Plan, Step};
use crate::ports::Direction;
use crate::state::{Phase, RunState, StepState};
use crate::template;

/// Whether the effect of a step may be there.
pub(super) fn may_be_there(now: &StepState) -> bool {
    now.may_have_happened || matches!(now.phase, Phase::Running { .. } | Phase::Done)
}

/// Whether nobody knows how far the step came.
fn is_open(now: &StepState) -> bool {
    let undo = |phase: &Phase| matches!(phase, Phase::Backoff { direction: Direction::Undo, .. });
    undo(&now.phase)
        || matches!(
            now.phase,
            Phase::Running { .. } | Phase::InDoubt { .. } | Phase::Asking { .. } | Phase::UndoFailed { .. }
        )
}

/// Whether it was begun and did not come to its end. What was undone, skipped or not needed is no work to go on with.
fn is_begun(step: &Step, now: &StepState) -> bool {
    let open = matches!(
        now.phase,
        Phase::Pending
            | Phase::Suspect { .. }
            | Phase::Backoff { direction: Direction::Forward, .. }
            | Phase::Failed { .. }
    );
    open && step.kind.by_plugin() && (now.attempts > 0 || now.begun_in.is_some())
}

/// A fate, and whether what comes after the step may rest on it as on the same work.
pub(super) type Known<'a> = BTreeMap<&'a StepId, (Fate, bool)>;

pub(super) struct Sorter<'a> {
    pub(super) state: &'a RunState,
    pub(super) plan: &'a Plan,
}

impl<'a> Sorter<'a> {
    pub(super) fn fates(&self) -> Known<'a> {
        let mut known = BTreeMap::new();
        for step in self.in_order() {
            let fate = self.fate(step, &known);
            known.insert(&step.id, fate);
        }
        known
    }

    /// The steps of the new plan, each after all that come before it. A circle, which no compiler makes, is left out.
    fn in_order(&self) -> Vec<&'a Step> {
        let mut missing: Vec<usize> = self.plan.steps.iter().map(|step| step.after.len()).collect();
        let mut dependents: BTreeMap<&StepId, Vec<usize>> = BTreeMap::new();
        for (place, step) in self.plan.steps.iter().enumerate() {
            step.after.iter().for_each(|before| dependents.entry(before).or_default().push(place));
        }
        let mut open: Vec<usize> = (0..missing.len()).filter(|place| missing.get(*place) == Some(&0)).collect();
        let mut order = Vec::with_capacity(missing.len());
        while let Some(step) = open.pop().and_then(|place| self.plan.steps.get(place)) {
            order.push(step);
            for next in dependents.get(&step.id).into_iter().flatten() {
                let Some(count) = missing.get_mut(*next) else { continue };
                *count = count.saturating_sub(1);
                if *count == 0 {
                    open.push(*next);
                }
            }
        }
        order
    }

    fn fate(&self, step: &Step, known: &Known<'_>) -> (Fate, bool) {
        let ground = step.after.iter().find(|before| !known.get(*before).is_some_and(|(_, same)| *same));
        if !carries(step.kind) {
            return (Fate::Runs, ground.is_none());
        }
        let Some((was, now)) = self.state.step(&step.id) else { return (Fate::Runs, false) };
        if is_open(now) {
            return (Fate::Open { phase: now.phase.as_str() }, false);
        }
        let changed = self.differs(was, step);
        match &now.phase {
            Phase::Done => match (changed, ground) {
                (Some(because), _) => (Fate::Again { because }, false),
                (None, Some(before)) => {
                    let because = format!("it comes after '{before}', which runs");
                    (Fate::Again { because }, false)
                }
                (None, None) => (Fate::Carried, true),
            },
            // The same conditions over the same values come out the same.
            Phase::NotNeeded { .. } => (Fate::Runs, changed.is_none() && ground.is_none()),
            phase if changed.is_none() && ground.is_none() && is_begun(was, now) => {
                (Fate::GoesOn { phase: phase.as_str() }, false)
            }
            _ => (Fate::Runs, false),
        }
    }

    /// What is different between a step as it was and as it is now, where that changes what it does.
    fn differs(&self, was: &Step, is: &Step) -> Option<String> {
        let (old, new) = (&*self.state.plan, self.plan);
        let pin = |plan: &'a Plan, name: &Option<String>| name.as_ref().and_then(|name| plan.plugins.get(name));
        if was.kind != is.kind {
            return Some(format!("it was a {}", was.kind.as_str()));
        }
        if was.plugin != is.plugin || pin(old, &was.plugin) != pin(new, &is.plugin) {
            return Some("its plugin is another one".to_owned());
        }
        if was.args != is.args || was.wait_ms != is.wait_ms {
            return Some("its arguments are others".to_owned());
        }
        if was.when != is.when || was.scan != is.scan {
            return Some("its conditions are others".to_owned());
        }
        if was.targets != is.targets {
            return Some("its targets are others".to_owned());
        }
        let mut named = references(&is.args);
        named.extend(is.when.iter().flat_map(|when| references(&Value::String(when.value.clone()))));
        for used in &is.targets {
            let (before, after) = (old.targets.get(&used.target), new.targets.get(&used.target));
            let same = before.zip(after).filter(|(before, after)| {
                (&before.plugin, &before.settings, &before.secrets) == (&after.plugin, &after.settings, &after.secrets)
                    && old.plugins.get(&before.plugin) == new.plugins.get(&after.plugin)
            });
            match same {
                Some((_, after)) => named.extend(references(&after.settings)),
                None => return Some(format!("target '{}' is another one in this mode", used.target)),
            }
        }
        named.iter().find_map(|path| match path.as_slice() {
            [root, ..] if root == "run" => Some("it names the run itself".to_owned()),
            [root, name, ..] if root == "inputs" && old.inputs.get(name) != new.inputs.get(name) => {
                Some(format!("input '{name}' has another value"))
            }
            _ => None,
        })
    }
}

/// The paths of all references in a value. One that cannot be read names the run, as it were: it is not the same.
fn references(value: &Value) -> BTreeSet<Vec<String>> {
    match template::references_in(value) {
        Ok(found) => found.into_iter().map(|reference| reference.path).collect(),
        Err(_) => [vec!["run".to_owned()]].into(),
    }
}
