//! What people are told: the status in each situation, and the line in a list of runs.

use lifeboat_core::decide;
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, InDoubt, Mode};
use lifeboat_core::state::{RunStatus, Summary};
use lifeboat_testkit::{PlanBuilder, said};

use crate::{Hand, done, failed, id, unknown};

#[test]
fn the_status_in_each_situation() {
    let mut fresh = Hand::new(PlanBuilder::new().step("a").build());
    assert_eq!(fresh.state.status(), RunStatus::Running);
    fresh.follow();
    assert_eq!(fresh.state.status(), RunStatus::Running);
    fresh.end("a", done());
    assert_eq!(fresh.state.status(), RunStatus::Succeeded);
    assert!(fresh.state.status().is_final());

    let mut timer = Hand::new(PlanBuilder::new().wait("w", 100).build());
    timer.follow();
    assert_eq!((timer.state.status(), timer.state.waits_for_time()), (RunStatus::Waiting, true));

    let mut asked = Hand::new(PlanBuilder::new().approve("go", 1, Some(100)).step("a").build());
    asked.follow();
    assert_eq!(asked.state.status(), RunStatus::Running, "something goes on beside the question");
    asked.end("a", done());
    assert_eq!((asked.state.status(), asked.state.waits_for_time()), (RunStatus::Waiting, false));

    let mut backoff = Hand::new(PlanBuilder::new().step("a").retry(1, 100).build());
    backoff.follow().end("a", failed(FailureKind::Temporary));
    assert_eq!((backoff.state.status(), backoff.state.waits_for_time()), (RunStatus::Running, true));

    let mut stuck = Hand::new(PlanBuilder::new().step("a").in_doubt(InDoubt::Ask).approve("go", 1, None).build());
    stuck.follow().end("a", unknown());
    assert_eq!(stuck.state.status(), RunStatus::Stuck, "a doubt comes before a question");
}

#[test]
fn what_was_left_behind_does_not_hide_that_an_unwinding_is_stuck() {
    let plan = PlanBuilder::new()
        .compensate_on_failure()
        .step("a")
        .effect(Effect::Compensatable)
        .step("doubt")
        .approve("go", 1, None)
        .wait("w", 9_000)
        .step("again")
        .retry(5, 60_000)
        .step("bad")
        .after(["a"]);
    let mut hand = Hand::new(plan.build());
    hand.follow().end("a", done()).end("doubt", unknown()).end("again", failed(FailureKind::Temporary));
    hand.end("bad", failed(FailureKind::Permanent));
    assert_eq!((hand.state.status(), hand.phase("a")), (RunStatus::Compensating, "undoing"));
    hand.end("a", failed(FailureKind::Permanent));
    assert_eq!((hand.state.status(), hand.state.waits_for_time()), (RunStatus::Stuck, false));
    assert_eq!((hand.phase("go"), hand.phase("w"), hand.phase("again")), ("pending", "pending", "pending"));
    assert_eq!(hand.phase("doubt"), "in-doubt", "a doubt is a fact, and stays one");
    assert!(lifeboat_core::actions::probes(&hand.state).is_empty());
    assert_eq!(lifeboat_core::actions::wake_after(&hand.state, 0), None);
    hand.apply(decide::skip(&hand.state, &id("a"), said("ada")).unwrap());
    hand.follow();
    assert_eq!(hand.state.status(), RunStatus::Failed);
}

#[test]
fn a_summary_is_small_and_says_what_a_list_shows() {
    let mut plan = PlanBuilder::chain(3).build();
    plan.runbook = "é".repeat(100_000);
    let mut hand = Hand::new(plan);
    hand.follow().end("s0", done());
    let summary = Summary::of(&hand.state);
    assert_eq!((summary.complete, summary.steps, summary.mode), (1, 3, Mode::Drill));
    assert_eq!((summary.status, summary.created_at, summary.finished_at), (RunStatus::Running, 1_000, None));
    let bytes = serde_json::to_vec(&summary).unwrap();
    assert!(bytes.len() < 4_096, "{}", bytes.len());
    assert_eq!(serde_json::from_slice::<Summary>(&bytes).unwrap(), summary);
    hand.end("s1", done()).end("s2", done());
    assert_eq!(Summary::of(&hand.state).finished_at, Some(1_000));
}
