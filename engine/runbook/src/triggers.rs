//! `on "schedule"` and `on "alert"`: what starts a run by itself.

use lifeboat_alerts::kernel::{Agree, Budget};
use lifeboat_alerts::limits::{BUDGET_MAX, PROBES_MAX};
use lifeboat_alerts::{Matcher, Matchers, Op, Refused};
use lifeboat_core::plan::Mode;

use crate::diagnostic::Span;
use crate::fields::{Field, Fields, at_most_args, no_block, no_props, number, string};
use crate::model::{AlertDef, Named, Trigger};
use crate::read::mode_word;
use crate::report::Report;
use crate::schedules;
use crate::syntax::Node;

pub(crate) fn read(node: &Node, report: &mut Report) -> Option<Trigger> {
    at_most_args(node, 1, report);
    let Some(arg) = node.args.first() else {
        report
            .error("LB0111", node.head, "this 'on' does not say on what")
            .help("write on \"schedule\" or on \"alert\"");
        return None;
    };
    let what = string(arg, "on", report)?;
    match what.text.as_str() {
        "schedule" => schedules::read(node, report).map(Trigger::Schedule),
        "alert" => alert(node, report).map(Trigger::Alert),
        other => {
            report
                .error("LB0120", what.span, format!("'{other}' starts no run"))
                .did_you_mean(other, ["schedule", "alert"]);
            None
        }
    }
}

pub(crate) fn mode(fields: &mut Fields<'_>, default: Mode, report: &mut Report) -> Option<Mode> {
    match fields.string("mode", report) {
        Some(word) => mode_word(&word.text, word.span, report),
        None => Some(default),
    }
}

fn alert(node: &Node, report: &mut Report) -> Option<AlertDef> {
    let mut fields = Fields::new(node);
    let sources = texts(&mut fields, "source", report);
    let written = node.props.iter().map(|prop| &prop.name).chain(node.children.iter().map(|child| &child.name));
    if written.into_iter().all(|name| name != "source") {
        report.error("LB0118", node.head, "an alert needs 'source'").help("write source=\"alertmanager\"");
    }
    let mode = mode(&mut fields, Mode::Failover, report);
    let hold_ms = fields.duration("hold", report).map_or(0, |(ms, _)| ms);
    let matchers = matchers(&mut fields, report);
    let group = texts(&mut fields, "group", report);
    let agree = fields.one("agree", report).and_then(|field| agree(&field, report));
    let budget = fields.one("budget", report).and_then(|field| budget(&field, report));
    let past_no_return = fields.boolean("past-no-return", report).is_some_and(|(past, _)| past);
    fields.refuse_rest(&["source", "mode", "hold", "match", "group", "agree", "budget", "past-no-return"], report);
    let sources: Vec<String> = sources.into_iter().map(|source| source.text).collect();
    Some(AlertDef {
        sources: Some(sources).filter(|sources| !sources.is_empty())?,
        mode: mode?,
        matchers,
        group: group.into_iter().map(|label| label.text).collect(),
        hold_ms,
        agree,
        budget: budget.unwrap_or_default(),
        past_no_return,
    })
}

/// A field of one or more texts.
pub(crate) fn texts(fields: &mut Fields<'_>, name: &str, report: &mut Report) -> Vec<Named> {
    let Some(field) = fields.one(name, report) else { return Vec::new() };
    if let Some(node) = field.node {
        no_props(node, report);
        no_block(node, report);
    }
    if field.args.is_empty() {
        report.error("LB0111", field.span, format!("'{name}' has no value")).help(format!("write {name} \"...\""));
    }
    field.args.iter().filter_map(|arg| string(arg, name, report)).collect()
}

fn matchers(fields: &mut Fields<'_>, report: &mut Report) -> Matchers {
    let mut all = Vec::new();
    let written = fields.all("match");
    let mistakes = report.count();
    for field in &written {
        all.extend(one_match(field, report));
    }
    let matchers = Matchers(all);
    if written.is_empty() {
        report
            .error("LB0118", fields.node.head, "an alert without 'match' would start a run for every alert")
            .help("add { match \"alertname\" \"NAME\" }");
    } else if report.count() == mistakes && matchers.match_nothing() {
        report
            .error("LB0118", fields.node.head, "what is asked of an alert holds for one without any label: it would start a run for nearly every alert")
            .help("add { match \"alertname\" \"NAME\" }");
    }
    matchers
}

