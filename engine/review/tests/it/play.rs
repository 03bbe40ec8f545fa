//! Simulations: what nobody handles is found, what is handled is not, and the real engine comes to the same ends.

use std::collections::BTreeSet;

use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, InDoubt, Plan, Test};
use lifeboat_core::state::{Phase, RunStatus};
use lifeboat_review::simulate::{Found, Gap, Setting, simulate};
use lifeboat_runtime::Verb;
use lifeboat_testkit::{Act, PlanBuilder, Rig, SimStore, World, random_case, said};
use proptest::prelude::*;

use crate::{at, recovery};

/// Every plugin can tell.
fn telling(plan: &Plan) -> Setting {
    Setting { probes: plan.steps.iter().map(|step| step.id.clone()).collect(), seed: 1, ..Setting::default() }
}

fn gaps(plan: &Plan, setting: &Setting) -> BTreeSet<(Gap, String)> {
    let found = simulate(plan, setting).unwrap();
    found.branches.into_iter().map(|branch| (branch.gap, branch.step.0)).collect()
}

fn of(gap: Gap, step: &str) -> (Gap, String) {
    (gap, step.to_owned())
}

/// A chain of which all is handled.
fn handled() -> PlanBuilder {
    PlanBuilder::new()
        .step("rebuild")
        .effect(Effect::Compensatable)
        .undo(60_000, 3, 1_000)
        .approve("go", 1, Some(60_000))
        .after(["rebuild"])
        .step("cutover")
        .effect(Effect::Compensatable)
        .undo(60_000, 3, 1_000)
        .after(["go"])
        .compensate_on_failure()
}

#[test]
fn a_plan_that_handles_everything_has_no_branches() {
    let plan = handled().build();
    let found = simulate(&plan, &telling(&plan)).unwrap();
    assert_eq!(found.branches, []);
    assert_eq!(found.played, found.possible);
    assert!(found.to_text().ends_with("every branch is handled\n"), "{}", found.to_text());
    // Two steps of seven cases, one question of two, and each event but the last.
    assert!(found.possible >= 2 * 7 + 2 + found.events - 1, "{found:?}");
}

#[test]
fn what_stays_behind_is_found() {
    let plan = PlanBuilder::new().step("change").effect(Effect::Compensatable).step("check").after(["change"]).build();
    let found = simulate(&plan, &telling(&plan)).unwrap();
    let branch = found.branches.iter().find(|branch| branch.gap == Gap::LeftBehind).unwrap();
    assert_eq!((branch.step.as_str(), branch.when[0].as_str()), ("change", "check fails"));
    assert!(branch.hint.contains("on-failure"), "{branch:?}");
    let irreversible = PlanBuilder::new()
        .step("cut")
        .effect(Effect::Irreversible)
        .step("check")
        .after(["cut"])
        .compensate_on_failure();
    assert!(gaps(&irreversible.clone().build(), &telling(&irreversible.build())).contains(&of(Gap::LeftBehind, "cut")));
    // What does no harm may stay.
    let plan = PlanBuilder::new().step("copy").effect(Effect::Reversible).step("check").after(["copy"]).build();
    assert_eq!(gaps(&plan, &telling(&plan)), BTreeSet::new());
}

#[test]
fn doubts_that_a_person_has_to_settle_are_found() {
    let cut = PlanBuilder::new().step("cut").effect(Effect::Irreversible).build();
    let deaf = Setting { seed: 1, ..Setting::default() };
    let found = simulate(&cut, &deaf).unwrap();
    let branch = &found.branches[0];
    assert_eq!((branch.gap, branch.step.as_str()), (Gap::AsksPerson, "cut"));
    assert!(branch.when.iter().any(|when| when.contains("the engine dies during cut")), "{branch:?}");
    assert!(branch.when.iter().any(|when| when.contains("takes too long")), "{branch:?}");
    assert_eq!(gaps(&cut, &telling(&cut)), BTreeSet::new(), "a plugin that can tell settles them");
    let ask = PlanBuilder::new().step("cut").effect(Effect::Compensatable).in_doubt(InDoubt::Ask).build();
    assert!(gaps(&ask, &telling(&ask)).contains(&of(Gap::AsksPerson, "cut")), "an author may want to be asked");
}

