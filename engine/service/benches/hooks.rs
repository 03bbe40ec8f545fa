//! Alerts in bursts: 2,000 posts a second for a minute, most of them repeated, some out of order, some forged. One run an incident, and memory
//! that stays as it is. `HOOKS_SECONDS` makes it shorter.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// It looks at the real clock, and uses a part of what the tests share.
#![allow(clippy::disallowed_methods, dead_code, unused_imports)]

#[path = "../tests/it/bench.rs"]
mod bench;
#[path = "../tests/it/workshop.rs"]
mod workshop;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use lifeboat_alerts::sign;
use lifeboat_core::ports::Clock;
use lifeboat_core::service::Service;
use lifeboat_service::access::Role;
use lifeboat_testkit::WallClock;
use serde_json::json;
use tokio::net::TcpStream;

use bench::{Bench, SECRET, Wish, all};

const SENDERS: u64 = 16;
const PER_SECOND: u64 = 2_000;
/// Bursts of a second: all at once, then nothing.
const BURSTS: u64 = 8;
/// Each second, so many groups are new.
const NEW_GROUPS: u64 = 4;

fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

/// A message and how it is sent: to which hook, by which proof.
fn message(n: u64, second: u64, token: &str) -> (Request<Full<Bytes>>, bool) {
    // Most are of groups of long ago.
    let group = format!("g{}", (n * 7919) % ((second + 1) * NEW_GROUPS));
    let forged = n.is_multiple_of(9);
    if n.is_multiple_of(50) {
        let body =
            json!({ "state": "down", "service": group, "labels": { "severity": "critical", "n": n } }).to_string();
        let secret: &[u8] = if forged { b"another" } else { SECRET };
        let header = sign(secret, body.as_bytes(), WallClock.now_ms());
        let request = Request::post("/v1/hooks/own").header("lifeboat-signature", header);
        return (finish(request, body), !forged);
    }
    let since = 1_700_000_000 + (n * 31) % 5;
    let alert = json!({
        "status": "firing", "labels": { "alertname": "Down", "severity": "critical" }, "annotations": {},
        "startsAt": since.to_string(), "endsAt": "", "fingerprint": format!("{group}-{}", n % 3),
    });
    let body = json!({ "version": "4", "groupKey": group, "status": "firing", "alerts": [alert] }).to_string();
    let token = if forged { "lifeboat_0000000000_forged" } else { token };
    let request = Request::post("/v1/hooks/alertmanager").header("authorization", format!("Bearer {token}"));
    (finish(request, body), !forged)
}

fn finish(request: http::request::Builder, body: String) -> Request<Full<Bytes>> {
    let request = request.header("host", "x").header("content-type", "application/json");
    request.body(Full::new(Bytes::from(body))).unwrap()
}

async fn connect(bench: &Bench) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(bench.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (out, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    out
}

/// One sender: what it sent that was good, what was forged, and how long each took.
async fn sender(bench: Arc<Bench>, who: u64, seconds: u64, token: String) -> (u64, u64, Vec<Duration>) {
    let mut out = connect(&bench).await;
    let (mut good, mut bad, mut times) = (0, 0, Vec::new());
    let begin = Instant::now();
    for burst in 0..seconds * BURSTS {
        let due = Duration::from_millis(burst * 1_000 / BURSTS);
        tokio::time::sleep(due.saturating_sub(begin.elapsed())).await;
        for n in 0..PER_SECOND / BURSTS / SENDERS {
            // Neighbours send the same.
            let number = burst * 1_000 + n * 4 + who / 4;
            let (request, fine) = message(number, burst / BURSTS, &token);
            let start = Instant::now();
            let answer = out.send_request(request).await.unwrap();
            let status = answer.status().as_u16();
            answer.into_body().collect().await.unwrap();
            times.push(start.elapsed());
            // The same signed message comes from four senders, and counts once.
            assert!(if fine { status == 200 || status == 409 } else { status == 401 }, "{status} for {number}");
            if fine { good += 1 } else { bad += 1 }
        }
    }
    (good, bad, times)
}

#[tokio::main]
async fn main() {
    let seconds: u64 = std::env::var("HOOKS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let settings = Service { rate: 1_000_000, ..Service::default() };
    let books = vec![("dr.kdl", "runbook dr chain\nalert {}\n".to_owned())];
    let bench = Arc::new(Bench::with(Wish { settings, books, ..Wish::default() }).await);
    let root = bench.admin().await;
    let token = bench.token(all(Role::Sender, "am")).await;
    let begin = Instant::now();
    let senders = (0..SENDERS).map(|who| tokio::spawn(sender(Arc::clone(&bench), who, seconds, token.clone())));
    let senders: Vec<_> = senders.collect();
    let memory = tokio::spawn(async move {
        let mut memory = Vec::new();
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(seconds * 1_000 / 6)).await;
            memory.push(rss_mib());
        }
        memory
    });
    let (mut good, mut bad, mut times) = (0, 0, Vec::new());
    for sender in senders {
        let (more, forged, took) = sender.await.unwrap();
        good += more;
        bad += forged;
        times.extend(took);
    }
    let took = begin.elapsed();
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 1_000].as_micros();
    let posts = good + bad;
    println!(
        "{posts} posts in {:.1} s: {:.0}/s, {bad} of them forged",
        took.as_secs_f64(),
        posts as f64 / took.as_secs_f64()
    );
    println!("an answer took {} us (median), {} us (99 of 100), {} us (999 of 1,000)", at(500), at(990), at(999));
    println!("memory of service and senders, MiB at each sixth: {:?}", memory.await.unwrap());
    let begin = Instant::now();
    let (runs, incidents) = loop {
        let text = bench.get("/metrics", &root).await.text;
        let number = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or(" 0");
            line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        };
        let (runs, incidents) = (number("lifeboat_runs{state=\"succeeded\"}"), number("lifeboat_incidents_open"));
        let opened = number("lifeboat_alerts_total{word=\"opened\"");
        assert!(runs <= opened, "{runs} runs of {opened} incidents");
        // A runbook has at most 100 automatic runs a day; for the others a person is called.
        if incidents == opened && runs == opened.min(100) || begin.elapsed() > Duration::from_secs(60) {
            break (runs, opened);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    println!("{incidents} incidents, {runs} runs");
    assert!(runs > 0);
}
