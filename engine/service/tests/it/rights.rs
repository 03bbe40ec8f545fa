//! Who may do what, as a table; tokens that are over; the record of calls.

use lifeboat_service::access::{NewToken, Role};
use serde_json::{Value, json};

use crate::bench::{Bench, all};

/// Calls, and what is answered to: viewer, operator, approver, admin, operator of drills only, operator of another runbook.
/// `{f}` is a waiting run in earnest, `{d}` a waiting drill. 2 stands for a success, or a refusal that is not about rights.
const TABLE: [(&str, &str, [u16; 6]); 24] = [
    ("GET", "/v1/me", [2, 2, 2, 2, 2, 2]),
    ("GET", "/v1/runs", [2, 2, 2, 2, 2, 2]),
    ("GET", "/v1/runs/{f}", [2, 2, 2, 2, 2, 403]),
    ("GET", "/v1/runs/{f}/steps", [2, 2, 2, 2, 2, 403]),
    ("GET", "/v1/runs/{f}/plan", [2, 2, 2, 2, 2, 403]),
    ("GET", "/v1/runs/{f}/events", [2, 2, 2, 2, 2, 403]),
    ("GET", "/v1/runbooks", [2, 2, 2, 2, 2, 2]),
    ("GET", "/v1/plugins", [2, 2, 2, 2, 2, 2]),
    ("GET", "/metrics", [2, 2, 2, 2, 2, 2]),
    ("POST", "/v1/plans", [2, 2, 2, 2, 2, 403]),
    ("POST", "/v1/runs", [403, 2, 403, 2, 403, 403]),
    ("POST", "/v1/runs/{f}/steps/after/retry", [403, 2, 403, 2, 403, 403]),
    ("POST", "/v1/runs/{f}/steps/go/skip", [403, 2, 403, 2, 403, 403]),
    ("POST", "/v1/runs/{f}/steps/go/mark-done", [403, 2, 403, 2, 403, 403]),
    ("POST", "/v1/runs/{f}/steps/go/attest", [403, 2, 403, 2, 403, 403]),
    ("POST", "/v1/runs/{f}/unpause", [403, 2, 403, 2, 403, 403]),
    ("POST", "/v1/runs/{d}/unpause", [403, 2, 403, 2, 2, 403]),
    ("POST", "/v1/runs/{f}/takeover", [403, 2, 403, 2, 403, 403]),
    ("POST", "/v1/runs/{f}/resume", [403, 2, 403, 2, 403, 403]),
    ("POST", "/v1/runs/{f}/steps/none/approve", [403, 403, 2, 2, 403, 403]),
    ("POST", "/v1/runs/{f}/steps/none/deny", [403, 403, 2, 2, 403, 403]),
    ("GET", "/v1/tokens", [403, 403, 403, 2, 403, 403]),
    ("POST", "/v1/tokens", [403, 403, 403, 2, 403, 403]),
    ("GET", "/v1/audit", [403, 403, 403, 2, 403, 403]),
];

fn body(path: &str) -> Value {
    let plan = json!({ "runbook": "approve", "mode": "failover" });
    match path.rsplit('/').next().unwrap() {
        "plans" => plan,
        // Refused for what was not looked at, once rights are no matter any more.
        "runs" => plan,
        "tokens" => json!({ "owner": "x", "roles": ["viewer"], "expires_in_s": 60 }),
        "takeover" => json!({ "mode": "switchover" }),
        "approve" => json!({ "fingerprint": "blake3:00" }),
        _ => json!({}),
    }
}

#[tokio::test]
async fn the_table_of_rights_holds() {
    let bench = Bench::new().await;
    let root = bench.admin().await;
    let (f, _) = bench.run("approve", "failover", &root).await;
    let (d, _) = bench.run("approve", "drill", &root).await;
    bench.status(&f, &root, "waiting").await;
    bench.status(&d, &root, "waiting").await;
    let tokens = [
        bench.token(all(Role::Viewer, "viewer")).await,
        bench.token(all(Role::Operator, "operator")).await,
        bench.token(all(Role::Approver, "approver")).await,
        bench.token(all(Role::Admin, "admin")).await,
        bench.token(NewToken { failover: false, ..all(Role::Operator, "driller") }).await,
        bench.token(NewToken { runbooks: vec!["other-*".to_owned()], ..all(Role::Operator, "other") }).await,
    ];
    for (method, path, expected) in TABLE {
        let path = path.replace("{f}", &f).replace("{d}", &d);
        let sent = (method == "POST").then(|| body(&path));
        let strange = bench.call(method, &path, "", &[], sent.as_ref()).await;
        assert_eq!((strange.status, strange.code()), (401, "LB1052"), "{method} {path} without a token");
        for (token, expected) in tokens.iter().zip(expected) {
            let answer = bench.call(method, &path, token, &[], sent.as_ref()).await;
            assert_ne!(answer.status, 401);
            assert!(answer.status < 500, "{method} {path}: {answer:?}");
            let refused = answer.status == 403;
            assert_eq!(refused, expected == 403, "{method} {path} as {token}: {answer:?}");
            assert!(!refused || answer.code() == "LB1053", "{answer:?}");
        }
    }
    let scoped = bench.get("/v1/runs", &tokens[5]).await.json;
    assert_eq!(scoped["runs"], json!([]), "a list shows what is in scope");
    assert_eq!(bench.get("/v1/runbooks", &tokens[5]).await.json["runbooks"], json!([]));
}

