//! Going on with a run in another mode, over the API: shown first, then by exactly that plan; and an incident keeps its one run.

use std::time::Duration;

use lifeboat_service::access::Role;
use serde_json::{Value, json};

use crate::alerts::{book, message, runs, words};
use crate::bench::{Answer, Bench, Wish, all, until};

async fn take_over(bench: &Bench, run: &str, token: &str, body: &Value) -> Answer {
    bench.post(&format!("/v1/runs/{run}/takeover"), token, body).await
}

#[tokio::test]
async fn it_is_shown_first_and_goes_on_by_that_plan_once() {
    let bench = Bench::new().await;
    let root = bench.admin().await;
    let (run, _) = bench.run("lock", "switchover", &root).await;
    bench.status(&run, &root, "waiting").await;
    // A third run waits for the same lock.
    let (third, _) = bench.run("lock", "failover", &root).await;
    bench.status(&third, &root, "waiting").await;
    let shown = take_over(&bench, &run, &root, &json!({ "mode": "failover" })).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    let fates: Vec<&str> =
        shown.json["steps"].as_array().unwrap().iter().map(|step| step["fate"].as_str().unwrap()).collect();
    assert_eq!(fates, ["runs", "runs"]);
    assert_eq!(bench.get(&format!("/v1/runs/{run}"), &root).await.json["status"], "waiting", "nothing was changed");
    for (body, status, code) in [
        (json!({ "mode": "drill" }), 409, "LB1220"),
        (json!({ "mode": "switchover" }), 409, "LB1221"),
        (json!({ "mode": "failover", "fingerprint": "blake3:00" }), 409, "LB1057"),
    ] {
        let refused = take_over(&bench, &run, &root, &body).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{refused:?}");
    }
    let agreed = json!({ "mode": "failover", "fingerprint": shown.json["fingerprint"], "reason": "primary lost" });
    let made = take_over(&bench, &run, &root, &agreed).await;
    assert_eq!((made.status, &made.json["continues"]), (201, &json!(run)), "{made:?}");
    let next = made.json["run"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("/v1/runs/{next}"));
    let again = take_over(&bench, &run, &root, &agreed).await;
    assert_eq!((again.status, &again.json["run"]), (201, &json!(next)), "said again, it is the same run");
    let old = bench.get(&format!("/v1/runs/{run}"), &root).await.json;
    assert_eq!((&old["status"], &old["continued_as"]), (&json!("abandoned"), &json!(next)));
    let other = take_over(&bench, &run, &root, &json!({ "mode": "failback" })).await;
    assert_eq!((other.status, other.code()), (409, "LB1223"));
    // It has the lock, asks, and the third one waits for it now.
    bench.status(&next, &root, "waiting").await;
    let holds = || async { bench.get(&format!("/v1/runs/{third}"), &root).await.json["waits_for"] == json!([next]) };
    until(Duration::from_secs(10), holds).await;
    let bo = bench.token(all(Role::Approver, "bo")).await;
    let body = json!({ "fingerprint": made.json["fingerprint"] });
    let yes = bench.post(&format!("/v1/runs/{next}/steps/go/approve"), &bo, &body).await;
    assert_eq!(yes.status, 200, "{yes:?}");
    bench.status(&next, &root, "succeeded").await;
}

#[tokio::test]
async fn an_incident_goes_on_with_the_run_that_goes_on() {
    let bench = Bench::with(Wish { books: book("undo", &json!({ "mode": "failover" })), ..Wish::default() }).await;
    let root = bench.admin().await;
    let sender = bench.token(all(Role::Sender, "am")).await;
    assert_eq!(
        words(&bench, &sender, &message("eu", &[("db-1", true, 1_700_000_000_000)])).await,
        ["opened", "started"]
    );
    until(Duration::from_secs(10), || async { runs(&bench, &root).await.len() == 1 }).await;
    let first = runs(&bench, &root).await[0].0.clone();
    bench.status(&first, &root, "waiting").await;
    let shown = take_over(&bench, &first, &root, &json!({ "mode": "failback" })).await;
    assert_eq!(shown.json["steps"][0]["fate"], "carried", "{shown:?}");
    let agreed = json!({ "mode": "failback", "fingerprint": shown.json["fingerprint"] });
    let made = take_over(&bench, &first, &root, &agreed).await;
    assert_eq!(made.status, 201, "{made:?}");
    let next = made.json["run"].as_str().unwrap().to_owned();
    bench.status(&next, &root, "waiting").await;
    // The same trouble starts no second run, and its end ends the one that goes on.
    assert_eq!(words(&bench, &sender, &message("eu", &[("db-2", true, 1_700_000_001_000)])).await, ["attached"]);
    assert_eq!(runs(&bench, &root).await.len(), 2);
    let resolved = message("eu", &[("db-1", false, 1_700_000_000_000), ("db-2", false, 1_700_000_001_000)]);
    words(&bench, &sender, &resolved).await;
    bench.status(&next, &root, "cancelled").await;
    let incidents = || async { bench.get("/v1/incidents", &root).await.json["incidents"][0].is_null() };
    until(Duration::from_secs(10), incidents).await;
}
