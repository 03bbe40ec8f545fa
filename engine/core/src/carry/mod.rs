//! Going on in another mode: what a run takes over from one that is given up for it, as when the primary dies in the middle of a
//! switchover and a failover has to finish it.
//!
//! The new run has a plan of its own, with its own fingerprint, that is shown first. A step of it is *carried* when the earlier run
//! did it, its definition is the same (kind, plugin, targets, arguments, conditions, and the inputs that these name), and so is all
//! that comes before it: it is done from the start, with its outputs and its idempotency key. Where the earlier run only *began* it,
//! the new one goes on with it, from its last checkpoint and under the same key, as a next attempt in the earlier run would have:
//! half a restore is finished, and is not in the way of itself. Everything else runs as the plan says. Approvals are about one plan, and are asked for anew: what was done before stays done, and what comes next waits for them.
//!
//! Nothing in doubt is repeated: a step of the new plan of which nobody knows whether it happened is *open*, and as long as one is,
//! the run is not continued.

mod decision;
mod fate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::decision::{continues, decide, locks_held};
use self::fate::{Sorter, may_be_there};
use crate::Error;
use crate::event::RunResult;
use crate::ids::{Digest, RunId, StepId};
use crate::plan::{Mode, Plan, Step, StepKind};
use crate::state::{ByHand, Heading, RunState};

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
    /// The steps that it began and did not end, and that are gone on with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begun: Vec<BegunStep>,
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
    /// The run that began it, where that is still another one: it was done under that one's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_in: Option<RunId>,
}

/// A step that was begun in an earlier run, and not done there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BegunStep {
    /// The step.
    pub step: StepId,
    /// The run that began it, under whose key it goes on: the earlier one, or one that that one went on with.
    pub run: RunId,
    /// Its last checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Value>,
    /// Whether its effect may be there: then it is undone with the others, where this run undoes what was done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_have_happened: bool,
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
    /// It was begun, and goes on from its last checkpoint, where it made one.
    GoesOn {
        /// How it stands.
        phase: &'static str,
    },
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
            Fate::GoesOn { .. } => "goes on",
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

    /// The steps that were begun, and that are gone on with.
    pub fn begun(&self) -> impl Iterator<Item = &StepId> {
        self.steps.iter().filter(|row| matches!(row.fate, Fate::GoesOn { .. })).map(|row| &row.step)
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
    let known = Sorter { state, plan }.fates();
    let row = |step: &Step| {
        let fate = known.get(&step.id).map_or(Fate::Runs, |(fate, _)| fate.clone());
        Row { step: step.id.clone(), kind: step.kind, fate }
    };
    let steps = plan.steps.iter().map(row).collect();
    let places: BTreeMap<&StepId, &Step> = plan.steps.iter().map(|step| (&step.id, step)).collect();
    let gone = |step: &Step| !places.contains_key(&step.id) && carries(step.kind);
    let left = state.steps().filter(|(step, now)| gone(step) && may_be_there(now)).map(|(step, now)| Left {
        step: step.id.clone(),
        kind: step.kind,
        phase: now.phase.as_str(),
        compensate: step.compensate,
    });
    Ok(Handover { steps, left: left.collect() })
}