/// `match "LABEL" "VALUE"`, or matchers in the language of Alertmanager in one text.
fn one_match(field: &Field<'_>, report: &mut Report) -> Vec<Matcher> {
    if let Some(node) = field.node {
        no_props(node, report);
        no_block(node, report);
        at_most_args(node, 2, report);
    }
    match field.args.as_slice() {
        [text] => {
            let Some(named) = string(text, "match", report) else { return Vec::new() };
            Matchers::parse(&named.text).map(|matchers| matchers.0).unwrap_or_else(|refused| {
                refuse(refused, &named, report);
                Vec::new()
            })
        }
        [label, value, ..] => {
            let (label, value) = (string(label, "match", report), string(value, "match", report));
            let matcher = label.zip(value).map(|(label, value)| Matcher::new(label.text, Op::Is, value.text));
            matcher.and_then(Result::ok).into_iter().collect()
        }
        [] => {
            report
                .error("LB0111", field.span, "'match' needs a label and a value, or a matcher")
                .help("match \"LABEL\" \"VALUE\", or match #\"LABEL=~\"EXPRESSION\"\"#");
            Vec::new()
        }
    }
}

/// A mistake in a text that stands in the file: at its very place, where the text stands there as it is.
fn refuse(refused: Refused, named: &Named, report: &mut Report) {
    let begin = report.slice(named.span).and_then(|written| written.find(&named.text));
    let span = match (begin, refused.span) {
        (Some(begin), Some((from, to))) => {
            Span::between(named.span.offset + begin + from, named.span.offset + begin + to)
        }
        _ => named.span,
    };
    report.error(refused.code, span, refused.message).help(refused.help);
}

/// `agree 2 "PROBE" … label="LABEL" within="1h"`
fn agree(field: &Field<'_>, report: &mut Report) -> Option<Agree> {
    let most = u32::try_from(PROBES_MAX).unwrap_or(u32::MAX);
    let count = counted(field, "agree", 2, most, report);
    let of: Vec<_> = field.args.iter().skip(1).filter_map(|arg| string(arg, "agree", report)).collect();
    let (mut label, mut within) = (None, None);
    if let Some(node) = field.node {
        let mut fields = Fields::new(node);
        label = fields.string("label", report);
        within = fields.duration("within", report);
        fields.refuse_rest(&["label", "within"], report);
    }
    let count = count?;
    if !of.is_empty() && of.len() < usize::try_from(count).unwrap_or(usize::MAX) {
        report
            .error("LB0120", field.span, format!("{count} have to agree, and only {} are named", of.len()))
            .help("name more probes, or none where any counts");
    }
    let agree = Agree {
        of: of.into_iter().map(|probe| probe.text).collect(),
        label: label.map(|label| label.text),
        ..Agree::new(count)
    };
    Some(Agree { within_ms: within.map_or(agree.within_ms, |(ms, _)| ms), ..agree })
}

/// `budget 3 within="24h"`
fn budget(field: &Field<'_>, report: &mut Report) -> Option<Budget> {
    let starts = counted(field, "budget", 0, BUDGET_MAX, report);
    let mut within = None;
    if let Some(node) = field.node {
        at_most_args(node, 1, report);
        let mut fields = Fields::new(node);
        within = fields.duration("within", report);
        fields.refuse_rest(&["within"], report);
    }
    let budget = Budget { starts: starts?, ..Budget::default() };
    Some(Budget { window_ms: within.map_or(budget.window_ms, |(ms, _)| ms), ..budget })
}

fn counted(field: &Field<'_>, name: &str, min: u32, max: u32, report: &mut Report) -> Option<u32> {
    let Some(arg) = field.args.first() else {
        report
            .error("LB0111", field.span, format!("'{name}' has no number"))
            .help(format!("write {name} {}", min.max(3)));
        return None;
    };
    number(arg, name, min, max, report)
}
