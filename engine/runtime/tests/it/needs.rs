//! Steps that are only needed sometimes, and fan-outs with a limit of their own.

use lifeboat_core::ids::StepId;
use lifeboat_core::plan::{Effect, Test};
use lifeboat_core::state::{Phase, RunStatus};
use lifeboat_runtime::Verb;
use lifeboat_testkit::{Act, PlanBuilder, Rig, said};
use serde_json::json;

#[tokio::test]
async fn a_step_whose_condition_does_not_hold_is_passed_by_and_so_is_what_uses_it() {
    let rig = Rig::new();
    let plan = PlanBuilder::new()
        .input("size", json!("small"))
        .step("look")
        .step("big")
        .when("{{inputs.size}}", Test::Is(json!("big")))
        .step("uses")
        .args(json!({ "from": "{{steps.big.value}}" }))
        .after(["big"])
        .step("after")
        .after(["big", "uses"])
        .step("long")
        .when("{{steps.look.value}}", Test::Above(3.into()))
        .when("{{inputs.size}}", Test::Not(json!("big")))
        .after(["look"]);
    let state = rig.run(plan.build()).await;
    assert_eq!((state.status(), state.complete()), (RunStatus::Succeeded, 5));
    let phases = ["look", "big", "uses", "after", "long"].map(|step| Rig::phase(&state, step));
    assert_eq!(phases, ["done", "not-needed", "not-needed", "done", "done"]);
    assert_eq!(rig.engine.load(&state.run).await.unwrap().state.status(), RunStatus::Succeeded);
    let Phase::NotNeeded { because } = &state.step(&StepId::from("uses")).unwrap().1.phase else { panic!() };
    assert!(because.contains("'big', which was not needed"), "{because}");
}

#[tokio::test]
async fn a_condition_that_cannot_be_told_fails_the_step_before_its_first_attempt() {
    let rig = Rig::new();
    rig.world.acts("look", [Act::Done(Some(json!({ "count": "many" })))]);
    let plan = PlanBuilder::new().step("look").step("x").when("{{steps.look.count}}", Test::Above(1.into()));
    let mut handle = rig.submit(plan.after(["look"]).build()).await;
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), Rig::phase(&state, "x")), (RunStatus::Failed, "failed"));
    assert_eq!(rig.world.entry(state.run.as_str(), "x").executed, 0);
    rig.drive(handle.say(Verb::Skip(StepId::from("x")), said("ada"))).await.unwrap();
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Succeeded);
}

#[tokio::test]
async fn a_fan_out_keeps_its_own_limit_and_leaves_room_to_others() {
    let rig = Rig::new();
    let mut plan = PlanBuilder::new().max_parallel(8);
    for number in 0..9 {
        let id = format!("shard/{number}");
        rig.world.acts(&id, [Act::Slow(1_000, Box::new(Act::Done(None)))]);
        plan = plan.step(&id).fan("shard", 3);
    }
    rig.world.acts("other", [Act::Slow(1_000, Box::new(Act::Done(None)))]);
    let state = rig.run(plan.step("other").build()).await;
    assert_eq!((state.status(), rig.elapsed()), (RunStatus::Succeeded, 3_000));
    assert_eq!((rig.world.most_at_once(), rig.times("do other")), (4, vec![0]));
}

#[tokio::test]
async fn an_undo_has_its_own_time_out_and_retries() {
    let rig = Rig::new();
    rig.world.acts("b", [Act::Fail(lifeboat_core::outcome::FailureKind::Permanent)]);
    rig.world.undoes("a", [Act::Hang { happened: false }, Act::Hang { happened: false }]);
    let plan = PlanBuilder::new().compensate_on_failure().step("a").effect(Effect::Compensatable).undo(4_000, 2, 500);
    let state = rig.run(plan.step("b").after(["a"]).build()).await;
    assert_eq!((state.status(), Rig::phase(&state, "a")), (RunStatus::Failed, "undone"));
    assert_eq!(rig.times("undo a"), [0, 4_500, 9_500]);
}
