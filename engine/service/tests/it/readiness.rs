//! Readiness and vaults over the API; looks that nobody asked for, and who is told of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::notify::About;
use lifeboat_core::plan::Mode;
use lifeboat_core::service::{ReadinessLooks, Service};
use lifeboat_service::access::{NewToken, Role};
use lifeboat_service::client::Client;
use lifeboat_service::{NewReadiness, SnapshotView};
use serde_json::{Value, json};

use crate::bench::{Bench, Wish, all, until};
use crate::notify::{channel, sink, told};
use crate::workshop::Estate;

fn asked(runbook: &str, mode: &str) -> Value {
    json!({ "runbook": runbook, "mode": mode })
}

fn snapshot(number: u64) -> SnapshotView {
    SnapshotView {
        id: format!("{number:064x}"),
        time_ms: number * 1_000,
        label: "live".to_owned(),
        tags: vec!["lifeboat".to_owned()],
        files: number,
        bytes: number,
        bytes_added: number,
        parent: None,
        suspect: if number == 4 { vec!["most files look encrypted".to_owned()] } else { Vec::new() },
    }
}

/// A service that looks by itself each second.
fn looking(estate: &Arc<Estate>, inputs: &[(&str, &str)]) -> Wish {
    let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let readiness = Some(ReadinessLooks { every_ms: 1_000, inputs });
    Wish { settings: Service { readiness, ..Service::default() }, estate: Arc::clone(estate), ..Wish::default() }
}

#[tokio::test]
async fn who_may_look_is_told_what_is_in_the_way() {
    let estate = Arc::new(Estate::default());
    estate.lacking.lock().unwrap().insert("slow".to_owned());
    let bench = Bench::with(Wish { estate: Arc::clone(&estate), ..Wish::default() }).await;
    let root = bench.admin().await;
    let viewer = bench.token(NewToken { runbooks: vec!["chain".to_owned()], ..all(Role::Viewer, "vi") }).await;
    let (run, _) = bench.run("chain", "drill", &root).await;
    bench.status(&run, &root, "succeeded").await;

    let mut body = asked("chain", "failover");
    body["inputs"] = json!({ "reason": "a look" });
    body["site_lost"] = json!("primary");
    let ready = bench.post("/v1/readiness", &viewer, &body).await;
    assert_eq!(ready.status, 200, "{ready:?}");
    assert_eq!((&ready.json["ready"], &ready.json["site_lost"]), (&json!(true), &json!("primary")));
    assert_eq!(ready.json["rows"][0]["finding"], "reason", "the inputs are given on");
    assert_eq!(ready.json["rows"][1]["finding"], "1 are known", "the drill that has ended");
    let plan = bench
        .post("/v1/plans", &root, &json!({ "runbook": "chain", "mode": "failover", "inputs": body["inputs"] }))
        .await;
    assert_eq!(ready.json["fingerprint"], plan.json["fingerprint"]);
    assert!(ready.json["at_ms"].as_u64().unwrap() > 1_700_000_000_000);

    let bad = bench.post("/v1/readiness", &root, &asked("slow", "drill")).await;
    assert_eq!((bad.status, &bad.json["ready"], &bad.json["rows"][2]["code"]), (200, &json!(false), &json!("LB1160")));
    for (path, body, token, status, code) in [
        ("/v1/readiness", asked("slow", "drill"), &viewer, 403, "LB1053"),
        ("/v1/readiness", asked("none", "drill"), &root, 404, "LB1056"),
        ("/v1/readiness", json!({ "runbook": "chain", "mode": "drill", "site_lost": "moon" }), &root, 422, "LB1155"),
        ("/v1/readiness", json!({ "runbook": "chain", "mode": "sideways" }), &root, 400, "LB1055"),
        ("/v1/readiness", json!({ "runbook": "chain", "mode": "drill", "more": 1 }), &root, 400, "LB1055"),
    ] {
        let refused = bench.post(path, token, &body).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{body}");
        assert_eq!(refused.header("content-type"), "application/problem+json");
    }
    assert_eq!(bench.call("POST", "/v1/readiness", "", &[], Some(&asked("chain", "drill"))).await.status, 401);
    // To look changes nothing, and is not recorded as if it did.
    let audit = bench.get("/v1/audit", &root).await.text;
    assert!(!audit.contains("/v1/readiness"), "{audit}");
    // Nobody looks unasked where the operator does not want it.
    let list = bench.get("/v1/readiness", &root).await.json;
    assert_eq!(list, json!({ "readiness": [] }));
    assert!(!bench.get("/metrics", &root).await.text.contains("lifeboat_runbook_ready{"));
}

