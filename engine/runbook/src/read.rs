//! From nodes to a runbook: what each node of a runbook says, except for steps and triggers.

use std::collections::BTreeMap;

use kdl::KdlValue;
use lifeboat_core::limits::STEPS_PER_PLAN_MAX;
use lifeboat_core::plan::{Mode, Objectives, StepKind};
use lifeboat_core::verified::Policy;
use serde_json::{Map, Value};

use crate::diagnostic::Span;
use crate::fields::{Fields, at_most_args, declared_name, no_block, no_props, string, unknown_node};
use crate::model::{Input, InputType, LockDef, Override, Places, Runbook, TargetDef, Trigger};
use crate::report::Report;
use crate::syntax::{Node, Parsed};
use crate::values::{nodes_into, to_json, twice};
use crate::{channels, locks, runs, speed, steps, triggers};

/// The shortest and the longest time that what a drill makes may stay: a second, a year.
const KEEP_MS: (u64, u64) = (1_000, 365 * 86_400_000);

/// The nodes of a runbook that are no steps.
pub(crate) const NODES: [&str; 11] = [
    "description",
    "owner",
    "objectives",
    "verification",
    "input",
    "target",
    "mode",
    "modes",
    "on",
    "on-failure",
    "defaults",
];

/// `base`: where the text of its file starts.
pub(crate) fn runbook(parsed: Parsed, base: usize, report: &mut Report) -> Option<Runbook> {
    let mut runbooks = parsed.nodes.iter().filter(|node| node.name == "runbook");
    let first = runbooks.next();
    for second in runbooks {
        report
            .error("LB0108", second.head, "a file holds one runbook, and this is another one")
            .help("move it to a file of its own");
    }
    for node in parsed.nodes.iter().filter(|node| node.name != "runbook") {
        let diagnostic =
            report.error("LB0109", node.name_span, format!("'{}' means nothing outside of a runbook", node.name));
        if crate::diagnostic::closest(&node.name, ["runbook"]).is_some() {
            diagnostic.did_you_mean(&node.name, ["runbook"]);
        } else if crate::operator::NODES.contains(&node.name.as_str()) {
            diagnostic.help("this belongs into the operator's file, lifeboat.kdl");
        } else {
            diagnostic.help("put it into runbook \"NAME\" { }; a part for include is checked with what includes it");
        }
    }
    let Some(node) = first else {
        if !report.has_errors() {
            report
                .error("LB0107", Span { offset: base, len: 0 }, "there is no runbook in this file")
                .help("start with: runbook \"NAME\" { ... }");
        }
        return None;
    };
    let mut runbook =
        Runbook { head: node.head, broken: parsed.broken, incomplete: parsed.incomplete, ..Runbook::default() };
    if node.head.len > 0 {
        runbook.name = declared_name(node, report).map(|name| name.text).unwrap_or_default();
        at_most_args(node, 1, report);
        no_props(node, report);
    }
    read_nodes(node, &mut runbook, report);
    let defaults = runbook.defaults.clone();
    runbook.steps.iter_mut().for_each(|step| step.defaults = defaults.clone());
    duplicates(&runbook, report);
    Some(runbook)
}

fn read_nodes(node: &Node, runbook: &mut Runbook, report: &mut Report) {
    let mut once: BTreeMap<&str, Span> = BTreeMap::new();
    for child in &node.children {
        let single = matches!(
            child.name.as_str(),
            "description"
                | "owner"
                | "objectives"
                | "verification"
                | "modes"
                | "on-failure"
                | "defaults"
                | "max-parallel"
        );
        if single && once.insert(&child.name, child.head).is_some() {
            twice(&child.name, child.head, report);
        }
        if let Some(kind) = StepKind::parse(&child.name) {
            steps::read(child, kind, runbook, report);
        } else {
            read_node(child, runbook, report);
        }
    }
    if runbook.steps.is_empty() && runbook.runs.is_empty() && runbook.broken.is_empty() && !runbook.incomplete {
        report
            .error("LB0126", runbook.head, "this runbook has no steps")
            .help("add one, as: snapshot \"take\" of=\"TARGET\" into=\"VAULT\"");
    }
    if runbook.steps.len() > STEPS_PER_PLAN_MAX {
        report
            .error("LB0127", runbook.head, format!("a runbook has at most {STEPS_PER_PLAN_MAX} steps"))
            .help("split it into several runbooks");
        runbook.steps.truncate(STEPS_PER_PLAN_MAX);
    }
}

