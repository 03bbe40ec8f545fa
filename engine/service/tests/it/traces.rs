//! Traces: what arrives at a collector. Here it is a few lines that take what is posted; a real one is in the tests of the whole.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::service::{Collector, Service};
use lifeboat_service::access::Role;
use lifeboat_testkit::{Act, World};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::bench::{Bench, Wish, all, until};

/// Takes spans. Each answer is the next of a list, and 200 after it.
#[derive(Clone, Default)]
struct Sink {
    spans: Arc<Mutex<Vec<Value>>>,
    answers: Arc<Mutex<Vec<u16>>>,
}

impl Sink {
    async fn listen(&self) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sink = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let sink = sink.clone();
                let take = service_fn(move |request: Request<Incoming>| {
                    let sink = sink.clone();
                    async move { Ok::<_, std::convert::Infallible>(sink.take(request).await) }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), take));
            }
        });
        Collector::parse(&url).unwrap()
    }

    async fn take(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1/traces"));
        assert_eq!(request.headers()["content-type"], "application/json");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let status = self.answers.lock().unwrap().pop().unwrap_or(200);
        if status == 200 {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
            self.spans.lock().unwrap().extend(spans.as_array().unwrap().iter().cloned());
        }
        Response::builder().status(status).body(Full::new(Bytes::from_static(b"{}"))).unwrap()
    }

    fn of(&self, run: &str) -> Vec<Value> {
        let mine = |span: &&Value| attribute(span, "lifeboat.run") == run;
        self.spans.lock().unwrap().iter().filter(mine).cloned().collect()
    }
}

fn attribute(span: &Value, name: &str) -> String {
    let found = span["attributes"].as_array().unwrap().iter().find(|pair| pair["key"] == name);
    let value = found.map(|pair| pair["value"]["stringValue"].as_str().or(pair["value"]["intValue"].as_str()));
    value.flatten().unwrap_or("").to_owned()
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let found: Vec<&Value> = spans.iter().filter(|span| span["name"] == name).collect();
    assert_eq!(found.len(), 1, "'{name}' is there {} times in {spans:#?}", found.len());
    found[0]
}

#[tokio::test]
async fn a_run_is_a_trace_of_its_steps_and_their_attempts_over_restarts() {
    let sink = Sink::default();
    // One that is told to come again, and comes again.
    sink.answers.lock().unwrap().push(503);
    let settings = Service { traces: Some(sink.listen().await), ..Service::default() };
    let world = World::new();
    let wish = || Wish { settings: settings.clone(), world: Some(world.clone()), ..Wish::default() };
    let bench = Bench::with(wish()).await;
    let root = bench.admin().await;
    let bo = bench.token(all(Role::Approver, "bo")).await;
    let (run, _) = bench.run("chain", "drill", &root).await;
    bench.status(&run, &root, "succeeded").await;
    let (waits, fingerprint) = bench.run("approve", "drill", &root).await;
    bench.status(&waits, &root, "waiting").await;
    let (_, folder) = bench.stop().await;

    let spans = sink.of(&run);
    assert_eq!(spans.len(), 1 + 3 + 3, "{spans:#?}");
    let top = named(&spans, "drill chain");
    assert!(top.get("parentSpanId").is_none());
    assert_eq!((attribute(top, "lifeboat.result").as_str(), &top["status"]["code"]), ("succeeded", &json!(1)));
    let ids: BTreeMap<&str, &Value> = spans.iter().map(|span| (span["spanId"].as_str().unwrap(), span)).collect();
    assert_eq!(ids.len(), spans.len(), "ids are not given twice");
    for span in &spans {
        assert_eq!(span["traceId"], top["traceId"]);
        assert!(span["startTimeUnixNano"].as_str().unwrap() <= span["endTimeUnixNano"].as_str().unwrap());
        let parent = span.get("parentSpanId").map(|id| ids[id.as_str().unwrap()]);
        match (span["name"].as_str().unwrap().starts_with("attempt"), parent) {
            (true, Some(step)) => assert_eq!(attribute(step, "lifeboat.step"), attribute(span, "lifeboat.step")),
            (false, Some(run)) => assert_eq!(run["spanId"], top["spanId"]),
            (_, None) => assert_eq!(span["spanId"], top["spanId"]),
        }
    }

    // The other one goes on after a restart: what was sent is not sent again, and the trace is the same.
    let bench = Bench::with(Wish { folder: Some(folder), ..wish() }).await;
    let yes = json!({ "fingerprint": fingerprint, "reason": "the words of a person" });
    assert_eq!(bench.post(&format!("/v1/runs/{waits}/steps/go/approve"), &bo, &yes).await.status, 200);
    bench.status(&waits, &root, "succeeded").await;
    bench.stop().await;
    let spans = sink.of(&waits);
    let (go, top) = (named(&spans, "go"), named(&spans, "drill approve"));
    assert_eq!((&go["parentSpanId"], &go["traceId"]), (&top["spanId"], &top["traceId"]));
    let moments: Vec<&str> =
        go["events"].as_array().unwrap().iter().map(|moment| moment["name"].as_str().unwrap()).collect();
    assert_eq!(moments, ["approval-requested", "approved"]);
    assert!(!format!("{spans:?}").contains("the words of a person"), "what people say stays in the house");
}

