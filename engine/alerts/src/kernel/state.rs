//! What is known of incidents: made of events, bounded, and small enough to be stored as a whole.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::event::{Event, IncidentId, What};
use super::trigger::{Agree, Budget};
use crate::alert::Labels;
use crate::limits::{ALERTS_PER_INCIDENT_MAX, BUDGET_MAX, BUDGETS_MAX, INCIDENTS_CLOSED_MAX, PROBES_MAX};

/// What was agreed on when an incident began. A runbook that is changed later changes the next incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The runbook.
    pub runbook: String,
    /// The mode of its run.
    pub mode: String,
    /// The group.
    pub group: String,
    /// How long it has to last, in milliseconds.
    pub hold_ms: u64,
    /// How many probes have to agree.
    pub agree: Option<Agree>,
    /// How many automatic runs there may be.
    pub budget: Budget,
    /// Runbook and operator both let it go past the point of no return.
    pub past_no_return: bool,
    /// The labels of its first alert, as far as they are kept.
    pub labels: Labels,
}

/// What is known of one alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertState {
    /// When it began, by its source or else by its coming. Milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Whether it fires.
    pub firing: bool,
    /// When it was last heard of.
    pub heard_ms: u64,
    /// The probe whose word it is, where probes have to agree.
    pub probe: Option<String>,
}

/// How far an incident is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "phase")]
pub enum Phase {
    /// It has not lasted long enough, or too few probes agree.
    Holding,
    /// A run was decided on, and is not known to be there.
    Starting,
    /// Its run is under way.
    Running {
        /// The run.
        run: String,
        /// It is at its point of no return, or past it.
        past_no_return: bool,
    },
    /// Its run has ended, and it is not resolved.
    Ended {
        /// The run, where there was one.
        run: Option<String>,
        /// How it ended.
        outcome: String,
    },
    /// No run is started by itself: a person is called.
    Refused,
    /// It is over.
    Closed {
        /// When, in milliseconds since the Unix epoch.
        at_ms: u64,
        /// Why.
        why: String,
    },
}

/// A person who has to be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Why: a code that has a page.
    pub code: String,
    /// The same in a sentence.
    pub reason: String,
    /// It was done.
    pub told: bool,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Which.
    pub id: IncidentId,
    /// What was agreed on when it began.
    pub terms: Terms,
    /// When it began, in milliseconds since the Unix epoch.
    pub opened_ms: u64,
    /// When something was last heard of it.
    pub heard_ms: u64,
    /// How far it is.
    pub phase: Phase,
    /// When it was seen to be resolved.
    pub resolved_ms: Option<u64>,
    /// An orderly abort was decided on.
    pub aborting: bool,
    /// Whom it calls.
    pub page: Option<Page>,
    /// Its alerts, by source and fingerprint.
    pub alerts: BTreeMap<String, AlertState>,
    /// There are alerts that are not told apart; the last of them began then.
    pub more_ms: Option<u64>,
    /// What alerts that are no longer known began at most; what is as old and unknown is stale.
    pub(crate) floor_ms: u64,
    pub(crate) probes: BTreeMap<String, (bool, u64)>,
}

impl Incident {
    /// When the first of its alerts began that fires; at the latest when it was first heard of.
    pub fn detected_ms(&self) -> u64 {
        let firing = self.alerts.values().filter(|alert| alert.firing).map(|alert| alert.since_ms).min();
        firing.map_or(self.opened_ms, |since| since.min(self.opened_ms))
    }

    /// Whether any alert of it fires.
    pub fn firing(&self) -> bool {
        self.more_ms.is_some() || self.alerts.values().any(|alert| alert.firing)
    }

    /// Whether it is over.
    pub const fn closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    /// Its run, where it is under way or has ended.
    pub fn run(&self) -> Option<&str> {
        match &self.phase {
            Phase::Running { run, .. } => Some(run),
            Phase::Ended { run, .. } => run.as_deref(),
            _ => None,
        }
    }

