//! Large plans: nothing in the driver or the core may grow with the square of the plan.

use std::time::{Duration, Instant};

use lifeboat_core::FailureKind;
use lifeboat_core::event::EventKind;
use lifeboat_core::limits::STEPS_AT_WORK_MAX;
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

/// Runs that are submitted at once: more than have room together.
const RUNS: usize = 10_000;
const STEPS_EACH: usize = 25;
const PLACES: u64 = 64;
/// As long as a run may keep a place while others wait.
const STEP_MS: u64 = 100;

#[tokio::test]
async fn ten_thousand_runs_at_once_wait_their_turn_and_none_starves() {
    let rig = Rig::with(SimStore::new(), World::new(), usize::try_from(PLACES).unwrap());
    for step in 0..STEPS_EACH {
        rig.world.acts(&format!("s{step}"), [Act::Slow(STEP_MS, Box::new(Act::Done(None)))]);
    }
    let with_room = STEPS_AT_WORK_MAX / STEPS_EACH;
    assert!(with_room < RUNS, "some of them have to wait outside of memory");
    let plan = PlanBuilder::chain(STEPS_EACH).build();
    let mut handles = Vec::new();
    for _ in 0..RUNS {
        handles.push(rig.submit(plan.clone()).await);
    }
    let (mut first_starts, mut ends) = (Vec::new(), Vec::new());
    for handle in &mut handles {
        assert_eq!(rig.rest(handle).await.status(), RunStatus::Succeeded);
        let events = rig.events(handle.run());
        first_starts
            .push(events.iter().find(|event| matches!(event.kind, EventKind::AttemptStarted { .. })).unwrap().at);
        ends.push(events.last().unwrap().at);
    }
    assert!(first_starts.is_sorted(), "who comes first begins first");
    // Those with room take turns: the last of them ends within a round of the first.
    let (early, late) = (ends[..with_room].iter().min().unwrap(), ends[..with_room].iter().max().unwrap());
    let round = u64::try_from(with_room).unwrap() * STEP_MS / PLACES;
    assert!(late - early <= round, "{} ms between the first end and the last, a round is {round} ms", late - early);
    // And nobody waits longer than all the work there is.
    let work = u64::try_from(RUNS * STEPS_EACH).unwrap() * STEP_MS / PLACES;
    assert!(rig.elapsed() <= work * 11 / 10, "{} ms for {work} ms of work", rig.elapsed());
}
