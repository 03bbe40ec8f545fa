//! Alerts on their way in: which are of a trigger, what is new of them, and which incident they are of.

use std::collections::BTreeMap;

use super::decide::Decision;
use super::event::{Event, IncidentId, What};
use super::round::Round;
use super::state::{AlertState, Incident, Terms};
use super::trigger::Trigger;
use super::verdict::Word;
use crate::alert::{Alert, Batch, Labels};
use crate::limits::{INCIDENTS_OPEN_MAX, LABELS_KEPT_BYTES_MAX};

/// How often it is written down that nothing is new.
const HEARD_EVERY_MS: u64 = 60_000;

/// What a word on an alert does to what is known of it.
enum News {
    Change(AlertState),
    Repeat(AlertState),
    Stale,
    Forgotten,
}

impl Round<'_> {
    pub(super) fn batch(&mut self, triggers: &[Trigger], batch: &Batch) {
        let mut matched = false;
        for trigger in triggers.iter().filter(|trigger| trigger.sources.contains(&batch.source)) {
            let mut groups: BTreeMap<String, Vec<&Alert>> = BTreeMap::new();
            for alert in &batch.alerts {
                let group = trigger.group_of(batch, alert);
                let name = name_of(batch, alert);
                let found = self.get(&key_of(trigger, &group));
                // A label may say the state itself: what is resolved need not match any more.
                let known = !alert.firing && found.is_some_and(|found| found.alerts.contains_key(&name));
                if known || trigger.matchers.matches(&alert.labels) {
                    groups.entry(group).or_default().push(alert);
                }
            }
            if trigger.group.is_empty() && batch.resolved_ms.is_some() {
                let group = format!("{}:{}", batch.source, batch.group);
                if self.get(&key_of(trigger, &group)).is_some() {
                    groups.entry(group).or_default();
                }
            }
            for (group, alerts) in groups {
                matched = true;
                self.group(trigger, batch, &group, &alerts);
            }
        }
        if !matched {
            self.say(Word::Unmatched, "no runbook has a trigger for this alert", None);
        }
    }

    fn group(&mut self, trigger: &Trigger, batch: &Batch, group: &str, alerts: &[&Alert]) {
        let key = key_of(trigger, group);
        let (mut changes, mut repeats, mut stale, mut forgotten) = (Vec::new(), Vec::new(), 0, 0);
        for alert in alerts {
            let name = name_of(batch, alert);
            let known = changes.iter().rev().find(|(other, _)| *other == name).map(|(_, state)| state);
            match self.news(&key, &name, alert, known, trigger.probe_of(batch, alert)) {
                News::Change(state) => changes.push((name, state)),
                News::Repeat(state) => repeats.push((name, state)),
                News::Stale => stale += 1,
                News::Forgotten => forgotten += 1,
            }
        }
        let no_more = self.resolve_all(&key, trigger, batch, &mut changes);
        let found = self.get(&key).map(|found| (found.id.clone(), found.closed(), found.heard_ms));
        let fires = changes.iter().any(|(_, state)| state.firing);
        match found {
            Some((id, false, heard_ms)) => {
                self.attach(&id, batch, changes, repeats, heard_ms, stale);
                if no_more {
                    self.follow(&id);
                }
            }
            _ if fires && self.open >= INCIDENTS_OPEN_MAX => {
                let reason =
                    format!("{INCIDENTS_OPEN_MAX} incidents are open, and more are not begun: a person has to look");
                self.say(Word::Full, reason, None);
            }
            before if fires => self.open(trigger, key, group, alerts, changes, before.map(|(id, ..)| id)),
            Some((id, true, _)) if !changes.is_empty() => {
                self.emit(&id, What::Alerts { states: changes, more_ms: None });
                self.say(Word::Resolved, "it is resolved, and nothing was open", Some(&id));
            }
            None if !changes.is_empty() => {
                let id = self.new_id(key);
                self.emit(&id, What::Noted(terms(trigger, group, alerts)));
                self.emit(&id, What::Alerts { states: changes, more_ms: None });
                self.say(Word::Resolved, "it is resolved, and was not known to fire", Some(&id));
            }
            _ if forgotten > 0 => {
                let reason = "it is as old as incidents that were forgotten: it may have had its run";
                self.say(Word::Forgotten, reason, None);
            }
            found => {
                let id = found.map(|(id, ..)| id);
                self.say(Word::Stale, "its incident is over, and this says nothing newer", id.as_ref());
            }
        }
    }

    /// What one word on an alert is, after what is known and what the same message has said before.
    fn news(&self, key: &str, name: &str, alert: &Alert, said: Option<&AlertState>, probe: Option<String>) -> News {
        let incident = self.get(key);
        let known = said.or_else(|| incident.and_then(|found| found.alerts.get(name)));
        let state =
            |since_ms| AlertState { since_ms, firing: alert.firing, heard_ms: self.now_ms, probe: probe.clone() };
        let Some(known) = known else {
            let floor = incident.map_or(0, |found| found.floor_ms);
            return match alert.since_ms {
                Some(since) if since <= floor && since > 0 => News::Stale,
                Some(since) if since <= self.state.forgotten_ms && since > 0 && incident.is_none() => News::Forgotten,
                since => News::Change(state(since.unwrap_or(self.now_ms))),
            };
        };
        let Some(since) = alert.since_ms else {
            return match (known.firing, alert.firing) {
                (true, true) | (false, false) => News::Repeat(state(known.since_ms)),
                (true, false) => News::Change(state(known.since_ms)),
                (false, true) => News::Change(state(self.now_ms)),
            };
        };
        match since.cmp(&known.since_ms) {
            std::cmp::Ordering::Less => News::Stale,
            std::cmp::Ordering::Greater => News::Change(state(since)),
            std::cmp::Ordering::Equal if known.firing == alert.firing => News::Repeat(state(since)),
            std::cmp::Ordering::Equal if known.firing => News::Change(state(since)),
            std::cmp::Ordering::Equal => News::Stale,
        }
    }

    /// A source that says that its whole group is resolved also means the alerts that it did not send. Whether
    /// that ended those that are not told apart.
    fn resolve_all(
        &mut self,
        key: &str,
        trigger: &Trigger,
        batch: &Batch,
        changes: &mut Vec<(String, AlertState)>,
    ) -> bool {
        let Some(until) = batch.resolved_ms.filter(|_| trigger.group.is_empty()) else { return false };
        let Some(incident) = self.get(key) else { return false };
        let prefix = format!("{}|", batch.source);
        let others = incident.alerts.iter().filter(|(name, alert)| {
            alert.firing
                && alert.since_ms <= until
                && name.starts_with(&prefix)
                && !changes.iter().any(|(changed, _)| changed == *name)
        });
        let resolved: Vec<_> =
            others.map(|(name, alert)| (name.clone(), AlertState { firing: false, ..alert.clone() })).collect();
        let id = incident.id.clone();
        let no_more = incident.more_ms.is_some_and(|more| more <= until);
        if no_more {
            self.emit(&id, What::NoMore);
        }
        changes.extend(resolved);
        no_more
    }

    pub(super) fn new_id(&mut self, key: String) -> IncidentId {
        let serial = self.next_serial;
        self.next_serial = self.next_serial.saturating_add(1);
        IncidentId { key, serial }
    }

    fn open(
        &mut self,
        trigger: &Trigger,
        key: String,
        group: &str,
        alerts: &[&Alert],
        changes: Vec<(String, AlertState)>,
        before: Option<IncidentId>,
    ) {
        let id = self.new_id(key);
        self.emit(&id, What::Opened(terms(trigger, group, alerts)));
        self.changed(&id, changes);
        let reason = match before {
            Some(before) => format!("an incident began; the one before it was #{}", before.serial),
            None => "an incident began".to_owned(),
        };
        self.say(Word::Opened, reason, Some(&id));
        self.follow(&id);
    }

    fn attach(
        &mut self,
        id: &IncidentId,
        batch: &Batch,
        changes: Vec<(String, AlertState)>,
        repeats: Vec<(String, AlertState)>,
        heard_ms: u64,
        stale: usize,
    ) {
        if changes.is_empty() {
            if !repeats.is_empty() && self.now_ms.saturating_sub(heard_ms) >= HEARD_EVERY_MS {
                self.emit(id, What::Alerts { states: repeats.clone(), more_ms: None });
                self.follow(id);
            }
            let (word, reason) = match (repeats.is_empty(), stale) {
                (true, 1..) => (Word::Stale, "it is older than what is known of its alerts"),
                _ => (Word::Repeated, "it says what is known"),
            };
            return self.say(word, reason, Some(id));
        }
        let count = changes.len();
        self.changed(id, changes.clone());
        self.say(Word::Attached, format!("{count} alerts of {} are facts for the incident", batch.source), Some(id));
        if let Some(run) = self.get(&id.key).and_then(Incident::run).map(str::to_owned) {
            self.outcome.decisions.push(Decision::Attach { incident: id.clone(), run, alerts: changes });
        }
        self.follow(id);
    }

    /// Takes in what changed, as far as alerts are told apart.
    fn changed(&mut self, id: &IncidentId, changes: Vec<(String, AlertState)>) {
        let Some(mut trial) = self.get(&id.key).cloned() else { return };
        let (mut states, mut more_ms) = (Vec::new(), None);
        for (name, state) in changes {
            if trial.has_room(&name) {
                let what = What::Alerts { states: vec![(name.clone(), state.clone())], more_ms: None };
                trial.apply(&Event { at_ms: self.now_ms, incident: id.clone(), what });
                states.push((name, state));
            } else if state.firing {
                more_ms = more_ms.max(Some(state.since_ms));
            }
        }
        self.emit(id, What::Alerts { states, more_ms });
    }
}

fn key_of(trigger: &Trigger, group: &str) -> String {
    format!("{} {group}", trigger.runbook)
}

fn name_of(batch: &Batch, alert: &Alert) -> String {
    format!("{}|{}", batch.source, alert.fingerprint)
}

fn terms(trigger: &Trigger, group: &str, alerts: &[&Alert]) -> Terms {
    let mut left = LABELS_KEPT_BYTES_MAX;
    let mut labels = Labels::new();
    let first = alerts.iter().find(|alert| alert.firing).or_else(|| alerts.first());
    for (name, value) in first.iter().flat_map(|alert| &alert.labels) {
        if let Some(rest) = left.checked_sub(name.len() + value.len()) {
            left = rest;
            labels.insert(name.clone(), value.clone());
        }
    }
    Terms {
        runbook: trigger.runbook.clone(),
        mode: trigger.mode.clone(),
        group: group.to_owned(),
        hold_ms: trigger.hold_ms,
        agree: trigger.agree.clone(),
        budget: trigger.budget,
        past_no_return: trigger.runbook_past_no_return && trigger.operator_past_no_return,
        labels,
    }
}