fn read_node(node: &Node, runbook: &mut Runbook, report: &mut Report) {
    match node.name.as_str() {
        "description" => runbook.description = only_text(node, report).unwrap_or_default(),
        "owner" => runbook.owner = only_text(node, report),
        "objectives" => runbook.objectives = objectives(node, report),
        "verification" => runbook.verification = verification(node, report),
        "run" => runs::read(node, runbook, report),
        "input" => runbook.inputs.extend(input(node, report)),
        "target" => match target(node, report) {
            Some(target) => runbook.targets.push(target),
            None => runbook.broken.extend(node.args.first().and_then(|arg| arg.value.as_string()).map(str::to_owned)),
        },
        "mode" => mode(node, runbook, report),
        "modes" => modes(node, runbook, report),
        "on" => {
            report.apart(node.whole);
            let trigger = triggers::read(node, report);
            runbook.drill_declared |= trigger.as_ref().is_some_and(|trigger| trigger.mode() == Mode::Drill);
            runbook.triggers.extend(trigger);
        }
        "on-failure" => on_failure(node, runbook, report),
        "defaults" => {
            let mut fields = Fields::new(node);
            at_most_args(node, 0, report);
            runbook.defaults = steps::policy(&mut fields, report);
            fields.refuse_rest(&["timeout", "heartbeat", "retry", "in-doubt"], report);
        }
        "max-parallel" => {
            runbook.max_parallel =
                node.args.first().and_then(|arg| crate::fields::number(arg, "max-parallel", 1, 10_000, report));
            if node.args.is_empty() {
                report.error("LB0111", node.head, "'max-parallel' has no value").help("write max-parallel 8");
            }
            at_most_args(node, 1, report);
            no_props(node, report);
            no_block(node, report);
        }
        _ => {
            let kinds = StepKind::ALL.map(StepKind::as_str);
            let known: Vec<&str> = NODES.into_iter().chain(["max-parallel", "run", "include"]).chain(kinds).collect();
            unknown_node(node, "runbook", &known, report);
            runbook.broken.extend(node.args.first().and_then(|arg| match &arg.value {
                KdlValue::String(text) => Some(text.clone()),
                _ => None,
            }));
        }
    }
}

fn only_text(node: &Node, report: &mut Report) -> Option<String> {
    at_most_args(node, 1, report);
    no_props(node, report);
    no_block(node, report);
    let Some(arg) = node.args.first() else {
        report
            .error("LB0111", node.head, format!("'{}' has no value", node.name))
            .help(format!("write {} \"...\"", node.name));
        return None;
    };
    string(arg, &node.name, report).map(|named| named.text)
}

fn objectives(node: &Node, report: &mut Report) -> Objectives {
    at_most_args(node, 0, report);
    let mut fields = Fields::new(node);
    let rto = fields.duration("rto", report);
    let rpo = fields.duration("rpo", report);
    let mtpd = fields.duration("mtpd", report);
    if let (Some((rto_ms, rto_span)), Some((mtpd_ms, mtpd_span))) = (rto, mtpd)
        && rto_ms >= mtpd_ms
    {
        report
            .error("LB0305", rto_span, "the recovery time objective is not below the tolerable disruption")
            .label(mtpd_span, "what the business can bear")
            .help("recovery has to end before the disruption is intolerable: make rto smaller than mtpd");
    }
    fields.refuse_rest(&["rto", "rpo", "mtpd"], report);
    Objectives { rto_ms: rto.map(|v| v.0), rpo_ms: rpo.map(|v| v.0), mtpd_ms: mtpd.map(|v| v.0) }
}

fn verification(node: &Node, report: &mut Report) -> Option<Policy> {
    at_most_args(node, 0, report);
    let mut fields = Fields::new(node);
    let every = fields.duration("every", report);
    fields.refuse_rest(&["every"], report);
    let written = node.props.iter().map(|prop| &prop.name).chain(node.children.iter().map(|child| &child.name));
    if written.into_iter().all(|name| name != "every") {
        report
            .error("LB0118", node.head, "'verification' does not say how often")
            .help("write verification every=\"7d\": for so long a passed drill counts");
    }
    every.map(|(every_ms, _)| Policy { every_ms })
}

fn input(node: &Node, report: &mut Report) -> Option<Input> {
    at_most_args(node, 1, report);
    let name = declared_name(node, report);
    let mut fields = Fields::new(node);
    let kind = match fields.word("type", &InputType::WORDS, report) {
        Some(word) => InputType::parse(&word.text).unwrap_or(InputType::String),
        None => InputType::String,
    };
    let required = fields.boolean("required", report).is_some_and(|(required, _)| required);
    if kind == InputType::List {
        let default = list_default(&mut fields, report);
        fields.refuse_rest(&["type", "required", "default"], report);
        return Some(Input { name: name?, kind, required, default });
    }
    let default = fields.value("default", report).map(|(arg, _)| {
        let value = to_json(arg, report);
        let text = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if let Err(reason) = typed_input(kind, &text) {
            report
                .error("LB0131", arg.span, format!("the default is not of type {}: {reason}", kind.as_str()))
                .help("change the default or the type");
        }
        typed_input(kind, &text).unwrap_or(value)
    });
    fields.refuse_rest(&["type", "required", "default"], report);
    Some(Input { name: name?, kind, required, default })
}

