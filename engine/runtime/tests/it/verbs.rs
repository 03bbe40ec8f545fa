//! What people say to a run: approvals, cancelling, and what is refused.

use lifeboat_core::Error;
use lifeboat_core::ids::{Digest, RunId, StepId};
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::Effect;
use lifeboat_core::state::RunStatus;
use lifeboat_runtime::{RunHandle, Verb};
use lifeboat_testkit::{Act, PlanBuilder, Rig, said};

fn id(step: &str) -> StepId {
    StepId::from(step)
}

fn yes_to(fingerprint: Digest) -> Verb {
    Verb::Approve { step: id("go"), fingerprint, roles: None }
}

async fn refused(rig: &Rig, handle: &RunHandle, verb: Verb, by: &str) -> String {
    let refusal: Error = rig.drive(handle.say(verb, said(by))).await.unwrap_err();
    refusal.code.to_string()
}

#[tokio::test]
async fn an_approval_needs_different_people_who_saw_this_plan() {
    let rig = Rig::new();
    let plan = PlanBuilder::new().step("a").approve("go", 2, None).after(["a"]).step("b").after(["go"]).build();
    let yes = yes_to(plan.fingerprint());
    let mut handle = rig.submit(plan).await;
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), RunHandle::asking(&state)), (RunStatus::Waiting, vec![id("go")]));
    let other = yes_to(Digest::of(b"another plan"));
    assert_eq!(refused(&rig, &handle, other, "ada").await, "LB0506");
    rig.drive(handle.say(yes.clone(), said("ada"))).await.unwrap();
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Waiting, "one of two");
    assert_eq!(refused(&rig, &handle, yes.clone(), "ada").await, "LB0502");
    assert_eq!(refused(&rig, &handle, Verb::Skip(id("go")), "ada").await, "LB0502");
    assert_eq!(rig.world.entry(state.run.as_str(), "b").executed, 0);
    rig.drive(handle.say(yes.clone(), said("bo"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    let outputs = state.step(&id("go")).unwrap().1.outputs.clone();
    assert_eq!(outputs, Some(serde_json::json!({ "approved_by": ["ada", "bo"] })));
    assert_eq!(refused(&rig, &handle, yes, "cy").await, "LB0502");
}

#[tokio::test]
async fn a_denial_and_silence_fail_the_step_and_a_retry_asks_again() {
    let rig = Rig::new();
    let plan = PlanBuilder::new().approve("go", 1, Some(30_000)).step("b").after(["go"]).build();
    let yes = yes_to(plan.fingerprint());
    let mut handle = rig.submit(plan).await;
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Waiting);
    rig.drive(handle.say(Verb::Deny { step: id("go"), roles: None }, said("ada"))).await.unwrap();
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Failed);
    rig.drive(handle.say(Verb::Retry(id("go")), said("ada"))).await.unwrap();
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Waiting, "not the rest before the verb");
    rig.clock.advance(30_000);
    while rig.rest(&mut handle).await.status() == RunStatus::Waiting {
        tokio::task::yield_now().await;
    }
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), Rig::phase(&state, "go")), (RunStatus::Failed, "failed"));
    assert_eq!(refused(&rig, &handle, yes, "ada").await, "LB0502");
}

#[tokio::test]
async fn a_cancel_asks_what_runs_to_stop_and_starts_nothing_more() {
    let rig = Rig::new();
    rig.world.acts("a", [Act::Slow(60_000, Box::new(Act::Done(None)))]);
    let plan = PlanBuilder::new().max_parallel(1).step("a").retry(5, 10).step("b").build();
    let mut handle = rig.submit(plan).await;
    let slept = lifeboat_core::ports::Clock::sleep_until(&rig.clock, rig.clock.now() + 2_050);
    rig.drive(slept).await;
    rig.drive(handle.say(Verb::Cancel { compensate: false }, said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), rig.elapsed()), (RunStatus::Cancelled, 2_100));
    assert_eq!((Rig::phase(&state, "a"), Rig::phase(&state, "b")), ("failed", "pending"));
    let again = Verb::Cancel { compensate: false };
    assert_eq!(refused(&rig, &handle, again, "ada").await, "LB0502");
    assert_eq!(refused(&rig, &handle, Verb::Retry(id("a")), "ada").await, "LB0502");
    assert_eq!(refused(&rig, &handle, Verb::Skip(id("b")), "ada").await, "LB0502");
}

