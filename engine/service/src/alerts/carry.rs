//! Decisions carried out. Each may be carried out again after a crash, and does nothing then that it did before.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifeboat_alerts::Labels;
use lifeboat_alerts::kernel::{Decision, Fact, IncidentId};
use lifeboat_core::Error;
use lifeboat_core::event::Said;
use lifeboat_core::ids::RunId;
use lifeboat_core::plan::Mode;
use lifeboat_core::state::{Heading, RunState};
use lifeboat_runtime::Verb;

use super::verified;
use super::watch::{facts, past_no_return};
use crate::app::App;
use crate::intake::{Door, How};

/// As whom the service speaks to the runs of incidents.
pub(crate) const BY: &str = "lifeboat alerts";
/// How long the start of a run is tried before a person is called.
const GIVE_UP_MS: u64 = 30_000;
/// When an abort is looked at again that was asked for.
const LOOK_AGAIN_MS: u64 = 30_000;
/// When something that failed is tried again.
const AGAIN_MS: u64 = 2_000;
/// Bytes of the labels that are written down with a run.
const LABELS_BYTES: usize = 1_000;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// What the kernel is told.
    pub(crate) facts: Vec<Fact>,
    /// When it is done again, if it is still to be done.
    pub(crate) again_ms: u64,
}

fn told(fact: Fact) -> Carried {
    Carried { facts: vec![fact], again_ms: AGAIN_MS }
}

fn later(again_ms: u64) -> Carried {
    Carried { facts: Vec::new(), again_ms }
}

/// Labels in a line, as much of them as fits.
fn line(labels: &Labels) -> String {
    let mut out = String::new();
    for (name, value) in labels {
        let part = format!(" {name}={value:?}");
        if out.len() + part.len() > LABELS_BYTES {
            out.push_str(" …");
            break;
        }
        out.push_str(&part);
    }
    out
}

fn said(incident: &IncidentId, what: &str) -> Said {
    let why: String =
        format!("{what} #{} {}", incident.serial, incident.key).chars().filter(|c| !c.is_control()).collect();
    Said { by: BY.to_owned(), why: why.chars().take(1_500).collect() }
}

/// Carries out a decision. `run` is the noted name of the run that is to be made; `since_ms` is when that was first tried.
pub(crate) async fn carry(app: Arc<App>, decision: Decision, run: Option<RunId>, since_ms: u64) -> Carried {
    match decision {
        Decision::Start { incident, runbook, mode, labels, stop_before_no_return, detected_ms, .. } => {
            let Some(run) = run else { return later(AGAIN_MS) };
            let how = How { stops: stop_before_no_return, detected_at: Some(detected_ms) };
            let wish = Wish { runbook, mode, labels, how };
            start(&app, incident, run, wish, since_ms).await
        }
        Decision::Abort { incident, run } => match RunId::parse(&run) {
            Ok(run) => abort(&app, incident, run).await,
            Err(_) => told(Fact::RunEnded { incident, outcome: "its name is none of a run".to_owned() }),
        },
        Decision::Page { incident, code, reason } => {
            let key = format!("incident/{}/{code}", incident.serial);
            let runbook = incident.key.split(' ').next().unwrap_or_default();
            if let Err(error) = crate::notices::tell_automation(&app, &key, runbook, &reason).await {
                tracing::error!(code, incident = %incident, "nobody could be told, and it is tried again: {error}");
                return later(AGAIN_MS);
            }
            // It is in the record, too, and where no channel takes it, in the metrics and in the log alone.
            app.metrics.paged(&code);
            tracing::error!(code, incident = %incident, "a person has to look: {reason}");
            told(Fact::Told { incident })
        }
        // It is in the record, with its run.
        Decision::Attach { .. } => later(AGAIN_MS),
    }
}

struct Wish {
    runbook: String,
    mode: String,
    labels: Labels,
    how: How,
}

