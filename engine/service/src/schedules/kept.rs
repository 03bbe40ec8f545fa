//! What is kept of a schedule: its state, the name of the run that begins, and the last decisions.

use std::collections::VecDeque;
use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::documents::told;
use lifeboat_core::ids::RunId;
use lifeboat_core::ports::{Store, StoreError};
use lifeboat_schedule::{Decision, State};
use serde::{Deserialize, Serialize};

/// Decisions that are kept, and their bytes: a document holds 16 KiB.
const DECISIONS: (usize, usize) = (40, 8 * 1024);

/// A decision on a due time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decided {
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// What: `fire`, `wait`, `skipped`, `missed` or `changed`, with what belongs to it.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub decision: Decision,
    /// The run that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub made: Option<RunId>,
    /// Why no run could be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// A run that is about to be made. Its name is noted before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Planned {
    pub(crate) due_ms: u64,
    pub(crate) run: RunId,
}

/// What is kept of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Its name: the key of the document is a digest of it.
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) planned: Option<Planned>,
    /// The last run that was made.
    pub(crate) last: Option<RunId>,
    /// The last decisions, oldest first.
    pub(crate) decided: VecDeque<Decided>,
}

impl Kept {
    pub(crate) fn new(name: &str, state: State) -> Self {
        Self { name: name.to_owned(), state, planned: None, last: None, decided: VecDeque::new() }
    }

    pub(crate) fn note(&mut self, decided: Decided) {
        self.decided.push_back(decided);
        let bytes = |decided: &VecDeque<Decided>| serde_json::to_vec(decided).map_or(0, |bytes| bytes.len());
        while self.decided.len() > DECISIONS.0 || (self.decided.len() > 1 && bytes(&self.decided) > DECISIONS.1) {
            self.decided.pop_front();
        }
    }

    /// The decision that begins a run of that due time.
    pub(crate) fn firing(&mut self, due: u64) -> Option<&mut Decided> {
        self.decided.iter_mut().rev().find(|one| matches!(&one.decision, Decision::Fire(start) if start.due_ms == due))
    }
}

fn key(name: &str) -> String {
    format!("schedules/{}", blake3::hash(name.as_bytes()).to_hex().get(..32).unwrap_or_default())
}

/// What is kept of that schedule, with the version of its document.
///
/// # Errors
/// The store's; `LB1033` it cannot be read.
pub(crate) async fn read(store: &Arc<dyn Store>, name: &str) -> Result<Option<(u64, Kept)>, Error> {
    let Some(found) = store.get_document(&key(name)).await.map_err(told)? else { return Ok(None) };
    let kept: Kept = serde_json::from_slice(&found.value).map_err(|cause| {
        Error::new("LB1033", format!("what is kept of the schedule '{name}' cannot be read")).with("cause", cause)
    })?;
    Ok(Some((found.version, kept)))
}

/// Keeps it, if nobody else has written it since that version. Its new version.
///
/// # Errors
/// The store's.
pub(crate) async fn write(store: &Arc<dyn Store>, version: u64, kept: &Kept) -> Result<u64, Error> {
    let bytes = serde_json::to_vec(kept).map_err(|cause| {
        Error::new("LB1033", format!("what is kept of the schedule '{}' cannot be written", kept.name))
            .with("cause", cause)
    })?;
    match store.put_document(&key(&kept.name), version, bytes).await {
        Ok(version) => Ok(version),
        Err(StoreError::DocumentConflict { .. }) => {
            Err(Error::new("LB0601", format!("somebody else looks after the schedule '{}'", kept.name)))
        }
        Err(error) => Err(told(error)),
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_schedule::{Cause, Skip, Start};

    use super::*;

    fn all() -> Vec<Decision> {
        let run = "r-1".to_owned();
        vec![
            Decision::Fire(Start { due_ms: 1, cause: Cause::Due, key: "k".to_owned() }),
            Decision::Wait { due_ms: 1 },
            Decision::Skipped { due_ms: 1, skip: Skip::Running { run } },
            Decision::Skipped { due_ms: 1, skip: Skip::Waiting { due_ms: 2 } },
            Decision::Skipped { due_ms: 1, skip: Skip::Blackout { reason: "freeze".to_owned() } },
            Decision::Missed { first_ms: 1, last_ms: 2, count: 2, more: false, blackout: 0, made_up_ms: Some(2) },
            Decision::Changed { at_ms: 1 },
        ]
    }

    #[test]
    fn every_decision_is_read_back_as_it_was() {
        for decision in all() {
            let decided =
                Decided { at: 3, decision, made: Some(RunId("r-2".to_owned())), failed: Some("f".to_owned()) };
            let text = serde_json::to_string(&decided).unwrap();
            assert_eq!(serde_json::from_str::<Decided>(&text).map_err(|cause| format!("{cause}: {text}")), Ok(decided));
        }
    }

    #[test]
    fn a_document_has_room_for_it() {
        let rule = lifeboat_schedule::Rule::new(
            "a/b",
            &lifeboat_schedule::Spec {
                cron: "0 0 3 * * *".to_owned(),
                zone: "UTC".to_owned(),
                ..lifeboat_schedule::Spec::default()
            },
        );
        let mut kept = Kept::new("a/b", State::new(&rule.unwrap(), 0));
        for at in 0..1_000 {
            let skip = Skip::Blackout { reason: "x".repeat(2_000) };
            kept.note(Decided { at, decision: Decision::Skipped { due_ms: at, skip }, made: None, failed: None });
        }
        assert!(serde_json::to_vec(&kept).unwrap().len() < 10_000 && kept.decided.back().unwrap().at == 999);
    }
}
