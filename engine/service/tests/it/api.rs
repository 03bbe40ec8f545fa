//! What anybody sees of the API.

use lifeboat_service::access::Role;
use serde_json::json;

use crate::bench::{Bench, all};

#[tokio::test]
async fn a_run_is_started_and_seen_to_its_end() {
    let bench = Bench::new().await;
    let token = bench.token(all(Role::Operator, "ada")).await;
    let started = bench.start("chain", "failover", &token).await;
    assert_eq!(started.status, 201);
    let run = started.json["run"].as_str().unwrap();
    assert_eq!(started.header("location"), format!("/v1/runs/{run}"));
    let view = bench.status(run, &token, "succeeded").await;
    assert_eq!((&view["started_by"], &view["why"]), (&json!("ada"), &json!("a test")));
    assert_eq!((&view["complete"], &view["asking"]), (&json!(3), &json!([])));
    let steps = bench.get(&format!("/v1/runs/{run}/steps?limit=2"), &token).await.json;
    assert_eq!(steps["steps"].as_array().unwrap().len(), 2);
    let rest =
        bench.get(&format!("/v1/runs/{run}/steps?limit=2&cursor={}", steps["next"].as_str().unwrap()), &token).await;
    assert_eq!(rest.json["steps"][0]["step"], "s2");
    assert_eq!(rest.json["steps"][0]["phase"], "done");
    assert_eq!(rest.json["next"], json!(null));
    assert_eq!(bench.get(&format!("/v1/runs/{run}/steps/s0"), &token).await.json["attempts"], 1);
    assert_eq!(bench.get(&format!("/v1/runs/{run}/plan"), &token).await.json["runbook"], "chain");
    let events = bench.get(&format!("/v1/runs/{run}/events?limit=1"), &token).await.json;
    assert_eq!(events["events"][0]["event"]["event"], "run-created");
    assert_eq!(events["next"], 1);
    assert_eq!(bench.get("/v1/plugins", &token).await.json["plugins"][0]["name"], "simulated");
    assert_eq!(bench.get("/v1/me", &token).await.json["name"], "ada");
}