async fn start(app: &Arc<App>, incident: IncidentId, run: RunId, wish: Wish, since_ms: u64) -> Carried {
    let door = Door::new(Arc::clone(app));
    let there = |incident: IncidentId| told(Fact::RunStarted { incident, run: run.0.clone() });
    match door.goes_on(&run).await {
        Ok(true) => return there(incident),
        Ok(false) => {}
        Err(error) => {
            tracing::error!(%run, "it cannot be told whether the run was made: {error}");
            return later(AGAIN_MS);
        }
    }
    let said = Said { why: format!("{}:{}", said(&incident, "incident").why, line(&wish.labels)), by: BY.to_owned() };
    let made = match Mode::parse(&wish.mode) {
        Some(mode) => {
            let inputs = BTreeMap::new();
            match verified::may_start(app, &wish.runbook).await {
                Ok(()) => door.begin(run.clone(), &wish.runbook, mode, &inputs, said, wish.how).await,
                Err(error) => Err(error),
            }
        }
        None => Err(Error::new("LB0902", format!("there is no mode '{}'", wish.mode))),
    };
    let Err(error) = made else { return there(incident) };
    tracing::error!(%run, incident = %incident, "the run could not be made: {error}");
    // A store that lost its answer may have made it.
    if !matches!(door.made(&run).await, Ok(false)) || app.is_stopping() {
        return later(AGAIN_MS);
    }
    // What is not verified is not so in half a minute either: a person is called at once.
    let patient = error.code.0 != "LB1153";
    if patient && app.now().saturating_sub(since_ms) < GIVE_UP_MS {
        return later(AGAIN_MS);
    }
    let reason = format!("{}: {}", error.code, error.message);
    told(Fact::RunRefused { incident, reason })
}

/// Aborts a run in order, unless it has begun what cannot be undone. It is paused to look: nothing begins meanwhile.
async fn abort(app: &Arc<App>, incident: IncidentId, run: RunId) -> Carried {
    match aborted(app, &incident, &run).await {
        Ok(facts) if facts.is_empty() => later(LOOK_AGAIN_MS),
        Ok(facts) => Carried { facts, again_ms: AGAIN_MS },
        Err(error) if error.code.0 == "LB0501" => {
            told(Fact::RunEnded { incident, outcome: "there is no such run any more".to_owned() })
        }
        Err(error) => {
            tracing::error!(%run, "the run of a resolved incident could not be aborted: {error}");
            later(AGAIN_MS)
        }
    }
}

async fn aborted(app: &Arc<App>, incident: &IncidentId, run: &RunId) -> Result<Vec<Fact>, Error> {
    let run = newest(app, run).await?.run;
    let turn = app.runs.turn(&run).await;
    let mut state = turn.load().await?.state;
    let said = said(incident, "resolved before the point of no return: incident");
    if state.result.is_some() || state.heading != Heading::Forward {
        return Ok(facts(incident, &state));
    }
    if !past_no_return(&state) {
        if state.paused.is_none() {
            turn.say(Verb::Pause, said.clone()).await?;
            state = turn.load().await?.state;
        }
        if !past_no_return(&state) && state.result.is_none() {
            turn.say(Verb::Cancel { compensate: true }, said).await?;
            return Ok(Vec::new());
        }
    }
    if state.paused.as_ref().is_some_and(|paused| paused.by == BY) && state.result.is_none() {
        turn.say(Verb::Unpause, said).await?;
    }
    Ok(facts(incident, &state))
}

/// The run of an incident as it is now: the one that goes on with it, where people went on in another mode. One that was decided on
/// and is about to be made is not there yet; until then it is the one before.
async fn newest(app: &App, run: &RunId) -> Result<RunState, Error> {
    let mut state = app.runs.engine.load(run).await?.state;
    while let Some(successor) = &state.continued_as {
        state = match app.runs.engine.load(successor).await {
            Ok(next) => next.state,
            Err(error) if error.code.0 == "LB0501" => return Ok(state),
            Err(error) => return Err(error),
        };
    }
    Ok(state)
}

/// Begins to look after a run.
pub(crate) async fn look(app: Arc<App>, incident: IncidentId, run: String) -> Carried {
    let Ok(run) = RunId::parse(&run) else {
        return told(Fact::RunEnded { incident, outcome: "its name is none of a run".to_owned() });
    };
    match newest(&app, &run).await {
        Ok(state) => {
            app.alerts.watch.add(&incident, &run, &state);
            // What happened before it was looked after.
            match newest(&app, &run).await {
                Ok(again) => Carried { facts: facts(&incident, &again), again_ms: 0 },
                Err(_) => later(LOOK_AGAIN_MS),
            }
        }
        Err(error) if error.code.0 == "LB0501" => {
            told(Fact::RunEnded { incident, outcome: "there is no such run any more".to_owned() })
        }
        Err(error) => {
            tracing::error!(%run, "the run of an incident cannot be looked at: {error}");
            later(LOOK_AGAIN_MS)
        }
    }
}
