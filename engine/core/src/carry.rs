//! Going on in another mode: what a run takes over from one that is given up for it, as when the primary dies in the middle of a
//! switchover and a failover has to finish it.
//!
//! The new run has a plan of its own, with its own fingerprint, that is shown first. A step of it is *carried* when the earlier run
//! did it, its definition is the same (kind, plugin, targets, arguments, conditions, and the inputs that these name), and so is all
//! that comes before it: it is done from the start, with its outputs and its idempotency key. Everything else runs as the
//! plan says. Approvals are about one plan, and are asked for anew: what was done before stays done, and what comes next waits for them.
//!
//! Nothing in doubt is repeated: a step of the new plan of which nobody knows whether it happened is *open*, and as long as one is,
//! the run is not continued.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Event, EventKind, RunResult, Said};
use crate::ids::{Digest, RunId, StepId};
use crate::limits::EVENT_BYTES_MAX;
use crate::plan::{Mode, Plan, Step, StepKind};
use crate::ports::Direction;
use crate::state::{ByHand, Heading, Locks, Phase, RunState, StepState};
use crate::{Error, template};

/// The run that another one goes on with, and what is taken over from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Continues {
    /// The run.
    pub run: RunId,
    /// Its mode.
    pub mode: Mode,
    /// How many events it has; the last one names this run as its successor.
    pub events: u64,
    /// The chain digest of that last event: which history it is that goes on.
    pub chain: Digest,
    /// When the first run of the line was made: the recovery was declared then. Milliseconds since the Unix epoch.
    pub declared_at: u64,
    /// Up to when data may have been written that is lost, where that is not when this run was made: the earlier run was a failover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disaster_at: Option<u64>,
    /// The last fencing token that it gave out.
    pub token: u64,
    /// The locks that it had, and that went over without a gap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<String>,
    /// The steps that are taken over, in the order in which they were done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<CarriedStep>,
}

/// A step that was done in an earlier run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CarriedStep {
    /// The step.
    pub step: StepId,
    /// The run that did it: the earlier one, or one that that one went on with.
    pub run: RunId,
    /// The last attempt of it in that run; 0 where a person marked it as done before any.
    pub attempt: u32,
    /// When it began there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<u64>,
    /// When it was done there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<u64>,
    /// Its outputs.
    pub outputs: Value,
    /// Who marked it as done, if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<Box<ByHand>>,
}

/// Where a step was done that was taken over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Origin {
    /// The run.
    pub run: RunId,
    /// The attempt.
    pub attempt: u32,
    /// When it began there.
    pub begun_at: Option<u64>,
    /// When it was done there.
    pub done_at: Option<u64>,
}

/// What becomes of a step of the new plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
pub enum Fate {
    /// It is done, and is not repeated.
    Carried,
    /// It runs: it was not done.
    Runs,
    /// It was done, and runs again.
    Again {
        /// Why it cannot be taken over.
        because: String,
    },
    /// Nobody knows whether it happened; that has to be settled first.
    Open {
        /// How it stands.
        phase: &'static str,
    },
}

impl Fate {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Fate::Carried => "carried over",
            Fate::Runs => "runs",
            Fate::Again { .. } => "runs again",
            Fate::Open { .. } => "in doubt",
        }
    }
}

/// A step of the new plan, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The step.
    pub step: StepId,
    /// Its kind.
    pub kind: StepKind,
    /// What becomes of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// A step of the earlier run that is no part of the new plan, and whose effect is there or may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// The step.
    pub step: StepId,
    /// Its kind.
    pub kind: StepKind,
    /// How it stands.
    pub phase: &'static str,
    /// Whether the earlier run would have undone it. The new one does not.
    pub compensate: bool,
}

/// What a run that goes on in another mode takes over, and what it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Handover {
    /// Every step of the new plan, in the order of its source.
    pub steps: Vec<Row>,
    /// What stays behind.
    pub left: Vec<Left>,
}

impl Handover {
    /// The steps that are taken over.
    pub fn carried(&self) -> impl Iterator<Item = &StepId> {
        self.steps.iter().filter(|row| row.fate == Fate::Carried).map(|row| &row.step)
    }

    /// The steps that have to be settled first.
    pub fn open(&self) -> impl Iterator<Item = &StepId> {
        self.steps.iter().filter(|row| matches!(row.fate, Fate::Open { .. })).map(|row| &row.step)
    }
}

/// Whether what a step of that kind did can be taken over. The answer to a question is about one plan.
pub const fn carries(kind: StepKind) -> bool {
    !matches!(kind, StepKind::Approve)
}

