//! The courier: one message, by one channel, to one reader, once. Whether it is tried again is decided elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::Error;
use lifeboat_core::notify::{Channel, Form, Given, Recipient, Way, Webhook};
use lifeboat_secrets::{Secret, Secrets};
use serde_json::{Map, Value, json};

use crate::message::Message;
use crate::template::{BYTES_MAX, Template};
use crate::{http, mail};

/// How long one message may take.
const TIME: Duration = Duration::from_secs(30);
/// The subject and the body of mail, where the operator gives none.
const SUBJECT: &str = "[lifeboat] {{title}}{{#if more_count}} and {{more_count}} more{{/if}}";
const BODY: &str = include_str!("mail.txt");

/// Why a message was not taken. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It may be taken later.
    Now(Error),
    /// It is not taken, however often it is sent.
    ForGood(Error),
}

impl Refused {
    /// What happened.
    pub fn error(&self) -> &Error {
        match self {
            Refused::Now(error) | Refused::ForGood(error) => error,
        }
    }
}

struct Ready {
    channel: Channel,
    subject: Template,
    body: Option<Template>,
}

/// Sends messages by the channels of the operator's file.
pub struct Courier {
    ready: BTreeMap<String, Ready>,
    secrets: Arc<dyn Secrets>,
}

/// The secrets that a message takes with it, so that what is said of it can be rid of them.
struct Taken {
    values: BTreeMap<String, Secret>,
}

impl Taken {
    fn get<'a>(&'a self, given: &'a Given) -> Result<&'a str, Refused> {
        match given {
            Given::Text(text) => Ok(text),
            Given::Secret(name) => {
                let value = self.values.get(name).map(Secret::expose).unwrap_or_default();
                std::str::from_utf8(value).map_err(|_| {
                    Refused::ForGood(
                        Error::new("LB1094", format!("the secret '{name}' is no text")).hint("look at its source"),
                    )
                })
            }
        }
    }

    fn pairs<'a>(&'a self, given: &'a [(String, Given)]) -> Result<Vec<(&'a str, &'a str)>, Refused> {
        given.iter().map(|(name, given)| Ok((name.as_str(), self.get(given)?))).collect()
    }

    fn mask(&self, text: &str) -> String {
        let values = self.values.values().filter_map(|value| std::str::from_utf8(value.expose()).ok());
        values.filter(|value| !value.is_empty()).fold(text.to_owned(), |text, value| text.replace(value, "•••"))
    }

    /// What happened, without a secret in it.
    fn masked(&self, refused: Refused) -> Refused {
        let clean = |error: Error| Error {
            message: self.mask(&error.message),
            context: error.context.into_iter().map(|(name, value)| (name, self.mask(&value))).collect(),
            ..error
        };
        match refused {
            Refused::Now(error) => Refused::Now(clean(error)),
            Refused::ForGood(error) => Refused::ForGood(clean(error)),
        }
    }
}

impl Courier {
    /// Reads all templates, and tries each on a message of every kind.
    ///
    /// # Errors
    /// `LB1091` a template cannot be read, or names what there is not.
    pub fn new(channels: &BTreeMap<String, Channel>, secrets: Arc<dyn Secrets>) -> Result<Self, Error> {
        let ready = channels.iter().map(|(name, channel)| Ok((name.clone(), ready(name, channel)?)));
        Ok(Self { ready: ready.collect::<Result<_, Error>>()?, secrets })
    }

    /// The channels, by name.
    pub fn channels(&self) -> impl Iterator<Item = (&str, &Channel)> {
        self.ready.iter().map(|(name, ready)| (name.as_str(), &ready.channel))
    }

    /// A channel.
    ///
    /// # Errors
    /// `LB1092` there is none of that name.
    pub fn channel(&self, name: &str) -> Result<&Channel, Error> {
        Ok(&self.find(name)?.channel)
    }

    fn find(&self, name: &str) -> Result<&Ready, Error> {
        self.ready.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.ready.keys().map(String::as_str).collect();
            let hint = if known.is_empty() {
                "the operator's file has no node 'notify'".to_owned()
            } else {
                format!("the operator's file has: {}", known.join(", "))
            };
            Error::new("LB1092", format!("there is no channel '{name}'")).hint(hint)
        })
    }

    /// Who is told by a channel: addresses of mail, or one nameless reader.
    pub fn readers(channel: &Channel) -> Vec<Recipient> {
        match &channel.way {
            Way::Mail(mail) => mail.to.clone(),
            Way::Slack(_) | Way::Webhook(_) => vec![Recipient { address: String::new(), person: None }],
        }
    }

    /// Sends a message, and comes back when it was taken. `letter` names it: the same for every time that it is sent.
    ///
    /// # Errors
    /// Why it was not taken, without a secret in it.
    pub async fn send(&self, name: &str, to: &str, letter: &str, message: &Message) -> Result<(), Refused> {
        let ready = self.find(name).map_err(Refused::ForGood)?;
        let taken = self.take(&ready.channel).await?;
        let sent = tokio::time::timeout(TIME, hand_over(ready, &taken, to, letter, message)).await;
        let sent = sent.unwrap_or_else(|_| {
            let message = format!("the channel '{name}' did not answer within {} s", TIME.as_secs());
            Err(Refused::Now(Error::new("LB1093", message)))
        });
        sent.map_err(|refused| {
            // A password or an address that is refused may have been changed: the next one is read anew.
            ready.channel.way.secrets().iter().for_each(|secret| self.secrets.rejected(secret));
            taken.masked(refused)
        })
    }

    /// Reads the secrets, which may take a process or a request.
    async fn take(&self, channel: &Channel) -> Result<Taken, Refused> {
        let names: Vec<String> = channel.way.secrets().into_iter().map(str::to_owned).collect();
        let secrets = Arc::clone(&self.secrets);
        let read = tokio::task::spawn_blocking(move || {
            names.into_iter().map(|name| secrets.get(&name).map(|value| (name, value))).collect::<Result<_, Error>>()
        });
        match read.await {
            Ok(Ok(values)) => Ok(Taken { values }),
            Ok(Err(error)) => Err(Refused::Now(error)),
            Err(cause) => Err(Refused::Now(Error::new("LB1093", "the secrets could not be read").with("cause", cause))),
        }
    }
}

