//! Cut everywhere: each random run is ended after each of its events, resumed, and must end as if nothing had been.

use std::sync::Arc;

use lifeboat_core::ids::RunId;
use lifeboat_core::plan::{Effect, InDoubt, Plan};
use lifeboat_core::ports::Store;
use lifeboat_core::state::RunStatus;
use lifeboat_runtime::Rest;
use lifeboat_testkit::{CrashStore, Leftovers, Rig, SeededRng, SimStore, World, left, random_case, restore};

/// Random plans; each is cut after each of its events.
const CASES: u64 = 600;

/// What must be true of the world at the end of a run.
fn check(plan: &Plan, world: &World, run: &RunId, status: RunStatus, before: &Leftovers, what: &str) {
    for step in plan.steps.iter().filter(|step| step.kind.by_plugin()) {
        let entry = world.entry(run.as_str(), step.id.as_str());
        let left = before.get(step.id.as_str());
        if left.is_some_and(|left| left.done) {
            assert_eq!(entry.executed, 0, "{what}: {} was done and ran again", step.id);
        }
        if left.is_some_and(|left| left.undone) {
            assert_eq!(entry.undo_calls, 0, "{what}: {} was undone and is undone again", step.id);
        }
        let repeatable = step.policy.in_doubt == InDoubt::Rerun || step.effect == Effect::Read;
        if status == RunStatus::Succeeded {
            assert!(entry.present, "{what}: {} is not there", step.id);
            assert!(
                repeatable || entry.happened == 1,
                "{what}: {} happened {} times: {:?}\n{entry:?}\n{step:?}",
                step.id,
                entry.happened,
                world.log()
            );
        }
        if status == RunStatus::Failed && plan.on_failure.compensate && step.compensate {
            assert!(!entry.present, "{what}: {} is still there after the unwinding", step.id);
        }
    }
}

#[tokio::test]
async fn a_run_that_is_cut_after_any_event_ends_as_if_uninterrupted() {
    let (mut cuts, mut succeeded) = (0, 0);
    for seed in 0..CASES {
        let case = random_case(seed);
        let rig = Rig::with(SimStore::new(), case.world(), 8);
        let whole = rig.run(case.plan.clone()).await;
        let (run, status) = (whole.run.clone(), whole.status());
        assert!(status.is_final(), "seed {seed}: {}", status.as_str());
        check(&case.plan, &rig.world, &run, status, &Leftovers::new(), &format!("seed {seed}, uncut"));
        succeeded += u64::from(status == RunStatus::Succeeded);
        let events = rig.events(&run);
        for count in 1..=events.len() {
            let what = format!("seed {seed}, cut after event {count} of {}", events.len());
            let rng = SeededRng::new(seed * 1_000 + u64::try_from(count).unwrap());
            let before = left(&events[..count], case.doomed.as_deref(), &rng);
            let world = case.world();
            restore(&world, run.as_str(), &before);
            let second = Rig::with(rig.store.prefix(&run, count), world, 8);
            let mut handle = second.drive(second.engine.resume(&run)).await.unwrap();
            let state = second.rest(&mut handle).await;
            assert_eq!(state.status(), status, "{what}");
            check(&case.plan, &second.world, &run, status, &before, &what);
            let again = second.events(&run);
            assert_eq!(again[..count], events[..count], "{what}: history was changed");
            cuts += 1;
        }
    }
    assert!(cuts > 1_000 && succeeded > CASES / 2, "{cuts} cuts, {succeeded} runs succeeded");
}

#[tokio::test]
async fn a_run_that_dies_again_and_again_still_ends() {
    for seed in 0..CASES {
        let case = random_case(seed);
        let rig = Rig::with(SimStore::new(), case.world(), 8);
        let status = rig.run(case.plan.clone()).await.status();
        // The same run again, in one world, by many engines: each stores a few events and dies.
        // The engine that makes the run acts on a world of its own: what it does is cut off.
        let world = case.world();
        let rig = Rig::new();
        let run = rig.submit(case.plan.clone()).await.run().clone();
        let mut store = rig.store.prefix(&run, 1);
        let mut lives = 0;
        let state = loop {
            lives += 1;
            assert!(lives < 2_000, "seed {seed}: no end");
            // A round that is larger than what a life may store comes through in a later, longer life.
            let dying = Arc::new(CrashStore::new(store).cut_after(1 + lives / 4));
            let same: Arc<dyn Store> = Arc::clone(&dying) as Arc<dyn Store>;
            let rig = Rig::over(Arc::new(SimStore::new()), same, world.clone(), 8);
            let mut handle = rig.drive(rig.engine.resume(&run)).await.unwrap();
            if let Rest::Ended(state) | Rest::Person(state) = rig.drive(handle.rest()).await {
                break state;
            }
            store = dying.inner().prefix(&run, usize::MAX);
        };
        let what = format!("seed {seed}, {lives} lives");
        assert_eq!(state.status(), status, "{what}");
        check(&case.plan, &world, &run, status, &Leftovers::new(), &what);
    }
}
