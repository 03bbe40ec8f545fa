//! What a run measured: how long the recovery took and with what, who was waited for, and how much data was lost.
//!
//! All of it is read from the run's events. Every moment between the alert (or the start of the run, where no alert started it)
//! and the end of its last step belongs to exactly one part, so the parts add up to the recovery time. Of a run that goes on with
//! another one in another mode, the recovery began with that one.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::event::{Event, EventKind};
use crate::ids::StepId;
use crate::plan::{Step, StepKind};
use crate::ports::Direction;
use crate::state::{Locks, Phase, RunState, StepState};
use crate::{Error, apply};

/// Why nothing went on, or what did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// From the alert to the start of the run.
    Declaring,
    /// The run that this one goes on with, in another mode.
    Earlier,
    /// Steps that change something were under way.
    Executing,
    /// Only steps that check were under way.
    Validating,
    /// Only people could go on: an approval, a doubt, a suspect snapshot, a pause, an undo that failed, a run that had failed.
    People,
    /// Other runs had the locks.
    Locks,
    /// A `wait` had not ended.
    Timers,
    /// Only the next attempt of a failed step was waited for.
    Retries,
    /// Nothing else: the engine itself, or that no engine was there.
    Engine,
}

impl Part {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Part::Declaring => "declaring",
            Part::Earlier => "earlier",
            Part::Executing => "executing",
            Part::Validating => "validating",
            Part::People => "people",
            Part::Locks => "locks",
            Part::Timers => "timers",
            Part::Retries => "retries",
            Part::Engine => "engine",
        }
    }
}

/// A wait, and whom it was for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// What was waited for.
    pub part: Part,
    /// The step that waited; none where the whole run did.
    pub step: Option<StepId>,
    /// Who ended it, where people did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// How long nothing else went on meanwhile, in milliseconds. Questions that were open together each have all of it.
    pub ms: u64,
}

/// From what it is known how much was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// A sentinel was found in what was restored: so much is there for sure.
    Sentinel,
    /// The time of the snapshot that was restored.
    Snapshot,
}

impl Basis {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Basis::Sentinel => "sentinel",
            Basis::Snapshot => "snapshot",
        }
    }
}

/// How much of one target's data was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The target, as it was restored.
    pub target: String,
    /// The step that tells.
    pub step: StepId,
    /// From what it is known.
    pub basis: Basis,
    /// The time up to which the data is there, in milliseconds since the Unix epoch.
    pub point_at: u64,
    /// From there to the disaster: the alert, or the start of the run.
    pub lost_ms: u64,
}

/// What a run measured. Times are in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// When the alert began that started the run.
    pub detected_at: Option<u64>,
    /// When the run was made; of one that goes on with another, when the first was.
    pub declared_at: u64,
    /// When the last approval had its quorum.
    pub approved_at: Option<u64>,
    /// When the last step that changes something was done.
    pub executed_at: Option<u64>,
    /// When the last check was done.
    pub validated_at: Option<u64>,
    /// When the last step came to its end; what the run made is removed after that.
    pub ended_at: Option<u64>,
    /// Recovery time actual: from the alert, else from the start of the run, to the end; to the last event of a run that goes on.
    pub rta_ms: u64,
    /// What it was spent on, in milliseconds: adds up to `rta_ms`.
    pub parts: BTreeMap<&'static str, u64>,
    /// The waits, the longest first.
    pub waits: Vec<Wait>,
    /// What was lost of each target that was restored: by a sentinel where there is one.
    pub losses: Vec<Loss>,
    /// Recovery point actual: the largest loss.
    pub rpa_ms: Option<u64>,
}

/// Reads what a run measured from its events, oldest first.
///
/// # Errors
/// `LB0503` when they are no run's log.
pub fn measure(events: &[Event]) -> Result<Measured, Error> {
    let mut parts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut waits: BTreeMap<(Part, Option<StepId>), u64> = BTreeMap::new();
    let mut state: Option<RunState> = None;
    for event in events {
        match &mut state {
            None => state = Some(apply::create(event)?),
            Some(state) => {
                let ms = event.at.saturating_sub(state.updated_at);
                if !is_after(state, event) && ms > 0 {
                    let (part, waiting) = look(state);
                    *parts.entry(part.as_str()).or_default() += ms;
                    waiting.into_iter().for_each(|step| *waits.entry((part, step)).or_default() += ms);
                }
                apply::apply(state, event)?;
            }
        }
    }
    let Some(state) = state else {
        return Err(Error::new("LB0503", "a run without events measured nothing"));
    };
    let declaring = state.detected_at.map_or(0, |at| state.declared_at().saturating_sub(at));
    let earlier = state.created_at.saturating_sub(state.declared_at());
    for (part, ms) in [(Part::Declaring, declaring), (Part::Earlier, earlier)] {
        if ms > 0 {
            parts.insert(part.as_str(), ms);
        }
    }
    let answers = answers(events);
    let mut waits: Vec<Wait> = waits
        .into_iter()
        .map(|((part, step), ms)| {
            let by = step.as_ref().filter(|_| part == Part::People).and_then(|step| answers.get(step)).cloned();
            Wait { part, step, by: by.unwrap_or_default(), ms }
        })
        .collect();
    waits.sort_by_key(|wait| std::cmp::Reverse(wait.ms));
    let losses = losses(&state);
    Ok(Measured {
        detected_at: state.detected_at,
        declared_at: state.declared_at(),
        approved_at: last(&state, |step| step.kind == StepKind::Approve),
        executed_at: last(&state, |step| step.kind.by_plugin() && step.kind != StepKind::Validate),
        validated_at: last(&state, |step| step.kind == StepKind::Validate),
        ended_at: state.worked_until.or(state.finished_at),
        rta_ms: parts.values().sum(),
        parts,
        waits,
        rpa_ms: losses.iter().map(|loss| loss.lost_ms).max(),
        losses,
    })
}

