//! What simulated plugins give to later steps: whatever these refer to, so that their conditions hold.

use std::collections::BTreeMap;

use lifeboat_core::StepId;
use lifeboat_core::plan::{Condition, Plan, Test};
use lifeboat_core::template;
use serde_json::{Map, Value, json};

/// The outputs of each step that others refer to.
pub(super) fn of(plan: &Plan) -> BTreeMap<StepId, Value> {
    let mut all = BTreeMap::new();
    for step in &plan.steps {
        for reference in template::references_in(&step.args).unwrap_or_default() {
            put(&mut all, &reference.path, Value::String("simulated".to_owned()));
        }
    }
    // Later ones win: a condition has to hold, and an argument takes anything.
    for condition in plan.steps.iter().flat_map(|step| &step.when) {
        for reference in template::references(&condition.value).unwrap_or_default() {
            put(&mut all, &reference.path, holding(condition));
        }
    }
    all
}

/// A value for which a condition on it alone holds.
fn holding(condition: &Condition) -> Value {
    match &condition.test {
        Test::Holds => json!(true),
        Test::Is(wanted) => wanted.clone(),
        Test::Not(refused) => json!(if *refused == json!("simulated") { "other" } else { "simulated" }),
        Test::Above(limit) => json!(limit.as_f64().unwrap_or_default() + 1.0),
        Test::Below(limit) => json!(limit.as_f64().unwrap_or_default() - 1.0),
    }
}

fn put(all: &mut BTreeMap<StepId, Value>, path: &[String], value: Value) {
    let [root, step, rest @ ..] = path else { return };
    if root != "steps" || rest.is_empty() {
        return;
    }
    let mut place = all.entry(StepId(step.clone())).or_insert_with(|| Value::Object(Map::new()));
    for name in rest {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(map) = place else { return };
        place = map.entry(name.clone()).or_insert(Value::Null);
    }
    // A member that others look into stays an object.
    if !place.is_object() {
        *place = value;
    }
}
