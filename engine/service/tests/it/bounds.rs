//! Too much, too slow, too often: refused, and cheap.

use std::time::{Duration, Instant};

use lifeboat_core::service::Service;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bench::{Bench, Wish};

async fn raw(bench: &Bench, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// All that is answered until the connection is closed.
async fn to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset is closed, too.
    let read = tokio::time::timeout(Duration::from_secs(25), stream.read_to_end(&mut bytes)).await;
    drop(read.expect("the connection is closed in time"));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn slow_bodies_are_cut() {
    let bench = Bench::new().await;
    let token = bench.admin().await;
    for path in ["/v1/runs", "/v1/plans"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{{"
        );
        let start = Instant::now();
        let stream = raw(&bench, &head).await;
        let (mut read, mut write) = stream.into_split();
        // A byte now and then does not help: the whole has its time.
        let drip = tokio::spawn(async move {
            while write.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(25), read.read_to_end(&mut bytes)).await;
        drop(read.expect("the connection is closed"));
        drip.abort();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(text.starts_with("HTTP/1.1 408 "), "{path}: {text}");
        assert!(text.contains("LB1059"), "{text}");
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    }
    assert_eq!(bench.get("/v1/runs", &token).await.json["runs"], json!([]));
}

#[tokio::test]
async fn slow_heads_and_idle_connections_are_cut() {
    let bench = Bench::new().await;
    let start = Instant::now();
    let mut head = raw(&bench, "GET /healthz HTTP/1.1\r\nhost: ").await;
    let mut silent = raw(&bench, "").await;
    let mut idle = raw(&bench, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (head, silent, idle) = tokio::join!(to_end(&mut head), to_end(&mut silent), to_end(&mut idle));
    assert!(!head.contains("200 OK") && !silent.contains("200 OK"));
    assert!(idle.starts_with("HTTP/1.1 200 OK"), "{idle}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[tokio::test]
async fn large_bodies_are_refused_also_when_their_length_is_not_said() {
    let bench = Bench::new().await;
    let token = bench.admin().await;
    let large = json!({ "runbook": "chain", "mode": "drill", "reason": "x".repeat(1_100_000) });
    let answer = bench.post("/v1/runs", &token, &large).await;
    assert_eq!((answer.status, answer.code()), (413, "LB1058"));
    let mut stream = raw(&bench, &format!(
        "POST /v1/plans HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )).await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..100 {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let text = to_end(&mut stream).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 413 "), "{text}");
    let long = json!({ "runbook": "chain", "mode": "drill", "reason": "x".repeat(5_000) });
    assert_eq!(bench.post("/v1/runs", &token, &long).await.status, 400, "a reason is a sentence");
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(60_000));
    let text = to_end(&mut raw(&bench, &head).await).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431 "), "{text}");
    assert_eq!(bench.get("/v1/runs", &token).await.json["runs"], json!([]));
}

#[tokio::test]
async fn who_comes_too_often_is_told_when_to_come_again() {
    let settings = Service { rate: 30, ..Service::default() };
    let bench = Bench::with(Wish { settings, ..Wish::default() }).await;
    let (one, other) = (bench.admin().await, bench.admin().await);
    let mut limited = None;
    for call in 0..40 {
        let answer = bench.get("/v1/me", &one).await;
        if answer.status == 429 {
            limited = Some((call, answer));
            break;
        }
    }
    let (call, answer) = limited.unwrap();
    assert!(call >= 30, "{call}");
    assert_eq!(answer.code(), "LB1060");
    assert!((1..=2).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(bench.get("/v1/me", &other).await.status, 200, "another token has its own");
    let mut strangers = Vec::new();
    for _ in 0..40 {
        strangers.push(bench.get("/v1/me", "wrong").await.status);
    }
    assert_eq!((strangers[0], strangers[39]), (401, 429));
    assert_eq!(bench.get("/v1/me", &other).await.status, 200, "strangers of the same address take nothing from it");
}

#[tokio::test]
async fn more_connections_than_there_is_room_for_wait() {
    let settings = Service { connections: 3, ..Service::default() };
    let bench = Bench::with(Wish { settings, ..Wish::default() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(raw(&bench, "GET /healthz HTTP/1.1\r\nhost: ").await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let call = bench.get("/healthz", "");
    tokio::pin!(call);
    assert!(tokio::time::timeout(Duration::from_millis(500), call.as_mut()).await.is_err(), "there is no room");
    held.clear();
    assert_eq!(call.await.status, 200, "and then there is");
}
