//! What earlier runs took, step by step, read from their events.
//!
//! Only what was measured is kept: how long attempts took, how they ended, how much data they moved where their outputs say so
//! (`bytes`), how long people took to answer, how long locks were waited for. Attempts that an engine's stop cut off, and
//! those that a person cancelled, say nothing about a step and are left out.

use std::collections::HashMap;

use lifeboat_core::StepId;
use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::outcome::{FailureKind, Outcome, ProbeAnswer};
use lifeboat_core::plan::{Mode, Plan, Step, StepKind};
use lifeboat_core::ports::Direction;

/// One attempt that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// How much data its outputs say that it was about, where they do.
    pub bytes: Option<u64>,
}

/// One attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// Trying again could not have helped.
    pub for_good: bool,
}

/// All that is known of one step.
#[derive(Clone, Debug, Default)]
pub struct StepHistory {
    /// What carried it out: a step of the same name that does something else is another step.
    what: Option<(StepKind, Option<String>)>,
    /// Attempts that were done, oldest first.
    pub done: Vec<Sample>,
    /// Attempts that failed.
    pub failed: Vec<Failed>,
    /// In how many runs it was begun.
    pub needed: u32,
    /// In how many runs its conditions did not hold.
    pub not_needed: u32,
}

impl StepHistory {
    /// Attempts of which the end is known.
    pub fn attempts(&self) -> usize {
        self.done.len() + self.failed.len()
    }
}

/// What earlier runs took.
#[derive(Clone, Debug, Default)]
pub struct History {
    steps: HashMap<StepId, StepHistory>,
    /// How many runs it is from.
    pub runs: u32,
    /// How many of them were drills.
    pub drills: u32,
    /// How long each run that needs locks waited for them, in milliseconds.
    pub lock_waits: Vec<u64>,
}

/// A run while it is read.
#[derive(Default)]
struct Reader<'a> {
    plan: Option<&'a Plan>,
    begun: HashMap<&'a StepId, u64>,
    /// Attempts of which nobody knew whether they happened, until something says more.
    in_doubt: HashMap<&'a StepId, u64>,
    yes: HashMap<&'a StepId, u32>,
    seen: HashMap<&'a StepId, ()>,
    locks: Option<(u64, bool)>,
}

impl History {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is known of a step: of that name, kind and plugin.
    pub fn of(&self, step: &Step) -> Option<&StepHistory> {
        self.steps.get(&step.id).filter(|known| {
            known.what.as_ref().is_some_and(|(kind, plugin)| *kind == step.kind && *plugin == step.plugin)
        })
    }

    /// Learns from the events of one run, in their order. What does not begin with a run's first event teaches nothing.
    pub fn learn(&mut self, events: &[Event]) {
        let mut reader = Reader::default();
        for event in events {
            if let EventKind::RunCreated { plan, .. } = &event.kind {
                self.runs += 1;
                self.drills += u32::from(plan.mode == Mode::Drill);
                reader.plan = Some(plan);
            }
            let Some(plan) = reader.plan else { return };
            self.locks(&mut reader, event);
            self.people(&mut reader, event, plan);
            self.attempts(&mut reader, event);
        }
    }

    fn entry(&mut self, step: &Step) -> &mut StepHistory {
        let what = (step.kind, step.plugin.clone());
        let entry = self.steps.entry(step.id.clone()).or_default();
        // The runbook was changed since: what the step was before says nothing of it now.
        if entry.what.as_ref().is_some_and(|before| *before != what) {
            *entry = StepHistory::default();
        }
        entry.what = Some(what);
        entry
    }

