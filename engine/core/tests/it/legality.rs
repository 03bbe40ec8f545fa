//! Which event may follow in which phase: the whole table.

use lifeboat_core::actions::key;
use lifeboat_core::event::{EventKind, RunResult};
use lifeboat_core::ids::Digest;
use lifeboat_core::outcome::{FailureKind, ProbeAnswer};
use lifeboat_core::plan::{Effect, InDoubt, Plan};
use lifeboat_core::{apply, decide};
use lifeboat_testkit::{PlanBuilder, said};
use serde_json::json;

use crate::{FORWARD, Hand, UNDO, created, done, failed, id, unknown};

/// One step `x` in the phase of that name, beside what is needed to bring it there.
fn in_phase(phase: &str) -> Hand {
    let plan = PlanBuilder::new().compensate_on_failure().step("x").effect(Effect::Compensatable).retry(1, 100);
    let asks = |plan: PlanBuilder| plan.in_doubt(InDoubt::Ask).build();
    // What is unwound needs a step that fails after it.
    let unwound = |plan: PlanBuilder| {
        let mut hand = Hand::new(plan.step("bad").after(["x"]).build());
        hand.follow().end("x", done()).end("bad", failed(FailureKind::Permanent));
        hand
    };
    let mut hand = match phase {
        "pending" => Hand::new(plan.build()),
        "waiting" => Hand::new(PlanBuilder::new().wait("x", 500).build()),
        "approval" => Hand::new(PlanBuilder::new().approve("x", 2, None).build()),
        "asking" => Hand::new(asks(plan)),
        "failed" => Hand::new(PlanBuilder::new().step("x").build()),
        "undoing" | "undone" | "undo-failed" | "undo-retrying" => unwound(plan),
        _ => Hand::new(plan.step("later").after(["x"]).build()),
    };
    if phase != "pending" {
        hand.follow();
    }
    match phase {
        "pending" | "running" | "waiting" | "approval" | "undoing" => &mut hand,
        "retrying" | "undo-retrying" => hand.end("x", failed(FailureKind::Temporary)),
        "in-doubt" | "asking" => hand.end("x", unknown()),
        "done" | "undone" => hand.end("x", done()),
        "failed" | "undo-failed" => hand.end("x", failed(FailureKind::Permanent)),
        other => panic!("{other}"),
    };
    let word = if phase == "undo-retrying" { "retrying" } else { phase };
    assert_eq!(hand.phase("x"), word);
    hand
}

/// Every kind of event about `x` that can follow something, by a short name.
fn events(hand: &Hand) -> Vec<(&'static str, EventKind)> {
    let now = hand.state.step(&id("x")).unwrap().1;
    let started = |direction, before: u32| EventKind::AttemptStarted {
        step: id("x"),
        direction,
        number: before + 1,
        key: key(&hand.state.run, &id("x")),
        token: hand.state.token + 1,
    };
    let finished = |direction, number| EventKind::AttemptFinished {
        step: id("x"),
        direction,
        number,
        outcome: done(),
        retry_at: None,
        interrupted: false,
    };
    let fingerprint = Digest::of(b"plan");
    let (step, said) = (id("x"), said("ada"));
    vec![
        ("start", started(FORWARD, now.attempts)),
        ("undo", started(UNDO, now.undo_attempts)),
        ("finish", finished(FORWARD, now.attempts)),
        ("finish-undo", finished(UNDO, now.undo_attempts)),
        ("checkpoint", EventKind::Checkpointed { step: step.clone(), number: now.attempts.max(1), value: json!(1) }),
        (
            "probed",
            EventKind::Probed {
                step: step.clone(),
                number: now.attempts,
                answer: ProbeAnswer::DidNotHappen,
                retry_at: None,
            },
        ),
        (
            "ask",
            EventKind::ApprovalRequested { step: step.clone(), fingerprint: fingerprint.clone(), expires_at: None },
        ),
        ("approve", EventKind::Approved { step: step.clone(), fingerprint, role: None, said: said.clone() }),
        ("deny", EventKind::Denied { step: step.clone(), said: said.clone() }),
        ("expire", EventKind::ApprovalExpired { step: step.clone() }),
        ("wait", EventKind::WaitStarted { step: step.clone(), until: 9 }),
        ("wait-end", EventKind::WaitEnded { step: step.clone() }),
        ("retry", EventKind::StepRetried { step: step.clone(), said: said.clone() }),
        ("skip", EventKind::StepSkipped { step, said: said.clone() }),
        ("cancel", EventKind::CancelRequested { compensate: true, said }),
        ("unwind", EventKind::UnwindStarted { cause: None }),
        ("succeed", EventKind::RunFinished { result: RunResult::Succeeded }),
        ("end", EventKind::RunFinished { result: RunResult::Failed }),
    ]
}

