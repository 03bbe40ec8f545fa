//! Whether the service is there, whether it is ready, and what it counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use lifeboat_core::state::RunStatus;
use serde::Serialize;

use super::answer;
use super::recovery::{self, number, seconds};
use crate::access::{Person, Right};
use crate::app::App;
use crate::leftovers;
use crate::metrics::{Gauge, quoted};
use crate::problem::Problem;

/// The description that `cargo xtask schemas` made of this API.
const DOCUMENT: &str = include_str!("../../../../schemas/openapi.json");

/// All states of a run, so that a state that no run is in is told as 0.
pub(super) const STATES: [RunStatus; 10] = [
    RunStatus::Running,
    RunStatus::Waiting,
    RunStatus::Paused,
    RunStatus::Compensating,
    RunStatus::Cleaning,
    RunStatus::Stuck,
    RunStatus::Succeeded,
    RunStatus::Failed,
    RunStatus::Cancelled,
    RunStatus::Abandoned,
];

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Health {
    /// Whether all is well.
    good: bool,
    /// What is not, in words without names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    because: Vec<&'static str>,
}

/// Whether the service is alive. Without a token.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "health", security(()), responses(
    (status = 200, description = "It is.", body = Health, content_type = "application/json"),
)))]
pub(crate) async fn healthz() -> Result<Response, Problem> {
    answer::plain(StatusCode::OK, &Health { good: true, because: Vec::new() })
}

/// Whether the service takes calls, and its store answers. Without a token.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "health", security(()), responses(
    (status = 200, description = "It is ready.", body = Health, content_type = "application/json"),
    (status = 503, description = "It is not.", body = Health, content_type = "application/json"),
)))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let mut because = Vec::new();
    if app.is_stopping() {
        because.push("it is being stopped");
    } else if !app.is_ready() {
        because.push("it takes up its runs");
    }
    if app.runs.look(|_| ()).await.is_err() {
        because.push("the store does not answer");
    }
    if !app.metrics.writes() {
        because.push("the store refused the last write");
    }
    if !app.tls_good.load(Ordering::Acquire) {
        because.push("the files of TLS cannot be used; the earlier ones are");
    }
    let good = because.is_empty();
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer::plain(status, &Health { good, because })
}

