//! The plan: a runbook compiled for one mode and one set of inputs. It is a value that is shown, approved, stored and run.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::corruption::Corruption;
use crate::ids::{Digest, StepId};
use crate::ledger::{CLEANUP_RETRY, Makes};
pub use crate::policy::{InDoubt, Retry};
use crate::ports::Direction;

/// The version of the plan's format. A run whose plan has a later one is not touched by this engine.
pub const PLAN_FORMAT: u32 = 1;

/// Why the run is made. What differs between modes is written in the runbook; what they promise is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Unplanned; the primary is lost or suspect; data may be lost.
    Failover,
    /// Planned; both sides are healthy; nothing is lost.
    Switchover,
    /// Back to the original site.
    Failback,
    /// A rehearsal in isolation: only drill grants are given.
    Drill,
}

impl Mode {
    /// All modes, in the order in which they are listed to people.
    pub const ALL: [Mode; 4] = [Mode::Failover, Mode::Switchover, Mode::Failback, Mode::Drill];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Failover => "failover",
            Mode::Switchover => "switchover",
            Mode::Failback => "failback",
            Mode::Drill => "drill",
        }
    }

    /// The mode of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

/// The kinds of step. Six are carried out by plugins, the rest by the engine itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Make a recovery point of a target in a vault.
    Snapshot,
    /// Prove that a recovery point is whole.
    Verify,
    /// Copy a recovery point to another vault.
    Transfer,
    /// Bring a recovery point back into a target.
    Restore,
    /// Check that what was restored is what is expected.
    Validate,
    /// Make a target serve from another place.
    Switch,
    /// Ask people.
    Approve,
    /// Let time pass.
    Wait,
    /// Tell somebody.
    Notify,
}

impl StepKind {
    /// All kinds, in the order of a recovery.
    pub const ALL: [StepKind; 9] = [
        StepKind::Snapshot,
        StepKind::Verify,
        StepKind::Transfer,
        StepKind::Restore,
        StepKind::Validate,
        StepKind::Switch,
        StepKind::Approve,
        StepKind::Wait,
        StepKind::Notify,
    ];

    /// The node name in KDL.
    pub const fn as_str(self) -> &'static str {
        match self {
            StepKind::Snapshot => "snapshot",
            StepKind::Verify => "verify",
            StepKind::Transfer => "transfer",
            StepKind::Restore => "restore",
            StepKind::Validate => "validate",
            StepKind::Switch => "switch",
            StepKind::Approve => "approve",
            StepKind::Wait => "wait",
            StepKind::Notify => "notify",
        }
    }

    /// The kind of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether a plugin carries it out.
    pub const fn by_plugin(self) -> bool {
        self.has_attempts() && !matches!(self, StepKind::Notify)
    }

    /// Whether it is carried out in attempts, by a plugin or not.
    pub const fn has_attempts(self) -> bool {
        !matches!(self, StepKind::Approve | StepKind::Wait)
    }
}

/// What a step does to the world, as its plugin declares it. Ordered from harmless to final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Changes only what nothing depends on (a new copy, a scratch folder); leaving it behind does no harm.
    Reversible,
    /// Changes something that its `compensate` puts back.
    Compensatable,
    /// Cannot be put back.
    Irreversible,
}

impl Effect {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Reversible => "reversible",
            Effect::Compensatable => "compensatable",
            Effect::Irreversible => "irreversible",
        }
    }
}

/// What the business asked for. Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Objectives {
    /// Recovery time objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_ms: Option<u64>,
    /// Recovery point objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_ms: Option<u64>,
    /// Maximum tolerable period of disruption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtpd_ms: Option<u64>,
}

/// A thing acted on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Target {
    /// Its name in the runbook.
    pub name: String,
    /// The plugin that knows this kind of thing.
    pub plugin: String,
    /// Where it is, as the author labels sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Its settings: a JSON object, checked against the plugin's schema. Strings may hold `{{run.id}}`.
    pub settings: Value,
    /// Names of secrets by use (`password`, `credentials`), never the secrets themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// The name of the lock that a run holds from its first step to its end. Two runs never hold one lock at once. Set for
    /// targets that a step of the plan writes to. May hold `{{run.id}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
}

