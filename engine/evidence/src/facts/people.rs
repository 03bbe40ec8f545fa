//! What people were asked, what they did, and how long the run waited for them.

use std::collections::BTreeMap;

use lifeboat_core::event::{Event, EventKind, EvidenceFile, Said};
use lifeboat_core::ids::{Digest, StepId};
use lifeboat_core::state::{Phase, RunState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that a person did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When.
    pub at: u64,
    /// Who.
    pub by: String,
    /// In which role, where the operator keeps roles.
    pub role: Option<String>,
    /// What: `started`, `approved`, `denied`, `retried`, `skipped`, `marked as done`, `paused`, `unpaused`, `cancelled`,
    /// `cancelled, to be undone`, `abandoned`, `attested`, `cleaned up`.
    pub what: String,
    /// On which step.
    pub step: Option<StepId>,
    /// Why, in the person's words.
    pub why: String,
}

/// One answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// When.
    pub at: u64,
    /// Who.
    pub by: String,
    /// In which role.
    pub role: Option<String>,
    /// Yes or no.
    pub yes: bool,
    /// The fingerprint that the person saw; a no names none.
    pub fingerprint: Option<Digest>,
    /// Why.
    pub why: String,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The step.
    pub step: StepId,
    /// Who is asked.
    pub role: String,
    /// How many have to say yes.
    pub quorum: u32,
    /// The fingerprint that is asked about.
    pub fingerprint: Digest,
    /// When.
    pub at: u64,
    /// What came of it: `approved`, `denied`, `expired`, `withdrawn` or `open`.
    pub outcome: String,
    /// The answers.
    pub answers: Vec<Answer>,
}

/// What a person vouches for: that a step is done, with what shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attestation {
    /// The step.
    pub step: StepId,
    /// When.
    pub at: u64,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// The outputs that the person gave.
    pub outputs: Value,
    /// Files that show it.
    pub files: Vec<EvidenceFile>,
}

/// What was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitFor {
    /// People who approve.
    Approval,
    /// A person who decides what becomes of a step that failed or is in doubt.
    Decision,
    /// A person who had paused the run.
    Pause,
    /// Time.
    Timer,
    /// Other runs, for their locks.
    Locks,
}

impl WaitFor {
    /// Whether people are waited for.
    pub const fn people(self) -> bool {
        matches!(self, WaitFor::Approval | WaitFor::Decision | WaitFor::Pause)
    }

    /// The words for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            WaitFor::Approval => "approval",
            WaitFor::Decision => "decision",
            WaitFor::Pause => "pause",
            WaitFor::Timer => "timer",
            WaitFor::Locks => "locks of other runs",
        }
    }
}

/// A wait. Other steps may have been at work meanwhile: [`super::Spent`] counts what nothing else filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// For what.
    pub what: WaitFor,
    /// On which step.
    pub step: Option<StepId>,
    /// From when.
    pub from: u64,
    /// Until when; none where it goes on.
    pub to: Option<u64>,
    /// Who ended it, or the runs that had the locks.
    pub by: Vec<String>,
}

type Place = (WaitFor, Option<StepId>);

/// Collects while events are followed.
#[derive(Debug)]
pub struct Book {
    deeds: Vec<Deed>,
    asked: Vec<Asked>,
    waits: Vec<Wait>,
    attestations: Vec<Attestation>,
    open: BTreeMap<Place, usize>,
    approved_at: Option<u64>,
}

impl Book {
    pub fn new(at: u64, said: &Said) -> Self {
        let mut book = Self {
            deeds: Vec::new(),
            asked: Vec::new(),
            waits: Vec::new(),
            attestations: Vec::new(),
            open: BTreeMap::new(),
            approved_at: None,
        };
        book.deed(at, said, "started", None, None);
        book
    }

    /// When the last question was answered with as many yes as it takes.
    pub fn approved_at(&self) -> Option<u64> {
        self.approved_at
    }

