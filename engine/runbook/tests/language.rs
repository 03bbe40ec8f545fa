//! Conditions, locks and undo policies, as the plan has them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;

use common::{catalog, rendered, source};
use lifeboat_core::StepId;
use lifeboat_core::plan::{Condition, Mode, Plan, Retry, Test, UndoPolicy};
use lifeboat_runbook::{check, compile, format};
use serde_json::json;

const TEXT: &str = include_str!("valid/language.kdl");

fn plan(mode: Mode) -> Plan {
    let (_, found) = check(&source("x.kdl", TEXT), &catalog());
    assert!(found.is_empty(), "{}", rendered(TEXT, &found));
    compile(&source("x.kdl", TEXT), &catalog(), mode, &BTreeMap::new())
        .map_err(|found| rendered(TEXT, &found))
        .unwrap()
        .0
}

fn after(plan: &Plan, id: &str) -> Vec<String> {
    plan.step(&StepId::from(id)).unwrap().after.iter().map(|id| id.0.clone()).collect()
}

#[test]
fn the_file_is_in_canonical_form() {
    assert_eq!(format(&source("x.kdl", TEXT)).unwrap(), TEXT);
}

#[test]
fn conditions_are_in_the_plan_and_make_edges() {
    let plan = plan(Mode::Failover);
    let when = |id: &str| plan.step(&StepId::from(id)).unwrap().when.clone();
    let condition = |value: &str, test: Test| Condition { value: value.to_owned(), test };
    assert_eq!(when("take"), []);
    assert_eq!(when("prove"), [condition("{{inputs.careful}}", Test::Holds)]);
    assert_eq!(
        when("look"),
        [
            condition("{{steps.take.files}}", Test::Above(10.into())),
            condition("{{inputs.site}}-{{run.mode}}", Test::Not(json!("eu-drill"))),
            condition("{{inputs.count}}", Test::Is(json!(3))),
            condition("{{inputs.count}}", Test::Below(serde_json::Number::from_f64(9.5).unwrap())),
        ]
    );
    assert_eq!(after(&plan, "look"), ["take"]);
    // An approve with the condition of the step counts as its approve.
    assert_eq!(when("go"), when("cutover"));
}

#[test]
fn what_is_written_to_is_locked_under_the_name_of_its_place() {
    let plan = plan(Mode::Failover);
    let lock = |name: &str| plan.targets[name].lock.as_deref();
    assert_eq!(lock("orders"), None, "a snapshot is only taken of it");
    assert_eq!(lock("vault"), None, "vaults lock themselves");
    assert_eq!(lock("standby"), Some("fs:/srv/eu/standby"));
    assert_eq!(lock("named"), Some("the-eu-standby"));
    assert_eq!(lock("free"), None);
    assert_eq!(lock("edge"), Some(r#"dns:{"server":"192.0.2.1","zone":"eu.example.net"}"#));
    assert_eq!(plan.locks().len(), 3);
}

#[test]
fn a_mode_that_uses_another_place_does_not_hold_the_lock_of_the_first() {
    let plan = plan(Mode::Drill);
    let lock = |name: &str| plan.targets[name].lock.as_deref();
    assert_eq!(lock("standby"), Some("the-drill"));
    assert_eq!(lock("named"), Some("fs:/srv/drill/{{run.id}}/named"));
    assert_eq!(lock("free"), None);
}

#[test]
fn undoing_has_a_policy_of_its_own() {
    let plan = plan(Mode::Failover);
    let step = |id: &str| plan.step(&StepId::from(id)).unwrap();
    let retry = Retry { count: 5, backoff_ms: 1_000, max_ms: 60_000, jitter: true };
    assert_eq!(step("rebuild").undo, Some(UndoPolicy { timeout_ms: 300_000, retry }));
    assert!(step("rebuild").compensate);
    // What the block leaves out is as for the step.
    let undo = step("again").undo.clone().unwrap();
    assert_eq!((undo.timeout_ms, undo.retry.count), (1_200_000, 7));
    assert_eq!((step("more").undo.clone(), step("more").compensate), (None, false));
}
