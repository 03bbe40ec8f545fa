//! Starting a run: what was shown is what runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use lifeboat_core::Error;
use lifeboat_core::event::Said;
use lifeboat_core::ids::{Digest, RunId};
use lifeboat_core::plan::Mode;
use serde::{Deserialize, Serialize};

use super::ask::{self, Json, Slot};
use super::views::RunView;
use super::{answer, runbooks};
use crate::access::{Person, Right};
use crate::app::App;
use crate::once::Note;
use crate::problem::Problem;

/// A run that is to be started.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRun {
    /// The runbook, by name.
    pub runbook: String,
    /// The mode.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "drill"))]
    pub mode: Mode,
    /// Values for its inputs.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// The fingerprint of the plan that was looked at (`POST /v1/plans`). Only a drill may be started without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub fingerprint: Option<Digest>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Start a run.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/runs", operation_id = "start-run", tag = "runs", request_body = NewRun,
    params(("Idempotency-Key" = Option<String>, Header, description = "A random text: the run is made once for it.")),
    responses(
    (status = 201, description = "The run is made, and goes on by itself.", body = RunView, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    person: Person,
    slot: Slot,
    Json(new): Json<NewRun>,
) -> Result<Response, Problem> {
    person.may_on(Right::Start, &new.runbook, new.mode)?;
    ask::plain("the reason", &new.reason)?;
    let earlier = match slot.earlier().await {
        Some(Note::Run(run)) => Some(run),
        _ => None,
    };
    if let Some(run) = &earlier
        && let Ok(loaded) = app.runs.engine.load(run).await
    {
        // The service died after the run was made, and before it was said so.
        return created(&app, &loaded.state);
    }
    let compiled = runbooks::compile(&app, &new.runbook, new.mode, &new.inputs).await?;
    looked_at(&new, &compiled.plan.fingerprint())?;
    let run = match earlier {
        Some(run) => run,
        None => {
            let run = app.runs.engine.new_run();
            slot.note(Note::Run(run.clone())).await?;
            run
        }
    };
    let said = Said { by: person.name, why: new.reason };
    let state = begin(&app, run, compiled, said, None).await?;
    created(&app, &state)
}

/// Makes the run, and sees to it that it is carried on. `detected_at` is when the alert began that starts it, where one does.
pub(crate) async fn begin(
    app: &App,
    run: RunId,
    compiled: crate::workshop::Compiled,
    said: Said,
    detected_at: Option<u64>,
) -> Result<lifeboat_core::state::RunState, Error> {
    let handle = app.runs.engine.submit_detected(run, compiled.plan, compiled.text, said, detected_at).await?;
    let run = handle.run().clone();
    app.runs.keep(handle);
    Ok(app.runs.engine.load(&run).await?.state)
}

/// The plan that was looked at is the one that it is.
pub(super) fn same_plan(named: &Digest, is: &Digest) -> Result<(), Error> {
    if named == is {
        return Ok(());
    }
    Err(Error::new("LB1057", "the plan is not the one that was looked at")
        .with("named", named)
        .with("is", is)
        .hint("something changed: the runbook, a plugin, an input; make the plan again, and look at it"))
}

fn looked_at(new: &NewRun, is: &Digest) -> Result<(), Error> {
    match &new.fingerprint {
        Some(named) => same_plan(named, is),
        None if new.mode == Mode::Drill => Ok(()),
        None => {
            Err(Error::new("LB1057", format!("a run in mode {} names the plan that was looked at", new.mode.as_str()))
                .hint("POST /v1/plans shows the plan; send its fingerprint"))
        }
    }
}

/// The answer that a run was made.
pub(super) fn created(app: &App, state: &lifeboat_core::state::RunState) -> Result<Response, Problem> {
    let mut response = answer::of_run(StatusCode::CREATED, &RunView::of(app, state), state.seq)?;
    if let Ok(place) = HeaderValue::from_str(&format!("/v1/runs/{}", state.run)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}
