//! Tokens over the API, for who administers the service.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::answer::{self, Secret};
use super::ask::{Json, Place};
use crate::access::{NewToken, Person, Right, Role, Token};
use crate::app::App;
use crate::problem::Problem;

/// A token that was just made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MadeToken {
    /// The token.
    pub token: Token,
    /// What its owner sends. It is shown this once.
    pub secret: String,
}

/// Who is calling, as the service sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Me {
    /// The name that is recorded.
    pub name: String,
    /// `token ID` or `uid N`.
    pub known_by: String,
    /// The roles.
    pub roles: BTreeSet<Role>,
    /// Whether drills may be acted on.
    pub drill: bool,
    /// Whether runs in earnest may be acted on.
    pub failover: bool,
    /// The runbooks in scope; empty: all.
    pub runbooks: Vec<String>,
    /// The program.
    pub version: String,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct TokenList {
    /// The tokens, oldest first, also those that are over.
    pub(crate) tokens: Vec<Token>,
}

/// Who am I, and what may I do?
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/me", operation_id = "show-me", tag = "tokens", responses(
    (status = 200, description = "The caller.", body = Me, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn me(State(app): State<Arc<App>>, person: Person) -> Result<Response, Problem> {
    let Person { name, known_by, roles, drill, failover, runbooks } = person;
    answer::json(&Me { name, known_by, roles, drill, failover, runbooks, version: app.version.clone() })
}

/// List tokens, without what proves them.
#[cfg_attr(feature = "openapi", utoipa::path(get, path = "/v1/tokens", operation_id = "list-tokens", tag = "tokens", responses(
    (status = 200, description = "The tokens.", body = TokenList, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn tokens(State(app): State<Arc<App>>, person: Person) -> Result<Response, Problem> {
    person.may(Right::Administer)?;
    answer::json(&TokenList { tokens: app.tokens.list().await? })
}

/// Make a token. It can do at most what its maker can.
#[cfg_attr(feature = "openapi", utoipa::path(post, path = "/v1/tokens", operation_id = "create-token", tag = "tokens", request_body = NewToken, responses(
    (status = 201, description = "The token. Its secret is shown this once, also under an Idempotency-Key.",
        body = MadeToken, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    person: Person,
    Json(new): Json<NewToken>,
) -> Result<Response, Problem> {
    person.may(Right::Administer)?;
    person.covers(&new.roles, new.drill, new.failover, &new.runbooks)?;
    let (token, secret) = app.tokens.create(new, &person.name, app.now()).await?;
    let mut response = answer::plain(StatusCode::CREATED, &MadeToken { token, secret })?;
    response.extensions_mut().insert(Secret);
    Ok(response)
}

/// End a token at once.
#[cfg_attr(feature = "openapi", utoipa::path(delete, path = "/v1/tokens/{id}", operation_id = "revoke-token", tag = "tokens",
    params(("id" = String, Path, description = "The id of the token.")), responses(
    (status = 200, description = "The token, as it is now.", body = Token, content_type = "application/json"),
    (status = "default", description = "What was wrong.", body = Problem, content_type = "application/problem+json"),
)))]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    person: Person,
    Place(id): Place<String>,
) -> Result<Response, Problem> {
    person.may(Right::Administer)?;
    let token = app.tokens.get(&id).await?;
    person.covers(&token.roles, token.drill, token.failover, &token.runbooks)?;
    answer::plain(StatusCode::OK, &app.tokens.revoke(&id, &person.name, app.now()).await?)
}
