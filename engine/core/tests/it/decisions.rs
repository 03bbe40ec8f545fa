//! What is decided: retries, doubts, unwinding, cancelling, approvals, verbs.

use lifeboat_core::event::{EventKind, RunResult};
use lifeboat_core::ids::Digest;
use lifeboat_core::outcome::{FailureKind, ProbeAnswer};
use lifeboat_core::plan::{Effect, InDoubt};
use lifeboat_core::state::{Phase, RunStatus};
use lifeboat_core::{Error, decide};
use lifeboat_testkit::{PlanBuilder, said};
use serde_json::json;

use crate::{FORWARD, Hand, done, failed, id, unknown};

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().code.to_string()
}

fn cannot_tell() -> ProbeAnswer {
    ProbeAnswer::CannotTell { reason: "blind".to_owned() }
}

#[test]
fn retries_are_counted_and_come_at_their_time() {
    let mut hand = Hand::new(PlanBuilder::new().step("a").retry(2, 100).build());
    hand.follow();
    for delay in [100, 200] {
        hand.end("a", failed(FailureKind::Temporary));
        assert_eq!(lifeboat_core::actions::wake_after(&hand.state, hand.now), Some(hand.now + delay));
        assert_eq!(decide::wanted(&hand.state, hand.now + delay - 1), 0);
        assert_eq!(decide::wanted(&hand.state, hand.now + delay), 1);
        hand.now += delay;
        hand.follow();
        assert_eq!(hand.phase("a"), "running");
    }
    hand.end("a", failed(FailureKind::Temporary));
    assert_eq!(hand.state.status(), RunStatus::Failed);
    hand.apply(decide::retry(&hand.state, &id("a"), said("ada")).unwrap());
    hand.follow().end("a", failed(FailureKind::Temporary));
    assert_eq!(hand.phase("a"), "retrying", "a person's retry gives the policy's retries anew");
}

#[test]
fn only_failures_that_may_pass_are_tried_again() {
    for (kind, phase) in [
        (FailureKind::Temporary, "retrying"),
        (FailureKind::Sandbox, "retrying"),
        (FailureKind::Permanent, "failed"),
        (FailureKind::Refused, "failed"),
        (FailureKind::Cancelled, "failed"),
    ] {
        let mut hand = Hand::new(PlanBuilder::new().step("a").retry(5, 100).build());
        hand.follow().end("a", failed(kind));
        assert_eq!(hand.phase("a"), phase, "{kind:?}");
    }
}

#[test]
fn a_late_answer_is_dropped() {
    let mut hand = Hand::new(PlanBuilder::new().step("a").retry(1, 100).build());
    hand.follow().end("a", failed(FailureKind::Temporary));
    let late = decide::attempt_finished(&hand.state, &id("a"), FORWARD, 1, done(), false, (0, 0));
    assert_eq!(late, None);
    assert_eq!(decide::probed(&hand.state, &id("a"), 1, ProbeAnswer::DidNotHappen, (0, 0)), None);
}

#[test]
fn doubts_end_by_probe_then_by_policy() {
    let answers = [
        (Effect::Irreversible, ProbeAnswer::Happened { outputs: json!({}) }, "done"),
        (Effect::Irreversible, ProbeAnswer::DidNotHappen, "retrying"),
        (Effect::Irreversible, cannot_tell(), "asking"),
        (Effect::Compensatable, cannot_tell(), "retrying"),
        (Effect::Reversible, cannot_tell(), "retrying"),
    ];
    for (effect, answer, phase) in answers {
        let mut hand = Hand::new(PlanBuilder::new().step("a").effect(effect).retry(1, 100).build());
        hand.follow().end("a", unknown());
        assert_eq!((hand.phase("a"), hand.state.status()), ("in-doubt", RunStatus::Running));
        assert_eq!(lifeboat_core::actions::probes(&hand.state), [(id("a"), 1)]);
        hand.probed("a", answer.clone());
        assert_eq!(hand.phase("a"), phase, "{effect:?}, {answer:?}");
    }
}

#[test]
fn a_doubt_without_retries_left_fails_or_asks() {
    for (answer, phase) in [(ProbeAnswer::DidNotHappen, "failed"), (cannot_tell(), "asking")] {
        let mut hand = Hand::new(PlanBuilder::new().step("a").build());
        hand.follow().end("a", unknown()).probed("a", answer);
        assert_eq!(hand.phase("a"), phase);
    }
}