#[tokio::test]
async fn snapshots_come_in_pages_newest_first_with_what_is_suspect() {
    let estate = Arc::new(Estate::default());
    *estate.vault.lock().unwrap() = (1..=5).map(snapshot).collect();
    let bench = Bench::with(Wish { estate: Arc::clone(&estate), ..Wish::default() }).await;
    let root = bench.admin().await;
    let path = "/v1/snapshots?runbook=chain&vault=vault";
    let first = bench.get(&format!("{path}&limit=2"), &root).await.json;
    assert_eq!((&first["count"], &first["next"]), (&json!(5), &json!(3)));
    assert_eq!(first["snapshots"][1], serde_json::to_value(snapshot(4)).unwrap());
    // What is taken meanwhile moves nothing.
    estate.vault.lock().unwrap().push(snapshot(6));
    let second = bench.get(&format!("{path}&limit=2&mode=failover&cursor=3"), &root).await.json;
    let ids = |page: &Value| -> Vec<u64> {
        page["snapshots"].as_array().unwrap().iter().map(|one| one["files"].as_u64().unwrap()).collect()
    };
    assert_eq!((ids(&first), ids(&second)), (vec![5, 4], vec![3, 2]));
    let last = bench.get(&format!("{path}&limit=2&cursor=1"), &root).await.json;
    assert_eq!((ids(&last), last["next"].is_null()), (vec![1], true));
    let client = Client::find(&bench.data()).await.unwrap().unwrap();
    let page = client.snapshots("chain", Mode::Failover, "vault", 500, None).await.unwrap();
    assert_eq!((page.snapshots.len(), page.snapshots[0].clone()), (6, snapshot(6)));

    let stranger = bench.token(NewToken { runbooks: vec!["slow".to_owned()], ..all(Role::Viewer, "vi") }).await;
    for (path, token, status, code) in [
        (path, &stranger, 403, "LB1053"),
        ("/v1/snapshots?runbook=chain&vault=other", &root, 400, "LB0902"),
        ("/v1/snapshots?runbook=chain&vault=away", &root, 502, "LB0760"),
        ("/v1/snapshots?runbook=chain", &root, 400, "LB1055"),
        ("/v1/snapshots?runbook=none&vault=vault", &root, 404, "LB1056"),
        ("/v1/snapshots?runbook=chain&vault=vault&limit=0", &root, 400, "LB1055"),
    ] {
        let refused = bench.get(path, token).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{path}");
    }
}

#[tokio::test]
async fn no_more_than_a_few_look_at_once_and_runs_go_on_meanwhile() {
    let estate = Arc::new(Estate::default());
    estate.held.send_replace(true);
    let bench = Arc::new(Bench::with(Wish { estate: Arc::clone(&estate), ..Wish::default() }).await);
    let root = bench.admin().await;
    let mut looks = Vec::new();
    for _ in 0..6 {
        let (bench, root) = (Arc::clone(&bench), root.clone());
        looks.push(tokio::spawn(async move { bench.post("/v1/readiness", &root, &asked("chain", "drill")).await }));
    }
    until(Duration::from_secs(5), || async { estate.looks.lock().unwrap().len() == 4 }).await;
    let (run, _) = bench.run("chain", "drill", &root).await;
    bench.status(&run, &root, "succeeded").await;
    let begin = std::time::Instant::now();
    let refused = bench.post("/v1/readiness", &root, &asked("chain", "drill")).await;
    assert_eq!((refused.status, refused.code()), (503, "LB1202"));
    assert!(begin.elapsed() >= Duration::from_secs(9), "it waits for a place first");
    assert_eq!(estate.looks.lock().unwrap().len(), 4);
    estate.held.send_replace(false);
    let mut statuses = Vec::new();
    for look in looks {
        statuses.push(look.await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 503, 503]);
    assert_eq!(bench.post("/v1/readiness", &root, &asked("chain", "drill")).await.status, 200);
}

fn look(list: &Value, runbook: &str) -> Value {
    let all = list["readiness"].as_array().unwrap();
    all.iter().find(|look| look["runbook"] == runbook).cloned().unwrap_or_default()
}

async fn pages_and_scopes(bench: &Bench, root: &str) {
    let viewer = bench.token(NewToken { runbooks: vec!["slow".to_owned()], ..all(Role::Viewer, "vi") }).await;
    let seen_by = bench.get("/v1/readiness?limit=1", &viewer).await.json;
    assert_eq!((seen_by["readiness"].as_array().unwrap().len(), &seen_by["next"]), (1, &Value::Null));
    let page = bench.get("/v1/readiness?limit=1&cursor=1", root).await.json;
    assert_eq!((&page["readiness"][0]["runbook"], &page["next"]), (&json!("asks"), &json!(2)));
    assert_eq!(bench.get("/v1/readiness?runbook=slow&mode=drill", root).await.json["readiness"], json!([]));
}

