//! `notify` of the operator's file: who is told what, and by which way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use lifeboat_core::grants::Operator;
use lifeboat_core::notify::{
    About, Channel, Form, Given, LIMIT_DEFAULT, Mail, MailTls, Recipient, Way, Webhook, retry_default,
};

use crate::diagnostic::Span;
use crate::fields::{Field, Fields, at_most_args, declared_name, no_block, no_props, string};
use crate::model::Named;
use crate::operator::resolve;
use crate::report::Report;
use crate::secrets::Uses;
use crate::steps::retry;
use crate::syntax::Node;
use crate::triggers::texts;

const WAYS: &str =
    "write email \"SMTP-HOST\" from=\"...\" { to \"...\" }, slack secret=\"...\" or webhook \"https://...\"";

/// `notify "NAME" { email … | slack … | webhook …; on …; runbooks …; template …; limit …; retry … }`.
pub(crate) fn channel(node: &Node, folder: &Path, operator: &mut Operator, uses: &mut Uses, report: &mut Report) {
    at_most_args(node, 1, report);
    let name = declared_name(node, report);
    let mut fields = Fields::new(node);
    let ways = [fields.one("email", report), fields.one("slack", report), fields.one("webhook", report)];
    let template = fields.string("template", report);
    let about = about(&mut fields, report);
    let runbooks = texts(&mut fields, "runbooks", report).into_iter().map(|text| text.text).collect();
    let limit = fields.number("limit", 2, 10_000, report).unwrap_or(LIMIT_DEFAULT);
    let retry = retry(&mut fields, report).unwrap_or_else(retry_default);
    fields.refuse_rest(&["email", "slack", "webhook", "template", "on", "runbooks", "limit", "retry"], report);
    let way = match ways {
        [Some(email), None, None] => mail(&email, folder, uses, report).map(Way::Mail),
        [None, Some(slack), None] => webhook(&slack, "slack", folder, uses, report).map(Way::Slack),
        [None, None, Some(hook)] => webhook(&hook, "webhook", folder, uses, report).map(Way::Webhook),
        _ => {
            report.error("LB1090", node.head, "a channel has exactly one way").help(WAYS);
            None
        }
    };
    let template = template.and_then(|path| resolve(&path.text, path.span, folder, report));
    if let Some(Way::Webhook(hook)) = &way
        && template.is_none()
        && hook.form != Form::Json
    {
        report
            .error("LB1090", node.head, "the built-in message is JSON, and this channel sends something else")
            .help("add template \"FILE\"; examples/notify has some");
    }
    let (Some(name), Some(way)) = (name, way) else { return };
    let channel = Channel { way, template, about, runbooks, limit, retry };
    if operator.notify.insert(name.text.clone(), channel).is_some() {
        report
            .error("LB0405", name.span, format!("channel '{}' is declared twice", name.text))
            .help("keep one of them");
    }
}

fn about(fields: &mut Fields<'_>, report: &mut Report) -> BTreeSet<About> {
    let written = texts(fields, "on", report);
    let mut about = BTreeSet::new();
    for word in &written {
        match About::parse(&word.text) {
            Some(one) => {
                about.insert(one);
            }
            None => {
                report
                    .error("LB0120", word.span, format!("'{}' is nothing that a channel tells", word.text))
                    .did_you_mean(&word.text, About::CHOICE.map(About::as_str));
            }
        }
    }
    if written.is_empty() { About::USUAL.into_iter().collect() } else { about }
}

fn inner<'n>(field: &Field<'n>, report: &mut Report) -> Option<Fields<'n>> {
    if field.node.is_none() {
        report.error("LB1090", field.span, "a way is a node with what belongs to it").help(WAYS);
    }
    let node = field.node?;
    at_most_args(node, 1, report);
    Some(Fields::new(node))
}