    fn deed(&mut self, at: u64, said: &Said, what: &str, step: Option<&StepId>, role: Option<&String>) {
        self.deeds.push(Deed {
            at,
            by: said.by.clone(),
            role: role.cloned(),
            what: what.to_owned(),
            step: step.cloned(),
            why: said.why.clone(),
        });
    }

    fn begin(&mut self, what: WaitFor, step: Option<&StepId>, at: u64) -> Option<&mut Wait> {
        let waits = &mut self.waits;
        let place = *self.open.entry((what, step.cloned())).or_insert_with(|| {
            waits.push(Wait { what, step: step.cloned(), from: at, to: None, by: Vec::new() });
            waits.len() - 1
        });
        self.waits.get_mut(place)
    }

    fn end(&mut self, what: WaitFor, step: Option<&StepId>, at: u64, by: Option<&Said>) {
        let wait = self.open.remove(&(what, step.cloned())).and_then(|place| self.waits.get_mut(place));
        if let Some(wait) = wait {
            wait.to = Some(at);
            wait.by.extend(by.map(|said| said.by.clone()));
        }
    }

    /// An event happened, and this is the state after it.
    pub fn after(&mut self, state: &RunState, event: &Event) {
        let at = event.at;
        self.question(state, event);
        match &event.kind {
            EventKind::StepRetried { step, said } => self.verb(at, step, said, "retried"),
            EventKind::StepSkipped { step, said } => self.verb(at, step, said, "skipped"),
            EventKind::StepMarkedDone { step, outputs, evidence, said } => {
                self.verb(at, step, said, "marked as done");
                self.attestations.push(Attestation {
                    step: step.clone(),
                    at,
                    by: said.by.clone(),
                    why: said.why.clone(),
                    outputs: outputs.clone(),
                    files: evidence.clone(),
                });
            }
            EventKind::SuspectHeld { step, .. } => {
                self.begin(WaitFor::Decision, Some(step), at);
            }
            EventKind::SuspectAttested { step, evidence, said } => {
                self.verb(at, step, said, "attested");
                let (by, why) = (said.by.clone(), said.why.clone());
                let (step, outputs, files) = (step.clone(), Value::Null, evidence.clone());
                self.attestations.push(Attestation { step, at, by, why, outputs, files });
            }
            EventKind::CleanupStarted { said: Some(said), .. } => self.deed(at, said, "cleaned up", None, None),
            EventKind::RunPaused { said } => {
                self.deed(at, said, "paused", None, None);
                self.begin(WaitFor::Pause, None, at);
            }
            EventKind::RunUnpaused { said } => {
                self.deed(at, said, "unpaused", None, None);
                self.end(WaitFor::Pause, None, at, Some(said));
            }
            EventKind::RunAbandoned { said } => self.deed(at, said, "abandoned", None, None),
            EventKind::RunContinued { successor, plan, said, .. } => {
                let what = format!("continued as {} in run {successor}", plan.mode.as_str());
                self.deed(at, said, &what, None, None);
                self.end(WaitFor::Pause, None, at, Some(said));
            }
            EventKind::CancelRequested { compensate, said } => {
                let what = if *compensate { "cancelled, to be undone" } else { "cancelled" };
                self.deed(at, said, what, None, None);
                self.end(WaitFor::Pause, None, at, Some(said));
            }
            EventKind::WaitStarted { step, .. } => {
                self.begin(WaitFor::Timer, Some(step), at);
            }
            EventKind::WaitEnded { step } => self.end(WaitFor::Timer, Some(step), at, None),
            EventKind::LocksAwaited { held } => {
                let holders: Vec<String> = held.iter().map(|held| held.holder.0.clone()).collect();
                if let Some(wait) = self.begin(WaitFor::Locks, None, at) {
                    wait.by = holders;
                    wait.by.dedup();
                }
            }
            EventKind::LocksTaken { .. } => self.end(WaitFor::Locks, None, at, None),
            EventKind::AttemptFinished { step, .. }
            | EventKind::Probed { step, .. }
            | EventKind::ConditionUnclear { step, .. } => self.decision(state, step, at),
            _ => {}
        }
    }

