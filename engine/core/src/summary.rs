//! What a list of runs shows of one.

use serde::{Deserialize, Serialize};

use crate::ids::RunId;
use crate::ledger::Entry;
use crate::plan::Mode;
use crate::state::{RunState, RunStatus};

/// What a list of runs shows of one, stored beside its events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The runbook's name.
    pub runbook: String,
    /// The mode.
    pub mode: Mode,
    /// The status.
    pub status: RunStatus,
    /// Steps that are done or were skipped.
    pub complete: usize,
    /// All steps.
    pub steps: usize,
    /// When it was made.
    pub created_at: u64,
    /// When it last changed.
    pub updated_at: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<u64>,
    /// How many things that it made may still be there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left: usize,
    /// When the first of them is overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_until: Option<u64>,
    /// The run that it goes on with in another mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<RunId>,
    /// When the first of those runs was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_at: Option<u64>,
    /// The run that goes on with it in another mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continued_as: Option<RunId>,
}

// The form that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Summary {
    /// The summary of a state.
    pub fn of(state: &RunState) -> Self {
        let entry = |place: &usize| state.steps.get(*place)?.ledger.as_deref();
        let open: Vec<&Entry> = state.made.iter().filter_map(entry).filter(|entry| !entry.is_removed()).collect();
        Self {
            // A list is for people: a name of any length must not make the summary outgrow its place in the store.
            runbook: state.plan.runbook.chars().take(200).collect(),
            mode: state.plan.mode,
            status: state.status(),
            complete: state.complete,
            steps: state.plan.steps.len(),
            created_at: state.created_at,
            updated_at: state.updated_at,
            finished_at: state.finished_at,
            left: open.iter().map(|entry| entry.resources.len()).sum(),
            left_until: open.iter().flat_map(|entry| &entry.resources).map(|resource| resource.expires_at).min(),
            continues: state.continues.as_ref().map(|earlier| earlier.run.clone()),
            declared_at: state.continues.as_ref().map(|earlier| earlier.declared_at),
            continued_as: state.continued_as.clone(),
        }
    }
}
