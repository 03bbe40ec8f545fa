//! What is said of a fact: each is accepted or refused, with the reason.

use serde::{Deserialize, Serialize};

use super::event::IncidentId;

/// What became of a fact, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// An incident began.
    Opened,
    /// It is a fact for an incident that there is.
    Attached,
    /// It says what is known.
    Repeated,
    /// It lasts, and not long enough yet.
    Held,
    /// Too few probes agree yet.
    Disagreed,
    /// A run starts.
    Started,
    /// A run is aborted.
    Aborted,
    /// It is resolved, and that is noted.
    Resolved,
    /// The incident is over.
    Closed,
    /// It is of no trigger.
    Unmatched,
    /// It is older than what is known.
    Stale,
    /// It is as old as incidents that were forgotten.
    Forgotten,
    /// Too many incidents are open.
    Full,
    /// The budget of automatic runs is spent.
    Spent,
    /// The run could not be made.
    Failed,
    /// It does not fit how far the incident is.
    Misplaced,
}

impl Word {
    /// The code of a refusal, which has a page; `None`: it was accepted.
    pub const fn code(self) -> Option<&'static str> {
        match self {
            Self::Unmatched => Some("LB1020"),
            Self::Stale => Some("LB1021"),
            Self::Held => Some("LB1022"),
            Self::Disagreed => Some("LB1023"),
            Self::Spent => Some("LB1024"),
            Self::Forgotten => Some("LB1025"),
            Self::Full => Some("LB1026"),
            Self::Failed => Some("LB1027"),
            Self::Misplaced => Some("LB1028"),
            _ => None,
        }
    }
}

/// A word on a fact. The service keeps the last of them for `lifeboat alerts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The word.
    pub word: Word,
    /// The code of a refusal; `None`: it was accepted.
    pub code: Option<&'static str>,
    /// Why, in a sentence without a full stop.
    pub reason: String,
    /// Of which incident.
    pub incident: Option<IncidentId>,
}
