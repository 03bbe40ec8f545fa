//! Random plans with random behaviour, from a seed.

use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, InDoubt, Plan};

use crate::plan::PlanBuilder;
use crate::rng::SeededRng;
use crate::world::{Act, Script, World};

/// A plan, and how each of its steps behaves.
#[derive(Clone, Debug)]
pub struct RandomCase {
    /// The plan.
    pub plan: Plan,
    /// The scripts, by step.
    pub scripts: Vec<(String, Script)>,
    /// The step that fails for good: its effect never happens.
    pub doomed: Option<String>,
}

impl RandomCase {
    /// A world in which the steps behave like this.
    pub fn world(&self) -> World {
        let world = World::new();
        for (step, script) in &self.scripts {
            world.script(step, script.clone());
        }
        world
    }
}

/// A plan of 1 to 9 steps in which steps fail and are tried again, answers are lost, and every fifth plan holds a step
/// that fails for good. Behaviour goes by the number of the attempt, so it is the same after a crash.
pub fn random_case(seed: u64) -> RandomCase {
    let rng = SeededRng::new(seed);
    let count = 1 + rng.below(9);
    let doomed = rng.chance(20).then(|| rng.below(count));
    let mut builder = PlanBuilder::new().max_parallel(u32::try_from(1 + rng.below(4)).unwrap());
    if rng.chance(50) {
        builder = builder.compensate_on_failure();
    }
    let mut scripts = Vec::new();
    for place in 0..count {
        let id = format!("s{place}");
        if rng.chance(10) && doomed != Some(place) {
            builder = builder.wait(&id, rng.below(5_000));
        } else {
            let effect = [Effect::Read, Effect::Reversible, Effect::Compensatable, Effect::Irreversible];
            let retries = rng.below(4);
            builder = builder.step(&id).effect(effect[usize::try_from(rng.below(4)).unwrap()]);
            builder = builder.retry(u32::try_from(retries).unwrap(), 1 + rng.below(2_000));
            if rng.chance(10) {
                builder = builder.in_doubt(InDoubt::Rerun);
            }
            scripts.push((id.clone(), random_script(&rng, retries, doomed == Some(place))));
        }
        for before in (0..place).filter(|_| rng.chance(30)) {
            builder = builder.after([format!("s{before}").as_str()]);
        }
    }
    RandomCase { plan: builder.build(), scripts, doomed: doomed.map(|place| format!("s{place}")) }
}

/// How a step with so many retries behaves: some bad attempts first, then the effect, or for a doomed step never. Behaviour
/// goes by the number of the attempt, so it is the same after a crash.
pub fn random_script(rng: &SeededRng, retries: u64, doomed: bool) -> Script {
    let slow = |act: Act| if rng.chance(50) { Act::Slow(rng.below(3_000), Box::new(act)) } else { act };
    // An interrupted attempt costs no retry but has a number, so bad attempts only come first.
    let bad = rng.below(retries + 1);
    let mut execute: Vec<Act> = (0..bad)
        .map(|_| match rng.below(3) {
            0 => Act::Unknown { happened: !doomed },
            1 => Act::Unknown { happened: false },
            _ => slow(Act::Fail(FailureKind::Temporary)),
        })
        .collect();
    let last = if doomed { Act::Fail(FailureKind::Permanent) } else { Act::Done(None) };
    // Long enough for every attempt that a crash may add.
    execute.extend((0..200).map(|_| slow(last.clone())));
    let undo = if rng.chance(30) { vec![slow(Act::Done(None))] } else { Vec::new() };
    Script { execute, undo, ..Script::default() }
}
