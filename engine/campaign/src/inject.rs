//! Inject everywhere: at every step of every plan one thing goes wrong, and the end has to be the one that the policy
//! promises.

use std::sync::Arc;

use lifeboat_core::event::EventKind;
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, InDoubt, Plan, Step};
use lifeboat_core::ports::Direction;
use lifeboat_core::state::{Phase, RunState, RunStatus};
use lifeboat_testkit::{Act, Leftovers, Rig, SimStore, World, left, restore};

use crate::cases::case;
use crate::people::{resume_to_end, to_end};
use crate::report::{Found, Report};
use crate::truth::{check, check_with};

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Fail,
    Unknown { happened: bool },
    Timeout { happened: bool },
    UndoFails,
    Repeat,
}

const FAULTS: [(&str, Fault); 7] = [
    ("fail", Fault::Fail),
    ("unknown, happened", Fault::Unknown { happened: true }),
    ("unknown, did not happen", Fault::Unknown { happened: false }),
    ("time-out, happened", Fault::Timeout { happened: true }),
    ("time-out, did not happen", Fault::Timeout { happened: false }),
    ("undo fails", Fault::UndoFails),
    ("repeat", Fault::Repeat),
];

/// Injects every fault at every step of the plans of these seeds.
pub fn run(seeds: impl Iterator<Item = u64>) -> Result<Report, Found> {
    let mut report = Report::new("inject");
    for seed in seeds {
        let plan = case(seed).plan;
        report.count("plans", 1);
        for step in plan.steps.iter().filter(|step| step.kind.by_plugin()) {
            for (name, fault) in FAULTS {
                let found = crate::block(one(&plan, step, fault));
                let tried =
                    found.map_err(|what| Found::new("inject", seed, format!("{name} at step {}: {what}", step.id)))?;
                report.count(name, u64::from(tried));
                report.count("injected", u64::from(tried));
            }
        }
    }
    Ok(report)
}

/// False where the fault has no meaning for the step.
async fn one(plan: &Plan, step: &Step, fault: Fault) -> Result<bool, String> {
    let id = step.id.as_str();
    let mut plan = plan.clone();
    let world = World::new();
    match fault {
        Fault::Fail => drop(world.acts(id, [Act::Fail(FailureKind::Permanent)])),
        Fault::Unknown { happened } => drop(world.acts(id, [Act::Unknown { happened }])),
        Fault::Timeout { happened } => drop(world.acts(id, [Act::Hang { happened }])),
        Fault::UndoFails => {
            if !step.compensate {
                return Ok(false);
            }
            plan.on_failure.compensate = true;
            doom(&mut plan, &world);
            let fails = || Act::Fail(FailureKind::Permanent);
            world.undoes(id, (0..8).map(|_| fails()));
        }
        Fault::Repeat => return repeat(&plan, step).await,
    }
    let rig = Rig::with(SimStore::new(), world.clone(), 8);
    let mut handle = rig.submit(plan).await;
    let state = to_end(&rig, &mut handle, &world).await?;
    check_with(&state, &world, &Leftovers::new(), matches!(fault, Fault::Timeout { .. }))?;
    promised(&state, step, fault, &world)?;
    Ok(true)
}

/// Adds a last step that fails for good, so that the run unwinds.
fn doom(plan: &mut Plan, world: &World) {
    let all = plan.steps.iter().map(|step| step.id.clone()).collect();
    let Some(mut last) = plan.steps.iter().find(|step| step.kind.by_plugin()).cloned() else { return };
    (last.id, last.after, last.compensate, last.fan) = ("doom".into(), all, false, None);
    last.policy.in_doubt = InDoubt::Probe;
    plan.steps.push(last);
    world.acts("doom", [Act::Fail(FailureKind::Permanent)]);
}

/// What the policy of the step promises for this fault.
fn promised(state: &RunState, step: &Step, fault: Fault, world: &World) -> Result<(), String> {
    let status = state.status();
    let entry = world.entry(state.run.as_str(), step.id.as_str());
    let phase = state.step(&step.id).map_or("", |(_, now)| now.phase.as_str());
    let wrong = |why: &str| Err(format!("{why}: the run is {}, the step {phase}, {entry:?}", status.as_str()));
    match fault {
        Fault::Fail => {
            if status != RunStatus::Failed || entry.executed != 1 {
                return wrong("a permanent failure is not retried and fails the run");
            }
            let later = state.steps().filter(|(other, _)| other.after.contains(&step.id));
            for (other, now) in later {
                if world.entry(state.run.as_str(), other.id.as_str()).executed > 0 || now.phase == Phase::Done {
                    return wrong("a step after the failed one ran");
                }
            }
        }
        Fault::Unknown { happened: true } | Fault::Timeout { happened: true } => {
            let harmless = matches!(step.effect, Effect::Read | Effect::Reversible);
            let may_fail = matches!(fault, Fault::Timeout { .. }) && harmless;
            let no_retry = step.policy.in_doubt == InDoubt::Rerun && step.policy.retry.count == 0;
            if status != RunStatus::Succeeded && !may_fail && !no_retry {
                return wrong("what happened counts as done once somebody looked");
            }
        }
        Fault::Unknown { happened: false } | Fault::Timeout { happened: false } => {
            if status == RunStatus::Succeeded && (entry.executed < 2 || !entry.present) {
                return wrong("what did not happen is tried again before the run succeeds");
            }
            if status != RunStatus::Succeeded && step.policy.retry.count > 0 && step.effect != Effect::Irreversible {
                return wrong("a retry was left and not taken");
            }
        }
        Fault::UndoFails => {
            if status != RunStatus::Failed || entry.present {
                return wrong("a run whose undo failed asks, then ends clean");
            }
        }
        Fault::Repeat => {}
    }
    Ok(())
}

/// The engine dies after the effect of the step and before its end is durable: the effect must not come about again.
async fn repeat(plan: &Plan, step: &Step) -> Result<bool, String> {
    let world = World::new();
    let rig = Rig::with(SimStore::new(), world.clone(), 8);
    let mut handle = rig.submit(plan.clone()).await;
    let whole = to_end(&rig, &mut handle, &world).await?;
    let events = rig.events(&whole.run);
    let ended = |kind: &EventKind| matches!(kind, EventKind::AttemptFinished { step: id, direction: Direction::Forward, .. } if *id == step.id);
    let Some(count) = events.iter().position(|event| ended(&event.kind)) else { return Ok(false) };
    let again = World::new();
    let rng = lifeboat_testkit::SeededRng::new(1);
    let before = left(&events[..count], None, &rng);
    restore(&again, whole.run.as_str(), &before);
    again.preset(whole.run.as_str(), step.id.as_str(), true);
    let second = Rig::with(rig.store.prefix(&whole.run, count), again.clone(), 8);
    let state: Arc<RunState> = resume_to_end(&second, &whole.run, &again).await?;
    check(&state, &again, &Leftovers::new())?;
    let entry = again.entry(whole.run.as_str(), step.id.as_str());
    let repeatable = step.policy.in_doubt == InDoubt::Rerun || step.effect == Effect::Read;
    if state.status() != whole.status() || (!repeatable && entry.executed > 0) {
        return Err(format!("it ended as {}, the step ran {} times again", state.status().as_str(), entry.executed));
    }
    Ok(true)
}
