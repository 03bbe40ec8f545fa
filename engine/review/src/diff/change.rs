//! One difference, its kind and its weight.

use serde::Serialize;

/// How much a reviewer has to look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Something that kept people or data safe is gone, or the plan reaches further.
    Danger,
    /// What is done, where, or when is different.
    Caution,
    /// Good to know.
    Note,
}

impl Weight {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Weight::Danger => "danger",
            Weight::Caution => "caution",
            Weight::Note => "note",
        }
    }
}

/// What kind of difference it is, most dangerous first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A step that changes the world does not wait for a check or an approval any more.
    GuardLost,
    /// An approval is gone.
    ApprovalRemoved,
    /// Fewer people, another role, or more people who may say yes.
    ApprovalWeaker,
    /// A step that proves or checks something is gone.
    CheckRemoved,
    /// A rule of safety is waived.
    RuleWaived,
    /// A step does more to the world than before.
    EffectWorse,
    /// The first step that cannot be put back is another one.
    NoReturnMoved,
    /// What was undone on failure is not undone any more.
    UndoLost,
    /// A step that cannot be put back, or that switches, is new.
    DangerousStep,
    /// Another plugin does the work.
    PluginChanged,
    /// A host is reached that was not.
    NewEgress,
    /// A folder, a secret or a capability is needed that was not.
    NewGrant,
    /// The mode is another one.
    ModeChanged,
    /// A step is new.
    StepAdded,
    /// A step is gone.
    StepRemoved,
    /// A target is another place.
    TargetChanged,
    /// A step is told something else.
    ArgumentsChanged,
    /// A step is needed in other cases.
    ConditionChanged,
    /// What happens to a step of which nobody knows whether it happened.
    InDoubtChanged,
    /// What starts the runbook by itself.
    TriggerChanged,
    /// What the business asked for.
    ObjectiveChanged,
    /// The longest that it can take.
    WorstCase,
    /// Time-outs, retries, heartbeats.
    PolicyChanged,
    /// Steps wait for others than before.
    OrderChanged,
    /// How many steps at once, and which locks.
    RoomChanged,
    /// Inputs have other values.
    InputChanged,
    /// A step has another name.
    Renamed,
    /// An approval, a check or a way back is new.
    Safer,
    /// Something is not reached any more.
    ReachGone,
    /// Names, descriptions, owners, versions.
    Wording,
}

impl Kind {
    /// What it weighs by itself.
    pub const fn weight(self) -> Weight {
        match self {
            Kind::GuardLost
            | Kind::ApprovalRemoved
            | Kind::ApprovalWeaker
            | Kind::CheckRemoved
            | Kind::RuleWaived
            | Kind::EffectWorse
            | Kind::NoReturnMoved
            | Kind::UndoLost
            | Kind::DangerousStep
            | Kind::PluginChanged
            | Kind::NewEgress
            | Kind::NewGrant
            | Kind::ModeChanged => Weight::Danger,
            Kind::StepAdded
            | Kind::StepRemoved
            | Kind::TargetChanged
            | Kind::ArgumentsChanged
            | Kind::ConditionChanged
            | Kind::InDoubtChanged
            | Kind::TriggerChanged
            | Kind::ObjectiveChanged
            | Kind::WorstCase
            | Kind::PolicyChanged
            | Kind::OrderChanged => Weight::Caution,
            Kind::RoomChanged | Kind::InputChanged | Kind::Renamed | Kind::Safer | Kind::ReachGone | Kind::Wording => {
                Weight::Note
            }
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// How much it weighs.
    pub weight: Weight,
    /// What kind it is.
    pub kind: Kind,
    /// The step, target, plugin or other thing that it is about.
    pub subject: String,
    /// What it was, where that is one value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// The difference in words.
    pub text: String,
}

impl Change {
    /// A difference in words.
    pub(super) fn new(kind: Kind, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { weight: kind.weight(), kind, subject: subject.into(), old: None, new: None, text: text.into() }
    }

    /// A value that is another one: `WHAT: OLD -> NEW`.
    pub(super) fn of(kind: Kind, subject: impl Into<String>, what: &str, old: String, new: String) -> Self {
        let text = format!("{what}: {old} -> {new}");
        Self { old: Some(old), new: Some(new), ..Self::new(kind, subject, text) }
    }

    /// The same with another weight.
    pub(super) fn weighing(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }
}
