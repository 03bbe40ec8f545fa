//! Why something from outside is not taken.

use std::fmt;

use serde::Serialize;

/// A refusal. It is recorded, and told to who sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The stable code, which has a page.
    pub code: &'static str,
    /// One sentence, without a full stop.
    pub message: String,
    /// What to change.
    pub help: String,
    /// Where in the text, in bytes: begin and end. For what has a text that a person wrote.
    pub span: Option<(usize, usize)>,
}

impl Refused {
    pub(crate) fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into(), span: None }
    }

    pub(crate) fn at(mut self, begin: usize, end: usize) -> Self {
        self.span = Some((begin, end));
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  help: {}", self.code, self.message, self.help)
    }
}

impl std::error::Error for Refused {}

/// A text from outside, as much of it as a message may hold.
pub(crate) fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
