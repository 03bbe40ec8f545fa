//! What the node of a step says.

use kdl::KdlValue;
use lifeboat_core::plan::{Approval, InDoubt, Mode, Retry, StepKind, Waiver};
use lifeboat_core::template;
use serde_json::{Map, Value};

use crate::diagnostic::Span;
use crate::fields::{Fields, at_most_args, declared_name, duration, no_block, no_props, number, string};
use crate::model::{Named, Places, PolicyDef, Runbook, StepDef, UndoDef};
use crate::read::mode_word;
use crate::report::Report;
use crate::syntax::Node;
use crate::values::{DURATION_HELP, escape, node_to_json, nodes_into, to_json, twice};
use crate::{each, when};

/// The rules that an author may waive, in writing.
pub(crate) const WAIVABLE: [&str; 3] = ["LB0301", "LB0302", "LB0311"];

/// The time-out of a step that tells somebody, where nothing is said.
const NOTICE_TIMEOUT_MS: u64 = 30_000;

/// The roles of targets, by kind of step: name, and whether it has to be written.
pub(crate) const fn roles(kind: StepKind) -> &'static [(&'static str, bool)] {
    match kind {
        StepKind::Snapshot => &[("of", true), ("into", true)],
        StepKind::Verify => &[("from", false)],
        StepKind::Transfer | StepKind::Restore => &[("into", true), ("from", false)],
        StepKind::Validate | StepKind::Switch => &[("target", true)],
        StepKind::Approve | StepKind::Wait | StepKind::Notify => &[],
    }
}

pub(crate) const fn takes_snapshot(kind: StepKind) -> bool {
    matches!(kind, StepKind::Verify | StepKind::Transfer | StepKind::Restore)
}

pub(crate) fn read(node: &Node, kind: StepKind, runbook: &mut Runbook, report: &mut Report) {
    let mut fields = Fields::new(node);
    let waits = runbook.steps.iter().filter(|step| step.kind == StepKind::Wait).count();
    let (id, wait_ms) = if kind == StepKind::Wait {
        wait(node, waits + 1, &mut fields, report)
    } else {
        at_most_args(node, 1, report);
        (declared_name(node, report), None)
    };
    let (compensate, undo) = compensate(&mut fields, report);
    let mut step = StepDef {
        id: id.clone().unwrap_or(Named { text: String::new(), span: node.head }),
        kind,
        roles: read_roles(kind, node, &mut fields, report),
        snapshot: None,
        args: Value::Null,
        places: Places::new(),
        after: after(&mut fields, report),
        modes: modes(&mut fields, report),
        policy: PolicyDef::default(),
        compensate,
        undo,
        when: when::read(&mut fields, report),
        estimate_ms: fields.duration("estimate", report).map(|(ms, _)| ms),
        waivers: waivers(&mut fields, report),
        scan: kind == StepKind::Validate && fields.boolean("scan", report).is_some_and(|(scan, _)| scan),
        approval: None,
        wait_ms,
        head: node.head,
        references: Vec::new(),
        each: each::read(&mut fields, report),
        defaults: PolicyDef::default(),
        fan: None,
        foreign: false,
    };
    if kind == StepKind::Approve {
        step.approval = Some(approval(node, &mut fields, report));
    } else if kind.has_attempts() {
        step.policy = policy(&mut fields, report);
    }
    if kind == StepKind::Notify {
        notice(&mut step, &mut fields, report);
    }
    if takes_snapshot(kind) {
        step.snapshot = fields.string("snapshot", report);
        if step.snapshot.is_none() && !node.props.iter().any(|prop| prop.name == "snapshot") {
            report
                .error("LB0118", node.head, format!("a {} needs a snapshot", kind.as_str()))
                .help("write snapshot=\"{{steps.NAME.snapshot}}\"");
        }
    }
    for field in fields.all("lock") {
        report
            .error("LB0110", field.span, "a step has no lock of its own")
            .help("the targets that it writes to are locked; name the lock there: target \"NAME\" { lock \"...\" }");
    }
    arguments(&mut step, fields, report);
    collect_references(&mut step, report);
    let only_drill = step.modes.as_slice() == [Mode::Drill];
    runbook.drill_declared |= only_drill;
    if id.is_some() {
        runbook.steps.push(step);
    } else {
        runbook.broken.push(String::new());
    }
}