/// The name of the setting that holds how many bytes a second a vault may send there. Plugins are not shown it.
pub const UPLOAD_LIMIT: &str = "upload-limit";
/// The least that it may be, in bytes a second: below it a snapshot of any size takes days, and is a mistake of units.
pub const UPLOAD_LIMIT_MIN: u64 = 64 << 10;

impl Target {
    /// Sets how many bytes a second a vault may send to it.
    pub fn limit_uploads(&mut self, limit: u64) {
        if let Value::Object(settings) = &mut self.settings {
            settings.insert(UPLOAD_LIMIT.to_owned(), limit.into());
        }
    }

    /// How many bytes a second a vault may send to it; `None` for as many as go.
    pub fn upload_limit(&self) -> Option<u64> {
        self.settings.get(UPLOAD_LIMIT).and_then(Value::as_u64)
    }
}

/// The settings of a target as its plugin sees them, as JSON.
pub fn plugin_settings(settings: &Value) -> String {
    match settings {
        Value::Object(map) if map.contains_key(UPLOAD_LIMIT) => {
            let mut map = map.clone();
            map.remove(UPLOAD_LIMIT);
            Value::Object(map).to_string()
        }
        other => other.to_string(),
    }
}

/// Exactly which plugin a plan was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PluginPin {
    /// Its version, for people.
    pub version: String,
    /// The digest of its `.wasm` file, for the engine.
    pub digest: Digest,
}

/// The use that a step makes of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TargetUse {
    /// `of`, `into`, `from` or `target`: what the plugin calls it by.
    pub role: String,
    /// The name of the target.
    pub target: String,
}

/// How a step is carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Policy {
    /// The longest that one attempt may take.
    pub timeout_ms: u64,
    /// The longest silence (no progress, no log, no checkpoint) that is taken for life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_ms: Option<u64>,
    /// Retries.
    pub retry: Retry,
    /// In-doubt policy.
    pub in_doubt: InDoubt,
}

/// How a step is undone, where it differs from how it is carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UndoPolicy {
    /// The longest that one attempt to undo may take.
    pub timeout_ms: u64,
    /// Retries of the undo.
    pub retry: Retry,
}

/// What a condition asks of a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// It is there, and neither `false`, nor 0, nor an empty text, list or object.
    Holds,
    /// It is this. A number in a text is that number: inputs from a command line are texts.
    Is(Value),
    /// It is not this.
    Not(Value),
    /// It is a number, and larger.
    Above(serde_json::Number),
    /// It is a number, and smaller.
    Below(serde_json::Number),
}

/// A condition of a step: without it, the step is not needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Condition {
    /// A text with references to inputs and to outputs of earlier steps.
    pub value: String,
    /// What is asked of it.
    pub test: Test,
}

/// A step that stands for one item of a list: its place in the fan-out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fan {
    /// The name of the fan-out: the step as it was written.
    pub of: String,
    /// The item; it is filled in already wherever the step named it.
    pub item: Value,
    /// How many steps of this fan-out may be under way at once.
    pub limit: u32,
}

/// A rule that the author waived in writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Waiver {
    /// The code of the rule, as `LB0301`.
    pub rule: String,
    /// Why, in the author's words.
    pub reason: String,
}

