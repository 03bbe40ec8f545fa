//! One run: what it is, its steps, its plan.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use lifeboat_core::Error;
use lifeboat_core::event::Said;
use lifeboat_core::ids::{Digest, RunId, StepId};
use lifeboat_core::plan::{Mode, Step};
use lifeboat_core::state::{Locks, RunState, RunStatus, StepState};
use lifeboat_runtime::{Loaded, RunHandle};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer;
use super::ask::{self, Params, Place};
use crate::access::{Person, Right};
use crate::app::App;
use crate::problem::Problem;

/// A run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunView {
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub run: RunId,
    /// The runbook.
    pub runbook: String,
    /// The mode.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub mode: Mode,
    /// `running`, `waiting`, `paused`, `compensating`, `cleaning`, `stuck`, `succeeded`, `failed`, `cancelled` or `abandoned`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub status: RunStatus,
    /// The digest of its plan: what an approval names.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub fingerprint: Digest,
    /// Who started it.
    pub started_by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// When it was made.
    pub created_at: u64,
    /// When it last changed.
    pub updated_at: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<u64>,
    /// Steps that are complete.
    pub complete: usize,
    /// All steps.
    pub steps: usize,
    /// How many events it has: its tag.
    pub events: u64,
    /// The steps that a person has to see to.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub asking: Vec<StepId>,
    /// Who paused it, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_by: Option<String>,
    /// The runs that have locks that this one waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
    /// The run that it goes on with in another mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub continues: Option<RunId>,
    /// The run that goes on with it in another mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub continued_as: Option<RunId>,
    /// Why nobody carries it on, though it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Problem>,
}

/// A step of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepView {
    /// Its name.
    pub step: String,
    /// Its kind.
    pub kind: String,
    /// What it does to the world: `read`, `reversible`, `compensatable` or `irreversible`.
    pub effect: String,
    /// The plugin that carries it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Where it is: `pending`, `running`, `approval`, `done`, `failed`, …
    pub phase: String,
    /// All that is known of where it is.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub detail: Value,
    /// Attempts so far.
    pub attempts: u32,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
    /// When it came to its present end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<u64>,
    /// What it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub outputs: Option<Value>,
    /// What is asked, where it is an approval: role, people, quorum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub approval: Option<Value>,
    /// Who marked it as done by hand, if anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub by_hand: Option<Said>,
    /// The run that did it, where this one took it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub taken_over_from: Option<RunId>,
    /// The run that began it, where this one goes on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub begun_in: Option<RunId>,
}

/// A page of steps, in the order of the runbook.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct StepsPage {
    /// The steps.
    pub(crate) steps: Vec<StepView>,
    /// The cursor of the next page, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// How many: 100, and at most 500.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    pub(crate) limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    pub(crate) cursor: Option<u64>,
}

impl RunView {
    pub(crate) fn of(app: &App, state: &RunState) -> Self {
        let ended = state.result.is_some();
        let waits_for = match &state.locks {
            Locks::Wanted { held } => held.iter().map(|held| held.holder.0.clone()).collect(),
            Locks::Free | Locks::Held => Vec::new(),
        };
        Self {
            run: state.run.clone(),
            runbook: state.plan.runbook.clone(),
            mode: state.plan.mode,
            status: state.status(),
            fingerprint: state.fingerprint.clone(),
            started_by: state.said.by.clone(),
            why: state.said.why.clone(),
            created_at: state.created_at,
            updated_at: state.updated_at,
            finished_at: state.finished_at,
            complete: state.complete(),
            steps: state.plan.steps.len(),
            events: state.seq,
            asking: RunHandle::asking(state),
            paused_by: state.paused.as_ref().map(|said| said.by.clone()),
            waits_for,
            continues: state.continues.as_ref().map(|earlier| earlier.run.clone()),
            continued_as: state.continued_as.clone(),
            stopped: app.runs.why_stopped(&state.run).filter(|_| !ended).map(Problem::from),
        }
    }
}

