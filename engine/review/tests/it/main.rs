//! Tests of reviews: saved plans, differences, worst cases and simulations.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod differ;
mod play;
mod save;

use lifeboat_core::plan::{Effect, InDoubt, Plan, Policy, Retry, StepKind, Target, TargetUse, Waiver};
use lifeboat_core::{Digest, Mode, Step};
use serde_json::{Value, json};

/// A step with what all steps have.
pub fn step(id: &str, kind: StepKind, effect: Effect, after: &[&str]) -> Step {
    let policy = Policy {
        timeout_ms: 600_000,
        heartbeat_ms: None,
        retry: Retry { count: 0, backoff_ms: 1_000, max_ms: 60_000, jitter: false },
        in_doubt: InDoubt::Probe,
    };
    serde_json::from_value(json!({
        "id": id, "kind": kind, "effect": effect, "plugin": kind.by_plugin().then_some("fs"), "args": {},
        "after": after, "policy": policy, "compensate": effect == Effect::Compensatable, "line": 1,
    }))
    .unwrap()
}

fn approve(id: &str, after: &[&str]) -> Step {
    let mut step = step(id, StepKind::Approve, Effect::Read, after);
    step.approval =
        serde_json::from_value(json!({ "role": "commander", "quorum": 2, "expires_ms": 1_800_000 })).unwrap();
    step
}

fn target(name: &str, settings: Value) -> Target {
    serde_json::from_value(json!({ "name": name, "plugin": "fs", "settings": settings })).unwrap()
}

/// A recovery: prove, rebuild, smoke, go, cutover.
pub fn recovery() -> Plan {
    let uses = |role: &str, name: &str| vec![TargetUse { role: role.to_owned(), target: name.to_owned() }];
    let mut cutover = step("cutover", StepKind::Switch, Effect::Irreversible, &["go"]);
    (cutover.args, cutover.targets) = (json!({ "to": "standby" }), uses("target", "edge"));
    let mut rebuild = step("rebuild", StepKind::Restore, Effect::Compensatable, &["prove"]);
    rebuild.capabilities = vec!["dir".to_owned(), "vault".to_owned()];
    (rebuild.args, rebuild.targets) = (json!({ "snapshot": "{{steps.prove.snapshot}}" }), uses("into", "standby"));
    let steps = vec![
        step("prove", StepKind::Verify, Effect::Read, &[]),
        rebuild,
        step("smoke", StepKind::Validate, Effect::Read, &["rebuild"]),
        approve("go", &["smoke"]),
        cutover,
    ];
    let targets = [
        target("vault", json!({ "endpoint": "https://s3.example.net", "bucket": "orders" })),
        target("standby", json!({ "root": "/srv/standby" })),
        target("edge", json!({ "root": "/srv/edge" })),
    ];
    serde_json::from_value(json!({
        "format": 1, "runbook": "orders-loss", "mode": Mode::Failover, "objectives": { "rto_ms": 900_000 },
        "targets": targets.into_iter().map(|target| (target.name.clone(), target)).collect::<std::collections::BTreeMap<_, _>>(),
        "plugins": { "fs": { "version": "0.1.0", "digest": Digest::of(b"fs") } },
        "steps": steps, "on_failure": { "compensate": true }, "max_parallel": 8, "source": Digest::of(b"text"),
    }))
    .unwrap()
}

/// A step of a plan, to be changed.
pub fn at<'a>(plan: &'a mut Plan, id: &str) -> &'a mut Step {
    plan.steps.iter_mut().find(|step| step.id.as_str() == id).unwrap()
}

/// The plan with all that a reviewer is afraid of.
pub fn spoilt() -> Plan {
    let mut plan = recovery();
    at(&mut plan, "cutover").after = ["rebuild".into()].into();
    at(&mut plan, "cutover").waivers = vec![Waiver { rule: "LB0302".to_owned(), reason: "in a hurry".to_owned() }];
    at(&mut plan, "smoke").after = ["cutover".into()].into();
    plan.steps.retain(|step| step.id.as_str() != "go");
    at(&mut plan, "rebuild").policy.retry.count = 1;
    at(&mut plan, "rebuild").policy.timeout_ms = 840_000;
    at(&mut plan, "rebuild").effect = Effect::Irreversible;
    at(&mut plan, "rebuild").compensate = false;
    plan.targets.insert(
        "vault".to_owned(),
        target("vault", json!({ "endpoint": "http://mirror.example.org:9000", "bucket": "orders" })),
    );
    plan.plugins.get_mut("fs").unwrap().digest = Digest::of(b"another fs");
    plan.objectives.rto_ms = Some(1_800_000);
    plan.source = Digest::of(b"another text");
    plan
}
