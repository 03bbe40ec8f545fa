//! People who take over: mark-done, pause, abandon; and the first word to a run that is taken up again.

use lifeboat_core::event::{EventKind, EvidenceFile};
use lifeboat_core::ids::{Digest, StepId};
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, InDoubt};
use lifeboat_core::state::RunStatus;
use lifeboat_runtime::{RunHandle, Verb};
use lifeboat_testkit::{Act, PlanBuilder, Rig, said};
use serde_json::{Value, json};

const NO: Act = Act::Fail(FailureKind::Permanent);

fn done(step: &str, outputs: Value) -> Verb {
    let file = EvidenceFile { name: "log.txt".to_owned(), digest: Digest::of(b"log"), bytes: 3 };
    Verb::MarkDone { step: StepId::from(step), outputs, evidence: vec![file] }
}

/// Lets time stand still until a step is under way.
async fn under_way(rig: &Rig, handle: &RunHandle, step: &str) {
    let begun = async {
        while rig.world.entry(handle.run().as_str(), step).executed == 0 {
            tokio::task::yield_now().await;
        }
    };
    begun.await;
}

async fn refused(rig: &Rig, handle: &RunHandle, verb: Verb) -> String {
    rig.drive(handle.say(verb, said("ada"))).await.unwrap_err().code.to_string()
}

#[tokio::test]
async fn what_was_done_by_hand_gives_its_outputs_to_later_steps() {
    let rig = Rig::new();
    rig.world.acts("take", [NO]);
    let plan = PlanBuilder::new().step("take").step("use").args(json!({ "n": "{{steps.take.value}}" })).after(["take"]);
    let mut handle = rig.submit(plan.build()).await;
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Failed);
    assert_eq!(refused(&rig, &handle, done("take", json!({ "other": 1 }))).await, "LB0508", "the schema of the step");
    assert_eq!(refused(&rig, &handle, done("take", json!(7))).await, "LB0508");
    assert_eq!(refused(&rig, &handle, done("none", json!({}))).await, "LB0504");
    rig.drive(handle.say(done("take", json!({ "value": 7 })), said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    assert_eq!(rig.world.entry(state.run.as_str(), "use").args, json!({ "n": 7 }));
    let marked = rig.events(&state.run).into_iter().find_map(|event| match event.kind {
        EventKind::StepMarkedDone { evidence, said, .. } => Some((evidence, said.by)),
        _ => None,
    });
    assert_eq!(marked.map(|(files, by)| (files[0].bytes, by)), Some((3, "ada".to_owned())));
    assert_eq!(refused(&rig, &handle, done("take", json!({ "value": 7 }))).await, "LB0502");
}

#[tokio::test]
async fn what_was_undone_by_hand_lets_the_unwinding_go_on() {
    let rig = Rig::new();
    rig.world.acts("c", [NO]).undoes("b", [NO]);
    let plan = PlanBuilder::new().compensate_on_failure();
    let plan = ["a", "b"].iter().fold(plan, |plan, step| plan.step(step).effect(Effect::Compensatable));
    let mut handle = rig.submit(plan.after(["a"]).step("c").after(["b"]).build()).await;
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Stuck);
    rig.drive(handle.say(done("b", json!({})), said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!(
        (state.status(), Rig::phase(&state, "b"), Rig::phase(&state, "a")),
        (RunStatus::Failed, "undone", "undone")
    );
}

#[tokio::test]
async fn a_paused_run_begins_nothing_new_and_goes_on_where_it_was() {
    let rig = Rig::new();
    rig.world.acts("a", [Act::Slow(2_000, Box::new(Act::Done(None)))]);
    let plan = PlanBuilder::new().step("a").step("b").after(["a"]).wait("w", 500).step("c").after(["w"]).build();
    let mut handle = rig.submit(plan).await;
    under_way(&rig, &handle, "a").await;
    rig.drive(handle.say(Verb::Pause, said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), Rig::phase(&state, "a"), rig.elapsed()), (RunStatus::Paused, "done", 2_000));
    assert_eq!(refused(&rig, &handle, Verb::Pause).await, "LB0502");
    rig.clock.advance(10_000);
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Paused, "a time that comes changes nothing");
    rig.drive(handle.say(Verb::Unpause, said("ada"))).await.unwrap();
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Succeeded);
    assert_eq!((rig.times("do b"), rig.times("do c")), (vec![12_000], vec![12_000]));
    assert_eq!(refused(&rig, &handle, Verb::Unpause).await, "LB0502");
}

