//! `Idempotency-Key`: at once, later, and over the death of the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_core::Error;
use lifeboat_core::ports::StoreError;
use serde_json::json;

use crate::bench::{Around, Bench, Wish, all};
use crate::unlucky::{Fate, Fates, Unlucky, Write};

const DRILL: [(&str, &str); 1] = [("idempotency-key", "one-incident")];

async fn runs(bench: &Bench, token: &str) -> usize {
    bench.get("/v1/runs", token).await.json["runs"].as_array().unwrap().len()
}

#[tokio::test]
async fn many_at_once_make_one_run() {
    let bench = Arc::new(Bench::new().await);
    let token = bench.admin().await;
    let body = json!({ "runbook": "chain", "mode": "drill" });
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (bench, token, body) = (Arc::clone(&bench), token.clone(), body.clone());
        calls.spawn(async move { bench.call("POST", "/v1/runs", &token, &DRILL, Some(&body)).await });
    }
    let answers = calls.join_all().await;
    let (first, place) = (answers[0].json["run"].clone(), answers[0].header("location").to_owned());
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.json["run"] == first));
    assert!(answers.iter().all(|answer| answer.header("location") == place));
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotency-replayed") != "true").count(), 1);
    assert_eq!(runs(&bench, &token).await, 1);

    let other = json!({ "runbook": "chain", "mode": "drill", "reason": "another" });
    let reused = bench.call("POST", "/v1/runs", &token, &DRILL, Some(&other)).await;
    assert_eq!((reused.status, reused.code()), (422, "LB1061"));
    let somebody = bench.token(all(lifeboat_service::access::Role::Operator, "bo")).await;
    assert_eq!(
        bench.call("POST", "/v1/runs", &somebody, &DRILL, Some(&body)).await.status,
        201,
        "keys are their owner's"
    );
    for bad in ["", &"x".repeat(201)] {
        let headers = [("idempotency-key", bad)];
        assert_eq!(bench.call("POST", "/v1/runs", &token, &headers, Some(&body)).await.status, 400);
    }
    // What nobody serves is told so, whatever else is wrong with the call.
    let nothing = bench.call("DELETE", "/v1/runs", &token, &[("idempotency-key", "")], None).await;
    assert_eq!((nothing.status, nothing.code()), (405, "LB1072"));
    let audit = bench.get("/v1/audit?limit=500", &token).await.json;
    let repeated = audit["entries"].as_array().unwrap().iter().filter(|entry| entry["repeated"] == true).count();
    assert_eq!(repeated, 39, "each is written down");
}

#[tokio::test]
async fn a_refusal_is_not_kept_and_the_key_may_be_used_again() {
    let bench = Bench::new().await;
    let token = bench.admin().await;
    bench.runbook("later.kdl", "runbook later nothing");
    let body = json!({ "runbook": "later", "mode": "drill" });
    assert_eq!(bench.call("POST", "/v1/runs", &token, &DRILL, Some(&body)).await.status, 404);
    bench.runbook("later.kdl", "runbook later chain");
    let wait = std::time::Duration::from_secs(10);
    crate::bench::until(wait, || async {
        bench.call("POST", "/v1/runs", &token, &DRILL, Some(&body)).await.status == 201
    })
    .await;
    assert_eq!(runs(&bench, &token).await, 1);
}

#[tokio::test]
async fn the_answer_is_the_same_after_a_new_start() {
    let bench = Bench::new().await;
    let token = bench.admin().await;
    let body = json!({ "runbook": "chain", "mode": "drill" });
    let first = bench.call("POST", "/v1/runs", &token, &DRILL, Some(&body)).await;
    let (_, folder) = bench.stop().await;
    let bench = Bench::with(Wish { folder: Some(folder), ..Wish::default() }).await;
    let again = bench.call("POST", "/v1/runs", &token, &DRILL, Some(&body)).await;
    assert_eq!((again.status, &again.json["run"]), (201, &first.json["run"]));
    assert_eq!(runs(&bench, &token).await, 1);
}

/// A store that loses the answers of calls while it is told to: the service dies between what it did and what it says.
fn forgetful(forgets: &Arc<AtomicBool>) -> Around {
    let forgets = Arc::clone(forgets);
    Box::new(move |store| {
        let forgets = Arc::clone(&forgets);
        let fates: Fates = Box::new(move |write| match write {
            Write::Document(key, value)
                if key.starts_with("once/")
                    && String::from_utf8_lossy(value).contains("\"status\"")
                    && forgets.load(Ordering::Acquire) =>
            {
                Fate::Lost(StoreError::Failed(Error::new("LB0606", "the machine lost its power")))
            }
            _ => Fate::Done,
        });
        Unlucky::around(store, fates)
    })
}

#[tokio::test]
async fn what_was_done_before_a_death_is_not_done_again() {
    let forgets = Arc::new(AtomicBool::new(false));
    let bench = Bench::with(Wish { around: Some(forgetful(&forgets)), ..Wish::default() }).await;
    let token = bench.admin().await;
    let bo = bench.token(all(lifeboat_service::access::Role::Approver, "bo")).await;
    let start = json!({ "runbook": "two", "mode": "drill" });
    forgets.store(true, Ordering::Release);
    let lost = bench.call("POST", "/v1/runs", &token, &DRILL, Some(&start)).await;
    assert_eq!((lost.status, lost.code()), (503, "LB0606"), "it was done, and the answer was lost");
    let list = bench.get("/v1/runs", &token).await.json;
    let run = list["runs"][0]["run"].as_str().unwrap().to_owned();
    let view = bench.status(&run, &token, "waiting").await;
    let yes = json!({ "fingerprint": view["fingerprint"], "reason": "yes" });
    let path = format!("/v1/runs/{run}/steps/go/approve");
    let lost = bench.call("POST", &path, &bo, &DRILL, Some(&yes)).await;
    assert_eq!(lost.status, 503);

    let (_, folder) = bench.stop().await;
    forgets.store(false, Ordering::Release);
    let bench = Bench::with(Wish { folder: Some(folder), ..Wish::default() }).await;
    let again = bench.call("POST", "/v1/runs", &token, &DRILL, Some(&start)).await;
    assert_eq!((again.status, again.json["run"].as_str()), (201, Some(run.as_str())));
    assert_eq!(runs(&bench, &token).await, 1);
    let again = bench.call("POST", &path, &bo, &DRILL, Some(&yes)).await;
    assert_eq!(again.status, 200, "{again:?}");
    let events = bench.get(&format!("/v1/runs/{run}/events?limit=500"), &token).await;
    assert_eq!(events.text.matches("\"approved\"").count(), 1, "bo said yes once");
    let without = bench.post(&path, &bo, &yes).await;
    assert_eq!((without.status, without.code()), (409, "LB0502"), "without the key it is a second yes");
}
