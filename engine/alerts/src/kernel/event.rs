//! What happened to incidents. The state is made of events alone.

use serde::{Deserialize, Serialize};

use super::state::{AlertState, Terms};

/// Which incident: what it is about, and the how manieth of all it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IncidentId {
    /// The runbook and the group, with a blank between.
    pub key: String,
    /// Counted up over all incidents.
    pub serial: u64,
}

impl IncidentId {
    /// What names the run of the incident: there is one run of one key, whoever asks and how often.
    pub fn run_key(&self) -> String {
        format!("alert/{}/{}", self.serial, self.key)
    }
}

impl std::fmt::Display for IncidentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{} {}", self.serial, self.key)
    }
}

/// Something that happened to an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// To which.
    pub incident: IncidentId,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It began.
    Opened(Terms),
    /// It was over when it was first heard of: kept, so that what comes late starts nothing.
    Noted(Terms),
    /// What is known of its alerts changed.
    Alerts {
        /// By source and fingerprint.
        states: Vec<(String, AlertState)>,
        /// There are alerts that are not told apart; the last of them began then.
        more_ms: Option<u64>,
    },
    /// Its source says that the alerts that are not told apart are resolved.
    NoMore,
    /// A probe has spoken.
    Probe {
        /// Which.
        name: String,
        /// Whether it says that it is down.
        down: bool,
    },
    /// A run was decided on.
    Started,
    /// The run is there.
    Running {
        /// Its name.
        run: String,
    },
    /// The run came to its point of no return, or past it.
    NoReturn,
    /// No alert of it fires any more.
    Resolved,
    /// It fires again, before anything followed from its being resolved.
    Recurred,
    /// An orderly abort was decided on.
    AbortAsked,
    /// A person is called.
    Paged {
        /// Why, with a code that has a page.
        code: String,
        /// The same in a sentence.
        reason: String,
    },
    /// The person was called.
    Told,
    /// The run has ended, or could never be made.
    Ended {
        /// How, in the words of the engine.
        outcome: String,
    },
    /// It is over.
    Closed {
        /// Why.
        why: String,
    },
}
