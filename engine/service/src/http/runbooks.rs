//! Runbooks, plans and plugins.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use lifeboat_core::Error;
use lifeboat_core::ids::Digest;
use lifeboat_core::plan::Mode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer;
use super::ask::Json;
use crate::access::{Person, Right};
use crate::app::App;
use crate::library::RunbookView;
use crate::problem::Problem;
use crate::workshop::{Compiled, Diagnosis, Refused};

/// What a plan is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPlan {
    /// The runbook, by name.
    pub runbook: String,
    /// The mode.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "drill"))]
    pub mode: Mode,
    /// Values for its inputs.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
}

/// A plan, as a run of it would be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanView {
    /// What a start names, so that what was shown is what runs.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub fingerprint: Digest,
    /// The plan, as schemas/plan.schema.json says.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub plan: Value,
    /// What a person should look at.
    pub warnings: Vec<Diagnosis>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct RunbookList {
    /// The runbooks, by name, with those that are refused.
    runbooks: Vec<RunbookView>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct PluginList {
    /// Each as it describes itself, with the digest of its file.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    plugins: Vec<Value>,
}

/// List runbooks, also those that are refused, with their mistakes.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/runbooks", operation_id = "list-runbooks", tag = "runbooks", responses(
    (status = 200, description = "The runbooks.", body = RunbookList, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn runbooks(State(app): State<Arc<App>>, person: Person) -> Result<Response, Problem> {
    person.may(Right::Look)?;
    let runbooks = app.library.all().iter().filter(|view| person.sees(&view.name)).cloned().collect();
    answer::json(&RunbookList { runbooks })
}

/// Compile a runbook, and show what would happen. Nothing is started.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/plans", operation_id = "make-plan", tag = "runbooks", request_body = NewPlan, responses(
    (status = 200, description = "The plan.", body = PlanView, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn make_plan(
    State(app): State<Arc<App>>,
    person: Person,
    Json(new): Json<NewPlan>,
) -> Result<Response, Problem> {
    person.may_on(Right::Look, &new.runbook, new.mode)?;
    let compiled = compile(&app, &new.runbook, new.mode, &new.inputs).await?;
    let plan = serde_json::to_value(&compiled.plan)
        .map_err(|cause| Error::new("LB1071", "the plan cannot be written as JSON").with("cause", cause))?;
    let view = PlanView { fingerprint: compiled.plan.fingerprint(), plan, warnings: compiled.warnings };
    answer::plain(StatusCode::OK, &view)
}

/// List plugins.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/plugins", operation_id = "list-plugins", tag = "runbooks", responses(
    (status = 200, description = "The plugins.", body = PluginList, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn plugins(State(app): State<Arc<App>>, person: Person) -> Result<Response, Problem> {
    person.may(Right::Look)?;
    answer::json(&PluginList { plugins: app.workshop.plugins() })
}

/// Compiles a runbook of the library from its file as it is now.
///
/// # Errors
/// `LB1056` no such runbook; `LB1064` with its mistakes; `LB1057` when the file has another runbook now.
pub(crate) async fn compile(
    app: &App,
    name: &str,
    mode: Mode,
    inputs: &BTreeMap<String, String>,
) -> Result<Compiled, Problem> {
    let found = app.library.find(name).map_err(|(error, found)| Problem::with_diagnostics(error, found))?;
    let (workshop, inputs, file) = (Arc::clone(&app.workshop), inputs.clone(), PathBuf::from(found.file));
    // Never closed; without a permit it would be made all the same.
    let _permit = app.compilers.acquire().await;
    let made = tokio::task::spawn_blocking(move || workshop.compile(&file, mode, &inputs)).await;
    let made = made.map_err(|cause| Error::new("LB1071", "the compiler came to a sudden end").with("cause", cause))?;
    match made {
        // The name decides who may do it, so it has to be that of what runs.
        Ok(compiled) if compiled.plan.runbook != name || compiled.plan.mode != mode => {
            Err(Error::new("LB1057", format!("the file of the runbook '{name}' was just changed"))
                .hint("try again")
                .into())
        }
        Ok(compiled) => Ok(compiled),
        Err(Refused::Error(error)) => Err(error.into()),
        Err(Refused::Mistakes(mistakes)) => {
            let error = Error::new("LB1064", format!("the runbook '{name}' is refused in mode {}", mode.as_str()))
                .hint("mend what is listed; nothing was started");
            Err(Problem::with_diagnostics(error, mistakes))
        }
    }
}