fn mail(field: &Field<'_>, folder: &Path, uses: &mut Uses, report: &mut Report) -> Option<Mail> {
    let mut fields = inner(field, report)?;
    let host = field.args.first().and_then(|arg| string(arg, "email", report));
    let tls = fields.word("tls", &MailTls::ALL.map(MailTls::as_str), report);
    let tls = tls.and_then(|word| MailTls::ALL.into_iter().find(|one| one.as_str() == word.text));
    let tls = tls.unwrap_or(MailTls::Starttls);
    let plain = fields.boolean("plain", report).is_some_and(|(plain, _)| plain);
    let port = fields.number("port", 1, 65_535, report).and_then(|port| u16::try_from(port).ok());
    let ca = fields.string("ca", report).and_then(|path| resolve(&path.text, path.span, folder, report));
    let (user, secret) = (fields.string("user", report), fields.string("secret", report));
    let from = fields.string("from", report).filter(|from| address(from, report));
    let subject = fields.string("subject", report).map(|subject| subject.text);
    let to: Vec<Recipient> = fields.all("to").iter().filter_map(|to| recipient(to, report)).collect();
    fields.refuse_rest(&["tls", "plain", "port", "ca", "user", "secret", "from", "subject", "to"], report);
    let login = match (user, secret) {
        (Some(user), Some(secret)) => {
            uses.hooks.push(secret.clone());
            Some((user.text, secret.text))
        }
        (None, None) => None,
        _ => {
            return incomplete(
                field.span,
                "a login has a user and a secret",
                "user=\"NAME\" secret=\"SECRET\"",
                report,
            );
        }
    };
    let (Some(host), Some(from)) = (host, from) else {
        return incomplete(field.span, "mail needs a server and a sender", "email \"HOST\" from=\"ADDRESS\"", report);
    };
    if to.is_empty() {
        return incomplete(
            field.span,
            "mail needs somebody who gets it",
            "to \"ada@example.net\" person=\"ada\"",
            report,
        );
    }
    if tls == MailTls::None && login.is_some() {
        return incomplete(
            field.span,
            "a password does not go over a connection in the clear",
            "tls=\"starttls\"",
            report,
        );
    }
    if tls == MailTls::None && !plain && !is_here(&host.text) {
        let help = "tls=\"starttls\", or plain=#true where the network is yours";
        return incomplete(host.span, "mail in the clear goes to this machine only", help, report);
    }
    let port = port.unwrap_or(tls.port());
    Some(Mail { host: host.text, port, tls, ca, login, from: from.text, to, subject })
}

fn incomplete<T>(span: Span, message: &str, write: &str, report: &mut Report) -> Option<T> {
    report.error("LB1090", span, message).help(format!("write {write}"));
    None
}

/// Whether a host is this machine without a doubt.
fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// One address, as it stands in an envelope: nothing in it may end a line of the protocol.
fn address(named: &Named, report: &mut Report) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !"<>()[],;:\\\"".contains(c);
    let good = named.text.len() <= 254
        && named.text.chars().all(plain)
        && named
            .text
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if !good {
        report
            .error("LB1090", named.span, format!("'{}' is not an address of mail", named.text))
            .help("write the bare address: ada@example.net");
    }
    good
}

fn recipient(field: &Field<'_>, report: &mut Report) -> Option<Recipient> {
    let Some(arg) = field.args.first() else {
        report.error("LB0111", field.span, "'to' names nobody").help("write to \"ada@example.net\"");
        return None;
    };
    let found = string(arg, "to", report).filter(|found| address(found, report));
    let mut person = None;
    if let Some(node) = field.node {
        at_most_args(node, 1, report);
        let mut fields = Fields::new(node);
        person = fields.string("person", report).map(|person| person.text);
        fields.refuse_rest(&["person"], report);
    }
    Some(Recipient { address: found?.text, person })
}

