//! A runbook as it was read: every name with its place, nothing resolved yet.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_alerts::Matchers;
use lifeboat_alerts::kernel::{Agree, Budget};
use lifeboat_core::plan::{Approval, Fan, InDoubt, Mode, Objectives, Retry, StepKind, Test, Waiver};
use lifeboat_core::template::Reference;
use lifeboat_core::verified::Policy;
use serde_json::Value;

use crate::diagnostic::Span;
use crate::each::EachDef;

/// A name or text with its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// The places of the parts of a JSON value, by JSON pointer.
pub(crate) type Places = BTreeMap<String, Span>;

/// The type of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputType {
    /// Any text.
    String,
    /// A whole number.
    Int,
    /// `true` or `false`.
    Bool,
    /// A length of time, as `90s`; kept as it is written.
    Duration,
    /// A path; kept as it is written.
    Path,
    /// Several texts; in one text, with commas between them.
    List,
}

impl InputType {
    pub(crate) const WORDS: [&'static str; 6] = ["string", "int", "bool", "duration", "path", "list"];

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "string" => Self::String,
            "int" => Self::Int,
            "bool" => Self::Bool,
            "duration" => Self::Duration,
            "path" => Self::Path,
            "list" => Self::List,
            _ => return None,
        })
    }

    /// The word for it in runbooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Bool => "bool",
            Self::Duration => "duration",
            Self::Path => "path",
            Self::List => "list",
        }
    }
}

/// Something that a run is given.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name.
    pub name: Named,
    /// Its type.
    pub kind: InputType,
    /// Whether a run has to give it.
    pub required: bool,
    /// Its value where a run does not give one.
    pub default: Option<Value>,
}

/// What a target says about its lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LockDef {
    /// It has this name.
    Name(Named),
    /// There is none.
    Off,
}

/// A target as it was written.
#[derive(Clone, Debug)]
pub struct TargetDef {
    /// Its name.
    pub name: Named,
    /// Its plugin.
    pub plugin: Named,
    /// Its site.
    pub site: Option<String>,
    pub(crate) settings: Value,
    pub(crate) places: Places,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) lock: Option<LockDef>,
    pub(crate) upload_limit: Option<u64>,
    pub(crate) head: Span,
    /// The references in its settings with where each was written; `None`: where the settings are.
    pub(crate) references: Option<Vec<(Reference, Span)>>,
}

/// What a mode uses instead of a target's settings.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    pub(crate) mode: Mode,
    pub(crate) target: Named,
    pub(crate) site: Option<String>,
    pub(crate) settings: Value,
    pub(crate) places: Places,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) lock: Option<LockDef>,
    pub(crate) upload_limit: Option<u64>,
    pub(crate) head: Span,
    /// As [`TargetDef::references`].
    pub(crate) references: Option<Vec<(Reference, Span)>>,
}

/// What starts a run by itself. It is no part of a plan: what a plan does, and its fingerprint, do not depend on it.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// By the clock.
    Schedule(ScheduleDef),
    /// By an alert.
    Alert(AlertDef),
}

impl Trigger {
    /// The mode of the run.
    pub const fn mode(&self) -> Mode {
        match self {
            Self::Schedule(schedule) => schedule.mode,
            Self::Alert(alert) => alert.mode,
        }
    }
}

/// `on "schedule"`.
#[derive(Clone, Debug)]
pub struct ScheduleDef {
    /// Its name; `schedule` where it has none.
    pub name: Named,
    /// The mode of the run.
    pub mode: Mode,
    /// When it is due.
    pub spec: lifeboat_schedule::Spec,
}

impl ScheduleDef {
    /// The schedule, ready to be asked, under the name `RUNBOOK/SCHEDULE`.
    ///
    /// # Errors
    /// None after a check without mistakes.
    pub fn rule(&self, runbook: &str) -> Result<lifeboat_schedule::Rule, lifeboat_schedule::Refused> {
        lifeboat_schedule::Rule::new(format!("{runbook}/{}", self.name.text), &self.spec)
    }
}

/// `on "alert"`.
#[derive(Clone, Debug)]
pub struct AlertDef {
    /// The hooks whose alerts count.
    pub sources: Vec<String>,
    /// The mode of the run.
    pub mode: Mode,
    /// What an alert has to have.
    pub matchers: Matchers,
    /// The labels that make an incident; without any, the group that the source makes.
    pub group: Vec<String>,
    /// How long the alert has to last first, in milliseconds.
    pub hold_ms: u64,
    /// How many probes have to agree.
    pub agree: Option<Agree>,
    /// How many automatic runs there may be.
    pub budget: Budget,
    /// Whether such a run may go past the point of no return by itself, if the operator allows it, too.
    pub past_no_return: bool,
}

impl AlertDef {
    /// The trigger, as the safety kernel takes it. `operator_past_no_return`: what the operator's file says of this runbook.
    pub fn trigger(&self, runbook: &str, operator_past_no_return: bool) -> lifeboat_alerts::kernel::Trigger {
        lifeboat_alerts::kernel::Trigger {
            runbook: runbook.to_owned(),
            mode: self.mode.as_str().to_owned(),
            sources: self.sources.clone(),
            matchers: self.matchers.clone(),
            group: self.group.clone(),
            hold_ms: self.hold_ms,
            agree: self.agree.clone(),
            budget: self.budget,
            runbook_past_no_return: self.past_no_return,
            operator_past_no_return,
        }
    }
}

/// How steps are carried out, as far as it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct PolicyDef {
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) heartbeat: Option<(u64, Span)>,
    pub(crate) retry: Option<Retry>,
    pub(crate) in_doubt: Option<(InDoubt, Span)>,
}