    /// How many probes say that it is down, and how many have to.
    pub fn agreement(&self, now_ms: u64) -> Option<(usize, u32)> {
        let agree = self.terms.agree.as_ref()?;
        let fresh = |at: u64| now_ms.saturating_sub(at) <= agree.within_ms;
        let alerts = self.alerts.values().filter(|alert| alert.firing && fresh(alert.heard_ms));
        let probes = self.probes.iter().filter(|(_, (down, at))| *down && fresh(*at)).map(|(name, _)| name);
        let names: BTreeSet<&String> = alerts.filter_map(|alert| alert.probe.as_ref()).chain(probes).collect();
        let counted = names.into_iter().filter(|name| agree.of.is_empty() || agree.of.contains(name));
        Some((counted.count(), agree.count))
    }

    fn new(event: &Event, terms: &Terms) -> Self {
        Self {
            id: event.incident.clone(),
            terms: terms.clone(),
            opened_ms: event.at_ms,
            heard_ms: event.at_ms,
            phase: Phase::Holding,
            resolved_ms: None,
            aborting: false,
            page: None,
            alerts: BTreeMap::new(),
            more_ms: None,
            floor_ms: 0,
            probes: BTreeMap::new(),
        }
    }

    /// The incident that an event of that kind begins. What was known of the alerts of the one before it stays known: what is
    /// repeated of them is stale.
    pub(crate) fn begun(event: &Event, terms: &Terms, before: Option<&Self>) -> Self {
        let mut incident = Self::new(event, terms);
        if let Some(before) = before {
            incident.alerts = before.alerts.clone();
            incident.floor_ms = before.floor_ms;
        }
        if matches!(event.what, What::Noted(_)) {
            incident.phase =
                Phase::Closed { at_ms: event.at_ms, why: "it was over when it was first heard of".to_owned() };
        }
        incident
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.what {
            What::Opened(_) | What::Noted(_) => {}
            What::Alerts { states, more_ms } => {
                self.heard_ms = event.at_ms;
                for (name, state) in states {
                    self.put(name, state.clone());
                }
                self.more_ms = self.more_ms.max(*more_ms);
            }
            What::NoMore => self.more_ms = None,
            What::Probe { name, down } => {
                if self.probes.contains_key(name) || self.probes.len() < PROBES_MAX {
                    self.probes.insert(name.clone(), (*down, event.at_ms));
                }
            }
            What::Started => self.phase = Phase::Starting,
            What::Running { run } => self.phase = Phase::Running { run: run.clone(), past_no_return: false },
            What::NoReturn => {
                if let Phase::Running { past_no_return, .. } = &mut self.phase {
                    *past_no_return = true;
                    // An abort that came too late is none: past this point nothing is undone by itself.
                    self.aborting = false;
                }
            }
            What::Resolved => self.resolved_ms = Some(event.at_ms),
            What::Recurred => self.resolved_ms = None,
            What::AbortAsked => self.aborting = true,
            What::Paged { code, reason } => {
                if self.phase == Phase::Holding {
                    self.phase = Phase::Refused;
                }
                self.page = Some(Page { code: code.clone(), reason: reason.clone(), told: false });
            }
            What::Told => {
                if let Some(page) = &mut self.page {
                    page.told = true;
                }
            }
            What::Ended { outcome } => {
                let run = self.run().map(str::to_owned);
                self.phase = Phase::Ended { run, outcome: outcome.clone() };
            }
            What::Closed { why } => {
                self.phase = Phase::Closed { at_ms: event.at_ms, why: why.clone() };
                // What is repeated of it later is stale, also where a person has closed it while it fired.
                self.alerts.values_mut().for_each(|alert| alert.firing = false);
                self.floor_ms = self.floor_ms.max(self.more_ms.take().unwrap_or_default());
            }
        }
    }