    fn begin<'a>(&mut self, reader: &mut Reader<'a>, id: &'a StepId, at: u64) {
        let Some(step) = reader.plan.and_then(|plan| plan.step(id)) else { return };
        if reader.seen.insert(id, ()).is_none() {
            self.entry(step).needed += 1;
        }
        if let Some(ms) = reader.in_doubt.remove(id) {
            self.entry(step).failed.push(Failed { ms, for_good: false });
        }
        reader.begun.insert(id, at);
    }

    fn locks(&mut self, reader: &mut Reader<'_>, event: &Event) {
        match &event.kind {
            EventKind::LocksAwaited { .. } => reader.locks = reader.locks.or(Some((event.at, false))),
            EventKind::LocksTaken { .. } => {
                let (since, known) = reader.locks.unwrap_or((event.at, false));
                if !known {
                    self.lock_waits.push(event.at.saturating_sub(since));
                }
                // They are taken again when an engine takes the run up again: that is no wait of the run.
                reader.locks = Some((since, true));
            }
            _ => {}
        }
    }

    fn people<'a>(&mut self, reader: &mut Reader<'a>, event: &'a Event, plan: &'a Plan) {
        match &event.kind {
            EventKind::ApprovalRequested { step, .. } => self.begin(reader, step, event.at),
            EventKind::Approved { step, .. } => {
                let yes = reader.yes.entry(step).or_default();
                *yes += 1;
                let quorum = plan.step(step).and_then(|step| step.approval.as_ref()).map_or(1, |asked| asked.quorum);
                if *yes == quorum {
                    self.finish(reader, step, event.at, |ms| Ok(Sample { ms, bytes: None }));
                }
            }
            EventKind::Denied { step, .. } | EventKind::ApprovalExpired { step } => {
                self.finish(reader, step, event.at, |ms| Err(Failed { ms, for_good: true }));
            }
            EventKind::StepNotNeeded { step, .. } => {
                if let Some(step) = plan.step(step) {
                    self.entry(step).not_needed += 1;
                }
            }
            _ => {}
        }
    }

    fn attempts<'a>(&mut self, reader: &mut Reader<'a>, event: &'a Event) {
        match &event.kind {
            EventKind::AttemptStarted { step, direction: Direction::Forward, .. } => self.begin(reader, step, event.at),
            EventKind::AttemptFinished { step, direction: Direction::Forward, outcome, interrupted, .. } => {
                match outcome {
                    _ if *interrupted => {
                        reader.begun.remove(step);
                    }
                    Outcome::Done { outputs } => {
                        let bytes = outputs.get("bytes").and_then(serde_json::Value::as_u64);
                        self.finish(reader, step, event.at, |ms| Ok(Sample { ms, bytes }));
                    }
                    Outcome::Failed { failure } if failure.kind == FailureKind::Cancelled => {
                        reader.begun.remove(step);
                    }
                    Outcome::Failed { failure } => {
                        let for_good = matches!(failure.kind, FailureKind::Permanent | FailureKind::Refused);
                        self.finish(reader, step, event.at, |ms| Err(Failed { ms, for_good }));
                    }
                    Outcome::Unknown { .. } => {
                        if let Some(since) = reader.begun.remove(step) {
                            reader.in_doubt.insert(step, event.at.saturating_sub(since));
                        }
                    }
                }
            }
            EventKind::Probed { step, answer, .. } => {
                let took = reader.in_doubt.remove(step);
                let known = reader.plan.and_then(|plan| plan.step(step)).zip(took);
                if let (Some((step, ms)), false) = (known, matches!(answer, ProbeAnswer::Happened { .. })) {
                    self.entry(step).failed.push(Failed { ms, for_good: false });
                }
            }
            _ => {}
        }
    }

    fn finish<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        id: &'a StepId,
        at: u64,
        came_to: impl FnOnce(u64) -> Result<Sample, Failed>,
    ) {
        let step = reader.plan.and_then(|plan| plan.step(id));
        let (Some(since), Some(step)) = (reader.begun.remove(id), step) else { return };
        let entry = self.entry(step);
        match came_to(at.saturating_sub(since)) {
            Ok(sample) => entry.done.push(sample),
            Err(failed) => entry.failed.push(failed),
        }
    }
}
