//! Alerts from their hooks to their runs: real payloads, what is refused, and what the safety kernel promises.

use std::time::{Duration, Instant};

use lifeboat_alerts::sign;
use lifeboat_core::ports::Clock;
use lifeboat_service::access::Role;
use lifeboat_testkit::{Act, WallClock, World};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bench::{Answer, Bench, SECRET, Wish, all, until};

/// A message of Alertmanager.
pub fn message(group: &str, alerts: &[(&str, bool, u64)]) -> Value {
    let one = |(fingerprint, firing, at): &(&str, bool, u64)| {
        let status = if *firing { "firing" } else { "resolved" };
        json!({
            "status": status,
            "labels": { "alertname": "Down", "severity": "critical", "region": group, "instance": fingerprint },
            "annotations": {}, "startsAt": at.to_string(), "endsAt": if *firing { "".to_owned() } else { (at + 1).to_string() },
            "fingerprint": fingerprint,
        })
    };
    let status = if alerts.iter().any(|(_, firing, _)| *firing) { "firing" } else { "resolved" };
    let alerts: Vec<Value> = alerts.iter().map(one).collect();
    json!({ "version": "4", "groupKey": group, "status": status, "alerts": alerts, "truncatedAlerts": 0 })
}

pub fn book(what: &str, alert: &Value) -> Vec<(&'static str, String)> {
    vec![("dr.kdl", format!("runbook dr {what}\nalert {alert}\n"))]
}

