//! Large plans: nothing in the driver or the core may grow with the square of the plan.

use std::time::{Duration, Instant};

use lifeboat_core::FailureKind;
use lifeboat_core::plan::{Effect, Plan};
use lifeboat_core::state::RunStatus;
use lifeboat_testkit::{Act, PlanBuilder, Rig, SimStore, World};

const STEPS: usize = 10_000;

/// Far above what it takes (a few hundred milliseconds), far below what a quadratic one would take.
const BOUND: Duration = Duration::from_secs(15);

async fn timed(what: &str, plan: Plan, world: World, wanted: RunStatus) {
    let rig = Rig::with(SimStore::new(), world, STEPS);
    let began = Instant::now();
    let state = rig.run(plan).await;
    let took = began.elapsed();
    println!("{what}: {took:?}, {} appends", rig.store.appends());
    assert_eq!(state.status(), wanted, "{what}");
    assert!(took < BOUND, "{what} took {took:?}");
    let began = Instant::now();
    assert_eq!(rig.engine.load(&state.run).await.unwrap().state.status(), wanted);
    println!("{what}, read back: {:?}", began.elapsed());
    assert!(began.elapsed() < BOUND);
}

#[tokio::test]
async fn a_long_chain() {
    timed("chain", PlanBuilder::chain(STEPS).build(), World::new(), RunStatus::Succeeded).await;
}

#[tokio::test]
async fn a_wide_fan_with_few_places() {
    timed("fan, 8 at once", PlanBuilder::wide(STEPS).build(), World::new(), RunStatus::Succeeded).await;
}

#[tokio::test]
async fn a_wide_fan_all_at_once() {
    let plan = PlanBuilder::wide(STEPS).max_parallel(u32::MAX).build();
    timed("fan, all at once", plan, World::new(), RunStatus::Succeeded).await;
}

#[tokio::test]
async fn a_long_unwinding() {
    let mut plan = PlanBuilder::chain(STEPS).compensate_on_failure().build();
    for step in &mut plan.steps {
        (step.effect, step.compensate) = (Effect::Compensatable, true);
    }
    let world = World::new();
    world.acts(&format!("s{}", STEPS - 1), [Act::Fail(FailureKind::Permanent)]);
    timed("unwinding", plan, world, RunStatus::Failed).await;
}
