//! The events of a run: a page of them, or a stream that goes on where it was cut off.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::{self, Params, Place};
use super::{answer, stream};
use crate::access::{Person, Right};
use crate::app::App;
use crate::problem::Problem;

/// An event of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventView {
    /// Its number, from 1.
    pub seq: u64,
    /// The event, as schemas/event.schema.json says.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub event: Value,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct EventsPage {
    /// The events, oldest first.
    events: Vec<EventView>,
    /// What to give as `after` for the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// Which events.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    /// Those after this number.
    after: Option<u64>,
    /// How many: 100, and at most 500. A stream has no end of its own.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    limit: Option<usize>,
}

/// The events of a run. With `Accept: text/event-stream`, a stream: each event has its number as id, so that a client goes on
/// after a break with `Last-Event-ID`. Progress and log lines come between, without id. When the run rests, `rest` says
/// so; when it has ended, the stream ends, and is answered with 204 when it is asked for again.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/runs/{run}/events", operation_id = "list-events", tag = "runs",
    params(("run" = String, Path, description = "The run."), After,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen.")), responses(
    (status = 200, description = "A page of events, or a stream.", content((EventsPage = "application/json"), (String = "text/event-stream"))),
    (status = 204, description = "The run has ended, and there is nothing more to stream."),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    person: Person,
    Place(run): Place<String>,
    Params(after): Params<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = ask::page(after.limit)?;
    let run = ask::run_id(&run)?;
    person.may(Right::Look)?;
    let row = app.runs.row(&run).await?;
    person.may_on(Right::Look, &row.summary.runbook, row.summary.mode)?;
    let last = last_seen(&headers)?;
    let from = last.or(after.after).unwrap_or(0);
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        if last.is_some() && row.summary.status.is_final() && from >= row.seq {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        return follow(&app, run, from);
    }
    let stored = app.runs.events(&run, from).await?;
    let more = stored.len() > limit;
    let view = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or_default();
    let events: Vec<EventView> =
        stored.iter().take(limit).map(|event| EventView { seq: event.seq, event: view(&event.bytes) }).collect();
    let next = events.last().filter(|_| more).map(|event| event.seq);
    answer::json(&EventsPage { events, next })
}

fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let seq = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    seq.map(Some).ok_or_else(|| Error::new("LB1055", "Last-Event-ID is not the number of an event").into())
}

fn follow(app: &Arc<App>, run: RunId, after: u64) -> Result<Response, Problem> {
    let body = stream::of_run(app, run, after)?;
    let mut response = body.into_response();
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    // Proxies that keep an answer back until it is whole would keep all of it.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}
