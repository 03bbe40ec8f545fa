//! `run`: a child runbook, whose steps become steps of this one.

use lifeboat_core::plan::Mode;
use serde_json::Value;

use crate::each;
use crate::fields::{Fields, at_most_args, declared_name, no_block, no_props, string};
use crate::model::{GivenInput, RunDef, Runbook};
use crate::report::Report;
use crate::steps::{after, modes};
use crate::syntax::Node;
use crate::values::to_json;
use crate::when;

pub(crate) fn read(node: &Node, runbook: &mut Runbook, report: &mut Report) {
    at_most_args(node, 1, report);
    let name = declared_name(node, report);
    let mut fields = Fields::new(node);
    let path = fields.string("runbook", report);
    if path.is_none() && !node.props.iter().any(|prop| prop.name == "runbook") {
        report
            .error("LB0118", node.head, "a run needs 'runbook'")
            .help("write run \"NAME\" runbook=\"../database/runbook.kdl\"");
    }
    let inputs = fields.all("input").into_iter().filter_map(|field| {
        let Some(node) = field.node else {
            report
                .error("LB0113", field.span, "'input' is a node with a name and a value")
                .help("{ input \"NAME\" \"VALUE\" }");
            return None;
        };
        given(node, report)
    });
    let inputs: Vec<GivenInput> = inputs.collect();
    let run = RunDef {
        id: name.clone().unwrap_or_default(),
        at: runbook.steps.len(),
        path,
        child: None,
        inputs,
        after: after(&mut fields, report),
        modes: modes(&mut fields, report),
        when: when::read(&mut fields, report),
        each: each::read(&mut fields, report),
        head: node.head,
    };
    fields.refuse_rest(&["runbook", "input", "after", "only", "except", "when", "for-each", "concurrency"], report);
    for (at, input) in run.inputs.iter().enumerate() {
        if run.inputs.iter().take(at).any(|other| other.name.text == input.name.text) {
            crate::values::twice(&input.name.text, input.name.span, report);
        }
    }
    runbook.drill_declared |= run.modes.as_slice() == [Mode::Drill];
    match name {
        Some(_) => runbook.runs.push(run),
        None => runbook.broken.push(String::new()),
    }
}

/// `input "NAME" VALUE`; several values are a list.
fn given(node: &Node, report: &mut Report) -> Option<GivenInput> {
    no_props(node, report);
    no_block(node, report);
    let Some((first, values)) = node.args.split_first().filter(|(_, values)| !values.is_empty()) else {
        report
            .error("LB0111", node.head, "this 'input' needs a name and a value")
            .help("write input \"NAME\" \"VALUE\"");
        return None;
    };
    let name = string(first, "input", report)?;
    let span = values
        .first()
        .zip(values.last())
        .map_or(node.head, |(first, last)| crate::diagnostic::Span::between(first.span.offset, last.span.end()));
    let value = match values {
        [only] => to_json(only, report),
        several => Value::Array(several.iter().map(|arg| to_json(arg, report)).collect()),
    };
    Some(GivenInput { name, value, span })
}
