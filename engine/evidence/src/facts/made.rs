//! What a run made and somebody has to remove, what was suspect, and what the checks of a drill would miss.

use lifeboat_core::ids::StepId;
use lifeboat_core::plan::{Step, StepKind};
use lifeboat_core::state::{RunState, StepState};
use lifeboat_core::{ledger, taint, verified};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that a step made, or was about to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFact {
    /// The step.
    pub step: StepId,
    /// The target that it is made at.
    pub target: String,
    /// The target's plugin.
    pub plugin: String,
    /// What it is.
    pub what: String,
    /// Where it is.
    pub place: String,
    /// `there`, `removing`, `retrying`, `removed` or `left`.
    pub state: String,
    /// Until when it may stay, in milliseconds since the Unix epoch.
    pub expires_at: u64,
    /// Why it could not be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A step that had a suspect snapshot in its hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectFact {
    /// The step.
    pub step: StepId,
    /// Its kind.
    pub kind: StepKind,
    /// What looks as if it had been tampered with.
    pub because: Vec<String>,
}

/// A damage that was done to a copy on purpose, and whether the checks of the drill noticed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckFact {
    /// The step that checks.
    pub step: StepId,
    /// The damage: `flip`, `truncate`, `drop` or `stale`.
    pub damage: String,
    /// The file that was damaged.
    pub file: String,
    /// Whether it was noticed.
    pub caught: bool,
    /// What the check said.
    pub said: String,
}

/// The ledger of the run, in the order in which it was written.
pub(super) fn made(state: &RunState) -> Vec<MadeFact> {
    let fact = |line: ledger::Line<'_>| MadeFact {
        step: StepId(line.step.to_owned()),
        target: line.resource.target.clone(),
        plugin: line.resource.plugin.clone(),
        what: line.resource.what.clone(),
        place: line.resource.place.clone(),
        state: line.state.to_owned(),
        expires_at: line.resource.expires_at,
        why: line.failure.map(|failure| failure.message.clone()),
    };
    ledger::lines(state).into_iter().map(fact).collect()
}

/// The steps whose outputs are marked, in the order of the plan.
pub(super) fn suspects(state: &RunState) -> Vec<SuspectFact> {
    let reasons = |now: &StepState| now.outputs.as_ref().map(taint::reasons).filter(|because| !because.is_empty());
    let found = state
        .steps()
        .filter_map(|(step, now)| Some(SuspectFact { step: step.id.clone(), kind: step.kind, because: reasons(now)? }));
    found.collect()
}

/// What came of damaging copies, in the order in which it was tried.
pub(super) fn checks(state: &RunState) -> Vec<CheckFact> {
    let fact = |(step, check): (&Step, &Value)| {
        let text = |name: &str| check.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        CheckFact {
            step: step.id.clone(),
            damage: text("corruption"),
            file: text("file"),
            caught: verified::is_caught(check),
            said: text("said"),
        }
    };
    verified::checks(state).map(fact).collect()
}