/// `wait "5m"`, `wait "NAME" "5m"` or `wait "NAME" for="5m"`.
fn wait(node: &Node, count: usize, fields: &mut Fields<'_>, report: &mut Report) -> (Option<Named>, Option<u64>) {
    at_most_args(node, 2, report);
    let by_field = fields.duration("for", report).map(|(ms, _)| ms);
    match (node.args.as_slice(), by_field) {
        ([], _) => {
            report.error("LB0111", node.name_span, "this 'wait' does not say how long").help("write wait \"5m\"");
            (None, None)
        }
        ([only], None) => {
            let name = Named { text: format!("wait-{count}"), span: only.span };
            (Some(name), duration(only, "wait", report))
        }
        ([_, second, ..], None) => (declared_name(node, report), duration(second, "wait", report)),
        (_, Some(ms)) => (declared_name(node, report), Some(ms)),
    }
}

fn read_roles(
    kind: StepKind,
    node: &Node,
    fields: &mut Fields<'_>,
    report: &mut Report,
) -> std::collections::BTreeMap<&'static str, Named> {
    let mut found = std::collections::BTreeMap::new();
    for (role, required) in roles(kind) {
        let written = node.props.iter().any(|prop| prop.name == *role) || node.children.iter().any(|c| c.name == *role);
        if let Some(target) = fields.string(role, report) {
            found.insert(*role, target);
        } else if *required && !written {
            report
                .error("LB0118", node.head, format!("a {} needs '{role}'", kind.as_str()))
                .help(format!("write {role}=\"TARGET\""));
        }
    }
    found
}

pub(crate) fn after(fields: &mut Fields<'_>, report: &mut Report) -> Vec<Named> {
    let mut names = Vec::new();
    for field in fields.all("after") {
        if let Some(node) = field.node {
            no_props(node, report);
            no_block(node, report);
        }
        if field.args.is_empty() {
            report.error("LB0111", field.span, "'after' names no step").help("write after=\"STEP\"");
        }
        names.extend(field.args.iter().filter_map(|arg| string(arg, "after", report)));
    }
    names
}

pub(crate) fn modes(fields: &mut Fields<'_>, report: &mut Report) -> Vec<Mode> {
    let mut kept: Vec<Mode> = Mode::ALL.to_vec();
    for (name, keep) in [("only", true), ("except", false)] {
        for field in fields.all(name) {
            if field.args.is_empty() {
                report.error("LB0111", field.span, format!("'{name}' names no mode")).help("write only=\"drill\"");
                continue;
            }
            let words: Vec<_> = field.args.iter().filter_map(|arg| string(arg, name, report)).collect();
            let modes: Vec<_> = words.iter().map(|word| mode_word(&word.text, word.span, report)).collect();
            // With a word that is no mode, nobody knows what is meant: the step stays in all modes.
            if words.len() == field.args.len() && modes.iter().all(Option::is_some) {
                kept.retain(|mode| modes.contains(&Some(*mode)) == keep);
            }
        }
    }
    kept
}

/// `compensate #true`, or a block that says how the step is undone.
fn compensate(fields: &mut Fields<'_>, report: &mut Report) -> (Option<(bool, Span)>, Option<UndoDef>) {
    let block = fields.node.children.iter().any(|child| child.name == "compensate" && child.has_block);
    if !block {
        return (fields.boolean("compensate", report), None);
    }
    let Some(field) = fields.one("compensate", report) else { return (None, None) };
    // Where a property stands beside the block, that it is given twice was said.
    let Some(node) = field.node else { return (None, None) };
    at_most_args(node, 1, report);
    if let Some(arg) = node.args.first()
        && arg.value != KdlValue::Bool(true)
    {
        report
            .error("LB0120", arg.span, "a block says how the step is undone, and this says something else")
            .help("write compensate { ... }, or compensate #false without a block");
    }
    let mut inner = Fields::new(node);
    let timeout = inner.duration("timeout", report);
    if let Some((0, span)) = timeout {
        report.error("LB0120", span, "a time-out cannot be zero").help(DURATION_HELP);
    }
    let undo = UndoDef { timeout_ms: timeout.map(|(ms, _)| ms), retry: retry(&mut inner, report) };
    inner.refuse_rest(&["timeout", "retry"], report);
    (Some((true, field.span)), Some(undo))
}

