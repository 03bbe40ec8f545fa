//! Why a schedule cannot be.

use std::fmt;

/// What is wrong with a part of a schedule. Who reads the file knows the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The stable code, which has a page.
    pub code: &'static str,
    /// One sentence, without a full stop.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl Refused {
    pub(crate) fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  help: {}", self.code, self.message, self.help)
    }
}

impl std::error::Error for Refused {}
