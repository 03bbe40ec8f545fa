//! Deterministic simulation: several runs that share locks, in one world, by one engine after the other. Engines die at any
//! moment, or are overtaken while they still live; stores fail before a write, after it, or for good; time jumps.
//! One seed in fifty is a run on the real store, whose disk tears writes ([`crate::torn`]).

use std::sync::Arc;

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::RunId;
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, Plan};
use lifeboat_core::ports::{Clock, Store};
use lifeboat_core::state::{RunState, RunStatus};
use lifeboat_testkit::{
    Act, CrashStore, Fault, Leftovers, PlanBuilder, RandomCase, Rig, SeededRng, SimClock, SimStore, World, said,
};

use crate::cases::{case, locked};
use crate::people::{all_to_end, resume_to_end, to_end};
use crate::report::{Found, Report};
use crate::truth::check;

/// Engines that live and die before the one that carries everything to its end.
const LIVES_MAX: u64 = 12;
/// Simulated time that a life lasts at most.
const LIFE_MS: u64 = 8_000;
/// How often an engine that is not dead may be in the way of the one that takes its run over.
const TAKE_OVERS_MAX: u32 = 5;
/// When simulations begin.
pub const BEGIN_MS: u64 = 1_700_000_000_000;

/// Simulates these seeds.
pub fn run(seeds: impl Iterator<Item = u64>) -> Result<Report, Found> {
    let mut report = Report::new("sim");
    for seed in seeds {
        one(seed, &mut report).map_err(|what| Found::new("sim", seed, what))?;
        report.count("seeds", 1);
    }
    Ok(report)
}

/// All that outlives an engine.
struct Setting {
    clock: SimClock,
    store: Arc<SimStore>,
    world: World,
}

impl Setting {
    fn rig(&self, seed: u64, written: Arc<dyn Store>) -> Rig {
        Rig::at(self.clock.clone(), seed, Arc::clone(&self.store), written, self.world.clone(), 8)
    }
}

fn one(seed: u64, report: &mut Report) -> Result<(), String> {
    if seed % 50 == 25 {
        return crate::torn::one(seed, report);
    }
    if seed % 4 == 3 {
        return overtaken(seed, report);
    }
    let rng = SeededRng::new(seed ^ 0x5151);
    let cases = runs(seed, &rng);
    let setting = Setting { clock: SimClock::at(BEGIN_MS), store: Arc::new(SimStore::new()), world: World::new() };
    for case in &cases {
        for (step, script) in &case.scripts {
            setting.world.script(step, script.clone());
        }
    }
    let mut made: Vec<RunId> = Vec::new();
    let lives = 1 + rng.below(LIVES_MAX);
    for life in 0..lives {
        let dying = dying(&setting.store, &rng, report);
        let rig = setting.rig(seed * 100 + life, dying);
        // The engine's runtime goes with it: nothing of a dead process goes on.
        crate::block(live(&rig, &cases, &mut made, LIFE_MS.min(1 + rng.below(LIFE_MS))));
        report.count("lives", 1);
    }
    let written: Arc<dyn Store> = Arc::clone(&setting.store) as Arc<dyn Store>;
    let rig = setting.rig(seed * 100 + 99, written);
    let states = crate::block(last_life(&rig, &cases, &made, &setting.world))?;
    judge(&cases, &states, &setting, seed)?;
    report.count("runs", u64::try_from(states.len()).unwrap());
    Ok(())
}

/// Two or three runs whose steps have names of their own, so that one world holds them all; some share a lock.
fn runs(seed: u64, rng: &SeededRng) -> Vec<RandomCase> {
    let count = 2 + rng.below(2);
    (0..count)
        .map(|number| {
            let mut case = case(seed * 7 + number * 3);
            let locks: &[&str] =
                [&["db"] as &[&str], &["db", "edge"], &["edge"], &[]][usize::try_from(rng.below(4)).unwrap()];
            rename(&mut case, number);
            case.plan = locked(case.plan, locks);
            case
        })
        .collect()
}

