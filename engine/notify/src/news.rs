//! What is news of a run: a pure function of its events, so that what was missed in a crash is found again.

use lifeboat_core::event::{Event, EventKind, RunResult};
use lifeboat_core::ids::StepId;
use lifeboat_core::measure::measure;
use lifeboat_core::notify::{About, about_end};
use lifeboat_core::outcome::Outcome;
use lifeboat_core::plan::Mode;
use lifeboat_core::ports::Direction;
use lifeboat_core::state::{Phase, RunState};
use lifeboat_core::verified::verdict;
use lifeboat_core::{Error, apply};

use crate::message::{Message, plain, rfc3339};

/// Something that people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The number of the event that it is.
    pub seq: u64,
    /// When.
    pub at: u64,
    /// What it is about.
    pub about: About,
    /// The step.
    pub step: Option<StepId>,
    /// When the question ends, in an approval.
    pub expires_at: Option<u64>,
    /// Why a drill did not pass though all its steps were done.
    pub because: Vec<String>,
}

/// Whether an event can be news, so that the run is looked at.
pub fn may_be_news(kind: &EventKind) -> bool {
    match kind {
        EventKind::ApprovalRequested { .. }
        | EventKind::SuspectHeld { .. }
        | EventKind::UnwindStarted { cause: Some(_) }
        | EventKind::RunFinished { .. } => true,
        // What cannot be removed is told with the end of the run.
        EventKind::AttemptFinished { direction: Direction::Cleanup, .. } => false,
        EventKind::AttemptFinished { outcome, retry_at, .. } => {
            retry_at.is_none() && !matches!(outcome, Outcome::Done { .. })
        }
        EventKind::Probed { retry_at, .. } => retry_at.is_none(),
        _ => false,
    }
}

/// What is news of a run, and its state. What is over by now (a question that was answered) is no news.
///
/// # Errors
/// `LB0503` the events are not those of a run.
pub fn news(events: &[Event]) -> Result<(Vec<News>, RunState), Error> {
    let all = events;
    let mut events = all.iter();
    let first = events.next().ok_or_else(|| Error::new("LB0503", "the run has no events"))?;
    let mut state = apply::create(first)?;
    let (mut found, mut cleaned) = (Vec::new(), false);
    for event in events {
        apply::apply(&mut state, event)?;
        let one = |about, step: Option<&StepId>, expires_at| News {
            seq: state.seq,
            at: event.at,
            about,
            step: step.cloned(),
            expires_at,
            because: Vec::new(),
        };
        match &event.kind {
            EventKind::ApprovalRequested { step, expires_at, .. } => {
                found.push(one(About::Approval, Some(step), *expires_at));
            }
            // It had ended before, and that was told.
            EventKind::CleanupStarted { said, .. } => cleaned = said.is_some(),
            EventKind::AttemptFinished { direction: Direction::Cleanup, .. } => {}
            EventKind::SuspectHeld { step, .. } => found.push(one(About::NeedsPerson, Some(step), None)),
            EventKind::AttemptFinished { step, .. } | EventKind::Probed { step, .. } if asks(&state, step) => {
                found.push(one(About::NeedsPerson, Some(step), None));
            }
            // To undo may take long: that it failed is told at once, and again at the end.
            EventKind::UnwindStarted { cause: Some(step) } => {
                found.extend(about_end(RunResult::Failed, state.plan.mode).map(|about| one(about, Some(step), None)));
            }
            EventKind::RunFinished { result } if !cleaned => {
                let because = missed(&state, *result, all)?;
                let about =
                    if because.is_empty() { about_end(*result, state.plan.mode) } else { Some(About::DrillFailed) };
                found.extend(about.map(|about| News { because, ..one(about, None, None) }));
            }
            _ => {}
        }
    }
    let last = |news: &News| {
        let same = |other: &&News| (other.about, &other.step) == (news.about, &news.step);
        found.iter().rev().find(same).is_some_and(|newest| newest.seq == news.seq)
    };
    let open = found.iter().filter(|news| last(news) && is_open(&state, news)).cloned().collect();
    Ok((open, state))
}

/// Why a drill whose steps were all done did not pass: it was too slow, lost too much, left something, or checks too little.
fn missed(state: &RunState, result: RunResult, events: &[Event]) -> Result<Vec<String>, Error> {
    if state.plan.mode != Mode::Drill || result != RunResult::Succeeded {
        return Ok(Vec::new());
    }
    Ok(verdict(state, &measure(events)?).because)
}

/// Whether a step waits for the word of a person.
fn asks(state: &RunState, step: &StepId) -> bool {
    let phase = state.step(step).map(|(_, now)| &now.phase);
    matches!(phase, Some(Phase::Asking { .. } | Phase::Suspect { .. } | Phase::UndoFailed { .. }))
}