fn webhook(field: &Field<'_>, kind: &str, folder: &Path, uses: &mut Uses, report: &mut Report) -> Option<Webhook> {
    let mut fields = inner(field, report)?;
    let written = field.args.first().and_then(|arg| string(arg, kind, report));
    let secret = fields.string("secret", report);
    let plain = fields.boolean("plain", report).is_some_and(|(plain, _)| plain);
    let ca = fields.string("ca", report).and_then(|path| resolve(&path.text, path.span, folder, report));
    let mut hook = Webhook {
        url: Given::Text(String::new()),
        plain,
        ca,
        headers: Vec::new(),
        values: Vec::new(),
        form: Form::Json,
    };
    let mut known = vec!["secret", "plain", "ca"];
    if kind == "webhook" {
        let form = fields.word("form", &Form::ALL.map(Form::as_str), report);
        hook.form =
            form.and_then(|word| Form::ALL.into_iter().find(|one| one.as_str() == word.text)).unwrap_or(Form::Json);
        hook.headers = pairs(&mut fields, "header", uses, report);
        hook.values = pairs(&mut fields, "value", uses, report);
        known.extend(["form", "header", "value"]);
    }
    fields.refuse_rest(&known, report);
    hook.url = match (written, secret) {
        (Some(url), None) => {
            if let Err(message) = url_is_good(&url.text, plain) {
                report.error("LB1090", url.span, message).help("write https://HOST/PATH; plain=#true allows http");
                return None;
            }
            Given::Text(url.text)
        }
        (None, Some(secret)) => {
            uses.hooks.push(secret.clone());
            Given::Secret(secret.text)
        }
        _ => {
            let write = format!("{kind} \"https://...\", or {kind} secret=\"NAME\" where the address is a secret");
            return incomplete(field.span, "a webhook has one address", &write, report);
        }
    };
    Some(hook)
}

/// Whether messages may be sent to that address.
fn url_is_good(url: &str, plain: bool) -> Result<(), &'static str> {
    let (secure, rest) = match url.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => return Err("this is no address of a webhook"),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    };
    if host.is_empty() || authority.contains('@') || url.chars().any(|c| !c.is_ascii_graphic()) {
        return Err("this is no address of a webhook");
    }
    if secure || plain || is_here(host) { Ok(()) } else { Err("messages in the clear go to this machine only") }
}

/// `header "NAME" "VALUE"` or `header "NAME" secret="SECRET"`.
fn pairs(fields: &mut Fields<'_>, kind: &str, uses: &mut Uses, report: &mut Report) -> Vec<(String, Given)> {
    let mut found = BTreeMap::new();
    for field in fields.all(kind) {
        let mut words = field.args.iter().filter_map(|arg| string(arg, kind, report));
        let (name, value) = (words.next(), words.next());
        drop(words);
        let mut secret = None;
        if let Some(node) = field.node {
            at_most_args(node, 2, report);
            let mut inner = Fields::new(node);
            secret = inner.string("secret", report);
            inner.refuse_rest(&["secret"], report);
        }
        let token = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let write = format!("{kind} \"NAME\" \"VALUE\", or {kind} \"NAME\" secret=\"SECRET\"");
        let Some(name) = name.filter(|name| !name.text.is_empty() && name.text.chars().all(token)) else {
            incomplete::<()>(field.span, &format!("'{kind}' has no good name"), &write, report);
            continue;
        };
        let given = match (value, secret) {
            (Some(value), None) if !value.text.chars().any(char::is_control) => Given::Text(value.text),
            (None, Some(secret)) => {
                uses.hooks.push(secret.clone());
                Given::Secret(secret.text)
            }
            _ => {
                incomplete::<()>(field.span, &format!("'{kind}' has one value"), &write, report);
                continue;
            }
        };
        if found.insert(name.text.clone(), given).is_some() {
            report.error("LB0405", name.span, format!("'{}' is given twice", name.text)).help("keep one of them");
        }
    }
    found.into_iter().collect()
}

/// `on-failure { notify "CHANNEL" … }` of a runbook: the names of channels.
pub(crate) fn on_failure(node: &Node, report: &mut Report) -> Vec<String> {
    no_props(node, report);
    no_block(node, report);
    if node.args.is_empty() {
        report.error("LB0111", node.head, "'notify' names no channel").help("write notify \"pager\"");
    }
    node.args.iter().filter_map(|arg| string(arg, "notify", report)).map(|name| name.text).collect()
}

#[cfg(test)]
#[path = "channels_tests.rs"]
mod tests;
