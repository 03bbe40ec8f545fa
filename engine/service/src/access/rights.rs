//! Roles, and the rights that come with them.

use serde::{Deserialize, Serialize};

/// What a token is for. Each role but the sender may also look at everything in its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Starts runs, and steers them.
    Operator,
    /// Answers approvals, and does nothing else.
    Approver,
    /// Does all of that, makes tokens, reads the record of who did what.
    Admin,
    /// Sends alerts, and does nothing else: for the token of an Alertmanager.
    Sender,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Look at runs, runbooks, plugins; make plans.
    Look,
    /// Start a run.
    Start,
    /// Retry, skip, mark, pause, unpause, cancel, abandon, clean up, resume.
    Steer,
    /// Approve and deny.
    Answer,
    /// Tokens, and the record of who did what.
    Administer,
    /// Send alerts.
    Send,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 5] = [Role::Viewer, Role::Operator, Role::Approver, Role::Admin, Role::Sender];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Approver => "approver",
            Role::Admin => "admin",
            Role::Sender => "sender",
        }
    }

    /// The role of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether the right comes with the role.
    pub const fn has(self, right: Right) -> bool {
        match right {
            Right::Look => !matches!(self, Role::Sender),
            Right::Send => matches!(self, Role::Sender | Role::Operator | Role::Admin),
            Right::Start | Right::Steer => matches!(self, Role::Operator | Role::Admin),
            Right::Answer => matches!(self, Role::Approver | Role::Admin),
            Right::Administer => matches!(self, Role::Admin),
        }
    }
}

impl Right {
    /// Whether the right changes what a run does, so that the mode of the run counts.
    pub const fn acts(self) -> bool {
        matches!(self, Right::Start | Right::Steer | Right::Answer)
    }

    /// What is wanted, for a person.
    pub const fn as_str(self) -> &'static str {
        match self {
            Right::Look => "look at this",
            Right::Start => "start runs",
            Right::Steer => "steer runs",
            Right::Answer => "answer approvals",
            Right::Administer => "administer the service",
            Right::Send => "send alerts",
        }
    }

    /// The role that is enough for it.
    pub const fn role(self) -> Role {
        match self {
            Right::Look => Role::Viewer,
            Right::Start | Right::Steer => Role::Operator,
            Right::Answer => Role::Approver,
            Right::Administer => Role::Admin,
            Right::Send => Role::Sender,
        }
    }
}
