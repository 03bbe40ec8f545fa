//! What a plan holds after compiling.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;

use common::{catalog, rendered, source};
use lifeboat_core::plan::{Effect, InDoubt, Mode, Plan};
use lifeboat_core::{StepId, StepKind};
use lifeboat_runbook::{check, compile};
use serde_json::json;

const DEMO: &str = include_str!("valid/demo.kdl");

fn plan(text: &str, mode: Mode) -> Plan {
    let inputs = BTreeMap::from([("reason".to_owned(), "fire".to_owned())]);
    match compile(&source("demo.kdl", text), &catalog(), mode, &inputs) {
        Ok((plan, warnings)) => {
            assert!(warnings.is_empty(), "{}", rendered(text, &warnings));
            plan
        }
        Err(errors) => panic!("{}", rendered(text, &errors)),
    }
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.id.as_str()).collect()
}

#[test]
fn the_demo_is_clean() {
    let (runbook, diagnostics) = check(&source("demo.kdl", DEMO), &catalog());
    assert!(diagnostics.is_empty(), "{}", rendered(DEMO, &diagnostics));
    assert_eq!(runbook.unwrap().modes(), Mode::ALL);
}

#[test]
fn roles_follow_the_snapshot_through_references() {
    let plan = plan(DEMO, Mode::Failover);
    let roles = |id: &str| {
        let step = plan.step(&StepId::from(id)).unwrap();
        step.targets.iter().map(|used| format!("{}={}", used.role, used.target)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(roles("take"), "into=vault of=primary");
    assert_eq!(roles("prove"), "from=vault");
    assert_eq!(roles("offsite"), "from=vault into=remote-vault");
    assert_eq!(roles("prove-offsite"), "from=remote-vault");
    assert_eq!(roles("rebuild"), "from=remote-vault into=standby");
    assert_eq!(roles("smoke"), "target=standby");
}

#[test]
fn a_plan_has_what_the_author_wrote() {
    let plan = plan(DEMO, Mode::Failover);
    assert_eq!(
        ids(&plan),
        ["take", "prove", "offsite", "prove-offsite", "rebuild", "smoke", "go", "wait-1", "cutover"]
    );
    let step = |id: &str| plan.step(&StepId::from(id)).unwrap();
    assert_eq!(step("take").args, json!({ "label": "orders", "tags": ["demo"] }));
    assert_eq!(step("prove").args, json!({ "snapshot": "{{steps.take.snapshot}}", "depth": "data" }));
    let expect =
        json!([{ "kind": "file", "path": "db/orders.sqlite" }, { "kind": "sqlite", "path": "db/orders.sqlite" }]);
    assert_eq!(step("smoke").args, json!({ "expect": expect }));
    assert_eq!(step("cutover").args, json!({ "link": "current", "to": "/srv/standby of {{run.id}}" }));
    assert_eq!(step("rebuild").policy.timeout_ms, 30 * 60_000);
    assert_eq!(step("prove").policy.timeout_ms, 10 * 60_000);
    assert_eq!((step("prove").policy.retry.count, step("prove").policy.retry.backoff_ms), (3, 2_000));
    assert_eq!(step("smoke").policy.in_doubt, InDoubt::Rerun);
    assert_eq!(step("take").policy.in_doubt, InDoubt::Probe);
    assert!(step("cutover").compensate && !step("take").compensate);
    assert_eq!(step("cutover").effect, Effect::Compensatable);
    assert_eq!((step("wait-1").kind, step("wait-1").wait_ms), (StepKind::Wait, Some(5_000)));
    let go = step("go").approval.clone().unwrap();
    assert_eq!((go.role.as_str(), go.quorum, go.expires_ms), ("incident-commander", 2, Some(1_800_000)));
    assert_eq!(plan.targets["vault"].secrets["password"], "vault-password");
    assert_eq!(plan.targets["vault"].settings, json!({ "root": "/srv/vault" }));
    assert_eq!(plan.plugins.keys().collect::<Vec<_>>(), ["fs"]);
    assert_eq!(plan.inputs["reason"], "fire");
    assert!(plan.on_failure.compensate);
    assert_eq!(step("take").line, 30);
}

#[test]
fn an_excluded_step_hands_its_predecessors_on() {
    let drill = plan(DEMO, Mode::Drill);
    assert!(!ids(&drill).contains(&"go"));
    let cutover = drill.step(&StepId::from("cutover")).unwrap();
    assert_eq!(cutover.after, [StepId::from("smoke")].into());
    assert_eq!(drill.targets["standby"].settings, json!({ "root": "/srv/drill/{{run.id}}/standby" }));
    let switchover = plan(DEMO, Mode::Switchover);
    assert_eq!(switchover.step(&StepId::from("cutover")).unwrap().after, [StepId::from("go")].into());
    assert_ne!(drill.fingerprint(), switchover.fingerprint());
}

#[test]
fn inputs_are_checked_and_typed() {
    let text = DEMO.replace(
        "input \"reason\" type=\"string\" required=#true",
        "input \"reason\" type=\"int\" required=#true\n input \"label\" default=\"x\" required=#true",
    );
    let compile_with = |pairs: &[(&str, &str)]| {
        let inputs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        compile(&source("demo.kdl", &text), &catalog(), Mode::Failover, &inputs)
    };
    let codes = |result: Result<(Plan, Vec<lifeboat_runbook::Diagnostic>), Vec<lifeboat_runbook::Diagnostic>>| {
        result.unwrap_err().iter().map(|d| d.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(compile_with(&[])), ["LB0219"]);
    assert_eq!(codes(compile_with(&[("reason", "fire"), ("reson", "1")])), ["LB0220", "LB0221"]);
    let (plan, _) = compile_with(&[("reason", "7")]).unwrap();
    assert_eq!((&plan.inputs["reason"], &plan.inputs["label"]), (&json!(7), &json!("x")));
}

#[test]
fn ten_thousand_steps_compile() {
    let mut text = String::from("runbook \"big\" {\n");
    for (name, root) in [("o", "/o"), ("v", "/v"), ("s", "/s")] {
        text.push_str(&format!("    target \"{name}\" plugin=\"fs\" {{ root \"{root}\" }}\n"));
    }
    for i in 0..2_500 {
        text.push_str(&format!("    snapshot \"t{i}\" of=\"o\" into=\"v\"\n"));
        text.push_str(&format!("    verify \"p{i}\" snapshot=\"{{{{steps.t{i}.snapshot}}}}\" depth=\"data\"\n"));
        text.push_str(&format!("    restore \"r{i}\" snapshot=\"{{{{steps.p{i}.snapshot}}}}\" into=\"s\"\n"));
        text.push_str(&format!("    validate \"c{i}\" target=\"s\" after=\"r{i}\" {{ expect \"file\" path=\"x\" }}\n"));
    }
    text.push_str("}\n");
    let plan = compile(&source("big.kdl", &text), &catalog(), Mode::Failover, &BTreeMap::new()).unwrap().0;
    assert_eq!(plan.steps.len(), 10_000);
}

#[test]
fn a_drill_says_what_it_makes_and_who_removes_it_and_nothing_else_does() {
    let made = |plan: &Plan| -> Vec<(String, String, bool, bool)> {
        let of = |step: &lifeboat_core::Step| {
            let makes = step.makes.iter().cloned();
            makes.map(|makes| (step.id.0.clone(), makes.target, makes.own, makes.removable)).collect::<Vec<_>>()
        };
        plan.steps.iter().flat_map(of).collect()
    };
    let drill = made(&plan(DEMO, Mode::Drill));
    let own = |step: &str, target: &str| (step.to_owned(), target.to_owned(), true, true);
    assert!(drill.contains(&own("rebuild", "standby")), "{drill:?}");
    // The vault is shared, and the plugin does not say that it takes snapshots out again.
    let take = drill.iter().find(|(step, ..)| step == "take");
    assert!(take.is_none_or(|(_, _, own, removable)| !own && !removable), "{take:?}");
    assert!(drill.iter().all(|(step, ..)| step != "smoke" && step != "prove"), "what only reads makes nothing");
    assert_eq!(made(&plan(DEMO, Mode::Failover)), []);
}

#[test]
fn a_runbook_says_how_often_it_wants_to_be_drilled() {
    let compiled = |node: &str| {
        let text = DEMO.replacen("    owner", &format!("    {node}\n    owner"), 1);
        assert_ne!(text, DEMO);
        let inputs = [("reason".to_owned(), "test".to_owned())].into();
        let files = lifeboat_runbook::NoFiles;
        lifeboat_runbook::compile_with(&source("demo.kdl", &text), &files, &catalog(), Mode::Drill, &inputs)
    };
    assert_eq!(compiled("verification every=\"7d\"").unwrap().verification.unwrap().every_ms, 7 * 24 * 3_600_000);
    let codes = |node: &str| compiled(node).unwrap_err().iter().map(|found| found.code).collect::<Vec<_>>();
    assert_eq!(codes("verification"), ["LB0118"]);
    assert_eq!(codes("verification every=\"7x\""), ["LB0117"]);
    assert_eq!(codes("verification every=\"7d\"; verification every=\"1d\""), ["LB0119"]);
}
