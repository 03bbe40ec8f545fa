//! The record of calls, for who administers the service.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::answer;
use super::ask::{self, Params};
use super::views::Part;
use crate::access::{Person, Right};
use crate::app::App;
use crate::audit::Entry;
use crate::problem::Problem;

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct AuditPage {
    /// The entries, newest first.
    entries: Vec<Entry>,
    /// The cursor of the next page, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// Who did what, newest first: every call that changes something, and what came of it.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/audit", operation_id = "list-audit", tag = "tokens", params(Part), responses(
    (status = 200, description = "A page of entries.", body = AuditPage, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn audit(
    State(app): State<Arc<App>>,
    person: Person,
    Params(part): Params<Part>,
) -> Result<Response, Problem> {
    person.may(Right::Administer)?;
    // It tells of all runbooks.
    person.covers(&BTreeSet::new(), false, false, &[])?;
    let entries = app.audit.page(part.cursor, ask::page(part.limit)?).await?;
    let next = entries.last().map(|entry| entry.number).filter(|number| *number > 1);
    answer::json(&AuditPage { entries, next })
}
