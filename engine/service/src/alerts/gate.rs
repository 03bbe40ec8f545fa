//! A run that nobody started asks somebody before it does what cannot be undone.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::ids::StepId;
use lifeboat_core::plan::{Approval, Effect, InDoubt, Plan, Policy, Retry, Step, StepKind};
use serde_json::json;

const NAME: &str = "point-of-no-return";

/// Puts a question before the first irreversible step, and before all others that no question stands before anyway. `people` may
/// answer; anybody with the right to, if there are none.
pub(crate) fn ask_before_no_return(plan: &mut Plan, people: Vec<String>) {
    let bare = unasked(plan);
    let Some(first) = bare.first().cloned() else { return };
    let Some(place) = plan.steps.iter().position(|step| step.id == first) else { return };
    let taken: BTreeSet<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    let free = |name: &String| !taken.contains(name.as_str());
    let names = std::iter::once(NAME.to_owned()).chain((2..).map(|n: u32| format!("{NAME}-{n}")));
    let Some(id) = names.take(plan.steps.len() + 2).find(free).map(StepId) else { return };
    let after = plan.steps.get(place).map(|step| step.after.clone()).unwrap_or_default();
    for step in plan.steps.iter_mut().filter(|step| bare.contains(&step.id)) {
        step.after.insert(id.clone());
    }
    plan.steps.insert(place, question(id, after, people));
}

fn question(id: StepId, after: BTreeSet<StepId>, people: Vec<String>) -> Step {
    // Nobody attempts a question; it has a policy because every step has one.
    let retry = Retry { count: 0, backoff_ms: 1_000, max_ms: 60_000, jitter: false };
    Step {
        id,
        kind: StepKind::Approve,
        effect: Effect::Read,
        plugin: None,
        targets: Vec::new(),
        args: json!({}),
        after,
        policy: Policy { timeout_ms: 3_600_000, heartbeat_ms: None, retry, in_doubt: InDoubt::Probe },
        compensate: false,
        undo: None,
        when: Vec::new(),
        fan: None,
        estimate_ms: None,
        capabilities: Vec::new(),
        approval: Some(Approval { role: "operator".to_owned(), people, quorum: 1, expires_ms: None }),
        wait_ms: None,
        makes: Vec::new(),
        corruptions: Vec::new(),
        waivers: Vec::new(),
        scan: false,
        line: 0,
    }
}

/// The irreversible steps that no question stands before which is always asked, in an order in which each comes after what it needs.
fn unasked(plan: &Plan) -> Vec<StepId> {
    let steps: BTreeMap<&StepId, &Step> = plan.steps.iter().map(|step| (&step.id, step)).collect();
    let mut waits: BTreeMap<&StepId, usize> = plan
        .steps
        .iter()
        .map(|step| (&step.id, step.after.iter().filter(|id| steps.contains_key(id)).count()))
        .collect();
    let mut later: BTreeMap<&StepId, Vec<&StepId>> = BTreeMap::new();
    for step in &plan.steps {
        step.after.iter().for_each(|before| later.entry(before).or_default().push(&step.id));
    }
    let mut open: Vec<&StepId> =
        plan.steps.iter().map(|step| &step.id).filter(|id| waits.get(id) == Some(&0)).collect();
    let (mut asked, mut bare): (BTreeSet<&StepId>, Vec<StepId>) = (BTreeSet::new(), Vec::new());
    while let Some(id) = open.pop() {
        let Some(step) = steps.get(id) else { continue };
        let always = |step: &Step| step.kind == StepKind::Approve && step.when.is_empty();
        if step.after.iter().any(|before| asked.contains(before)) || always(step) {
            asked.insert(id);
        } else if step.effect == Effect::Irreversible {
            bare.push(id.clone());
        }
        for next in later.remove(id).unwrap_or_default() {
            if let Some(left) = waits.get_mut(next) {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    open.push(next);
                }
            }
        }
    }
    bare
}

/// The steps that cannot be undone.
pub(crate) fn edge(plan: &Plan) -> BTreeSet<StepId> {
    let final_ones = plan.steps.iter().filter(|step| step.effect == Effect::Irreversible);
    final_ones.map(|step| step.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use lifeboat_testkit::PlanBuilder;

    use super::*;

    fn after(plan: &Plan, id: &str) -> Vec<String> {
        let step = plan.steps.iter().find(|step| step.id.as_str() == id).unwrap();
        step.after.iter().map(|id| id.as_str().to_owned()).collect()
    }

    #[test]
    fn what_cannot_be_undone_waits_for_a_person() {
        let mut plan = PlanBuilder::new()
            .step("a")
            .step("b")
            .after(["a"])
            .effect(Effect::Irreversible)
            .step("c")
            .after(["b"])
            .effect(Effect::Irreversible)
            .step("d")
            .effect(Effect::Irreversible)
            .build();
        ask_before_no_return(&mut plan, vec!["ada".to_owned()]);
        let gate = plan.steps.iter().find(|step| step.id.as_str() == NAME).unwrap();
        assert_eq!(gate.approval.as_ref().unwrap().people, ["ada"]);
        assert!(["b", "c", "d"].iter().all(|id| after(&plan, id).contains(&NAME.to_owned())));
        assert!(!after(&plan, "a").contains(&NAME.to_owned()));
        assert!(lifeboat_core::graph::PlanGraph::new(&plan).is_ok(), "no step waits for itself");
    }

    #[test]
    fn a_question_that_is_there_is_enough() {
        let mut plan = PlanBuilder::new()
            .approve("go", 1, None)
            .step("a")
            .after(["go"])
            .step("b")
            .after(["a"])
            .effect(Effect::Irreversible)
            .build();
        let before = plan.clone();
        ask_before_no_return(&mut plan, Vec::new());
        assert_eq!(plan, before);
        let mut harmless = PlanBuilder::chain(3).build();
        ask_before_no_return(&mut harmless, Vec::new());
        assert_eq!(harmless.steps.len(), 3);
    }

    #[test]
    fn a_name_that_is_taken_is_not_taken_again() {
        let mut plan = PlanBuilder::new().step(NAME).step("b").effect(Effect::Irreversible).build();
        ask_before_no_return(&mut plan, Vec::new());
        assert_eq!(after(&plan, "b"), [format!("{NAME}-2")]);
        assert_eq!(edge(&plan).len(), 1);
    }
}