fn waivers(fields: &mut Fields<'_>, report: &mut Report) -> Vec<(Waiver, Span)> {
    let mut found = Vec::new();
    for field in fields.all("waive") {
        let Some(rule) = field.args.first().and_then(|arg| string(arg, "waive", report)) else {
            report.error("LB0111", field.span, "'waive' names no rule").help("write waive \"LB0302\" reason=\"...\"");
            continue;
        };
        if !WAIVABLE.contains(&rule.text.as_str()) {
            report
                .error("LB0128", rule.span, format!("'{}' is not a rule that can be waived", rule.text))
                .help(format!("rules that can be: {}", WAIVABLE.join(", ")));
        }
        let mut inner = field.node.map(Fields::new);
        let reason = inner.as_mut().and_then(|inner| inner.string("reason", report));
        match &reason {
            Some(reason) if !reason.text.trim().is_empty() => {}
            _ => {
                report
                    .error("LB0129", field.span, format!("waiving '{}' needs a reason", rule.text))
                    .help("write waive \"CODE\" reason=\"why this is right here\"");
            }
        }
        if let Some(inner) = inner {
            inner.refuse_rest(&["reason"], report);
        }
        let reason = reason.map(|reason| reason.text).unwrap_or_default();
        found.push((Waiver { rule: rule.text, reason }, field.span));
    }
    found
}

fn approval(node: &Node, fields: &mut Fields<'_>, report: &mut Report) -> Approval {
    let role = fields.string("role", report);
    if role.is_none() && !node.props.iter().any(|prop| prop.name == "role") {
        report.error("LB0118", node.head, "an approve needs a role").help("write role=\"incident-commander\"");
    }
    let quorum = fields.number("quorum", 1, 100, report).unwrap_or(1);
    let expires_ms = fields.duration("timeout", report).map(|(ms, _)| ms);
    Approval { role: role.map(|role| role.text).unwrap_or_default(), people: Vec::new(), quorum, expires_ms }
}

/// Time-out, heartbeat, retry and in-doubt: of a step, or of the runbook's defaults.
pub(crate) fn policy(fields: &mut Fields<'_>, report: &mut Report) -> PolicyDef {
    let timeout = fields.duration("timeout", report);
    if let Some((0, span)) = timeout {
        report.error("LB0120", span, "a time-out cannot be zero").help(DURATION_HELP);
    }
    let words = [InDoubt::Probe, InDoubt::Rerun, InDoubt::Ask];
    let in_doubt = fields.word("in-doubt", &words.map(InDoubt::as_str), report);
    PolicyDef {
        timeout_ms: timeout.map(|(ms, _)| ms),
        heartbeat: fields.duration("heartbeat", report),
        retry: retry(fields, report),
        in_doubt: in_doubt.and_then(|word| words.into_iter().find(|w| w.as_str() == word.text).map(|w| (w, word.span))),
    }
}

pub(crate) fn retry(fields: &mut Fields<'_>, report: &mut Report) -> Option<Retry> {
    let field = fields.one("retry", report)?;
    let Some(first) = field.args.first() else {
        report.error("LB0111", field.span, "'retry' does not say how often").help("write retry 3");
        return None;
    };
    if let Some(second) = field.args.get(1) {
        report.error("LB0112", second.span, "'retry' has more than one value").help("write retry 3 backoff=\"2s\"");
    }
    let mut retry = Retry { count: number(first, "retry", 0, 999, report)?, ..Retry::default() };
    let Some(node) = field.node else { return Some(retry) };
    let mut inner = Fields::new(node);
    let backoff = inner.duration("backoff", report);
    let max = inner.duration("max", report);
    if let Some((ms, _)) = backoff {
        retry.backoff_ms = ms;
        retry.max_ms = retry.max_ms.max(ms);
    }
    if let Some((ms, span)) = max {
        retry.max_ms = ms;
        if ms < retry.backoff_ms {
            report
                .error("LB0120", span, "the longest delay is shorter than the first one")
                .help("make max at least as long as backoff");
        }
    }
    if let Some((jitter, _)) = inner.boolean("jitter", report) {
        retry.jitter = jitter;
    }
    inner.refuse_rest(&["backoff", "max", "jitter"], report);
    Some(retry)
}

/// `notify "NAME" to="CHANNEL" message="…" required=#true`. Without `to`, its own name is that of the channel.
fn notice(step: &mut StepDef, fields: &mut Fields<'_>, report: &mut Report) {
    let mut to: Vec<Value> = Vec::new();
    for field in fields.all("to") {
        if let Some(node) = field.node {
            no_props(node, report);
            no_block(node, report);
        }
        if field.args.is_empty() {
            report.error("LB0111", field.span, "'to' names no channel").help("write to=\"pager\"");
        }
        step.places.insert("/to".to_owned(), field.span);
        to.extend(field.args.iter().filter_map(|arg| string(arg, "to", report)).map(|name| Value::String(name.text)));
    }
    if to.is_empty() {
        to.push(Value::String(step.id.text.clone()));
    }
    let message = fields.string("message", report);
    if let Some(message) = &message {
        step.places.insert("/message".to_owned(), message.span);
    }
    let required = fields.boolean("required", report).is_some_and(|(required, _)| required);
    // Nobody waits an hour for a message.
    step.policy.timeout_ms = step.policy.timeout_ms.or(Some(NOTICE_TIMEOUT_MS));
    step.policy.retry.get_or_insert(Retry {
        count: if required { 3 } else { 0 },
        backoff_ms: 5_000,
        ..Retry::default()
    });
    step.args = serde_json::json!({
        "to": to,
        "message": message.map(|message| message.text).unwrap_or_default(),
        "required": required,
    });
}