/// What is counted, for Prometheus. Needs the role viewer, unless the operator opens it to all.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "health", responses(
    (status = 200, description = "The text format of Prometheus.", body = String, content_type = "text/plain"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn metrics(State(app): State<Arc<App>>, person: Option<Viewer>) -> Result<Response, Problem> {
    if let Some(Viewer(person)) = person {
        person.may(Right::Look)?;
    }
    let looked = app.runs.look(|rows| {
        let left = leftovers::gauges(rows.values().map(|row| &row.summary), app.now());
        (count(rows), recovery::gauges(&app, rows), left)
    });
    let ((counts, oldest), mut gauges, left) = looked.await?;
    gauges.extend(left);
    gauges.extend(now(&app, &counts, oldest));
    gauges.extend(messages(&app).await);
    gauges.extend(super::readiness::gauges(&app));
    let kind = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    Ok(([kind], app.metrics.print(&gauges)).into_response())
}

/// What is looked up about the service as it is now.
fn now(app: &App, counts: &BTreeMap<&'static str, usize>, oldest: Option<u64>) -> Vec<Gauge<'static>> {
    let states = STATES.iter().map(|status| {
        let labels = format!("{{state=\"{}\"}}", status.as_str());
        (labels, number(counts.get(status.as_str()).copied().unwrap_or(0)))
    });
    let all = app.library.all();
    let good = all.iter().filter(|view| view.good).count();
    let one = |value: f64| vec![(String::new(), value)];
    let waited = oldest.map_or(0.0, |since| seconds(app.now().saturating_sub(since)));
    let incidents = app.alerts.open().map_or(0, |open| open.len());
    vec![
        Gauge { name: "lifeboat_incidents_open", help: "Incidents that are not over.", values: one(number(incidents)) },
        Gauge {
            name: "lifeboat_info",
            help: "The program.",
            values: vec![(format!("{{version=\"{}\"}}", quoted(&app.version)), 1.0)],
        },
        Gauge { name: "lifeboat_runs", help: "Runs by state.", values: states.collect() },
        Gauge {
            name: "lifeboat_runs_queued",
            help: "Runs that wait for room in memory.",
            values: one(number(app.runs.engine.queued())),
        },
        Gauge {
            name: "lifeboat_runs_stopped",
            help: "Runs that have not ended and that nobody carries on.",
            values: one(number(app.runs.stopped())),
        },
        Gauge {
            name: "lifeboat_longest_wait_seconds",
            help: "For how long the run that waits longest, or is stuck, has not changed.",
            values: one(waited),
        },
        Gauge {
            name: "lifeboat_runbooks",
            help: "Runbooks by whether they can be run.",
            values: vec![
                ("{state=\"good\"}".to_owned(), number(good)),
                ("{state=\"refused\"}".to_owned(), number(all.len() - good)),
            ],
        },
        Gauge {
            name: "lifeboat_ready",
            help: "Whether the service is ready.",
            values: one(if app.is_ready() { 1.0 } else { 0.0 }),
        },
    ]
}

/// What became of messages to people.
async fn messages(app: &App) -> [Gauge<'static>; 2] {
    let mut states: BTreeMap<(String, &'static str), u64> = BTreeMap::new();
    for (channel, _) in app.dispatcher.courier().channels() {
        for state in ["waiting", "sent", "failed"] {
            states.insert((channel.to_owned(), state), 0);
        }
    }
    for entry in app.dispatcher.outbox().all().await {
        *states.entry((entry.channel, entry.state.as_str())).or_default() += 1;
    }
    let mut counts = app.dispatcher.counts();
    counts.insert((String::new(), "dropped"), app.dispatcher.outbox().dropped().await);
    let labelled = |all: BTreeMap<(String, &'static str), u64>, label: &str| {
        let one = |((channel, word), count): ((String, &str), u64)| {
            (format!("{{channel=\"{}\",{label}=\"{word}\"}}", quoted(&channel)), count as f64)
        };
        all.into_iter().map(one).collect()
    };
    [
        Gauge {
            name: "lifeboat_notifications",
            help: "The newest messages to people, by channel and state; 'failed' was given up.",
            values: labelled(states, "state"),
        },
        Gauge {
            name: "lifeboat_notifications_total",
            help: "What became of messages to people since the start.",
            values: labelled(counts, "result"),
        },
    ]
}

type Rows = BTreeMap<lifeboat_core::ids::RunId, crate::runs::Row>;

/// How many runs are in each state, and since when the one that waits longest waits.
fn count(rows: &Rows) -> (BTreeMap<&'static str, usize>, Option<u64>) {
    let mut counts = BTreeMap::new();
    let mut oldest: Option<u64> = None;
    for row in rows.values() {
        let status = row.summary.status;
        *counts.entry(status.as_str()).or_default() += 1;
        if matches!(status, RunStatus::Waiting | RunStatus::Stuck) {
            let since = row.summary.updated_at;
            oldest = Some(oldest.map_or(since, |oldest| oldest.min(since)));
        }
    }
    (counts, oldest)
}

/// The caller of metrics, where the guard let somebody in; an open door lets in nobody in particular.
pub(crate) struct Viewer(Person);

impl<S: Send + Sync> axum::extract::OptionalFromRequestParts<S> for Viewer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Option<Self>, std::convert::Infallible> {
        Ok(parts.extensions.get::<Arc<Person>>().map(|person| Viewer(Person::clone(person))))
    }
}

/// This API as OpenAPI describes it. Without a token.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/openapi.json", operation_id = "openapi", tag = "health", security(()), responses(
    (status = 200, description = "The document.", body = Object, content_type = "application/json"),
)))]
pub(crate) async fn document() -> Result<Response, Problem> {
    Ok(answer::ready_made(DOCUMENT.as_bytes().to_vec()))
}