#[test]
fn the_table_of_what_may_follow() {
    // The log is not the place for wisdom: `end` and `unwind` may follow wherever nothing is under way.
    let table = [
        ("pending", "start ask wait skip cancel unwind end"),
        ("running", "finish checkpoint cancel"),
        ("retrying", "start skip cancel unwind end"),
        ("in-doubt", "probed skip cancel unwind end"),
        ("asking", "retry skip cancel unwind end"),
        ("approval", "approve deny expire cancel unwind end"),
        ("waiting", "wait-end skip cancel unwind end"),
        ("done", "cancel"),
        ("failed", "retry skip"),
        ("undoing", "finish-undo checkpoint"),
        ("undo-retrying", "undo end"),
        ("undo-failed", "retry skip end"),
        ("undone", ""),
    ];
    for (phase, legal) in table {
        let hand = in_phase(phase);
        let allowed: Vec<&str> =
            events(&hand).into_iter().filter(|(_, kind)| hand.allows(kind)).map(|(name, _)| name).collect();
        assert_eq!(allowed.join(" "), legal, "in phase {phase}");
    }
}

#[test]
fn tokens_and_numbers_only_grow() {
    let hand = in_phase("retrying");
    let start = |number, token| EventKind::AttemptStarted {
        step: id("x"),
        direction: FORWARD,
        number,
        key: key(&hand.state.run, &id("x")),
        token,
    };
    assert!(hand.allows(&start(2, 2)) && hand.allows(&start(2, 7)));
    for (number, token) in [(1, 2), (3, 2), (2, 1), (2, 0)] {
        assert!(!hand.allows(&start(number, token)), "attempt {number} with token {token}");
    }
    let late = EventKind::AttemptFinished {
        step: id("x"),
        direction: FORWARD,
        number: 2,
        outcome: done(),
        retry_at: None,
        interrupted: false,
    };
    assert!(!in_phase("running").allows(&late), "an attempt that never began");
}

#[test]
fn a_step_starts_only_after_those_before_it() {
    let mut hand = Hand::new(PlanBuilder::new().step("a").step("b").after(["a"]).build());
    let start = |hand: &Hand| EventKind::AttemptStarted {
        step: id("b"),
        direction: FORWARD,
        number: 1,
        key: key(&hand.state.run, &id("b")),
        token: 99,
    };
    assert!(!hand.allows(&start(&hand)));
    hand.follow();
    assert!(!hand.allows(&start(&hand)), "a is only under way");
    hand.end("a", done());
    assert_eq!(hand.phase("b"), "running");
}

#[test]
fn nobody_approves_twice_and_unknown_steps_are_refused() {
    let mut hand = in_phase("approval");
    let yes =
        |by: &str| EventKind::Approved { step: id("x"), fingerprint: Digest::of(b""), role: None, said: said(by) };
    hand.apply(yes("ada"));
    assert!(!hand.allows(&yes("ada")) && hand.allows(&yes("bo")));
    assert!(!hand.allows(&EventKind::WaitEnded { step: id("nobody") }));
}

#[test]
fn plans_that_are_no_plans_make_no_run() {
    let create = |plan: Plan| apply::create(&lifeboat_core::event::Event::new(1, created(plan)));
    let mut later = PlanBuilder::new().step("a").build();
    later.format += 1;
    let twice = PlanBuilder::new().step("a").step("a").build();
    let unknown_step = PlanBuilder::new().step("a").after(["b"]).build();
    for plan in [later, twice, unknown_step] {
        assert_eq!(create(plan).unwrap_err().code.to_string(), "LB0503");
    }
    assert!(apply::replay(&[]).is_err());
    let orphan = lifeboat_core::event::Event::new(1, EventKind::WaitEnded { step: id("a") });
    assert!(apply::replay(&[orphan]).is_err());
}

#[test]
fn an_error_names_the_event_that_cannot_follow() {
    let mut hand = in_phase("running");
    let wrong = EventKind::WaitEnded { step: id("x") };
    hand.events.push(lifeboat_core::event::Event::new(5, wrong));
    let error = apply::replay(&hand.events).unwrap_err();
    assert_eq!(error.context, [("event".to_owned(), "3".to_owned())]);
}

#[test]
fn a_plan_that_goes_in_a_circle_ends_as_failed_and_not_in_a_hang() {
    let plan = PlanBuilder::new().step("a").after(["b"]).step("b").after(["a"]).build();
    let mut hand = Hand::new(plan);
    hand.follow();
    assert_eq!(hand.state.result, Some(RunResult::Failed));
    assert_eq!(decide::wanted(&hand.state, 0), 0);
}