fn rename(case: &mut RandomCase, number: u64) {
    let new = |old: &str| format!("r{number}/{old}");
    for step in &mut case.plan.steps {
        step.id = new(step.id.as_str()).as_str().into();
        step.after = step.after.iter().map(|id| new(id.as_str()).as_str().into()).collect();
    }
    case.scripts.iter_mut().for_each(|(step, _)| *step = new(step));
    case.doomed = case.doomed.as_deref().map(new);
}

/// A store that fails in one of its ways.
fn dying(store: &Arc<SimStore>, rng: &SeededRng, report: &mut Report) -> Arc<dyn Store> {
    let mut dying = CrashStore::new(Arc::clone(store));
    match rng.below(4) {
        0 => {
            report.count("stores that die", 1);
            dying = dying.cut_after(1 + rng.below(12));
        }
        1 => {
            report.count("errors before a write", 1);
            dying = dying.fail(1 + rng.below(8), Fault::Before);
        }
        2 => {
            report.count("errors after a write", 1);
            dying = dying.fail(1 + rng.below(8), Fault::After);
        }
        _ => {
            report.count("slow stores", 1);
            dying = dying.slow(1 + rng.below(400));
        }
    }
    Arc::new(dying)
}

/// One life: what is not made yet is made, the rest is taken up again, until the process dies.
async fn live(rig: &Rig, cases: &[RandomCase], made: &mut Vec<RunId>, ms: u64) {
    let end = rig.clock.now() + ms;
    let mut handles = Vec::new();
    for run in made.iter() {
        if let Ok(handle) = rig.drive(rig.engine.resume(run)).await {
            handles.push(handle);
        }
    }
    for case in &cases[made.len()..] {
        // A run whose making failed may be there or not; it is looked for by the store's list at the end.
        let Ok(handle) = rig.drive(rig.engine.submit(case.plan.clone(), String::new(), said("test"))).await else {
            break;
        };
        made.push(handle.run().clone());
        handles.push(handle);
    }
    rig.drive(rig.clock.sleep_until(end)).await;
    drop(handles);
}

async fn last_life(
    rig: &Rig,
    cases: &[RandomCase],
    made: &[RunId],
    world: &World,
) -> Result<Vec<Arc<RunState>>, String> {
    // Runs of which only the store knows were made by an engine that was told that nobody knows.
    let known = rig.drive(rig.store.list()).await.map_err(|error| error.to_string())?;
    let stray: Vec<RunId> = known.into_iter().map(|head| head.run).filter(|run| !made.contains(run)).collect();
    for run in &stray {
        let mut handle = rig.drive(rig.engine.resume(run)).await.map_err(|error| error.to_string())?;
        let cancel = lifeboat_runtime::Verb::Abandon;
        let _ = rig.drive(handle.say(cancel, said("operator"))).await;
        let _ = rig.drive(handle.rest()).await;
    }
    let mut handles = Vec::new();
    for run in made.iter() {
        handles.push(rig.drive(rig.engine.resume(run)).await.map_err(|error| format!("not taken up: {error}"))?);
    }
    for case in &cases[made.len()..] {
        handles.push(rig.submit(case.plan.clone()).await);
    }
    all_to_end(rig, &mut handles, world).await
}

fn judge(cases: &[RandomCase], states: &[Arc<RunState>], setting: &Setting, seed: u64) -> Result<(), String> {
    let mut logs = Vec::new();
    for (number, (case, state)) in cases.iter().zip(states).enumerate() {
        let at = |why: String| format!("run {number}: {why}");
        check(state, &setting.world, &Leftovers::new()).map_err(at)?;
        let alone = crate::block(alone(case)).map_err(|why| at(format!("alone: {why}")))?;
        if state.status() != alone {
            return Err(at(format!("it ended as {}, undisturbed as {}", state.status().as_str(), alone.as_str())));
        }
        logs.push((state.lock_names.clone(), setting.store.events(&state.run)));
    }
    for (number, (locks, events)) in logs.iter().enumerate() {
        for (other_locks, other) in &logs[number + 1..] {
            if locks.iter().any(|lock| other_locks.contains(lock)) && overlap(events, other) {
                return Err(format!("seed {seed}: two runs had one lock at once"));
            }
        }
    }
    Ok(())
}