/// `default "a" "b"`, or one text with commas.
fn list_default(fields: &mut Fields<'_>, report: &mut Report) -> Option<Value> {
    let field = fields.one("default", report)?;
    if let Some(node) = field.node {
        no_props(node, report);
        no_block(node, report);
    }
    let items: Vec<_> = field.args.iter().filter_map(|arg| string(arg, "default", report)).collect();
    match items.as_slice() {
        _ if items.len() < field.args.len() => None,
        [] => {
            report.error("LB0111", field.span, "'default' has no value").help("write default \"a\" \"b\"");
            None
        }
        [only] => typed_input(InputType::List, &only.text).ok(),
        several => Some(several.iter().map(|item| Value::String(item.text.clone())).collect()),
    }
}

/// A text as a value of that type.
pub(crate) fn typed_input(kind: InputType, text: &str) -> Result<Value, String> {
    match kind {
        InputType::String => Ok(Value::String(text.to_owned())),
        InputType::Path if text.is_empty() || text.contains('\0') => Err("it is not a path".to_owned()),
        InputType::Path => Ok(Value::String(text.to_owned())),
        InputType::Int => text.parse::<i64>().map(Value::from).map_err(|_| format!("'{text}' is not a whole number")),
        InputType::Bool => text.parse::<bool>().map(Value::from).map_err(|_| format!("'{text}' is not true or false")),
        InputType::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(|item| Value::String(item.to_owned())).collect())
        }
        InputType::Duration => crate::values::parse_duration(text).map(|_| Value::String(text.to_owned())),
    }
}

/// The settings of a target: its child nodes, except for those that name a secret.
struct Settings {
    settings: Value,
    places: Places,
    secrets: BTreeMap<String, String>,
    lock: Option<LockDef>,
    upload_limit: Option<u64>,
}

fn settings(children: &[&Node], report: &mut Report) -> Settings {
    let mut secrets = BTreeMap::new();
    let mut plain = Vec::new();
    let lock = locks::read(children, report);
    let upload_limit = speed::read(children, report);
    for child in children.iter().copied().filter(|child| child.name != "lock" && child.name != speed::NAME) {
        let Some(secret) = child.props.iter().find(|prop| prop.name == "secret") else {
            plain.push(child);
            continue;
        };
        at_most_args(child, 0, report);
        if let Some(name) = string(&secret.arg, "secret", report)
            && secrets.insert(child.name.clone(), name.text).is_some()
        {
            twice(&child.name, child.head, report);
        }
    }
    let (mut map, mut places) = (Map::new(), Places::new());
    nodes_into(&mut map, plain.into_iter(), "", &mut places, report);
    Settings { settings: Value::Object(map), places, secrets, lock, upload_limit }
}

fn target(node: &Node, report: &mut Report) -> Option<TargetDef> {
    at_most_args(node, 1, report);
    let name = declared_name(node, report);
    let (props, children) = split_target(node, &["plugin", "site"], report);
    let plugin = props.get("plugin").cloned();
    let misspelt = |name: &str| name == "plugin" || crate::diagnostic::closest(name, ["plugin"]).is_some();
    if plugin.is_none() && !node.props.iter().any(|prop| misspelt(&prop.name)) {
        report
            .error("LB0118", node.head, "a target needs a plugin")
            .help("write target \"NAME\" plugin=\"fs\" { ... }; `lifeboat plugin ls` lists plugins");
    }
    let Settings { settings, places, secrets, lock, upload_limit } = settings(&children, report);
    let site = props.get("site").map(|site| site.text.clone());
    Some(TargetDef {
        name: name?,
        plugin: plugin?,
        site,
        settings,
        places,
        secrets,
        lock,
        upload_limit,
        head: node.head,
        references: None,
    })
}

fn split_target<'n>(
    node: &'n Node,
    known: &[&str],
    report: &mut Report,
) -> (BTreeMap<String, crate::model::Named>, Vec<&'n Node>) {
    let mut props = BTreeMap::new();
    for prop in &node.props {
        if !known.contains(&prop.name.as_str()) {
            report
                .error("LB0110", prop.whole, format!("a target has no property '{}'", prop.name))
                .did_you_mean(&prop.name, known.iter().copied());
            continue;
        }
        if let Some(value) = string(&prop.arg, &prop.name, report)
            && props.insert(prop.name.clone(), value).is_some()
        {
            twice(&prop.name, prop.whole, report);
        }
    }
    (props, node.children.iter().collect())
}

