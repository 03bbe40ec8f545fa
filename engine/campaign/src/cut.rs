//! Cut everywhere: each run is ended after each of its events, taken up again, and must end as if nothing had been.

use std::collections::BTreeSet;

use lifeboat_core::state::{Phase, RunState};
use lifeboat_testkit::{Leftovers, RandomCase, Rig, SeededRng, SimStore, left, restore};

use crate::cases::{SHAPES, case, shape};
use crate::people::{resume_to_end, to_end};
use crate::report::{Found, Report};
use crate::truth::{check, history};

/// Cuts the runs of these seeds.
pub fn run(seeds: impl Iterator<Item = u64>) -> Result<Report, Found> {
    let mut report = Report::new("cut");
    for seed in seeds {
        let cuts = crate::block(one(seed)).map_err(|what| Found::new("cut", seed, what))?;
        report.count("plans", 1);
        report.count("cuts", cuts);
        report.count(SHAPES.iter().find(|name| **name == shape(seed)).unwrap(), 1);
    }
    Ok(report)
}

/// The steps whose effect is there at the end.
fn done(state: &RunState) -> BTreeSet<String> {
    let there = state.steps().filter(|(_, now)| now.phase == Phase::Done);
    there.map(|(step, _)| step.id.0.clone()).collect()
}

async fn one(seed: u64) -> Result<u64, String> {
    let case: RandomCase = case(seed);
    let rig = Rig::with(SimStore::new(), case.world(), 8);
    let mut handle = rig.submit(case.plan.clone()).await;
    let whole = to_end(&rig, &mut handle, &rig.world).await.map_err(|why| format!("uncut: {why}"))?;
    check(&whole, &rig.world, &Leftovers::new()).map_err(|why| format!("uncut: {why}"))?;
    let events = rig.events(&whole.run);
    for count in 1..=events.len() {
        let at = |why: String| format!("cut after event {count} of {}: {why}", events.len());
        let rng = SeededRng::new(seed * 1_000 + u64::try_from(count).unwrap());
        let before = left(&events[..count], case.doomed.as_deref(), &rng);
        let world = case.world();
        restore(&world, whole.run.as_str(), &before);
        let second = Rig::with(rig.store.prefix(&whole.run, count), world.clone(), 8);
        let state = resume_to_end(&second, &whole.run, &world).await.map_err(at)?;
        if state.status() != whole.status() {
            return Err(at(format!("it ended as {}, uncut as {}", state.status().as_str(), whole.status().as_str())));
        }
        // A run that fails ends in the state that its order of events gave; one that succeeds has one end only.
        if whole.result == Some(lifeboat_core::event::RunResult::Succeeded) && done(&state) != done(&whole) {
            return Err(at(format!("done are {:?}, uncut {:?}", done(&state), done(&whole))));
        }
        check(&state, &world, &before).map_err(at)?;
        history(&events[..count], &second.events(&whole.run)).map_err(at)?;
    }
    Ok(u64::try_from(events.len()).unwrap())
}
