//! What becomes of the runs of incidents: their point of no return, and their end.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use lifeboat_alerts::kernel::{Fact, IncidentId};
use lifeboat_core::event::{Event, EventKind, RunResult};
use lifeboat_core::ids::{RunId, StepId};
use lifeboat_core::ports::Direction;
use lifeboat_core::state::RunState;

use super::gate::edge;
use crate::held::lock;

/// A run that is looked after.
#[derive(Clone, Debug)]
struct Watched {
    incident: IncidentId,
    edge: BTreeSet<StepId>,
}

/// The runs of incidents that are under way.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    runs: Mutex<HashMap<RunId, Watched>>,
}

impl Watch {
    fn runs(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Watched>> {
        lock(&self.runs)
    }

    /// Looks after the run of an incident from now on, under the name that the incident has for it: `state` is that of the run, or of
    /// the one that goes on with it. What happened to it before is told by [`facts`].
    pub(crate) fn add(&self, incident: &IncidentId, named: &RunId, state: &RunState) {
        let watched = Watched { incident: incident.clone(), edge: edge(&state.plan) };
        self.runs().extend([(named.clone(), watched.clone()), (state.run.clone(), watched)]);
    }

    pub(crate) fn knows(&self, run: &RunId) -> bool {
        self.runs().contains_key(run)
    }

    /// Keeps the runs of those incidents only.
    pub(crate) fn retain(&self, under_way: impl Fn(&IncidentId) -> bool) {
        self.runs().retain(|_, watched| under_way(&watched.incident));
    }

    /// All are looked at anew: something may have been missed.
    pub(crate) fn clear(&self) {
        self.runs().clear();
    }

    /// What an event of a run is for its incident.
    pub(crate) fn heard(&self, run: &RunId, event: &Event) -> Option<Fact> {
        let mut runs = self.runs();
        if let EventKind::RunContinued { successor, plan, .. } = &event.kind {
            // The incident goes on with the other run, and has no second one meanwhile.
            let incident = runs.get(run)?.incident.clone();
            runs.insert(successor.clone(), Watched { incident, edge: edge(plan) });
            return None;
        }
        let Watched { incident, edge } = runs.get(run)?;
        let incident = incident.clone();
        match &event.kind {
            EventKind::AttemptStarted { step, direction: Direction::Forward, .. } if edge.contains(step) => {
                Some(Fact::NoReturn { incident })
            }
            EventKind::RunFinished { result } => Some(Fact::RunEnded { incident, outcome: word(*result).to_owned() }),
            EventKind::RunAbandoned { .. } => Some(Fact::RunEnded { incident, outcome: "abandoned".to_owned() }),
            _ => None,
        }
    }
}

const fn word(result: RunResult) -> &'static str {
    match result {
        RunResult::Succeeded => "succeeded",
        RunResult::Failed => "failed",
        RunResult::Cancelled => "cancelled",
        RunResult::Abandoned => "abandoned",
    }
}

/// Whether a run has begun what cannot be undone.
pub(crate) fn past_no_return(state: &RunState) -> bool {
    let edge = edge(&state.plan);
    state.steps().any(|(step, now)| edge.contains(&step.id) && (now.attempts > 0 || now.carried.is_some()))
}

/// What a run is for its incident, as it is now.
pub(crate) fn facts(incident: &IncidentId, state: &RunState) -> Vec<Fact> {
    let mut facts = Vec::new();
    if past_no_return(state) {
        facts.push(Fact::NoReturn { incident: incident.clone() });
    }
    // What another run goes on with has not ended for its incident.
    if state.result.is_some() && state.continued_as.is_none() {
        let outcome = state.status().as_str().to_owned();
        facts.push(Fact::RunEnded { incident: incident.clone(), outcome });
    }
    facts
}