#[tokio::test]
async fn a_pause_outlives_the_engine_and_comes_before_the_next_step() {
    let rig = Rig::new();
    rig.world.acts("a", [Act::Hang { happened: true }]);
    let handle = rig.submit(PlanBuilder::new().step("a").effect(Effect::Irreversible).build()).await;
    under_way(&rig, &handle, "a").await;
    let run = handle.run().clone();
    let left = rig.store.prefix(&run, 2);
    let second = Rig::with(left, rig.world.clone(), 8);
    let mut handle = second.drive(second.engine.resume_saying(&run, Verb::Pause, said("ada"))).await.unwrap();
    let state = second.rest(&mut handle).await;
    assert_eq!((state.status(), Rig::phase(&state, "a")), (RunStatus::Paused, "in-doubt"));
    assert_eq!(second.world.entry(run.as_str(), "a").probed, 0, "nothing is asked while the run is paused");
    let third = Rig::with(second.store.prefix(&run, usize::MAX), second.world.clone(), 8);
    let mut handle = third.drive(third.engine.resume(&run)).await.unwrap();
    assert_eq!(third.rest(&mut handle).await.status(), RunStatus::Paused);
    third.drive(handle.say(Verb::Unpause, said("ada"))).await.unwrap();
    assert_eq!(third.rest(&mut handle).await.status(), RunStatus::Succeeded);
    let refusal = third.drive(third.engine.resume_saying(&run, Verb::Pause, said("ada"))).await;
    assert_eq!(refusal.err().unwrap().code.to_string(), "LB0502");
}

#[tokio::test]
async fn an_abandoned_run_ends_as_it_is() {
    let rig = Rig::new();
    rig.world.acts("b", [Act::Hang { happened: true }]);
    let plan = PlanBuilder::new().compensate_on_failure().step("a").effect(Effect::Compensatable);
    let plan = plan.step("b").effect(Effect::Compensatable).in_doubt(InDoubt::Ask).after(["a"]).build();
    let mut handle = rig.submit(plan).await;
    let run = handle.run().clone();
    under_way(&rig, &handle, "b").await;
    rig.drive(handle.say(Verb::Abandon, said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!(
        (state.status(), Rig::phase(&state, "a"), Rig::phase(&state, "b")),
        (RunStatus::Abandoned, "done", "asking")
    );
    assert_eq!(rig.world.entry(run.as_str(), "a").undo_calls, 0);
    for verb in [Verb::Retry(StepId::from("b")), Verb::Skip(StepId::from("b")), done("b", json!({})), Verb::Abandon] {
        assert_eq!(refused(&rig, &handle, verb).await, "LB0502");
    }
    assert!(rig.engine.unfinished().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_approval_is_given_by_somebody_with_the_role() {
    let rig = Rig::new();
    let plan = PlanBuilder::new().approve("go", 1, None).build();
    let fingerprint = plan.fingerprint();
    let yes = |roles: &[&str]| {
        let roles = Some(roles.iter().map(ToString::to_string).collect());
        Verb::Approve { step: StepId::from("go"), fingerprint: fingerprint.clone(), roles }
    };
    let mut handle = rig.submit(plan).await;
    rig.rest(&mut handle).await;
    assert_eq!(refused(&rig, &handle, yes(&["viewer"])).await, "LB0509");
    rig.drive(handle.say(yes(&["viewer", "incident-commander"]), said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    let role = rig.events(&state.run).into_iter().find_map(|event| match event.kind {
        EventKind::Approved { role, .. } => role,
        _ => None,
    });
    assert_eq!(role.as_deref(), Some("incident-commander"));
}
