//! Errors of a plugin: what went wrong, and whether the effect may be there all the same.

use crate::host::{Error, ErrorKind};

/// Why an effect ended without its outputs. `?` turns an [`Error`] into [`Stop::Failed`]: use it only where the effect
/// is definitely not there, and [`Stop::Unknown`] where nobody can say.
#[derive(Debug)]
pub enum Stop {
    /// The effect is definitely not there.
    Failed(Error),
    /// It cannot be told; the engine probes.
    Unknown(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

/// Short ways to make and to change an [`Error`].
pub trait ErrorExt: Sized {
    /// Trying again gives the same.
    fn permanent(message: impl Into<String>) -> Self;
    /// It may pass.
    fn temporary(message: impl Into<String>) -> Self;
    /// With a hint: what to do about it.
    #[must_use]
    fn hint(self, hint: impl Into<String>) -> Self;
    /// With what was tried, before the message.
    #[must_use]
    fn during(self, what: &str) -> Self;
    /// Whether there is no such thing.
    fn is_not_found(&self) -> bool;
}

impl ErrorExt for Error {
    fn permanent(message: impl Into<String>) -> Self {
        Error { kind: ErrorKind::Permanent, message: message.into(), hint: None }
    }

    fn temporary(message: impl Into<String>) -> Self {
        Error { kind: ErrorKind::Temporary, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn during(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }
}
