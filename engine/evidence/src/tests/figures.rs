//! Figures, held against a story whose times are known.

use lifeboat_core::apply::replay;
use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, StepKind};
use lifeboat_runtime::Verb;
use lifeboat_testkit::{Act, PlanBuilder, Rig, said};
use serde_json::json;

use super::{other_run, plan, story};
use crate::facts::{Taken, WaitFor, learn, of, used};
use crate::{Facts, Witness};

fn facts(events: &[Event]) -> Facts {
    of(events, &Witness::default()).unwrap().0
}

fn sum(facts: &Facts) -> u64 {
    facts.spent.parts().iter().map(|(_, ms)| ms).sum()
}

#[tokio::test]
async fn every_moment_is_counted_once() {
    let events = story().await;
    let facts = facts(&events);
    let begin = facts.clock.declared;
    let after = |at: Option<u64>| at.unwrap() - begin;
    let spent = facts.spent;
    assert_eq!(spent.people_ms, 90_000 + 30_000 + 45_000);
    // Ten of `take`, two and sixty of `rebuild`, one of `extra`.
    assert_eq!(spent.executing_ms, 73_000);
    assert_eq!((spent.validating_ms, spent.retrying_ms, spent.timers_ms), (5_000, 1_000, 3_000));
    assert_eq!(facts.rta_ms, sum(&facts));
    assert_eq!(facts.rta_ms, 247_000);
    assert_eq!(facts.within_rto, Some(true));
    assert_eq!(facts.clock.detected, None);
    assert_eq!(after(facts.clock.approved), 120_000);
    assert_eq!(after(facts.clock.validated), 198_000);
    assert_eq!((after(facts.clock.executed), after(facts.clock.ended)), (247_000, 247_000));
}

#[tokio::test]
async fn waits_are_somebodys_or_somethings() {
    let facts = facts(&story().await);
    let told: Vec<(WaitFor, &str, u64, &[String])> = facts
        .waits
        .iter()
        .map(|wait| {
            let step = wait.step.as_ref().map_or("", |step| step.as_str());
            (wait.what, step, wait.to.unwrap() - wait.from, wait.by.as_slice())
        })
        .collect();
    let names = ["ada".to_owned(), "grace".to_owned()];
    assert_eq!(
        told,
        [
            (WaitFor::Approval, "go", 120_000, &names[..]),
            (WaitFor::Timer, "settle", 3_000, &[]),
            (WaitFor::Decision, "extra", 45_000, &names[..1]),
        ]
    );
    let deeds: Vec<String> = facts.people.iter().map(|deed| format!("{} {}", deed.by, deed.what)).collect();
    assert_eq!(deeds, ["test started", "ada approved", "grace approved", "ada marked as done"]);
    assert_eq!(facts.approvals[0].outcome, "approved");
    assert!(facts.approvals[0].answers.iter().all(|answer| answer.fingerprint == Some(plan().fingerprint())));
    assert_eq!(facts.attestations[0].files[0].name, "log.txt");
    let rebuild = &facts.steps[2];
    let outcomes: Vec<&str> = rebuild.attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
    assert_eq!((outcomes, rebuild.phase.as_str()), (vec!["failed", "done"], "done"));
}

#[tokio::test]
async fn data_loss_is_from_the_recovery_point_to_the_run() {
    let events = story().await;
    let own = facts(&events);
    // It was taken after the run was made: nothing older was brought back.
    assert_eq!((own.data_loss.at_most_ms, own.data_loss.within_rpo), (Some(0), Some(true)));
    assert_eq!(own.data_loss.restored[0].told_by, None);
    assert_eq!(own.snapshots.iter().map(|one| one.kind).collect::<Vec<_>>(), [StepKind::Snapshot, StepKind::Restore]);
    // The same without the step that took it: unknown, until another run's word is given.
    let rig = Rig::new();
    rig.world.acts("rebuild", [Act::Done(Some(json!({"snapshot": "ab12"})))]);
    let state = rig.run(PlanBuilder::new().step("rebuild").build()).await;
    let (unknown, replayed) = of(&rig.events(&state.run), &Witness::default()).unwrap();
    assert!(unknown.data_loss.unknown.unwrap().contains("rebuild"));
    assert_eq!(used(&replayed), ["ab12"]);
    let taken = Taken { snapshot: "ab12".into(), taken_ms: state.created_at - 7_000, run: other_run() };
    let told = of(&rig.events(&state.run), &Witness { snapshots: vec![taken] }).unwrap().0;
    assert_eq!(told.data_loss.at_most_ms, Some(7_000));
    assert_eq!(told.data_loss.restored[0].told_by, Some(other_run()));
    let none = rig.run(PlanBuilder::new().wait("w", 1).build()).await;
    assert!(facts(&rig.events(&none.run)).data_loss.unknown.unwrap().contains("no step brought"));
}