fn refuse(state: &RunState, code: &'static str, message: String, hint: &str) -> Error {
    Error::new(code, message).with("run", &state.run).hint(hint)
}

/// Whether the run may be continued with that plan at all.
///
/// # Errors
/// `LB1220` a drill; `LB1221` the same mode, or another runbook; `LB1222` the run has ended, or is being ended; `LB1223` another
/// run goes on with it already.
pub fn may_continue(state: &RunState, plan: &Plan) -> Result<(), Error> {
    let (from, to) = (state.plan.mode, plan.mode);
    if from == Mode::Drill || to == Mode::Drill {
        let hint = "a drill is apart from everything else by its grants: end it, and start a run of its own";
        return Err(refuse(
            state,
            "LB1220",
            format!("a {} is not continued as a {}", from.as_str(), to.as_str()),
            hint,
        ));
    }
    if let Some(next) = &state.continued_as {
        let hint = format!("'lifeboat show {next}' tells how that one is");
        return Err(refuse(state, "LB1223", format!("run {next} goes on with it already"), &hint));
    }
    if from == to {
        let hint = "'resume', 'retry' and 'skip' go on in the mode that it has";
        return Err(refuse(state, "LB1221", format!("the run is a {} already", from.as_str()), hint));
    }
    if state.plan.runbook != plan.runbook {
        let message = format!("the run is of runbook '{}', and not of '{}'", state.plan.runbook, plan.runbook);
        return Err(refuse(state, "LB1221", message, "a run is continued with its own runbook, in another mode"));
    }
    let turned = matches!(state.heading, Heading::Cancelling { .. } | Heading::Cleaning { .. });
    if turned || !matches!(state.result, None | Some(RunResult::Failed)) {
        let message = format!("the run cannot be continued: it is {}", state.status().as_str());
        return Err(refuse(state, "LB1222", message, "start a run of its own: lifeboat run RUNBOOK --mode MODE"));
    }
    Ok(())
}

/// What is taken over, and what not, as the run is now. Every step of the new plan has exactly one fate.
///
/// # Errors
/// As [`may_continue`].
pub fn handover(state: &RunState, plan: &Plan) -> Result<Handover, Error> {
    may_continue(state, plan)?;
    let sorter = Sorter { state, plan, places: places(plan) };
    let mut known = BTreeMap::new();
    for step in sorter.in_order() {
        let fate = sorter.fate(step, &known);
        known.insert(&step.id, fate);
    }
    let row = |step: &Step| {
        let fate = known.get(&step.id).map_or(Fate::Runs, |(fate, _)| fate.clone());
        Row { step: step.id.clone(), kind: step.kind, fate }
    };
    let steps = plan.steps.iter().map(row).collect();
    let gone = |step: &Step| !sorter.places.contains_key(&step.id) && carries(step.kind);
    let left = state.steps().filter(|(step, now)| gone(step) && may_be_there(now)).map(|(step, now)| Left {
        step: step.id.clone(),
        kind: step.kind,
        phase: now.phase.as_str(),
        compensate: step.compensate,
    });
    Ok(Handover { steps, left: left.collect() })
}

fn places(plan: &Plan) -> BTreeMap<&StepId, usize> {
    plan.steps.iter().enumerate().map(|(place, step)| (&step.id, place)).collect()
}

fn may_be_there(now: &StepState) -> bool {
    now.may_have_happened || matches!(now.phase, Phase::Running { .. } | Phase::Done)
}

/// Whether nobody knows how far the step came.
fn is_open(now: &StepState) -> bool {
    let undo = |phase: &Phase| matches!(phase, Phase::Backoff { direction: Direction::Undo, .. });
    undo(&now.phase)
        || matches!(
            now.phase,
            Phase::Running { .. } | Phase::InDoubt { .. } | Phase::Asking { .. } | Phase::UndoFailed { .. }
        )
}

/// A fate, and whether what comes after the step may rest on it as on the same work.
type Known<'a> = BTreeMap<&'a StepId, (Fate, bool)>;

struct Sorter<'a> {
    state: &'a RunState,
    plan: &'a Plan,
    places: BTreeMap<&'a StepId, usize>,
}

