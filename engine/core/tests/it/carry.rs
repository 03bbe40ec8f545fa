//! Going on in another mode: what is taken over, what is not, and that the new run keeps to its plan all the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use lifeboat_core::actions::key_of;
use lifeboat_core::carry::{Continues, Fate, Handover, continues, handover};
use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::{Digest, RunId, StepId};
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, Mode, Plan, StepKind};
use lifeboat_core::state::{Phase, RunState};
use lifeboat_core::{apply, decide};
use lifeboat_testkit::{PlanBuilder, SeededRng, random_case, said};
use serde_json::json;

use crate::{Hand, done, failed, id, unknown};

pub(crate) fn as_mode(mut plan: Plan, mode: Mode) -> Plan {
    plan.mode = mode;
    plan
}

pub(crate) fn switchover(plan: PlanBuilder) -> Hand {
    Hand::new(as_mode(plan.build(), Mode::Switchover))
}

pub(crate) fn failover(plan: PlanBuilder) -> Plan {
    as_mode(plan.build(), Mode::Failover)
}

fn fates(found: &Handover) -> Vec<(&str, &'static str)> {
    found.steps.iter().map(|row| (row.step.as_str(), row.fate.as_str())).collect()
}

fn successor() -> RunId {
    nth(1)
}

fn nth(number: u64) -> RunId {
    RunId::new(1_700_000_000_500, number)
}

/// The run ends for its successor, which is made.
pub(crate) fn go_on(hand: &mut Hand, plan: &Plan) -> Hand {
    go_on_as(hand, plan, 1)
}

pub(crate) fn go_on_as(hand: &mut Hand, plan: &Plan, number: u64) -> Hand {
    let kind = decide::continue_as(&hand.state, nth(number), plan.clone(), String::new(), said("ada")).unwrap();
    let EventKind::RunContinued { carried, begun, .. } = kind.clone() else { panic!("{kind:?}") };
    hand.now += 1_000;
    hand.apply(kind);
    let taken = continues(&hand.state, &carried, &begun, hand.state.seq, Digest::of(b"chain"));
    made(nth(number), taken, plan, hand)
}

fn made(run: RunId, taken: Continues, plan: &Plan, earlier: &Hand) -> Hand {
    let kind = EventKind::RunCreated {
        run,
        fingerprint: plan.fingerprint(),
        plan: Box::new(plan.clone()),
        runbook: String::new(),
        engine: "lifeboat 0.1.0".to_owned(),
        detected_at: earlier.state.detected_at,
        continues: Some(Box::new(taken)),
        said: said("ada"),
    };
    let event = Event::new(earlier.now + 500, kind);
    let state = apply::create(&event).unwrap();
    assert_eq!(Event::decode(&event.encode().unwrap()).unwrap(), event);
    Hand { state, events: vec![event], now: earlier.now + 500 }
}

#[test]
fn what_is_done_and_the_same_is_taken_over_with_its_outputs() {
    let plan = || {
        let copy = PlanBuilder::new().step("take").step("copy").after(["take"]);
        copy.args(json!({ "snapshot": "{{steps.take.ok}}" }))
    };
    let mut hand = switchover(plan().step("fence").after(["copy"]));
    hand.follow().end("take", done()).end("copy", done()).end("fence", failed(FailureKind::Permanent));
    let next = failover(plan().step("cutover").after(["copy"]));
    let found = handover(&hand.state, &next).unwrap();
    assert_eq!(fates(&found), [("take", "carried over"), ("copy", "carried over"), ("cutover", "runs")]);
    assert!(found.left.is_empty(), "a step that failed left nothing: {:?}", found.left);
    let mut new = go_on(&mut hand, &next);
    assert_eq!((hand.state.status().as_str(), hand.state.continued_as.as_ref()), ("failed", Some(&successor())));
    let (_, take) = new.state.step(&id("take")).unwrap();
    assert_eq!((take.attempts, take.outputs.clone()), (0, Some(json!({ "ok": true }))));
    assert_eq!(take.carried.as_ref().map(|from| (&from.run, from.attempt)), Some((&hand.state.run, 1)));
    new.follow();
    assert_eq!((new.phase("take"), new.phase("cutover")), ("done", "running"));
    new.end("cutover", done());
    assert_eq!(new.state.status().as_str(), "succeeded");
    // The time counts from the first run, and what data was lost from the second: the source was there until then.
    assert_eq!((new.state.declared_at(), new.state.recovery_since()), (1_000, 1_000));
    assert_eq!(new.state.disaster_at(), new.state.created_at);
    let measured = lifeboat_core::measure::measure(&new.events).unwrap();
    assert_eq!((measured.declared_at, measured.parts["earlier"]), (1_000, new.state.created_at - 1_000));
    assert_eq!(measured.rta_ms, measured.parts.values().sum::<u64>());
}

