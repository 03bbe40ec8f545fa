//! One round: a fact, and all that follows from it for the incidents that it touches.

use std::collections::BTreeMap;

use super::decide::{Decision, Outcome, pending};
use super::event::{Event, IncidentId, What};
use super::state::{Incident, Phase, State};
use super::verdict::{Verdict, Word};
use crate::limits::QUIET_MS;

pub(super) struct Round<'s> {
    pub(super) state: &'s State,
    pub(super) now_ms: u64,
    pub(super) next_serial: u64,
    pub(super) open: usize,
    /// Incidents as this round leaves them.
    touched: BTreeMap<String, Incident>,
    /// Runs that this round starts, by runbook.
    started: BTreeMap<String, usize>,
    pub(super) outcome: Outcome,
}

impl<'s> Round<'s> {
    pub(super) fn new(state: &'s State, now_ms: u64) -> Self {
        Self {
            state,
            now_ms,
            next_serial: state.next_serial,
            open: state.open(),
            touched: BTreeMap::new(),
            started: BTreeMap::new(),
            outcome: Outcome::default(),
        }
    }
}

impl Round<'_> {
    pub(super) fn get(&self, key: &str) -> Option<&Incident> {
        self.touched.get(key).or_else(|| self.state.incidents.get(key))
    }

    /// Whether that very incident is there and fits; if not, it is said.
    pub(super) fn is(&mut self, id: &IncidentId, fits: impl Fn(&Incident) -> bool) -> bool {
        let found = self.get(&id.key).filter(|found| found.id == *id);
        let reason = match found {
            None => "there is no such incident, or a later one has taken its place",
            Some(found) if !fits(found) => "the incident is not so far, or it is further",
            Some(_) => return true,
        };
        self.say(Word::Misplaced, reason, Some(id));
        false
    }

    pub(super) fn say(&mut self, word: Word, reason: impl Into<String>, incident: Option<&IncidentId>) {
        let verdict = Verdict { word, code: word.code(), reason: reason.into(), incident: incident.cloned() };
        self.outcome.verdicts.push(verdict);
    }

    pub(super) fn emit(&mut self, id: &IncidentId, what: What) {
        let event = Event { at_ms: self.now_ms, incident: id.clone(), what };
        match &event.what {
            What::Opened(terms) | What::Noted(terms) => {
                let begun = Incident::begun(&event, terms, self.get(&id.key));
                self.open += usize::from(!begun.closed());
                self.touched.insert(id.key.clone(), begun);
            }
            what => {
                self.open -= usize::from(matches!(what, What::Closed { .. }) && self.open > 0);
                if let Some(mut incident) = self.touched.remove(&id.key).or_else(|| self.get(&id.key).cloned()) {
                    incident.apply(&event);
                    self.touched.insert(id.key.clone(), incident);
                }
            }
        }
        self.outcome.events.push(event);
    }

    /// Adds what is pending of an incident by its last event.
    pub(super) fn act(&mut self, id: &IncidentId, wanted: fn(&Decision) -> bool) {
        let decisions = self.get(&id.key).map(pending).unwrap_or_default();
        self.outcome.decisions.extend(decisions.into_iter().filter(wanted));
    }

    pub(super) fn close(&mut self, id: &IncidentId, why: String) {
        self.say(Word::Closed, why.clone(), Some(id));
        self.emit(id, What::Closed { why });
    }

    pub(super) fn page(&mut self, id: &IncidentId, word: Word, reason: String) {
        self.say(word, reason.clone(), Some(id));
        let code = word.code().unwrap_or_default().to_owned();
        self.emit(id, What::Paged { code, reason });
        self.act(id, |decision| matches!(decision, Decision::Page { .. }));
    }

    /// What follows for an incident from what is known of it now.
    pub(super) fn follow(&mut self, id: &IncidentId) {
        let Some(incident) = self.get(&id.key) else { return };
        let (firing, noted, aborting) = (incident.firing(), incident.resolved_ms.is_some(), incident.aborting);
        match incident.phase.clone() {
            Phase::Holding if !firing => self.close(id, "it was resolved before a run started".to_owned()),
            Phase::Holding => self.held(id),
            Phase::Starting | Phase::Running { .. } if firing && noted && !aborting => self.emit(id, What::Recurred),
            Phase::Starting if !firing && !noted => {
                self.emit(id, What::Resolved);
                self.say(Word::Resolved, "it is resolved while its run starts: the run will be aborted", Some(id));
            }
            Phase::Running { past_no_return, .. } if !firing => {
                if !noted {
                    self.emit(id, What::Resolved);
                }
                if past_no_return && !noted {
                    let reason = "it is resolved, and its run is past the point of no return: it goes on";
                    self.say(Word::Resolved, reason, Some(id));
                } else if !past_no_return && !aborting {
                    self.emit(id, What::AbortAsked);
                    self.say(
                        Word::Aborted,
                        "it is resolved before the point of no return: its run is aborted",
                        Some(id),
                    );
                    self.act(id, |decision| matches!(decision, Decision::Abort { .. }));
                }
            }
            Phase::Ended { .. } | Phase::Refused if !firing => self.close(id, "it is resolved".to_owned()),
            _ => {}
        }
    }

    /// An incident that fires and has no run.
    pub(super) fn held(&mut self, id: &IncidentId) {
        let Some(incident) = self.get(&id.key) else { return };
        let terms = incident.terms.clone();
        let due = incident.opened_ms.saturating_add(terms.hold_ms);
        if self.now_ms < due {
            let reason = format!("it has to last {} s more", (due - self.now_ms).div_ceil(1_000));
            return self.say(Word::Held, reason, Some(id));
        }
        if let Some((agreed, needed)) = incident.agreement(self.now_ms)
            && agreed < usize::try_from(needed).unwrap_or(usize::MAX)
        {
            return self.say(Word::Disagreed, format!("{agreed} of {needed} probes agree"), Some(id));
        }
        let now = self.started.get(&terms.runbook).copied().unwrap_or_default();
        let starts = now + self.state.starts(&terms.runbook, self.now_ms, terms.budget.window_ms);
        if starts >= usize::try_from(terms.budget.starts).unwrap_or(usize::MAX) {
            let minutes = terms.budget.window_ms / 60_000;
            let reason = format!(
                "'{}' has had {starts} automatic runs within {minutes} min: it starts no more by itself",
                terms.runbook
            );
            return self.page(id, Word::Spent, reason);
        }
        *self.started.entry(terms.runbook.clone()).or_default() += 1;
        self.emit(id, What::Started);
        self.say(Word::Started, "its run starts", Some(id));
        self.act(id, |decision| matches!(decision, Decision::Start { .. }));
    }

    pub(super) fn after_the_run(&mut self, id: &IncidentId) {
        let Some(incident) = self.get(&id.key) else { return };
        if !incident.firing() {
            return self.close(id, "its run has ended, and it is resolved".to_owned());
        }
        if !incident.aborting {
            return;
        }
        let terms = incident.terms.clone();
        let firing = incident.alerts.iter().filter(|(_, alert)| alert.firing);
        let states = firing.map(|(name, alert)| (name.clone(), alert.clone())).collect();
        let more_ms = incident.more_ms;
        self.close(id, "its run was aborted; what fires since is the next one".to_owned());
        let next = self.new_id(id.key.clone());
        self.emit(&next, What::Opened(terms));
        self.emit(&next, What::Alerts { states, more_ms });
        self.say(Word::Opened, format!("an incident began; the one before it was #{}", id.serial), Some(&next));
        self.follow(&next);
    }

    pub(super) fn tick(&mut self) {
        let ids: Vec<IncidentId> =
            self.state.incidents().filter(|found| self.is_due(found)).map(|found| found.id.clone()).collect();
        let told = self.outcome.verdicts.len();
        for id in ids {
            let Some(incident) = self.get(&id.key) else { continue };
            if self.now_ms.saturating_sub(incident.heard_ms) >= QUIET_MS {
                self.close(&id, "nothing was heard of it for a week".to_owned());
            } else {
                self.follow(&id);
            }
        }
        // That it still waits was said when it was last heard of.
        let mut at = 0;
        self.outcome.verdicts.retain(|verdict| {
            at += 1;
            at <= told || !matches!(verdict.word, Word::Held | Word::Disagreed)
        });
    }

    pub(super) fn is_due(&self, incident: &Incident) -> bool {
        let quiet = self.now_ms.saturating_sub(incident.heard_ms) >= QUIET_MS;
        match incident.phase {
            Phase::Holding => quiet || self.now_ms >= incident.opened_ms.saturating_add(incident.terms.hold_ms),
            Phase::Ended { .. } | Phase::Refused => quiet,
            Phase::Starting | Phase::Running { .. } | Phase::Closed { .. } => false,
        }
    }
}
