//! What drills make is removed: at every end, and after every crash.

use std::sync::Arc;

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::RunId;
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, Plan};
use lifeboat_core::ports::{Direction, Store};
use lifeboat_core::state::RunStatus;
use lifeboat_core::{StepId, ledger};
use lifeboat_runtime::{Rest, Verb};
use lifeboat_testkit::{
    Act, CrashStore, PlanBuilder, RandomCase, Rig, SeededRng, SimStore, World, left, random_case, restore, said,
};

const CASES: u64 = 250;

/// A random plan, each of whose steps that change something makes something, and whose removals fail now and then.
fn case(seed: u64) -> RandomCase {
    let mut case = random_case(seed);
    let rng = SeededRng::new(seed ^ 0x5eed);
    for step in case.plan.steps.iter_mut().filter(|step| step.kind.by_plugin() && step.effect != Effect::Read) {
        step.makes = PlanBuilder::new().step("x").makes("something").build().steps[0].makes.clone();
        let script = case.scripts.iter_mut().find(|(name, _)| *name == step.id.0);
        let bad = rng.below(3);
        script.unwrap().1.cleanup = (0..bad)
            .map(|_| match rng.below(3) {
                0 => Act::Fail(FailureKind::Temporary),
                1 => Act::Unknown { happened: false },
                _ => Act::Unknown { happened: true },
            })
            .collect();
    }
    case
}

/// No attempt of a step that makes something begins before its intent.
fn intents_first(plan: &Plan, events: &[Event], what: &str) {
    let mut intended: Vec<&StepId> = Vec::new();
    for event in events {
        match &event.kind {
            EventKind::ResourcesIntended { step, .. } => intended.push(step),
            EventKind::AttemptStarted { step, direction: Direction::Forward, .. } => {
                let makes = plan.step(step).is_some_and(|step| !step.makes.is_empty());
                assert!(!makes || intended.contains(&step), "{what}: {step} began before its intent");
            }
            _ => {}
        }
    }
}

fn nothing_left(plan: &Plan, world: &World, run: &RunId, what: &str) {
    for step in plan.steps.iter().filter(|step| !step.makes.is_empty()) {
        let entry = world.entry(run.as_str(), step.id.as_str());
        assert!(!entry.present, "{what}: what {} made is still there", step.id);
    }
}

#[tokio::test]
async fn a_drill_that_is_cut_after_any_event_leaves_nothing() {
    let mut cuts = 0;
    for seed in 0..CASES {
        let case = case(seed);
        let rig = Rig::with(SimStore::new(), case.world(), 8);
        let whole = rig.run(case.plan.clone()).await;
        let (run, status) = (whole.run.clone(), whole.status());
        assert!(status.is_final(), "seed {seed}: {}", status.as_str());
        nothing_left(&case.plan, &rig.world, &run, &format!("seed {seed}, uncut"));
        assert_eq!(ledger::left(&whole).0, 0, "seed {seed}");
        let events = rig.events(&run);
        intents_first(&case.plan, &events, &format!("seed {seed}"));
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
            nothing_left(&case.plan, &second.world, &run, &what);
            assert_eq!(ledger::left(&state).0, 0, "{what}");
            intents_first(&case.plan, &second.events(&run), &what);
            cuts += 1;
        }
    }
    assert!(cuts > 1_000, "{cuts} cuts");
}

#[tokio::test]
async fn a_drill_that_dies_again_and_again_leaves_nothing() {
    for seed in 0..CASES / 2 {
        let case = case(seed);
        let world = case.world();
        let rig = Rig::new();
        let run = rig.submit(case.plan.clone()).await.run().clone();
        let mut store = rig.store.prefix(&run, 1);
        let mut lives = 0;
        let state = loop {
            lives += 1;
            assert!(lives < 2_000, "seed {seed}: no end");
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
        nothing_left(&case.plan, &world, &run, &what);
        assert_eq!(ledger::left(&state).0, 0, "{what}");
    }
}

#[tokio::test]
async fn what_is_left_is_removed_when_a_person_asks_for_it() {
    let world = World::new();
    world.cleans("a", [Act::Fail(FailureKind::Permanent)]);
    let rig = Rig::with(SimStore::new(), world, 8);
    let plan = PlanBuilder::new().step("a").makes("a folder").step("b").makes("a zone").after(["a"]).build();
    let state = rig.run(plan).await;
    assert_eq!((state.status(), ledger::left(&state)), (RunStatus::Succeeded, (1, 2)));
    assert!(rig.world.entry(state.run.as_str(), "a").present);
    let handle = rig.drive(rig.engine.resume_saying(&state.run, Verb::Cleanup, said("ada"))).await;
    let after = rig.rest(&mut handle.unwrap()).await;
    assert_eq!((after.status(), ledger::left(&after)), (RunStatus::Succeeded, (0, 2)));
    assert!(!rig.world.entry(state.run.as_str(), "a").present);
    assert_eq!(rig.world.log(), ["do a", "do b", "clean b", "clean a", "clean a"]);
}

#[tokio::test]
async fn an_abandoned_drill_is_cleaned_up_when_a_person_asks_for_it() {
    let world = World::new();
    world.acts("b", [Act::Hang { happened: true }]);
    let rig = Rig::with(SimStore::new(), world, 8);
    let plan = PlanBuilder::new().step("a").makes("a folder").step("b").makes("a zone").after(["a"]).build();
    let handle = rig.submit(plan).await;
    while rig.world.entry(handle.run().as_str(), "b").executed == 0 {
        rig.drive(tokio::task::yield_now()).await;
    }
    rig.drive(handle.say(Verb::Abandon, said("ada"))).await.unwrap();
    let run = handle.run().clone();
    drop(handle);
    let again = rig.drive(rig.engine.resume_saying(&run, Verb::Cleanup, said("ada"))).await;
    let state = rig.rest(&mut again.unwrap()).await;
    assert_eq!((state.status(), ledger::left(&state)), (RunStatus::Abandoned, (0, 2)));
    assert!(!rig.world.entry(run.as_str(), "b").present && !rig.world.entry(run.as_str(), "a").present);
}
