//! Alerts in bursts: 2,000 posts a second, most of them repeated, some out of order, some forged, to the real binary. The bars: exactly
//! one run an incident, and memory that stays as it is.
//!
//! The first minute fills what the service keeps on purpose (the newest records, the signatures of its replay window); the second one
//! tells whether memory is flat. `HOOKS_SECONDS` makes both together shorter or longer. The limit of an answer is a
//! `/healthz` of the same service by the same senders.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// It looks at the real clock.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;

const SENDERS: u64 = 16;
const PER_SECOND: u64 = 2_000;
/// Bursts of a second: all at once, then nothing.
const BURSTS: u64 = 5;
/// Every so many seconds, a group of alerts is new.
const NEW_GROUP_SECONDS: u64 = 3;
const SECRET: &str = "a secret of the bench";

const OPERATOR: &str = r#"
service { listen "127.0.0.1:0"; runbooks "books"; rate 1000000 }
secret "own-hook" file="own-hook"
hook "am" kind="alertmanager"
hook "own" kind="generic" secret="own-hook" window="5m" {
    group "/service"
    status "/state" firing="down" resolved="up"
    label "severity" "/labels/severity"
}
automatic "dr"
"#;
/// Nothing to do but to run: what is measured is the way there.
const RUNBOOK: &str = r#"
runbook "dr" {
    modes "failover"
    on "alert" { source "am" "own"; match "severity" "critical"; budget 100 within="24h" }
    wait "breathe" "1ms"
}
"#;

struct Service {
    dir: TempDir,
    child: Child,
    address: String,
    sender: String,
    viewer: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.args(args).current_dir(dir).env_clear().env("HOME", dir).env("USER", "bench").stdin(Stdio::null());
    command
}

impl Service {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        fs::create_dir(dir.path().join("books")).unwrap();
        write("lifeboat.kdl", OPERATOR);
        write("own-hook", SECRET);
        write("books/dr.kdl", RUNBOOK);
        let token = |role: &str| {
            let more: &[&str] = if role == "sender" { &["--failover"] } else { &[] };
            let made =
                command(dir.path(), &[&["token", "create", role, "--role", role][..], more].concat()).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            String::from_utf8(made.stdout).unwrap().trim().to_owned()
        };
        let (sender, viewer) = (token("sender"), token("viewer"));
        let mut child = command(dir.path(), &["serve"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.unwrap();
            let at = line.split("http://").nth(1)?;
            Some(at.split(|c: char| !c.is_ascii_digit() && !".:".contains(c)).next().unwrap().to_owned())
        });
        // Whoever does not read what it says would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { dir, child, address: address.unwrap(), sender, viewer }
    }

    /// Resident memory in KiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn runs(&self) -> Vec<Value> {
        let told = command(self.dir.path(), &["runs", "--json"]).output().unwrap();
        serde_json::from_slice(&told.stdout).unwrap()
    }
}

/// A connection that stays open, and what is asked over it.
struct Line {
    stream: BufReader<TcpStream>,
}