/// Whether the time until this event is none of the recovery: it is past the last step, and nobody opens the run again.
pub fn is_after(state: &RunState, event: &Event) -> bool {
    let cleans = matches!(event.kind, EventKind::CleanupStarted { .. });
    state.worked_until.is_some() || (state.result.is_some() && cleans)
}

/// When the last of these steps was done; none unless one was.
fn last(state: &RunState, of: impl Fn(&Step) -> bool) -> Option<u64> {
    let done = state.steps().filter(|(step, now)| of(step) && now.phase == Phase::Done);
    done.filter_map(|(_, now)| now.finished_at).max()
}

/// Who answered the questions, by step.
fn answers(events: &[Event]) -> BTreeMap<StepId, Vec<String>> {
    let mut found: BTreeMap<StepId, Vec<String>> = BTreeMap::new();
    for event in events {
        let (EventKind::Approved { step, said, .. }
        | EventKind::Denied { step, said }
        | EventKind::StepRetried { step, said }
        | EventKind::StepSkipped { step, said }
        | EventKind::SuspectAttested { step, said, .. }
        | EventKind::StepMarkedDone { step, said, .. }) = &event.kind
        else {
            continue;
        };
        let by = found.entry(step.clone()).or_default();
        if !by.contains(&said.by) {
            by.push(said.by.clone());
        }
    }
    found
}

/// What a run in this state spends its time on, and which steps wait.
fn look(state: &RunState) -> (Part, Vec<Option<StepId>>) {
    let mut working = false;
    let mut changing = false;
    let (mut people, mut timers, mut retries) = (Vec::new(), Vec::new(), Vec::new());
    for (step, now) in state.active() {
        let id = || Some(step.id.clone());
        match &now.phase {
            Phase::Running { direction, .. } => {
                working = true;
                changing |= step.kind != StepKind::Validate || *direction != Direction::Forward;
            }
            Phase::Approval { .. } | Phase::Asking { .. } | Phase::Suspect { .. } | Phase::UndoFailed { .. } => {
                people.push(id());
            }
            Phase::Timer { .. } => timers.push(id()),
            Phase::Backoff { .. } => retries.push(id()),
            _ => {}
        }
    }
    if working {
        return (if changing { Part::Executing } else { Part::Validating }, Vec::new());
    }
    // A run that had failed was opened again later: until then a person had to decide.
    if state.paused.is_some() || state.result.is_some() {
        return (Part::People, vec![None]);
    }
    if matches!(&state.locks, Locks::Wanted { held } if !held.is_empty()) {
        return (Part::Locks, vec![None]);
    }
    for (part, waiting) in [(Part::People, people), (Part::Timers, timers), (Part::Retries, retries)] {
        if !waiting.is_empty() {
            return (part, waiting);
        }
    }
    (Part::Engine, Vec::new())
}

/// What was lost, by target: by a sentinel where one was found, else by the time of the snapshot.
pub fn losses(state: &RunState) -> Vec<Loss> {
    let disaster = state.disaster_at();
    let number = |now: &StepState, name: &str| now.outputs.as_ref()?.get(name)?.as_u64();
    let mut found: BTreeMap<String, Loss> = BTreeMap::new();
    for (step, now) in state.steps().filter(|(_, now)| now.phase == Phase::Done) {
        let (role, basis, point) = match step.kind {
            StepKind::Validate => ("target", Basis::Sentinel, number(now, "sentinel_ms")),
            StepKind::Restore => ("into", Basis::Snapshot, number(now, "time_ms").or_else(|| taken(state, now))),
            _ => continue,
        };
        let used = step.targets.iter().find(|used| used.role == role);
        let (Some(point_at), Some(used)) = (point, used) else { continue };
        let lost_ms = disaster.saturating_sub(point_at);
        let loss = Loss { target: used.target.clone(), step: step.id.clone(), basis, point_at, lost_ms };
        let better = found.get(&used.target).is_none_or(|known| match (known.basis, basis) {
            (Basis::Snapshot, Basis::Sentinel) => true,
            (Basis::Sentinel, Basis::Snapshot) => false,
            _ => known.point_at < point_at,
        });
        if better {
            found.insert(used.target.clone(), loss);
        }
    }
    found.into_values().collect()
}

/// When the snapshot that was restored was taken, where a step of the same run took it.
fn taken(state: &RunState, restored: &StepState) -> Option<u64> {
    let id = restored.outputs.as_ref()?.get("snapshot")?.as_str()?;
    state.steps().filter(|(step, _)| step.kind == StepKind::Snapshot).find_map(|(_, now)| {
        let outputs = now.outputs.as_ref()?;
        let same = outputs.get("snapshot").and_then(Value::as_str) == Some(id);
        same.then(|| outputs.get("time_ms")?.as_u64()).flatten()
    })
}
