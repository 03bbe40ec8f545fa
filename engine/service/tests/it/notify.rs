//! Who is told what of the runs, and answers by a link: once, in one name, and only what was asked.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_core::FailureKind;
use lifeboat_core::notify::{About, Channel, Form, Given, Way, Webhook};
use lifeboat_core::plan::Retry;
use lifeboat_core::service::Service;
use lifeboat_notify::link::{Key, Link};
use lifeboat_service::access::Role;
use lifeboat_testkit::{Act, World};
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, Wish, all, until};

pub type Seen = Arc<Mutex<Vec<Value>>>;

/// A sink of webhooks: what it was sent. It answers 500 as often as it is told to, and then 200.
pub fn sink(bad: usize) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let seen: Seen = Arc::default();
    let kept = Arc::clone(&seen);
    std::thread::spawn(move || {
        for (stream, number) in listener.incoming().zip(0..) {
            let mut stream = stream.unwrap();
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
            loop {
                let count = stream.read(&mut buffer).unwrap();
                bytes.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length: usize =
                    head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
                if count == 0 || body.len() >= length {
                    if number >= bad {
                        kept.lock().unwrap().push(serde_json::from_str(body).unwrap());
                    }
                    break;
                }
            }
            let status = if number < bad { "500 no" } else { "200 OK" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (url, seen)
}

pub fn channel(url: &str, about: &[About]) -> Channel {
    let url = Given::Text(url.to_owned());
    Channel {
        way: Way::Webhook(Webhook {
            url,
            plain: false,
            ca: None,
            headers: Vec::new(),
            values: Vec::new(),
            form: Form::Json,
        }),
        template: None,
        about: about.iter().copied().collect(),
        runbooks: Vec::new(),
        limit: 100,
        retry: Retry { count: 3, backoff_ms: 30, max_ms: 60, jitter: false },
    }
}

fn wish(channel: Channel) -> Wish {
    let settings = Service { public_url: Some("https://dr.example.net".to_owned()), ..Service::default() };
    Wish { settings, channels: BTreeMap::from([("pager".to_owned(), channel)]), ..Wish::default() }
}

pub async fn told(seen: &Seen, count: usize) -> Vec<Value> {
    until(Duration::from_secs(20), || async { seen.lock().unwrap().len() >= count }).await;
    seen.lock().unwrap().clone()
}

#[tokio::test]
async fn people_are_told_what_they_have_to_do_something_about() {
    let (url, seen) = sink(2);
    let world = World::new();
    world.acts("bad", [Act::Fail(FailureKind::Permanent)]);
    let about = [About::Approval, About::Failed, About::DrillFailed, About::Automation];
    let bench = Bench::with(Wish { world: Some(world), ..wish(channel(&url, &about)) }).await;
    let admin = bench.admin().await;
    let (run, fingerprint) = bench.run("approve", "failover", &admin).await;
    let first = told(&seen, 1).await.remove(0);
    assert_eq!((&first["about"], &first["run"], &first["step"]), (&json!("approval"), &json!(run), &json!("go")));
    assert_eq!(
        (&first["fingerprint"], &first["severity"], &first["link"]),
        (&json!(fingerprint), &json!("critical"), &json!(""))
    );
    bench.run("chain", "drill", &admin).await;
    let (failed, _) = bench.run("fails", "drill", &admin).await;
    bench.status(&failed, &admin, "failed").await;
    let second = told(&seen, 2).await.remove(1);
    assert_eq!((&second["about"], &second["run"]), (&json!("drill-failed"), &json!(failed)));
    assert!(second["title"].as_str().unwrap().starts_with("[drill] "), "{second}");
    let door = bench.server.as_ref().unwrap().door();
    for _ in 0..2 {
        door.tell("flap-orders", "orders", "3 automatic runs within a day are enough").await.unwrap();
    }
    assert_eq!(told(&seen, 3).await[2]["about"], "automation");
    let listed = bench.get("/v1/notifications", &admin).await.json;
    let states: Vec<&str> =
        listed["notifications"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states.len(), 3);
    until(Duration::from_secs(5), || async {
        let found = bench.get("/v1/notifications?state=sent&limit=2", &admin).await.json;
        found["notifications"].as_array().unwrap().len() == 2 && found["next"].is_u64()
    })
    .await;
    let metrics = bench.get("/metrics", &admin).await.text;
    assert!(metrics.contains("lifeboat_notifications{channel=\"pager\",state=\"sent\"} 3"), "{metrics}");
    assert!(metrics.contains("lifeboat_notifications_total{channel=\"pager\",result=\"retried\"} 2"), "{metrics}");
    let tested = bench.post("/v1/notifications/pager/test", &admin, &json!({})).await;
    assert_eq!((tested.status, &told(&seen, 4).await[3]["about"]), (200, &json!("test")));
    assert_eq!(bench.post("/v1/notifications/nobody/test", &admin, &json!({})).await.code(), "LB1092");
    let viewer = bench.token(all(Role::Viewer, "vi")).await;
    assert_eq!(bench.post("/v1/notifications/pager/test", &viewer, &json!({})).await.status, 403);
    // Who has the way in has the store, too.
    drop(door);
    // Nothing is told again by a new start, and what happened in between is.
    let (_, folder) = bench.stop().await;
    let again = Wish { folder: Some(folder), ..wish(channel(&url, &About::CHOICE)) };
    let bench = Bench::with(again).await;
    let admin = bench.admin().await;
    bench.status(&run, &admin, "waiting").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let count = |about: &str| seen.lock().unwrap().iter().filter(|one| one["about"] == about).count();
    assert_eq!(
        (count("approval"), count("drill-failed"), count("drill-succeeded")),
        (1, 1, 1),
        "the last is wanted now"
    );
}

/// The key that the service keeps in its store.
async fn key(bench: &Bench) -> Key {
    let found = bench.store.get_document("notify/link-key").await.unwrap().unwrap();
    let text: String = serde_json::from_slice(&found.value).unwrap();
    let table = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for sign in text.bytes().filter(|sign| *sign != b'=') {
        held = (held << 6) | table.iter().position(|one| *one == sign).unwrap() as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    Key::new(&bytes)
}

async fn question(bench: &Bench, run: &str, admin: &str) -> u64 {
    let events = bench.get(&format!("/v1/runs/{run}/events"), admin).await.json;
    let asked = events["events"].as_array().unwrap().iter().rfind(|one| one["event"]["event"] == "approval-requested");
    asked.unwrap_or_else(|| panic!("{events}"))["seq"].as_u64().unwrap()
}

fn link(run: &str, seq: u64, fingerprint: &str, person: &str) -> Link {
    Link {
        run: lifeboat_core::ids::RunId::parse(run).unwrap(),
        step: lifeboat_core::ids::StepId("go".to_owned()),
        seq,
        fingerprint: lifeboat_core::ids::Digest(fingerprint.to_owned()),
        person: person.to_owned(),
        until: u64::MAX,
    }
}

async fn post(bench: &Bench, path: &str, form: &str) -> Answer {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    bench.call("POST", path, "", &headers, Some(&json!(form))).await
}

#[tokio::test]
async fn a_link_answers_one_question_once_in_one_name() {
    let bench = Bench::with(wish(channel("http://127.0.0.1:1/", &[About::Approval]))).await;
    let admin = bench.admin().await;
    let (run, fingerprint) = bench.run("approve", "failover", &admin).await;
    bench.status(&run, &admin, "waiting").await;
    let seq = question(&bench, &run, &admin).await;
    let good = link(&run, seq, &fingerprint, "ada");
    let path = format!("/v1/links/{}", good.seal(&key(&bench).await));
    // Who looks answers nothing, however often.
    for _ in 0..3 {
        let page = bench.get(&path, "").await;
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.text.contains(&fingerprint) && page.text.contains("<form method=\"post\">"), "{}", page.text);
        assert!(!page.text.contains("<script") && page.header("content-type").starts_with("text/html"));
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
    bench.status(&run, &admin, "waiting").await;
    assert_eq!(post(&bench, &path, "answer=maybe").await.status, 400);
    // Who started it cannot be the only one: roles and duties are as for any approval.
    let starter = link(&run, seq, &fingerprint, "root");
    let sealed = format!("/v1/links/{}", starter.seal(&key(&bench).await));
    let refused = post(&bench, &sealed, "answer=approve").await;
    assert!(refused.status == 403 && refused.text.contains("LB1054"), "{refused:?}");
    let done = post(&bench, &path, "reason=primary+is+gone&answer=approve").await;
    assert_eq!(done.status, 200, "{done:?}");
    bench.status(&run, &admin, "succeeded").await;
    for again in [post(&bench, &path, "answer=deny").await, bench.get(&path, "").await] {
        assert!(again.status == 410 && again.text.contains("LB1098"), "{again:?}");
    }
    let late = bench.get(&sealed, "").await;
    assert!(late.status == 409 && late.text.contains("LB1099"), "{late:?}");
    let events = bench.get(&format!("/v1/runs/{run}/events"), &admin).await.text;
    assert!(events.contains("primary is gone") && events.contains("\"ada\""), "{events}");
    let audit = bench.get("/v1/audit", &admin).await;
    assert!(audit.text.contains(&format!("POST /v1/links/{}", good.id())), "{}", audit.text);
    assert!(audit.text.contains(&format!("link {}", good.id())) && audit.text.contains("LB1054"), "{}", audit.text);
    assert!(!audit.text.contains(path.trim_start_matches("/v1/links/")), "what answers is not written down");
}

#[tokio::test]
async fn links_that_are_forged_late_or_for_another_question_answer_nothing() {
    let mut wish = wish(channel("http://127.0.0.1:1/", &[About::Approval]));
    let roles = BTreeMap::from([("lead".to_owned(), vec!["ada".to_owned()])]);
    wish.roles = Some(roles);
    let bench = Bench::with(wish).await;
    let admin = bench.admin().await;
    let (run, fingerprint) = bench.run("approve", "failover", &admin).await;
    bench.status(&run, &admin, "waiting").await;
    let seq = question(&bench, &run, &admin).await;
    let key = key(&bench).await;
    let good = link(&run, seq, &fingerprint, "eve");
    let cases = [
        (good.seal(&Key::new(&[1; 32])), 403, "LB1096"),
        ("a.b".to_owned(), 403, "LB1096"),
        (Link { until: 1, ..good.clone() }.seal(&key), 410, "LB1097"),
        (Link { seq: seq + 1, ..good.clone() }.seal(&key), 409, "LB1099"),
        (link(&run, seq, "blake3:other", "eve").seal(&key), 409, "LB1099"),
        (good.seal(&key), 403, "LB0509"),
    ];
    for (sealed, status, code) in cases {
        let answer = post(&bench, &format!("/v1/links/{sealed}"), "answer=approve").await;
        assert!(answer.status == status && answer.text.contains(code), "{code}: {answer:?}");
    }
    bench.status(&run, &admin, "waiting").await;
    assert_eq!(bench.get(&format!("/v1/runs/{run}"), "").await.status, 401, "a link opens nothing else");
}

#[tokio::test]
async fn a_drill_that_does_all_its_steps_and_is_too_late_is_told_as_one_that_did_not_pass() {
    let (url, seen) = sink(0);
    let world = World::new();
    world.acts("slow", [Act::Slow(50, Box::new(Act::Done(None)))]);
    let books = vec![("late.kdl", "runbook late late".to_owned())];
    let wish = wish(channel(&url, &[About::DrillFailed, About::DrillSucceeded]));
    let bench = Bench::with(Wish { world: Some(world), books, ..wish }).await;
    let admin = bench.admin().await;
    let (run, _) = bench.run("late", "drill", &admin).await;
    bench.status(&run, &admin, "succeeded").await;
    let first = told(&seen, 1).await.remove(0);
    assert_eq!((&first["about"], &first["run"]), (&json!("drill-failed"), &json!(run)));
    let (title, text) = (first["title"].as_str().unwrap(), first["text"].as_str().unwrap());
    assert!(title.contains("did not pass") && text.contains("longer than the RTO"), "{first}");
}
