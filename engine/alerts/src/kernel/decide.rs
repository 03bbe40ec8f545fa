//! From a fact to events, decisions and words on it.

use serde::{Deserialize, Serialize};

use super::event::{Event, IncidentId, What};
use super::round::Round;
use super::state::{AlertState, Incident, Phase, State};
use super::trigger::Trigger;
use super::verdict::{Verdict, Word};
use crate::alert::{Batch, Labels};

/// Something that happened. Who says so was made sure before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// A source sent alerts.
    Alerts(Batch),
    /// A probe of the service itself has looked.
    Probe {
        /// For which incident.
        incident: IncidentId,
        /// Its name.
        name: String,
        /// Whether it says that it is down.
        down: bool,
    },
    /// Time has passed. Once a second is enough.
    Tick,
    /// The run of [`Decision::Start`] is in the store.
    RunStarted {
        /// Its incident.
        incident: IncidentId,
        /// Its name.
        run: String,
    },
    /// The run of [`Decision::Start`] can never be made.
    RunRefused {
        /// Its incident.
        incident: IncidentId,
        /// Why.
        reason: String,
    },
    /// The run is at its point of no return, or past it.
    NoReturn {
        /// Its incident.
        incident: IncidentId,
    },
    /// The run has ended.
    RunEnded {
        /// Its incident.
        incident: IncidentId,
        /// How, in the words of the engine.
        outcome: String,
    },
    /// The person of [`Decision::Page`] was called.
    Told {
        /// Its incident.
        incident: IncidentId,
    },
    /// A person says that it is over.
    Close {
        /// Which.
        incident: IncidentId,
        /// Who.
        by: String,
        /// Why.
        why: String,
    },
}

/// What the service does next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum Decision {
    /// Make the run with that key, or find that there is one; then say [`Fact::RunStarted`] or [`Fact::RunRefused`].
    Start {
        /// Its incident.
        incident: IncidentId,
        /// There is one run of one key.
        key: String,
        /// The runbook.
        runbook: String,
        /// The mode.
        mode: String,
        /// The labels of the first alert: facts for the run.
        labels: Labels,
        /// It waits for a person before its first irreversible step.
        stop_before_no_return: bool,
        /// When its first alert began that fires: when the disaster was detected. Milliseconds since the Unix epoch.
        detected_ms: u64,
    },
    /// Write these down with the run. For people: nothing else depends on it.
    Attach {
        /// Its incident.
        incident: IncidentId,
        /// The run.
        run: String,
        /// The alerts, by source and fingerprint.
        alerts: Vec<(String, AlertState)>,
    },
    /// Abort the run in order: what is done is undone by its policy.
    Abort {
        /// Its incident.
        incident: IncidentId,
        /// The run.
        run: String,
    },
    /// Call a person; then say [`Fact::Told`].
    Page {
        /// Its incident.
        incident: IncidentId,
        /// A code that has a page.
        code: String,
        /// Why.
        reason: String,
    },
}

/// What follows from a fact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What is to be stored, in one step, before anything is done.
    pub events: Vec<Event>,
    /// What is to be done then.
    pub decisions: Vec<Decision>,
    /// What is to be shown.
    pub verdicts: Vec<Verdict>,
}

impl State {
    /// What was decided on and is not known to be done: after a start of the service, and now and then. To do it again does nothing
    /// that was done before.
    pub fn pending(&self) -> Vec<Decision> {
        self.incidents().flat_map(pending).collect()
    }
}

pub(super) fn pending(incident: &Incident) -> Vec<Decision> {
    let id = &incident.id;
    let mut decisions = Vec::new();
    match &incident.phase {
        Phase::Starting => decisions.push(Decision::Start {
            incident: id.clone(),
            key: id.run_key(),
            runbook: incident.terms.runbook.clone(),
            mode: incident.terms.mode.clone(),
            labels: incident.terms.labels.clone(),
            stop_before_no_return: !incident.terms.past_no_return,
            detected_ms: incident.detected_ms(),
        }),
        Phase::Running { run, .. } if incident.aborting => {
            decisions.push(Decision::Abort { incident: id.clone(), run: run.clone() });
        }
        _ => {}
    }
    if let Some(page) = incident.page.as_ref().filter(|page| !page.told) {
        decisions.push(Decision::Page { incident: id.clone(), code: page.code.clone(), reason: page.reason.clone() });
    }
    decisions
}

/// Decides on a fact. The events are to be stored and to be given to [`State::apply`], in one step and in their order; if that fails, nothing
/// has happened.
pub fn decide(state: &State, triggers: &[Trigger], fact: &Fact, now_ms: u64) -> Outcome {
    let mut round = Round::new(state, now_ms);
    match fact {
        Fact::Alerts(batch) => round.batch(triggers, batch),
        Fact::Tick => round.tick(),
        Fact::Probe { incident, name, down } => {
            if round.is(incident, |found| !found.closed()) {
                round.emit(incident, What::Probe { name: name.clone(), down: *down });
                round.follow(incident);
            }
        }
        Fact::RunStarted { incident, run } => {
            if round.is(incident, |found| found.phase == Phase::Starting) {
                round.emit(incident, What::Running { run: run.clone() });
                round.follow(incident);
            }
        }
        Fact::RunRefused { incident, reason } => {
            if round.is(incident, |found| found.phase == Phase::Starting) {
                round.emit(incident, What::Ended { outcome: "the run could not be made".to_owned() });
                let reason = format!("the run could not be made: {reason}");
                round.page(incident, Word::Failed, reason);
                round.after_the_run(incident);
            }
        }
        Fact::NoReturn { incident } => {
            if round.is(incident, |found| matches!(found.phase, Phase::Running { past_no_return: false, .. })) {
                let aborting = round.get(&incident.key).is_some_and(|found| found.aborting);
                round.emit(incident, What::NoReturn);
                if aborting {
                    let reason = "its run passed the point of no return before it could be aborted: it goes on";
                    round.say(Word::Resolved, reason, Some(incident));
                }
            }
        }
        Fact::RunEnded { incident, outcome } => {
            if round.is(incident, |found| matches!(found.phase, Phase::Running { .. })) {
                round.emit(incident, What::Ended { outcome: outcome.clone() });
                round.after_the_run(incident);
            }
        }
        Fact::Told { incident } => {
            if round.is(incident, |found| found.page.as_ref().is_some_and(|page| !page.told)) {
                round.emit(incident, What::Told);
            }
        }
        Fact::Close { incident, by, why } => {
            let idle = |found: &Incident| matches!(found.phase, Phase::Holding | Phase::Ended { .. } | Phase::Refused);
            if round.is(incident, idle) {
                round.close(incident, format!("{by}: {why}"));
            }
        }
    }
    round.outcome
}
