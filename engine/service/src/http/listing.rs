//! The list of runs.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use lifeboat_core::ids::RunId;
use lifeboat_core::plan::Mode;
use lifeboat_core::state::{RunStatus, Summary};
use serde::{Deserialize, Serialize};

use super::answer;
use super::ask::{self, Params};
use crate::access::{Person, Right};
use crate::app::App;
use crate::problem::Problem;

/// A run in the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunRow {
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
    /// Steps that are complete.
    pub complete: usize,
    /// All steps.
    pub steps: usize,
    /// When it was made.
    pub created_at: u64,
    /// When it last changed.
    pub updated_at: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<u64>,
    /// Whether it has not ended, and nobody carries it on; the run itself tells why.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
}

/// A page of the list, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunsPage {
    /// The runs.
    pub runs: Vec<RunRow>,
    /// The cursor of the next page, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which runs.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Only those in this state.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    status: Option<RunStatus>,
    /// Only those of this runbook.
    runbook: Option<String>,
    /// Only those in this mode.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    mode: Option<Mode>,
    /// How many: 100, and at most 500.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
}

impl Which {
    fn takes(&self, person: &Person, summary: &Summary) -> bool {
        person.sees(&summary.runbook)
            && self.status.is_none_or(|status| status == summary.status)
            && self.mode.is_none_or(|mode| mode == summary.mode)
            && self.runbook.as_ref().is_none_or(|runbook| *runbook == summary.runbook)
    }
}

/// List runs, newest first.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/runs", operation_id = "list-runs", tag = "runs", params(Which), responses(
    (status = 200, description = "A page of runs.", body = RunsPage, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    person: Person,
    Params(which): Params<Which>,
) -> Result<Response, Problem> {
    person.may(Right::Look)?;
    let limit = ask::page(which.limit)?;
    let before = match &which.cursor {
        Some(cursor) => Some(RunId::parse(cursor).map_err(|_| ask::bad_cursor())?),
        None => None,
    };
    let find = |rows: &std::collections::BTreeMap<RunId, crate::runs::Row>| {
        let older = rows.iter().rev().filter(|(run, _)| before.as_ref().is_none_or(|before| *run < before));
        let fits = older.filter(|(_, row)| which.takes(&person, &row.summary));
        let found: Vec<(RunId, Summary)> =
            fits.take(limit + 1).map(|(run, row)| (run.clone(), row.summary.clone())).collect();
        found
    };
    let (found, next) = ask::cut(app.runs.look(find).await?, limit, |(run, _)| run.0.clone());
    let runs = found.into_iter().map(|(run, summary)| row(&app, run, summary)).collect();
    answer::json(&RunsPage { runs, next })
}

fn row(app: &App, run: RunId, summary: Summary) -> RunRow {
    let Summary { runbook, mode, status, complete, steps, created_at, updated_at, finished_at, .. } = summary;
    let stopped = !status.is_final() && app.runs.why_stopped(&run).is_some();
    RunRow { run, runbook, mode, status, complete, steps, created_at, updated_at, finished_at, stopped }
}
