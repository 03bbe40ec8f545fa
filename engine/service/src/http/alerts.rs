//! What became of alerts, and what is open.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::ask::{self, Json, Params, Place};
use super::verbs::SaidBody;
use super::{answer, hooks};
use crate::access::{Person, Right};
use crate::alerts::{IncidentView, Record};
use crate::app::App;
use crate::problem::Problem;

/// A page of the record, newest first.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AlertsPage {
    /// What was said of messages.
    pub alerts: Vec<Record>,
    /// The cursor of the next page, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// The incidents that are not over.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IncidentList {
    /// The incidents, oldest first.
    pub incidents: Vec<IncidentView>,
}

/// Which records.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Only those of this runbook.
    runbook: Option<String>,
    /// Only those of this incident.
    incident: Option<u64>,
    /// How many: 100, and at most 500.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    cursor: Option<u64>,
}

/// List what became of messages of hooks, newest first: what was accepted, what was refused, and why.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/alerts", operation_id = "list-alerts", tag = "alerts", params(Which), responses(
    (status = 200, description = "A page of the record.", body = AlertsPage, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    person: Person,
    Params(which): Params<Which>,
) -> Result<Response, Problem> {
    person.may(Right::Look)?;
    let limit = ask::page(which.limit)?;
    // Who sees some runbooks only sees nothing of what is of none.
    let sees = |record: &Record| {
        let mine = record.runbook.as_ref().map_or(person.runbooks.is_empty(), |runbook| person.sees(runbook));
        mine && which.runbook.as_ref().is_none_or(|runbook| record.runbook.as_ref() == Some(runbook))
            && which.incident.is_none_or(|incident| record.incident == Some(incident))
    };
    let found = app.alerts.page(which.cursor, limit + 1, sees)?;
    let (alerts, next) = ask::cut(found, limit, |record| record.number);
    answer::json(&AlertsPage { alerts, next })
}

/// List the incidents that are not over, oldest first.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/incidents", operation_id = "list-incidents", tag = "alerts", responses(
    (status = 200, description = "The incidents.", body = IncidentList, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn incidents(State(app): State<Arc<App>>, person: Person) -> Result<Response, Problem> {
    person.may(Right::Look)?;
    let incidents = app.alerts.open()?.into_iter().filter(|incident| person.sees(&incident.runbook)).collect();
    answer::json(&IncidentList { incidents })
}

/// Close an incident that has no run under way: it starts nothing any more.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/incidents/{number}/close", operation_id = "close-incident", tag = "alerts", request_body = SaidBody,
    params(("number" = u64, Path, description = "The number of the incident."),
        ("Idempotency-Key" = Option<String>, Header, description = "A random text: said once for it.")),
    responses(
    (status = 200, description = "It is closed.", body = super::hooks::Taken, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn close(
    State(app): State<Arc<App>>,
    person: Person,
    Place(number): Place<u64>,
    Json(body): Json<SaidBody>,
) -> Result<Response, Problem> {
    ask::plain("the reason", &body.reason)?;
    person.may(Right::Steer)?;
    let open = app.alerts.open()?;
    if let Some(incident) = open.iter().find(|incident| incident.number == number) {
        let mode = lifeboat_core::plan::Mode::parse(&incident.mode);
        person.may_on(Right::Steer, &incident.runbook, mode.unwrap_or(lifeboat_core::plan::Mode::Failover))?;
    }
    let said = app.alerts.close(number, person.name, body.reason).await?;
    answer::plain(StatusCode::OK, &hooks::taken(said))
}
