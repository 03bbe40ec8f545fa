//! What is suspect does not flow into a switch: not before a person attests, with evidence, and never by a crash.

use lifeboat_core::event::{EventKind, EvidenceFile};
use lifeboat_core::ids::{Digest, StepId};
use lifeboat_core::plan::{Effect, Mode, Plan, StepKind};
use lifeboat_core::state::{Phase, RunState, RunStatus};
use lifeboat_core::taint;
use lifeboat_runtime::{RunHandle, Verb};
use lifeboat_testkit::{Act, PlanBuilder, Rig, SimStore, World, said};
use serde_json::json;

fn id(step: &str) -> StepId {
    StepId::from(step)
}

/// take, rebuild, smoke, cutover: the switch names none of the steps before it. `other` switches something else.
fn plan() -> Plan {
    let mut plan = PlanBuilder::new()
        .step("take")
        .step("rebuild")
        .effect(Effect::Compensatable)
        .after(["take"])
        .step("smoke")
        .after(["rebuild"])
        .step("cutover")
        .effect(Effect::Compensatable)
        .after(["smoke"])
        .step("other")
        .compensate_on_failure()
        .build();
    plan.mode = Mode::Failover;
    for step in &mut plan.steps {
        if ["cutover", "other"].contains(&step.id.as_str()) {
            step.kind = StepKind::Switch;
        }
    }
    plan
}

/// A world in which the snapshot is suspect.
fn world() -> World {
    let world = World::new();
    let mut outputs = json!({ "snapshot": "abc" });
    taint::mark(&mut outputs, vec!["98 % of the files read look encrypted".to_owned()]);
    // An attempt that a crash cut off is made again, and finds the same.
    world.acts("take", [Act::Done(Some(outputs.clone())), Act::Done(Some(outputs))]);
    world
}

fn rig() -> Rig {
    Rig::with(SimStore::new(), world(), 8)
}

fn evidence() -> Vec<EvidenceFile> {
    vec![EvidenceFile { name: "scan.log".to_owned(), digest: Digest::of(b"clean"), bytes: 5 }]
}

fn attest(step: &str, evidence: Vec<EvidenceFile>) -> Verb {
    Verb::Attest { step: id(step), evidence }
}

fn done(rig: &Rig, state: &RunState, step: &str) -> u32 {
    rig.world.entry(state.run.as_str(), step).executed
}

#[tokio::test]
async fn a_switch_waits_until_a_person_attests() {
    let rig = rig();
    let mut handle = rig.submit(plan()).await;
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), RunHandle::asking(&state)), (RunStatus::Waiting, vec![id("cutover")]));
    let Phase::Suspect { from, because } = &state.step(&id("cutover")).unwrap().1.phase else { panic!("{state:?}") };
    assert_eq!((from, because.len()), (&vec![id("take")], 1));
    assert_eq!([done(&rig, &state, "smoke"), done(&rig, &state, "other"), done(&rig, &state, "cutover")], [1, 1, 0]);
    for (verb, code) in [
        (attest("cutover", Vec::new()), "LB1196"),
        (attest("smoke", evidence()), "LB1195"),
        (attest("never", evidence()), "LB0504"),
        (Verb::Retry(id("cutover")), "LB0502"),
        (Verb::MarkDone { step: id("cutover"), outputs: json!({ "value": 1 }), evidence: Vec::new() }, "LB0502"),
    ] {
        let refusal = rig.drive(handle.say(verb, said("ada"))).await.unwrap_err();
        assert_eq!(refusal.code.0, code, "{refusal}");
    }
    rig.drive(handle.say(attest("cutover", evidence()), said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), done(&rig, &state, "cutover")), (RunStatus::Succeeded, 1));
    let hand = state.step(&id("cutover")).unwrap().1.attested.clone().unwrap();
    assert_eq!((hand.said.by.as_str(), hand.evidence), ("ada", evidence()));
    let held = |kind: &EventKind| matches!(kind, EventKind::SuspectHeld { .. });
    assert_eq!(rig.events(&state.run).iter().filter(|event| held(&event.kind)).count(), 1);
    let refusal = rig.drive(handle.say(attest("cutover", evidence()), said("ada"))).await.unwrap_err();
    assert_eq!(refusal.code.0, "LB1195", "once is enough");
}