/// What an `approve` step asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Approval {
    /// Who may answer.
    pub role: String,
    /// The people who have the role, as the operator's file said when the plan was made; empty where it keeps no roles: then
    /// whoever may open the data folder may answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// How many different people have to say yes.
    pub quorum: u32,
    /// How long the question stands; `None`: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// What it is.
    pub kind: StepKind,
    /// What it does to the world. `Read` for steps of the engine.
    pub effect: Effect,
    /// The plugin that carries it out; `None` for steps of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The targets it uses, by role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetUse>,
    /// Its arguments: a JSON object. Strings may hold references to outputs of earlier steps.
    pub args: Value,
    /// The steps that have to be complete before it: data references and `after=` alike.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<StepId>,
    /// How it is carried out.
    pub policy: Policy,
    /// Whether it is undone when the run unwinds.
    pub compensate: bool,
    /// How it is undone; `None`: with the policy of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoPolicy>,
    /// All of these have to hold when its turn comes; else it is not needed, and neither is what uses its outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Condition>,
    /// Its place in a fan-out, where it is part of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan: Option<Fan>,
    /// What the author or the plugin expects it to take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate_ms: Option<u64>,
    /// The capabilities that its plugin needs for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// The question, where it is an `approve`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// How long, where it is a `wait`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// What it makes and the run removes at its end: in drills.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub makes: Vec<Makes>,
    /// The damages that its checks have to notice in a drill, where it is a `validate`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corruptions: Vec<Corruption>,
    /// Rules waived for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<Waiver>,
    /// Whether it is a scan: once it is done, a suspect snapshot that comes before it holds no switch after it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scan: bool,
    /// The line of the runbook that it comes from, from 1.
    pub line: u32,
}

impl Step {
    /// The longest that one attempt in that direction may take.
    pub fn timeout_ms(&self, direction: Direction) -> u64 {
        self.undo_policy(direction).map_or(self.policy.timeout_ms, |undo| undo.timeout_ms)
    }

    /// The retries in that direction.
    pub fn retry(&self, direction: Direction) -> &Retry {
        if direction == Direction::Cleanup {
            return &CLEANUP_RETRY;
        }
        self.undo_policy(direction).map_or(&self.policy.retry, |undo| &undo.retry)
    }

    fn undo_policy(&self, direction: Direction) -> Option<&UndoPolicy> {
        self.undo.as_ref().filter(|_| direction == Direction::Undo)
    }
}

/// What happens when a step fails for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OnFailure {
    /// Undo what is done, in reverse order.
    pub compensate: bool,
    /// The channels that are told of it, besides the operator's own choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<String>,
}

/// A runbook compiled for one mode and one set of inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// The version of this format.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = PLAN_FORMAT)))]
    pub format: u32,
    /// The name of the runbook.
    pub runbook: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The mode it was compiled for.
    pub mode: Mode,
    /// Objectives.
    pub objectives: Objectives,
    /// Inputs with their values, defaults filled in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Value>,
    /// The targets that its steps use, as they are in this mode.
    pub targets: BTreeMap<String, Target>,
    /// The plugins that its steps and targets need.
    pub plugins: BTreeMap<String, PluginPin>,
    /// The steps, in the order of the source.
    pub steps: Vec<Step>,
    /// What happens on failure.
    pub on_failure: OnFailure,
    /// How many steps of this run may be under way at once.
    pub max_parallel: u32,
    /// The digest of the runbook's text, without what starts it.
    pub source: Digest,
}

impl Plan {
    /// The step of that name.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| &step.id == id)
    }

    /// Its inputs as they would be given on a command line. Those of child runbooks come from their parent.
    pub fn given_inputs(&self) -> BTreeMap<String, String> {
        let told = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => {
                items.iter().map(|item| item.as_str().unwrap_or_default()).collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        let own = self.inputs.iter().filter(|(name, _)| !name.contains('/'));
        own.map(|(name, value)| (name.clone(), told(value))).collect()
    }

    /// The names of the locks that a run of it needs, references not filled in.
    pub fn locks(&self) -> BTreeSet<&str> {
        self.targets.values().filter_map(|target| target.lock.as_deref()).collect()
    }

    /// The digest over the compiled plan, the plugins' digests, the inputs and the mode: what an approval names.
    pub fn fingerprint(&self) -> Digest {
        Digest::of_json(self)
    }
}