#[tokio::test]
async fn what_was_shown_is_what_runs() {
    let bench = Bench::new().await;
    let token = bench.admin().await;
    let blind = bench.post("/v1/runs", &token, &json!({ "runbook": "chain", "mode": "failover" })).await;
    assert_eq!((blind.status, blind.code()), (409, "LB1057"), "a run in earnest names what was looked at");
    let drill = bench.post("/v1/runs", &token, &json!({ "runbook": "chain", "mode": "drill" })).await;
    assert_eq!(drill.status, 201);
    let plan = bench.post("/v1/plans", &token, &json!({ "runbook": "chain", "mode": "failover" })).await;
    let mut start = json!({ "runbook": "chain", "mode": "failover", "fingerprint": plan.json["fingerprint"] });
    start["inputs"] = json!({ "reason": "another input" });
    let other = bench.post("/v1/runs", &token, &start).await;
    assert_eq!((other.status, other.code()), (409, "LB1057"));
    bench.runbook("chain.kdl", "runbook chain slow");
    start["inputs"] = json!({});
    let changed = bench.post("/v1/runs", &token, &start).await;
    assert_eq!((changed.status, changed.code()), (409, "LB1057"), "the file changed after it was looked at");
    bench.runbook("chain.kdl", "runbook renamed chain");
    let renamed = bench.post("/v1/runs", &token, &json!({ "runbook": "chain", "mode": "drill" })).await;
    assert_eq!((renamed.status, renamed.code()), (409, "LB1057"), "rights go by the name, so the name has to hold");
    assert_eq!(bench.get("/v1/runs", &token).await.json["runs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn lists_have_pages_and_filters() {
    let bench = Bench::new().await;
    let token = bench.admin().await;
    let mut made = Vec::new();
    for place in 0..7 {
        let what = if place % 2 == 0 { "chain" } else { "approve" };
        made.push(bench.run(what, "drill", &token).await.0);
    }
    made.sort();
    made.reverse();
    let (mut seen, mut path) = (Vec::new(), "/v1/runs?limit=3".to_owned());
    loop {
        let page = bench.get(&path, &token).await.json;
        seen.extend(page["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/runs?limit=3&cursor={next}");
    }
    assert_eq!(seen, made);
    let waiting = bench.get("/v1/runs?status=waiting&runbook=approve&mode=drill", &token).await.json;
    assert_eq!(waiting["runs"].as_array().unwrap().len(), 3);
    for bad in ["limit=0", "limit=501", "limit=x", "cursor=x", "status=x", "no-such=1"] {
        let answer = bench.get(&format!("/v1/runs?{bad}"), &token).await;
        assert_eq!((answer.status, answer.code()), (400, "LB1055"), "{bad}");
    }
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_again() {
    let bench = Bench::new().await;
    let token = bench.admin().await;
    let (run, _) = bench.run("approve", "drill", &token).await;
    bench.status(&run, &token, "waiting").await;
    for path in ["/v1/runs".to_owned(), format!("/v1/runs/{run}"), "/v1/runbooks".to_owned()] {
        let first = bench.get(&path, &token).await;
        let tag = first.header("etag").to_owned();
        assert!(!tag.is_empty(), "{path}");
        let again = bench.call("GET", &path, &token, &[("if-none-match", &tag)], None).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{path}");
        let other = bench.call("GET", &path, &token, &[("if-none-match", "\"x\"")], None).await;
        assert_eq!(other.status, 200, "{path}");
    }
}

#[tokio::test]
async fn refusals_are_problems_with_our_codes() {
    let bench = Bench::new().await;
    let token = bench.admin().await;
    let missing = bench.get("/v1/runs/r-000000000000000000", &token).await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.header("content-type"), "application/problem+json");
    assert_eq!(missing.json["type"], "urn:lifeboat:LB0501");
    assert!(missing.json["hint"].is_string());
    let drill = json!({ "runbook": "chain", "mode": "drill" });
    let cases = [
        ("GET", "/v1/runs/../etc", None, 404, "LB1056"),
        ("GET", "/v1/runs/%00", None, 404, "LB0501"),
        ("GET", "/v1/runs/%ff", None, 400, "LB1055"),
        ("GET", "/nothing", None, 404, "LB1056"),
        ("DELETE", "/v1/runs", None, 405, "LB1072"),
        ("PUT", "/v1/runs", Some(drill.clone()), 405, "LB1072"),
        ("POST", "/v1/runs", Some(json!({ "runbook": "none", "mode": "drill" })), 404, "LB1056"),
        ("POST", "/v1/runs", Some(json!({ "runbook": "chain", "mode": "x" })), 400, "LB1055"),
        ("POST", "/v1/runs", Some(json!({ "runbook": "chain", "mode": "drill", "by": "eve" })), 400, "LB1055"),
        ("POST", "/v1/runs", Some(json!([])), 400, "LB1055"),
        (
            "POST",
            "/v1/runs",
            Some(json!({ "runbook": "chain", "mode": "drill", "reason": "a\u{1b}[2J" })),
            400,
            "LB1055",
        ),
    ];
    for (method, path, body, status, code) in cases {
        let answer = bench.call(method, path, &token, &[], body.as_ref()).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{method} {path}: {answer:?}");
    }
    let kind = bench.call("POST", "/v1/runs", &token, &[("content-type", "text/plain")], Some(&drill)).await;
    assert_eq!((kind.status, kind.code()), (415, "LB1073"));
    let charset = [("content-type", "application/json; charset=utf-16")];
    assert_eq!(bench.call("POST", "/v1/runs", &token, &charset, Some(&drill)).await.status, 415);
    let deep = (0..1_000).fold(json!(1), |inner, _| json!([inner]));
    let deep = json!({ "runbook": "chain", "mode": "drill", "inputs": deep });
    assert_eq!(bench.post("/v1/runs", &token, &deep).await.status, 400);
}

#[tokio::test]
async fn every_answer_has_the_headers_that_browsers_heed() {
    let bench = Bench::new().await;
    let token = bench.admin().await;
    for (path, token) in
        [("/healthz", ""), ("/v1/runs", ""), ("/v1/runs", token.as_str()), ("/nothing", token.as_str())]
    {
        let answer = bench.get(path, token).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(answer.header("cache-control").contains("no-"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}