#[tokio::test]
async fn tokens_are_made_shown_once_and_ended_over_the_api() {
    let bench = Bench::new().await;
    let root = bench.admin().await;
    let new = json!({ "owner": "ada", "roles": ["operator"], "drill": true, "expires_in_s": 60 });
    let made = bench.call("POST", "/v1/tokens", &root, &[("idempotency-key", "k")], Some(&new)).await;
    assert_eq!(made.status, 201);
    let secret = made.json["secret"].as_str().unwrap().to_owned();
    let again = bench.call("POST", "/v1/tokens", &root, &[("idempotency-key", "k")], Some(&new)).await;
    assert_eq!((again.status, again.text.as_str()), (201, ""), "what is shown once is not shown again");
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(bench.get("/v1/me", &secret).await.json["name"], "ada");
    let list = bench.get("/v1/tokens", &root).await;
    assert_eq!(list.json["tokens"].as_array().unwrap().len(), 2);
    assert!(!list.text.contains(secret.rsplit('_').next().unwrap()));
    assert!(!list.text.contains("digest"));
    let id = made.json["token"]["id"].as_str().unwrap();
    let revoked = bench.call("DELETE", &format!("/v1/tokens/{id}"), &root, &[], None).await;
    assert_eq!((revoked.status, &revoked.json["revoked_by"]), (200, &json!("root")));
    let over = bench.get("/v1/me", &secret).await;
    assert_eq!((over.status, over.json["title"].as_str().unwrap()), (401, "this token was revoked"));
    assert_eq!(over.header("www-authenticate"), "Bearer realm=\"lifeboat\"");
    assert_eq!(bench.call("DELETE", "/v1/tokens/0000000000", &root, &[], None).await.status, 404);

    let short = bench.token(NewToken { expires_in_s: 1, ..all(Role::Viewer, "short") }).await;
    assert_eq!(bench.get("/v1/me", &short).await.status, 200);
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(bench.get("/v1/me", &short).await.json["title"], "this token has expired");

    let scoped = NewToken { runbooks: vec!["shop-*".to_owned()], failover: false, ..all(Role::Admin, "some") };
    let scoped = bench.token(scoped).await;
    for (more, status) in [
        (json!({ "owner": "x", "roles": ["viewer"], "expires_in_s": 60 }), 403),
        (
            json!({ "owner": "x", "roles": ["viewer"], "runbooks": ["shop-eu"], "failover": true, "expires_in_s": 60 }),
            403,
        ),
        (json!({ "owner": "x", "roles": ["viewer"], "runbooks": ["shop-eu"], "expires_in_s": 60 }), 201),
    ] {
        assert_eq!(bench.post("/v1/tokens", &scoped, &more).await.status, status, "{more}");
    }
}

#[tokio::test]
async fn every_change_is_written_down_with_who_and_what_came_of_it() {
    let bench = Bench::new().await;
    let root = bench.admin().await;
    let viewer = bench.token(all(Role::Viewer, "vi")).await;
    let (run, _) = bench.run("approve", "drill", &root).await;
    bench.post(&format!("/v1/runs/{run}/pause"), &viewer, &json!({})).await;
    bench.post(&format!("/v1/runs/{run}/pause"), &root, &json!({ "reason": "lunch" })).await;
    let page = bench.get("/v1/audit?limit=4", &root).await.json;
    let entries = page["entries"].as_array().unwrap();
    let call = format!("POST /v1/runs/{run}/pause");
    let told: Vec<_> = entries.iter().map(|entry| (entry["by"].as_str().unwrap(), entry["status"].as_u64())).collect();
    assert_eq!(told, [("root", Some(200)), ("root", None), ("vi", Some(403)), ("vi", None)]);
    assert!(entries.iter().all(|entry| entry["call"] == *call && entry["from"] == "127.0.0.1"));
    assert_eq!(entries[2]["code"], "LB1053");
    assert_eq!(entries[0]["ends"], entries[1]["number"]);
    let older = bench.get(&format!("/v1/audit?cursor={}", page["next"]), &root).await.json;
    assert_eq!(older["entries"].as_array().unwrap().last().unwrap()["number"], 1);
    assert!(!page.to_string().contains("lunch"), "what was said is in the run; the record has its digest");
}