#[tokio::test]
async fn a_runbook_that_turns_is_told_once_and_is_known_after_a_restart() {
    let (url, seen) = sink(0);
    let estate = Arc::new(Estate::default());
    estate.lacking.lock().unwrap().insert("slow".to_owned());
    let pager = || BTreeMap::from([("pager".to_owned(), channel(&url, &[About::NotReady]))]);
    let books = vec![("asks.kdl", "runbook asks chain\nneeds who\nneeds why".to_owned())];
    let bench = Bench::with(Wish { channels: pager(), books, ..looking(&estate, &[("why", "a look")]) }).await;
    let root = bench.admin().await;
    let list = || async { bench.get("/v1/readiness", &root).await.json };
    until(Duration::from_secs(10), || async { list().await["readiness"].as_array().unwrap().len() == 7 }).await;
    let now = list().await;
    assert_eq!(now["every_ms"], 1_000);
    assert_eq!((&look(&now, "chain")["ready"], &look(&now, "chain")["mode"]), (&json!(true), &json!("failover")));
    let slow = look(&now, "slow");
    assert_eq!(
        (&slow["ready"], &slow["problems"], &slow["rows"][2]["code"]),
        (&json!(false), &json!(1), &json!("LB1160"))
    );
    // A value that is missing is told by the input's name; the one that the operator gives is not.
    let asks = look(&now, "asks");
    assert_eq!((&asks["problems"], &asks["rows"][0]["about"]), (&json!(1), &json!("input who")));
    assert_eq!(asks["rows"][0]["code"], "LB1200");
    // It goes on looking, and what is as it was is not told again.
    until(Duration::from_secs(10), || async { look(&list().await, "slow")["at_ms"] != slow["at_ms"] }).await;
    assert_eq!(look(&list().await, "slow")["since_ms"], slow["since_ms"]);
    let titles =
        |all: &[Value]| -> Vec<String> { all.iter().map(|one| one["title"].as_str().unwrap().to_owned()).collect() };
    let first = told(&seen, 2).await;
    let mut said = titles(&first);
    said.sort();
    assert_eq!(
        said,
        ["asks is not ready in mode failover: 1 problem", "slow is not ready in mode failover: 1 problem"]
    );
    assert!(first.iter().all(|one| one["about"] == "not-ready" && one["severity"] == "warning"), "{first:?}");
    let metrics = bench.get("/metrics", &root).await.text;
    for line in [
        "lifeboat_runbook_ready{runbook=\"chain\",mode=\"failover\"} 1",
        "lifeboat_runbook_ready{runbook=\"slow\",mode=\"failover\"} 0",
        "lifeboat_readiness_checked_timestamp_seconds{runbook=\"slow\",mode=\"failover\"} ",
    ] {
        assert!(metrics.lines().any(|found| found.starts_with(line)), "{line} is not in\n{metrics}");
    }
    assert!(estate.looks.lock().unwrap().iter().all(|(_, mode)| *mode == "failover"), "drills are not looked at");
    pages_and_scopes(&bench, &root).await;

    // What was found is there at once after a restart, and is not told again; what turns is.
    estate.held.send_replace(true);
    let (_, folder) = bench.stop().await;
    let again = looking(&estate, &[("why", "a look")]);
    let bench = Bench::with(Wish { channels: pager(), folder: Some(folder), ..again }).await;
    let list = || async { bench.get("/v1/readiness", &root).await.json };
    until(Duration::from_secs(5), || async { list().await["readiness"].as_array().unwrap().len() == 7 }).await;
    assert_eq!(look(&list().await, "slow")["since_ms"], slow["since_ms"]);
    estate.lacking.lock().unwrap().insert("chain".to_owned());
    estate.lacking.lock().unwrap().remove("slow");
    estate.held.send_replace(false);
    until(Duration::from_secs(10), || async {
        let now = list().await;
        look(&now, "chain")["ready"] == false && look(&now, "slow")["ready"] == true
    })
    .await;
    let third = told(&seen, 3).await;
    assert_eq!(third[2]["title"], "chain is not ready in mode failover: 1 problem");
    assert_eq!(third[2]["text"], "vault: LB1160: it holds no snapshot");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_change_is_looked_at_without_waiting_for_the_interval() {
    let estate = Arc::new(Estate::default());
    let mut wish = looking(&estate, &[]);
    wish.settings.readiness = Some(ReadinessLooks { every_ms: 3_600_000, inputs: BTreeMap::new() });
    let bench = Bench::with(wish).await;
    let count = |name: &str| estate.looks.lock().unwrap().iter().filter(|(book, _)| book == name).count();
    until(Duration::from_secs(5), || async { count("two") == 1 && count("chain") == 1 }).await;
    estate.lacking.lock().unwrap().insert("chain".to_owned());
    bench.runbook("chain.kdl", "runbook chain chain\n");
    bench.runbook("new.kdl", "runbook new chain");
    until(Duration::from_secs(10), || async { count("chain") == 2 && count("new") == 1 }).await;
    let client = Client::find(&bench.data()).await.unwrap().unwrap();
    until(Duration::from_secs(5), || async {
        let page = client.readiness(500, None).await.unwrap();
        page.readiness.iter().any(|look| look.runbook == "chain" && !look.ready)
    })
    .await;
    assert_eq!((count("two"), count("chain")), (1, 2), "the others are not looked at again");
    std::fs::remove_file(bench.folder.path().join("runbooks/new.kdl")).unwrap();
    until(Duration::from_secs(10), || async {
        client.readiness(500, None).await.unwrap().readiness.iter().all(|look| look.runbook != "new")
    })
    .await;
    let new =
        NewReadiness { runbook: "chain".to_owned(), mode: Mode::Failover, inputs: BTreeMap::new(), site_lost: None };
    let found = client.look(&new).await.unwrap();
    assert_eq!((found.ready, found.problems(), found.runbook.as_str()), (false, 1, "chain"));
}
