//! What is measured: parts that add up, waits with their people, and what was lost.

use lifeboat_core::decide;
use lifeboat_core::event::EventKind;
use lifeboat_core::measure::{Basis, Part, measure};
use lifeboat_core::outcome::{FailureKind, Outcome};
use lifeboat_core::plan::{StepKind, TargetUse};
use lifeboat_testkit::{PlanBuilder, said};
use serde_json::json;

use crate::{Hand, done, failed, id};

fn with(outputs: serde_json::Value) -> Outcome {
    Outcome::Done { outputs }
}

#[test]
fn the_parts_add_up_and_people_are_named() {
    let mut plan = PlanBuilder::new()
        .approve("go", 1, None)
        .step("restore")
        .after(["go"])
        .retry(1, 500)
        .step("look")
        .after(["restore"])
        .wait("rest", 40)
        .after(["look"])
        .build();
    plan.steps[2].kind = StepKind::Validate;
    let mut hand = Hand::new(plan);
    // The alert began before the run was made.
    if let EventKind::RunCreated { detected_at, .. } = &mut hand.events[0].kind {
        *detected_at = Some(900);
    }
    hand.state = lifeboat_core::apply::create(&hand.events[0]).unwrap();
    hand.follow();
    hand.now += 300;
    let print = hand.state.fingerprint.clone();
    hand.apply(decide::approve(&hand.state, &id("go"), &print, None, said("ada")).unwrap());
    hand.follow();
    hand.now += 20;
    hand.end("restore", failed(FailureKind::Temporary));
    hand.now += 500;
    hand.follow();
    hand.now += 7;
    hand.end("restore", done());
    hand.now += 3;
    hand.end("look", done());
    hand.now += 40;
    hand.follow();
    let found = measure(&hand.events).unwrap();
    let part = |part: Part| found.parts.get(part.as_str()).copied().unwrap_or(0);
    assert_eq!((part(Part::Declaring), part(Part::People), part(Part::Executing)), (100, 300, 27));
    assert_eq!((part(Part::Retries), part(Part::Validating), part(Part::Timers)), (500, 3, 40));
    assert_eq!(part(Part::Engine), 0);
    assert_eq!(found.rta_ms, 970);
    assert_eq!(found.rta_ms, found.parts.values().sum::<u64>());
    assert_eq!((found.detected_at, found.declared_at, found.approved_at), (Some(900), 1_000, Some(1_300)));
    assert_eq!((found.executed_at, found.validated_at, found.ended_at), (Some(1_827), Some(1_830), Some(1_870)));
    let people = found.waits.iter().find(|wait| wait.part == Part::People).unwrap();
    assert_eq!(
        (people.step.as_ref(), people.by.as_slice(), people.ms),
        (Some(&id("go")), &["ada".to_owned()][..], 300)
    );
    assert_eq!(found.waits[0].part, Part::Retries, "the longest comes first");
}

#[test]
fn a_cleanup_is_no_part_of_a_recovery() {
    let mut hand = Hand::new(PlanBuilder::new().step("a").makes("a folder").build());
    hand.follow();
    hand.now += 50;
    hand.end("a", done());
    hand.now += 9_000;
    let kind = decide::attempt_finished(
        &hand.state,
        &id("a"),
        lifeboat_core::ports::Direction::Cleanup,
        1,
        done(),
        false,
        (hand.now, 0),
    );
    hand.apply(kind.unwrap());
    hand.follow();
    let found = measure(&hand.events).unwrap();
    assert_eq!((found.rta_ms, found.ended_at), (50, Some(1_050)));
}

#[test]
fn a_sentinel_says_more_than_the_time_of_a_snapshot() {
    let mut plan = PlanBuilder::new().step("back").step("look").after(["back"]).step("other").build();
    plan.steps[1].kind = StepKind::Validate;
    let used = |role: &str, target: &str| TargetUse { role: role.to_owned(), target: target.to_owned() };
    plan.steps[0].targets.push(used("into", "standby"));
    plan.steps[1].targets.push(used("target", "standby"));
    plan.steps[2].targets.push(used("into", "files"));
    let mut hand = Hand::new(plan);
    hand.follow();
    hand.now += 10;
    hand.end("back", with(json!({ "snapshot": "a1", "time_ms": 700 })));
    hand.end("other", with(json!({ "snapshot": "b1", "time_ms": 950 })));
    hand.end("look", with(json!({ "checked": 1, "sentinel_ms": 640 })));
    let found = measure(&hand.events).unwrap();
    assert_eq!(found.rpa_ms, Some(360));
    let loss = |target: &str| found.losses.iter().find(|loss| loss.target == target).unwrap().clone();
    assert_eq!((loss("standby").basis, loss("standby").lost_ms), (Basis::Sentinel, 360));
    assert_eq!((loss("files").basis, loss("files").lost_ms), (Basis::Snapshot, 50));
    assert!(measure(&[]).is_err());
}

#[test]
fn a_drill_passes_when_nothing_is_missing() {
    let mut plan = PlanBuilder::new().step("back").makes("a folder").step("look").after(["back"]).build();
    plan.steps[0].targets.push(TargetUse { role: "into".to_owned(), target: "standby".to_owned() });
    plan.steps[1].kind = StepKind::Validate;
    (plan.objectives.rto_ms, plan.objectives.rpo_ms) = (Some(1_000), Some(500));
    let told = |took: u64, taken: u64, checks: serde_json::Value, removed: Outcome| {
        let mut hand = Hand::new(plan.clone());
        hand.follow();
        hand.now += took;
        hand.end("back", with(json!({ "time_ms": taken }))).end("look", with(json!({ "checks": checks })));
        let direction = lifeboat_core::ports::Direction::Cleanup;
        let kind = decide::attempt_finished(&hand.state, &id("back"), direction, 1, removed, false, (hand.now, 0));
        hand.apply(kind.unwrap());
        hand.follow();
        let found = measure(&hand.events).unwrap();
        let drill = lifeboat_core::verified::Drill::of(&hand.state, &found);
        let verdict = lifeboat_core::verified::verdict(&hand.state, &found);
        assert_eq!((drill.passed, drill.at, &drill.source), (verdict.passed, 1_000 + took, &hand.state.plan.source));
        verdict.because
    };
    let caught = json!([{ "caught": true }]);
    assert_eq!(told(10, 900, caught.clone(), done()), Vec::<String>::new());
    assert_eq!(told(2_000, 900, caught.clone(), done()), ["it took longer than the RTO"]);
    assert_eq!(told(10, 400, caught.clone(), done()), ["more was lost than the RPO allows"]);
    let missed = json!([{ "caught": true }, { "caught": false }]);
    assert_eq!(told(10, 900, missed, done()), ["its checks would miss 1 of 2 damages"]);
    assert_eq!(told(10, 900, caught, failed(FailureKind::Permanent)), ["1 of 1 left"]);
    let mut bad = Hand::new(PlanBuilder::new().step("a").build());
    bad.follow().end("a", failed(FailureKind::Permanent));
    let found = measure(&bad.events).unwrap();
    assert_eq!(lifeboat_core::verified::verdict(&bad.state, &found).because, ["it failed at a"]);
}
