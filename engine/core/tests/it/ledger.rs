//! The ledger: written before anything is made, worked off at the end, however the run ends.

use lifeboat_core::decide;
use lifeboat_core::event::{Event, EventKind, RunResult};
use lifeboat_core::ledger::{self, Made};
use lifeboat_core::outcome::{FailureKind, Outcome};
use lifeboat_core::plan::Effect;
use lifeboat_core::ports::Direction;
use lifeboat_core::state::{RunStatus, Summary};
use lifeboat_testkit::{PlanBuilder, said};
use serde_json::json;

use crate::{Hand, done, failed, id, unknown};

fn two() -> lifeboat_core::Plan {
    PlanBuilder::new().step("a").makes("a folder").step("b").makes("a zone").after(["a"]).step("c").after(["b"]).build()
}

/// The removal that is under way ends like this; then what follows.
fn removed(hand: &mut Hand, step: &str, outcome: Outcome) {
    let number = hand.state.step(&id(step)).unwrap().1.ledger.as_ref().unwrap().attempts;
    let time = (hand.now, 0);
    let kind = decide::attempt_finished(&hand.state, &id(step), Direction::Cleanup, number, outcome, false, time);
    hand.apply(kind.expect("it is under way"));
    hand.follow();
}

fn words(hand: &Hand) -> Vec<&'static str> {
    hand.events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::ResourcesIntended { .. } => Some("intended"),
            EventKind::AttemptStarted { direction: Direction::Forward, .. } => Some("started"),
            EventKind::AttemptStarted { direction: Direction::Cleanup, .. } => Some("removing"),
            EventKind::CleanupStarted { .. } => Some("cleanup"),
            EventKind::RunFinished { .. } => Some("finished"),
            _ => None,
        })
        .collect()
}

#[test]
fn the_intent_comes_right_before_the_first_attempt_and_the_newest_goes_first() {
    let mut hand = Hand::new(two());
    hand.follow().end("a", done()).end("b", done()).end("c", done());
    assert_eq!(hand.state.status(), RunStatus::Cleaning);
    assert_eq!(ledger::left(&hand.state), (2, 2));
    assert_eq!(Summary::of(&hand.state).left, 2);
    assert!(hand.state.step(&id("b")).is_some_and(|(_, now)| {
        now.phase.as_str() == "done" && matches!(now.ledger.as_ref().unwrap().made, Made::Removing { number: 1, .. })
    }));
    removed(&mut hand, "b", done());
    assert_eq!((ledger::left(&hand.state), hand.state.status()), ((1, 2), RunStatus::Cleaning));
    removed(&mut hand, "a", done());
    assert_eq!((ledger::left(&hand.state), hand.state.status()), ((0, 2), RunStatus::Succeeded));
    let all = words(&hand);
    let wanted =
        ["intended", "started", "intended", "started", "started", "cleanup", "removing", "removing", "finished"];
    assert_eq!(all, wanted);
    assert!(Summary::of(&hand.state).left_until.is_none());
    assert!(decide::cleanup(&hand.state, said("ada")).is_err_and(|error| error.code.0 == "LB1151"));
}

#[test]
fn a_retry_makes_no_second_entry_and_a_failed_run_is_cleaned_up_and_closed() {
    let plan = PlanBuilder::new().step("a").makes("a folder").retry(1, 100).build();
    let mut hand = Hand::new(plan);
    hand.follow().end("a", failed(FailureKind::Temporary));
    hand.now += 1_000;
    hand.follow().end("a", failed(FailureKind::Temporary));
    assert_eq!(words(&hand), ["intended", "started", "started", "cleanup", "removing"]);
    removed(&mut hand, "a", done());
    assert_eq!((hand.state.status(), hand.phase("a")), (RunStatus::Failed, "failed"));
    // What it made is gone, so nobody goes on from here.
    assert!(decide::retry(&hand.state, &id("a"), said("ada")).is_err());
    assert!(!hand.allows(&EventKind::StepRetried { step: id("a"), said: said("ada") }));
    assert!(!hand.allows(&EventKind::StepSkipped { step: id("a"), said: said("ada") }));
}

#[test]
fn what_cannot_be_removed_is_named_and_a_person_may_try_again() {
    let mut hand = Hand::new(two());
    hand.follow().end("a", done()).end("b", done()).end("c", done());
    // A removal is idempotent: what nobody knows is simply tried again.
    removed(&mut hand, "b", unknown());
    assert!(matches!(hand.state.step(&id("b")).unwrap().1.ledger.as_ref().unwrap().made, Made::Waiting { .. }));
    assert!(hand.state.waits_for_time() && lifeboat_core::actions::wake_after(&hand.state, hand.now).is_some());
    hand.now += 60_000;
    hand.follow();
    removed(&mut hand, "b", failed(FailureKind::Permanent));
    removed(&mut hand, "a", done());
    assert_eq!((hand.state.status(), ledger::left(&hand.state)), (RunStatus::Succeeded, (1, 2)));
    let line = ledger::lines(&hand.state).into_iter().find(|line| line.state == "left").unwrap();
    assert!(line.step == "b" && line.failure.is_some() && line.resource.what == "a zone");
    let ended = hand.state.worked_until;
    hand.now += 1_000_000;
    hand.apply(decide::cleanup(&hand.state, said("ada")).unwrap());
    assert_eq!(hand.state.status(), RunStatus::Cleaning);
    hand.follow();
    removed(&mut hand, "b", done());
    assert_eq!((hand.state.status(), ledger::left(&hand.state)), (RunStatus::Succeeded, (0, 2)));
    assert_eq!(hand.state.worked_until, ended, "a late cleanup makes no recovery longer");
}

