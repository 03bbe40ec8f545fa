//! The words for what happens to runs, as events have them: for logs and traces.

use lifeboat_core::event::{EventKind, RunResult};
use lifeboat_core::ids::StepId;
use lifeboat_core::outcome::Outcome;

/// The word for an event, as it is stored.
pub(crate) const fn word(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::RunCreated { .. } => "run-created",
        EventKind::AttemptStarted { .. } => "attempt-started",
        EventKind::AttemptFinished { .. } => "attempt-finished",
        EventKind::Checkpointed { .. } => "checkpointed",
        EventKind::Probed { .. } => "probed",
        EventKind::ApprovalRequested { .. } => "approval-requested",
        EventKind::Approved { .. } => "approved",
        EventKind::Denied { .. } => "denied",
        EventKind::ApprovalExpired { .. } => "approval-expired",
        EventKind::WaitStarted { .. } => "wait-started",
        EventKind::WaitEnded { .. } => "wait-ended",
        EventKind::StepRetried { .. } => "step-retried",
        EventKind::StepSkipped { .. } => "step-skipped",
        EventKind::StepMarkedDone { .. } => "step-marked-done",
        EventKind::StepNotNeeded { .. } => "step-not-needed",
        EventKind::ConditionUnclear { .. } => "condition-unclear",
        EventKind::LocksAwaited { .. } => "locks-awaited",
        EventKind::LocksTaken { .. } => "locks-taken",
        EventKind::RunPaused { .. } => "run-paused",
        EventKind::RunUnpaused { .. } => "run-unpaused",
        EventKind::RunAbandoned { .. } => "run-abandoned",
        EventKind::RunContinued { .. } => "run-continued",
        EventKind::CancelRequested { .. } => "cancel-requested",
        EventKind::UnwindStarted { .. } => "unwind-started",
        EventKind::SuspectHeld { .. } => "suspect-held",
        EventKind::SuspectAttested { .. } => "suspect-attested",
        EventKind::ResourcesIntended { .. } => "resources-intended",
        EventKind::CleanupStarted { .. } => "cleanup-started",
        EventKind::RunFinished { .. } => "run-finished",
    }
}

/// The step that an event is about.
pub(crate) const fn step(kind: &EventKind) -> Option<&StepId> {
    match kind {
        EventKind::AttemptStarted { step, .. }
        | EventKind::AttemptFinished { step, .. }
        | EventKind::Checkpointed { step, .. }
        | EventKind::Probed { step, .. }
        | EventKind::ApprovalRequested { step, .. }
        | EventKind::Approved { step, .. }
        | EventKind::Denied { step, .. }
        | EventKind::ApprovalExpired { step }
        | EventKind::WaitStarted { step, .. }
        | EventKind::WaitEnded { step }
        | EventKind::StepRetried { step, .. }
        | EventKind::StepSkipped { step, .. }
        | EventKind::StepMarkedDone { step, .. }
        | EventKind::StepNotNeeded { step, .. }
        | EventKind::ConditionUnclear { step, .. }
        | EventKind::SuspectHeld { step, .. }
        | EventKind::SuspectAttested { step, .. }
        | EventKind::ResourcesIntended { step, .. } => Some(step),
        _ => None,
    }
}

/// The word for an outcome.
pub(crate) const fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done { .. } => "done",
        Outcome::Failed { .. } => "failed",
        Outcome::Unknown { .. } => "unknown",
    }
}

/// How a run ended, if this is its end.
pub(crate) const fn end(kind: &EventKind) -> Option<&'static str> {
    match kind {
        EventKind::RunFinished { result: RunResult::Succeeded } => Some("succeeded"),
        EventKind::RunFinished { result: RunResult::Failed } => Some("failed"),
        EventKind::RunFinished { result: RunResult::Cancelled } => Some("cancelled"),
        EventKind::RunFinished { result: RunResult::Abandoned }
        | EventKind::RunAbandoned { .. }
        | EventKind::RunContinued { .. } => Some("abandoned"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::event::Said;

    use super::*;

    #[test]
    fn the_words_are_those_of_stored_events() {
        let step = StepId::from("a");
        let said = Said { by: "ada".to_owned(), why: String::new() };
        for kind in [
            EventKind::ApprovalExpired { step: step.clone() },
            EventKind::StepMarkedDone {
                step,
                outputs: serde_json::json!({}),
                evidence: Vec::new(),
                said: said.clone(),
            },
            EventKind::RunAbandoned { said },
            EventKind::RunFinished { result: RunResult::Failed },
            EventKind::UnwindStarted { cause: None },
        ] {
            let stored = serde_json::to_value(&kind).unwrap();
            assert_eq!(stored["event"], word(&kind));
            assert_eq!(stored.get("step").and_then(|step| step.as_str()), super::step(&kind).map(StepId::as_str));
            if let EventKind::RunFinished { .. } = kind {
                assert_eq!(stored["result"].as_str(), end(&kind));
            }
        }
    }
}
