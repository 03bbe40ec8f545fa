//! Differences between plans. `LIFEBOAT_BLESS=1` writes the golden files anew; look at the difference before you commit.

use std::path::Path;

use lifeboat_core::graph::PlanGraph;
use lifeboat_core::plan::{Effect, Plan, StepKind};
use lifeboat_review::worst::of_plan;
use lifeboat_review::{Kind, Review, Saved, Weight, differences};
use lifeboat_testkit::{PlanBuilder, random_case};
use proptest::prelude::*;

use crate::{approve, at, recovery, spoilt, step};

fn golden(name: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(&file, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == actual, "{name} differs; LIFEBOAT_BLESS=1 accepts this:\n{actual}");
}

fn saved(plan: Plan) -> Saved {
    Saved::new(plan, String::new(), Vec::new())
}

fn review(old: &Plan, new: &Plan) -> Review {
    differences(&saved(old.clone()), &saved(new.clone())).unwrap()
}

fn said(change: impl FnOnce(&mut Plan)) -> String {
    let mut plan = recovery();
    change(&mut plan);
    review(&recovery(), &plan).to_text()
}

#[test]
fn golden_files() {
    let there = review(&recovery(), &spoilt());
    golden("spoilt.txt", &there.to_text());
    golden("spoilt.json", &(serde_json::to_string_pretty(&there).unwrap() + "\n"));
    golden("mended.txt", &review(&spoilt(), &recovery()).to_text());
    golden("same.txt", &review(&recovery(), &recovery()).to_text());
}

#[test]
fn the_most_dangerous_comes_first() {
    let found = review(&recovery(), &spoilt());
    assert!(found.changes.is_sorted_by_key(|change| (change.weight, change.kind)));
    assert_eq!(found.changes[0].text, "step cutover (switch) now before validate smoke");
    let kinds: Vec<Kind> = found.changes.iter().map(|change| change.kind).collect();
    for kind in [Kind::ApprovalRemoved, Kind::RuleWaived, Kind::EffectWorse, Kind::NoReturnMoved, Kind::UndoLost] {
        assert!(kinds.contains(&kind), "{kind:?} is missing");
    }
    let text = found.to_text();
    assert!(text.contains("new egress mirror.example.org:9000, by target vault"), "{text}");
}

#[test]
fn what_is_only_text_is_no_difference() {
    let text = said(|plan| {
        plan.source = lifeboat_core::Digest::of(b"comments");
        plan.steps.iter_mut().for_each(|step| step.line += 7);
        plan.steps.reverse();
        at(plan, "prove").estimate_ms = Some(1);
    });
    assert!(text.contains("no differences in what would be done"), "{text}");
}

#[test]
fn each_change_is_said() {
    let says = |change: fn(&mut Plan), words: &str| {
        let text = said(change);
        assert!(text.contains(words), "no '{words}' in\n{text}");
    };
    says(|plan| at(plan, "go").approval.as_mut().unwrap().quorum = 1, "danger   approval go: yes asked for: 2 -> 1");
    says(|plan| at(plan, "go").approval.as_mut().unwrap().role = "all".into(), "role: commander -> all");
    says(|plan| at(plan, "go").approval.as_mut().unwrap().expires_ms = None, "worst case without end: go");
    says(|plan| at(plan, "go").approval.as_mut().unwrap().people = vec!["ada".into()], "note     approval go: people");
    says(|plan| at(plan, "cutover").after.clear(), "no longer waits for approve go");
    says(|plan| plan.on_failure.compensate = false, "danger   step rebuild is not undone on failure any more");
    says(
        |plan| plan.steps.push(step("wipe", StepKind::Switch, Effect::Irreversible, &[])),
        "danger   switch wipe (irreversible) is new",
    );
    says(
        |plan| plan.steps.push(step("more", StepKind::Verify, Effect::Read, &[])),
        "caution  verify more (read) is new",
    );
    says(|plan| plan.steps.push(approve("again", &[])), "note     approve again (read) is new");
    says(|plan| at(plan, "rebuild").policy.timeout_ms = 1_080_000, "worst case +8m: 1h 10m -> 1h 18m");
    says(|plan| at(plan, "rebuild").policy.timeout_ms = 1_080_000, "step rebuild: timeout: 10m -> 18m");
    says(|plan| at(plan, "rebuild").policy.in_doubt = lifeboat_core::plan::InDoubt::Rerun, "in doubt: probe -> rerun");
    says(|plan| at(plan, "rebuild").capabilities.push("command".into()), "danger   new grant: plugin fs needs command");
    says(
        |plan| plan.targets.get_mut("edge").unwrap().settings = serde_json::json!({ "root": "/" }),
        "new grant: folder /",
    );
    says(
        |plan| drop(plan.targets.get_mut("vault").unwrap().secrets.insert("key".into(), "s3".into())),
        "new grant: secret s3",
    );
    says(|plan| plan.objectives.rto_ms = None, "RTO: 15m -> none");
    says(|plan| plan.mode = lifeboat_core::Mode::Drill, "danger   mode: failover -> drill");
    says(|plan| plan.max_parallel = 1, "steps at once: 8 -> 1");
    says(|plan| drop(plan.inputs.insert("size".into(), "big".into())), "input size: nothing -> big");
    says(|plan| drop(plan.plugins.insert("s3".into(), plan.plugins["fs"].clone())), "danger   plugin s3");
    says(
        |plan| {
            at(plan, "smoke").id = "taste".into();
            at(plan, "go").after = ["taste".into()].into();
        },
        "note     validate smoke is named taste now",
    );
    let old = Saved::new(recovery(), String::new(), vec!["schedule a".into()]);
    let text = differences(&old, &saved(recovery())).unwrap().to_text();
    assert!(text.contains("caution  not started by itself any more: schedule a"), "{text}");
}

#[test]
fn the_worst_case_counts_retries_pauses_and_places() {
    let worst = |plan: &Plan| of_plan(plan, &PlanGraph::new(plan).unwrap());
    let one = PlanBuilder::new().step("a").timeout(10_000).retry(2, 1_000).build();
    assert_eq!(worst(&one).ms, 3 * 10_000 + 1_000 + 2_000);
    let wide = |places: u32| {
        let all = ["a", "b", "c", "d"].iter().fold(PlanBuilder::new(), |plan, id| plan.step(id).timeout(60_000));
        all.max_parallel(places).build()
    };
    assert_eq!((worst(&wide(4)).ms, worst(&wide(1)).ms), (60_000, 240_000));
    assert_eq!(worst(&wide(2)).ms, 180_000, "no more than the longest way and the rest by twos");
    let asks = PlanBuilder::new().approve("go", 1, None).wait("w", 5_000).after(["go"]).build();
    assert_eq!((worst(&asks).ms, worst(&asks).without_end.len()), (5_000, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    /// A plan never differs from itself; what is dangerous one way is told the other way, too; nothing panics.
    #[test]
    fn differences_of_any_plans(a in any::<u64>(), b in any::<u64>()) {
        let (old, new) = (random_case(a).plan, random_case(b).plan);
        prop_assert!(review(&old, &old).same);
        let (there, back) = (review(&old, &new), review(&new, &old));
        prop_assert_eq!(there.same, back.same);
        prop_assert_eq!(there.same, there.changes.iter().all(|change| change.weight > Weight::Note));
    }
}
