//! A real Prometheus and a real Alertmanager: a rule fires, a run starts; what was down is up again, and the run is aborted in order.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lifeboat_servers::{Kind, Server, get};
use serde_json::Value;

use crate::bench::Bench;

const ORDERS: &str = r##"snapshot "take" of="live" into="vault"
    verify "prove" snapshot="{{steps.take.snapshot}}" depth="index"
    restore "bring-back" snapshot="{{steps.prove.snapshot}}" into="back"
    approve "go" role="incident-commander" after="bring-back"
    wait "serve" "50ms" { after "go" }
    on "alert" source="alertmanager" mode="failover" hold="1s" { match #"alertname="RegionDown", severity="critical""# }"##;

/// Something that is watched: it answers while it is up.
struct Region {
    up: Arc<AtomicBool>,
    port: u16,
}

impl Region {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (up, port) = (Arc::new(AtomicBool::new(true)), listener.local_addr().unwrap().port());
        let is_up = Arc::clone(&up);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut head = [0; 2_048];
                // What was asked does not matter.
                let _ = stream.read(&mut head);
                if is_up.load(Ordering::SeqCst) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 9\r\nconnection: close\r\n\r\nregion 1\n");
                }
            }
        });
        Self { up, port }
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(90), "{what}: it never comes");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn port(server: &Server) -> u16 {
    server.access().endpoint.rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn a_rule_fires_and_a_run_starts_and_ends_when_all_is_well_again() {
    let bench = Bench::new();
    let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    let more = "service { listen \"127.0.0.1:0\"; runbooks \"books\" }\nhook \"alertmanager\" kind=\"alertmanager\"\n";
    bench.write("lifeboat.kdl", &format!("{operator}{more}"));
    fs::create_dir(bench.path("books")).unwrap();
    let file = bench.runbook("orders", ORDERS);
    bench.run(&["check", &file]).expect(0);
    fs::rename(bench.path(&file), bench.path("books").join(&file)).unwrap();
    let _service = bench.start(&["serve"]);
    bench.wait_for("refused (GET");
    let log = fs::read_to_string(bench.path("background.log")).unwrap();
    let address = log.split("http://").nth(1).unwrap().split([';', '\u{1b}']).next().unwrap().to_owned();
    TcpStream::connect(&address).unwrap();
    let token = bench.run(&["token", "create", "am", "--role", "sender", "--failover"]).expect(0).out;

    let region = Region::new();
    let sends = bench.path("sends");
    fs::create_dir_all(&sends).unwrap();
    fs::write(
        sends.join("alertmanager.yml"),
        format!(
            "route: {{ receiver: dr, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h }}\n\
             receivers:\n- name: dr\n  webhook_configs:\n  - url: http://{address}/v1/hooks/alertmanager\n    send_resolved: true\n\
             \x20   http_config: {{ authorization: {{ type: Bearer, credentials: {} }} }}\n",
            token.trim()
        ),
    )
    .unwrap();
    let sends = Server::start(Kind::Alertmanager, &sends).unwrap();
    let watches = bench.path("watches");
    fs::create_dir_all(&watches).unwrap();
    fs::write(
        watches.join("prometheus.yml"),
        format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 500ms, evaluation_interval: 1s }}\nrule_files: [ rules.yml ]\n\
             alerting: {{ alertmanagers: [ {{ static_configs: [ {{ targets: [\"127.0.0.1:{}\"] }} ] }} ] }}\n\
             scrape_configs:\n- job_name: region\n  metrics_path: /\n  static_configs:\n  - {{ targets: [\"127.0.0.1:{}\"], labels: {{ region: east }} }}\n",
            port(&sends),
            region.port
        ),
    )
    .unwrap();
    fs::write(
        watches.join("rules.yml"),
        "groups:\n- name: dr\n  interval: 1s\n  rules:\n  - alert: RegionDown\n    expr: up{job=\"region\"} == 0\n    for: 2s\n    labels: { severity: critical }\n",
    )
    .unwrap();
    let watches = Server::start(Kind::Prometheus, &watches).unwrap();
    // What fires before it knows its Alertmanager is lost for a while.
    until("Prometheus knows its Alertmanager", || {
        get(port(&watches), "/api/v1/alertmanagers").is_some_and(|(_, told)| told.contains("/api/v2/alerts"))
    });
    region.up.store(false, Ordering::SeqCst);
    let runs = || bench.run(&["runs", "--json"]).expect(0).json().as_array().unwrap().clone();
    let is = |status: &str| runs().iter().any(|run: &Value| run["summary"]["status"] == status);
    until("the run waits for a person", || is("waiting"));
    bench.run(&["alerts", "--open"]).expect(0).says("running").says("orders");
    assert!(bench.path("estate/back/files").exists(), "it has brought back what is asked about");
    region.up.store(true, Ordering::SeqCst);
    until("the run is aborted", || is("cancelled"));
    until("the incident is over", || bench.run(&["alerts", "--open"]).err.contains("no incident is open"));
    assert_eq!(runs().len(), 1);
    let events: Vec<String> = bench.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    for event in ["run-paused", "cancel-requested", "unwind-started", "run-finished"] {
        assert!(events.iter().any(|found| found == event), "{event} is not in {events:?}");
    }
    all_is_recorded(&bench);
}

/// What was decided is told, each with its word.
fn all_is_recorded(bench: &Bench) {
    let told = bench.run(&["alerts", "--json"]).expect(0).json();
    let words: Vec<&str> = told.as_array().unwrap().iter().map(|one| one["word"].as_str().unwrap()).collect();
    for word in ["opened", "held", "started", "aborted", "closed"] {
        assert!(words.contains(&word), "{word} is not in {words:?}");
    }
}
