//! Whether a runbook is known to work: from the drills that it passed, under the policy that it states itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::Digest;
use crate::measure::Measured;
use crate::plan::{Objectives, Step};
use crate::state::{Phase, RunState, RunStatus};
use crate::{Error, ledger};

/// What a runbook asks for: `verification every="7d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// For how long a passed drill counts, in milliseconds.
    pub every_ms: u64,
}

/// A drill that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drill {
    /// When its last step came to an end.
    pub at: u64,
    /// Whether it passed: see [`verdict`].
    pub passed: bool,
    /// The digest of the runbook's text that it ran.
    pub source: Digest,
}

impl Drill {
    /// What a drill that has ended counts for.
    pub fn of(state: &RunState, found: &Measured) -> Self {
        let at = found.ended_at.unwrap_or(state.updated_at);
        Self { at, passed: verdict(state, found).passed, source: state.plan.source.clone() }
    }
}

/// How a drill went, with what was not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether all was as it should be.
    pub passed: bool,
    /// What was not.
    pub because: Vec<String>,
}

/// The verdict on a drill that has ended: it passes when it succeeded within its objectives, when its checks noticed every damage that
/// was tried, and when nothing of it is left.
pub fn verdict(state: &RunState, found: &Measured) -> Verdict {
    let Objectives { rto_ms, rpo_ms, .. } = state.plan.objectives;
    let mut because = Vec::new();
    if state.status() != RunStatus::Succeeded {
        let bad = |phase: &Phase| matches!(phase, Phase::Failed { .. } | Phase::UndoFailed { .. });
        let failed = state.steps().filter(|(_, now)| bad(&now.phase));
        let names: Vec<&str> = failed.map(|(step, _)| step.id.as_str()).collect();
        let which = if names.is_empty() { String::new() } else { format!(" at {}", names.join(", ")) };
        because.push(format!("it {}{which}", ended(state.status())));
    }
    if rto_ms.is_some_and(|rto| found.rta_ms > rto) {
        because.push("it took longer than the RTO".to_owned());
    }
    if rpo_ms.zip(found.rpa_ms).is_some_and(|(rpo, rpa)| rpa > rpo) {
        because.push("more was lost than the RPO allows".to_owned());
    }
    let missed = checks(state).filter(|(_, check)| !is_caught(check)).count();
    if missed > 0 {
        because.push(format!("its checks would miss {missed} of {} damages", checks(state).count()));
    }
    let (left, all) = ledger::left(state);
    if left > 0 {
        because.push(format!("{left} of {all} left"));
    }
    Verdict { passed: because.is_empty(), because }
}

const fn ended(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Cancelled => "was cancelled",
        RunStatus::Abandoned => "was abandoned",
        RunStatus::Failed => "failed",
        other => other.as_str(),
    }
}

/// What came of damaging copies of what was restored, where that was tried: each with the step that checked.
pub fn checks(state: &RunState) -> impl Iterator<Item = (&Step, &Value)> {
    let tried = state.steps().filter_map(|(step, now)| Some((step, now.outputs.as_ref()?.get("checks")?.as_array()?)));
    tried.flat_map(|(step, checks)| checks.iter().map(move |check| (step, check)))
}

/// Whether a damage was noticed.
pub fn is_caught(check: &Value) -> bool {
    check.get("caught") == Some(&Value::Bool(true))
}

/// What is known of a runbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Verification {
    /// No drill shows that it works as it is now.
    NeedsVerification {
        /// Why not.
        because: Why,
    },
    /// The last drill passed, and counts.
    Verified {
        /// Until when it does; for ever where the runbook states no policy.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<u64>,
    },
    /// The last drill passed too long ago.
    Stale {
        /// Since when.
        since: u64,
    },
}

/// Why a runbook needs a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// There was none.
    NeverDrilled,
    /// The last one failed.
    LastFailed,
    /// It ran another text.
    Changed,
}

impl Why {
    /// The words for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::NeverDrilled => "it was never drilled",
            Why::LastFailed => "its last drill did not pass",
            Why::Changed => "it has changed since its last drill",
        }
    }
}

impl Verification {
    /// Whether it counts as working now.
    pub const fn holds(&self) -> bool {
        matches!(self, Verification::Verified { .. })
    }
}

/// What is known of a runbook with that text now. The order of the drills does not matter; the newest one decides.
pub fn verification(policy: Option<Policy>, drills: &[Drill], source: &Digest, now: u64) -> Verification {
    let Some(last) = drills.iter().max_by_key(|drill| drill.at) else {
        return Verification::NeedsVerification { because: Why::NeverDrilled };
    };
    if !last.passed {
        return Verification::NeedsVerification { because: Why::LastFailed };
    }
    if &last.source != source {
        return Verification::NeedsVerification { because: Why::Changed };
    }
    let until = policy.map(|policy| last.at.saturating_add(policy.every_ms));
    match until {
        Some(until) if until <= now => Verification::Stale { since: until },
        until => Verification::Verified { until },
    }
}

/// Whether something may start the runbook without a person, where the operator wants it verified for that.
///
/// # Errors
/// `LB1153` when it is not verified now.
pub fn may_start_by_itself(runbook: &str, wanted: bool, found: &Verification) -> Result<(), Error> {
    let why = match found {
        _ if !wanted => return Ok(()),
        Verification::Verified { .. } => return Ok(()),
        Verification::NeedsVerification { because } => because.as_str(),
        Verification::Stale { .. } => "its last drill was too long ago",
    };
    Err(Error::new("LB1153", format!("runbook '{runbook}' is not started by itself: {why}"))
        .hint("drill it, or start it by hand; 'lifeboat drills' tells how its drills went"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drill(at: u64, passed: bool, text: &str) -> Drill {
        Drill { at, passed, source: Digest::of(text.as_bytes()) }
    }

    #[test]
    fn the_newest_drill_decides() {
        let (now, policy) = (Digest::of(b"now"), Some(Policy { every_ms: 100 }));
        let state = |drills: &[Drill], at: u64| verification(policy, drills, &now, at);
        let needs = |because| Verification::NeedsVerification { because };
        assert_eq!(state(&[], 0), needs(Why::NeverDrilled));
        let good = drill(10, true, "now");
        assert_eq!(state(std::slice::from_ref(&good), 109), Verification::Verified { until: Some(110) });
        assert_eq!(state(std::slice::from_ref(&good), 110), Verification::Stale { since: 110 });
        assert_eq!(state(&[drill(20, false, "now"), good.clone()], 30), needs(Why::LastFailed));
        assert_eq!(state(&[good.clone(), drill(20, true, "before")], 30), needs(Why::Changed));
        assert_eq!(state(&[drill(5, false, "now"), good.clone()], 30), Verification::Verified { until: Some(110) });
        assert_eq!(verification(None, &[good], &now, u64::MAX), Verification::Verified { until: None });
    }

    #[test]
    fn only_where_it_is_wanted_a_stale_runbook_is_not_started() {
        let stale = Verification::Stale { since: 5 };
        assert_eq!(may_start_by_itself("shop", false, &stale), Ok(()));
        assert_eq!(may_start_by_itself("shop", true, &Verification::Verified { until: None }), Ok(()));
        let error = may_start_by_itself("shop", true, &stale).unwrap_err();
        assert_eq!(error.code.0, "LB1153");
        assert!(error.message.contains("'shop'") && error.message.contains("too long ago"), "{error}");
    }
}
