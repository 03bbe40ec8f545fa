//! Runs in which things go wrong: retries, doubts, time-outs, silence, unwinding.

use lifeboat_core::event::{EventKind, RunResult};
use lifeboat_core::ids::StepId;
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, InDoubt};
use lifeboat_core::state::{Phase, RunState, RunStatus};
use lifeboat_runtime::{RunHandle, Verb};
use lifeboat_testkit::{Act, PlanBuilder, Rig, Tell, said};
use serde_json::json;

const FAIL: Act = Act::Fail(FailureKind::Temporary);

fn code(state: &RunState, step: &str) -> String {
    match &state.step(&StepId::from(step)).unwrap().1.phase {
        Phase::Failed { failure } => failure.code.as_ref().map(ToString::to_string).unwrap_or_default(),
        other => panic!("{step} is {}", other.as_str()),
    }
}

#[tokio::test]
async fn retries_come_at_exactly_their_times() {
    let rig = Rig::new();
    rig.world.acts("a", [FAIL, FAIL, FAIL]);
    let state = rig.run(PlanBuilder::new().step("a").retry(3, 1_000).build()).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    assert_eq!(rig.times("do a"), [0, 1_000, 3_000, 7_000]);
    let entry = rig.world.entry(state.run.as_str(), "a");
    assert_eq!(entry.tokens, [1, 2, 3, 4], "each attempt has a later token");
    assert!(entry.keys.iter().all(|key| key == &entry.keys[0]), "all attempts have one key");
}

#[tokio::test]
async fn retries_come_to_an_end_and_permanent_failures_have_none() {
    let rig = Rig::new();
    rig.world.acts("a", [FAIL, FAIL, FAIL, FAIL]);
    rig.world.acts("b", [Act::Fail(FailureKind::Permanent)]);
    rig.world.acts("c", [Act::Fail(FailureKind::Refused)]);
    let plan = PlanBuilder::new().step("a").retry(2, 10).step("b").retry(2, 10).step("c").retry(2, 10);
    let state = rig.run(plan.step("d").after(["a"]).build()).await;
    assert_eq!(state.status(), RunStatus::Failed);
    let calls = |step: &str| rig.world.entry(state.run.as_str(), step).executed;
    assert_eq!((calls("a"), calls("b"), calls("c"), calls("d")), (3, 1, 1, 0));
    assert_eq!(Rig::phase(&state, "d"), "pending");
}

#[tokio::test]
async fn a_retry_that_is_due_while_every_place_is_taken_waits_for_one() {
    let rig = Rig::new();
    rig.world.acts("a", [FAIL]);
    rig.world.acts("b", [Act::Slow(9_000, Box::new(Act::Done(None)))]);
    let plan = PlanBuilder::new().max_parallel(1).step("a").retry(1, 1_000).step("b").build();
    let state = rig.run(plan).await;
    assert_eq!((state.status(), rig.times("do a")), (RunStatus::Succeeded, vec![0, 9_000]));
}

#[tokio::test]
async fn a_time_out_is_a_failure_where_it_does_no_harm_and_a_doubt_elsewhere() {
    let rig = Rig::new();
    for step in ["read", "reversible", "undoable"] {
        rig.world.acts(step, [Act::Hang { happened: true }]);
    }
    let plan = PlanBuilder::new()
        .step("read")
        .effect(Effect::Read)
        .timeout(1_000)
        .step("reversible")
        .effect(Effect::Reversible)
        .timeout(2_000)
        .step("undoable")
        .effect(Effect::Compensatable)
        .timeout(3_000);
    let state = rig.run(plan.build()).await;
    assert_eq!((code(&state, "read").as_str(), code(&state, "reversible").as_str()), ("LB0705", "LB0705"));
    assert_eq!(Rig::phase(&state, "undoable"), "done", "the probe found that it happened");
    let entry = rig.world.entry(state.run.as_str(), "undoable");
    assert_eq!((entry.executed, entry.probed, entry.happened), (1, 1, 1));
    assert_eq!(rig.elapsed(), 3_000);
}

#[tokio::test]
async fn what_did_not_happen_is_tried_again_after_the_probe() {
    let rig = Rig::new();
    rig.world.acts("a", [Act::Unknown { happened: false }]);
    let state = rig.run(PlanBuilder::new().step("a").effect(Effect::Irreversible).retry(1, 500).build()).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    assert_eq!(rig.world.log(), ["do a", "probe a", "do a"]);
    assert_eq!(rig.times("do a"), [0, 500]);
    assert_eq!(rig.world.entry(state.run.as_str(), "a").happened, 1);
}