    fn verb(&mut self, at: u64, step: &StepId, said: &Said, what: &str) {
        self.deed(at, said, what, Some(step), None);
        self.end(WaitFor::Decision, Some(step), at, Some(said));
    }

    /// A step that only a person brings on is waited for from here.
    fn decision(&mut self, state: &RunState, step: &StepId, at: u64) {
        let phase = state.step(step).map(|(_, now)| &now.phase);
        if matches!(phase, Some(Phase::Failed { .. } | Phase::Asking { .. } | Phase::UndoFailed { .. })) {
            self.begin(WaitFor::Decision, Some(step), at);
        }
    }

    fn question(&mut self, state: &RunState, event: &Event) {
        let at = event.at;
        match &event.kind {
            EventKind::ApprovalRequested { step, fingerprint, .. } => {
                let asks = state.step(step).and_then(|(step, _)| step.approval.as_ref());
                self.asked.push(Asked {
                    step: step.clone(),
                    role: asks.map_or_else(String::new, |asks| asks.role.clone()),
                    quorum: asks.map_or(1, |asks| asks.quorum),
                    fingerprint: fingerprint.clone(),
                    at,
                    outcome: "open".to_owned(),
                    answers: Vec::new(),
                });
                self.begin(WaitFor::Approval, Some(step), at);
            }
            EventKind::Approved { step, fingerprint, role, said } => {
                self.deed(at, said, "approved", Some(step), role.as_ref());
                let whole = state.step(step).is_some_and(|(_, now)| now.phase == Phase::Done);
                let answer = answer(at, said, role.as_ref(), Some(fingerprint));
                self.answered(step, answer, whole.then_some("approved"));
                if let Some(wait) = self.begin(WaitFor::Approval, Some(step), at) {
                    wait.by.push(said.by.clone());
                }
                if whole {
                    self.approved_at = self.approved_at.max(Some(at));
                    self.end(WaitFor::Approval, Some(step), at, None);
                }
            }
            EventKind::Denied { step, said } => {
                self.deed(at, said, "denied", Some(step), None);
                self.answered(step, answer(at, said, None, None), Some("denied"));
                self.end(WaitFor::Approval, Some(step), at, Some(said));
                self.decision(state, step, at);
            }
            EventKind::ApprovalExpired { step } => {
                self.outcome(step, "expired");
                self.end(WaitFor::Approval, Some(step), at, None);
                self.decision(state, step, at);
            }
            _ => {}
        }
    }

    fn answered(&mut self, step: &StepId, answer: Answer, outcome: Option<&str>) {
        if let Some(asked) = self.asked.iter_mut().rev().find(|asked| &asked.step == step) {
            asked.answers.push(answer);
        }
        if let Some(outcome) = outcome {
            self.outcome(step, outcome);
        }
    }

    fn outcome(&mut self, step: &StepId, outcome: &str) {
        if let Some(asked) = self.asked.iter_mut().rev().find(|asked| &asked.step == step) {
            asked.outcome = outcome.to_owned();
        }
    }

    /// The end of the events. Of a run that has ended nothing is waited for any more, and what failed for good was not a wait.
    pub fn close(mut self, state: &RunState) -> (Vec<Asked>, Vec<Wait>, Vec<Deed>, Vec<Attestation>) {
        if let Some(end) = state.finished_at.map(|end| state.worked_until.unwrap_or(end)) {
            let failed = |wait: &Wait| wait.what == WaitFor::Decision && wait.to.is_none();
            self.waits.retain(|wait| !failed(wait));
            for wait in &mut self.waits {
                wait.to.get_or_insert(end);
            }
            let open = self.asked.iter_mut().filter(|asked| asked.outcome == "open");
            open.for_each(|asked| asked.outcome = "withdrawn".to_owned());
        }
        (self.asked, self.waits, self.deeds, self.attestations)
    }
}

fn answer(at: u64, said: &Said, role: Option<&String>, fingerprint: Option<&Digest>) -> Answer {
    Answer {
        at,
        by: said.by.clone(),
        role: role.cloned(),
        yes: fingerprint.is_some(),
        fingerprint: fingerprint.cloned(),
        why: said.why.clone(),
    }
}
