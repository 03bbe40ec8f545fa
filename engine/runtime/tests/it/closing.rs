//! An engine that is asked to stop hands its runs back, and the next one goes on with them.

use std::sync::Arc;

use lifeboat_core::ports::Store;
use lifeboat_core::state::RunStatus;
use lifeboat_runtime::{Rest, resume_all};
use lifeboat_testkit::{Act, PlanBuilder, Rig, Script, SimStore, World};

fn slow(world: &World, step: &str, ms: u64) {
    let act = Act::Slow(ms, Box::new(Act::Done(None)));
    world.script(step, Script { execute: vec![act], ..Script::default() });
}

async fn next_engine(rig: &Rig) -> Rig {
    let written = Arc::clone(&rig.store) as Arc<dyn Store>;
    Rig::at(rig.clock.clone(), 8, Arc::clone(&rig.store), written, rig.world.clone(), 64)
}

#[tokio::test]
async fn what_is_under_way_comes_to_its_end_and_nothing_new_begins() {
    let world = World::new();
    slow(&world, "s0", 3_000);
    let rig = Rig::with(SimStore::new(), world, 64);
    let mut handle = rig.submit(PlanBuilder::chain(2).build()).await;
    let run = handle.run().clone();
    rig.drive(async {
        while rig.world.started().is_empty() {
            tokio::task::yield_now().await
        }
    })
    .await;
    let left = rig.drive(rig.engine.close(10_000)).await;
    assert_eq!(left, 0, "the attempt had time enough");
    assert!(matches!(rig.drive(handle.rest()).await, Rest::Stopped(_)));
    assert_eq!(rig.world.entry(run.as_str(), "s0").happened, 1);
    assert_eq!(rig.world.entry(run.as_str(), "s1").executed, 0);

    let next = next_engine(&rig).await;
    let mut taken = next.drive(resume_all(&next.engine, vec![run.clone()])).await;
    let state = next.rest(taken[0].as_mut().unwrap()).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    assert_eq!((rig.world.entry(run.as_str(), "s0").executed, rig.world.entry(run.as_str(), "s1").executed), (1, 1));
}

#[tokio::test]
async fn what_takes_too_long_is_left_in_doubt_and_costs_no_retry() {
    let world = World::new();
    slow(&world, "s0", 60_000);
    let rig = Rig::with(SimStore::new(), world, 64);
    let handle = rig.submit(PlanBuilder::chain(1).build()).await;
    let run = handle.run().clone();
    rig.drive(async {
        while rig.world.started().is_empty() {
            tokio::task::yield_now().await
        }
    })
    .await;
    assert_eq!(rig.drive(rig.engine.close(1_000)).await, 1);

    let next = next_engine(&rig).await;
    let mut taken = next.drive(resume_all(&next.engine, vec![run.clone()])).await;
    let state = next.rest(taken[0].as_mut().unwrap()).await;
    assert_eq!(state.status(), RunStatus::Succeeded, "its one attempt was interrupted, and there are no retries");
    let entry = rig.world.entry(run.as_str(), "s0");
    assert_eq!((entry.probed, entry.happened), (1, 1));
}

#[tokio::test]
async fn runs_that_wait_or_have_ended_keep_nobody_waiting() {
    let rig = Rig::new();
    let mut waits = rig.submit(PlanBuilder::new().approve("go", 1, None).build()).await;
    rig.rest(&mut waits).await;
    let mut ended = rig.submit(PlanBuilder::chain(1).build()).await;
    rig.rest(&mut ended).await;
    let before = rig.clock.now();
    assert_eq!(rig.drive(rig.engine.close(60_000)).await, 0);
    assert_eq!(rig.clock.now(), before);
    assert!(rig.engine.is_closing());
    assert!(matches!(ended.rest().await, Rest::Ended(_)));
}
