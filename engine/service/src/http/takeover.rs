//! Going on with a run in another mode: what was shown is what runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use lifeboat_core::Error;
use lifeboat_core::carry::{Handover, handover, may_continue};
use lifeboat_core::event::Said;
use lifeboat_core::ids::Digest;
use lifeboat_core::plan::{Mode, Plan};
use lifeboat_core::state::RunState;
use lifeboat_runtime::Next;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::{self, Json, Place};
#[cfg(feature = "openapi")]
use super::views::RunView;
use super::{answer, runbooks, start};
use crate::access::{Person, Right};
use crate::app::App;
use crate::problem::Problem;

/// The mode that a run goes on in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewMode {
    /// The mode: `failover`, `switchover` or `failback`, and not that of the run.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "failover"))]
    pub mode: Mode,
    /// Values for the inputs of the runbook; without any, those of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<BTreeMap<String, String>>,
    /// The fingerprint of the plan that was looked at. Without it nothing is changed: it is shown what would be taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub fingerprint: Option<Digest>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// What would be taken over from a run, and what would run.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct HandoverView {
    /// The fingerprint of the plan: sent with the next call, it goes on by exactly this plan.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    fingerprint: Digest,
    /// Each step of the plan with its fate: `carried`, `goes-on` (with its `phase`), `runs`, `again` (with `because`) or `open` (with its `phase`).
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    steps: Value,
    /// Steps of the run that are no part of the plan, and whose effects stay.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    left: Value,
}

/// Go on with a run in another mode, as when the primary dies in the middle of a switchover.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/runs/{run}/takeover", operation_id = "take-over-run", tag = "verbs",
    request_body = NewMode,
    params(("run" = String, Path, description = "The run."),
        ("If-Match" = Option<String>, Header, description = "The ETag of the run as it was looked at.")),
    responses(
    (status = 200, description = "What would be taken over: no fingerprint was named, and nothing was changed.", body = HandoverView, content_type = "application/json"),
    (status = 201, description = "The run that goes on. Said again for the same plan, it is the same one.", body = RunView, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn takeover(
    State(app): State<Arc<App>>,
    person: Person,
    headers: HeaderMap,
    Place(run): Place<String>,
    Json(new): Json<NewMode>,
) -> Result<Response, Problem> {
    ask::plain("the reason", &new.reason)?;
    let run = ask::run_id(&run)?;
    person.may(Right::Steer)?;
    let turn = app.runs.turn(&run).await;
    let state = turn.load().await?.state;
    let runbook = state.plan.runbook.clone();
    person.may_on(Right::Steer, &runbook, state.plan.mode)?;
    person.may_on(Right::Start, &runbook, new.mode)?;
    let inputs = new.inputs.unwrap_or_else(|| state.plan.given_inputs());
    let compiled = runbooks::compile(&app, &runbook, new.mode, &inputs).await?;
    let Some(named) = new.fingerprint else { return shown(&state, &compiled.plan) };
    start::same_plan(&named, &compiled.plan.fingerprint())?;
    if let Some(next) = &state.continued_as
        && let Ok(made) = app.runs.engine.load(next).await
    {
        // It was said before; the answer was lost.
        return match may_continue(&state, &compiled.plan) {
            Err(error) if made.state.fingerprint != named => Err(error.into()),
            _ => start::created(&app, &made.state),
        };
    }
    super::verbs::unchanged(&headers, state.seq)?;
    let next = Next { plan: compiled.plan, runbook: compiled.text };
    let said = Said { by: person.name, why: new.reason };
    let handle = app.runs.engine.take_over(&run, app.runs.handle(&run), next, said).await?;
    let made = handle.run().clone();
    app.runs.keep(handle);
    drop(turn);
    start::created(&app, &app.runs.engine.load(&made).await?.state)
}

fn shown(state: &RunState, plan: &Plan) -> Result<Response, Problem> {
    let Handover { steps, left } = handover(state, plan)?;
    let json = |value: serde_json::Result<Value>| {
        value.map_err(|cause| Error::new("LB0904", "the answer cannot be written as JSON").with("cause", cause))
    };
    let (steps, left) = (json(serde_json::to_value(steps))?, json(serde_json::to_value(left))?);
    answer::json(&HandoverView { fingerprint: plan.fingerprint(), steps, left })
}
