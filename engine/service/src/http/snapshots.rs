//! The snapshots of vaults.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use lifeboat_core::Error;
use lifeboat_core::plan::Mode;
use serde::{Deserialize, Serialize};

use super::ask::{self, Params};
use super::{answer, runbooks};
use crate::access::{Person, Right};
use crate::app::App;
use crate::problem::Problem;
use crate::workshop::SnapshotView;

/// A page of the snapshots of a vault, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SnapshotsPage {
    /// The snapshots.
    pub snapshots: Vec<SnapshotView>,
    /// How many the vault holds.
    pub count: usize,
    /// The cursor of the next page, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Which vault.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// The runbook that names the vault.
    runbook: String,
    /// The vault: the name of a target of the runbook that has a password.
    vault: String,
    /// The mode in which it is that vault: `failover` if it is left out.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    mode: Option<Mode>,
    /// How many: 100, and at most 500.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    cursor: Option<u64>,
}

/// List the snapshots of a vault that a runbook names, newest first, with what is suspect.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/snapshots", operation_id = "list-snapshots", tag = "readiness", params(Which), responses(
    (status = 200, description = "A page of snapshots.", body = SnapshotsPage, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    person: Person,
    Params(which): Params<Which>,
) -> Result<Response, Problem> {
    let mode = which.mode.unwrap_or(Mode::Failover);
    person.may_on(Right::Look, &which.runbook, mode)?;
    let limit = ask::page(which.limit)?;
    let compiled = runbooks::compile(&app, &which.runbook, mode, &BTreeMap::new()).await?;
    let found = app.looks.within(app.workshop.snapshots(compiled.plan, which.vault)).await.map_err(refused)?;
    let count = found.len();
    // Counted from the oldest, so that a snapshot that comes meanwhile moves nothing.
    let end = which.cursor.map_or(count, |cursor| usize::try_from(cursor).unwrap_or(usize::MAX).min(count));
    let begin = end.saturating_sub(limit);
    let snapshots = found.into_iter().take(end).skip(begin).rev().collect();
    let next = u64::try_from(begin).ok().filter(|begin| *begin > 0);
    answer::json(&SnapshotsPage { snapshots, count, next })
}

/// What the vault has against it is no fault of the service.
fn refused(error: Error) -> Problem {
    if matches!(error.code.0.as_ref(), "LB0902" | "LB1201" | "LB1202") { error.into() } else { Problem::below(error) }
}
