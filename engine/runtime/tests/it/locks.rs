//! Locks on targets: who waits for whom, who comes next, and what outlives a crash.

use std::future::Future;
use std::sync::Arc;

use lifeboat_core::event::EventKind;
use lifeboat_core::ids::StepId;
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::Plan;
use lifeboat_core::ports::Clock;
use lifeboat_core::state::{Locks, RunState, RunStatus};
use lifeboat_runtime::{Rest, RunHandle, Verb, all_at_rest, resume_all};
use lifeboat_testkit::{Act, PlanBuilder, Rig, SimClock, SimStore, World, said};

fn slow(ms: u64) -> Act {
    Act::Slow(ms, Box::new(Act::Done(None)))
}

fn on(lock: &str, step: &str) -> Plan {
    PlanBuilder::new().step(step).lock(lock).build()
}

fn holder(state: &RunState) -> Option<String> {
    match &state.locks {
        Locks::Wanted { held } => held.first().map(|held| held.holder.to_string()),
        _ => None,
    }
}

#[tokio::test]
async fn two_runs_on_one_locked_target_queue_and_say_so() {
    let rig = Rig::new();
    rig.world.acts("a", [slow(5_000)]);
    let mut first = rig.submit(on("db", "a")).await;
    let mut second = rig.submit(on("db", "b")).await;
    let mut apart = rig.submit(on("other", "c")).await;
    let third = PlanBuilder::new().step("d").lock("other").step("e").lock("db").after(["d"]).build();
    let mut third = rig.submit(third).await;
    for handle in [&mut first, &mut second, &mut apart, &mut third] {
        assert_eq!(rig.rest(handle).await.status(), RunStatus::Succeeded);
    }
    assert_eq!((rig.times("do a"), rig.times("do b"), rig.times("do c")), (vec![0], vec![5_000], vec![0]));
    assert_eq!(rig.times("do d"), [5_000], "all locks at once, or none");
    let said: Vec<_> = rig.events(second.run()).into_iter().map(|event| event.kind).collect();
    let waits = |kind: &EventKind| matches!(kind, EventKind::LocksAwaited { held } if held[0].holder == *first.run());
    assert!(said.iter().any(waits), "{said:?}");
}

#[tokio::test]
async fn tokens_grow_over_all_runs_that_had_a_lock() {
    let rig = Rig::new();
    let mut last = 0;
    for step in ["a", "b", "c"] {
        let state = rig.run(on("db", step)).await;
        let token = rig.world.entry(state.run.as_str(), step).tokens[0];
        assert!(token > last, "{token} after {last}");
        last = token;
    }
}

#[tokio::test]
async fn a_run_that_waits_for_a_person_keeps_its_locks_and_the_others_are_told_whom_they_wait_for() {
    let rig = Rig::new();
    let asks = PlanBuilder::new().approve("go", 1, None).step("a").lock("db").after(["go"]).build();
    let mut first = rig.submit(asks).await;
    assert_eq!(rig.rest(&mut first).await.status(), RunStatus::Waiting);
    let mut second = rig.submit(on("db", "b")).await;
    let state = rig.rest(&mut second).await;
    assert_eq!((state.status(), holder(&state)), (RunStatus::Waiting, Some(first.run().to_string())));
    rig.drive(first.say(Verb::Abandon, said("ada"))).await.unwrap();
    assert_eq!(rig.rest(&mut first).await.status(), RunStatus::Abandoned);
    while rig.rest(&mut second).await.status() == RunStatus::Waiting {
        rig.drive(tokio::task::yield_now()).await;
    }
    assert_eq!(rig.rest(&mut second).await.status(), RunStatus::Succeeded);
}

