//! `hook` and `automatic` of the operator's file: who may send alerts, and what these may start.

use std::collections::BTreeMap;

use lifeboat_alerts::limits::{REPLAY_WINDOW_MAX_MS, REPLAY_WINDOW_MS};
use lifeboat_alerts::{Kind, Mapping, Scheme, Source};

use crate::fields::{Field, Fields, at_most_args, declared_name, no_block, no_props, string};
use crate::report::Report;
use crate::secrets::Uses;
use crate::syntax::Node;
use crate::triggers::texts;

/// How a hook knows who sends.
const SIGNS: [&str; 2] = ["time-and-body", "body"];
const MAPPING: [&str; 9] = ["status", "group", "fingerprint", "since", "once", "only", "label", "tags", "summary"];

/// What the operator's file says about alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// Who may send alerts, by name: the last part of the address.
    pub hooks: BTreeMap<String, Hook>,
    /// What alerts may start, by runbook.
    pub automatic: BTreeMap<String, Automatic>,
}

impl Intake {
    /// What alerts may start of a runbook.
    pub fn automatic(&self, runbook: &str) -> Automatic {
        self.automatic.get(runbook).copied().unwrap_or_default()
    }
}

/// Something that may send alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// How what it sends is read.
    pub source: Source,
    /// The name of the secret by which it signs; `None`: it shows a token of the service.
    pub secret: Option<String>,
    /// What it signs.
    pub scheme: Scheme,
    /// How far the time of a signature may be from now, in milliseconds.
    pub window_ms: u64,
}

/// What alerts may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Automatic {
    /// Whether they start anything.
    pub start: bool,
    /// Whether a run may go past its point of no return without a person, if its runbook allows it, too.
    pub past_no_return: bool,
    /// Whether they start it only while it is verified: [`lifeboat_core::verified::may_start_by_itself`].
    pub verified: bool,
}

impl Default for Automatic {
    fn default() -> Self {
        Self { start: true, past_no_return: false, verified: false }
    }
}

pub(crate) fn automatic(node: &Node, intake: &mut Intake, report: &mut Report) {
    at_most_args(node, 1, report);
    let name = declared_name(node, report);
    let mut fields = Fields::new(node);
    let start = fields.boolean("start", report).is_none_or(|(start, _)| start);
    let past_no_return = fields.boolean("past-no-return", report).is_some_and(|(past, _)| past);
    let verified = fields.boolean("verified", report).is_some_and(|(verified, _)| verified);
    fields.refuse_rest(&["start", "past-no-return", "verified"], report);
    let Some(name) = name else { return };
    if intake.automatic.insert(name.text.clone(), Automatic { start, past_no_return, verified }).is_some() {
        report
            .error("LB0405", name.span, format!("'automatic' is declared twice for '{}'", name.text))
            .help("put both into one line");
    }
}

pub(crate) fn hook(node: &Node, intake: &mut Intake, uses: &mut Uses, report: &mut Report) {
    at_most_args(node, 1, report);
    let name = declared_name(node, report);
    let mut fields = Fields::new(node);
    let words = Kind::ALL.map(Kind::as_str);
    let kind = fields.word("kind", &words, report);
    if kind.is_none()
        && node.props.iter().map(|prop| &prop.name).all(|name| name != "kind")
        && node.children.iter().all(|child| child.name != "kind")
    {
        report
            .error("LB0118", node.head, "a hook needs a kind")
            .help(format!("write kind=\"...\": {}", words.join(", ")));
    }
    let secret = fields.string("secret", report);
    let signs = fields.word("signs", &SIGNS, report);
    let scheme = if signs.is_some_and(|word| word.text == "body") { Scheme::Body } else { Scheme::Timed };
    let window = fields.duration("window", report);
    if let Some((_, span)) = window.filter(|(ms, _)| *ms > REPLAY_WINDOW_MAX_MS || *ms == 0) {
        report
            .error("LB0120", span, "the window of a signature is not between 1 ms and an hour")
            .help("write window=\"5m\": each signature is remembered for as long");
    }
    let before = report.count();
    let (mapping, mapped) = mapping(&mut fields, report);
    let known: Vec<&str> = ["kind", "secret", "signs", "window"].into_iter().chain(MAPPING).collect();
    fields.refuse_rest(&known, report);
    let Some(kind) = kind.and_then(|word| Kind::parse(&word.text)) else { return };
    if kind != Kind::Generic && mapped {
        report
            .error("LB1018", node.head, format!("a hook of the kind '{}' has a mapping of its own", kind.as_str()))
            .help("write kind=\"generic\" to say yourself where things are");
    } else if kind == Kind::Generic
        && report.count() == before
        && let Err(refused) = mapping.check()
    {
        report.error(refused.code, node.head, refused.message).help(refused.help);
    }
    let Some(name) = name else { return };
    let source = Source { name: name.text.clone(), kind, mapping: (kind == Kind::Generic).then_some(mapping) };
    let window_ms = window.map_or(REPLAY_WINDOW_MS, |(ms, _)| ms);
    let hook = Hook { source, secret: secret.as_ref().map(|secret| secret.text.clone()), scheme, window_ms };
    uses.hooks.extend(secret);
    if intake.hooks.insert(name.text.clone(), hook).is_some() {
        report.error("LB0405", name.span, format!("hook '{}' is declared twice", name.text)).help("keep one of them");
    }
}

