//! What is learnt from the events of runs that the real engine made.

use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, Plan, Test};
use lifeboat_forecast::plan::{Basis, Note};
use lifeboat_forecast::{Bytes, History, Question, forecast};
use lifeboat_runtime::Verb;
use lifeboat_testkit::{Act, PlanBuilder, Rig, said};
use serde_json::json;

use crate::close;

fn recovery() -> Plan {
    PlanBuilder::new()
        .step("prove")
        .step("rebuild")
        .after(["prove"])
        .retry(2, 1_000)
        .approve("go", 2, None)
        .after(["rebuild"])
        .step("cutover")
        .after(["go"])
        .step("extra")
        .when("{{inputs.size}}", Test::Is(json!("big")))
        .input("size", json!("small"))
        .build()
}

/// One run: `rebuild` takes that long for that many bytes, after one failure of 3 s.
async fn run(rebuild_ms: u64, bytes: u64) -> Vec<lifeboat_core::event::Event> {
    let rig = Rig::new();
    let slow = |ms, act| Act::Slow(ms, Box::new(act));
    let moved = Act::Done(Some(json!({"value": 1, "bytes": bytes})));
    rig.world.acts("prove", [slow(7_000, Act::Done(None))]);
    rig.world.acts("rebuild", [slow(3_000, Act::Fail(FailureKind::Temporary)), slow(rebuild_ms, moved)]);
    let mut handle = rig.submit(recovery()).await;
    let waiting = rig.rest(&mut handle).await;
    for (person, later) in [("ann", 20_000), ("bob", 40_000)] {
        rig.clock.advance(later);
        let roles = None;
        let yes = Verb::Approve { step: "go".into(), fingerprint: waiting.fingerprint.clone(), roles };
        rig.drive(handle.say(yes, said(person))).await.unwrap();
    }
    let ended = rig.rest(&mut handle).await;
    assert!(ended.status().is_final());
    rig.events(&ended.run)
}

fn learnt(runs: &[Vec<lifeboat_core::event::Event>]) -> History {
    let mut history = History::new();
    runs.iter().for_each(|events| history.learn(events));
    history
}

#[tokio::test]
async fn what_a_run_teaches() {
    let plan = recovery();
    let history = learnt(&[run(10_000, 1_000_000).await, run(30_000, 3_000_000).await]);
    let known = |step: &str| history.of(plan.step(&step.into()).unwrap()).unwrap();
    assert_eq!((history.runs, history.drills), (2, 2));
    let rebuild = known("rebuild");
    assert_eq!(
        rebuild.done.iter().map(|one| (one.ms, one.bytes)).collect::<Vec<_>>(),
        [(10_000, Some(1_000_000)), (30_000, Some(3_000_000))]
    );
    assert!(rebuild.failed.iter().all(|one| one.ms == 3_000 && !one.for_good) && rebuild.failed.len() == 2);
    // From the question to the second yes.
    assert_eq!(known("go").done.iter().map(|one| one.ms).collect::<Vec<_>>(), [60_000, 60_000]);
    assert_eq!((known("extra").needed, known("extra").not_needed, known("prove").needed), (0, 2, 2));
    // Another plugin, or another kind, under the same name: nothing is known of it.
    let mut other = plan.steps[0].clone();
    other.plugin = Some("another".to_owned());
    assert!(history.of(&other).is_none());
    assert_eq!(History::new().runs, 0);
    let mut headless = History::new();
    headless.learn(&run(1_000, 1).await[1..]);
    assert_eq!((headless.runs, headless.of(&plan.steps[0]).is_some()), (0, false));
}

