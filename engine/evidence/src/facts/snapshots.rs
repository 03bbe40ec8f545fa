//! Recovery points, and what was lost: how old the newest data is that a restore brought back.

use std::collections::BTreeMap;

use lifeboat_core::condition::context;
use lifeboat_core::ids::{RunId, StepId};
use lifeboat_core::measure::{Basis, Loss, losses};
use lifeboat_core::plan::{Step, StepKind};
use lifeboat_core::state::{Phase, RunState, StepState};
use lifeboat_core::template::render_value;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// When a snapshot was taken, and where that is known from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The snapshot, as a restore names it.
    pub snapshot: String,
    /// When the data in it was read, in milliseconds since the Unix epoch.
    pub taken_ms: u64,
    /// The run that took or copied it.
    pub run: RunId,
}

/// What the engine knows from other runs. It is told by the engine, signed with the rest, and not proved by this run's events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// Snapshots that this run used and did not take.
    #[serde(default)]
    pub snapshots: Vec<Taken>,
}

/// A step that had to do with a recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFact {
    /// The step.
    pub step: StepId,
    /// `snapshot`, `verify`, `transfer` or `restore`.
    pub kind: StepKind,
    /// The recovery point.
    pub snapshot: String,
    /// When the step was done.
    pub at: Option<u64>,
    /// When the data in it was read, where that is known.
    pub taken_ms: Option<u64>,
    /// Files in it.
    pub files: Option<u64>,
    /// Bytes in them.
    pub bytes: Option<u64>,
    /// How deep it was proved.
    pub depth: Option<String>,
}

/// What a restore brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The step.
    pub step: StepId,
    /// The recovery point.
    pub snapshot: String,
    /// When its data was read.
    pub taken_ms: Option<u64>,
    /// The run that says so, where it is another one.
    pub told_by: Option<RunId>,
    /// The time of the newest sentinel that a check found in it: what was written until then is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinel_ms: Option<u64>,
}

impl Restored {
    /// Until when what was written is there: by the sentinel that was found, else by when the recovery point was taken.
    pub fn point_ms(&self) -> Option<u64> {
        self.sentinel_ms.or(self.taken_ms)
    }
}

/// What was lost: all that was written between the recovery point (or the newest sentinel that was found in what was restored) and
/// the disaster. When the disaster was is not known to
/// events; the alert began and the run was made after it, so the time until then is the most that can be lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataLoss {
    /// What was brought back.
    pub restored: Vec<Restored>,
    /// From the oldest such point of what was brought back to the alert, else to the making of the run, in milliseconds.
    pub at_most_ms: Option<u64>,
    /// Whether that is within the objective.
    pub within_rpo: Option<bool>,
    /// Why it is not known.
    pub unknown: Option<String>,
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

fn done(state: &RunState) -> impl Iterator<Item = (&Step, &StepState, &Value, String)> {
    state.steps().filter_map(|(step, now)| {
        let outputs = now.outputs.as_ref().filter(|_| matches!(now.phase, Phase::Done))?;
        Some((step, now, outputs, text(outputs.get("snapshot"))?))
    })
}

/// Adds the snapshots that a run took or copied. Runs are to be learnt from in the order in which they were made: a copy is as
/// old as what it was copied from.
pub fn learn(state: &RunState, known: &mut BTreeMap<String, Taken>) {
    let taken = |snapshot: String, taken_ms| (snapshot.clone(), Taken { snapshot, taken_ms, run: state.run.clone() });
    for (step, now, outputs, snapshot) in done(state) {
        let begun = now.started_at.or_else(|| now.carried.as_ref()?.begun_at);
        let at = outputs.get("time_ms").and_then(Value::as_u64).or(begun);
        if let (StepKind::Snapshot, Some(at)) = (step.kind, at) {
            known.extend([taken(snapshot, at)]);
        }
    }
    let mut copies: Vec<_> = done(state).filter(|(step, ..)| step.kind == StepKind::Transfer).collect();
    copies.sort_by_key(|(_, now, ..)| now.finished_at.or_else(|| now.carried.as_ref()?.done_at));
    for (step, _, _, snapshot) in copies {
        let args = render_value(&step.args, &context(state, &step.args)).ok();
        let source = text(args.as_ref().and_then(|args| args.get("snapshot")));
        if let Some(at) = source.and_then(|source| known.get(&source)).map(|found| found.taken_ms) {
            known.entry(snapshot.clone()).or_insert_with(|| taken(snapshot, at).1);
        }
    }
}

