//! The events of a run, as spans: the run is a trace, its steps are spans below it, their attempts are spans below these.
//!
//! Ids are made of the names, so a service that was started again goes on with the same trace, and nothing about traces is
//! stored. What a person said, outputs and arguments are not in a trace: it leaves the house.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::{RunId, StepId};
use lifeboat_core::outcome::{Outcome, ProbeAnswer};
use lifeboat_core::ports::Direction;

use super::span::{Attribute, Moment, Pair, Span, Went, text};
use crate::about::About;
use crate::words::{end, outcome, step, word};

/// Moments of one span. A step that is retried a thousand times is looked up in its log.
const MOMENTS_MAX: usize = 64;

/// A step that has not come to its end.
#[derive(Debug)]
struct Open {
    began: u64,
    last: u64,
    attempt: Option<(u32, u64)>,
    outcome: &'static str,
    went: Went,
    moments: Vec<Moment>,
    dropped: u64,
}

/// One run on its way to its spans.
#[derive(Debug)]
pub(crate) struct Tracer {
    run: RunId,
    about: Arc<About>,
    /// How often the run had ended before, and was opened again.
    part: u64,
    began: Option<u64>,
    steps: BTreeMap<(StepId, bool), Open>,
    moments: Vec<Moment>,
    dropped: u64,
}

fn digest<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        // With the length, or two names could be read as two others.
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().as_bytes().first_chunk().copied().unwrap_or([1; N])
}

fn keep(moments: &mut Vec<Moment>, dropped: &mut u64, moment: Moment) {
    if moments.len() < MOMENTS_MAX {
        moments.push(moment);
    } else {
        *dropped += 1;
    }
}

impl Tracer {
    /// Of a run that has no events yet.
    pub(crate) fn new(run: RunId, about: Arc<About>) -> Self {
        Self { run, about, part: 0, began: None, steps: BTreeMap::new(), moments: Vec::new(), dropped: 0 }
    }

    /// The spans that come to their end by an event.
    pub(crate) fn take(&mut self, event: &Event) -> Vec<Span> {
        self.began.get_or_insert(event.at);
        let mut spans = Vec::new();
        match &event.kind {
            // A cleanup comes after the step, and is none of its time.
            EventKind::AttemptStarted { direction: Direction::Cleanup, .. } => self.moment("removal-started", event.at),
            EventKind::AttemptFinished { direction: Direction::Cleanup, .. } => {
                self.moment("removal-finished", event.at);
            }
            EventKind::AttemptStarted { step, direction, number, .. } => {
                self.open(step, *direction == Direction::Undo, event.at).attempt = Some((*number, event.at));
            }
            EventKind::AttemptFinished { step, direction, number, outcome, .. } => {
                spans.extend(self.attempted(step, *direction == Direction::Undo, *number, outcome, event.at));
            }
            kind => match step(kind) {
                Some(step) => spans.extend(self.stepped(step, kind, event.at)),
                None => self.moment(word(kind), event.at),
            },
        }
        if let Some(result) = end(&event.kind) {
            spans.extend(self.end(result, event.at));
        }
        spans
    }

    /// Something happened to the run as a whole.
    fn moment(&mut self, name: &'static str, at: u64) {
        keep(&mut self.moments, &mut self.dropped, Moment { at, name, attributes: Vec::new() });
    }

    fn open(&mut self, step: &StepId, undo: bool, at: u64) -> &mut Open {
        let open = self.steps.entry((step.clone(), undo)).or_insert_with(|| Open {
            began: at,
            last: at,
            attempt: None,
            outcome: "open",
            went: Went::Unset,
            moments: Vec::new(),
            dropped: 0,
        });
        open.last = at;
        open
    }

    /// An attempt ended, and its step with it if it is done.
    fn attempted(&mut self, step: &StepId, undo: bool, number: u32, came: &Outcome, at: u64) -> Vec<Span> {
        let (result, went, kind) = match came {
            Outcome::Done { .. } => ("done", Went::Well, None),
            Outcome::Failed { failure } => {
                let kind = failure.code.as_ref().map_or_else(|| "failed".to_owned(), ToString::to_string);
                ("failed", Went::Badly(failure.message.clone()), Some(kind))
            }
            Outcome::Unknown { reason } => ("unknown", Went::Badly(reason.clone()), Some("unknown".to_owned())),
        };
        let open = self.open(step, undo, at);
        (open.outcome, open.went) = (result, went.clone());
        let began = open.attempt.take().filter(|(begun, _)| *begun == number).map_or(at, |(_, began)| began);
        let mut attributes = self.of_step(step, undo);
        attributes.push(("lifeboat.attempt", Attribute::Number(number.into())));
        attributes.push(("lifeboat.outcome", text(outcome(came))));
        attributes.extend(kind.map(|kind| ("error.type", text(kind))));
        let mut spans = vec![Span {
            trace: self.trace(),
            id: self.id(&["attempt", step.as_str(), if undo { "undo" } else { "" }, &number.to_string()]),
            parent: Some(self.step_id(step, undo)),
            name: format!("attempt {number}"),
            began,
            ended: at,
            attributes,
            moments: Vec::new(),
            dropped: 0,
            went,
        }];
        if result == "done" {
            spans.extend(self.close(step, undo));
        }
        spans
    }

