//! Answers of a server: whether they are what was asked for.

use lifeboat_sdk::host::from_list;
use lifeboat_sdk::http::{Answer, Failure, Head, HeadExt, Response};
use lifeboat_sdk::prelude::*;

use crate::{Got, Meta, Refusal, unanswered};

/// Characters of a server's own words that are passed on.
pub const SAID_MAX: usize = 300;

/// Bytes of the body of a refusal that are read: its document is short.
const REFUSAL_MAX: u32 = 16 * 1024;

/// An answer that is a success, or why it is none: `refusal` makes that of the head and the body.
///
/// # Errors
/// What the provider says, or that no answer came.
pub fn judged(
    what: &str,
    result: Result<Answer, Failure>,
    refusal: fn(&str, &Head, &[u8]) -> Refusal,
) -> Result<Answer, Refusal> {
    let answer = result.map_err(|failure| unanswered(what, failure))?;
    if answer.head.is_ok() { Ok(answer) } else { Err(refusal(what, &answer.head, &answer.body)) }
}

/// Which bytes of what were asked for.
pub struct Asked<'a> {
    /// In words, for errors.
    pub what: &'a str,
    /// What the provider calls its objects, where there are many.
    pub things: &'a str,
    /// From where on.
    pub offset: u64,
    /// How many; all of the rest without it.
    pub len: Option<u64>,
}

/// An object that is being read: the bytes that were asked for, or nothing where they are behind its end.
///
/// # Errors
/// What the provider says, or that no answer came, or other bytes.
pub fn got(
    asked: &Asked<'_>,
    result: Result<Response, Failure>,
    meta: impl FnOnce(&Head) -> Meta,
    refusal: fn(&str, &Head, &[u8]) -> Refusal,
) -> Result<Got, Refusal> {
    let Asked { what, things, offset, len } = asked;
    let response = result.map_err(|failure| unanswered(what, failure))?;
    let head = &response.head;
    match head.status {
        200..300 if is_range(head, *offset, *len) => Ok(Got { meta: meta(head), body: response.body }),
        200..300 => Err(Error::permanent(format!("{what}: the server does not give parts of {things}")).into()),
        416 => Ok(Got { meta: Meta::default(), body: from_list(&[]) }),
        _ => Err(refusal(what, head, &response.body.read(REFUSAL_MAX).unwrap_or_default())),
    }
}

/// Whether an answer has the bytes that were asked for: all that there are, or those from the offset on. A server that does not
/// know ranges sends everything, from the beginning.
fn is_range(head: &Head, offset: u64, len: Option<u64>) -> bool {
    if head.status != 200 || (offset == 0 && len.is_none()) {
        return true;
    }
    // Some servers give the part, say so, and call it 200.
    if head.header("content-range").is_some_and(|range| range.starts_with(&format!("bytes {offset}-"))) {
        return true;
    }
    let size: Option<u64> = head.header("content-length").and_then(|size| size.parse().ok());
    offset == 0 && len == size
}

/// The header `Range` for these bytes, where not all are wanted.
pub fn range(offset: u64, len: Option<u64>) -> Option<String> {
    match len {
        Some(len) => Some(format!("bytes={offset}-{}", offset.saturating_add(len.max(1)) - 1)),
        None if offset > 0 => Some(format!("bytes={offset}-")),
        None => None,
    }
}
