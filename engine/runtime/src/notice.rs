//! What goes in and out of a run's actor: verbs, notices, and the states in which a run comes to rest.

use std::sync::Arc;

use lifeboat_core::event::{Event, EvidenceFile, Said};
use lifeboat_core::ids::{Digest, RunId, StepId};
use lifeboat_core::state::RunState;
use serde_json::Value;

/// What a person asks of a run. Each becomes an event with who and why, or is refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// Try a failed or in-doubt step again.
    Retry(StepId),
    /// Go on without a step.
    Skip(StepId),
    /// Yes, to the plan with that fingerprint.
    Approve {
        /// The step.
        step: StepId,
        /// What the person saw.
        fingerprint: Digest,
        /// The roles that the person has; `None` where no list of roles is kept.
        roles: Option<Vec<String>>,
    },
    /// No.
    Deny {
        /// The step.
        step: StepId,
        /// The roles that the person has; `None` where no list of roles is kept.
        roles: Option<Vec<String>>,
    },
    /// A step was done by hand.
    MarkDone {
        /// The step.
        step: StepId,
        /// Its outputs.
        outputs: Value,
        /// Files that show it.
        evidence: Vec<EvidenceFile>,
    },
    /// What is suspect may be used by this switch.
    Attest {
        /// The step.
        step: StepId,
        /// Files that show what was looked at.
        evidence: Vec<EvidenceFile>,
    },
    /// Begin nothing new.
    Pause,
    /// Go on.
    Unpause,
    /// End the run as it is.
    Abandon,
    /// Remove what a run that has ended left behind.
    Cleanup,
    /// End the run; undo what was done if so wished.
    Cancel {
        /// Whether what was done is undone.
        compensate: bool,
    },
}

/// A verb with its speaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// What.
    pub verb: Verb,
    /// Who and why.
    pub said: Said,
}

/// What is told to whoever watches. Only [`Notice::Event`] is durable; the rest may be missed.
#[derive(Clone, Debug)]
pub enum Notice {
    /// An event, after it became durable.
    Event {
        /// The run.
        run: RunId,
        /// Its sequence number.
        seq: u64,
        /// The event.
        event: Arc<Event>,
    },
    /// How far an attempt has come.
    Progress {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// Units done.
        done: u64,
        /// Units in all, where known.
        total: Option<u64>,
        /// `bytes`, `files`, …
        unit: String,
        /// What is being worked on.
        note: String,
    },
    /// A line of an attempt's log.
    Log {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// `debug`, `info`, `warn` or `error`.
        level: String,
        /// The line.
        message: String,
    },
}

/// Where a run came to rest.
#[derive(Clone, Debug)]
pub enum Rest {
    /// It ended.
    Ended(Arc<RunState>),
    /// It waits for a person: an approval, an operator verb, or for a lock of a run that nobody carries on here.
    Person(Arc<RunState>),
    /// Its actor had to stop: the store failed, or somebody else owns the run. Nothing durable is lost; `resume` goes on.
    Stopped(lifeboat_core::Error),
}
