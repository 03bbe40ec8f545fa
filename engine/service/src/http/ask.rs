//! What a call brings with it, read within bounds, with our own words for what is wrong with it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::access::Person;
use crate::once::{Begun, Note};
use crate::problem::Problem;

/// Bytes of a body. Outputs that a person gives are at most 256 KiB, and all else is small.
pub(crate) const BODY_MAX: usize = 1024 * 1024;
/// How long a body may take from its first byte to its last.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Entries of a page where the caller says nothing, and at most.
const PAGE: (usize, usize) = (100, 500);

fn bad(what: impl Into<String>) -> Error {
    Error::new("LB1055", what).hint("schemas/openapi.json tells what a call looks like")
}

/// Reads a body within its bounds.
///
/// # Errors
/// `LB1058` too large, `LB1059` too slow, `LB1055` cut off.
pub(crate) async fn body(body: Body) -> Result<Bytes, Error> {
    let read = Limited::new(body, BODY_MAX).collect();
    match tokio::time::timeout(BODY_TIME, read).await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(cause)) if cause.downcast_ref::<LengthLimitError>().is_some() => {
            Err(Error::new("LB1058", format!("the body has more than {BODY_MAX} bytes")))
        }
        Ok(Err(cause)) => Err(bad("the body was cut off").with("cause", cause)),
        Err(_) => Err(Error::new("LB1059", format!("the body did not come within {} s", BODY_TIME.as_secs()))),
    }
}

/// Whether a body is said to be JSON in UTF-8.
///
/// # Errors
/// `LB1073` it is not.
pub(crate) fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let plain = kind.split(';').next().unwrap_or_default().trim();
    let charset = kind.split_once("charset=").map(|(_, charset)| charset.trim().trim_matches('"'));
    let utf8 = charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8"));
    if plain.eq_ignore_ascii_case("application/json") && utf8 {
        return Ok(());
    }
    let error = Error::new("LB1073", "the body is not declared as JSON in UTF-8");
    Err(error.hint("send 'Content-Type: application/json'").into())
}

/// A body of JSON. Fields that are not known are refused: a typing mistake in a name must not go unseen.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Problem> {
        let (parts, rest) = request.into_parts();
        is_json(&parts.headers)?;
        let bytes = body(rest).await?;
        serde_json::from_slice(&bytes)
            .map(Json)
            .map_err(|cause| bad("the body is not what this call takes").with("cause", cause).into())
    }
}

/// The parts of the path.
pub(crate) struct Place<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Place<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        read.map(|Path(place)| Place(place)).map_err(|cause| bad("the path cannot be read").with("cause", cause).into())
    }
}

/// What stands behind the question mark.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(params)| Params(params))
            .map_err(|cause| bad("a parameter is not what this call takes").with("cause", cause).into())
    }
}

/// The name of a run.
///
/// # Errors
/// `LB0501`: what is no name of a run is no run.
pub(crate) fn run_id(text: &str) -> Result<RunId, Problem> {
    RunId::parse(text).map_err(|cause| {
        Error::new("LB0501", "there is no such run").with("cause", cause).hint("GET /v1/runs lists the runs").into()
    })
}

/// How many entries of a page are given.
///
/// # Errors
/// `LB1055` none, or too many.
pub(crate) fn page(limit: Option<usize>) -> Result<usize, Problem> {
    let (usual, most) = PAGE;
    match limit.unwrap_or(usual) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        _ => Err(bad(format!("'limit' is between 1 and {most}")).into()),
    }
}

/// As much of what was found as a page holds, and the cursor of the next one where there is more; the caller finds one entry more
/// than the page holds, if there is one.
pub(crate) fn cut<T, C>(mut found: Vec<T>, limit: usize, cursor: impl Fn(&T) -> C) -> (Vec<T>, Option<C>) {
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(cursor);
    (found, next)
}

/// A cursor that is not one of ours.
pub(crate) fn bad_cursor() -> Problem {
    bad("'cursor' is not one that a page gave as 'next'").into()
}

/// A reason, or a name: plain text, so that it says nothing else on a terminal.
///
/// # Errors
/// `LB1055` control characters, or too long.
pub(crate) fn plain(what: &str, text: &str) -> Result<(), Problem> {
    if text.len() > lifeboat_core::limits::MESSAGE_BYTES_MAX {
        return Err(bad(format!("{what} is too long")).into());
    }
    if text.chars().any(char::is_control) {
        return Err(bad(format!("{what} has control characters in it")).into());
    }
    Ok(())
}

/// The number of events that the caller takes for the run's, from `If-Match`.
///
/// # Errors
/// `LB1055` it is no tag of a run.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let tag = value.to_str().unwrap_or_default().trim();
    if tag == "*" {
        return Ok(None);
    }
    let seq = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
    seq.map(Some).ok_or_else(|| bad("If-Match is not the ETag of a run").into())
}

/// The person that was let in. The guard lets nobody else through.
impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let person = parts.extensions.get::<Arc<Person>>();
        person.map(|person| Person::clone(person)).ok_or_else(|| Error::new("LB1052", "nobody was let in").into())
    }
}

/// The call's Idempotency-Key, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Slot(pub(crate) Option<Arc<Mutex<Begun>>>);

impl Slot {
    /// What this call noted in an earlier life of the service, if it died in between.
    pub(crate) async fn earlier(&self) -> Option<Note> {
        match &self.0 {
            Some(begun) => begun.lock().await.earlier().cloned(),
            None => None,
        }
    }

    /// Notes what is about to be done.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn note(&self, note: Note) -> Result<(), Error> {
        match &self.0 {
            Some(begun) => begun.lock().await.note(note).await,
            None => Ok(()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Slot {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Slot>().cloned().unwrap_or_default())
    }
}
