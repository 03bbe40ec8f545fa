//! The API: routes, each with its documentation, behind the guard.

mod answer;
mod ask;
mod events;
mod guard;
mod health;
mod listing;
mod records;
mod runbooks;
mod start;
mod stream;
mod tokens;
mod verbs;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use lifeboat_core::Error;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, SecurityRequirement};
use utoipa::openapi::{HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths};

use crate::app::App;
use crate::problem::Problem;

pub use events::EventView;
pub use listing::{RunRow, RunsPage};
pub use runbooks::{NewPlan, PlanView};
pub use start::NewRun;
pub use tokens::{MadeToken, Me};
pub use verbs::{ApproveBody, CancelBody, MarkDoneBody, SaidBody};
pub use views::{RunView, StepView};

pub(crate) use runbooks::compile;
pub(crate) use start::begin;

/// Routes with their documentation: a route cannot be added without it.
struct Api {
    router: Router<Arc<App>>,
    doc: OpenApi,
}

/// Adds a handler under what `utoipa::path` says of it.
macro_rules! routes {
    ($api:expr, $($module:ident :: $handler:ident as $doc:ident),+ $(,)?) => {
        $api$(.add::<$module::$doc, _, _>($module::$handler))+
    };
}

fn filter(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Delete => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    }
}

impl Api {
    fn new(version: &str) -> Self {
        let licence = LicenseBuilder::new().name("MIT OR Apache-2.0").build();
        let info = InfoBuilder::new()
            .title("Lifeboat")
            .description(Some(include_str!("about.md")))
            .version(version)
            .license(Some(licence))
            .build();
        let token =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token of the service.")).build();
        let mut components = ComponentsBuilder::new().security_scheme("token", SecurityScheme::Http(token));
        components = components.schema_from::<Problem>();
        let doc = OpenApiBuilder::new()
            .info(info)
            .paths(Paths::new())
            .components(Some(components.build()))
            .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
            .build();
        Self { router: Router::new(), doc }
    }

    fn add<P, H, T>(mut self, handler: H) -> Self
    where
        P: utoipa::Path + utoipa::__dev::SchemaReferences,
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let (path, methods) = (P::path(), P::methods());
        let mut schemas = Vec::new();
        P::schemas(&mut schemas);
        if let Some(components) = &mut self.doc.components {
            components.schemas.extend(schemas);
        }
        for method in &methods {
            self.router = self.router.route(&path, on(filter(method), handler.clone()));
        }
        self.doc.paths.add_path_operation(path, methods, P::operation());
        self
    }
}

fn api() -> Api {
    let api = Api::new("1");
    let api = routes!(
        api,
        listing::list as __path_list,
        start::start as __path_start,
        views::show as __path_show,
        views::steps as __path_steps,
        views::step as __path_step,
        views::plan as __path_plan,
        events::events as __path_events,
    );
    let api = routes!(
        api,
        verbs::approve as __path_approve,
        verbs::deny as __path_deny,
        verbs::retry as __path_retry,
        verbs::skip as __path_skip,
        verbs::mark_done as __path_mark_done,
        verbs::pause as __path_pause,
        verbs::unpause as __path_unpause,
        verbs::cancel as __path_cancel,
        verbs::abandon as __path_abandon,
        verbs::resume as __path_resume,
    );
    routes!(
        api,
        runbooks::runbooks as __path_runbooks,
        runbooks::make_plan as __path_make_plan,
        runbooks::plugins as __path_plugins,
        tokens::me as __path_me,
        tokens::tokens as __path_tokens,
        tokens::create as __path_create,
        tokens::revoke as __path_revoke,
        records::audit as __path_audit,
        health::healthz as __path_healthz,
        health::readyz as __path_readyz,
        health::metrics as __path_metrics,
        health::document as __path_document,
    )
}

/// The API as OpenAPI describes it.
pub fn openapi() -> OpenApi {
    api().doc
}

async fn nothing() -> Problem {
    Error::new("LB1056", "there is nothing at this path").hint("schemas/openapi.json lists all paths").into()
}

async fn not_so() -> Problem {
    Error::new("LB1072", "this path does not take this method").hint("schemas/openapi.json lists all paths").into()
}

/// The whole API.
pub(crate) fn router(app: &Arc<App>) -> Router {
    api()
        .router
        .method_not_allowed_fallback(not_so)
        .fallback(nothing)
        // Bodies are read by ourselves, within a time, too.
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(Arc::clone(app), guard::guard))
        .with_state(Arc::clone(app))
}
