//! The committed JSON Schemas against real events and plans. That the schemas fit the types is what `cargo xtask schemas
//! --check` tells; that they fit what is written is told here.

use lifeboat_testkit::PlanBuilder;
use serde_json::{Value, json};

const EVENT: &str = include_str!("../../../../schemas/event.schema.json");
const PLAN: &str = include_str!("../../../../schemas/plan.schema.json");
const EVENTS: &str = include_str!("events.jsonl");

fn validator(schema: &str) -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(schema).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    jsonschema::validator_for(&schema).unwrap()
}

fn lines() -> Vec<Value> {
    EVENTS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_kind_of_event_fits_its_schema() {
    let validator = validator(EVENT);
    let mut kinds = std::collections::BTreeSet::new();
    for event in lines() {
        assert!(validator.is_valid(&event), "{event}: {:?}", validator.validate(&event).map_err(|e| e.to_string()));
        kinds.insert(event["event"].as_str().unwrap().to_owned());
    }
    let schema: Value = serde_json::from_str(EVENT).unwrap();
    let branches = schema["oneOf"].as_array().unwrap();
    let known = branches.iter().map(|branch| branch["properties"]["event"]["const"].as_str().unwrap().to_owned());
    assert_eq!(known.collect::<std::collections::BTreeSet<_>>(), kinds, "events.jsonl has one of each kind");
}

#[test]
fn what_lacks_a_part_or_has_a_wrong_one_does_not_fit() {
    let validator = validator(EVENT);
    for event in lines() {
        for name in ["v", "at", "event"] {
            let mut broken = event.clone();
            broken.as_object_mut().unwrap().remove(name);
            assert!(!validator.is_valid(&broken), "without {name}: {broken}");
        }
        let mut later = event.clone();
        later["v"] = json!(lifeboat_core::event::EVENT_VERSION + 1);
        assert!(!validator.is_valid(&later), "a later version: {later}");
        let mut more = event.clone();
        more["note"] = json!("fields may be added");
        assert!(validator.is_valid(&more), "one more field: {more}");
    }
    // The outcome of an attempt stands beside its number, and what it says has to fit its word.
    let finished =
        json!({"v": 1, "at": 1, "event": "attempt-finished", "step": "a", "direction": "forward", "number": 1});
    for (outcome, fits) in [
        (json!({}), false),
        (json!({"outcome": "done"}), false),
        (json!({"outcome": "done", "outputs": {}}), true),
        (json!({"outcome": "unknown", "reason": "lost"}), true),
        (json!({"outcome": "failed", "failure": {"kind": "odd", "message": "no"}}), false),
        (json!({"outcome": "failed", "failure": {"kind": "permanent", "message": "no"}}), true),
    ] {
        let mut event = finished.clone();
        event.as_object_mut().unwrap().extend(outcome.as_object().unwrap().clone());
        assert_eq!(validator.is_valid(&event), fits, "{event}");
    }
}

#[test]
fn plans_fit_their_schema() {
    let validator = validator(PLAN);
    let pinned: Vec<Value> = lines().into_iter().filter_map(|event| event.get("plan").cloned()).collect();
    assert!(!pinned.is_empty());
    let small = serde_json::to_value(PlanBuilder::new().step("only").build()).unwrap();
    for plan in pinned.iter().chain([&small]) {
        assert!(validator.is_valid(plan), "{plan}: {:?}", validator.validate(plan).map_err(|e| e.to_string()));
        let mut broken = plan.clone();
        broken["steps"][0]["effect"] = json!("harmless");
        assert!(!validator.is_valid(&broken));
        let mut later = plan.clone();
        later["format"] = json!(lifeboat_core::plan::PLAN_FORMAT + 1);
        assert!(!validator.is_valid(&later));
    }
}
