//! Answers of JSON with a tag.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use lifeboat_core::Error;
use serde::Serialize;

use crate::problem::Problem;

/// Marks an answer with a secret in it, which is given once and kept nowhere.
#[derive(Clone)]
pub(crate) struct Secret;

/// JSON with a tag of what it says.
///
/// # Errors
/// `LB1071` what cannot be written.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Response, Problem> {
    Ok(ready_made(text(value)?))
}

/// JSON that is written already, with a tag of what it says.
pub(crate) fn ready_made(body: Vec<u8>) -> Response {
    let tag = format!("\"{}\"", blake3::hash(&body).to_hex().get(..24).unwrap_or_default());
    tagged(StatusCode::OK, body, &tag)
}

/// JSON with the tag of a run: the number of its events.
///
/// # Errors
/// `LB1071` what cannot be written.
pub(crate) fn of_run<T: Serialize>(status: StatusCode, value: &T, seq: u64) -> Result<Response, Problem> {
    Ok(tagged(status, text(value)?, &format!("\"{seq}\"")))
}

/// JSON of what changes with each call.
///
/// # Errors
/// `LB1071` what cannot be written.
pub(crate) fn plain<T: Serialize>(status: StatusCode, value: &T) -> Result<Response, Problem> {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok((status, [kind], text(value)?).into_response())
}

fn text<T: Serialize>(value: &T) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(value)
        .map_err(|cause| Error::new("LB1071", "the answer cannot be written as JSON").with("cause", cause).into())
}

fn tagged(status: StatusCode, body: Vec<u8>, tag: &str) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut response = (status, [kind], body).into_response();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