/// The status that the run has when nothing disturbs it.
pub async fn alone(case: &RandomCase) -> Result<RunStatus, String> {
    let rig = Rig::with(SimStore::new(), case.world(), 8);
    let mut handle = rig.submit(case.plan.clone()).await;
    Ok(to_end(&rig, &mut handle, &rig.world).await?.status())
}

/// Whether the spans of two runs, from their locks to their end, have more than a moment in common.
fn overlap(a: &[Event], b: &[Event]) -> bool {
    let span = |events: &[Event]| {
        let taken = events.iter().find(|event| matches!(event.kind, EventKind::LocksTaken { .. }))?.at;
        Some((taken, events.last()?.at))
    };
    match (span(a), span(b)) {
        (Some((from, to)), Some((other_from, other_to))) => from < other_to && other_from < to,
        _ => false,
    }
}

/// An engine is taken for dead and is not: while its attempt still acts, another one takes the run over. The target checks
/// the token, so the effect comes about once.
fn overtaken(seed: u64, report: &mut Report) -> Result<(), String> {
    let rng = SeededRng::new(seed);
    let plan = slow_chain(&rng);
    let setting = Setting { clock: SimClock::at(BEGIN_MS), store: Arc::new(SimStore::new()), world: World::new() };
    for step in &plan.steps {
        let act = Act::Slow(500 + rng.below(2_000), Box::new(Act::Done(None)));
        let fail = Act::Slow(10, Box::new(Act::Fail(FailureKind::Temporary)));
        let first = if rng.chance(20) { fail } else { act.clone() };
        setting.world.acts(step.id.as_str(), [first, act.clone(), act.clone(), act.clone(), act]);
    }
    let shared = || Arc::clone(&setting.store) as Arc<dyn Store>;
    let wait = rng.below(4_000);
    let state = crate::block(async {
        let first = setting.rig(seed, shared());
        let handle = first.submit(plan.clone()).await;
        first.drive(first.clock.sleep_until(first.clock.now() + wait)).await;
        let second = setting.rig(seed + 1, shared());
        let mut state = resume_to_end(&second, handle.run(), &setting.world).await;
        // The first engine may write between the other one's reading and its first event; then the taking over is tried again.
        for _ in 0..TAKE_OVERS_MAX {
            if !state.as_ref().is_err_and(|why| why.contains("LB0601")) {
                break;
            }
            report.count("take-overs that came too late", 1);
            state = resume_to_end(&second, handle.run(), &setting.world).await;
        }
        let state = state?;
        // What the first engine still has under way comes to its end now, and is refused.
        first.drive(first.clock.sleep_until(first.clock.now() + 60_000)).await;
        Ok::<_, String>(state)
    })?;
    for step in &plan.steps {
        let entry = setting.world.entry(state.run.as_str(), step.id.as_str());
        if entry.happened != 1 {
            return Err(format!("{} happened {} times: {:?}", step.id, entry.happened, setting.world.log()));
        }
    }
    report.count("overtaken engines", 1);
    report.count("effects refused by their token", setting.world.refused());
    if state.status() == RunStatus::Succeeded {
        Ok(())
    } else {
        Err(format!("it ended as {}", state.status().as_str()))
    }
}

fn slow_chain(rng: &SeededRng) -> Plan {
    let count = 2 + rng.below(4);
    let mut builder = PlanBuilder::new();
    for place in 0..count {
        builder = builder.step(&format!("s{place}")).effect(Effect::Irreversible).retry(4, 20);
        if let Some(before) = place.checked_sub(1) {
            builder = builder.after([format!("s{before}").as_str()]);
        }
    }
    locked(builder.build(), &["db"])
}