impl Line {
    fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// Sends a request and reads the whole answer: its status, and its body.
    fn ask(&mut self, request: &str) -> (u16, String) {
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            assert!(self.stream.read_line(&mut line).unwrap() > 0, "it hung up");
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().unwrap().parse().unwrap();
            }
            if let Some(rest) = line.strip_prefix("content-length:") {
                length = rest.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A message, whether it is a good one, and the group that it is about.
fn message(n: u64, second: u64, token: &str) -> (String, bool) {
    // Most are of groups of long ago.
    let group = format!("g{}", (n * 7919) % (second / NEW_GROUP_SECONDS + 1));
    let forged = n.is_multiple_of(9);
    let post = |path: &str, header: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{header}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    if n.is_multiple_of(50) {
        let body =
            json!({ "state": "down", "service": group, "labels": { "severity": "critical", "n": n.to_string() } });
        let secret = if forged { "another" } else { SECRET };
        let body = body.to_string();
        let header = lifeboat_alerts::sign(secret.as_bytes(), body.as_bytes(), now_ms());
        return (post("/v1/hooks/own", &format!("lifeboat-signature: {header}"), &body), !forged);
    }
    let since = 1_700_000_000 + (n * 31) % 5;
    let alert = json!({
        "status": "firing", "labels": { "alertname": "Down", "severity": "critical" }, "annotations": {},
        "startsAt": since.to_string(), "endsAt": "", "fingerprint": format!("{group}-{}", n % 3),
    });
    let body = json!({ "version": "4", "groupKey": group, "status": "firing", "alerts": [alert] }).to_string();
    let token = if forged { "lifeboat_0000000000_forged" } else { token };
    (post("/v1/hooks/am", &format!("authorization: Bearer {token}"), &body), !forged)
}

/// What a sender saw: how many were good and forged, and how long each answer took, in microseconds.
#[derive(Default)]
struct Sent {
    good: u64,
    forged: u64,
    took: Vec<u32>,
}

fn sender(service: &Service, who: u64, seconds: u64) -> Sent {
    let mut line = Line::open(&service.address);
    let mut sent = Sent::default();
    let begin = Instant::now();
    for burst in 0..seconds * BURSTS {
        let due = Duration::from_millis(burst * 1_000 / BURSTS);
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
        for n in 0..PER_SECOND / BURSTS / SENDERS {
            // Four neighbours send the same.
            let number = burst * 1_000 + n * 4 + who / 4;
            let (request, fine) = message(number, burst / BURSTS, &service.sender);
            let start = Instant::now();
            let (status, body) = line.ask(&request);
            sent.took.push(u32::try_from(start.elapsed().as_micros()).unwrap());
            // The same signed message comes from four senders, and counts once.
            assert!(if fine { status == 200 || status == 409 } else { status == 401 }, "{status} for {number}: {body}");
            if fine { sent.good += 1 } else { sent.forged += 1 }
        }
    }
    sent
}

/// How long a call takes that does nothing, in microseconds, with as many callers and the same bursts.
fn limit(service: &Service) -> Vec<u32> {
    let caller = || {
        let mut line = Line::open(&service.address);
        let mut took = Vec::new();
        let begin = Instant::now();
        for burst in 0..3 * BURSTS {
            std::thread::sleep(Duration::from_millis(burst * 1_000 / BURSTS).saturating_sub(begin.elapsed()));
            for _ in 0..PER_SECOND / BURSTS / SENDERS {
                let start = Instant::now();
                assert_eq!(line.ask("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").0, 200);
                took.push(u32::try_from(start.elapsed().as_micros()).unwrap());
            }
        }
        took
    };
    let mut all: Vec<u32> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..SENDERS).map(|_| scope.spawn(caller)).collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    all.sort_unstable();
    all
}

fn at(sorted: &[u32], share: usize) -> u32 {
    sorted[(sorted.len() * share / 1_000).min(sorted.len() - 1)]
}

/// The number of a metric, over all of its labels that have this text in them.
fn counted(service: &Service, name: &str, label: &str) -> u64 {
    let request = format!("GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", service.viewer);
    let (status, text) = Line::open(&service.address).ask(&request);
    assert_eq!(status, 200, "{text}");
    let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
}

fn main() {
    let seconds: u64 = std::env::var("HOOKS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    let service = Service::start();
    let limits = limit(&service);
    let begin = Instant::now();
    let (mut sent, memory) = std::thread::scope(|scope| {
        let service = &service;
        let senders: Vec<_> = (0..SENDERS).map(|who| scope.spawn(move || sender(service, who, seconds))).collect();
        let memory: Vec<u64> = (0..12)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(seconds * 1_000 / 12));
                service.memory()
            })
            .collect();
        let all = senders.into_iter().map(|sender| sender.join().unwrap());
        let all = all.reduce(|mut all, one| {
            all.good += one.good;
            all.forged += one.forged;
            all.took.extend(one.took);
            all
        });
        (all.unwrap(), memory)
    });
    let took = begin.elapsed().as_secs_f64();
    sent.took.sort_unstable();
    let posts = sent.good + sent.forged;
    println!("{posts} posts in {took:.1} s: {:.0}/s, {} of them forged", posts as f64 / took, sent.forged);
    for (name, share) in [("median", 500), ("99 of 100", 990), ("999 of 1,000", 999)] {
        let (figure, limit) = (at(&sent.took, share), at(&limits, share));
        println!(
            "an answer, {name:<12} {figure:>7} us | /healthz {limit:>6} us | {:.1}",
            f64::from(figure) / f64::from(limit)
        );
    }
    let mib = |kib: &u64| format!("{:.1}", *kib as f64 / 1_024.0);
    println!("memory of the service, MiB at each twelfth: {}", memory.iter().map(mib).collect::<Vec<_>>().join(" "));
    let incidents = counted(&service, "lifeboat_alerts_total", "word=\"opened\"");
    let begin = Instant::now();
    let ended = || service.runs().iter().filter(|run| run["summary"]["status"] == "succeeded").count() as u64;
    while ended() < incidents.min(100) && begin.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(200));
    }
    // A runbook has at most 100 automatic runs a day; for the others a person is called.
    let runs = service.runs().len() as u64;
    println!("{incidents} incidents, {runs} runs");
    assert_eq!(runs, incidents.min(100), "exactly one run an incident");
}
