//! What was looked at, and what was found.

use lifeboat_core::Error;
use lifeboat_core::ids::Digest;
use lifeboat_core::plan::{Mode, Plan};
use serde::{Deserialize, Serialize};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ReadinessRow))]
pub struct Row {
    /// Whether it is as it has to be.
    pub ok: bool,
    /// What it is about: a step, a target, a secret, a plugin.
    pub about: String,
    /// What was found.
    pub finding: String,
    /// The code of what is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Row {
    /// Something that is as it has to be.
    pub fn good(about: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { ok: true, about: about.into(), finding: finding.into(), code: None, mend: None }
    }

    /// Something that is in the way.
    pub fn bad(about: impl Into<String>, error: Error) -> Self {
        let mend = error.hint.unwrap_or_else(|| format!("'lifeboat explain {}' tells what can be done", error.code));
        let code = Some(error.code.to_string());
        Self { ok: false, about: about.into(), finding: error.message, code, mend: Some(mend) }
    }
}

/// What a look came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Readiness {
    /// The runbook.
    pub runbook: String,
    /// The mode.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub mode: Mode,
    /// The site that was taken for lost.
    pub site_lost: Option<String>,
    /// Whether nothing is in the way.
    pub ready: bool,
    /// All that was looked at.
    pub rows: Vec<Row>,
    /// The fingerprint of the plan that was looked at.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub fingerprint: Digest,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl Readiness {
    /// What a look at a plan came to that found these rows.
    pub fn of(plan: &Plan, site_lost: Option<String>, rows: Vec<Row>, at_ms: u64) -> Self {
        let (runbook, mode, fingerprint) = (plan.runbook.clone(), plan.mode, plan.fingerprint());
        let ready = rows.iter().all(|row| row.ok);
        Self { runbook, mode, site_lost, ready, rows, fingerprint, at_ms }
    }

    /// How many things are in the way.
    pub fn problems(&self) -> usize {
        self.rows.iter().filter(|row| !row.ok).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_has_a_code_and_what_mends_it_always() {
        let row = Row::bad("secret x", Error::new("LB0710", "it is not there"));
        assert_eq!(row.mend.as_deref(), Some("'lifeboat explain LB0710' tells what can be done"));
        assert_eq!((row.ok, row.code.as_deref()), (false, Some("LB0710")));
        let hinted = Row::bad("secret x", Error::new("LB0710", "it is not there").hint("export it"));
        assert_eq!(hinted.mend.as_deref(), Some("export it"));
        let text = serde_json::to_string(&Row::good("a", "b")).unwrap();
        assert_eq!(text, r#"{"ok":true,"about":"a","finding":"b"}"#);
        assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), Row::good("a", "b"));
    }
}