#[test]
fn an_interruption_costs_no_retry() {
    for (effect, policy, phase) in [
        (Effect::Read, InDoubt::Probe, "retrying"),
        (Effect::Irreversible, InDoubt::Probe, "in-doubt"),
        (Effect::Irreversible, InDoubt::Rerun, "retrying"),
        (Effect::Irreversible, InDoubt::Ask, "asking"),
    ] {
        let mut hand = Hand::new(PlanBuilder::new().step("a").effect(effect).in_doubt(policy).build());
        hand.follow();
        decide::recover(&hand.state, hand.now).into_iter().for_each(|kind| hand.apply(kind));
        assert_eq!(hand.phase("a"), phase, "{effect:?} {policy:?}");
        assert_eq!(hand.state.step(&id("a")).unwrap().1.failures, 0);
        assert!(decide::recover(&hand.state, hand.now).is_empty(), "once is enough");
    }
    let mut hand = Hand::new(PlanBuilder::new().step("a").effect(Effect::Irreversible).build());
    hand.follow();
    decide::recover(&hand.state, hand.now).into_iter().for_each(|kind| hand.apply(kind));
    hand.probed("a", ProbeAnswer::DidNotHappen);
    assert_eq!(hand.phase("a"), "running", "tried again at once, although the policy has no retries");
}

#[test]
fn effects_are_undone_in_the_reverse_of_the_order_in_which_they_came() {
    let plan = PlanBuilder::new().compensate_on_failure();
    let plan = ["a", "b", "c"].into_iter().fold(plan, |plan, step| plan.step(step).effect(Effect::Compensatable));
    let mut hand = Hand::new(plan.step("bad").after(["a", "b", "c"]).build());
    hand.follow().end("c", done()).end("a", done()).end("b", done());
    hand.end("bad", failed(FailureKind::Permanent));
    assert_eq!(hand.state.status(), RunStatus::Compensating);
    for step in ["b", "a", "c"] {
        assert_eq!(hand.phase(step), "undoing", "one at a time");
        hand.end(step, done());
        assert_eq!(hand.phase(step), "undone");
    }
    assert_eq!((hand.state.result, hand.state.complete()), (Some(RunResult::Failed), 0));
}

#[test]
fn an_undo_that_fails_for_good_is_stuck_and_never_failed() {
    let plan = PlanBuilder::new().compensate_on_failure().step("a").effect(Effect::Compensatable);
    let mut hand = Hand::new(plan.step("bad").after(["a"]).build());
    hand.follow().end("a", done()).end("bad", failed(FailureKind::Permanent));
    hand.end("a", failed(FailureKind::Refused));
    assert_eq!((hand.state.status(), hand.phase("a")), (RunStatus::Stuck, "undo-failed"));
    assert_eq!((decide::wanted(&hand.state, u64::MAX), hand.state.waits_for_time()), (0, false));
    assert_eq!(code(decide::cancel(&hand.state, false, said("ada"))), "LB0502");
    assert_eq!(code(decide::retry(&hand.state, &id("bad"), said("ada"))), "LB0502");
    hand.apply(decide::retry(&hand.state, &id("a"), said("ada")).unwrap());
    hand.follow().end("a", done());
    assert_eq!(hand.state.status(), RunStatus::Failed);
}

#[test]
fn a_cancel_with_compensation_undoes_and_without_does_not() {
    for (compensate, phase) in [(true, "undoing"), (false, "done")] {
        let plan = PlanBuilder::new().step("a").effect(Effect::Compensatable).step("b").after(["a"]).retry(9, 1);
        let mut hand = Hand::new(plan.build());
        hand.follow().end("a", done());
        hand.apply(decide::cancel(&hand.state, compensate, said("ada")).unwrap());
        hand.follow();
        assert_eq!(
            (hand.phase("b"), hand.state.status()),
            ("running", RunStatus::Running),
            "it comes to its end first"
        );
        hand.end("b", failed(FailureKind::Temporary));
        assert_eq!((hand.phase("b"), hand.phase("a")), ("failed", phase));
        if compensate {
            hand.end("a", done());
        }
        assert_eq!(hand.state.status(), RunStatus::Cancelled);
    }
}