#[test]
fn a_cancelled_an_unwound_and_an_abandoned_run_are_cleaned_up() {
    let mut cancelled = Hand::new(two());
    cancelled.follow().end("a", done());
    cancelled.apply(decide::cancel(&cancelled.state, false, said("ada")).unwrap());
    cancelled.follow().end("b", failed(FailureKind::Cancelled));
    removed(&mut cancelled, "b", done());
    removed(&mut cancelled, "a", done());
    assert_eq!((cancelled.state.status(), ledger::left(&cancelled.state)), (RunStatus::Cancelled, (0, 2)));

    let plan = PlanBuilder::new()
        .compensate_on_failure()
        .step("a")
        .makes("a folder")
        .effect(Effect::Compensatable)
        .step("bad")
        .after(["a"]);
    let mut unwound = Hand::new(plan.build());
    unwound.follow().end("a", done()).end("bad", failed(FailureKind::Permanent)).end("a", done());
    assert_eq!((unwound.state.status(), unwound.phase("a")), (RunStatus::Cleaning, "undone"));
    removed(&mut unwound, "a", done());
    assert_eq!((unwound.state.status(), unwound.phase("a")), (RunStatus::Failed, "undone"));

    let mut abandoned = Hand::new(two());
    abandoned.follow().end("a", done());
    assert!(decide::cleanup(&abandoned.state, said("ada")).is_err_and(|error| error.code.0 == "LB1150"));
    abandoned.apply(decide::abandon(&abandoned.state, said("ada")).unwrap());
    assert_eq!((abandoned.state.status(), ledger::left(&abandoned.state)), (RunStatus::Abandoned, (2, 2)));
    abandoned.apply(decide::cleanup(&abandoned.state, said("bo")).unwrap());
    abandoned.follow();
    removed(&mut abandoned, "b", done());
    // Abandoned in the middle of a removal, it is not known to be done, and is done again.
    abandoned.apply(decide::abandon(&abandoned.state, said("bo")).unwrap());
    assert_eq!(ledger::left(&abandoned.state), (1, 2));
    abandoned.apply(decide::cleanup(&abandoned.state, said("bo")).unwrap());
    abandoned.follow();
    removed(&mut abandoned, "a", done());
    assert_eq!((abandoned.state.status(), ledger::left(&abandoned.state)), (RunStatus::Abandoned, (0, 2)));
}

#[test]
fn what_does_not_follow_is_refused() {
    let mut hand = Hand::new(two());
    hand.follow();
    let entry = |step: &str| EventKind::ResourcesIntended {
        step: id(step),
        resources: hand.state.step(&id("a")).unwrap().1.ledger.as_ref().unwrap().resources.clone(),
    };
    assert!(!hand.allows(&entry("a")), "twice");
    assert!(!hand.allows(&EventKind::ResourcesIntended { step: id("b"), resources: Vec::new() }));
    let cleanup = |then| EventKind::CleanupStarted { then, said: None };
    assert!(!hand.allows(&cleanup(RunResult::Failed)), "an attempt is under way");
    let removal = EventKind::AttemptStarted {
        step: id("a"),
        direction: Direction::Cleanup,
        number: 1,
        key: lifeboat_core::Digest::of(b"k"),
        token: 99,
    };
    assert!(!hand.allows(&removal), "the run goes on");
    hand.end("a", done()).end("b", done());
    assert!(!hand.allows(&cleanup(RunResult::Succeeded)));
    hand.end("c", done());
    assert!(!hand.allows(&EventKind::RunFinished { result: RunResult::Succeeded }), "something is left");
    assert!(!hand.allows(&cleanup(RunResult::Succeeded)), "twice");
    let restored = lifeboat_core::apply::replay(&hand.events).unwrap();
    assert_eq!(ledger::left(&restored), ledger::left(&hand.state));
    assert_eq!(decide::recover(&restored, hand.now).len(), 1, "the removal that was under way");
}

#[test]
fn an_entry_names_the_place_with_the_run_in_it() {
    let mut plan = PlanBuilder::new().step("a").makes("what is restored").build();
    let settings = json!({ "root": "/srv/drill/{{run.id}}/x" });
    assert!(ledger::is_own(&settings) && !ledger::is_own(&json!({ "root": "/srv", "label": "{{run.id}}" })));
    let target = lifeboat_core::plan::Target {
        name: "scratch".to_owned(),
        plugin: "fs".to_owned(),
        site: None,
        settings,
        secrets: [].into(),
        lock: None,
    };
    plan.targets.insert("scratch".to_owned(), target);
    let mut hand = Hand::new(plan);
    hand.follow();
    let run = hand.state.run.clone();
    let entry = hand.state.step(&id("a")).unwrap().1.ledger.clone().unwrap();
    assert_eq!(entry.resources[0].place, format!("/srv/drill/{run}/x"));
    assert_eq!(entry.resources[0].expires_at, hand.now + 3_600_000);
    let event: Event = hand.events[1].clone();
    assert!(matches!(event.kind, EventKind::ResourcesIntended { .. }));
}