/// The mapping, and whether there is anything of it.
fn mapping(fields: &mut Fields<'_>, report: &mut Report) -> (Mapping, bool) {
    let mut mapping = Mapping::default();
    if let Some(field) = fields.one("status", report) {
        let pointer = field.args.first().and_then(|arg| string(arg, "status", report));
        mapping.status = pointer.map(|pointer| pointer.text).unwrap_or_default();
        if let Some(node) = field.node {
            at_most_args(node, 1, report);
            let mut inner = Fields::new(node);
            let mut words = |name: &str| texts(&mut inner, name, report).into_iter().map(|word| word.text).collect();
            (mapping.firing, mapping.resolved) = (words("firing"), words("resolved"));
            inner.refuse_rest(&["firing", "resolved"], report);
        }
    }
    let mut words =
        |name: &str| -> Vec<String> { texts(fields, name, report).into_iter().map(|word| word.text).collect() };
    (mapping.group, mapping.fingerprint) = (words("group"), words("fingerprint"));
    mapping.since = fields.string("since", report).map(|pointer| pointer.text);
    mapping.once = fields.boolean("once", report).is_some_and(|(once, _)| once);
    for field in fields.all("only") {
        let mut found = several(&field, "only", 2, "only \"/POINTER\" \"VALUE\" ...", report).into_iter();
        if let Some(pointer) = found.next() {
            mapping.only.push((pointer, found.collect()));
        }
    }
    for field in fields.all("label") {
        if let [name, pointer, ..] = several(&field, "label", 2, "label \"NAME\" \"/POINTER\"", report).as_slice() {
            mapping.labels.insert(name.clone(), pointer.clone());
        }
    }
    mapping.tags = fields.string("tags", report).map(|pointer| pointer.text);
    mapping.summary = fields.string("summary", report).map(|pointer| pointer.text);
    let any = mapping != Mapping::default();
    (mapping, any)
}

/// At least so many texts.
fn several(field: &Field<'_>, name: &str, least: usize, form: &str, report: &mut Report) -> Vec<String> {
    if let Some(node) = field.node {
        no_props(node, report);
        no_block(node, report);
    }
    if field.args.len() < least {
        report.error("LB0111", field.span, format!("'{name}' has too few values")).help(format!("write {form}"));
        return Vec::new();
    }
    field.args.iter().filter_map(|arg| string(arg, name, report)).map(|named| named.text).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::SourceFile;
    use crate::operator::{parse_intake, parse_operator};

    fn source(text: &str) -> SourceFile {
        SourceFile { name: "lifeboat.kdl".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn hooks_of_all_kinds_are_read() {
        let text = "hook \"alertmanager\" kind=\"alertmanager\"\nsecret \"s\" env=\"S\"\n\
                    hook \"own\" kind=\"generic\" secret=\"s\" window=\"10m\" {\n  status \"/a\" firing=\"1\" { resolved \"0\" \"2\" }\n  \
                    group \"/g\" \"/h\"; only \"/t\" \"X\"; label \"host\" \"/host\"; once #true\n}\n\
                    hook \"pd\" kind=\"pagerduty\" secret=\"s\" signs=\"body\"\n\
                    automatic \"orders\" past-no-return=#true verified=#true\nautomatic \"files\" start=#false\n";
        let intake = parse_intake(&source(text), Path::new("/")).unwrap();
        assert_eq!(intake.hooks.keys().collect::<Vec<_>>(), ["alertmanager", "own", "pd"]);
        let own = &intake.hooks["own"];
        assert_eq!((own.secret.as_deref(), own.scheme, own.window_ms), (Some("s"), Scheme::Timed, 600_000));
        let mapping = own.source.mapping.as_ref().unwrap();
        assert_eq!((mapping.firing.len(), mapping.resolved.len(), mapping.group.len(), mapping.once), (1, 2, 2, true));
        assert_eq!(mapping.only, [("/t".to_owned(), vec!["X".to_owned()])]);
        assert_eq!((intake.hooks["pd"].scheme, intake.hooks["alertmanager"].secret.as_ref()), (Scheme::Body, None));
        assert_eq!(intake.automatic("orders"), Automatic { start: true, past_no_return: true, verified: true });
        assert_eq!(intake.automatic("files"), Automatic { start: false, past_no_return: false, verified: false });
        assert_eq!(intake.automatic("other"), Automatic::default());
        assert!(parse_operator(&source(text), Path::new("/")).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_hook_is_said_at_once() {
        let text = "hook \"a\" kind=\"alertmanger\"\nhook \"b\"\nhook \"c\" kind=\"zabbix\" { group \"/x\" }\n\
                    hook \"d\" kind=\"generic\" secret=\"nowhere\" window=\"2h\"\nhook \"e\" kind=\"generic\" { label \"x\" }\n\
                    hook \"f\" kind=\"grafana\" signs=\"no\" colour=\"red\"\nhook \"f\" kind=\"grafana\"\n\
                    automatic \"r\" start=1\nautomatic \"r\"\n";
        let found = parse_intake(&source(text), Path::new("/")).unwrap_err();
        let codes: Vec<_> = found.iter().map(|one| (one.line, one.code)).collect();
        assert_eq!(
            codes,
            [
                (1, "LB0120"),
                (2, "LB0118"),
                (3, "LB1018"),
                (4, "LB1018"),
                (4, "LB0413"),
                (4, "LB0120"),
                (5, "LB0111"),
                (6, "LB0120"),
                (6, "LB0110"),
                (7, "LB0405"),
                (8, "LB0113"),
                (9, "LB0405")
            ]
        );
        assert!(found.iter().all(|one| one.help.is_some()));
    }
}
