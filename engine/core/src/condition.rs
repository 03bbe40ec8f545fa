//! Whether a step is needed: its conditions, asked when its turn comes.

use serde_json::{Map, Number, Value, json};

use crate::ids::StepId;
use crate::plan::{Condition, Step, Test};
use crate::state::{Phase, RunState};
use crate::{Error, template};

/// What is found when the turn of a step comes.
#[derive(Clone, Debug, PartialEq)]
pub enum Need {
    /// It is carried out.
    Needed,
    /// It is not: a condition does not hold, or a step whose outputs it uses was not needed.
    NotNeeded(String),
    /// It cannot be told.
    Unclear(Error),
}

/// The values that the references of this value can see: inputs, the run, and the outputs of the steps that are named.
/// Only of those, so that a long chain stays cheap.
pub fn context(state: &RunState, value: &Value) -> Value {
    let mut steps = Map::new();
    for (name, _) in outputs_named(value) {
        let outputs = state.step(&name).and_then(|(_, now)| now.outputs.clone());
        if let Some(outputs) = outputs {
            steps.insert(name.0, outputs);
        }
    }
    json!({
        "steps": steps,
        "inputs": state.plan.inputs,
        "run": { "id": state.run, "mode": state.plan.mode.as_str() },
    })
}

/// The outputs of steps that a value refers to: the step, and the name of the output where one is named.
fn outputs_named(value: &Value) -> impl Iterator<Item = (StepId, Option<String>)> + use<> {
    let references = template::references_in(value).unwrap_or_default();
    references.into_iter().filter_map(|reference| match reference.path.as_slice() {
        [root, name, rest @ ..] if root == "steps" => Some((StepId(name.clone()), rest.first().cloned())),
        _ => None,
    })
}

/// The outputs that a step uses, in its arguments and then in its conditions.
pub(crate) fn outputs_used(step: &Step) -> impl Iterator<Item = (StepId, Option<String>)> {
    let texts = step.when.iter().map(|condition| Value::String(condition.value.clone()));
    outputs_named(&step.args).chain(texts.flat_map(|text| outputs_named(&text)))
}

/// Whether a step whose turn has come is needed.
pub fn need(state: &RunState, step: &Step) -> Need {
    if state.some_not_needed
        && let Some(missing) = needs_what_was_not_needed(state, step)
    {
        return Need::NotNeeded(format!("it uses the outputs of step '{missing}', which was not needed"));
    }
    for condition in &step.when {
        match holds(state, condition) {
            Ok(true) => {}
            Ok(false) => return Need::NotNeeded(told(condition)),
            Err(error) => return Need::Unclear(error.with("step", &step.id)),
        }
    }
    Need::Needed
}

fn needs_what_was_not_needed(state: &RunState, step: &Step) -> Option<StepId> {
    let missing = |name: &StepId| state.step(name).is_some_and(|(_, now)| matches!(now.phase, Phase::NotNeeded { .. }));
    outputs_used(step).map(|(name, _)| name).find(missing)
}

fn holds(state: &RunState, condition: &Condition) -> Result<bool, Error> {
    let text = Value::String(condition.value.clone());
    let value = template::render(&condition.value, &context(state, &text))?;
    Ok(match &condition.test {
        Test::Holds => truthy(&value),
        Test::Is(wanted) => equal(&value, wanted),
        Test::Not(refused) => !equal(&value, refused),
        Test::Above(limit) => number(&value, condition)? > as_f64(limit),
        Test::Below(limit) => number(&value, condition)? < as_f64(limit),
    })
}

fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !matches!(text.as_str(), "" | "false" | "0"),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Inputs of a command line are texts, so a text equals the number or the truth value that it spells.
fn equal(value: &Value, wanted: &Value) -> bool {
    let spelled = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    match (value, wanted) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) if a == b => true,
        (a, b) => spelled(a).is_some_and(|a| Some(a) == spelled(b)),
    }
}

fn as_f64(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

fn number(value: &Value, condition: &Condition) -> Result<f64, Error> {
    let read = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    };
    read.ok_or_else(|| {
        Error::new(
            "LB0511",
            format!("the value of '{}' is no number, so it is neither above nor below one", condition.value),
        )
        .with("value", value)
        .hint("compare it with is= or not=, or mend what gives the value; then retry the step")
    })
}

/// A condition that does not hold, in words.
fn told(condition: &Condition) -> String {
    let value = &condition.value;
    match &condition.test {
        Test::Holds => format!("{value} does not hold"),
        Test::Is(wanted) => format!("{value} is not {wanted}"),
        Test::Not(refused) => format!("{value} is {refused}"),
        Test::Above(limit) => format!("{value} is not above {limit}"),
        Test::Below(limit) => format!("{value} is not below {limit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_equal_what_they_spell() {
        assert!(equal(&json!("3"), &json!(3)) && equal(&json!(3.0), &json!(3)) && equal(&json!("true"), &json!(true)));
        assert!(!equal(&json!("3 "), &json!(3)) && !equal(&json!(null), &json!("null")));
        assert!(equal(&json!(["a"]), &json!(["a"])));
    }

    #[test]
    fn nothing_is_not_true() {
        for value in [json!(null), json!(false), json!(0), json!(""), json!("false"), json!("0"), json!([]), json!({})]
        {
            assert!(!truthy(&value), "{value}");
        }
        for value in [json!(true), json!(-1), json!("no"), json!([0])] {
            assert!(truthy(&value), "{value}");
        }
    }
}