#[tokio::test]
async fn a_doubt_that_no_probe_ends_asks_a_person_only_where_it_is_irreversible() {
    let rig = Rig::new();
    for step in ["gone", "safe"] {
        rig.world.acts(step, [Act::Unknown { happened: true }]).tells(step, [Tell::Nothing]);
    }
    let plan = PlanBuilder::new().step("gone").effect(Effect::Irreversible).retry(3, 10);
    let plan = plan.step("safe").effect(Effect::Compensatable).retry(3, 10).build();
    let mut handle = rig.submit(plan).await;
    let state = rig.rest(&mut handle).await;
    assert_eq!(
        (state.status(), Rig::phase(&state, "gone"), Rig::phase(&state, "safe")),
        (RunStatus::Stuck, "asking", "done")
    );
    assert_eq!(RunHandle::asking(&state), [StepId::from("gone")]);
    rig.drive(handle.say(Verb::Skip(StepId::from("gone")), said("ada"))).await.unwrap();
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Succeeded);
}

#[tokio::test]
async fn in_doubt_policies_rerun_and_ask_do_not_probe() {
    let rig = Rig::new();
    for step in ["again", "person"] {
        rig.world.acts(step, [Act::Unknown { happened: false }]);
    }
    let plan = PlanBuilder::new().step("again").in_doubt(InDoubt::Rerun).retry(1, 10);
    let mut handle = rig.submit(plan.step("person").in_doubt(InDoubt::Ask).retry(1, 10).build()).await;
    let state = rig.rest(&mut handle).await;
    assert_eq!((Rig::phase(&state, "again"), Rig::phase(&state, "person")), ("done", "asking"));
    rig.drive(handle.say(Verb::Retry(StepId::from("person")), said("ada"))).await.unwrap();
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Succeeded);
    assert!(!rig.world.log().iter().any(|line| line.starts_with("probe")));
}

#[tokio::test]
async fn a_probe_that_hangs_ends_with_the_time_out_of_the_step() {
    let rig = Rig::new();
    rig.world.acts("a", [Act::Unknown { happened: true }]).tells("a", [Tell::Hang]);
    let state = rig.run(PlanBuilder::new().step("a").effect(Effect::Irreversible).timeout(4_000).build()).await;
    assert_eq!((state.status(), rig.elapsed()), (RunStatus::Stuck, 4_000));
}

#[tokio::test]
async fn silence_is_noticed_and_signs_of_life_are_too() {
    let rig = Rig::new();
    rig.world.acts("silent", [Act::Hang { happened: false }]);
    rig.world.acts("busy", [Act::Beat { every: 900, times: 20, then: Box::new(Act::Done(None)) }]);
    let plan = PlanBuilder::new().step("silent").heartbeat(1_000).step("busy").heartbeat(1_000);
    let state = rig.run(plan.build()).await;
    assert_eq!(code(&state, "silent"), "LB0711");
    assert_eq!((Rig::phase(&state, "busy"), rig.elapsed()), ("done", 18_000));
}

#[tokio::test]
async fn a_checkpoint_is_given_to_the_next_attempt() {
    let rig = Rig::new();
    rig.world.acts("a", [Act::Checkpoint(json!({ "part": 7 }), Box::new(FAIL))]);
    let state = rig.run(PlanBuilder::new().step("a").retry(1, 10).build()).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    let given = rig.world.entry(state.run.as_str(), "a").checkpoints;
    assert_eq!(given, [None, Some(json!({ "part": 7 }))]);
}

#[tokio::test]
async fn a_panic_of_the_executor_is_an_outcome() {
    let rig = Rig::new();
    rig.world.acts("a", [Act::Panic]).acts("b", [Act::Panic]);
    let plan = PlanBuilder::new().step("a").step("b").effect(Effect::Compensatable).retry(1, 10).build();
    let state = rig.run(plan).await;
    assert_eq!((code(&state, "a").as_str(), Rig::phase(&state, "b")), ("LB0703", "done"));
    assert_eq!(rig.world.log().iter().filter(|line| *line == "probe b").count(), 1);
}

#[tokio::test]
async fn outputs_that_could_not_be_read_back_are_refused() {
    let rig = Rig::new();
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    rig.world.acts("deep", [Act::Done(Some(deep.clone()))]);
    rig.world.acts("large", [Act::Done(Some(json!({ "x": "y".repeat(300 * 1024) })))]);
    rig.world.acts("point", [Act::Checkpoint(deep, Box::new(Act::Done(None)))]);
    let state = rig.run(PlanBuilder::new().step("deep").step("large").step("point").build()).await;
    for step in ["deep", "large", "point"] {
        assert_eq!(code(&state, step), "LB0708", "{step}");
    }
    assert_eq!(rig.engine.load(&state.run).await.unwrap().state.status(), RunStatus::Failed);
}

#[tokio::test]
async fn a_step_whose_output_is_needed_is_not_skipped_and_an_output_that_is_not_there_fails_who_needs_it() {
    let rig = Rig::new();
    rig.world.acts("take", [Act::Fail(FailureKind::Permanent)]);
    let plan = PlanBuilder::new().step("take").step("use").after(["take"]).args(json!({ "id": "{{steps.take.id}}" }));
    let mut handle = rig.submit(plan.build()).await;
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Failed);
    let refused = rig.drive(handle.say(Verb::Skip(StepId::from("take")), said("ada"))).await.unwrap_err();
    assert!(refused.code.0 == "LB0502" && refused.hint.unwrap().contains("mark-done"));
    // Done at the second attempt, but without the output that is used.
    rig.drive(handle.say(Verb::Retry(StepId::from("take")), said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), code(&state, "use").as_str()), (RunStatus::Failed, "LB0507"));
    assert_eq!(rig.world.entry(state.run.as_str(), "use").executed, 0);
}