/// A condition as it was written.
#[derive(Clone, Debug)]
pub(crate) struct WhenDef {
    pub(crate) text: Named,
    pub(crate) test: Test,
    pub(crate) references: Vec<(Reference, Span)>,
}

/// How a step is undone, as far as it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct UndoDef {
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) retry: Option<Retry>,
}

/// A step as it was written.
#[derive(Clone, Debug)]
pub struct StepDef {
    /// Its name.
    pub id: Named,
    /// What it is.
    pub kind: StepKind,
    /// Targets by role, as written (`of`, `into`, `from`, `target`).
    pub(crate) roles: BTreeMap<&'static str, Named>,
    pub(crate) snapshot: Option<Named>,
    pub(crate) args: Value,
    pub(crate) places: Places,
    pub(crate) after: Vec<Named>,
    /// The modes that it is a part of.
    pub modes: Vec<Mode>,
    pub(crate) policy: PolicyDef,
    pub(crate) compensate: Option<(bool, Span)>,
    pub(crate) undo: Option<UndoDef>,
    /// All of these have to hold for it to be needed.
    pub(crate) when: Vec<WhenDef>,
    pub(crate) estimate_ms: Option<u64>,
    pub(crate) waivers: Vec<(Waiver, Span)>,
    pub(crate) scan: bool,
    pub(crate) approval: Option<Approval>,
    pub(crate) wait_ms: Option<u64>,
    pub(crate) head: Span,
    /// References in its arguments, each with its place.
    pub(crate) references: Vec<(Reference, Span)>,
    pub(crate) each: Option<EachDef>,
    /// What its runbook says for steps that say nothing.
    pub(crate) defaults: PolicyDef,
    /// Its place in a fan-out, once that is known.
    pub(crate) fan: Option<Fan>,
    /// It is of a child runbook, or stands for no item at all: its modes and waivers are not this runbook's matter.
    pub(crate) foreign: bool,
}

/// A value for an input of a child runbook.
#[derive(Clone, Debug)]
pub(crate) struct GivenInput {
    pub(crate) name: Named,
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// A child runbook as it was written.
#[derive(Clone, Debug)]
pub struct RunDef {
    /// Its name.
    pub id: Named,
    /// How many steps stand before it in the source.
    pub(crate) at: usize,
    pub(crate) path: Option<Named>,
    /// Its number among the child runbooks that were read.
    pub(crate) child: Option<usize>,
    pub(crate) inputs: Vec<GivenInput>,
    pub(crate) after: Vec<Named>,
    pub(crate) modes: Vec<Mode>,
    pub(crate) when: Vec<WhenDef>,
    pub(crate) each: Option<EachDef>,
    pub(crate) head: Span,
}

/// A name that stands for several steps, once a runbook is spread out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// One step, or one child runbook, an item.
    Each,
    /// The steps of a child runbook.
    Run,
}

impl StepDef {
    pub(crate) fn in_mode(&self, mode: Mode) -> bool {
        self.modes.contains(&mode)
    }

    pub(crate) fn waives(&self, rule: &str) -> bool {
        self.waivers.iter().any(|(waiver, _)| waiver.rule == rule)
    }
}

/// A runbook that was read.
#[derive(Clone, Debug, Default)]
pub struct Runbook {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who owns it.
    pub owner: Option<String>,
    /// Objectives.
    pub objectives: Objectives,
    /// How often it has to be drilled to count as verified, where it says so.
    pub verification: Option<Policy>,
    /// Inputs, in the order of the source.
    pub inputs: Vec<Input>,
    /// Targets, in the order of the source.
    pub targets: Vec<TargetDef>,
    /// Steps, in the order of the source.
    pub steps: Vec<StepDef>,
    /// Child runbooks, in the order of the source.
    pub runs: Vec<RunDef>,
    /// What starts it by itself.
    pub triggers: Vec<Trigger>,
    /// Whether a failed run is unwound.
    pub compensate_on_failure: bool,
    /// The channels that are told of a failure.
    pub notify_on_failure: Vec<String>,
    /// Steps under way at once, where it was written.
    pub max_parallel: Option<u32>,
    /// How long what a drill makes may stay, in milliseconds, where it was written.
    pub keep_ms: Option<u64>,
    pub(crate) declared_modes: Option<Vec<Mode>>,
    pub(crate) drill_declared: bool,
    pub(crate) overrides: Vec<Override>,
    pub(crate) defaults: PolicyDef,
    /// Names of steps, targets and inputs that could not be read: references to them are not reported again.
    pub(crate) broken: Vec<String>,
    pub(crate) head: Span,
    /// A part of it could not be read, and nobody knows what it declares.
    pub(crate) incomplete: bool,
    /// Names that stand for several steps.
    pub(crate) groups: BTreeMap<String, Group>,
    /// A step names its target by an item: which targets are used depends on what a run gives.
    pub(crate) targets_by_item: bool,
    /// Inputs that are used by more than references.
    pub(crate) used_inputs: BTreeSet<String>,
    /// References that are no part of a step: what child runbooks are given.
    pub(crate) loose: Vec<(Reference, Span)>,
}

impl Runbook {
    /// The modes that it can be run in: those of its `modes` node; without one, all but drill, and drill where the
    /// runbook says anything about drills.
    pub fn modes(&self) -> Vec<Mode> {
        match &self.declared_modes {
            Some(modes) => modes.clone(),
            None => Mode::ALL.into_iter().filter(|mode| *mode != Mode::Drill || self.drill_declared).collect(),
        }
    }

    pub(crate) fn is_broken(&self, name: &str) -> bool {
        let below = |broken: &String| name.strip_prefix(broken.as_str()).is_some_and(|rest| rest.starts_with('/'));
        self.incomplete || self.broken.iter().any(|broken| broken == name || (!broken.is_empty() && below(broken)))
    }
}
