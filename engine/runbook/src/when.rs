//! `when`: what has to hold for a step to be needed.

use kdl::KdlValue;
use lifeboat_core::plan::{Condition, Test};
use lifeboat_core::template;
use serde_json::Value;

use crate::fields::{Field, Fields, at_most_args, no_block, string};
use crate::model::WhenDef;
use crate::report::Report;
use crate::syntax::Prop;
use crate::values::to_json;

pub(crate) const TESTS: [&str; 4] = ["is", "not", "above", "below"];
const HELP: &str = "write when \"{{inputs.NAME}}\" is=\"...\", with is=, not=, above=, below=, or none of them";

/// Takes the conditions of a node. All of them have to hold.
pub(crate) fn read(fields: &mut Fields<'_>, report: &mut Report) -> Vec<WhenDef> {
    fields.all("when").iter().filter_map(|field| one(field, report)).collect()
}

fn one(field: &Field<'_>, report: &mut Report) -> Option<WhenDef> {
    let Some(arg) = field.args.first() else {
        report.error("LB0111", field.span, "'when' does not say what has to hold").help(HELP);
        return None;
    };
    let text = string(arg, "when", report)?;
    let mut test = Test::Holds;
    if let Some(node) = field.node {
        at_most_args(node, 1, report);
        no_block(node, report);
        let mut props = node.props.iter();
        if let Some(prop) = props.next() {
            test = read_test(prop, report)?;
        }
        if let Some(second) = props.next() {
            report.error("LB0132", second.whole, "a condition asks one thing").help("write a second 'when' beside it");
        }
    }
    let references = match template::references(&text.text) {
        Ok(found) => found.into_iter().map(|reference| (reference, text.span)).collect(),
        Err(error) => {
            crate::steps::malformed(&error.message, text.span, report);
            return None;
        }
    };
    let when = WhenDef { text, test, references };
    if when.references.is_empty() {
        report
            .error("LB0132", when.text.span, "this condition depends on nothing")
            .help("refer to an input or to an output of an earlier step: when \"{{inputs.NAME}}\"");
    }
    Some(when)
}

fn read_test(prop: &Prop, report: &mut Report) -> Option<Test> {
    let value = match prop.name.as_str() {
        "is" | "not" => to_json(&prop.arg, report),
        "above" | "below" => match &prop.arg.value {
            KdlValue::Integer(_) | KdlValue::Float(_) => to_json(&prop.arg, report),
            _ => {
                report
                    .error("LB0113", prop.arg.span, format!("'{}' is compared with a number", prop.name))
                    .help(format!("write {}=10", prop.name));
                return None;
            }
        },
        other => {
            report.error("LB0110", prop.whole, format!("'when' has no property '{other}'")).did_you_mean(other, TESTS);
            return None;
        }
    };
    Some(match (prop.name.as_str(), value) {
        ("is", value) => Test::Is(value),
        ("not", value) => Test::Not(value),
        ("above", Value::Number(number)) => Test::Above(number),
        ("below", Value::Number(number)) => Test::Below(number),
        // A number that JSON has no place for was reported.
        _ => return None,
    })
}

impl WhenDef {
    /// As the plan has it.
    pub(crate) fn condition(&self) -> Condition {
        Condition { value: self.text.text.clone(), test: self.test.clone() }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.text.text.trim() == other.text.text.trim() && self.test == other.test
    }
}

/// Whether a step with the conditions `first` is needed whenever one with the conditions `second` is.
pub(crate) fn covers(first: &[WhenDef], second: &[WhenDef]) -> bool {
    first.iter().all(|condition| second.iter().any(|other| condition.is_same(other)))
}
