//! What a runbook, and the operator, say about the alerts that start it.

use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Batch};
use crate::limits::{AGREE_WINDOW_MS, BUDGET_DEFAULT, BUDGET_WINDOW_MS};
use crate::matcher::Matchers;

/// So many independent probes have to say that it is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agree {
    /// How many.
    pub count: u32,
    /// Which ones count; all if it is empty.
    pub of: Vec<String>,
    /// The label of an alert that names the probe; `None`: each source is one.
    pub label: Option<String>,
    /// How long the word of a probe counts, in milliseconds.
    pub within_ms: u64,
}

impl Agree {
    /// So many probes of any name, each within an hour.
    pub const fn new(count: u32) -> Self {
        Self { count, of: Vec::new(), label: None, within_ms: AGREE_WINDOW_MS }
    }
}

/// How many automatic runs of a runbook there may be in a window of time. Past that, a person is paged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// How many.
    pub starts: u32,
    /// In how many milliseconds.
    pub window_ms: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { starts: BUDGET_DEFAULT, window_ms: BUDGET_WINDOW_MS }
    }
}

/// `on "alert"` of a runbook, with what the operator adds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trigger {
    /// The runbook. A name without blanks.
    pub runbook: String,
    /// The mode of the run.
    pub mode: String,
    /// The sources whose alerts count.
    pub sources: Vec<String>,
    /// What an alert has to have.
    pub matchers: Matchers,
    /// The labels that make an incident; without any, the group that the source makes.
    pub group: Vec<String>,
    /// How long it has to last before a run starts, in milliseconds.
    pub hold_ms: u64,
    /// How many probes have to agree.
    pub agree: Option<Agree>,
    /// How many automatic runs there may be.
    pub budget: Budget,
    /// The runbook allows an automatic run to go past the point of no return.
    pub runbook_past_no_return: bool,
    /// The operator allows it, too.
    pub operator_past_no_return: bool,
}

impl Trigger {
    /// The group that an alert belongs to, for this trigger.
    pub(crate) fn group_of(&self, batch: &Batch, alert: &Alert) -> String {
        if self.group.is_empty() {
            return format!("{}:{}", batch.source, batch.group);
        }
        // A separator within a value must not make two groups one.
        let escaped = |text: &str| text.replace('%', "%25").replace(',', "%2C");
        let part = |label: &String| format!("{label}={}", escaped(alert.labels.get(label).map_or("", String::as_str)));
        self.group.iter().map(part).collect::<Vec<_>>().join(",")
    }

    /// The probe that an alert is the word of.
    pub(crate) fn probe_of(&self, batch: &Batch, alert: &Alert) -> Option<String> {
        match &self.agree.as_ref()?.label {
            Some(label) => alert.labels.get(label).filter(|name| !name.is_empty()).cloned(),
            None => Some(batch.source.clone()),
        }
    }
}
