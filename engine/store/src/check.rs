//! Whether a run's log can be followed: every event decodes, and each may come after the one before.

use lifeboat_core::event::{EVENT_VERSION, Event};
use lifeboat_core::ports::StoredEvent;
use lifeboat_core::state::RunState;
use lifeboat_core::{Error, RunId, apply};
use serde::{Deserialize, Serialize};

use crate::errors;
use crate::offline::ReadOnly;

/// Why a run's log cannot be followed to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Break {
    /// The store has it in quarantine: records are lost, or its chain of digests breaks.
    Quarantined,
    /// Its events cannot be read from the journal.
    Unreadable,
    /// Bytes that are no event.
    NoEvent,
    /// An event of a later format than this engine knows.
    LaterVersion,
    /// An event that cannot follow on the one before.
    Illegal,
}

/// A run whose log cannot be followed to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The run.
    pub run: RunId,
    /// Why.
    pub kind: Break,
    /// The sequence number of the last event up to which all is good; 0: none is.
    pub good: u64,
    /// The reason, for a person: no full stop, no run, no hint.
    pub reason: String,
    /// The error with which commands on the run end: `LB0602` or `LB0503`.
    pub error: Error,
}

/// As far as a log can be followed.
pub(crate) struct Followed {
    /// The state after all of them. It is not to be used where something is wrong.
    pub state: Option<RunState>,
    /// How many events are good.
    pub good: u64,
    /// What is wrong with the next one.
    pub wrong: Option<(Break, Error)>,
}

/// Follows a log as far as it can be.
pub(crate) fn follow<'a>(events: impl IntoIterator<Item = &'a StoredEvent>) -> Followed {
    let mut followed = Followed { state: None, good: 0, wrong: None };
    for stored in events {
        if let Err(wrong) = step(&mut followed.state, &stored.bytes) {
            followed.wrong = Some(wrong);
            break;
        }
        followed.good = stored.seq;
    }
    followed
}

fn step(state: &mut Option<RunState>, bytes: &[u8]) -> Result<(), (Break, Error)> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let event = Event::decode(bytes).map_err(|error| {
        let later = serde_json::from_slice::<Version>(bytes).is_ok_and(|version| version.v > EVENT_VERSION);
        (if later { Break::LaterVersion } else { Break::NoEvent }, error)
    })?;
    let illegal = |error| (Break::Illegal, error);
    match state {
        None => *state = Some(apply::create(&event).map_err(illegal)?),
        Some(state) => apply::apply(state, &event).map_err(illegal)?,
    }
    Ok(())
}

/// What an error says, with its cause.
pub(crate) fn words(error: &Error) -> String {
    let cause = error.context.iter().find(|(key, _)| key == "cause");
    cause.map_or_else(|| error.message.clone(), |(_, cause)| format!("{}: {cause}", error.message))
}

impl ReadOnly {
    /// The state of a run, from all of its events.
    ///
    /// # Errors
    /// What keeps its log from being followed. A run that is not there has no events, and that is one.
    pub fn state(&self, run: &RunId) -> Result<RunState, Box<Broken>> {
        if let Some((good, reason)) = self.quarantine(run) {
            let reason = reason.clone();
            let error = errors::quarantined(run, &reason);
            return Err(Box::new(Broken { run: run.clone(), kind: Break::Quarantined, good, reason, error }));
        }
        let broken = |kind, good, error: Error| {
            let reason = words(&error);
            Box::new(Broken { run: run.clone(), kind, good, reason, error: error.with("run", run) })
        };
        let stored = self.read(run).map_err(|error| broken(Break::Unreadable, 0, error))?;
        let followed = follow(&stored);
        match (followed.wrong, followed.state) {
            (None, Some(state)) => Ok(state),
            (Some((kind, error)), _) => {
                let good = followed.good;
                Err(broken(kind, good, error.with("event", good + 1)))
            }
            (None, None) => Err(broken(Break::Illegal, 0, Error::new("LB0503", "the run has no events"))),
        }
    }
}