pub async fn words(bench: &Bench, token: &str, body: &Value) -> Vec<String> {
    let answer = bench.post("/v1/hooks/alertmanager", token, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let verdicts = answer.json["verdicts"].as_array().unwrap().iter();
    verdicts.map(|verdict| verdict["word"].as_str().unwrap().to_owned()).collect()
}

/// The runs of the runbook `dr`, oldest first: name and status.
pub async fn runs(bench: &Bench, token: &str) -> Vec<(String, String)> {
    let found = bench.get("/v1/runs?runbook=dr&limit=500", token).await;
    let text = |run: &Value, name: &str| run[name].as_str().unwrap().to_owned();
    found.json["runs"].as_array().unwrap().iter().rev().map(|run| (text(run, "run"), text(run, "status"))).collect()
}

/// The first incident that is open.
async fn incident(bench: &Bench, token: &str) -> Value {
    bench.get("/v1/incidents", token).await.json["incidents"][0].clone()
}

async fn phase(bench: &Bench, token: &str, phase: &str) {
    until(Duration::from_secs(15), || async { incident(bench, token).await["phase"] == phase }).await;
}

async fn records(bench: &Bench, token: &str) -> Vec<Value> {
    bench.get("/v1/alerts?limit=500", token).await.json["alerts"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_real_alertmanager_makes_one_run_and_ends_it_when_all_is_well() {
    let bench = Bench::with(Wish { books: book("undo", &json!({})), ..Wish::default() }).await;
    let root = bench.admin().await;
    let sender = bench.token(all(Role::Sender, "am")).await;
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let single = read(include_str!("../../../alerts/tests/payloads/am-firing-single.json"));
    let grouped = read(include_str!("../../../alerts/tests/payloads/am-firing-grouped.json"));
    let mixed = read(include_str!("../../../alerts/tests/payloads/am-mixed-one-resolved-one-firing.json"));
    let resolved = read(include_str!("../../../alerts/tests/payloads/am-resolved.json"));
    assert_eq!(words(&bench, &sender, &single).await, ["opened", "started"]);
    phase(&bench, &root, "running").await;
    assert_eq!(words(&bench, &sender, &single).await, ["repeated"]);
    assert_eq!(words(&bench, &sender, &grouped).await, ["attached"]);
    assert_eq!(words(&bench, &sender, &mixed).await, ["attached"]);
    let found = runs(&bench, &root).await;
    assert_eq!(found.len(), 1);
    bench.status(&found[0].0, &root, "waiting").await;
    let view = bench.get(&format!("/v1/runs/{}", found[0].0), &root).await.json;
    assert_eq!(view["started_by"], "lifeboat alerts");
    assert_eq!(words(&bench, &sender, &resolved).await, ["attached", "aborted"]);
    bench.status(&found[0].0, &root, "cancelled").await;
    until(Duration::from_secs(10), || async { incident(&bench, &root).await.is_null() }).await;
    // What is repeated of it starts nothing.
    assert_eq!(words(&bench, &sender, &single).await, ["stale"]);
    assert_eq!(runs(&bench, &root).await.len(), 1);
    let told = records(&bench, &root).await;
    let words: Vec<&str> = told.iter().rev().map(|record| record["word"].as_str().unwrap()).collect();
    assert_eq!(
        words,
        ["opened", "started", "repeated", "attached", "attached", "attached", "aborted", "closed", "stale"]
    );
    assert!(told.iter().all(|record| !record["reason"].as_str().unwrap().is_empty()));
    assert!(told.iter().any(|record| record["run"] == found[0].0.as_str() && record["word"] == "attached"));
    // By pages, as a whole.
    let mut paged = Vec::new();
    let mut path = "/v1/alerts?limit=2".to_owned();
    loop {
        let page = bench.get(&path, &root).await.json;
        paged.extend(page["alerts"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_u64() else { break };
        path = format!("/v1/alerts?limit=2&cursor={next}");
    }
    assert_eq!(paged, told);
    let text = bench.get("/metrics", &root).await.text;
    for line in [
        "lifeboat_alerts_total{word=\"started\",code=\"\"} 1",
        "lifeboat_alerts_total{word=\"stale\",code=\"LB1021\"} 1",
        "lifeboat_incidents_open 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_run_of_its_own_accord_stops_where_there_is_no_way_back() {
    let bench = Bench::with(Wish { books: book("edge", &json!({})), ..Wish::default() }).await;
    let (root, bo) = (bench.admin().await, bench.token(all(Role::Approver, "bo")).await);
    words(&bench, &root, &message("east", &[("a", true, 1_700_000_000)])).await;
    until(Duration::from_secs(10), || async {
        runs(&bench, &root).await.iter().any(|(_, status)| status == "waiting")
    })
    .await;
    let run = runs(&bench, &root).await[0].0.clone();
    let view = bench.get(&format!("/v1/runs/{run}"), &root).await.json;
    assert_eq!(view["asking"], json!(["point-of-no-return"]), "{view}");
    let yes = json!({ "fingerprint": view["fingerprint"] });
    let path = format!("/v1/runs/{run}/steps/point-of-no-return/approve");
    assert_eq!(bench.post(&path, &bo, &yes).await.status, 200);
    bench.status(&run, &root, "succeeded").await;
    phase(&bench, &root, "ended").await;
    assert_eq!(words(&bench, &root, &message("east", &[("a", false, 1_700_000_000)])).await, ["attached", "closed"]);
}

#[tokio::test]
async fn past_the_point_of_no_return_what_is_resolved_is_noted() {
    let world = World::new();
    world.acts("slow", [Act::Slow(1_500, Box::new(Act::Done(None)))]);
    let books = book("edge", &json!({ "past": true }));
    let bench = Bench::with(Wish { books, world: Some(world.clone()), ..Wish::default() }).await;
    let root = bench.admin().await;
    words(&bench, &root, &message("east", &[("a", true, 1_700_000_000)])).await;
    // Runbook and operator both let it go on: nobody is asked.
    phase(&bench, &root, "past-no-return").await;
    assert_eq!(words(&bench, &root, &message("east", &[("a", false, 1_700_000_000)])).await, ["attached", "resolved"]);
    let run = runs(&bench, &root).await[0].0.clone();
    bench.status(&run, &root, "succeeded").await;
    until(Duration::from_secs(10), || async { incident(&bench, &root).await.is_null() }).await;
    assert_eq!(world.entry(&run, "safe").executed, 1);
}

#[tokio::test]
async fn holding_agreeing_and_the_budget() {
    let trigger = json!({ "hold": 1_500, "agree": 2, "budget": 1, "group": "region" });
    let bench = Bench::with(Wish { books: book("chain", &trigger), ..Wish::default() }).await;
    let root = bench.admin().await;
    let east = message("east", &[("a", true, 1_700_000_000)]);
    assert_eq!(words(&bench, &root, &east).await, ["opened", "held"]);
    tokio::time::sleep(Duration::from_millis(2_600)).await;
    assert!(runs(&bench, &root).await.is_empty(), "one source is not two");
    let mut other = east.clone();
    other["version"] = json!("1");
    let answer = bench.post("/v1/hooks/grafana", &root, &other).await;
    let words_of = |answer: &Answer| -> Vec<String> {
        answer.json["verdicts"].as_array().unwrap().iter().map(|v| v["word"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(words_of(&answer), ["attached", "started"]);
    phase(&bench, &root, "ended").await;
    // The next one is one too many: a person is called, and closes it.
    let west = message("west", &[("b", true, 1_700_000_100)]);
    words(&bench, &root, &west).await;
    let mut other = west.clone();
    other["version"] = json!("1");
    bench.post("/v1/hooks/grafana", &root, &other).await;
    until(Duration::from_secs(10), || async { records(&bench, &root).await[0]["code"] == "LB1024" }).await;
    let open = bench.get("/v1/incidents", &root).await.json["incidents"].as_array().unwrap().clone();
    let refused = open.iter().find(|incident| incident["phase"] == "refused").unwrap();
    assert!(refused["paged"].as_str().unwrap().contains("automatic runs"), "{refused}");
    // It is counted when it is carried out, right after it was written down.
    until(Duration::from_secs(10), || async {
        bench.get("/metrics", &root).await.text.contains("lifeboat_pages_total{code=\"LB1024\"} 1")
    })
    .await;
    let close = format!("/v1/incidents/{}/close", refused["number"]);
    let reader = bench.token(all(Role::Viewer, "eve")).await;
    assert_eq!(bench.post(&close, &reader, &json!({ "reason": "no" })).await.status, 403);
    assert_eq!(bench.post(&close, &root, &json!({ "reason": "seen" })).await.status, 200);
    assert_eq!(bench.post(&close, &root, &json!({ "reason": "seen" })).await.code(), "LB1035");
    assert_eq!(records(&bench, &root).await[0]["reason"], "root: seen");
    assert_eq!(runs(&bench, &root).await.len(), 1);
}

#[tokio::test]
async fn what_the_operator_does_not_let_start_is_said() {
    let bench = Bench::with(Wish { books: book("chain", &json!({ "off": true })), ..Wish::default() }).await;
    let root = bench.admin().await;
    assert_eq!(words(&bench, &root, &message("east", &[("a", true, 1_700_000_000)])).await, ["unmatched"]);
    let told = records(&bench, &root).await[0].clone();
    assert_eq!((&told["code"], &told["source"]), (&json!("LB1020"), &json!("alertmanager")));
    assert!(told["reason"].as_str().unwrap().contains("start nothing of 'dr'"), "{told}");
}

#[tokio::test]
async fn a_token_starts_what_it_reaches_and_nothing_else() {
    let bench = Bench::with(Wish { books: book("chain", &json!({ "mode": "failover" })), ..Wish::default() }).await;
    let root = bench.admin().await;
    let body = message("east", &[("a", true, 1_700_000_000)]);
    let mut drills = all(Role::Sender, "am");
    drills.failover = false;
    assert_eq!(words(&bench, &bench.token(drills).await, &body).await, ["unmatched"]);
    let other = lifeboat_service::access::NewToken { runbooks: vec!["shop-*".to_owned()], ..all(Role::Sender, "am") };
    assert_eq!(words(&bench, &bench.token(other).await, &body).await, ["unmatched"]);
    let sender = bench.token(all(Role::Sender, "am")).await;
    assert_eq!(bench.get("/v1/runs", &sender).await.status, 403, "it sends, and looks at nothing");
    assert_eq!(bench.get("/v1/alerts", &sender).await.status, 403);
    assert_eq!(bench.post("/v1/runs", &sender, &json!({ "runbook": "dr", "mode": "drill" })).await.status, 403);
    assert_eq!(words(&bench, &sender, &body).await, ["opened", "started"]);
    until(Duration::from_secs(10), || async { runs(&bench, &root).await.len() == 1 }).await;
}

fn own(state: &str) -> Value {
    json!({ "state": state, "service": "orders", "labels": { "severity": "critical" } })
}

async fn signed(bench: &Bench, header: &str, body: &Value) -> Answer {
    bench.call("POST", "/v1/hooks/generic/own", "", &[("lifeboat-signature", header)], Some(body)).await
}

#[tokio::test]
async fn signed_messages_count_once_also_over_a_new_start() {
    let wish = || Wish { books: book("chain", &json!({})), ..Wish::default() };
    let bench = Bench::with(wish()).await;
    let root = bench.admin().await;
    let now = WallClock.now_ms();
    let (down, up) = (own("down"), own("up"));
    let header = |body: &Value, at: u64| sign(SECRET, body.to_string().as_bytes(), at);
    assert_eq!(signed(&bench, &header(&down, now), &down).await.status, 200);
    assert_eq!(signed(&bench, &header(&down, now), &down).await.code(), "LB1015");
    phase(&bench, &root, "ended").await;
    assert_eq!(signed(&bench, &header(&up, now), &up).await.json["verdicts"][1]["word"], "closed");
    let (_, folder) = bench.stop().await;
    let bench = Bench::with(Wish { folder: Some(folder), ..wish() }).await;
    // Caught, and sent again after the start: without a time in the body it would begin the next incident.
    let replayed = signed(&bench, &header(&down, now), &down).await;
    assert_eq!((replayed.status, replayed.code()), (409, "LB1015"));
    assert_eq!(signed(&bench, &header(&up, now), &up).await.code(), "LB1015");
    let acknowledged = json!({ "state": "seen", "service": "orders" });
    let answer = signed(&bench, &header(&acknowledged, now), &acknowledged).await;
    assert_eq!(answer.json["verdicts"][0]["word"], "no-news");
    assert_eq!(runs(&bench, &root).await.len(), 1);
}

/// Sends bytes as they are.
async fn raw(bench: &Bench, path: &str, headers: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // What is refused by its head may be cut off.
    let _ = stream.write_all(body).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let code = text.split("\"code\":\"").nth(1).map_or("", |rest| rest.split('"').next().unwrap());
    format!("{} {code}", text.split(' ').nth(1).unwrap_or("none"))
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_status_and_written_down() {
    let bench = Bench::with(Wish { books: book("chain", &json!({})), ..Wish::default() }).await;
    let root = bench.admin().await;
    let viewer = bench.token(all(Role::Viewer, "eve")).await;
    let good = message("east", &[("a", true, 1_700_000_000)]).to_string();
    let json = "content-type: application/json\r\n";
    let auth = format!("{json}authorization: Bearer {root}\r\n");
    let down = own("down").to_string();
    let now = WallClock.now_ms();
    let sign = |secret: &[u8], at: u64| format!("{json}lifeboat-signature: {}\r\n", sign(secret, down.as_bytes(), at));
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let am = "/v1/hooks/alertmanager";
    let large = vec![b' '; 1_100_000];
    let cases: Vec<(&str, String, &[u8], &str)> = vec![
        ("/v1/hooks/none", auth.clone(), good.as_bytes(), "404 LB1030"),
        (am, json.to_owned(), good.as_bytes(), "401 LB1052"),
        (am, format!("{json}authorization: Bearer {viewer}\r\n"), good.as_bytes(), "403 LB1053"),
        (am, format!("authorization: Bearer {root}\r\n"), good.as_bytes(), "415 LB1073"),
        (am, auth.replace("json\r\n", "json; charset=iso-8859-1\r\n"), good.as_bytes(), "415 LB1073"),
        (am, auth.clone(), b"{\"groupKey\": \"\xff\xfe\"}", "400 LB1010"),
        (am, auth.clone(), nested.as_bytes(), "400 LB1010"),
        (am, auth.clone(), &large, "413 LB1058"),
        (am, auth.clone(), b"{\"status\":\"firing\"}", "422 LB1011"),
        ("/v1/hooks/own", json.to_owned(), down.as_bytes(), "401 LB1013"),
        ("/v1/hooks/own", sign(b"another", now), down.as_bytes(), "401 LB1013"),
        ("/v1/hooks/own", sign(SECRET, now - 400_000), down.as_bytes(), "401 LB1014"),
        ("/v1/hooks/lost", sign(SECRET, now), down.as_bytes(), "503 LB1031"),
    ];
    for (path, headers, body, expected) in &cases {
        assert_eq!(raw(&bench, path, headers, body).await, *expected, "{path} {headers}");
    }
    assert!(runs(&bench, &root).await.is_empty());
    until(Duration::from_secs(5), || async {
        let told = records(&bench, &root).await;
        cases.iter().all(|(path, _, _, expected)| {
            let code = expected.split(' ').nth(1).unwrap();
            let source = if *path == "/v1/hooks/none" { "" } else { path.rsplit('/').next().unwrap() };
            told.iter().any(|record| {
                record["code"] == code
                    && record["source"].as_str().unwrap_or("") == source
                    && record["from"] == "127.0.0.1"
            })
        })
    })
    .await;
    // The same again makes no more records, and is counted.
    let before = records(&bench, &root).await.len();
    for _ in 0..300 {
        assert!(raw(&bench, "/v1/hooks/own", &sign(b"forged", now), down.as_bytes()).await.starts_with("4"));
    }
    until(Duration::from_secs(5), || async {
        let told = records(&bench, &root).await;
        let forged = told.iter().find(|record| record["code"] == "LB1013").unwrap();
        forged["count"].as_u64().unwrap() >= 302 && told.len() <= before + 1
    })
    .await;
}

#[tokio::test]
async fn slow_bodies_are_cut_and_written_down() {
    let bench = Bench::with(Wish { books: book("chain", &json!({})), ..Wish::default() }).await;
    let root = bench.admin().await;
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    let head = format!(
        "POST /v1/hooks/alertmanager HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {root}\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let begin = Instant::now();
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(25), stream.read_to_end(&mut bytes)).await.unwrap();
    assert!(String::from_utf8_lossy(&bytes).starts_with("HTTP/1.1 408 ") && begin.elapsed() < Duration::from_secs(15));
    until(Duration::from_secs(5), || async {
        records(&bench, &root).await.iter().any(|record| record["code"] == "LB1059")
    })
    .await;
}
