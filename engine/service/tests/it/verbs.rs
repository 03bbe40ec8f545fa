//! What people say to runs.

use std::collections::BTreeMap;

use lifeboat_core::outcome::FailureKind;
use lifeboat_core::service::Service;
use lifeboat_service::access::Role;
use lifeboat_testkit::{Act, World};
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, Wish, all};

async fn said(bench: &Bench, run: &str, token: &str, kind: &str) -> Vec<Value> {
    let events = bench.get(&format!("/v1/runs/{run}/events?limit=500"), token).await.json;
    let events = events["events"].as_array().unwrap().iter().map(|event| event["event"].clone());
    events.filter(|event| event["event"] == kind).collect()
}

async fn approve(bench: &Bench, run: &str, fingerprint: &str, token: &str) -> Answer {
    let body = json!({ "fingerprint": fingerprint, "reason": "looks right" });
    bench.post(&format!("/v1/runs/{run}/steps/go/approve"), token, &body).await
}

#[tokio::test]
async fn who_starts_is_not_the_only_one_to_approve() {
    let bench = Bench::new().await;
    let ada = bench.admin().await;
    // Another token of the same person is the same person.
    let ada_too = bench.token(all(Role::Approver, "root")).await;
    let bo = bench.token(all(Role::Approver, "bo")).await;
    let (run, fingerprint) = bench.run("approve", "failover", &ada).await;
    bench.status(&run, &ada, "waiting").await;
    for token in [&ada, &ada_too] {
        let alone = approve(&bench, &run, &fingerprint, token).await;
        assert_eq!((alone.status, alone.code()), (403, "LB1054"));
    }
    let wrong = approve(&bench, &run, "blake3:00", &bo).await;
    assert_eq!((wrong.status, wrong.code()), (409, "LB0506"));
    let blind = bench.post(&format!("/v1/runs/{run}/steps/go/approve"), &bo, &json!({})).await;
    assert_eq!((blind.status, blind.code()), (400, "LB1055"));
    let forged = json!({ "fingerprint": fingerprint, "by": "root" });
    assert_eq!(bench.post(&format!("/v1/runs/{run}/steps/go/approve"), &bo, &forged).await.status, 400);
    assert_eq!(approve(&bench, &run, &fingerprint, &bo).await.status, 200);
    bench.status(&run, &ada, "succeeded").await;
    let yes = said(&bench, &run, &ada, "approved").await;
    assert_eq!((yes.len(), &yes[0]["by"], &yes[0]["why"]), (1, &json!("bo"), &json!("looks right")));

    let (run, fingerprint) = bench.run("two", "failover", &ada).await;
    bench.status(&run, &ada, "waiting").await;
    assert_eq!(approve(&bench, &run, &fingerprint, &ada).await.status, 200, "one of two may have started it");
    assert_eq!(approve(&bench, &run, &fingerprint, &ada_too).await.code(), "LB0502", "and counts once");
    assert_eq!(approve(&bench, &run, &fingerprint, &bo).await.status, 200);
    bench.status(&run, &ada, "succeeded").await;
}

#[tokio::test]
async fn the_operator_may_let_one_person_do_both() {
    let settings = Service { sole_approver: true, ..Service::default() };
    let bench = Bench::with(Wish { settings, ..Wish::default() }).await;
    let ada = bench.admin().await;
    let (run, fingerprint) = bench.run("approve", "failover", &ada).await;
    bench.status(&run, &ada, "waiting").await;
    assert_eq!(approve(&bench, &run, &fingerprint, &ada).await.status, 200);
    bench.status(&run, &ada, "succeeded").await;
}