impl StepView {
    fn of(step: &Step, now: &StepState) -> Self {
        Self {
            step: step.id.0.clone(),
            kind: step.kind.as_str().to_owned(),
            effect: step.effect.as_str().to_owned(),
            plugin: step.plugin.clone(),
            phase: now.phase.as_str().to_owned(),
            detail: serde_json::to_value(&now.phase).unwrap_or_default(),
            attempts: now.attempts,
            started_at: now.started_at,
            finished_at: now.finished_at,
            outputs: now.outputs.clone(),
            approval: step.approval.as_ref().and_then(|approval| serde_json::to_value(approval).ok()),
            by_hand: now.by_hand.as_ref().map(|by_hand| by_hand.said.clone()),
            taken_over_from: now.carried.as_ref().map(|from| from.run.clone()),
            begun_in: now.begun_in.clone(),
        }
    }
}

/// Reads a run that the person may look at.
pub(crate) async fn load(app: &App, person: &Person, run: &str) -> Result<Loaded, Problem> {
    person.may(Right::Look)?;
    let loaded = app.runs.engine.load(&ask::run_id(run)?).await?;
    person.may_on(Right::Look, &loaded.state.plan.runbook, loaded.state.plan.mode)?;
    Ok(loaded)
}

/// Show a run.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/runs/{run}", operation_id = "show-run", tag = "runs",
    params(("run" = String, Path, description = "The run.")), responses(
    (status = 200, description = "The run.", body = RunView, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    person: Person,
    Place(run): Place<String>,
) -> Result<Response, Problem> {
    let state = load(&app, &person, &run).await?.state;
    answer::of_run(StatusCode::OK, &RunView::of(&app, &state), state.seq)
}

/// List the steps of a run, in the order of the runbook.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/runs/{run}/steps", operation_id = "list-steps", tag = "runs",
    params(("run" = String, Path, description = "The run."), Part), responses(
    (status = 200, description = "A page of steps.", body = StepsPage, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn steps(
    State(app): State<Arc<App>>,
    person: Person,
    Place(run): Place<String>,
    Params(part): Params<Part>,
) -> Result<Response, Problem> {
    let limit = ask::page(part.limit)?;
    let from = usize::try_from(part.cursor.unwrap_or(0)).map_err(|_| ask::bad_cursor())?;
    let state = load(&app, &person, &run).await?.state;
    let steps: Vec<StepView> =
        state.steps().skip(from).take(limit).map(|(step, now)| StepView::of(step, now)).collect();
    let end = from.saturating_add(steps.len());
    let next = (end < state.plan.steps.len()).then(|| end.to_string());
    answer::json(&StepsPage { steps, next })
}

/// Show a step of a run.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/runs/{run}/steps/{step}", operation_id = "show-step", tag = "runs",
    params(("run" = String, Path, description = "The run."), ("step" = String, Path, description = "The step.")),
    responses(
    (status = 200, description = "The step.", body = StepView, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn step(
    State(app): State<Arc<App>>,
    person: Person,
    Place((run, step)): Place<(String, String)>,
) -> Result<Response, Problem> {
    let state = load(&app, &person, &run).await?.state;
    let Some((step, now)) = state.step(&StepId(step.clone())) else {
        return Err(Error::new("LB0504", format!("the run has no step '{step}'")).into());
    };
    answer::json(&StepView::of(step, now))
}

/// The plan that a run carries out.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/runs/{run}/plan", operation_id = "show-plan-of-run", tag = "runs",
    params(("run" = String, Path, description = "The run.")), responses(
    (status = 200, description = "The plan, as schemas/plan.schema.json says.", body = Object, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn plan(
    State(app): State<Arc<App>>,
    person: Person,
    Place(run): Place<String>,
) -> Result<Response, Problem> {
    answer::json(&*load(&app, &person, &run).await?.state.plan)
}