#[tokio::test]
async fn a_lock_outlives_its_engine_and_not_its_run() {
    let rig = Rig::new();
    rig.world.acts("a", [slow(5_000)]);
    let first = rig.submit(on("db", "a")).await;
    rig.drive(async {
        while rig.world.entry(first.run().as_str(), "a").executed == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The engine is gone; the store is what it left.
    let second = Rig::over(Arc::new(SimStore::new()), rig.store.clone(), World::new(), 8);
    // Another time, so another id.
    second.clock.advance(1);
    let mut waits = second.submit(on("db", "b")).await;
    let state = second.rest(&mut waits).await;
    assert_eq!((state.status(), holder(&state)), (RunStatus::Waiting, Some(first.run().to_string())));
    let mut resumed = second.drive(second.engine.resume(first.run())).await.unwrap();
    assert!(matches!(second.drive(resumed.rest()).await, Rest::Ended(_)));
    while second.rest(&mut waits).await.status() == RunStatus::Waiting {
        second.drive(tokio::task::yield_now()).await;
    }
    assert_eq!(second.rest(&mut waits).await.status(), RunStatus::Succeeded);
}

#[tokio::test]
async fn a_failed_run_that_goes_on_needs_its_locks_again() {
    let rig = Rig::new();
    rig.world.acts("a", [Act::Fail(FailureKind::Permanent)]).acts("b", [slow(7_000)]);
    let mut first = rig.submit(on("db", "a")).await;
    assert_eq!(rig.rest(&mut first).await.status(), RunStatus::Failed);
    let mut second = rig.submit(on("db", "b")).await;
    rig.drive(first.say(Verb::Retry(StepId::from("a")), said("ada"))).await.unwrap();
    assert_eq!(rig.rest(&mut first).await.status(), RunStatus::Succeeded);
    assert_eq!(rig.rest(&mut second).await.status(), RunStatus::Succeeded);
    assert_eq!(rig.times("do a"), [0, 7_000]);
}

#[tokio::test]
async fn a_run_that_is_cancelled_while_it_waits_lets_the_next_one_in() {
    let rig = Rig::new();
    rig.world.acts("a", [slow(5_000)]);
    let mut handles = Vec::new();
    for step in ["a", "b", "c"] {
        handles.push(rig.submit(on("db", step)).await);
    }
    rig.drive(handles[1].say(Verb::Cancel { compensate: true }, said("ada"))).await.unwrap();
    assert_eq!(rig.rest(&mut handles[1]).await.status(), RunStatus::Cancelled);
    assert_eq!(rig.rest(&mut handles[2]).await.status(), RunStatus::Succeeded);
    assert_eq!((rig.times("do b"), rig.times("do c")), (vec![], vec![5_000]));
}

#[tokio::test]
async fn twenty_runs_on_one_lock_come_in_the_order_of_their_coming() {
    let rig = Rig::new();
    let names: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    let mut handles = Vec::new();
    for name in &names {
        rig.world.acts(name, [slow(100)]);
        handles.push(rig.submit(on("db", name)).await);
    }
    for handle in &mut handles {
        assert_eq!(rig.rest(handle).await.status(), RunStatus::Succeeded);
    }
    let began: Vec<u64> = names.iter().map(|name| rig.times(&format!("do {name}"))[0]).collect();
    assert_eq!(began, (0..20).map(|number| number * 100).collect::<Vec<u64>>());
    assert_eq!(rig.world.most_at_once(), 1);
}

fn rests_of(rest: &Rest) -> &str {
    match rest {
        Rest::Ended(state) | Rest::Person(state) => state.run.as_str(),
        Rest::Stopped(error) => panic!("{error}"),
    }
}

/// A runtime of its own: what an engine leaves under way ends with it, as with a process.
fn process<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

#[test]
fn runs_that_are_taken_up_in_any_order_rest_together_only_when_none_is_about_to_go_on() {
    for turned in [false, true] {
        let (clock, world, store) = (SimClock::at(1_700_000_000_000), World::new(), Arc::new(SimStore::new()));
        let rig =
            |seed: u64| Rig::at(clock.clone(), seed, Arc::clone(&store), Arc::clone(&store) as _, world.clone(), 8);
        world.acts("a", [slow(5_000)]);
        let asks = PlanBuilder::new().step("c").lock("db").approve("go", 1, None).after(["c"]).build();
        let mut runs = process(async {
            let rig = rig(1);
            let mut runs = Vec::new();
            for plan in [on("db", "a"), on("db", "b"), asks] {
                runs.push(rig.submit(plan).await.run().clone());
            }
            rig.drive(rig.clock.sleep_until(rig.clock.now() + 1_000)).await;
            runs
        });
        if turned {
            runs.reverse();
        }
        let mut rests = process(async {
            let rig = rig(2);
            let taken = rig.drive(resume_all(&rig.engine, runs.clone())).await;
            let mut handles: Vec<RunHandle> = taken.into_iter().map(Result::unwrap).collect();
            rig.drive(all_at_rest(&mut handles)).await
        });
        if turned {
            rests.reverse();
        }
        let done = |rest: &Rest| matches!(rest, Rest::Ended(state) if state.status() == RunStatus::Succeeded);
        assert!(done(&rests[0]), "{:?}", rests[0]);
        // Who was taken up first has the lock first, and the last one keeps it while it asks.
        let waits = matches!(&rests[1], Rest::Person(state) if holder(state).as_deref() == Some(rests_of(&rests[2])));
        assert!(if turned { waits } else { done(&rests[1]) }, "turned {turned}: {:?}", rests[1]);
        assert!(matches!(&rests[2], Rest::Person(state) if Rig::phase(state, "go") == "approval"), "{:?}", rests[2]);
    }
}
