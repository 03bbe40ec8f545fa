//! Server-sent events: nothing is missed over a break, and the end is told.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use lifeboat_core::service::Service;
use lifeboat_service::access::Role;
use lifeboat_testkit::{Act, World};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::bench::{Bench, Wish, all};

/// A stream that is read; dropping it cuts the connection.
struct Reader {
    status: u16,
    body: Incoming,
    text: String,
    connection: tokio::task::JoinHandle<()>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Reader {
    async fn open(bench: &Bench, run: &str, token: &str, last: Option<u64>) -> Self {
        let io = TokioIo::new(TcpStream::connect(bench.address).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let connection = tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::get(format!("/v1/runs/{run}/events"))
            .header("host", "test")
            .header("authorization", format!("Bearer {token}"))
            .header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        Self { status, body: response.into_body(), text: String::new(), connection }
    }

    /// The next message: its id, its name, its data. None at the end of the stream.
    async fn next(&mut self) -> Option<(Option<u64>, String, Value)> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let start = format!("{name}: ");
                    message.lines().find_map(|line| line.strip_prefix(&start).map(str::to_owned))
                };
                let found = (field("id").map(|id| id.parse().unwrap()), field("event"), field("data"));
                self.text = rest.to_owned();
                if let (id, Some(name), Some(data)) = found {
                    return Some((id, name, serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            let frame = tokio::time::timeout(Duration::from_secs(20), self.body.frame()).await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_cut_off() {
    let bench = Bench::new().await;
    let root = bench.admin().await;
    let bo = bench.token(all(Role::Approver, "bo")).await;
    let (run, fingerprint) = bench.run("approve", "drill", &root).await;
    let mut seen = Vec::new();
    let mut reader = Reader::open(&bench, &run, &root, None).await;
    assert_eq!(reader.status, 200);
    let rest = loop {
        let (id, name, data) = reader.next().await.unwrap();
        if name == "rest" {
            break data;
        }
        seen.push((id.unwrap(), data["event"].clone()));
    };
    assert_eq!((&rest["rest"], &rest["status"]), (&json!("person"), &json!("waiting")));
    drop(reader);
    // Things happen while nobody looks.
    let yes = json!({ "fingerprint": fingerprint });
    assert_eq!(bench.post(&format!("/v1/runs/{run}/steps/go/approve"), &bo, &yes).await.status, 200);
    bench.status(&run, &root, "succeeded").await;
    let last = seen.last().unwrap().0;
    let mut reader = Reader::open(&bench, &run, &root, Some(last)).await;
    let mut rests = Vec::new();
    while let Some((id, name, data)) = reader.next().await {
        match id {
            Some(id) => seen.push((id, data["event"].clone())),
            None => rests.push((name, data["rest"].clone())),
        }
    }
    assert_eq!(rests, [("rest".to_owned(), json!("ended"))]);
    let stored = bench.get(&format!("/v1/runs/{run}/events?limit=500"), &root).await.json;
    let stored: Vec<_> = stored["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["seq"].as_u64().unwrap(), e["event"]["event"].clone()))
        .collect();
    assert_eq!(seen, stored, "each event once, in order");
    let over = Reader::open(&bench, &run, &root, Some(seen.last().unwrap().0)).await;
    assert_eq!(over.status, 204, "there is nothing to come back for");
    let bad = bench.call("GET", &format!("/v1/runs/{run}/events"), &root, &[("last-event-id", "x")], None).await;
    assert_eq!(bad.status, 400);
}

/// The rest that an answer ends is over with it: nobody who follows is told that the run waits still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_question_is_not_told_as_a_rest() {
    let bench = Bench::new().await;
    let root = bench.admin().await;
    let bo = bench.token(all(Role::Approver, "bo")).await;
    for round in 0..25 {
        let (run, fingerprint) = bench.run("approve", "drill", &root).await;
        bench.status(&run, &root, "waiting").await;
        let mut reader = Reader::open(&bench, &run, &root, None).await;
        while reader.next().await.unwrap().1 != "rest" {}
        let yes = json!({ "fingerprint": fingerprint });
        assert_eq!(bench.post(&format!("/v1/runs/{run}/steps/go/approve"), &bo, &yes).await.status, 200);
        let mut told = Vec::new();
        while let Some((_, name, data)) = reader.next().await {
            told.extend((name == "rest").then(|| data["rest"].clone()));
        }
        assert_eq!(told, ["ended"], "round {round}");
    }
}

#[tokio::test]
async fn events_come_as_they_happen_with_progress_between() {
    let world = World::new();
    world.acts("slow", [Act::Beat { every: 100, times: 3, then: Box::new(Act::Done(None)) }]);
    let bench = Bench::with(Wish { world: Some(world), ..Wish::default() }).await;
    let root = bench.admin().await;
    let (run, _) = bench.run("slow", "drill", &root).await;
    let mut reader = Reader::open(&bench, &run, &root, None).await;
    let mut names = Vec::new();
    while let Some((_, name, data)) = reader.next().await {
        names.push(if name == "event" { data["event"].as_str().unwrap().to_owned() } else { name });
    }
    let place = |name: &str| names.iter().position(|found| found == name).unwrap();
    assert!(place("attempt-started") < place("progress") && place("progress") < place("attempt-finished"), "{names:?}");
    assert_eq!(names.last().unwrap(), "rest");
}

#[tokio::test]
async fn streams_leave_room_for_the_others_and_end_with_the_service() {
    let settings = Service { connections: 6, ..Service::default() };
    let bench = Bench::with(Wish { settings, ..Wish::default() }).await;
    let root = bench.admin().await;
    let (run, _) = bench.run("approve", "drill", &root).await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(Reader::open(&bench, &run, &root, None).await);
    }
    let more = Reader::open(&bench, &run, &root, None).await;
    assert_eq!(more.status, 429);
    drop(more);
    assert_eq!(bench.get("/healthz", "").await.status, 200);
    drop(readers.pop());
    crate::bench::until(Duration::from_secs(5), || async {
        Reader::open(&bench, &run, &root, None).await.status == 200
    })
    .await;
    let start = std::time::Instant::now();
    bench.stop().await;
    assert!(start.elapsed() < Duration::from_secs(4), "streams do not hold the end up");
    for mut reader in readers {
        while reader.next().await.is_some() {}
    }
}
