//! Limits on what is under way at once, of one run and of all.

use std::sync::Arc;

use lifeboat_core::state::RunStatus;
use lifeboat_runtime::{Engine, EngineParts, Rest, Verb};
use lifeboat_testkit::{Act, PlanBuilder, Rig, ScriptedExecutor, SeededRng, SimStore, WallClock, World, said};

fn slow(world: &World, steps: usize, ms: u64) {
    for place in 0..steps {
        world.acts(&format!("s{place}"), [Act::Slow(ms, Box::new(Act::Done(None)))]);
    }
}

#[tokio::test]
async fn a_run_keeps_its_own_limit() {
    let rig = Rig::new();
    slow(&rig.world, 50, 1_000);
    let state = rig.run(PlanBuilder::wide(50).max_parallel(4).build()).await;
    assert_eq!((state.status(), rig.world.most_at_once()), (RunStatus::Succeeded, 4));
    assert_eq!(rig.elapsed(), 13_000, "fifty steps of a second, four at a time");
}

#[tokio::test]
async fn a_limit_of_nothing_is_one() {
    let rig = Rig::new();
    let state = rig.run(PlanBuilder::wide(3).max_parallel(0).build()).await;
    assert_eq!((state.status(), rig.world.most_at_once()), (RunStatus::Succeeded, 1));
}

#[tokio::test]
async fn all_runs_keep_the_limit_of_the_engine_and_none_is_left_out() {
    let rig = Rig::with(SimStore::new(), World::new(), 8);
    slow(&rig.world, 4, 50);
    let mut handles = Vec::new();
    for _ in 0..256 {
        handles.push(rig.submit(PlanBuilder::chain(4).build()).await);
    }
    for handle in &mut handles {
        assert_eq!(rig.rest(handle).await.status(), RunStatus::Succeeded);
    }
    assert_eq!(rig.world.most_at_once(), 8, "all places were used, and no more");
}

#[tokio::test]
async fn a_wide_run_of_long_steps_lets_others_in() {
    let rig = Rig::with(SimStore::new(), World::new(), 4);
    slow(&rig.world, 100, 10_000);
    rig.world.acts("quick", [Act::Done(None)]);
    let wide = rig.submit(PlanBuilder::wide(100).build()).await;
    let soon = lifeboat_core::ports::Clock::sleep_until(&rig.clock, rig.clock.now() + 1_000);
    rig.drive(soon).await;
    let state = rig.run(PlanBuilder::new().step("quick").build()).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    assert_eq!(rig.elapsed(), 10_000, "at the first place that became free, not after the whole of the wide run");
    drop(wide);
}

#[tokio::test]
async fn a_run_that_waits_to_undo_again_leaves_the_places_to_others() {
    let rig = Rig::with(SimStore::new(), World::new(), 1);
    let fail = |kind| Act::Fail(kind);
    rig.world.acts("bad", [fail(lifeboat_core::FailureKind::Permanent)]);
    rig.world.undoes("a", [fail(lifeboat_core::FailureKind::Temporary)]);
    let plan = PlanBuilder::new().compensate_on_failure().step("a").effect(lifeboat_core::Effect::Compensatable);
    let mut first = rig.submit(plan.retry(1, 60_000).step("bad").after(["a"]).build()).await;
    let soon = lifeboat_core::ports::Clock::sleep_until(&rig.clock, rig.clock.now() + 1_000);
    rig.drive(soon).await;
    let state = rig.run(PlanBuilder::chain(3).build()).await;
    assert_eq!((state.status(), rig.elapsed()), (RunStatus::Succeeded, 1_000));
    assert_eq!(rig.rest(&mut first).await.status(), RunStatus::Failed);
    assert_eq!(rig.times("undo a"), [0, 60_000]);
}

/// An engine on real threads: what a simulation on one thread cannot show.
fn on_threads(world: &World, places: usize) -> (Engine, Arc<SimStore>) {
    let (clock, store) = (Arc::new(WallClock), Arc::new(SimStore::new()));
    let parts = EngineParts {
        store: store.clone(),
        executor: Arc::new(ScriptedExecutor::new(world.clone(), clock.clone())),
        clock,
        rng: Arc::new(SeededRng::new(1)),
        max_parallel: places,
        version: "lifeboat test".to_owned(),
    };
    (Engine::new(parts), store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_runs_on_threads() {
    let world = World::new();
    let (engine, store) = on_threads(&world, 8);
    let mut handles = Vec::new();
    for _ in 0..256 {
        handles.push(engine.submit(PlanBuilder::chain(8).build(), String::new(), said("test")).await.unwrap());
    }
    for handle in &mut handles {
        let rest = tokio::time::timeout(std::time::Duration::from_secs(60), handle.rest()).await.expect("no hang");
        assert!(matches!(rest, Rest::Ended(state) if state.status() == RunStatus::Succeeded));
    }
    assert!(world.most_at_once() <= 8);
    // A result may part from the next intent when somebody else queues for the place, but only seldom.
    assert!(store.appends() < 256 * 12, "{}", store.appends());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_verb_the_rest_before_it_is_not_seen_again() {
    let world = World::new();
    let (engine, _) = on_threads(&world, 8);
    for round in 0..300 {
        let plan = PlanBuilder::new().approve("go", 1, None).step("a").after(["go"]).build();
        let yes = Verb::Approve { step: "go".into(), fingerprint: plan.fingerprint(), roles: None };
        let mut handle = engine.submit(plan, String::new(), said("test")).await.unwrap();
        assert!(matches!(handle.rest().await, Rest::Person(_)), "round {round}");
        handle.say(yes, said("ada")).await.unwrap();
        assert!(matches!(handle.rest().await, Rest::Ended(_)), "round {round}");
    }
}