fn ready(name: &str, channel: &Channel) -> Result<Ready, Error> {
    let what = format!("the channel '{name}'");
    let (form, subject) = match &channel.way {
        Way::Mail(mail) => (Form::Text, mail.subject.as_deref().unwrap_or(SUBJECT)),
        Way::Slack(_) => (Form::Json, SUBJECT),
        Way::Webhook(hook) => (hook.form, SUBJECT),
    };
    let subject = Template::new(&what, subject, Form::Text)?;
    let body = match (&channel.template, &channel.way) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path).map_err(|cause| {
                Error::new("LB1091", format!("the template of {what} cannot be read"))
                    .with("path", path.display())
                    .with("cause", cause)
                    .hint("a template is a file of text in UTF-8")
            })?;
            Some(Template::new(&what, &text, form)?)
        }
        (None, Way::Mail(_)) => Some(Template::new(&what, BODY, form)?),
        (None, _) => None,
    };
    let values: Map<String, Value> = match &channel.way {
        Way::Webhook(hook) => hook.values.iter().map(|(name, _)| (name.clone(), json!("value"))).collect(),
        _ => Map::new(),
    };
    for sample in Message::samples() {
        let data = data(&sample, values.clone());
        subject.check(&data, Form::Text)?;
        body.iter().try_for_each(|body| body.check(&data, form))?;
    }
    Ok(Ready { channel: channel.clone(), subject, body })
}

/// What templates see.
fn data(message: &Message, values: Map<String, Value>) -> Value {
    let mut data = serde_json::to_value(message).unwrap_or_default();
    if let Value::Object(map) = &mut data {
        map.insert("values".to_owned(), Value::Object(values));
    }
    data
}

async fn hand_over(ready: &Ready, taken: &Taken, to: &str, letter: &str, message: &Message) -> Result<(), Refused> {
    match &ready.channel.way {
        Way::Mail(way) => {
            let data = data(message, Map::new());
            let subject = ready.subject.render(&data).map_err(Refused::ForGood)?;
            let body = ready.body.as_ref().map(|body| body.render(&data)).transpose().map_err(Refused::ForGood)?;
            let password = match &way.login {
                Some((_, secret)) => Some(taken.get(&Given::Secret(secret.clone()))?.to_owned()),
                None => None,
            };
            let letter = mail::Letter { to, id: letter, subject: subject.trim(), body: &body.unwrap_or_default() };
            mail::send(way, password, letter).await
        }
        Way::Slack(hook) => {
            let body = body(ready, hook, taken, message, || slack(message))?;
            post(hook, taken, letter, body).await
        }
        Way::Webhook(hook) => {
            let body = body(ready, hook, taken, message, || json!(message))?;
            post(hook, taken, letter, body).await
        }
    }
}

fn body(
    ready: &Ready,
    hook: &Webhook,
    taken: &Taken,
    message: &Message,
    usual: impl FnOnce() -> Value,
) -> Result<String, Refused> {
    let Some(template) = &ready.body else { return Ok(usual().to_string()) };
    let values = taken.pairs(&hook.values)?.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let made = template.render(&data(message, values)).map_err(Refused::ForGood)?;
    if made.len() > BYTES_MAX {
        return Err(Refused::ForGood(Error::new("LB1094", "the message is too large")));
    }
    Ok(made)
}

async fn post(hook: &Webhook, taken: &Taken, letter: &str, body: String) -> Result<(), Refused> {
    let call = http::Call {
        url: taken.get(&hook.url)?,
        plain: hook.plain,
        ca: hook.ca.as_deref(),
        headers: taken.pairs(&hook.headers)?,
        media_type: hook.form.media_type(),
        // The other side may know by it that it has the message already.
        letter,
    };
    http::post(call, body).await
}

/// What Slack takes. Its three signs of control are written as what they are, so that no run calls a channel together.
fn slack(message: &Message) -> Value {
    let safe = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut lines = vec![format!("*{}*", safe(&message.title)), safe(&message.text)];
    if !message.run.is_empty() {
        lines.push(format!("run `{}` of {} ({})", safe(&message.run), safe(&message.runbook), safe(&message.mode)));
    }
    if !message.expires.is_empty() {
        lines.push(format!("The question stands until {}.", message.expires));
    }
    lines.extend(message.commands.iter().map(|command| format!("`{}`", safe(command))));
    if message.more_count > 0 {
        lines.push(format!("and {} more:", message.more_count));
        lines.extend(message.more.iter().map(|more| format!("• {}", safe(&more.title))));
    }
    lines.retain(|line| !line.is_empty());
    json!({ "text": lines.join("\n") })
}

#[cfg(test)]
#[path = "courier_tests.rs"]
pub(crate) mod tests;
