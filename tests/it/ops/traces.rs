//! Traces at a real collector, and against the messages of OpenTelemetry.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use lifeboat_servers::{Kind, Server, Tool, tool};

use super::{Served, judged};

/// Waits until a file has a text, and gives the file.
fn wait_for(path: &std::path::Path, text: &str) -> String {
    let start = Instant::now();
    loop {
        let found = fs::read_to_string(path).unwrap_or_default();
        if found.contains(text) {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "'{text}' never came:\n{found}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_collector_takes_the_traces_of_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Server::start(Kind::Traces, dir.path()).unwrap();
    let mut served = Served::new(&format!("traces \"{}\"", collector.access().endpoint));
    served.bench.run(&["drill", "books/good.kdl"]).expect(0);
    let run = served.bench.newest();
    let token = served.token("viewer");
    served.stop();
    let log = wait_for(&collector.log(), "drill good");
    for part in [run.as_str(), "lifeboat.step", "prove", "attempt 1", "service.name", "succeeded"] {
        assert!(log.contains(part), "the collector did not see '{part}':\n{log}");
    }
    assert!(!log.contains(&token), "a token is in a trace");
}

/// Reads one call with a body, and answers it.
fn take(listener: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().unwrap();
    let mut all = Vec::new();
    let mut part = [0; 16 * 1024];
    loop {
        let count = stream.read(&mut part).unwrap();
        all.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&all).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase().split("content-length: ").nth(1).unwrap().to_owned();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        if body.len() >= length {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
            return body.as_bytes().to_vec();
        }
    }
}

/// Reads a request as the messages that OpenTelemetry's makers generate from their definitions; a field that they do not know is
/// refused. Ids are hexadecimal in OTLP and base 64 in other JSON of protobuf, so they are looked at apart.
const STRICT: &str = r#"
import json, sys
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
text = open(sys.argv[1]).read()
request = Parse(text, ExportTraceServiceRequest(), ignore_unknown_fields=False)
spans = [s for r in request.resource_spans for c in r.scope_spans for s in c.spans]
raw = [s for r in json.loads(text)["resourceSpans"] for c in r["scopeSpans"] for s in c["spans"]]
assert len(spans) == len(raw) > 0
for span, plain in zip(spans, raw):
    assert len(bytes.fromhex(plain["traceId"])) == 16 and len(bytes.fromhex(plain["spanId"])) == 8, plain
    assert "parentSpanId" not in plain or len(bytes.fromhex(plain["parentSpanId"])) == 8, plain
    assert span.name and span.kind == 1 and 0 < span.start_time_unix_nano <= span.end_time_unix_nano, plain
    assert span.status.code in (0, 1, 2), plain
print(len(spans), "spans")
"#;

#[test]
fn what_is_sent_is_what_opentelemetry_defines() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let served = Served::new(&format!("traces \"http://{}\"", listener.local_addr().unwrap()));
    let taker = std::thread::spawn(move || take(&listener));
    served.bench.run(&["drill", "books/good.kdl"]).expect(0);
    let body = taker.join().unwrap();
    let file = served.bench.path("request.json");
    fs::write(&file, body).unwrap();
    let said = judged(Command::new(tool(Tool::Otlp).unwrap()).args(["-c", STRICT]).arg(&file));
    assert!(said.ends_with("spans\n"), "{said}");
}