impl<'a> Sorter<'a> {
    /// The steps of the new plan, each after all that come before it. A circle, which no compiler makes, is left out.
    fn in_order(&self) -> Vec<&'a Step> {
        let mut missing: Vec<usize> = self.plan.steps.iter().map(|step| step.after.len()).collect();
        let mut dependents: BTreeMap<&StepId, Vec<usize>> = BTreeMap::new();
        for (place, step) in self.plan.steps.iter().enumerate() {
            step.after.iter().for_each(|before| dependents.entry(before).or_default().push(place));
        }
        let mut open: Vec<usize> = (0..missing.len()).filter(|place| missing.get(*place) == Some(&0)).collect();
        let mut order = Vec::with_capacity(missing.len());
        while let Some(step) = open.pop().and_then(|place| self.plan.steps.get(place)) {
            order.push(step);
            for next in dependents.get(&step.id).into_iter().flatten() {
                let Some(count) = missing.get_mut(*next) else { continue };
                *count = count.saturating_sub(1);
                if *count == 0 {
                    open.push(*next);
                }
            }
        }
        order
    }

    fn fate(&self, step: &Step, known: &Known<'_>) -> (Fate, bool) {
        let ground = step.after.iter().find(|before| !known.get(*before).is_some_and(|(_, same)| *same));
        if !carries(step.kind) {
            return (Fate::Runs, ground.is_none());
        }
        let Some((was, now)) = self.state.step(&step.id) else { return (Fate::Runs, false) };
        if is_open(now) {
            return (Fate::Open { phase: now.phase.as_str() }, false);
        }
        let changed = self.differs(was, step);
        match &now.phase {
            Phase::Done => match (changed, ground) {
                (Some(because), _) => (Fate::Again { because }, false),
                (None, Some(before)) => {
                    let because = format!("it comes after '{before}', which runs");
                    (Fate::Again { because }, false)
                }
                (None, None) => (Fate::Carried, true),
            },
            // The same conditions over the same values come out the same.
            Phase::NotNeeded { .. } => (Fate::Runs, changed.is_none() && ground.is_none()),
            _ => (Fate::Runs, false),
        }
    }

    /// What is different between a step as it was and as it is now, where that changes what it does.
    fn differs(&self, was: &Step, is: &Step) -> Option<String> {
        let (old, new) = (&*self.state.plan, self.plan);
        let pin = |plan: &'a Plan, name: &Option<String>| name.as_ref().and_then(|name| plan.plugins.get(name));
        if was.kind != is.kind {
            return Some(format!("it was a {}", was.kind.as_str()));
        }
        if was.plugin != is.plugin || pin(old, &was.plugin) != pin(new, &is.plugin) {
            return Some("its plugin is another one".to_owned());
        }
        if was.args != is.args || was.wait_ms != is.wait_ms {
            return Some("its arguments are others".to_owned());
        }
        if was.when != is.when || was.scan != is.scan {
            return Some("its conditions are others".to_owned());
        }
        if was.targets != is.targets {
            return Some("its targets are others".to_owned());
        }
        let mut named = references(&is.args);
        named.extend(is.when.iter().flat_map(|when| references(&Value::String(when.value.clone()))));
        for used in &is.targets {
            let (before, after) = (old.targets.get(&used.target), new.targets.get(&used.target));
            let same = before.zip(after).filter(|(before, after)| {
                (&before.plugin, &before.settings, &before.secrets) == (&after.plugin, &after.settings, &after.secrets)
                    && old.plugins.get(&before.plugin) == new.plugins.get(&after.plugin)
            });
            match same {
                Some((_, after)) => named.extend(references(&after.settings)),
                None => return Some(format!("target '{}' is another one in this mode", used.target)),
            }
        }
        named.iter().find_map(|path| match path.as_slice() {
            [root, ..] if root == "run" => Some("it names the run itself".to_owned()),
            [root, name, ..] if root == "inputs" && old.inputs.get(name) != new.inputs.get(name) => {
                Some(format!("input '{name}' has another value"))
            }
            _ => None,
        })
    }
}

/// The paths of all references in a value. One that cannot be read names the run, as it were: it is not the same.
fn references(value: &Value) -> BTreeSet<Vec<String>> {
    match template::references_in(value) {
        Ok(found) => found.into_iter().map(|reference| reference.path).collect(),
        Err(_) => [vec!["run".to_owned()]].into(),
    }
}

/// What the successor takes over, once the run has ended for it: its steps with their outputs, and the line of history.
///
/// `carried` is what the run's last event names; `events` and `chain` are where its log ends.
pub fn continues(state: &RunState, carried: &[StepId], events: u64, chain: Digest) -> Continues {
    let step = |id: &StepId| {
        let (_, now) = state.step(id)?;
        let (begun_at, done_at) = (now.started_at, now.finished_at);
        let here = Origin { run: state.run.clone(), attempt: now.attempts, begun_at, done_at };
        let Origin { run, attempt, begun_at, done_at } = now.carried.as_deref().cloned().unwrap_or(here);
        let outputs = now.outputs.clone().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        Some(CarriedStep { step: id.clone(), run, attempt, begun_at, done_at, outputs, by_hand: now.by_hand.clone() })
    };
    Continues {
        run: state.run.clone(),
        mode: state.plan.mode,
        events,
        chain,
        declared_at: state.declared_at(),
        disaster_at: (state.plan.mode == Mode::Failover).then(|| state.disaster_at()),
        token: state.token,
        locks: state.handed_locks.clone(),
        steps: carried.iter().filter_map(step).collect(),
    }
}