    fn put(&mut self, name: &str, state: AlertState) {
        if !self.alerts.contains_key(name) && self.alerts.len() >= ALERTS_PER_INCIDENT_MAX {
            let oldest = self.alerts.iter().filter(|(_, alert)| !alert.firing).min_by_key(|(_, alert)| alert.since_ms);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                // The events that make such a state are not made: what is too much is counted by its time.
                return;
            };
            if let Some(gone) = self.alerts.remove(&oldest) {
                self.floor_ms = self.floor_ms.max(gone.since_ms);
            }
        }
        self.alerts.insert(name.to_owned(), state);
    }

    /// Whether one more alert can be told apart.
    pub(crate) fn has_room(&self, name: &str) -> bool {
        self.alerts.contains_key(name)
            || self.alerts.len() < ALERTS_PER_INCIDENT_MAX
            || self.alerts.values().any(|alert| !alert.firing)
    }
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub(crate) incidents: BTreeMap<String, Incident>,
    pub(crate) next_serial: u64,
    /// Closed incidents by the time of their end: the first is the first to be forgotten.
    closed: BTreeSet<(u64, String)>,
    /// When automatic runs of a runbook started.
    starts: BTreeMap<String, Vec<u64>>,
    /// What the alerts of forgotten incidents began at most.
    pub(crate) forgotten_ms: u64,
}

impl State {
    /// The state that these events make.
    pub fn from_events<'e>(events: impl IntoIterator<Item = &'e Event>) -> Self {
        let mut state = Self::default();
        events.into_iter().for_each(|event| state.apply(event));
        state
    }

    /// Takes in an event of [`super::decide`]. Events of another origin are taken in as far as they make sense.
    pub fn apply(&mut self, event: &Event) {
        let key = &event.incident.key;
        if let What::Opened(terms) | What::Noted(terms) = &event.what {
            let before = self.incidents.get(key);
            if let Some(Incident { phase: Phase::Closed { at_ms, .. }, .. }) = before {
                self.closed.remove(&(*at_ms, key.clone()));
            }
            let incident = Incident::begun(event, terms, before);
            self.incidents.insert(key.clone(), incident);
            self.next_serial = self.next_serial.max(event.incident.serial.saturating_add(1));
        }
        let Some(incident) = self.incidents.get_mut(key).filter(|found| found.id == event.incident) else { return };
        if let Phase::Closed { at_ms, .. } = incident.phase {
            self.closed.remove(&(at_ms, key.clone()));
        }
        incident.apply(event);
        if let Phase::Closed { at_ms, .. } = incident.phase {
            self.closed.insert((at_ms, key.clone()));
        }
        if matches!(event.what, What::Started) {
            let (runbook, window_ms) = (incident.terms.runbook.clone(), incident.terms.budget.window_ms);
            self.count_start(runbook, event.at_ms, window_ms);
        }
        self.forget();
    }

    fn count_start(&mut self, runbook: String, at_ms: u64, window_ms: u64) {
        let starts = self.starts.entry(runbook).or_default();
        starts.retain(|start| start.saturating_add(window_ms) > at_ms);
        starts.push(at_ms);
        let most = usize::try_from(BUDGET_MAX).unwrap_or(usize::MAX);
        starts.drain(..starts.len().saturating_sub(most));
        if self.starts.len() > BUDGETS_MAX {
            let idle =
                self.starts.iter().min_by_key(|(_, starts)| starts.last().copied()).map(|(name, _)| name.clone());
            idle.and_then(|name| self.starts.remove(&name));
        }
    }

    fn forget(&mut self) {
        while self.closed.len() > INCIDENTS_CLOSED_MAX {
            let Some((_, key)) = self.closed.pop_first() else { return };
            if let Some(gone) = self.incidents.remove(&key) {
                let last = gone.alerts.values().map(|alert| alert.since_ms).max();
                self.forgotten_ms = self.forgotten_ms.max(last.unwrap_or_default()).max(gone.floor_ms);
            }
        }
    }

    /// How many automatic runs of a runbook started within that many milliseconds before now.
    pub fn starts(&self, runbook: &str, now_ms: u64, window_ms: u64) -> usize {
        let starts = self.starts.get(runbook).map(Vec::as_slice).unwrap_or_default();
        starts.iter().filter(|start| start.saturating_add(window_ms) > now_ms).count()
    }

    /// All incidents that are known, closed ones among them.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }

    /// The latest incident of a runbook and group.
    pub fn incident(&self, runbook: &str, group: &str) -> Option<&Incident> {
        self.incidents.get(&format!("{runbook} {group}"))
    }

    /// How many incidents are not over.
    pub fn open(&self) -> usize {
        self.incidents.len().saturating_sub(self.closed.len())
    }
}