#[test]
fn what_is_different_runs_again_and_so_does_what_rests_on_it() {
    let plan = |place: &str| {
        let first = PlanBuilder::new().input("place", json!(place)).step("restore");
        let named = first.args(json!({ "into": "{{inputs.place}}" })).step("smoke").after(["restore"]);
        named.step("apart").step("own").args(json!({ "folder": "/srv/{{run.id}}" }))
    };
    let mut hand = switchover(plan("a"));
    hand.follow().end("restore", done()).end("smoke", done()).end("apart", done());
    hand.end("own", done());
    assert_eq!(handover(&hand.state, &failover(plan("a"))).unwrap_err().code.0, "LB1222", "it has succeeded");
    let mut hand = switchover(plan("a").step("last"));
    hand.follow().end("restore", done()).end("smoke", done()).end("apart", done()).end("own", done());
    let found = handover(&hand.state, &failover(plan("b"))).unwrap();
    let expected =
        [("restore", "runs again"), ("smoke", "runs again"), ("apart", "carried over"), ("own", "runs again")];
    assert_eq!(fates(&found), expected);
    let why: Vec<&str> = found
        .steps
        .iter()
        .filter_map(|row| match &row.fate {
            Fate::Again { because } => Some(because.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        why,
        ["input 'place' has another value", "it comes after 'restore', which runs", "it names the run itself"]
    );
    let left: Vec<_> = found.left.iter().map(|left| (left.step.as_str(), left.phase)).collect();
    assert_eq!(left, [("last", "running")], "what it leaves is told");
}

#[test]
fn approvals_are_asked_for_anew_and_nothing_passes_them() {
    let plan = || PlanBuilder::new().approve("go", 1, None).step("a").after(["go"]).step("b").after(["a"]);
    let mut hand = switchover(plan());
    hand.follow();
    let yes = decide::approve(&hand.state, &id("go"), &hand.state.fingerprint, None, said("ada")).unwrap();
    hand.apply(yes);
    hand.follow().end("a", done()).end("b", failed(FailureKind::Permanent));
    let next = failover(plan());
    assert_eq!(
        fates(&handover(&hand.state, &next).unwrap()),
        [("go", "runs"), ("a", "carried over"), ("b", "goes on")]
    );
    let mut new = go_on(&mut hand, &next);
    new.follow();
    assert_eq!((new.phase("go"), new.phase("a"), new.phase("b")), ("approval", "done", "pending"));
    let old = decide::approve(&new.state, &id("go"), &hand.state.fingerprint, None, said("ada"));
    assert_eq!(old.unwrap_err().code.0, "LB0506", "an approval of the earlier plan is none of this one");
    let yes = decide::approve(&new.state, &id("go"), &new.state.fingerprint, None, said("ada")).unwrap();
    new.apply(yes);
    new.follow();
    assert_eq!(new.phase("b"), "running");
}

#[test]
fn nothing_in_doubt_is_repeated_and_nothing_is_done_to_a_run_under_way() {
    let plan = || PlanBuilder::new().step("cut").effect(Effect::Irreversible);
    let mut hand = switchover(plan().step("tidy"));
    hand.follow();
    let next = || failover(plan());
    let go_on = |hand: &Hand, plan| decide::continue_as(&hand.state, successor(), plan, String::new(), said("ada"));
    assert_eq!(go_on(&hand, next()).unwrap_err().code.0, "LB1224", "attempts are under way");
    hand.end("cut", unknown()).end("tidy", failed(FailureKind::Permanent));
    assert_eq!(go_on(&hand, next()).unwrap_err().code.0, "LB1224", "the plugin is still to be asked");
    hand.probed("cut", lifeboat_core::outcome::ProbeAnswer::CannotTell { reason: "gone".to_owned() });
    assert_eq!(hand.phase("cut"), "asking");
    let refused = go_on(&hand, next()).unwrap_err();
    assert!(refused.code.0 == "LB1224" && refused.message.contains("'cut'"), "{refused}");
    let found = handover(&hand.state, &next()).unwrap();
    assert_eq!((fates(&found), found.open().count()), (vec![("cut", "in doubt")], 1));
    // A plan without the step repeats nothing; what may be there is told.
    let without = failover(PlanBuilder::new().step("other"));
    let found = handover(&hand.state, &without).unwrap();
    assert_eq!(found.left.iter().map(|left| (left.step.as_str(), left.phase)).collect::<Vec<_>>(), [("cut", "asking")]);
    assert!(go_on(&hand, without).is_ok());
    let skipped = decide::mark_done(&hand.state, &id("cut"), json!({}), Vec::new(), said("ada")).unwrap();
    hand.apply(skipped);
    assert_eq!(fates(&handover(&hand.state, &next()).unwrap()), [("cut", "carried over")]);
}

#[test]
fn an_ended_line_goes_on_once_and_never_as_a_drill() {
    let plan = || PlanBuilder::new().step("a");
    let mut hand = switchover(plan());
    hand.follow().end("a", failed(FailureKind::Permanent));
    let code = |hand: &Hand, plan: &Plan| handover(&hand.state, plan).unwrap_err().code.0;
    assert_eq!(code(&hand, &as_mode(plan().build(), Mode::Drill)), "LB1220");
    assert_eq!(code(&hand, &as_mode(plan().build(), Mode::Switchover)), "LB1221");
    let mut other = failover(plan());
    other.runbook = "another".to_owned();
    assert_eq!(code(&hand, &other), "LB1221");
    let drill = Hand::new(plan().build());
    assert_eq!(code(&drill, &failover(plan())), "LB1220");
    let next = failover(plan());
    let new = go_on(&mut hand, &next);
    assert_eq!(code(&hand, &as_mode(plan().build(), Mode::Failback)), "LB1223");
    assert_eq!(decide::retry(&hand.state, &id("a"), said("ada")).unwrap_err().code.0, "LB1223");
    assert!(!hand.allows(&EventKind::StepRetried { step: id("a"), said: said("ada") }), "not by a log either");
    assert_eq!(new.state.continues.as_ref().map(|earlier| &earlier.run), Some(&hand.state.run));
    // The new one may be gone on with again: what it took over keeps its origin.
    let mut second = new;
    second.follow().end("a", failed(FailureKind::Permanent));
    let third = as_mode(plan().build(), Mode::Failback);
    assert_eq!(fates(&handover(&second.state, &third).unwrap()), [("a", "goes on")]);
    // Forged: a drill that continues something is no run.
    let mut forged = second.events[0].clone();
    let EventKind::RunCreated { plan, .. } = &mut forged.kind else { unreachable!() };
    plan.mode = Mode::Drill;
    assert_eq!(apply::create(&forged).unwrap_err().code.0, "LB0503");
}

#[test]
fn what_was_taken_over_is_undone_under_the_key_that_it_was_done_under() {
    let plan = || {
        let first = PlanBuilder::new().compensate_on_failure().step("a").effect(Effect::Compensatable).lock("db");
        first.step("b").after(["a"])
    };
    let mut hand = switchover(plan());
    let locks = |hand: &mut Hand, fence| {
        let locks = hand.state.lock_names.clone();
        hand.apply(EventKind::LocksTaken { locks, fence });
    };
    locks(&mut hand, 1);
    hand.follow().end("a", done());
    hand.apply(EventKind::RunPaused { said: said("ada") });
    hand.end("b", failed(FailureKind::Permanent));
    let next = failover(plan());
    let mut new = go_on(&mut hand, &next);
    assert_eq!(hand.state.status().as_str(), "abandoned");
    assert_eq!(new.state.lock_names, ["db"]);
    locks(&mut new, 2);
    new.follow().end("b", failed(FailureKind::Permanent));
    let last = new.events.last().map(|event| event.kind.clone());
    let Some(EventKind::AttemptStarted { step, direction: crate::UNDO, key, number: 1, .. }) = last else {
        panic!("{last:?}")
    };
    assert_eq!((step, key), (id("a"), lifeboat_core::actions::key(&hand.state.run, &id("a"))));
    new.end("a", done());
    assert_eq!((new.state.status().as_str(), new.phase("a")), ("failed", "undone"));
}

/// The key and the checkpoint with which a step goes on.
pub(crate) fn goes_on_with(hand: &Hand, step: &str) -> (Digest, Option<serde_json::Value>) {
    (key_of(&hand.state, &id(step)), hand.state.step(&id(step)).unwrap().1.checkpoint.clone())
}

#[test]
fn what_is_suspect_stays_suspect() {
    let plan = || {
        let mut plan = PlanBuilder::new().step("restore").step("cut").after(["restore"]).build();
        plan.steps[1].kind = StepKind::Switch;
        plan
    };
    let mut hand = Hand::new(as_mode(plan(), Mode::Switchover));
    let outputs = json!({ "suspect": ["half of it looks encrypted"] });
    hand.follow().end("restore", lifeboat_core::Outcome::Done { outputs });
    assert_eq!(hand.phase("cut"), "suspect");
    let next = as_mode(plan(), Mode::Failover);
    let mut new = go_on(&mut hand, &next);
    new.follow();
    assert_eq!((new.phase("restore"), new.phase("cut")), ("done", "suspect"));
}

/// The steps before one, all of them.
fn before(plan: &Plan, step: &StepId) -> BTreeSet<StepId> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<StepId> = plan.step(step).unwrap().after.iter().cloned().collect();
    while let Some(id) = open.pop() {
        if seen.insert(id.clone()) {
            open.extend(plan.step(&id).unwrap().after.iter().cloned());
        }
    }
    seen
}

/// A plan in another mode, with some things changed.
fn changed(plan: &Plan, rng: &SeededRng) -> Plan {
    let mut next = as_mode(plan.clone(), Mode::Failover);
    let gone: BTreeSet<StepId> = next.steps.iter().filter(|_| rng.chance(10)).map(|step| step.id.clone()).collect();
    next.steps.retain(|step| !gone.contains(&step.id));
    for step in &mut next.steps {
        step.after.retain(|before| !gone.contains(before));
        if rng.chance(15) && step.kind.by_plugin() {
            step.args = json!({ "other": true });
        }
    }
    let asked = rng.chance(50);
    let more = PlanBuilder::new().approve("ask", 1, None).step("more").build().steps;
    next.steps.extend(more);
    for step in &mut next.steps {
        if asked && step.id.as_str() != "ask" && rng.chance(40) {
            step.after.insert(id("ask"));
        }
    }
    if let Some(last) = next.steps.last_mut().filter(|_| rng.chance(50)) {
        last.after.extend(plan.steps.iter().map(|step| step.id.clone()).filter(|id| !gone.contains(id)));
    }
    next
}

fn check(old: &RunState, next: &Plan, found: &Handover) {
    assert_eq!(found.steps.len(), next.steps.len());
    let carried: BTreeSet<&StepId> = found.carried().collect();
    for row in &found.steps {
        let was = old.step(&row.step);
        let begun = matches!(row.fate, Fate::GoesOn { .. });
        if row.fate != Fate::Carried && !begun {
            continue;
        }
        let (step, now) = was.unwrap();
        let is = next.step(&row.step).unwrap();
        assert_eq!((now.phase == Phase::Done, step.kind, &step.args), (!begun, is.kind, &is.args));
        assert!(!begun || now.attempts > 0, "{} was never begun", row.step);
        for before in before(next, &row.step) {
            let approval = next.step(&before).unwrap().kind == StepKind::Approve;
            assert!(approval || carried.contains(&before), "{} rests on {before}, which runs", row.step);
        }
    }
}

/// Nothing begins before all that the plan puts before it is complete.
fn in_order(hand: &Hand) {
    for (step, now) in hand.state.steps() {
        if matches!(now.phase, Phase::Pending) || now.carried.is_some() {
            continue;
        }
        for before in before(&hand.state.plan, &step.id) {
            let (_, earlier) = hand.state.step(&before).unwrap();
            assert!(earlier.is_complete(), "{} is {} before {before}", step.id, now.phase.as_str());
        }
    }
}

#[test]
fn whatever_is_carried_rests_on_what_is_carried_and_the_new_run_keeps_its_order() {
    let (mut carried, mut finished, mut gone_on) = (0, 0, 0);
    for seed in 0..2_000 {
        let rng = SeededRng::new(seed);
        let plan = as_mode(random_case(seed).plan, Mode::Switchover);
        let mut hand = Hand::new(plan.clone());
        hand.follow();
        let mut ends = rng.below(8);
        while let Some(step) = under_way(&hand).filter(|_| ends > 0) {
            ends -= 1;
            let bad = rng.chance(10);
            hand.end(step.as_str(), if bad { failed(FailureKind::Permanent) } else { done() });
        }
        if hand.state.result.is_none() && hand.state.paused.is_none() {
            hand.apply(EventKind::RunPaused { said: said("ada") });
        }
        while let Some(step) = under_way(&hand) {
            hand.end(step.as_str(), done());
        }
        let next = changed(&plan, &rng);
        let Ok(found) = handover(&hand.state, &next) else { continue };
        check(&hand.state, &next, &found);
        if found.open().next().is_some() {
            continue;
        }
        carried += found.carried().count();
        let begun: Vec<StepId> = found.begun().cloned().collect();
        let mut new = go_on(&mut hand, &next);
        assert_eq!(new.state.complete(), found.carried().count());
        for step in &begun {
            let (was, is) = (goes_on_with(&hand, step.as_str()), goes_on_with(&new, step.as_str()));
            assert_eq!(was, is, "{step} goes on as it was");
            gone_on += 1;
        }
        in_order(new.follow());
        finished += u64::from(play(&mut new));
        let again = apply::replay(&new.events).unwrap();
        assert_eq!(Arc::clone(&again.plan), new.state.plan);
    }
    let enough = carried > 500 && finished > 500 && gone_on > 100;
    assert!(enough, "{carried} steps were carried, {gone_on} gone on with, {finished} runs came to their end");
}

fn under_way(hand: &Hand) -> Option<StepId> {
    let running = |phase: &Phase| matches!(phase, Phase::Running { .. });
    hand.state.steps().find(|(_, now)| running(&now.phase)).map(|(step, _)| step.id.clone())
}

/// Plays the new run to its end; everything works, and everybody says yes.
fn play(new: &mut Hand) -> bool {
    for _ in 0..200 {
        in_order(new);
        if let Some(step) = under_way(new) {
            new.end(step.as_str(), done());
        } else if let Some(step) = open(new) {
            let yes = decide::approve(&new.state, &step, &new.state.fingerprint, None, said("ada")).unwrap();
            new.apply(yes);
            new.follow();
        } else if new.state.result.is_some() {
            break;
        } else {
            new.now += 10_000;
            new.follow();
        }
    }
    assert_eq!(new.state.status().as_str(), "succeeded");
    new.state.steps().all(|(_, now)| now.carried.is_none() || now.attempts == 0)
}

fn open(hand: &Hand) -> Option<StepId> {
    let asks = |phase: &Phase| matches!(phase, Phase::Approval { .. });
    hand.state.steps().find(|(_, now)| asks(&now.phase)).map(|(step, _)| step.id.clone())
}

#[test]
fn what_could_not_be_made_is_not_decided_on() {
    let mut hand = switchover(PlanBuilder::new().step("a"));
    hand.follow().end("a", failed(FailureKind::Permanent));
    let decide = |plan: Plan, text: String| decide::continue_as(&hand.state, successor(), plan, text, said("ada"));
    let mut twice = failover(PlanBuilder::new().step("a").step("b"));
    twice.steps[1].id = id("a");
    assert_eq!(decide(twice, String::new()).unwrap_err().code.0, "LB0503");
    let large = "x".repeat(lifeboat_core::limits::EVENT_BYTES_MAX);
    assert_eq!(decide(failover(PlanBuilder::new().step("a")), large).unwrap_err().code.0, "LB1228");
}
