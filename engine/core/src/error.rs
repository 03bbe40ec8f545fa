//! Errors with a kind, a code, context and a hint.
//!
//! A code is stable for ever and has a page (`lifeboat explain LB0123`). Ranges:
//! `LB01xx` syntax and structure of runbooks, `LB02xx` references and types, `LB03xx` safety rules, `LB04xx` the operator file,
//! `LB05xx` run state and operator verbs, `LB06xx` the store, `LB07xx` plugins and their host, `LB08xx` vaults,
//! `LB09xx` the command line, `LB10xx` the service, `LB112x` and `LB113x` evidence and reports, `LB119x` plans before they
//! run, and what is suspect.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A stable error code, as `LB0501`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Code(pub std::borrow::Cow<'static, str>);

impl Code {
    /// A code known at compile time.
    pub const fn new(code: &'static str) -> Self {
        Self(std::borrow::Cow::Borrowed(code))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error that a person will read: what happened, where, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The stable code; its page is printed by `lifeboat explain`.
    pub code: Code,
    /// One sentence, without a full stop: what happened and to what.
    pub message: String,
    /// What to type or change next.
    pub hint: Option<String>,
    /// Name and value pairs: run, step, path, and the library's own words as `cause`.
    pub context: Vec<(String, String)>,
}

impl Error {
    /// An error with a code and a message.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code: Code::new(code), message: message.into(), hint: None, context: Vec::new() }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with one more pair of context.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.context.push((name.to_owned(), value.to_string()));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        for (name, value) in &self.context {
            write!(f, "\n  {name}: {value}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  help: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
