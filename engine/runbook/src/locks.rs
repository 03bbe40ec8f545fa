//! Locks of targets: two runs never write to one place at once. A target that a step writes to has a lock, named after
//! the place that its settings name, so that two runbooks which name one place in different words share it.

use std::collections::BTreeMap;

use kdl::KdlValue;
use lifeboat_core::plan::{Effect, StepKind, Target};
use lifeboat_core::template;
use serde_json::Value;

use crate::fields::{at_most_args, no_block, no_props, string};
use crate::model::LockDef;
use crate::report::Report;
use crate::resolve::Resolved;
use crate::syntax::Node;
use crate::values::twice;

const HELP: &str = "write lock \"NAME\", or lock #false for a target that many runs may write to at once";

/// What the block of a target says about its lock.
pub(crate) fn read(children: &[&Node], report: &mut Report) -> Option<LockDef> {
    let mut found = None;
    for node in children.iter().copied().filter(|child| child.name == "lock") {
        at_most_args(node, 1, report);
        no_props(node, report);
        no_block(node, report);
        let Some(arg) = node.args.first() else {
            report.error("LB0111", node.head, "'lock' has no value").help(HELP);
            continue;
        };
        let lock = match &arg.value {
            KdlValue::Bool(false) => Some(LockDef::Off),
            KdlValue::Bool(true) => {
                report.error("LB0120", arg.span, "targets that are written to are locked anyway").help(HELP);
                None
            }
            KdlValue::String(text) if text.trim().is_empty() => {
                report.error("LB0120", arg.span, "a lock needs a name").help(HELP);
                None
            }
            _ => string(arg, "lock", report).map(LockDef::Name),
        };
        if found.is_some() {
            twice("lock", node.head, report);
        }
        found = lock.or(found);
    }
    found
}

/// The targets that a step writes to, and that it must have for itself.
pub(crate) fn written(kind: StepKind, found: &Resolved) -> impl Iterator<Item = &str> {
    let role = match kind {
        StepKind::Restore => "into",
        StepKind::Switch => "target",
        _ => "",
    };
    let writes = found.effect != Effect::Read;
    found.targets.iter().filter(move |used| writes && used.role == role).map(|used| used.target.as_str())
}

/// The name of a target's lock, with the run's inputs filled in.
pub(crate) fn name(said: Option<&LockDef>, target: &Target, inputs: &BTreeMap<String, Value>) -> Option<String> {
    let text = match said {
        Some(LockDef::Off) => return None,
        Some(LockDef::Name(name)) => filled(&name.text, inputs),
        None => match target.settings.get("root").and_then(Value::as_str) {
            Some(root) => format!("{}:{}", target.plugin, normal(&filled(root, inputs))),
            None => filled(&format!("{}:{}", target.plugin, target.settings), inputs),
        },
    };
    Some(text)
}

/// A path without what does not change its meaning. `..` stays: only the file system knows what it leads to.
fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let lead = if path.starts_with('/') { "/" } else { "" };
    let joined = format!("{lead}{}", parts.join("/"));
    if joined.is_empty() { ".".to_owned() } else { joined }
}

/// The text with the inputs that have a value. What is left is known when the run starts.
fn filled(text: &str, inputs: &BTreeMap<String, Value>) -> String {
    let Ok(found) = template::references(text) else { return text.to_owned() };
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for reference in found {
        let value = match reference.path.as_slice() {
            [root, name] if root == "inputs" => inputs.get(name),
            _ => None,
        };
        let value = match value {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Array(_) | Value::Object(_) | Value::Null) | None => None,
            Some(other) => Some(other.to_string()),
        };
        if let Some(value) = value.filter(|value| !value.contains("{{")) {
            out.push_str(text.get(from..reference.range.start).unwrap_or_default());
            out.push_str(&value);
            from = reference.range.end;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_name() {
        for path in ["/srv/data", "/srv//data/", "/srv/./data", "/./srv/data/."] {
            assert_eq!(normal(path), "/srv/data", "{path}");
        }
        assert_eq!(normal("/"), "/");
        assert_eq!(normal("./data/"), "data");
        assert_eq!(normal("."), ".");
        assert_eq!(normal("/srv/../data"), "/srv/../data");
    }

    #[test]
    fn inputs_are_filled_in_and_the_run_is_not() {
        let inputs = BTreeMap::from([("site".to_owned(), Value::from("eu")), ("n".to_owned(), Value::from(3))]);
        assert_eq!(filled("/srv/{{inputs.site}}/{{inputs.n}}/{{run.id}}", &inputs), "/srv/eu/3/{{run.id}}");
        assert_eq!(filled("{{inputs.other}}", &inputs), "{{inputs.other}}");
    }
}
