//! A small server whose answers a test writes, and a caller that may reach it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lifeboat_core::grants::{Grant, HostGrant, Operator};
use lifeboat_core::plan::{Mode, Target};
use lifeboat_core::ports::{AttemptSink, BoxFuture};
use lifeboat_core::{Error, Failure};
use serde_json::json;

use crate::bindings::lifeboat::plugin::http::Signing;
use crate::guest::Bound;
use crate::http::egress::Egress;
use crate::http::send::{Ask, Caller};
use crate::http::url::Url;
use crate::http::{Hub, Times};
use crate::ports::{Secret, Secrets};
use crate::voice::Voice;

/// A server that keeps what it was sent.
pub struct Place {
    pub port: u16,
    /// Whole requests, head and body, in order.
    pub seen: Arc<Mutex<Vec<String>>>,
    /// Connections that were made.
    pub connections: Arc<AtomicUsize>,
}

impl Place {
    /// `answer` gets the number of the request, from 0, and the stream to answer on; `false` closes the connection.
    pub fn new(answer: impl Fn(usize, &str, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (kept, count, answer) = (Arc::clone(&seen), Arc::clone(&connections), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), kept, answer) = (stream, Arc::clone(&kept), Arc::clone(&answer)) else { return };
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    while let Some(request) = read(&mut stream) {
                        let number = {
                            let mut kept = kept.lock().unwrap();
                            kept.push(request.clone());
                            kept.len() - 1
                        };
                        if !answer(number, &request, &mut stream) {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, seen, connections }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn read(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).unwrap();
    let len = text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; len.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(text + &String::from_utf8_lossy(&body))
}

/// A whole answer.
pub fn say(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> bool {
    let text = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).is_ok()
}

#[derive(Default)]
pub struct Sink {
    pub stop: AtomicBool,
    pub lines: Mutex<Vec<String>>,
}

impl AttemptSink for Sink {
    fn progress(&self, done: u64, _: Option<u64>, unit: &str, note: &str) {
        self.lines.lock().unwrap().push(format!("{done} {unit} {note}"));
    }
    fn log(&self, _: &str, message: &str) {
        self.lines.lock().unwrap().push(message.to_owned());
    }
    fn checkpoint<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

pub struct Fixed(pub BTreeMap<String, String>);

impl Secrets for Fixed {
    fn get(&self, name: &str) -> Result<Secret, Error> {
        let found = self.0.get(name).map(|value| Secret::new(value.clone().into_bytes()));
        found.ok_or_else(|| Error::new("LB0710", format!("there is no secret '{name}'")))
    }
}

pub fn quick() -> Times {
    Times {
        connect: Duration::from_secs(2),
        idle: Duration::from_millis(400),
        answer: Duration::from_millis(400),
        pause: Duration::from_millis(20),
        pause_max: Duration::from_secs(3),
        sends: 4,
        least: 1_000,
    }
}

/// A caller that may reach these ports of this machine over plain HTTP, with these secrets in settings of the same names.
pub fn caller(ports: &[u16], secrets: &[(&str, &str)]) -> (Caller, Arc<Sink>) {
    let hosts = ports.iter().map(|port| HostGrant {
        host: "127.0.0.1".into(),
        port: *port,
        plain: true,
        ca: None,
        client: None,
    });
    caller_with(hosts.collect(), secrets)
}

pub fn caller_with(hosts: Vec<HostGrant>, secrets: &[(&str, &str)]) -> (Caller, Arc<Sink>) {
    let grant = Grant { plugin: "p".into(), target: None, dirs: Vec::new(), hosts };
    let operator = Operator { grants: vec![grant], ..Operator::default() };
    let sink = Arc::new(Sink::default());
    let names = secrets.iter().map(|(name, _)| ((*name).to_owned(), (*name).to_owned())).collect();
    let target =
        Target { name: "t".into(), plugin: "p".into(), site: None, settings: json!({}), secrets: names, lock: None };
    let kept = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let caller = Caller {
        hub: Arc::new(Hub::new(&operator, quick())),
        egress: Egress::new(&operator, "p", "t", Mode::Failover),
        bound: Bound { role: "of".into(), target, settings: json!({"id": "AKID"}) },
        secrets: Arc::new(Fixed(kept)),
        voice: Voice::new(sink.clone()),
        until: Instant::now() + Duration::from_secs(20),
    };
    (caller, sink)
}

pub fn ask(method: &str, url: &str) -> Ask {
    Ask {
        method: method.into(),
        url: Url::parse(url).unwrap(),
        headers: Vec::new(),
        signing: Signing::None,
        wishes: Vec::new(),
        timeout: None,
        repeat: None,
        follow: true,
        span: None,
    }
}
