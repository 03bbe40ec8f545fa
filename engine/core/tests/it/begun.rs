//! Going on in another mode with what was begun and not done: from its checkpoint, and under the key that it was begun under.

use lifeboat_core::actions::key_of;
use lifeboat_core::carry::{Fate, handover};
use lifeboat_core::event::EventKind;
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, InDoubt, Mode};
use lifeboat_core::state::Phase;
use lifeboat_core::{apply, decide};
use lifeboat_testkit::{PlanBuilder, said};
use serde_json::json;

use crate::carry::{as_mode, failover, go_on, go_on_as, goes_on_with, switchover};
use crate::{Hand, done, failed, id, unknown};

/// A checkpoint of the attempt that is under way.
fn checkpoint(hand: &mut Hand, step: &str, value: serde_json::Value) {
    let Phase::Running { number, .. } = hand.state.step(&id(step)).unwrap().1.phase else {
        panic!("{step} is not under way")
    };
    hand.apply(EventKind::Checkpointed { step: id(step), number, value });
}

#[test]
fn what_was_begun_goes_on_from_its_checkpoint_and_under_its_key() {
    let plan = |of: &str| {
        let take = PlanBuilder::new().compensate_on_failure().step("take").args(json!({ "of": of }));
        take.step("copy").effect(Effect::Compensatable).after(["take"]).retry(3, 1_000)
    };
    let mut hand = switchover(plan("live"));
    hand.follow().end("take", done());
    checkpoint(&mut hand, "copy", json!({ "part": 3 }));
    hand.apply(EventKind::RunPaused { said: said("ada") });
    hand.end("copy", failed(FailureKind::Temporary));
    let stopped = Hand { state: hand.state.clone(), events: hand.events.clone(), now: hand.now };
    let fate = |plan| handover(&stopped.state, &plan).unwrap().steps.remove(1).fate;
    assert_eq!(fate(failover(plan("live"))).as_str(), "goes on");
    // What is different, or rests on something different, is other work.
    assert_eq!(fate(failover(plan("other"))), Fate::Runs);
    let asked = PlanBuilder::new().step("take").args(json!({ "of": "live" })).step("copy").after(["take"]);
    assert_eq!(fate(failover(asked.args(json!({ "fast": true })))), Fate::Runs);

    let begun = (lifeboat_core::actions::key(&hand.state.run, &id("copy")), Some(json!({ "part": 3 })));
    let mut new = go_on(&mut hand, &failover(plan("live")));
    assert_eq!((new.phase("copy"), goes_on_with(&new, "copy")), ("pending", begun.clone()));
    assert_eq!(apply::replay(&new.events).unwrap().step(&id("copy")).unwrap().1.begun_in, Some(hand.state.run.clone()));
    // A third run takes it over from the second before that one came to it; and it is done there, under the first key.
    new.apply(EventKind::RunPaused { said: said("ada") });
    let mut third = go_on_as(&mut new, &as_mode(plan("live").step("last").after(["copy"]).build(), Mode::Failback), 2);
    assert_eq!(goes_on_with(&third, "copy"), begun);
    third.follow().end("copy", done()).end("last", failed(FailureKind::Permanent));
    let last = third.events.last().map(|event| event.kind.clone());
    let Some(EventKind::AttemptStarted { step, direction: crate::UNDO, key, .. }) = last else { panic!("{last:?}") };
    assert_eq!((step, key), (id("copy"), begun.0.clone()), "it is undone under the key that it was begun under");
}

#[test]
fn what_was_done_under_the_key_of_an_earlier_run_keeps_it() {
    let plan = || PlanBuilder::new().step("copy").step("last").after(["copy"]);
    let mut hand = switchover(plan());
    hand.follow().end("copy", failed(FailureKind::Permanent));
    let mut new = go_on(&mut hand, &failover(plan()));
    new.follow().end("copy", done()).end("last", failed(FailureKind::Permanent));
    let third = go_on_as(&mut new, &as_mode(plan().build(), Mode::Failback), 2);
    let (_, copy) = third.state.step(&id("copy")).unwrap();
    assert_eq!(copy.carried.as_ref().map(|from| &from.run), Some(&new.state.run), "the run that did it");
    assert_eq!(key_of(&third.state, &id("copy")), lifeboat_core::actions::key(&hand.state.run, &id("copy")));
    let last = key_of(&third.state, &id("last"));
    assert_eq!(last, lifeboat_core::actions::key(&new.state.run, &id("last")), "the run that began it");
}

#[test]
fn what_was_begun_and_may_be_there_is_undone_with_the_rest() {
    let plan = || {
        let copy = PlanBuilder::new().compensate_on_failure().step("copy").effect(Effect::Compensatable);
        copy.in_doubt(InDoubt::Rerun).retry(3, 1_000).step("apart").retry(3, 1_000)
    };
    let mut hand = switchover(plan());
    hand.follow();
    hand.apply(EventKind::RunPaused { said: said("ada") });
    hand.end("copy", unknown()).end("apart", failed(FailureKind::Temporary));
    assert_eq!(hand.phase("copy"), "retrying");
    let mut new = go_on(&mut hand, &failover(plan()));
    assert!(new.state.step(&id("copy")).unwrap().1.may_have_happened);
    new.apply(decide::cancel(&new.state, true, said("ada")).unwrap());
    new.follow();
    let last = new.events.last().map(|event| event.kind.clone());
    let Some(EventKind::AttemptStarted { step, direction: crate::UNDO, key, .. }) = last else { panic!("{last:?}") };
    assert_eq!((step, key), (id("copy"), lifeboat_core::actions::key(&hand.state.run, &id("copy"))));
}
