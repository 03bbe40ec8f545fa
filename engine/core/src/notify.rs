//! Who is told what, and how: the nodes `notify` of the operator's file, read and checked. Secrets are named, never held.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::plan::{Mode, Retry};

/// Messages an hour of one channel, where the operator says nothing.
pub const LIMIT_DEFAULT: u32 = 30;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// A run asks people for their approval.
    Approval,
    /// A run does not go on without a person: a step in doubt, an undo that failed.
    NeedsPerson,
    /// A run in earnest failed.
    Failed,
    /// A run in earnest succeeded.
    Succeeded,
    /// A drill failed.
    DrillFailed,
    /// A drill succeeded.
    DrillSucceeded,
    /// A run in earnest has used most of its recovery time objective, and has not ended.
    RtoAtRisk,
    /// What starts runs by itself needs a person: an alert or a schedule that may start nothing more.
    Automation,
    /// A runbook could not be carried out now.
    NotReady,
    /// A step of a runbook says so.
    Step,
    /// A person tries the channel.
    Test,
}

impl About {
    /// All that a channel can be asked to tell, in the order in which they are listed to people.
    pub const CHOICE: [About; 9] = [
        About::Approval,
        About::NeedsPerson,
        About::Failed,
        About::Succeeded,
        About::DrillFailed,
        About::DrillSucceeded,
        About::RtoAtRisk,
        About::Automation,
        About::NotReady,
    ];
    /// What a channel tells where the operator says nothing: all that a person has to do something about.
    pub const USUAL: [About; 7] = [
        About::Approval,
        About::NeedsPerson,
        About::Failed,
        About::DrillFailed,
        About::RtoAtRisk,
        About::Automation,
        About::NotReady,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            About::Approval => "approval",
            About::NeedsPerson => "needs-person",
            About::Failed => "failed",
            About::Succeeded => "succeeded",
            About::DrillFailed => "drill-failed",
            About::DrillSucceeded => "drill-succeeded",
            About::RtoAtRisk => "rto-at-risk",
            About::Automation => "automation",
            About::NotReady => "not-ready",
            About::Step => "step",
            About::Test => "test",
        }
    }

    /// What a channel can be asked to tell, by its word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::CHOICE.into_iter().find(|about| about.as_str() == text)
    }

    /// How much it matters: `critical`, `warning` or `info`, the words that pagers use.
    pub const fn severity(self) -> &'static str {
        match self {
            About::Approval | About::NeedsPerson | About::Failed | About::RtoAtRisk => "critical",
            About::DrillFailed | About::Automation | About::NotReady => "warning",
            About::Succeeded | About::DrillSucceeded | About::Step | About::Test => "info",
        }
    }
}

/// A value that the operator gives: in the clear, or the name of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Given {
    /// As it is written.
    Text(String),
    /// What the secret of that name holds.
    Secret(String),
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailTls {
    /// TLS after `STARTTLS`, and nothing without it.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None: for this machine, or where the operator says so.
    None,
}

impl MailTls {
    /// All of them.
    pub const ALL: [MailTls; 3] = [MailTls::Starttls, MailTls::Tls, MailTls::None];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            MailTls::Starttls => "starttls",
            MailTls::Tls => "tls",
            MailTls::None => "none",
        }
    }

    /// The port where nothing else is said.
    pub const fn port(self) -> u16 {
        match self {
            MailTls::Starttls => 587,
            MailTls::Tls => 465,
            MailTls::None => 25,
        }
    }
}

/// Somebody who gets mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The address.
    pub address: String,
    /// The person who reads it, by the name that is recorded. Such a person gets mail alone, with links that answer.
    pub person: Option<String>,
}

/// Mail over SMTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// A file of certificates (PEM) that are trusted instead of this machine's own.
    pub ca: Option<PathBuf>,
    /// Who logs in, and the name of the secret that holds the password.
    pub login: Option<(String, String)>,
    /// Who it is from.
    pub from: String,
    /// Who gets it.
    pub to: Vec<Recipient>,
    /// A template for the subject, instead of the built-in one.
    pub subject: Option<String>,
}

/// What a webhook is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// JSON.
    Json,
    /// What a browser sends of a form: names and values.
    Form,
    /// Plain text.
    Text,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 3] = [Form::Json, Form::Form, Form::Text];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Form::Json => "json",
            Form::Form => "form",
            Form::Text => "text",
        }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Form => "application/x-www-form-urlencoded",
            Form::Text => "text/plain; charset=utf-8",
        }
    }
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// The address: `https://…`, or `http://…` where the operator says so or it is this machine.
    pub url: Given,
    /// Whether it may be spoken to without TLS beyond this machine.
    pub plain: bool,
    /// A file of certificates (PEM) that are trusted instead of this machine's own.
    pub ca: Option<PathBuf>,
    /// Headers.
    pub headers: Vec<(String, Given)>,
    /// What templates find below `values`.
    pub values: Vec<(String, Given)>,
    /// What it is sent.
    pub form: Form,
}

/// The way to whoever is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Mail.
    Mail(Mail),
    /// A webhook that takes what Slack takes: Slack, Mattermost, Rocket.Chat.
    Slack(Webhook),
    /// Any other one.
    Webhook(Webhook),
}

impl Way {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Way::Mail(_) => "email",
            Way::Slack(_) => "slack",
            Way::Webhook(_) => "webhook",
        }
    }

    /// The names of all secrets that it needs.
    pub fn secrets(&self) -> Vec<&str> {
        match self {
            Way::Mail(mail) => mail.login.iter().map(|(_, secret)| secret.as_str()).collect(),
            Way::Slack(hook) | Way::Webhook(hook) => {
                let all = hook.headers.iter().chain(&hook.values).map(|(_, given)| given).chain([&hook.url]);
                let named = all.filter_map(|given| match given {
                    Given::Secret(name) => Some(name.as_str()),
                    Given::Text(_) => None,
                });
                named.collect()
            }
        }
    }
}

/// A channel: a node `notify` of the operator's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// The way.
    pub way: Way,
    /// A file with the template of the body, instead of the built-in one.
    pub template: Option<PathBuf>,
    /// What it tells.
    pub about: BTreeSet<About>,
    /// The runbooks it tells of, by name; `*` at the end stands for anything. Empty: all.
    pub runbooks: Vec<String>,
    /// Messages an hour at most; the rest are collected in one. At least 2.
    pub limit: u32,
    /// How often, and how patiently, what could not be sent is tried again.
    pub retry: Retry,
}

/// What a channel tries where the operator says nothing: for about an hour.
pub fn retry_default() -> Retry {
    Retry { count: 10, backoff_ms: 5_000, max_ms: 15 * 60_000, jitter: true }
}

impl Channel {
    /// Whether it tells of a runbook. What belongs to no runbook is told by all.
    pub fn tells_of(&self, runbook: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => runbook.starts_with(start),
            None => pattern == runbook,
        };
        runbook.is_empty() || self.runbooks.is_empty() || self.runbooks.iter().any(fits)
    }
}

/// What the end of a run is told as; `None` where a person ended it, and knows.
pub fn about_end(result: crate::event::RunResult, mode: Mode) -> Option<About> {
    use crate::event::RunResult;
    let drill = mode == Mode::Drill;
    match result {
        RunResult::Succeeded => Some(if drill { About::DrillSucceeded } else { About::Succeeded }),
        RunResult::Failed => Some(if drill { About::DrillFailed } else { About::Failed }),
        RunResult::Cancelled | RunResult::Abandoned => None,
    }
}
