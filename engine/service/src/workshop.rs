//! What the service needs of the rest: runbooks compiled, plugins named. The program that puts the parts together gives it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::Error;
use lifeboat_core::plan::{Mode, Objectives, Plan};
use lifeboat_core::ports::BoxFuture;
use lifeboat_core::verified::Policy;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use lifeboat_alerts::kernel::Trigger;
use lifeboat_readiness::{Past, Row};
use lifeboat_schedule::{Rule, Spec};

/// A mistake or a warning about a runbook, as `lifeboat check --format json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Diagnosis {
    /// The code, which has a page.
    pub code: String,
    /// `error` or `warning`.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// The file.
    pub file: String,
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
    /// What to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Diagnosis {
    /// Whether the file is refused for it.
    pub fn is_error(&self) -> bool {
        self.severity == "error"
    }
}

/// An input of a runbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InputView {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it has to be given.
    pub required: bool,
}

/// A schedule of a runbook.
#[derive(Clone, Debug)]
pub struct ScheduleRule {
    /// The runbook.
    pub runbook: String,
    /// The mode of its runs.
    pub mode: Mode,
    /// As it is written.
    pub spec: Spec,
    /// When it is due. Its name is unique among all schedules.
    pub rule: Rule,
}

/// What alerts start of a runbook.
#[derive(Clone, Debug)]
pub struct AlertTrigger {
    /// Which alerts, and what.
    pub trigger: Trigger,
    /// Whether the operator lets them.
    pub allowed: bool,
    /// Whether the operator lets them only while the runbook is verified by its drills.
    pub verified: bool,
}

/// A file that was looked at.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// The name of the runbook in it; `None`: there is none, or it cannot be read so far.
    pub name: Option<String>,
    /// What it is for.
    pub description: String,
    /// The modes that it can be run in.
    pub modes: Vec<Mode>,
    /// Its inputs.
    pub inputs: Vec<InputView>,
    /// What the business asked for.
    pub objectives: Objectives,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnosis>,
    /// The further files that were read for it.
    pub files: Vec<PathBuf>,
    /// When it runs by itself.
    pub schedules: Vec<ScheduleRule>,
    /// Which alerts start it.
    pub alerts: Vec<AlertTrigger>,
}

/// A compiled runbook.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The plan.
    pub plan: Plan,
    /// The text of all its files.
    pub text: String,
    /// What a person should look at.
    pub warnings: Vec<Diagnosis>,
    /// How often it has to be drilled to count as verified, where it says so.
    pub verification: Option<Policy>,
}

/// Why there is no plan.
#[derive(Clone, Debug)]
pub enum Refused {
    /// The runbook has mistakes.
    Mistakes(Vec<Diagnosis>),
    /// Something else.
    Error(Error),
}

/// What readiness is looked at.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The plan.
    pub plan: Arc<Plan>,
    /// How often its runbook wants to be drilled.
    pub verification: Option<Policy>,
    /// What earlier runs say.
    pub past: Past,
    /// The site that is taken for lost.
    pub site_lost: Option<String>,
    /// How long it may take. What was not looked at by then is told in a row.
    pub limit: Duration,
}

/// A snapshot of a vault, as `lifeboat snapshots --format json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SnapshotView {
    /// Its id.
    pub id: String,
    /// When it was taken, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What it is of.
    pub label: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Files in it.
    pub files: u64,
    /// Bytes in it.
    pub bytes: u64,
    /// Bytes that it added to the vault.
    pub bytes_added: u64,
    /// The snapshot that it was made after.
    pub parent: Option<String>,
    /// Why it is suspect, if it is.
    pub suspect: Vec<String>,
}

/// Makes plans of runbooks. Its methods may take long, and are called where that does no harm.
pub trait Workshop: Send + Sync + 'static {
    /// Looks at a file in all modes.
    fn look(&self, file: &Path) -> Looked;
    /// Compiles a runbook.
    ///
    /// # Errors
    /// Its mistakes, or what else is in the way.
    fn compile(&self, file: &Path, mode: Mode, inputs: &BTreeMap<String, String>) -> Result<Compiled, Refused>;
    /// Looks whether a plan could be carried out now. Nothing is changed by it.
    ///
    /// # Errors
    /// `LB1155` the plan has nothing at the site that is taken for lost.
    fn readiness(&self, asked: Asked) -> BoxFuture<'_, Result<Vec<Row>, Error>>;
    /// The snapshots of a vault that a plan names, oldest first.
    ///
    /// # Errors
    /// `LB0902` there is no such vault; what the vault has against it.
    fn snapshots(&self, plan: Plan, vault: String) -> BoxFuture<'_, Result<Vec<SnapshotView>, Error>>;
    /// The plugins, each as it describes itself, with its digest.
    fn plugins(&self) -> Vec<Value>;
    /// The roles of a person, for approvals; `None` where the operator keeps no list.
    fn roles_of(&self, person: &str) -> Option<Vec<String>>;
    /// All people that have a role; empty where the operator keeps no list.
    fn people(&self) -> Vec<String>;
}