fn is_open(state: &RunState, news: &News) -> bool {
    match (&news.about, &news.step) {
        (About::Approval, Some(step)) => {
            let phase = state.step(step).map(|(_, now)| &now.phase);
            state.result.is_none() && matches!(phase, Some(Phase::Approval { .. }))
        }
        (About::NeedsPerson, Some(step)) => state.result.is_none() && asks(state, step),
        (_, Some(_)) => state.result.is_none(),
        _ => state.result.is_some(),
    }
}

impl News {
    /// The message that tells it.
    pub fn message(&self, state: &RunState) -> Message {
        let plan = &state.plan;
        let drill = if plan.mode == Mode::Drill { "[drill] " } else { "" };
        let name = &plan.runbook;
        let id = self.step.as_ref().map(StepId::as_str).unwrap_or_default();
        let run = &state.run;
        let took = state.worked_until.unwrap_or(state.updated_at).saturating_sub(state.declared_at()) / 1_000;
        let (title, text, commands) = match self.about {
            About::Approval => (
                format!("{name} asks for approval: {id}"),
                question(state, id),
                vec![
                    format!("lifeboat approve {run} {id} --reason '…'"),
                    format!("lifeboat deny {run} {id} --reason '…'"),
                ],
            ),
            About::NeedsPerson => {
                let why = self.step.as_ref().and_then(|step| state.step(step)).map(|(_, now)| why(&now.phase));
                (format!("{name} needs a person: {id}"), why.unwrap_or_default(), vec![format!("lifeboat show {run}")])
            }
            About::Failed | About::DrillFailed if !id.is_empty() => {
                let title = format!("{name} failed at {id}: what was done is being undone");
                (title, failures(state), vec![format!("lifeboat show {run}")])
            }
            About::DrillFailed if !self.because.is_empty() => {
                let text = format!("All its steps were done, and {}.", self.because.join("; "));
                (format!("{name} did not pass"), text, vec![format!("lifeboat report {run}")])
            }
            About::Failed | About::DrillFailed => {
                (format!("{name} failed"), failures(state), vec![format!("lifeboat show {run}")])
            }
            About::RtoAtRisk => {
                let rto = plan.objectives.rto_ms.unwrap_or_default() / 1_000;
                let text = format!("Its objective is {rto} s, and it has not ended.");
                (
                    format!("{name} is about to miss its recovery time objective"),
                    text,
                    vec![format!("lifeboat show {run}")],
                )
            }
            _ => (format!("{name} succeeded"), format!("It took {took} s."), vec![format!("lifeboat report {run}")]),
        };
        let (step, approval) = match self.step.as_ref().and_then(|step| state.step(step)) {
            Some((step, _)) => (step.id.as_str(), step.approval.as_ref().filter(|_| self.about == About::Approval)),
            None => ("", None),
        };
        Message {
            id: if step.is_empty() { run.to_string() } else { format!("{run}-{step}") },
            run: run.to_string(),
            runbook: name.clone(),
            mode: plan.mode.as_str().to_owned(),
            step: step.to_owned(),
            role: approval.map(|approval| approval.role.clone()).unwrap_or_default(),
            fingerprint: approval.map(|_| state.fingerprint.to_string()).unwrap_or_default(),
            expires: self.expires_at.map(rfc3339).unwrap_or_default(),
            commands,
            ..Message::new(self.about, self.at, &format!("{drill}{title}"), &text)
        }
    }
}

fn question(state: &RunState, step: &str) -> String {
    let said = &state.said;
    let why = if said.why.is_empty() { String::new() } else { format!(": {}", said.why) };
    let asked = state.plan.step(&StepId(step.to_owned())).and_then(|step| step.approval.as_ref());
    let who = asked.map(|asked| format!("{} of the role '{}'", asked.quorum, asked.role)).unwrap_or_default();
    plain(&format!(
        "{} started it in mode {}{why}. Done so far: {} of {} steps. It asks {who}.",
        said.by,
        state.plan.mode.as_str(),
        state.complete(),
        state.plan.steps.len()
    ))
}

fn why(phase: &Phase) -> String {
    match phase {
        Phase::Asking { reason } => format!("Nobody knows whether the step happened: {reason}"),
        Phase::Suspect { because, .. } => format!("A snapshot is suspect: {}", because.join("; ")),
        Phase::UndoFailed { failure } => format!("What it did could not be undone: {}", failure.message),
        _ => String::new(),
    }
}

fn failures(state: &RunState) -> String {
    let failed = state.steps().filter_map(|(step, now)| match &now.phase {
        Phase::Failed { failure } => Some(format!("{} failed: {}", step.id, failure.message)),
        _ => None,
    });
    let all: Vec<String> = failed.take(5).collect();
    all.join("; ")
}
