//! What came of an attempt: *done*, *failed* or *unknown*, and never one in the guise of another.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The result of one attempt of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The effect is there, and these are its outputs (a JSON object).
    Done {
        /// The outputs, as the plugin's schema names them.
        outputs: Value,
    },
    /// The effect is definitely not there.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Nobody knows whether the effect is there: a time-out, a trap, a lost connection, a dead process.
    Unknown {
        /// What made it unknowable.
        reason: String,
    },
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// Whether trying again can help.
    pub kind: FailureKind,
    /// The stable code, where the failure has one of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<crate::Code>,
    /// One sentence for a person.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// A failure that no retry mends.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Permanent, code: None, message: message.into(), hint: None }
    }

    /// A failure that may pass.
    pub fn temporary(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Temporary, code: None, message: message.into(), hint: None }
    }
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        let mut message = error.message;
        for (name, value) in &error.context {
            message.push_str(&format!("; {name}: {value}"));
        }
        Self { kind: FailureKind::Permanent, code: Some(error.code), message, hint: error.hint }
    }
}

/// The retry class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// Trying again gives the same: wrong arguments, a missing file, a failed check.
    Permanent,
    /// It may pass: busy, unreachable, throttled.
    Temporary,
    /// The host refused: not granted. Never retried; the operator has to act.
    Refused,
    /// The guest broke a bound of its sandbox (memory, time, payload) or trapped. Retried like a temporary one only
    /// where the step's policy says so; the effect is unknown unless the step only reads.
    Sandbox,
    /// It was cancelled.
    Cancelled,
}

/// What a plugin's `probe` says about an attempt whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum ProbeAnswer {
    /// The effect is there, with these outputs.
    Happened {
        /// The outputs, as `execute` would have given them.
        outputs: Value,
    },
    /// The effect is not there: it is safe to try again.
    DidNotHappen,
    /// It cannot be told; the step's in-doubt policy decides.
    CannotTell {
        /// Why not.
        reason: String,
    },
}
