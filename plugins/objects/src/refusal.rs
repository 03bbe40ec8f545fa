//! A request that did not do what it was for.

use lifeboat_sdk::http::Failure;
use lifeboat_sdk::prelude::*;

/// Why a request came to nothing.
#[derive(Debug)]
pub struct Refusal {
    /// The status; 0 where there was no answer.
    pub status: u16,
    /// The server's code, as `NoSuchKey`; empty where it gave none.
    pub code: String,
    /// For people.
    pub error: Error,
}

impl Refusal {
    /// Whether the server said that.
    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }

    /// Whether there is no object of that key. A bucket that is not there is another thing.
    pub fn is_no_key(&self) -> bool {
        self.error.kind == ErrorKind::NotFound
    }

    /// Whether the server does not know the request at all.
    pub fn is_unknown_request(&self) -> bool {
        self.status == 501 || self.status == 405 || self.is("NotImplemented")
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Failed(refusal.error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { status: 0, code: String::new(), error }
    }
}

/// No answer came.
pub fn unanswered(what: &str, failure: Failure) -> Refusal {
    Refusal { status: 0, code: String::new(), error: failure.error.during(what) }
}