#[test]
fn questions_and_undos_without_an_end_are_found() {
    let plan = PlanBuilder::new().approve("go", 2, None).build();
    assert_eq!(gaps(&plan, &telling(&plan)), BTreeSet::from([of(Gap::WaitsForEver, "go")]));
    let roles = Setting { roles: true, ..telling(&plan) };
    assert!(gaps(&plan, &roles).contains(&of(Gap::NobodyMayAnswer, "go")));
    let mut named = plan.clone();
    at(&mut named, "go").approval.as_mut().unwrap().people = vec!["ada".into(), "bob".into()];
    assert!(!gaps(&named, &roles).contains(&of(Gap::NobodyMayAnswer, "go")));
    let once =
        PlanBuilder::new().step("a").effect(Effect::Compensatable).step("b").after(["a"]).compensate_on_failure();
    assert_eq!(gaps(&once.clone().build(), &telling(&once.build())), BTreeSet::from([of(Gap::UndoOnce, "a")]));
}

#[test]
fn conditions_on_outputs_are_taken_to_hold() {
    let plan = PlanBuilder::new()
        .step("look")
        .step("cut")
        .effect(Effect::Irreversible)
        .when("{{steps.look.size}}", Test::Above(7.into()))
        .after(["look"])
        .step("check")
        .after(["cut"])
        .build();
    assert!(gaps(&plan, &telling(&plan)).contains(&of(Gap::LeftBehind, "cut")), "the step is looked at");
}

#[test]
fn big_plans_are_drawn_from_by_a_seed() {
    let plan = PlanBuilder::chain(3_000).build();
    let found = simulate(&plan, &telling(&plan)).unwrap();
    assert!(found.played < found.possible && found.played >= 40, "{} of {}", found.played, found.possible);
    assert_eq!(found.ends.values().sum::<usize>(), found.played);
    assert!(found.to_text().contains("drawn with seed 1"), "{}", found.to_text());
    let few = Setting { cases: Some(50), ..telling(&plan) };
    let again = |seed| simulate(&plan, &Setting { seed, ..few.clone() }).unwrap();
    assert_eq!(again(3), Found { seed: 3, ..again(3) });
    assert_eq!(again(3).played, 50);
}

#[test]
fn the_recovery_of_the_reviews() {
    let plan = recovery();
    let all = gaps(&plan, &telling(&plan));
    assert_eq!(all, BTreeSet::from([of(Gap::UndoOnce, "rebuild")]), "{all:?}");
}

/// The real engine, with one step that fails for good, where whoever is asked says yes: how the run ends, and which steps that
/// matter are still there.
async fn truth(plan: &Plan, step: &str) -> (RunStatus, BTreeSet<String>) {
    let world = World::new();
    world.acts(step, [Act::Fail(FailureKind::Permanent)]);
    let rig = Rig::with(SimStore::new(), world.clone(), 64);
    let mut handle = rig.submit(plan.clone()).await;
    loop {
        let state = rig.rest(&mut handle).await;
        let asked = state.steps().find_map(|(step, now)| match &now.phase {
            Phase::Approval { given, .. } => Some((step.id.clone(), given.len())),
            _ => None,
        });
        let (Some((step, given)), false) = (asked, state.status().is_final()) else {
            let matters = |effect| matches!(effect, Effect::Compensatable | Effect::Irreversible);
            let there = |step: &&lifeboat_core::Step| world.entry(state.run.as_str(), step.id.as_str()).present;
            let left = plan.steps.iter().filter(|step| matters(step.effect)).filter(there);
            return (state.status(), left.map(|step| step.id.0.clone()).collect());
        };
        let fingerprint = state.fingerprint.clone();
        let verb = Verb::Approve { step, fingerprint, roles: None };
        rig.drive(handle.say(verb, said(&format!("person {given}")))).await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 60, ..ProptestConfig::default() })]

    /// The real engine, with its runtime and a store, leaves behind what the simulation says, whichever step fails.
    #[test]
    fn the_real_engine_agrees(seed in any::<u64>()) {
        let plan = random_case(seed).plan;
        let found = simulate(&plan, &telling(&plan)).unwrap();
        let left: BTreeSet<String> =
            found.branches.iter().filter(|branch| branch.gap == Gap::LeftBehind).map(|branch| branch.step.0.clone()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut really = BTreeSet::new();
        for step in plan.steps.iter().filter(|step| step.kind.by_plugin()) {
            let (status, there) = runtime.block_on(truth(&plan, step.id.as_str()));
            if status == RunStatus::Failed {
                really.extend(there);
            }
        }
        prop_assert!(really.is_subset(&left), "{:?} stay, and {:?} were found", really, left);
    }
}