#[test]
fn an_approval_counts_people_and_ends_in_time() {
    let plan = PlanBuilder::new().approve("go", 2, Some(500)).build();
    let seen = plan.fingerprint();
    let mut hand = Hand::new(plan);
    hand.follow();
    assert_eq!(hand.state.status(), RunStatus::Waiting);
    let yes = |hand: &Hand, by: &str| decide::approve(&hand.state, &id("go"), &seen, None, said(by));
    assert_eq!(code(decide::approve(&hand.state, &id("go"), &Digest::of(b"other"), None, said("ada"))), "LB0506");
    hand.apply(yes(&hand, "ada").unwrap());
    assert_eq!(code(yes(&hand, "ada")), "LB0502");
    assert_eq!(hand.phase("go"), "approval");
    assert_eq!(lifeboat_core::actions::wake_after(&hand.state, hand.now), Some(1_500));
    hand.now = 1_499;
    hand.follow();
    assert_eq!(hand.phase("go"), "approval");
    hand.now = 1_500;
    hand.follow();
    assert_eq!((hand.phase("go"), hand.state.status()), ("failed", RunStatus::Failed));
    assert_eq!(code(yes(&hand, "bo")), "LB0502");
    assert_eq!(code(decide::skip(&hand.state, &id("go"), said("ada"))), "LB0502");
    hand.apply(decide::retry(&hand.state, &id("go"), said("ada")).unwrap());
    hand.follow();
    let Phase::Approval { given, .. } = &hand.state.step(&id("go")).unwrap().1.phase else { panic!("not asked") };
    assert!(given.is_empty(), "an old yes does not count for a new question");
    let again = yes(&hand, "ada").unwrap();
    hand.apply(again);
    let last = yes(&hand, "bo").unwrap();
    hand.apply(last);
    hand.follow();
    assert_eq!(hand.state.status(), RunStatus::Succeeded);
}

#[test]
fn a_denial_says_who_and_why() {
    let mut hand = Hand::new(PlanBuilder::new().approve("go", 1, None).build());
    hand.follow();
    hand.apply(decide::deny(&hand.state, &id("go"), None, said("ada")).unwrap());
    let Phase::Failed { failure } = &hand.state.step(&id("go")).unwrap().1.phase else { panic!("not failed") };
    assert_eq!(failure.message, "ada said no: a test");
    assert_eq!(code(decide::deny(&hand.state, &id("go"), None, said("ada"))), "LB0502");
}

#[test]
fn verbs_are_legal_only_where_they_make_sense() {
    let mut hand = Hand::new(PlanBuilder::new().step("a").step("b").after(["a"]).wait("w", 100).build());
    hand.follow();
    let retry = |hand: &Hand, step: &str| decide::retry(&hand.state, &id(step), said("ada")).is_ok();
    let skip = |hand: &Hand, step: &str| decide::skip(&hand.state, &id(step), said("ada")).is_ok();
    assert_eq!((skip(&hand, "a"), skip(&hand, "b"), skip(&hand, "w")), (false, true, true));
    assert_eq!((retry(&hand, "a"), retry(&hand, "b"), retry(&hand, "w")), (false, false, false));
    assert_eq!(code(decide::retry(&hand.state, &id("nobody"), said("ada"))), "LB0504");
    // A step that is skipped before its time lets the ones after it go on when theirs has come.
    hand.apply(decide::skip(&hand.state, &id("b"), said("ada")).unwrap());
    hand.apply(decide::skip(&hand.state, &id("w"), said("ada")).unwrap());
    hand.follow().end("a", done());
    assert_eq!((hand.phase("b"), hand.state.status(), hand.state.complete()), ("skipped", RunStatus::Succeeded, 3));
    for step in ["a", "b", "w"] {
        assert!(!skip(&hand, step) && !retry(&hand, step), "{step}: the run has ended");
    }
}

#[test]
fn starts_keep_to_the_limits_of_run_and_round() {
    let hand = Hand::new(PlanBuilder::wide(20).max_parallel(6).build());
    for (starts, begun) in [(0, 0), (3, 3), (100, 6)] {
        let events = decide::advance(&hand.state, decide::Round { now: 0, starts });
        assert_eq!(events.len(), begun);
        assert!(events.iter().all(|kind| matches!(kind, EventKind::AttemptStarted { .. })));
    }
    assert_eq!(decide::wanted(&hand.state, 0), 6);
}

#[test]
fn a_failure_beside_an_open_question_waits_for_the_answer() {
    let plan = PlanBuilder::new().approve("go", 1, None).step("bad").build();
    let mut hand = Hand::new(plan);
    hand.follow().end("bad", failed(FailureKind::Permanent));
    assert_eq!((hand.state.status(), hand.state.result), (RunStatus::Waiting, None));
    hand.apply(decide::deny(&hand.state, &id("go"), None, said("ada")).unwrap());
    hand.follow();
    assert_eq!(hand.state.status(), RunStatus::Failed);
}