/// The snapshots of a run that it did not take itself: of these the engine may know more from other runs.
pub fn used(state: &RunState) -> Vec<String> {
    let mut own = BTreeMap::new();
    learn(state, &mut own);
    let mut names: Vec<String> = done(state).map(|(.., name)| name).filter(|name| !own.contains_key(name)).collect();
    names.sort();
    names.dedup();
    names
}

/// Recovery points and what was lost.
pub fn of(state: &RunState, witness: &Witness) -> (Vec<SnapshotFact>, DataLoss) {
    let mut known: BTreeMap<String, Taken> =
        witness.snapshots.iter().map(|taken| (taken.snapshot.clone(), taken.clone())).collect();
    learn(state, &mut known);
    let number = |outputs: &Value, name: &str| outputs.get(name).and_then(Value::as_u64);
    // A restore may tell itself how old its snapshot is.
    let told = |step: &Step, outputs: &Value| match step.kind {
        StepKind::Restore => number(outputs, "time_ms"),
        _ => None,
    };
    let facts = done(state).map(|(step, now, outputs, snapshot)| SnapshotFact {
        step: step.id.clone(),
        kind: step.kind,
        at: now.finished_at,
        taken_ms: known.get(&snapshot).map(|taken| taken.taken_ms).or_else(|| told(step, outputs)),
        files: number(outputs, "files"),
        bytes: number(outputs, "bytes"),
        depth: text(outputs.get("depth")),
        snapshot,
    });
    let losses = losses(state);
    let restored: Vec<Restored> = done(state)
        .filter(|(step, ..)| step.kind == StepKind::Restore)
        .map(|(step, _, outputs, snapshot)| {
            let taken = known.get(&snapshot);
            Restored {
                step: step.id.clone(),
                taken_ms: taken.map(|taken| taken.taken_ms).or_else(|| told(step, outputs)),
                told_by: taken.map(|taken| taken.run.clone()).filter(|run| run != &state.run),
                sentinel_ms: sentinel(&losses, step),
                snapshot,
            }
        })
        .collect();
    (facts.collect(), lost(state, restored))
}

/// The newest sentinel that a check found where this step restored to.
fn sentinel(losses: &[Loss], restore: &Step) -> Option<u64> {
    let into = &restore.targets.iter().find(|used| used.role == "into")?.target;
    let told = |loss: &&Loss| loss.basis == Basis::Sentinel && loss.target == *into;
    losses.iter().find(told).map(|loss| loss.point_at)
}

/// What was lost, alone.
pub fn data_loss(state: &RunState, witness: &Witness) -> DataLoss {
    of(state, witness).1
}

fn lost(state: &RunState, restored: Vec<Restored>) -> DataLoss {
    if restored.is_empty() {
        let unknown = Some("no step brought a recovery point back".to_owned());
        return DataLoss { unknown, ..DataLoss::default() };
    }
    let times: Option<Vec<u64>> = restored.iter().map(Restored::point_ms).collect();
    let Some(oldest) = times.and_then(|times| times.into_iter().min()) else {
        let missing: Vec<&str> =
            restored.iter().filter(|one| one.point_ms().is_none()).map(|one| one.step.as_str()).collect();
        let unknown = format!("no event says when the recovery point of {} was taken", missing.join(", "));
        return DataLoss { restored, unknown: Some(unknown), ..DataLoss::default() };
    };
    let at_most_ms = state.disaster_at().saturating_sub(oldest);
    let within_rpo = state.plan.objectives.rpo_ms.map(|rpo| at_most_ms <= rpo);
    DataLoss { restored, at_most_ms: Some(at_most_ms), within_rpo, unknown: None }
}