#[tokio::test]
async fn a_copy_is_as_old_as_what_it_was_copied_from() {
    let rig = Rig::new();
    rig.world.acts("take", [Act::Done(Some(json!({"snapshot": "first", "time_ms": 77})))]);
    rig.world.acts("copy", [Act::Done(Some(json!({"snapshot": "second"})))]);
    let mut plan = PlanBuilder::new()
        .step("copy")
        .args(json!({"snapshot": "{{steps.take.snapshot}}"}))
        .after(["take"])
        .step("take")
        .build();
    (plan.steps[0].kind, plan.steps[1].kind) = (StepKind::Transfer, StepKind::Snapshot);
    let state = rig.run(plan).await;
    let mut known = std::collections::BTreeMap::new();
    learn(&replay(&rig.events(&state.run)).unwrap(), &mut known);
    assert_eq!((known["first"].taken_ms, known["second"].taken_ms), (77, 77));
}

#[tokio::test]
async fn a_run_that_goes_wrong_is_told_as_it_was() {
    let rig = Rig::new();
    rig.world.acts("b", [Act::Slow(4_000, Box::new(Act::Fail(FailureKind::Permanent)))]);
    rig.world.undoes("a", [Act::Slow(6_000, Box::new(Act::Done(None)))]);
    let plan = PlanBuilder::new().compensate_on_failure().step("a").effect(Effect::Compensatable).step("b");
    let state = rig.run(plan.after(["a"]).step("never").after(["b"]).build()).await;
    let facts = facts(&rig.events(&state.run));
    assert!(!facts.succeeded());
    assert_eq!((facts.spent.executing_ms, facts.spent.undoing_ms, facts.spent.people_ms), (4_000, 6_000, 0));
    assert!(facts.waits.is_empty(), "nobody was waited for: it was undone by itself");
    let phases: Vec<&str> = facts.steps.iter().map(|step| step.phase.as_str()).collect();
    assert_eq!(phases, ["undone", "failed", "pending"]);
    assert!(facts.steps[1].why.is_some() && facts.steps[2].from.is_none());
}

#[tokio::test]
async fn a_run_under_way_is_told_up_to_its_last_event() {
    let rig = Rig::new();
    let mut handle = rig.submit(PlanBuilder::new().approve("go", 1, None).step("a").after(["go"]).build()).await;
    rig.rest(&mut handle).await;
    rig.clock.advance(5_000);
    rig.drive(handle.say(Verb::Pause, said("ada"))).await.unwrap();
    let facts = facts(&rig.events(handle.run()));
    assert_eq!((facts.within_rto, facts.clock.ended, facts.rta_ms, facts.spent.people_ms), (None, None, 5_000, 5_000));
    assert_eq!(facts.approvals[0].outcome, "open");
    assert!(facts.waits.iter().all(|wait| wait.to.is_none() && wait.what.people()));
}

/// Every beginning of a log is a log, and its figures add up.
#[tokio::test]
async fn every_beginning_adds_up() {
    let events = story().await;
    for end in 1..=events.len() {
        let facts = facts(&events[..end]);
        assert_eq!(facts.rta_ms, sum(&facts), "{end}");
        let there = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&there).unwrap(), facts);
    }
    let illegal: Vec<Event> = [&events[..1], &events[3..]].concat();
    assert_eq!(of(&illegal, &Witness::default()).unwrap_err().code.0, "LB0503");
    assert!(matches!(events[0].kind, EventKind::RunCreated { .. }));
}
