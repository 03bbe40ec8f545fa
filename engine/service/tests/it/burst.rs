//! Bursts: many senders at once, the same again and again, out of order, and forged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use lifeboat_core::service::Service;
use lifeboat_service::access::Role;
use serde_json::json;
use tokio::net::TcpStream;

use crate::alerts::{book, message, runs};
use crate::bench::{Bench, Wish, all, until};

const SENDERS: u64 = 32;
const EACH: u64 = 75;
const GROUPS: u64 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_makes_one_run_an_incident() {
    let settings = Service { rate: 100_000, ..Service::default() };
    let bench = Arc::new(Bench::with(Wish { settings, books: book("chain", &json!({})), ..Wish::default() }).await);
    let root = bench.admin().await;
    let sender = bench.token(all(Role::Sender, "am")).await;
    let begin = Instant::now();
    let mut senders = Vec::new();
    for who in 0..SENDERS {
        let (bench, sender) = (Arc::clone(&bench), sender.clone());
        senders.push(tokio::spawn(async move {
            let stream = TcpStream::connect(bench.address).await.unwrap();
            let (mut out, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            let connection = tokio::spawn(connection);
            let mut forged = 0;
            for n in 0..EACH {
                let group = format!("g{}", (who + n) % GROUPS);
                // Several alerts of a group, with times that go back and forth, and each message from many senders.
                let alert = format!("{group}-{}", n % 3);
                let body = message(&group, &[(&alert, true, 1_700_000_000 + (who * 7 + n * 3) % 5)]).to_string();
                let good = (who + n) % 11 != 0;
                let token = if good { sender.as_str() } else { "lifeboat_0000000000_forged" };
                let request = Request::post("/v1/hooks/alertmanager")
                    .header("host", "x")
                    .header("content-type", "application/json")
                    .header("authorization", format!("Bearer {token}"))
                    .body(Full::new(Bytes::from(body)))
                    .unwrap();
                let answer = out.send_request(request).await.unwrap();
                let status = answer.status().as_u16();
                answer.into_body().collect().await.unwrap();
                assert_eq!(status, if good { 200 } else { 401 });
                forged += u64::from(!good);
            }
            connection.abort();
            forged
        }));
    }
    let mut forged = 0;
    for sender in senders {
        forged += sender.await.unwrap();
    }
    let took = begin.elapsed();
    println!("{} posts in {took:?}, {forged} of them forged", SENDERS * EACH);
    assert!(forged > 100);
    until(Duration::from_secs(20), || async {
        let found = runs(&bench, &root).await;
        found.len() == 10 && found.iter().all(|(_, status)| status == "succeeded")
    })
    .await;
    let incidents = bench.get("/v1/incidents", &root).await.json["incidents"].as_array().unwrap().clone();
    assert_eq!(incidents.len(), 10);
    assert!(incidents.iter().all(|incident| incident["phase"] == "ended" && incident["firing"] == 3), "{incidents:?}");
    until(Duration::from_secs(5), || async {
        let told = bench.get("/v1/alerts?limit=500", &root).await.json["alerts"].as_array().unwrap().clone();
        let counted: u64 =
            told.iter().filter(|one| one["code"] == "LB1052").map(|one| one["count"].as_u64().unwrap()).sum();
        counted == forged
    })
    .await;
}
