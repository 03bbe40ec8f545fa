//! When runbooks run by themselves, and what became of it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use lifeboat_core::plan::Mode;
use serde::{Deserialize, Serialize};

use super::answer;
use super::ask::{self, Params};
use crate::access::{Person, Right};
use crate::app::App;
use crate::problem::Problem;
use crate::schedules::Decided;

/// Due times of a schedule that are told, where nothing else is asked.
const NEXT: usize = 5;

/// A time at which a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DueView {
    /// Milliseconds since the Unix epoch.
    pub due_ms: u64,
    /// The same on the clock of its zone.
    pub local: String,
    /// Why nothing will be started then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blackout: Option<String>,
}

/// A schedule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleView {
    /// Its name: the runbook's, and its own.
    pub schedule: String,
    /// The runbook.
    pub runbook: String,
    /// The mode of its runs.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub mode: Mode,
    /// Second, minute, hour, day of month, month, weekday.
    pub cron: String,
    /// The time zone.
    pub zone: String,
    /// How far its runs are put off, at most, in milliseconds.
    pub jitter_ms: u64,
    /// What happens where the run before has not ended: `skip` or `queue`.
    pub overlap: String,
    /// What happens with times at which no service was there: `skip` or `run-once`.
    pub missed: String,
    /// When it is due next.
    pub next: Vec<DueView>,
    /// The due time that waits for the end of the run before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_ms: Option<u64>,
    /// Its last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<String>,
    /// What was decided on its last due times, newest first: also why nothing was started.
    pub decided: Vec<Decided>,
}

/// All schedules.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleList {
    /// The schedules, by runbook.
    pub schedules: Vec<ScheduleView>,
}

/// How much of each.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// How many due times of each: 5, and at most 500.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 500))]
    next: Option<usize>,
}

/// List schedules: when each is due next, and what was decided on its last due times.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/schedules", operation_id = "list-schedules", tag = "schedules", params(Which), responses(
    (status = 200, description = "The schedules.", body = ScheduleList, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    person: Person,
    Params(which): Params<Which>,
) -> Result<Response, Problem> {
    person.may(Right::Look)?;
    let count = ask::page(Some(which.next.unwrap_or(NEXT)))?;
    let now = app.now();
    let mut schedules = Vec::new();
    for one in app.library.schedules().iter().filter(|one| person.sees(&one.runbook)) {
        let shown = app.schedules.shown(one.rule.name()).await?;
        let next = one.rule.next(now, count).into_iter();
        schedules.push(ScheduleView {
            schedule: one.rule.name().to_owned(),
            runbook: one.runbook.clone(),
            mode: one.mode,
            cron: one.spec.cron.clone(),
            zone: one.spec.zone.clone(),
            jitter_ms: one.spec.jitter_ms,
            overlap: one.spec.overlap.as_str().to_owned(),
            missed: one.spec.missed.as_str().to_owned(),
            next: next.map(|at| DueView { due_ms: at.due_ms, local: at.local, blackout: at.blackout }).collect(),
            waiting_ms: shown.waiting_ms,
            last_run: shown.last.map(|run| run.0),
            decided: shown.decided,
        });
    }
    schedules.sort_by(|one, other| one.schedule.cmp(&other.schedule));
    answer::json(&ScheduleList { schedules })
}
