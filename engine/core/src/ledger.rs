//! The ledger of a run: what its steps make in the world and somebody has to remove again.
//!
//! What a step will make stands in the plan ([`Makes`]), so that it is looked at and approved with it. Before the first
//! attempt of the step it becomes an entry with places and times ([`Resource`]), durable before anything is made. At the end of
//! the run, however it ends, the entries are cleaned up, the newest first; what cannot be removed is named, and may be tried
//! again by a person.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::condition::context;
use crate::outcome::Failure;
use crate::plan::{Plan, Retry, Step};
use crate::state::RunState;
use crate::template;

/// How long a drill's leftovers may stay before they are called overdue, where the runbook says nothing: one day.
pub const KEEP_DEFAULT_MS: u64 = 24 * 60 * 60 * 1_000;

/// How a cleanup is tried again, whatever the step's own policy is: it is idempotent, and what it leaves costs money or
/// stands in the way of the next drill.
pub const CLEANUP_RETRY: Retry = Retry { count: 5, backoff_ms: 1_000, max_ms: 60_000, jitter: true };

/// What a step makes and somebody has to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Makes {
    /// The target that it is made at.
    pub target: String,
    /// What it is, in words.
    pub what: String,
    /// Whether the place is this run's alone: its `root` or `prefix` names the run, and all that is below it is removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// Whether anybody can remove it by itself: the plugin says so, or the place is the run's own.
    pub removable: bool,
    /// How long it may stay, in milliseconds from its intent.
    pub keep_ms: u64,
}

/// An entry of the ledger, written before anything is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resource {
    /// The target that it is made at.
    pub target: String,
    /// The target's plugin.
    pub plugin: String,
    /// What it is, in words.
    pub what: String,
    /// Where it is, as people find it: a path, a bucket with a prefix, or the settings of the target.
    pub place: String,
    /// Whether the place is this run's alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// Whether anybody can remove it by itself.
    pub removable: bool,
    /// Until when it may stay.
    pub expires_at: u64,
}

/// Where the entries of one step are.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Made {
    /// It may be there.
    There,
    /// An attempt to remove it is under way.
    Removing {
        /// Which attempt.
        number: u32,
        /// Its fencing token.
        token: u64,
    },
    /// It is tried again.
    Waiting {
        /// When.
        until: u64,
    },
    /// It is gone.
    Removed {
        /// Since when.
        at: u64,
    },
    /// It could not be removed.
    Left {
        /// Why.
        failure: Failure,
    },
}

impl Made {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Made::There => "there",
            Made::Removing { .. } => "removing",
            Made::Waiting { .. } => "retrying",
            Made::Removed { .. } => "removed",
            Made::Left { .. } => "left",
        }
    }
}

/// What is known of the things that one step makes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// When the intent was written.
    pub intended_at: u64,
    /// What was to be made.
    pub resources: Vec<Resource>,
    /// Where it is now.
    #[serde(flatten)]
    pub made: Made,
    /// Attempts to remove it so far.
    pub attempts: u32,
    /// Those that failed since a person last asked for a cleanup.
    pub failures: u32,
}

impl Entry {
    /// Whether it is gone.
    pub const fn is_removed(&self) -> bool {
        matches!(self.made, Made::Removed { .. })
    }
}

/// The reference that makes a place the run's own.
const RUN: &str = "{{run.id}}";

/// Whether the place that these settings name is one run's alone: its `root` or its `prefix` has the run's name in it. The settings
/// are those of the plan, with references.
pub fn is_own(settings: &Value) -> bool {
    let names_run = |name: &str| settings.get(name).and_then(Value::as_str).is_some_and(|text| text.contains(RUN));
    names_run("root") || names_run("prefix")
}

/// Where the settings lead, in words.
fn place(settings: &Value) -> String {
    let text = |name: &str| settings.get(name).and_then(Value::as_str);
    if let Some(root) = text("root") {
        return root.to_owned();
    }
    match (text("bucket").or_else(|| text("container")), text("prefix")) {
        (Some(bucket), Some(prefix)) => format!("{bucket}/{prefix}"),
        (Some(bucket), None) => bucket.to_owned(),
        (None, _) => crate::plan::plugin_settings(settings),
    }
}

/// What the step will make, as entries, if it has any.
pub fn intents(state: &RunState, step: &Step, now: u64) -> Vec<Resource> {
    let entry = |makes: &Makes| {
        let target = state.plan.targets.get(&makes.target);
        let settings = target.map_or_else(|| Value::Object(Map::new()), |target| target.settings.clone());
        // A reference that has no value makes the attempt fail; the entry then names the place as it is written.
        let rendered = template::render_value(&settings, &context(state, &settings)).unwrap_or(settings);
        Resource {
            target: makes.target.clone(),
            plugin: target.map_or_else(String::new, |target| target.plugin.clone()),
            what: makes.what.clone(),
            place: place(&rendered),
            own: makes.own,
            removable: makes.removable,
            expires_at: now.saturating_add(makes.keep_ms),
        }
    };
    step.makes.iter().map(entry).collect()
}

/// One line of a ledger: one resource, with where it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line<'a> {
    /// The step that made it.
    pub step: &'a str,
    /// What it is.
    #[serde(flatten)]
    pub resource: &'a Resource,
    /// The word for where it stands.
    pub state: &'static str,
    /// Why it is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<&'a Failure>,
}

/// The ledger of a run, in the order in which it was written.
pub fn lines(state: &RunState) -> Vec<Line<'_>> {
    let mut found: Vec<(u64, Line<'_>)> = Vec::new();
    for (step, now) in state.steps() {
        let Some(entry) = &now.ledger else { continue };
        let failure = if let Made::Left { failure } = &entry.made { Some(failure) } else { None };
        let state = entry.made.as_str();
        let line = |resource| (entry.intended_at, Line { step: step.id.as_str(), resource, state, failure });
        found.extend(entry.resources.iter().map(line));
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, line)| line).collect()
}

/// How many things of the run may still be there, and of how many.
pub fn left(state: &RunState) -> (usize, usize) {
    let all = lines(state);
    (all.iter().filter(|line| line.state != "removed").count(), all.len())
}

/// How many things the plan says that its steps will make.
pub fn planned(plan: &Plan) -> usize {
    plan.steps.iter().map(|step| step.makes.len()).sum()
}