#[tokio::test]
async fn a_crash_lets_nothing_through() {
    let whole = rig();
    let mut handle = whole.submit(plan()).await;
    whole.rest(&mut handle).await;
    whole.drive(handle.say(attest("cutover", evidence()), said("ada"))).await.unwrap();
    let state = whole.rest(&mut handle).await;
    let events = whole.events(&state.run);
    let attested = events.iter().position(|event| matches!(event.kind, EventKind::SuspectAttested { .. })).unwrap();
    for count in 1..events.len() {
        let second = Rig::with(whole.store.prefix(&state.run, count), world(), 8);
        let mut handle = second.drive(second.engine.resume(&state.run)).await.unwrap();
        let state = second.rest(&mut handle).await;
        if count > attested {
            assert_eq!(state.status(), RunStatus::Succeeded, "cut after {count}");
            continue;
        }
        assert_eq!((state.status(), done(&second, &state, "cutover")), (RunStatus::Waiting, 0), "cut after {count}");
        second.drive(handle.say(attest("cutover", evidence()), said("bo"))).await.unwrap();
        assert_eq!(second.rest(&mut handle).await.status(), RunStatus::Succeeded, "cut after {count}");
    }
}

#[tokio::test]
async fn who_does_not_attest_cancels_or_skips() {
    let rig = rig();
    let mut handle = rig.submit(plan()).await;
    rig.rest(&mut handle).await;
    rig.drive(handle.say(Verb::Cancel { compensate: true }, said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!(state.status(), RunStatus::Cancelled);
    assert!(!rig.world.entry(state.run.as_str(), "rebuild").present, "what was restored is taken back");
    let rig = self::rig();
    let mut handle = rig.submit(plan()).await;
    rig.rest(&mut handle).await;
    rig.drive(handle.say(Verb::Skip(id("cutover")), said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!((state.status(), done(&rig, &state, "cutover")), (RunStatus::Succeeded, 0));
}

#[tokio::test]
async fn a_drill_and_what_is_good_are_not_held() {
    let rig = rig();
    let drill = Plan { mode: Mode::Drill, ..plan() };
    assert_eq!(rig.run(drill).await.status(), RunStatus::Succeeded);
    let good = Rig::with(SimStore::new(), World::new(), 8);
    assert_eq!(good.run(plan()).await.status(), RunStatus::Succeeded);
}

#[tokio::test]
async fn a_scan_that_was_done_is_enough() {
    let scanning = || {
        let mut plan = plan();
        plan.steps[2].scan = true;
        plan
    };
    let rig = rig();
    assert_eq!(rig.run(scanning()).await.status(), RunStatus::Succeeded);
    // A scan beside the way is none of it.
    let mut beside = scanning();
    beside.steps[3].after = ["rebuild".into()].into();
    assert_eq!(self::rig().run(beside).await.status(), RunStatus::Waiting);
    // One that failed, and was skipped or done by hand, is none either.
    for by_hand in [false, true] {
        let world = world();
        world.acts("smoke", [Act::Fail(lifeboat_core::FailureKind::Permanent)]);
        let rig = Rig::with(SimStore::new(), world, 8);
        let mut handle = rig.submit(Plan { on_failure: Default::default(), ..scanning() }).await;
        assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Failed);
        let verb = match by_hand {
            false => Verb::Skip(id("smoke")),
            true => Verb::MarkDone { step: id("smoke"), outputs: json!({ "value": 1 }), evidence: Vec::new() },
        };
        rig.drive(handle.say(verb, said("ada"))).await.unwrap();
        let state = rig.rest(&mut handle).await;
        assert_eq!((state.status(), RunHandle::asking(&state)), (RunStatus::Waiting, vec![id("cutover")]));
    }
}