#[tokio::test]
async fn a_cancel_waits_ten_seconds_for_who_does_not_listen_then_undoes() {
    let rig = Rig::new();
    rig.world.acts("deaf", [Act::Hang { happened: true }]);
    let plan = PlanBuilder::new().step("a").effect(Effect::Compensatable);
    let plan = plan.step("deaf").effect(Effect::Compensatable).after(["a"]).build();
    let mut handle = rig.submit(plan).await;
    let slept = lifeboat_core::ports::Clock::sleep_until(&rig.clock, rig.clock.now() + 1_000);
    rig.drive(slept).await;
    rig.drive(handle.say(Verb::Cancel { compensate: true }, said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), rig.elapsed()), (RunStatus::Cancelled, 11_000));
    assert_eq!((Rig::phase(&state, "a"), Rig::phase(&state, "deaf")), ("undone", "undone"));
    assert_eq!(rig.world.log()[2..], ["undo deaf", "undo a"].map(String::from)[..]);
}

#[tokio::test]
async fn a_cancel_ends_a_run_that_waits_and_takes_the_question_back() {
    let rig = Rig::new();
    let plan = PlanBuilder::new().approve("go", 1, None).wait("pause", 1_000_000).build();
    let yes = yes_to(plan.fingerprint());
    let mut handle = rig.submit(plan).await;
    rig.drive(handle.say(Verb::Cancel { compensate: true }, said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), rig.elapsed()), (RunStatus::Cancelled, 0));
    assert!(RunHandle::asking(&state).is_empty());
    assert_eq!(refused(&rig, &handle, yes, "ada").await, "LB0502");
    assert_eq!(refused(&rig, &handle, Verb::Deny { step: id("go"), roles: None }, "ada").await, "LB0502");
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Cancelled, "a refusal stops nothing");
}

#[tokio::test]
async fn verbs_on_what_is_not_there_are_refused() {
    let rig = Rig::new();
    rig.world.acts("bad", [Act::Fail(FailureKind::Permanent)]);
    let mut handle = rig.submit(PlanBuilder::new().step("a").step("bad").build()).await;
    rig.rest(&mut handle).await;
    assert_eq!(refused(&rig, &handle, Verb::Retry(id("nobody")), "ada").await, "LB0504");
    assert_eq!(refused(&rig, &handle, Verb::Retry(id("a")), "ada").await, "LB0502");
    assert_eq!(refused(&rig, &handle, Verb::Skip(id("a")), "ada").await, "LB0502");
    assert_eq!(refused(&rig, &handle, Verb::Deny { step: id("a"), roles: None }, "ada").await, "LB0502");
    let nobody = RunId::new(1, 1);
    assert_eq!(rig.engine.resume(&nobody).await.err().unwrap().code.to_string(), "LB0501");
}

#[tokio::test]
async fn a_failed_step_is_retried_or_skipped_and_the_run_goes_on() {
    let rig = Rig::new();
    rig.world.acts("a", [Act::Fail(FailureKind::Permanent)]);
    rig.world.acts("b", vec![Act::Fail(FailureKind::Permanent); 2]);
    let plan = PlanBuilder::new().step("a").step("b").after(["a"]).step("c").after(["b"]).build();
    let mut handle = rig.submit(plan).await;
    for (verb, phase) in
        [(Verb::Retry(id("a")), "failed"), (Verb::Retry(id("b")), "failed"), (Verb::Skip(id("b")), "skipped")]
    {
        assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Failed);
        rig.drive(handle.say(verb, said("ada"))).await.unwrap();
        assert_eq!(Rig::phase(&*rig.rest(&mut handle).await, "b"), phase);
    }
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), state.complete()), (RunStatus::Succeeded, 3));
    let entry = rig.world.entry(state.run.as_str(), "a");
    assert_eq!((entry.executed, entry.happened), (2, 1));
}
