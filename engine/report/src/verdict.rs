//! What came of a run, in a word and a sentence. It comes first, because it is what is asked first.

use lifeboat_core::plan::Mode;
use lifeboat_core::state::RunStatus;
use lifeboat_evidence::Facts;
use lifeboat_evidence::words::duration;
use serde::Serialize;

use crate::page::Tone;

/// The verdict on a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// How it is meant.
    pub tone: Tone,
    /// In a few words.
    pub word: String,
    /// In a sentence.
    pub sentence: String,
}

impl Verdict {
    /// The verdict on these facts.
    pub fn of(facts: &Facts) -> Self {
        let took = duration(facts.rta_ms);
        match facts.status {
            RunStatus::Succeeded => succeeded(facts, &took),
            RunStatus::Failed => ended(facts, "Failed", format!("It failed after {took}{}.", cause(facts))),
            RunStatus::Cancelled => ended(facts, "Cancelled", format!("It was cancelled after {took}.")),
            RunStatus::Abandoned => {
                ended(facts, "Abandoned", format!("A person took over after {took}, and left everything as it was."))
            }
            other => Self {
                tone: Tone::Warn,
                word: format!("Not ended: {}", other.as_str()),
                sentence: format!("What follows is the state after {took}, when the last event happened."),
            },
        }
    }
}

fn succeeded(facts: &Facts, took: &str) -> Verdict {
    let word = match facts.mode {
        Mode::Drill => "Drill passed",
        Mode::Failover => "Recovered",
        Mode::Switchover | Mode::Failback => "Succeeded",
    };
    let rto = facts.objectives.rto_ms.map(duration);
    let rpo = facts.objectives.rpo_ms.map(duration);
    let mut parts = match (facts.within_rto, rto) {
        (Some(true), Some(rto)) => vec![format!("It took {took}, within the objective of {rto}")],
        (Some(false), Some(rto)) => vec![format!("It took {took}, longer than the objective of {rto}")],
        _ => vec![format!("It took {took}; the runbook has no objective for that")],
    };
    parts.extend(facts.data_loss.at_most_ms.filter(|loss| *loss > 0).map(|loss| {
        let against = match (facts.data_loss.within_rpo, &rpo) {
            (Some(true), Some(rpo)) => format!(", within the objective of {rpo}"),
            (Some(false), Some(rpo)) => format!(", more than the objective of {rpo}"),
            _ => String::new(),
        };
        format!("at most {} of data was lost{against}", duration(loss))
    }));
    let missed = facts.within_rto == Some(false) || facts.data_loss.within_rpo == Some(false);
    let skipped = facts.steps.iter().filter(|step| step.phase == "skipped").count();
    if skipped > 0 {
        parts.push(format!("{skipped} of {} steps were skipped by a person", facts.steps.len()));
    }
    let bad = facts.drill.as_ref().filter(|drill| !drill.passed);
    if let Some(drill) = bad {
        let word = "Drill not passed".to_owned();
        parts.push(drill.because.join("; "));
        return Verdict { tone: Tone::Bad, word, sentence: format!("{}.", parts.join("; ")) };
    }
    let (tone, word) = match (missed, skipped) {
        (true, _) => (Tone::Warn, format!("{word}, an objective is missed")),
        (false, 1..) => (Tone::Warn, format!("{word}, with steps skipped")),
        _ => (Tone::Good, word.to_owned()),
    };
    Verdict { tone, word, sentence: format!("{}.", parts.join("; ")) }
}

fn ended(facts: &Facts, word: &str, sentence: String) -> Verdict {
    let word = if facts.mode == Mode::Drill { format!("Drill {}", word.to_lowercase()) } else { word.to_owned() };
    Verdict { tone: Tone::Bad, word, sentence }
}

/// The first step that failed, with its reason.
fn cause(facts: &Facts) -> String {
    let failed = facts.steps.iter().filter(|step| matches!(step.phase.as_str(), "failed" | "undo-failed"));
    let first = failed.min_by_key(|step| step.to);
    first.map_or_else(String::new, |step| {
        let why = step.why.as_deref().map_or_else(String::new, |why| format!(": {}", why.trim_end_matches('.')));
        format!(" at step '{}'{why}", step.step)
    })
}