#[tokio::test]
async fn roles_for_approvals_are_those_of_the_operators_file() {
    let roles = BTreeMap::from([("incident-commander".to_owned(), vec!["bo".to_owned()])]);
    let bench = Bench::with(Wish { roles: Some(roles), ..Wish::default() }).await;
    let root = bench.admin().await;
    let (cy, bo) = (bench.token(all(Role::Approver, "cy")).await, bench.token(all(Role::Approver, "bo")).await);
    let (run, fingerprint) = bench.run("approve", "drill", &root).await;
    bench.status(&run, &root, "waiting").await;
    let no = approve(&bench, &run, &fingerprint, &cy).await;
    assert_eq!((no.status, no.code()), (403, "LB0509"));
    assert_eq!(bench.post(&format!("/v1/runs/{run}/steps/go/deny"), &cy, &json!({})).await.code(), "LB0509");
    assert_eq!(approve(&bench, &run, &fingerprint, &bo).await.status, 200);
    bench.status(&run, &root, "succeeded").await;
}

#[tokio::test]
async fn every_verb_reaches_its_run_also_after_the_run_rested() {
    let world = World::new();
    world.acts("bad", [Act::Fail(FailureKind::Permanent), Act::Fail(FailureKind::Permanent)]);
    let bench = Bench::with(Wish { world: Some(world), ..Wish::default() }).await;
    let root = bench.admin().await;
    let (run, _) = bench.run("fails", "drill", &root).await;
    bench.status(&run, &root, "failed").await;
    let verb = |path: &str, body: Value| {
        let (path, root, bench) = (format!("/v1/runs/{run}/{path}"), root.clone(), &bench);
        async move { bench.post(&path, &root, &body).await }
    };
    assert_eq!(verb("steps/bad/retry", json!({})).await.status, 200);
    bench.status(&run, &root, "failed").await;
    let unfit = verb("steps/bad/mark-done", json!({ "outputs": { "value": "x" } })).await;
    assert_eq!((unfit.status, unfit.code()), (422, "LB0508"));
    let file = json!({ "outputs": { "value": 1 }, "evidence": [{ "name": "a", "digest": "blake3:0", "bytes": 1 }] });
    assert_eq!(verb("steps/bad/mark-done", file).await.status, 403, "files are not attached over the network");
    assert_eq!(
        verb("steps/bad/mark-done", json!({ "outputs": { "value": 1 }, "reason": "by hand" })).await.status,
        200
    );
    bench.status(&run, &root, "succeeded").await;
    assert_eq!(verb("pause", json!({})).await.code(), "LB0502");
    assert_eq!(verb("steps/none/retry", json!({})).await.code(), "LB0504");

    for (end, body, status) in [
        ("cancel", json!({ "compensate": true, "reason": "no" }), "cancelled"),
        ("abandon", json!({ "reason": "by hand" }), "abandoned"),
        ("steps/go/deny", json!({ "reason": "no" }), "failed"),
    ] {
        let (run, _) = bench.run("approve", "drill", &root).await;
        bench.status(&run, &root, "waiting").await;
        assert_eq!(bench.post(&format!("/v1/runs/{run}/pause"), &root, &json!({})).await.json["status"], "paused");
        assert_eq!(bench.post(&format!("/v1/runs/{run}/unpause"), &root, &json!({})).await.json["status"], "waiting");
        let ended = bench.post(&format!("/v1/runs/{run}/{end}"), &root, &body).await;
        assert_eq!(ended.status, 200, "{ended:?}");
        bench.status(&run, &root, status).await;
    }
}

#[tokio::test]
async fn a_verb_with_a_tag_is_spoken_only_to_what_was_looked_at() {
    let bench = Bench::new().await;
    let root = bench.admin().await;
    let (run, _) = bench.run("approve", "drill", &root).await;
    bench.status(&run, &root, "waiting").await;
    let tag = bench.get(&format!("/v1/runs/{run}"), &root).await.header("etag").to_owned();
    let path = format!("/v1/runs/{run}/pause");
    assert_eq!(bench.call("POST", &path, &root, &[("if-match", &tag)], Some(&json!({}))).await.status, 200);
    let path = format!("/v1/runs/{run}/unpause");
    let stale = bench.call("POST", &path, &root, &[("if-match", &tag)], Some(&json!({}))).await;
    assert_eq!((stale.status, stale.code()), (412, "LB1063"));
    assert_eq!(bench.call("POST", &path, &root, &[("if-match", "x")], Some(&json!({}))).await.status, 400);
    assert_eq!(bench.post(&path, &root, &json!({})).await.status, 200);
}