    /// Something else happened to a step.
    fn stepped(&mut self, step: &StepId, kind: &EventKind, at: u64) -> Option<Span> {
        let (done, came) = match kind {
            EventKind::Probed { answer: ProbeAnswer::Happened { .. }, .. } => (true, Some(("done", Went::Well))),
            EventKind::WaitEnded { .. } | EventKind::StepMarkedDone { .. } => (true, Some(("done", Went::Well))),
            EventKind::StepSkipped { .. } => (true, Some(("skipped", Went::Unset))),
            EventKind::StepNotNeeded { .. } => (true, Some(("not-needed", Went::Unset))),
            // How many have to is known by the plan; the run goes on when it is enough.
            EventKind::Approved { .. } => (false, Some(("done", Went::Well))),
            EventKind::Denied { .. } => (false, Some(("failed", Went::Badly("a person said no".to_owned())))),
            EventKind::ApprovalExpired { .. } => {
                (false, Some(("failed", Went::Badly("nobody answered in time".to_owned()))))
            }
            EventKind::ConditionUnclear { failure, .. } => {
                (false, Some(("failed", Went::Badly(failure.message.clone()))))
            }
            _ => (false, None),
        };
        // A person may see to an undo that failed, too.
        let undo = self.steps.contains_key(&(step.clone(), true));
        let open = self.open(step, undo, at);
        if let Some((outcome, went)) = came {
            (open.outcome, open.went) = (outcome, went);
        }
        let moment = Moment { at, name: word(kind), attributes: Vec::new() };
        keep(&mut open.moments, &mut open.dropped, moment);
        if done { self.close(step, undo) } else { None }
    }

    /// The span of a step that is open no more.
    fn close(&mut self, step: &StepId, undo: bool) -> Option<Span> {
        let open = self.steps.remove(&(step.clone(), undo))?;
        let mut attributes = self.of_step(step, undo);
        attributes.push(("lifeboat.outcome", text(open.outcome)));
        Some(Span {
            trace: self.trace(),
            id: self.step_id(step, undo),
            parent: Some(self.id(&["run"])),
            name: if undo { format!("undo {step}") } else { step.to_string() },
            began: open.began,
            ended: open.last,
            attributes,
            moments: open.moments,
            dropped: open.dropped,
            went: open.went,
        })
    }

    /// The run ended: what is open ends with it. Should it be opened again, that is another part of the trace.
    fn end(&mut self, result: &'static str, at: u64) -> Vec<Span> {
        let open: Vec<(StepId, bool)> = self.steps.keys().cloned().collect();
        let mut spans: Vec<Span> = open.iter().filter_map(|(step, undo)| self.close(step, *undo)).collect();
        let mut attributes = self.of_run();
        attributes.push(("lifeboat.fingerprint", text(self.about.fingerprint.to_string())));
        attributes.push(("lifeboat.result", text(result)));
        attributes.push(("lifeboat.part", Attribute::Number(self.part)));
        let good = result == "succeeded";
        spans.push(Span {
            trace: self.trace(),
            id: self.id(&["run"]),
            parent: None,
            name: format!("{} {}", self.about.mode.as_str(), self.about.runbook),
            began: self.began.take().unwrap_or(at),
            ended: at,
            attributes,
            moments: std::mem::take(&mut self.moments),
            dropped: std::mem::take(&mut self.dropped),
            went: if good { Went::Well } else { Went::Badly(format!("the run {result}")) },
        });
        self.part += 1;
        spans
    }

    fn of_run(&self) -> Vec<Pair> {
        vec![
            ("lifeboat.run", text(self.run.as_str())),
            ("lifeboat.runbook", text(self.about.runbook.as_str())),
            ("lifeboat.mode", text(self.about.mode.as_str())),
        ]
    }

    fn of_step(&self, step: &StepId, undo: bool) -> Vec<Pair> {
        let (kind, plugin) = self.about.step(step);
        let mut pairs = self.of_run();
        pairs.push(("lifeboat.step", text(step.as_str())));
        pairs.push(("lifeboat.kind", text(kind)));
        if !plugin.is_empty() {
            pairs.push(("lifeboat.plugin", text(plugin)));
        }
        pairs.push(("lifeboat.direction", text(if undo { "undo" } else { "forward" })));
        pairs
    }

    fn trace(&self) -> [u8; 16] {
        digest(&["lifeboat trace", self.run.as_str()])
    }

    fn step_id(&self, step: &StepId, undo: bool) -> [u8; 8] {
        self.id(&["step", step.as_str(), if undo { "undo" } else { "" }])
    }

    fn id(&self, parts: &[&str]) -> [u8; 8] {
        let part = self.part.to_string();
        let mut all = vec![self.run.as_str(), part.as_str()];
        all.extend(parts);
        digest(&all)
    }
}