#[tokio::test]
async fn a_forecast_from_history_scales_with_the_data() {
    let plan = recovery();
    let runs = [run(10_000, 1_000_000).await, run(30_000, 3_000_000).await, run(20_000, 2_000_000).await];
    let history = learnt(&runs);
    let asked = |bytes: Option<f64>| Question { bytes: bytes.map(|b| Bytes::new(b).unwrap()), ..Question::default() };
    let told = |bytes| forecast(&plan, &history, &asked(bytes)).unwrap();
    let same = told(None);
    assert_eq!(same.steps[1].basis, Basis::History { attempts: 3 });
    assert_eq!((same.earlier_runs, same.steps[0].typical_ms, same.steps[3].typical_ms), (3, Some(7_000), Some(0)));
    // prove 7 s, rebuild about 18 s after about one failure of 3 s and its backoff, go 60 s
    close(same.p50.unwrap().ms as f64, 90_000.0, 0.08);
    let large = told(Some(100e6));
    assert_eq!(large.steps[1].basis, Basis::PerByte { attempts: 3 });
    // 10 s for each MB
    close(large.p50.unwrap().ms as f64, 1_070_000.0, 0.08);
    assert!(large.steps[1].share > 0.8 && large.dominant().unwrap().step.as_str() == "rebuild");
    // `extra` was never needed; `cutover` takes no time, and its end was counted.
    let uncounted = |note: &Note| matches!(note, Note::FailuresUnknown { steps } if *steps == ["extra".into()]);
    assert!(same.notes.iter().any(uncounted), "{:?}", same.notes);
    assert!(same.notes.iter().any(|note| matches!(note, Note::TimesUnknown { .. })));
}

#[tokio::test]
async fn locks_that_were_waited_for() {
    let rig = Rig::new();
    rig.world.acts("a", [Act::Slow(30_000, Box::new(Act::Done(None)))]);
    let plan = PlanBuilder::new().step("a").lock("standby").build();
    let first = rig.submit(plan.clone()).await;
    rig.clock.advance(10_000);
    let mut second = rig.submit(plan.clone()).await;
    rig.rest(&mut second).await;
    let history = learnt(&[rig.events(first.run()), rig.events(second.run())]);
    assert_eq!(history.lock_waits[0], 0);
    let waited = history.lock_waits[1];
    assert!(waited > 0, "{:?}", history.lock_waits);
    let told = forecast(&plan, &history, &Question::default()).unwrap();
    assert!(told.locks_share > 0.0 && !told.notes.contains(&Note::LocksAssumed));
    let told = forecast(&plan, &History::new(), &Question::default()).unwrap();
    assert!(told.notes.contains(&Note::LocksAssumed));
}

/// What nobody knows is not learnt as something else.
#[tokio::test]
async fn doubts_are_settled_before_anything_is_learnt() {
    let plan =
        |step: &str| PlanBuilder::new().step(step).effect(Effect::Compensatable).timeout(5_000).retry(1, 1_000).build();
    let after = |acts: Vec<Act>| async move {
        let rig = Rig::new();
        rig.world.acts("a", acts);
        let state = rig.run(plan("a")).await;
        let history = learnt(&[rig.events(&state.run)]);
        let known = history.of(&plan("a").steps[0]).unwrap();
        let done: Vec<u64> = known.done.iter().map(|one| one.ms).collect();
        let failed: Vec<(u64, bool)> = known.failed.iter().map(|one| (one.ms, one.for_good)).collect();
        (done, failed)
    };
    // It hung without an effect: the probe says so, and the next attempt is done at once.
    let hung = after(vec![Act::Hang { happened: false }]).await;
    assert_eq!(hung, (vec![0], vec![(5_000, false)]));
    // Its effect was there: it did not fail, and nobody knows when it was done.
    let there = after(vec![Act::Hang { happened: true }]).await;
    assert_eq!(there, (vec![], vec![]));
    let for_good = after(vec![Act::Slow(2_000, Box::new(Act::Fail(FailureKind::Permanent)))]).await;
    assert_eq!(for_good, (vec![], vec![(2_000, true)]));
}

/// An attempt that the engine's own stop cut off says nothing of the step.
#[tokio::test]
async fn interrupted_attempts_teach_nothing() {
    let rig = Rig::new();
    rig.world.acts("a", [Act::Slow(2_000, Box::new(Act::Fail(FailureKind::Temporary)))]);
    let plan = PlanBuilder::new().step("a").retry(1, 1_000).build();
    let state = rig.run(plan.clone()).await;
    let mut events = rig.events(&state.run);
    for event in &mut events {
        if let lifeboat_core::event::EventKind::AttemptFinished { number: 1, interrupted, .. } = &mut event.kind {
            *interrupted = true;
        }
    }
    let history = learnt(&[events]);
    let known = history.of(&plan.steps[0]).unwrap();
    assert_eq!((known.done.len(), known.failed.len(), known.needed), (1, 0, 1));
}