pub(crate) fn mode_word(text: &str, span: Span, report: &mut Report) -> Option<Mode> {
    let mode = Mode::parse(text);
    if mode.is_none() {
        report.error("LB0121", span, format!("'{text}' is not a mode")).did_you_mean(text, Mode::ALL.map(Mode::as_str));
    }
    mode
}

fn mode(node: &Node, runbook: &mut Runbook, report: &mut Report) {
    at_most_args(node, 1, report);
    no_props(node, report);
    let Some(arg) = node.args.first() else {
        report.error("LB0111", node.head, "this 'mode' has no name").help("write mode \"drill\" { ... }");
        return;
    };
    let mode = string(arg, "mode", report).and_then(|word| mode_word(&word.text, word.span, report));
    runbook.drill_declared |= mode == Some(Mode::Drill);
    keep(node, mode, runbook, report);
    for child in node.children.iter().filter(|child| child.name != "keep") {
        if child.name != "target" {
            unknown_node(child, "mode", &["target", "keep"], report);
            continue;
        }
        at_most_args(child, 1, report);
        let name = declared_name(child, report);
        let (props, children) = split_target(child, &["site"], report);
        let Settings { settings, places, secrets, lock, upload_limit } = settings(&children, report);
        let site = props.get("site").map(|site| site.text.clone());
        if let (Some(mode), Some(target)) = (mode, name) {
            if runbook.overrides.iter().any(|other| other.mode == mode && other.target.text == target.text) {
                report
                    .error("LB0114", target.span, format!("target '{}' is given twice for this mode", target.text))
                    .help("put all of it into one place");
            }
            runbook.overrides.push(Override {
                mode,
                target,
                site,
                settings,
                places,
                secrets,
                lock,
                upload_limit,
                head: child.head,
                references: None,
            });
        }
    }
}

/// How long what a drill makes may stay.
fn keep(node: &Node, mode: Option<Mode>, runbook: &mut Runbook, report: &mut Report) {
    let Some((keep_ms, span)) = Fields::new(node).duration("keep", report) else { return };
    if mode.is_some_and(|mode| mode != Mode::Drill) {
        report
            .error("LB0110", span, "only what a drill makes is removed again")
            .help("write it for drills: mode \"drill\" { keep \"4h\" }");
    } else if !(KEEP_MS.0..=KEEP_MS.1).contains(&keep_ms) {
        report.error("LB0120", span, "'keep' is between 1s and 365d").help("a day, if nothing is said");
    } else if runbook.keep_ms.replace(keep_ms).is_some() {
        report.error("LB0114", span, "'keep' is given twice for this mode").help("one time holds for all of a drill");
    }
}

fn modes(node: &Node, runbook: &mut Runbook, report: &mut Report) {
    no_props(node, report);
    no_block(node, report);
    let mut modes = Vec::new();
    for arg in &node.args {
        let mode = string(arg, "modes", report).and_then(|word| mode_word(&word.text, word.span, report));
        modes.extend(mode.filter(|mode| !modes.contains(mode)));
    }
    if node.args.is_empty() {
        report.error("LB0111", node.head, "'modes' names no mode").help("write modes \"failover\" \"drill\"");
    }
    if !modes.is_empty() {
        runbook.drill_declared |= modes.contains(&Mode::Drill);
        runbook.declared_modes = Some(modes);
    }
}

fn on_failure(node: &Node, runbook: &mut Runbook, report: &mut Report) {
    at_most_args(node, 0, report);
    no_props(node, report);
    for child in &node.children {
        match child.name.as_str() {
            "compensate" => {
                at_most_args(child, 0, report);
                no_props(child, report);
                no_block(child, report);
                runbook.compensate_on_failure = true;
            }
            "notify" => runbook.notify_on_failure.extend(channels::on_failure(child, report)),
            _ => unknown_node(child, "on-failure", &["compensate", "notify"], report),
        }
    }
}

fn duplicates(runbook: &Runbook, report: &mut Report) {
    let steps = runbook.steps.iter().map(|step| ("step", &step.id));
    let steps = steps.chain(runbook.runs.iter().map(|run| ("step", &run.id)));
    let targets = runbook.targets.iter().map(|target| ("target", &target.name));
    let inputs = runbook.inputs.iter().map(|input| ("input", &input.name));
    let schedules = runbook.triggers.iter().filter_map(|trigger| match trigger {
        Trigger::Schedule(schedule) => Some(("schedule", &schedule.name)),
        Trigger::Alert(_) => None,
    });
    let mut seen: BTreeMap<(&str, &str), Span> = BTreeMap::new();
    for (what, name) in steps.chain(targets).chain(inputs).chain(schedules) {
        if let Some(first) = seen.get(&(what, name.text.as_str())) {
            report
                .error("LB0114", name.span, format!("there is a {what} '{}' already", name.text))
                .label(*first, "the first one")
                .help("give one of them another name");
        } else {
            seen.insert((what, &name.text), name.span);
        }
    }
}
