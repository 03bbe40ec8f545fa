//! Requests over HTTP from inside the sandbox, against a server of this test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use lifeboat_core::grants::Operator;
use lifeboat_core::plan::StepKind;
use lifeboat_core::ports::Attempt;
use lifeboat_core::{FailureKind, Outcome};
use lifeboat_host::{Host, HostOptions, OperatorSecrets};
use serde_json::{Value, json};

use crate::setting::{failure, setting};

/// Answers every request with its own head and body. `/big` gives 20 MiB, `/cut` breaks off.
pub fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
    port
}

pub fn big() -> Vec<u8> {
    (0..20_u32 << 20).map(|n| (n / 7) as u8).collect()
}

fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
        let len = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut body = vec![0; len];
        stream.read_exact(&mut body).unwrap();
        let flat = text.replace("\r\n", " ");
        let reply = match text.split(' ').nth(1).unwrap() {
            "/big" => big(),
            "/cut" => vec![b'x'; 10],
            "/up" => b"taken".to_vec(),
            _ => [text.as_bytes(), &body].concat(),
        };
        let length = if text.starts_with("GET /cut") { 1_000 } else { reply.len() };
        let status = if text.starts_with("GET /no") { "403 Forbidden" } else { "200 OK" };
        let head = format!("HTTP/1.1 {status}\r\nx-echo: {flat}\r\ncontent-length: {length}\r\n\r\n");
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&reply));
        if sent.is_err() || length == 1_000 {
            return;
        }
    }
}

fn attempt(args: Value, root: &Path) -> Attempt {
    let setting = setting();
    let mut attempt = setting.attempt(StepKind::Verify, args, root, 30_000);
    let settings = json!({"root": root, "endpoint": format!("http://127.0.0.1:{}", setting.port)});
    attempt.settings = vec![("target".into(), settings)];
    let mut plan = (*attempt.plan).clone();
    plan.targets.get_mut("orders").unwrap().secrets.insert("token".into(), "pw".into());
    attempt.plan = std::sync::Arc::new(plan);
    attempt
}

async fn done(args: Value, root: &Path) -> Value {
    match setting().run(attempt(args, root)).await.0 {
        Outcome::Done { outputs } => outputs,
        other => panic!("not done: {other:?}"),
    }
}

#[tokio::test]
async fn a_guest_asks_and_its_secret_stays_with_the_host() {
    let root = setting().folder("rw");
    let secret = std::env::var("PATH").unwrap();
    let args = json!({"method": "GET", "url": "/a?b=c", "bearer": "token"});
    let (outcome, heard) = setting().run(attempt(args, &root)).await;
    let Outcome::Done { outputs } = &outcome else { panic!("not done: {outcome:?}") };
    // The server sends back what it got, in a header and as the body: it got the token, and the guest sees none of it.
    assert!(outputs["body"].as_str().unwrap().contains("authorization: Bearer ***"), "{outputs}");
    assert!(outputs["headers"].as_str().unwrap().contains("authorization: Bearer (secret)"), "{outputs}");
    assert!(!format!("{outcome:?} {heard:?}").contains(&secret));
    let args = json!({"method": "GET", "url": "/no\u{7f}", "bearer": "token"});
    let wrong = failure(setting().run(attempt(args, &root)).await.0);
    assert!(!format!("{wrong:?}").contains(&secret));
}

#[tokio::test]
async fn bulk_bytes_go_from_and_into_files() {
    let root = setting().folder("rw");
    let down = done(json!({"method": "GET", "url": "/big", "into": "big"}), &root).await;
    let want = big();
    assert_eq!(std::fs::read(root.join("big")).unwrap(), want);
    let digest = format!("blake3:{}", blake3::hash(&want).to_hex());
    assert_eq!(down["body"], digest.as_str());
    let up = done(json!({"method": "PUT", "url": "/up", "from": "big"}), &root).await;
    assert_eq!((up["body"].as_str(), up["status"].as_u64()), (Some(digest.as_str()), Some(200)));
}

#[tokio::test]
async fn what_is_cut_off_leaves_no_file_and_may_be_tried_again() {
    let root = setting().folder("rw");
    let cut = failure(setting().run(attempt(json!({"method": "GET", "url": "/cut", "into": "cut"}), &root)).await.0);
    assert_eq!((cut.kind, cut.code.unwrap().0.as_ref()), (FailureKind::Temporary, "LB0723"));
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
}

#[tokio::test]
async fn other_hosts_are_refused_with_the_line_that_would_allow_them() {
    let root = setting().folder("rw");
    let refused = |url: &str| attempt(json!({"method": "GET", "url": url}), &root);
    for (url, line) in [
        ("http://169.254.169.254/latest/", "{ host \"169.254.169.254\" plain=#true }"),
        ("https://example.net/", "{ host \"example.net\" }"),
    ] {
        let failure = failure(setting().run(refused(url)).await.0);
        assert_eq!((failure.kind, failure.code.unwrap().0.as_ref()), (FailureKind::Refused, "LB0707"));
        assert!(failure.hint.unwrap().ends_with(&format!("grant \"fixture\" target=\"orders\" {line}")));
    }
}

/// What was built against 1.0 of the interface still loads: its imports are found in what is lent today.
#[tokio::test]
async fn plugins_of_an_earlier_minor_version_load() {
    let now = std::fs::read(crate::setting::dist("fs.wasm")).unwrap();
    let (new, old) = (&b"@1.1.0"[..], b"@1.0.0");
    let mut then = now.clone();
    let places: Vec<usize> = (0..then.len() - new.len()).filter(|at| &now[*at..at + new.len()] == new).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| then[*at..at + new.len()].copy_from_slice(old));
    let load = move || {
        let secrets = std::sync::Arc::new(OperatorSecrets::default());
        let host = Host::new(HostOptions::default(), Operator::default(), secrets)?;
        host.load_bytes("fs-of-1.0", &then)
    };
    let known = tokio::task::spawn_blocking(load).await.unwrap().unwrap();
    assert!(known.description.store && known.description.name == "fs");
}
