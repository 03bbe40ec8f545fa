//! Readiness: asked for, and as it was last looked at without anybody asking.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use lifeboat_core::plan::Mode;
#[cfg(feature = "openapi")]
use lifeboat_readiness::Readiness;
use serde::{Deserialize, Serialize};

use super::ask::{self, Json, Params};
use super::recovery::seconds;
use super::{answer, runbooks};
use crate::access::{Person, Right};
use crate::app::App;
use crate::metrics::{Gauge, quoted};
use crate::problem::Problem;
use crate::readiness::{self, LookedAt};

/// Series of one measure. More are a mistake of names.
const SERIES_MAX: usize = 300;

/// What readiness is asked about.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewReadiness {
    /// The runbook, by name.
    pub runbook: String,
    /// The mode.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "failover"))]
    pub mode: Mode,
    /// Values for its inputs.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Look as if that site were lost: nothing of it can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub site_lost: Option<String>,
}

/// A page of the last looks that the service took by itself, by runbook and mode.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReadinessPage {
    /// The looks.
    pub readiness: Vec<LookedAt>,
    /// The time between two looks, in milliseconds; nothing where the service does not look by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// The cursor of the next page, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Which looks.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Only those of this runbook.
    runbook: Option<String>,
    /// Only those in this mode.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    mode: Option<Mode>,
    /// How many: 100, and at most 500.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    cursor: Option<u64>,
}

/// List what the service found when it last looked at its runbooks by itself.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/readiness", operation_id = "list-readiness", tag = "readiness", params(Which), responses(
    (status = 200, description = "A page of looks.", body = ReadinessPage, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    person: Person,
    Params(which): Params<Which>,
) -> Result<Response, Problem> {
    person.may(Right::Look)?;
    let limit = ask::page(which.limit)?;
    let from = usize::try_from(which.cursor.unwrap_or(0)).map_err(|_| ask::bad_cursor())?;
    let all = app.looks.shown().into_iter().filter(|look| {
        person.sees(&look.runbook)
            && which.runbook.as_ref().is_none_or(|runbook| *runbook == look.runbook)
            && which.mode.is_none_or(|mode| mode == look.mode)
    });
    let after = |_: &LookedAt| u64::try_from(from.saturating_add(limit)).unwrap_or(u64::MAX);
    let (found, next) = ask::cut(all.skip(from).take(limit + 1).collect(), limit, after);
    let every_ms = app.settings.readiness.as_ref().map(|wish| wish.every_ms);
    answer::json(&ReadinessPage { readiness: found, every_ms, next })
}

/// Look whether a runbook could be carried out now. Nothing is started, and nothing is changed.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/readiness", operation_id = "look-at-readiness", tag = "readiness", request_body = NewReadiness, responses(
    (status = 200, description = "What was found.", body = Readiness, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    person: Person,
    Json(new): Json<NewReadiness>,
) -> Result<Response, Problem> {
    person.may_on(Right::Look, &new.runbook, new.mode)?;
    let compiled = runbooks::compile(&app, &new.runbook, new.mode, &new.inputs).await?;
    answer::plain(StatusCode::OK, &readiness::look(&app, compiled, new.site_lost).await?)
}

/// What metrics tell of the last looks.
pub(super) fn gauges(app: &App) -> [Gauge<'static>; 2] {
    let all = app.looks.shown();
    let labelled = |value: fn(&LookedAt) -> f64| {
        let one = |look: &LookedAt| {
            let labels = format!("{{runbook=\"{}\",mode=\"{}\"}}", quoted(&look.runbook), look.mode.as_str());
            (labels, value(look))
        };
        all.iter().take(SERIES_MAX).map(one).collect::<Vec<_>>()
    };
    [
        Gauge {
            name: "lifeboat_runbook_ready",
            help: "Whether a runbook could be carried out when it was last looked at.",
            values: labelled(|look| if look.ready { 1.0 } else { 0.0 }),
        },
        Gauge {
            name: "lifeboat_readiness_checked_timestamp_seconds",
            help: "When the readiness of a runbook was last looked at.",
            values: labelled(|look| seconds(look.at_ms)),
        },
    ]
}