#[tokio::test]
async fn failures_are_told_and_a_run_that_is_opened_again_is_another_part_of_its_trace() {
    let sink = Sink::default();
    let settings = Service { traces: Some(sink.listen().await), ..Service::default() };
    let world = World::new();
    world.acts("bad", [Act::Fail(FailureKind::Permanent), Act::Done(None)]);
    let bench = Bench::with(Wish { settings, world: Some(world), ..Wish::default() }).await;
    let root = bench.admin().await;
    let (run, _) = bench.run("fails", "drill", &root).await;
    bench.status(&run, &root, "failed").await;
    assert_eq!(bench.post(&format!("/v1/runs/{run}/steps/bad/retry"), &root, &json!({})).await.status, 200);
    bench.status(&run, &root, "succeeded").await;
    bench.stop().await;
    let spans = sink.of(&run);
    let tops: Vec<&Value> = spans.iter().filter(|span| span["name"] == "drill fails").collect();
    let told = |span: &Value| (attribute(span, "lifeboat.result"), attribute(span, "lifeboat.part"));
    let told: Vec<(String, String)> = tops.iter().map(|span| told(span)).collect();
    let pair = |result: &str, part: &str| (result.to_owned(), part.to_owned());
    assert_eq!(told, [pair("failed", "0"), pair("succeeded", "1")]);
    assert_ne!(tops[0]["spanId"], tops[1]["spanId"]);
    assert_eq!(tops[0]["traceId"], tops[1]["traceId"]);
    let failed = spans.iter().find(|span| attribute(span, "error.type") == "failed").unwrap();
    assert_eq!((&failed["status"]["code"], &failed["name"]), (&json!(2), &json!("attempt 1")));
    assert!(!failed["status"]["message"].as_str().unwrap().is_empty());
    assert_eq!(spans.iter().filter(|span| span["name"] == "bad").count(), 2, "the step is in both parts");
}

#[tokio::test]
async fn a_collector_that_is_not_there_keeps_nobody_waiting() {
    // A port that nobody listens on.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let to = Collector::parse(&format!("http://{free}")).unwrap();
    let settings = Service { traces: Some(to), open_metrics: true, ..Service::default() };
    let bench = Bench::with(Wish { settings, ..Wish::default() }).await;
    let root = bench.admin().await;
    let (run, _) = bench.run("chain", "drill", &root).await;
    bench.status(&run, &root, "succeeded").await;
    let failed = || async {
        let text = bench.get("/metrics", "").await.text;
        text.lines().any(|line| line.starts_with("lifeboat_trace_spans_total{result=\"failed\"} 7"))
    };
    until(Duration::from_secs(20), failed).await;
    assert_eq!(bench.stop().await.0, 0);
}