/// The locks that a run has now, and that its successor takes over.
pub fn locks_held(state: &RunState) -> &[String] {
    if state.locks == Locks::Held { &state.lock_names } else { &[] }
}

/// The carried steps in the order in which they were done, so that they are undone in the reverse of it.
pub(crate) fn in_order_of_doing(state: &RunState, handover: &Handover) -> Vec<StepId> {
    let carried: BTreeSet<&StepId> = handover.carried().collect();
    let mut found: Vec<(u64, usize, StepId)> = Vec::with_capacity(carried.len());
    for (place, (step, now)) in state.steps().enumerate().filter(|(_, (step, _))| carried.contains(&step.id)) {
        let done = now.finished_at.or_else(|| now.carried.as_ref()?.done_at).unwrap_or(0);
        let last = state.effects.iter().rposition(|effect| *effect == place).unwrap_or(0);
        found.push((done, last, step.id.clone()));
    }
    found.sort();
    found.into_iter().map(|(_, _, step)| step).collect()
}

/// The event with which the run ends and its successor is decided on. What it decides on can be made.
///
/// # Errors
/// As [`may_continue`]; `LB1224` while an attempt is under way, or something in the new plan is in doubt; `LB1228` when all that is
/// taken over is more than an event may hold; `LB0503` when the plan is none that can run.
pub fn decide(state: &RunState, successor: RunId, plan: Plan, runbook: String, said: Said) -> Result<EventKind, Error> {
    let found = handover(state, &plan)?;
    let under_way = state.steps().find(|(_, now)| matches!(now.phase, Phase::Running { .. } | Phase::InDoubt { .. }));
    if let Some((step, now)) = under_way {
        let message = format!("step '{}' is {}: it has to come to its end first", step.id, now.phase.as_str());
        return Err(refuse(state, "LB1224", message, "'lifeboat pause RUN' lets nothing new begin; then say it again"));
    }
    if let Some(step) = found.open().next() {
        return Err(in_doubt(state, step));
    }
    let carried = in_order_of_doing(state, &found);
    try_out(state, &successor, &plan, &runbook, &carried)?;
    let fingerprint = plan.fingerprint();
    Ok(EventKind::RunContinued { successor, plan: Box::new(plan), fingerprint, runbook, carried, said })
}

fn in_doubt(state: &RunState, step: &StepId) -> Error {
    let (me, phase) = (&state.run, state.step(step).map_or("unknown", |(_, now)| now.phase.as_str()));
    let message = format!("nobody knows how far step '{step}' came: it is {phase}");
    let hint = if matches!(state.heading, Heading::Unwinding { .. }) {
        format!(
            "let the undoing come to its end ('lifeboat unpause {me}'; what failed: mark-done, skip or retry), then say it again"
        )
    } else {
        format!(
            "settle it, then say it again: lifeboat mark-done {me} {step}, lifeboat skip {me} {step}, or lifeboat retry {me} {step}"
        )
    };
    refuse(state, "LB1224", message, &hint)
}

/// Makes the successor in memory: once the run has ended for it, there is no way back.
fn try_out(state: &RunState, run: &RunId, plan: &Plan, runbook: &str, carried: &[StepId]) -> Result<(), Error> {
    /// For the name of the engine, the locks, and who said it.
    const MORE: usize = 1 << 20;
    let taken = continues(state, carried, state.seq, Digest::of(b""));
    let event = Event::new(
        state.updated_at,
        EventKind::RunCreated {
            run: run.clone(),
            plan: Box::new(plan.clone()),
            fingerprint: plan.fingerprint(),
            runbook: runbook.to_owned(),
            engine: String::new(),
            detected_at: None,
            continues: Some(Box::new(taken)),
            said: Said { by: String::new(), why: String::new() },
        },
    );
    crate::apply::create(&event)?;
    let bytes = event.encode()?.len();
    if bytes.saturating_add(MORE) > EVENT_BYTES_MAX {
        let message = format!("what would be taken over has {bytes} bytes, more than an event may have");
        return Err(refuse(state, "LB1228", message, "start a run of its own: lifeboat run RUNBOOK --mode MODE"));
    }
    Ok(())
}