#[tokio::test]
async fn a_failure_unwinds_what_was_done_in_reverse() {
    let rig = Rig::new();
    rig.world.acts("d", [Act::Fail(FailureKind::Permanent)]);
    // The undo has its own retries, although the way forward used all of them.
    rig.world.acts("b", [FAIL, FAIL]).undoes("b", [FAIL, FAIL]);
    let plan = PlanBuilder::new()
        .compensate_on_failure()
        .step("a")
        .effect(Effect::Compensatable)
        .step("b")
        .effect(Effect::Compensatable)
        .retry(2, 10)
        .after(["a"])
        .step("c")
        .effect(Effect::Reversible)
        .after(["b"])
        .step("d")
        .after(["c"]);
    let state = rig.run(plan.build()).await;
    assert_eq!((state.status(), state.result), (RunStatus::Failed, Some(RunResult::Failed)));
    assert_eq!(rig.world.log()[4..], ["do c", "do d", "undo b", "undo b", "undo b", "undo a"].map(String::from)[..]);
    assert_eq!(
        (Rig::phase(&state, "a"), Rig::phase(&state, "c"), Rig::phase(&state, "d")),
        ("undone", "done", "failed")
    );
    assert_eq!(state.complete(), 1, "only what is still done counts");
    let cause = rig.events(&state.run).into_iter().find_map(|event| match event.kind {
        EventKind::UnwindStarted { cause } => cause,
        _ => None,
    });
    assert_eq!(cause, Some(StepId::from("d")));
}

#[tokio::test]
async fn a_failure_lets_what_runs_come_to_its_end_before_it_unwinds() {
    let rig = Rig::new();
    rig.world.acts("bad", [Act::Fail(FailureKind::Permanent)]);
    rig.world.acts("slow", [Act::Slow(8_000, Box::new(Act::Done(None)))]);
    let plan = PlanBuilder::new().compensate_on_failure().step("bad").step("slow").effect(Effect::Compensatable);
    let state = rig.run(plan.step("later").after(["slow"]).build()).await;
    assert_eq!((state.status(), rig.times("undo slow")), (RunStatus::Failed, vec![8_000]));
    assert_eq!(rig.world.entry(state.run.as_str(), "later").executed, 0);
}

#[tokio::test]
async fn an_undo_that_fails_for_good_makes_the_run_stuck_until_a_person_speaks() {
    let rig = Rig::new();
    rig.world.acts("c", [Act::Fail(FailureKind::Permanent)]);
    rig.world.acts("doubt", [Act::Unknown { happened: true }]).tells("doubt", [Tell::Hang]);
    rig.world.undoes("b", [Act::Fail(FailureKind::Permanent), Act::Fail(FailureKind::Permanent)]);
    let plan = PlanBuilder::new()
        .compensate_on_failure()
        .step("a")
        .effect(Effect::Compensatable)
        .step("b")
        .effect(Effect::Compensatable)
        .after(["a"])
        .step("c")
        .after(["b"])
        // What waits beside must not keep the stuck run from its rest.
        .step("doubt")
        .wait("long", 3_600_000)
        .approve("go", 1, Some(1_000_000))
        .build();
    let mut handle = rig.submit(plan).await;
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), rig.elapsed()), (RunStatus::Stuck, 0));
    assert_eq!(RunHandle::asking(&state), [StepId::from("b")]);
    assert_eq!((Rig::phase(&state, "long"), Rig::phase(&state, "go")), ("pending", "pending"));
    rig.drive(handle.say(Verb::Retry(StepId::from("b")), said("ada"))).await.unwrap();
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Stuck);
    rig.drive(handle.say(Verb::Skip(StepId::from("b")), said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!(
        (state.status(), Rig::phase(&state, "a"), Rig::phase(&state, "b")),
        (RunStatus::Failed, "undone", "skipped")
    );
}

#[tokio::test]
async fn what_may_have_happened_is_undone_too() {
    let rig = Rig::new();
    rig.world.acts("a", [Act::Unknown { happened: true }]).tells("a", [Tell::Nothing]);
    let plan =
        PlanBuilder::new().compensate_on_failure().step("a").effect(Effect::Compensatable).in_doubt(InDoubt::Ask);
    let mut handle = rig.submit(plan.build()).await;
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Stuck);
    rig.drive(handle.say(Verb::Cancel { compensate: true }, said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), Rig::phase(&state, "a")), (RunStatus::Cancelled, "undone"));
    assert!(!rig.world.entry(state.run.as_str(), "a").present);
}