/// Everything else is an argument for the plugin; steps of the engine have none.
fn arguments(step: &mut StepDef, fields: Fields<'_>, report: &mut Report) {
    if !step.kind.by_plugin() {
        let known: &[&str] = match step.kind {
            StepKind::Approve => &["role", "quorum", "timeout", "after", "only", "except", "when", "for-each"],
            StepKind::Notify => {
                &["to", "message", "required", "timeout", "retry", "after", "only", "except", "when", "for-each"]
            }
            _ => &["for", "after", "only", "except", "when", "for-each"],
        };
        fields.refuse_rest(known, report);
        return;
    }
    let (props, children) = fields.rest();
    let mut map = Map::new();
    if let Some(snapshot) = &step.snapshot {
        map.insert("snapshot".to_owned(), Value::String(snapshot.text.clone()));
        step.places.insert("/snapshot".to_owned(), snapshot.span);
    }
    for prop in props {
        let value = to_json(&prop.arg, report);
        step.places.insert(format!("/{}", escape(&prop.name)), prop.whole);
        if map.insert(prop.name.clone(), value).is_some() {
            twice(&prop.name, prop.whole, report);
        }
    }
    let expects = step.kind == StepKind::Validate;
    let others = children.iter().copied().filter(|child| !(expects && child.name == "expect"));
    nodes_into(&mut map, others, "", &mut step.places, report);
    if expects {
        let list = children.iter().copied().filter(|child| child.name == "expect").enumerate();
        let expect: Vec<Value> = list.map(|(index, child)| expectation(child, index, step, report)).collect();
        if !expect.is_empty() {
            map.insert("expect".to_owned(), Value::Array(expect));
        }
    }
    step.args = Value::Object(map);
}

/// `expect "file" path="x"` is `{"kind": "file", "path": "x"}`.
fn expectation(node: &Node, index: usize, step: &mut StepDef, report: &mut Report) -> Value {
    at_most_args(node, 1, report);
    let at = format!("/expect/{index}");
    step.places.entry("/expect".to_owned()).or_insert(node.head);
    let mut bare = node.clone();
    let kind = bare.args.first().cloned();
    bare.args.clear();
    bare.has_block = true;
    let mut value = node_to_json(&bare, &at, &mut step.places, report);
    step.places.insert(at.clone(), node.head);
    let Some(kind) = kind else {
        report.error("LB0111", node.head, "this 'expect' does not say what").help("write expect \"file\" path=\"...\"");
        return value;
    };
    step.places.insert(format!("{at}/kind"), kind.span);
    if let (Some(map), KdlValue::String(word)) = (value.as_object_mut(), &kind.value) {
        map.insert("kind".to_owned(), Value::String(word.clone()));
    } else {
        let _ = string(&kind, "expect", report);
    }
    value
}

fn collect_references(step: &mut StepDef, report: &mut Report) {
    let mut found = Vec::new();
    walk(&step.args, "", &mut |pointer, text| {
        let span = place_of(&step.places, pointer).unwrap_or(step.head);
        match template::references(text) {
            Ok(references) => found.extend(references.into_iter().map(|reference| (reference, span))),
            Err(error) => malformed(&error.message, span, report),
        }
    });
    step.references = found;
}

pub(crate) fn malformed(message: &str, span: Span, report: &mut Report) {
    report
        .error("LB0201", span, message.to_owned())
        .help("write {{steps.NAME.OUTPUT}}, {{inputs.NAME}}, {{run.id}} or {{run.mode}}");
}

/// The place of a JSON pointer, or of the nearest part above it that has one.
pub(crate) fn place_of(places: &Places, pointer: &str) -> Option<Span> {
    let mut pointer = pointer;
    loop {
        if let Some(span) = places.get(pointer) {
            return Some(*span);
        }
        pointer = pointer.rsplit_once('/')?.0;
    }
}

/// Calls `see` for every string below a value, with its JSON pointer.
pub(crate) fn walk(value: &Value, at: &str, see: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => see(at, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{at}/{index}"), see);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                walk(item, &format!("{at}/{}", escape(key)), see);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
