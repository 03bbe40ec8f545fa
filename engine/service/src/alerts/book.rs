//! All that is kept of alerts: the kernel's state, the names of runs that are about to be made, what was said of messages, and which signed
//! messages came. It is made of rounds; a round is stored as a whole or not at all.

use std::collections::{BTreeMap, VecDeque};

use lifeboat_alerts::Signed;
use lifeboat_alerts::kernel::{Event, Incident, IncidentId, Phase, State, What};
use lifeboat_core::ids::RunId;
use serde::{Deserialize, Serialize};

/// Records that are kept. A few hundred bytes each; what is older is in the journal only.
pub(crate) const RECORDS_MAX: usize = 5_000;

/// What was said of messages: one, or several of a kind within a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Record {
    /// Its number, from 1.
    pub number: u64,
    /// When the first of them came, in milliseconds since the Unix epoch.
    pub at: u64,
    /// When the last of them came.
    pub last: u64,
    /// How many they were.
    pub count: u64,
    /// The hook; empty for what comes from the service itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// What became of it, in one word: `opened`, `attached`, `repeated`, `started`, `refused` and so on.
    pub word: String,
    /// The code of a refusal, which has a page. Without it, it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
    /// The number of the incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<u64>,
    /// The runbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// The group that makes the incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub run: Option<RunId>,
    /// Where the last of them came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// An incident that is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IncidentView {
    /// Its number.
    pub number: u64,
    /// The runbook.
    pub runbook: String,
    /// The mode of its run.
    pub mode: String,
    /// What makes it.
    pub group: String,
    /// `holding`, `starting`, `running`, `aborting`, `past-no-return`, `ended` or `refused`.
    pub phase: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub opened_at: u64,
    /// When it was last heard of.
    pub heard_at: u64,
    /// When it was resolved, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<u64>,
    /// Its alerts that fire.
    pub firing: usize,
    /// Its run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// How its run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why a person was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paged: Option<String>,
    /// The labels of its first alert.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub labels: BTreeMap<String, String>,
}

impl IncidentView {
    fn of(incident: &Incident) -> Self {
        let (phase, outcome) = match &incident.phase {
            Phase::Holding => ("holding", None),
            Phase::Starting => ("starting", None),
            Phase::Running { .. } if incident.aborting => ("aborting", None),
            Phase::Running { past_no_return: true, .. } => ("past-no-return", None),
            Phase::Running { .. } => ("running", None),
            Phase::Ended { outcome, .. } => ("ended", Some(outcome.clone())),
            Phase::Refused => ("refused", None),
            Phase::Closed { .. } => ("closed", None),
        };
        Self {
            number: incident.id.serial,
            runbook: incident.terms.runbook.clone(),
            mode: incident.terms.mode.clone(),
            group: incident.terms.group.clone(),
            phase: phase.to_owned(),
            opened_at: incident.opened_ms,
            heard_at: incident.heard_ms,
            resolved_at: incident.resolved_ms,
            firing: incident.alerts.values().filter(|alert| alert.firing).count(),
            run: incident.run().map(str::to_owned),
            outcome,
            paged: incident.page.as_ref().map(|page| page.reason.clone()),
            labels: incident.terms.labels.clone(),
        }
    }
}

/// A signed message that came, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Came {
    id: String,
    until: u64,
}

impl Came {
    pub(crate) fn of(signed: &Signed) -> Self {
        let id = signed.id.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { id, until: signed.until_ms }
    }

    pub(crate) fn signed(&self) -> Option<Signed> {
        let mut id = [0; 32];
        for (at, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(self.id.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Signed { id, until_ms: self.until })
    }
}

/// What is stored in one step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// What happened to incidents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) events: Vec<Event>,
    /// The names of runs that are about to be made, by the number of the incident.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) planned: Vec<(u64, RunId)>,
    /// Records that are new, or that count more than before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) records: Vec<Record>,
    /// Signed messages that came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) came: Vec<Came>,
}

impl Round {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.planned.is_empty() && self.records.is_empty() && self.came.is_empty()
    }
}

/// All that is kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Book {
    pub(crate) state: State,
    pub(crate) planned: BTreeMap<u64, RunId>,
    pub(crate) records: VecDeque<Record>,
    /// Signed messages that came: filled for a snapshot, and read from one. What is looked at is [`lifeboat_alerts::Seen`].
    pub(crate) came: Vec<Came>,
}

impl Book {
    /// Takes an event in.
    pub(crate) fn happen(&mut self, event: &Event) {
        self.state.apply(event);
        if matches!(event.what, What::Running { .. } | What::Ended { .. } | What::Closed { .. }) {
            self.planned.remove(&event.incident.serial);
        }
    }

    /// Takes a record in, or counts one that is there.
    pub(crate) fn note(&mut self, record: Record) {
        if record.number >= self.next_record() {
            self.records.push_back(record);
        } else if let Some(there) = self.records.iter_mut().rev().find(|there| there.number == record.number) {
            *there = record;
        }
        while self.records.len() > RECORDS_MAX {
            self.records.pop_front();
        }
    }

    /// Takes a stored round in.
    pub(crate) fn take(&mut self, round: Round) {
        self.planned.extend(round.planned);
        round.events.iter().for_each(|event| self.happen(event));
        round.records.into_iter().for_each(|record| self.note(record));
        self.came.extend(round.came);
    }

    /// The number of the next record.
    pub(crate) fn next_record(&self) -> u64 {
        self.records.back().map_or(1, |record| record.number + 1)
    }

    /// The incidents that are not over, oldest first.
    pub(crate) fn open(&self) -> Vec<IncidentView> {
        let mut open: Vec<IncidentView> =
            self.state.incidents().filter(|found| !found.closed()).map(IncidentView::of).collect();
        open.sort_by_key(|incident| incident.number);
        open
    }

    /// The incident of that number, if it is not over.
    pub(crate) fn find(&self, number: u64) -> Option<&Incident> {
        self.state.incidents().find(|found| found.id.serial == number && !found.closed())
    }

    /// The very incident.
    pub(crate) fn incident(&self, id: &IncidentId) -> Option<&Incident> {
        let (runbook, group) = id.key.split_once(' ')?;
        self.state.incident(runbook, group).filter(|found| found.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_message_is_read_back_as_it_was() {
        let signed = Signed { id: std::array::from_fn(|at| u8::try_from(at * 7).unwrap()), until_ms: 9 };
        assert_eq!(Came::of(&signed).signed(), Some(signed));
        assert_eq!(Came { id: "0".to_owned(), until: 1 }.signed(), None);
    }

    #[test]
    fn records_are_counted_and_bounded() {
        let record = |number: u64, count: u64| Record {
            number,
            at: 1,
            last: 1,
            count,
            source: String::new(),
            word: "repeated".to_owned(),
            code: None,
            reason: String::new(),
            incident: None,
            runbook: None,
            group: None,
            run: None,
            from: None,
        };
        let mut book = Book::default();
        for number in 1..=u64::try_from(RECORDS_MAX).unwrap() + 10 {
            book.note(record(number, 1));
        }
        book.note(record(100, 7));
        assert_eq!(book.records.len(), RECORDS_MAX);
        assert_eq!(book.records.iter().find(|record| record.number == 100).unwrap().count, 7);
        assert_eq!(book.next_record(), 5_011);
        assert!(book.records.iter().zip(book.records.iter().skip(1)).all(|(one, next)| one.number < next.number));
    }
}
