//! The API: routes, each with its documentation, behind the guard.

mod alerts;
mod answer;
mod ask;
mod events;
mod guard;
mod health;
mod hooks;
mod links;
mod listing;
mod notifications;
mod page;
mod readiness;
mod records;
mod recovery;
mod runbooks;
mod schedules;
mod snapshots;
mod start;
mod stream;
mod takeover;
mod tokens;
mod verbs;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodFilter, on};
use lifeboat_core::Error;

use crate::app::App;
use crate::problem::Problem;

pub use alerts::{AlertsPage, IncidentList};
pub use events::EventView;
pub use listing::{RunRow, RunsPage};
pub use notifications::{NotificationView, Tested};
#[cfg(feature = "openapi")]
pub use openapi::openapi;
pub use readiness::{NewReadiness, ReadinessPage};
pub use runbooks::{NewPlan, PlanView};
pub use schedules::{DueView, ScheduleList, ScheduleView};
pub use snapshots::SnapshotsPage;
pub use start::NewRun;
pub use takeover::NewMode;
pub use tokens::{MadeToken, Me};
pub use verbs::{ApproveBody, AttestBody, CancelBody, MarkDoneBody, SaidBody};
pub use views::{RunView, StepView};

pub(crate) use runbooks::compile;
pub(crate) use start::begin;

/// The routes: method, path, handler, and what `utoipa` makes of the handler's documentation. The test of the committed
/// document holds it to this table.
macro_rules! routes {
    ($with:ident) => {
        $with! {
            Get "/v1/runs" listing::list __path_list;
            Post "/v1/runs" start::start __path_start;
            Get "/v1/runs/{run}" views::show __path_show;
            Get "/v1/runs/{run}/steps" views::steps __path_steps;
            Get "/v1/runs/{run}/steps/{step}" views::step __path_step;
            Get "/v1/runs/{run}/plan" views::plan __path_plan;
            Get "/v1/runs/{run}/events" events::events __path_events;
            Post "/v1/runs/{run}/steps/{step}/approve" verbs::approve __path_approve;
            Post "/v1/runs/{run}/steps/{step}/deny" verbs::deny __path_deny;
            Post "/v1/runs/{run}/steps/{step}/retry" verbs::retry __path_retry;
            Post "/v1/runs/{run}/steps/{step}/skip" verbs::skip __path_skip;
            Post "/v1/runs/{run}/steps/{step}/mark-done" verbs::mark_done __path_mark_done;
            Post "/v1/runs/{run}/steps/{step}/attest" verbs::attest __path_attest;
            Post "/v1/runs/{run}/pause" verbs::pause __path_pause;
            Post "/v1/runs/{run}/unpause" verbs::unpause __path_unpause;
            Post "/v1/runs/{run}/cancel" verbs::cancel __path_cancel;
            Post "/v1/runs/{run}/abandon" verbs::abandon __path_abandon;
            Post "/v1/runs/{run}/takeover" takeover::takeover __path_takeover;
            Post "/v1/runs/{run}/cleanup" verbs::cleanup __path_cleanup;
            Post "/v1/runs/{run}/resume" verbs::resume __path_resume;
            Get "/v1/runbooks" runbooks::runbooks __path_runbooks;
            Post "/v1/plans" runbooks::make_plan __path_make_plan;
            Get "/v1/readiness" readiness::list __path_list;
            Post "/v1/readiness" readiness::ask __path_ask;
            Get "/v1/snapshots" snapshots::list __path_list;
            Get "/v1/plugins" runbooks::plugins __path_plugins;
            Get "/v1/me" tokens::me __path_me;
            Get "/v1/tokens" tokens::tokens __path_tokens;
            Post "/v1/tokens" tokens::create __path_create;
            Delete "/v1/tokens/{id}" tokens::revoke __path_revoke;
            Post "/v1/hooks/{hook}" hooks::hook __path_hook;
            Post "/v1/hooks/generic/{hook}" hooks::generic __path_generic;
            Get "/v1/alerts" alerts::list __path_list;
            Get "/v1/incidents" alerts::incidents __path_incidents;
            Post "/v1/incidents/{number}/close" alerts::close __path_close;
            Get "/v1/schedules" schedules::list __path_list;
            Get "/v1/audit" records::audit __path_audit;
            Get "/v1/notifications" notifications::list __path_list;
            Post "/v1/notifications/{channel}/test" notifications::test __path_test;
            Get "/v1/links/{token}" links::show __path_show;
            Post "/v1/links/{token}" links::answer __path_answer;
            Get "/healthz" health::healthz __path_healthz;
            Get "/readyz" health::readyz __path_readyz;
            Get "/metrics" health::metrics __path_metrics;
            Get "/v1/openapi.json" health::document __path_document;
        }
    };
}

// After the table, which it reads.
#[cfg(feature = "openapi")]
mod openapi;

#[derive(Clone, Copy)]
enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    const fn filter(self) -> MethodFilter {
        match self {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Delete => MethodFilter::DELETE,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "get",
            Method::Post => "post",
            Method::Delete => "delete",
        }
    }
}

macro_rules! serve {
    ($($method:ident $path:literal $module:ident :: $handler:ident $doc:ident;)*) => {
        Router::new()$(.route($path, on(Method::$method.filter(), $module::$handler)))*
    };
}

macro_rules! name {
    ($($method:ident $path:literal $module:ident :: $handler:ident $doc:ident;)*) => {
        &[$((Method::$method.as_str(), $path)),*]
    };
}

/// The routes of the API: method and path.
pub const fn paths() -> &'static [(&'static str, &'static str)] {
    const ALL: &[(&str, &str)] = routes!(name);
    ALL
}

/// Whether there is a call of that method at that path.
fn is_served(method: &http::Method, path: &str) -> bool {
    paths().iter().any(|(one, at)| *at == path && one.eq_ignore_ascii_case(method.as_str()))
}

async fn nothing() -> Problem {
    Error::new("LB1056", "there is nothing at this path").hint("schemas/openapi.json lists all paths").into()
}

async fn not_so() -> Problem {
    Error::new("LB1072", "this path does not take this method").hint("schemas/openapi.json lists all paths").into()
}

/// The whole API.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let router: Router<Arc<App>> = routes!(serve);
    router
        .method_not_allowed_fallback(not_so)
        .fallback(nothing)
        // Bodies are read by ourselves, within a time, too.
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(Arc::clone(app), guard::guard))
        .with_state(Arc::clone(app))
}
