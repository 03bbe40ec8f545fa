//! Retries and their delays: exponential backoff with a cap and jitter. And what is done about doubt.

use serde::{Deserialize, Serialize};

/// Retries of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Retry {
    /// Attempts after the first one.
    pub count: u32,
    /// The first delay.
    pub backoff_ms: u64,
    /// The longest delay.
    pub max_ms: u64,
    /// Whether each delay is drawn between half and all of its length.
    pub jitter: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self { count: 0, backoff_ms: 1_000, max_ms: 60_000, jitter: true }
    }
}

/// What to do with an attempt of which nobody knows whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum InDoubt {
    /// Ask the plugin; if it cannot tell: ask a person where the step is irreversible, else try again.
    Probe,
    /// Try again without asking: the author says that the step is idempotent.
    Rerun,
    /// Ask a person.
    Ask,
}

impl InDoubt {
    /// The word for it in runbooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            InDoubt::Probe => "probe",
            InDoubt::Rerun => "rerun",
            InDoubt::Ask => "ask",
        }
    }
}

/// The delay before the next attempt, in milliseconds, after `failures` failed ones (from 1).
///
/// The full delay is `backoff * 2^(failures - 1)`, at most `max`. With jitter, it is drawn evenly between half and all of
/// that ("equal jitter"), so that many runs that failed together do not return together.
pub fn backoff_ms(retry: &Retry, failures: u32, random: u64) -> u64 {
    let doublings = failures.saturating_sub(1).min(32);
    let full = retry.backoff_ms.saturating_mul(1_u64 << doublings).min(retry.max_ms);
    if !retry.jitter || full < 2 {
        return full;
    }
    let half = full / 2;
    half + random % (full - half + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(jitter: bool) -> Retry {
        Retry { count: 5, backoff_ms: 100, max_ms: 1_000, jitter }
    }

    #[test]
    fn doubles_up_to_the_cap() {
        let delays: Vec<u64> = (1..=6).map(|n| backoff_ms(&retry(false), n, 7)).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(backoff_ms(&retry(false), u32::MAX, 0), 1_000);
    }

    #[test]
    fn jitter_stays_between_half_and_all() {
        for random in 0..2_000 {
            let delay = backoff_ms(&retry(true), 3, random);
            assert!((200..=400).contains(&delay), "{delay}");
        }
    }
}
