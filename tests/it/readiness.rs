//! Readiness as a service knows it: looked at by itself, told once, and the same as on the command line.

use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::background::Background;
use crate::bench::Bench;
use crate::http::{self, sink};

const RECOVER: &str = r#"modes "failover"
    input "reason" type="string" required=#true
    verify "prove" snapshot="latest" from="vault" depth="index"
    restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back" { after "prove" }
    notify "tell" to="pager" message="{{inputs.reason}}" { after "rebuild" }"#;
const PROTECT: &str = r#"modes "failover"
    snapshot "take" of="live" into="vault"
    verify "prove" snapshot="{{steps.take.snapshot}}" depth="index""#;

struct Served {
    bench: Bench,
    child: Background,
    token: String,
}

impl Served {
    /// A vault with two snapshots, and a service that looks each second.
    fn new(pager: u16) -> Self {
        let bench = Bench::new();
        let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
        let more = format!(
            r#"
service {{
    listen "127.0.0.1:0"
    runbooks "books"
    readiness every="1s" {{ input "reason" "a look" }}
}}
notify "pager" {{
    webhook "http://127.0.0.1:{pager}/"
    on "not-ready"
}}
"#
        );
        bench.write("lifeboat.kdl", &format!("{operator}{more}"));
        fs::create_dir(bench.path("books")).unwrap();
        for (name, steps) in [("recover", RECOVER), ("protect", PROTECT)] {
            let file = bench.runbook(name, steps);
            fs::rename(bench.path(&file), bench.path("books").join(&file)).unwrap();
        }
        bench.run(&["run", "-y", "books/protect.kdl"]).expect(0);
        bench.write("estate/live/files/new.txt", "more\n");
        bench.run(&["run", "-y", "books/protect.kdl"]).expect(0);
        let made = bench.run(&["token", "create", "vi", "--role", "viewer"]).expect(0);
        let child = bench.start(&["serve"]);
        let served = Self { bench, child, token: made.out.trim().to_owned() };
        served.bench.wait_for("refused (GET");
        served
    }

    fn get(&self, path: &str) -> (u16, String) {
        http::get(&self.bench, &self.token, path)
    }

    fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path);
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until the service has found the runbook ready, or not, and gives what it found.
    fn found(&self, runbook: &str, ready: bool) -> Value {
        let start = Instant::now();
        loop {
            let list = self.json(&format!("/v1/readiness?runbook={runbook}"));
            if let Some(look) = list["readiness"].as_array().unwrap().iter().find(|look| look["ready"] == ready) {
                return look.clone();
            }
            assert!(start.elapsed() < Duration::from_secs(40), "{runbook} is not {ready}: {list:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the command line says, without the times in it.
    fn says(&self, args: &[&str], code: i32) -> String {
        let ran = self.bench.run(args).expect(code);
        let mut out = String::new();
        for line in ran.out.lines() {
            let timed = ["old", "ago", "are free for"].iter().any(|word| line.contains(word));
            let line: String = line.chars().filter(|c| !timed || c.is_alphabetic() || *c == ' ').collect();
            // A unit may change between two looks.
            out.push_str(&line.replace(" ms ", " s ").replace(" m s ", " s "));
            out.push('\n');
        }
        out
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// How many messages are about the runbook.
fn about(seen: &[Value]) -> usize {
    seen.iter().filter(|one| one["runbook"] == "recover").count()
}

/// Waits for the message, and for several looks after the first one: it is still one message.
fn told_once(served: &Served, seen: &Arc<Mutex<Vec<Value>>>, first: u64) {
    let start = Instant::now();
    while about(&seen.lock().unwrap()) == 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "nobody is told");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Several looks later it is still one message.
    while served.found("recover", false)["at_ms"].as_u64().unwrap() < first + 3_000 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let all = seen.lock().unwrap().clone();
    assert_eq!(about(&all), 1, "{all:#?}");
    let one = all.iter().find(|one| one["runbook"] == "recover").unwrap();
    assert_eq!((&one["about"], &one["severity"]), (&Value::from("not-ready"), &Value::from("warning")));
    assert!(one["title"].as_str().unwrap().starts_with("recover is not ready in mode failover: "), "{one}");
    assert!(!one["text"].as_str().unwrap().is_empty(), "{one}");
}

/// What is in the vault: the same over the API, on the command line, and by stock restic.
fn same_snapshots(served: &Served) {
    let snapshots = served.json("/v1/snapshots?runbook=protect&vault=vault&mode=failover");
    let mut told: Vec<Value> = snapshots["snapshots"].as_array().unwrap().clone();
    told.reverse();
    let printed =
        served.bench.run(&["snapshots", "vault", "--runbook", "books/protect.kdl", "--json"]).expect(0).json();
    assert_eq!(printed, Value::from(told.clone()));
    let mut restic = Command::new("restic");
    restic.args(["snapshots", "--json", "--no-lock", "--no-cache", "-r"]).arg(served.bench.path("vault"));
    let output = restic
        .env("RESTIC_PASSWORD", "correct horse")
        .output()
        .expect("stock restic is needed: apt-get install restic");
    let theirs: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let ids = |all: &[Value]| all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!((ids(&told), told.len()), (ids(&theirs), 2));
    assert_eq!(served.get("/v1/snapshots?runbook=protect&vault=live").0, 400);
}

#[test]
fn a_vault_that_is_gone_is_noticed_and_told_once() {
    let (pager, seen) = sink();
    let mut served = Served::new(pager);
    let ready = served.found("recover", true);
    assert_eq!((&ready["mode"], &ready["problems"]), (&Value::from("failover"), &Value::from(0)));
    let rows = ready["rows"].to_string();
    assert!(rows.contains("its newest snapshot was verified") && rows.contains("it can be read"), "{rows}");
    assert!(!rows.contains("correct horse"), "{rows}");
    served.found("protect", true);

    same_snapshots(&served);

    // The same words with the service and without it.
    let ask = ["readiness", "books/recover.kdl", "-i", "reason=a look"];
    let lost = ["readiness", "books/recover.kdl", "-i", "reason=a look", "--site-lost", "second"];
    let with = (served.says(&ask, 0), served.says(&lost, 1));
    assert!(with.0.contains("recover in mode failover: ready"), "{}", with.0);
    assert!(with.1.contains("LB1156") && with.1.contains("with site 'second' lost: not ready"), "{}", with.1);
    served
        .bench
        .run(&["readiness", "books/recover.kdl", "-i", "reason=x", "--site-lost", "moon"])
        .expect(2)
        .says("LB1155");
    served.bench.run(&["readiness", "books/recover.kdl"]).expect(2);
    // A runbook that the service does not know is looked at from here, with what earlier runs of the held folder say.
    let other = served.bench.runbook("other", RECOVER);
    served.bench.run(&["readiness", &other, "-i", "reason=x"]).expect(0).says("its newest snapshot was verified");

    fs::rename(served.bench.path("vault"), served.bench.path("gone")).unwrap();
    let gone = served.found("recover", false);
    assert!(gone["problems"].as_u64().unwrap() >= 1, "{gone}");
    let (_, metrics) = served.get("/metrics");
    assert!(metrics.contains("lifeboat_runbook_ready{runbook=\"recover\",mode=\"failover\"} 0"), "{metrics}");
    told_once(&served, &seen, gone["at_ms"].as_u64().unwrap());
    let (status, refused) = served.get("/v1/snapshots?runbook=protect&vault=vault");
    assert_eq!(status, 502, "{refused}");
    let bad = served.says(&ask, 1);

    // A restart knows it, and tells nobody again; without the service the words are the same.
    served.stop();
    assert_eq!(served.says(&ask, 1), bad);
    served.child = served.bench.start(&["serve"]);
    served.bench.wait_for("refused (GET");
    assert_eq!(served.found("recover", false)["since_ms"], gone["since_ms"]);
    fs::rename(served.bench.path("gone"), served.bench.path("vault")).unwrap();
    served.found("recover", true);
    assert_eq!(about(&seen.lock().unwrap()), 1);
    served.stop();
    assert_eq!((served.says(&ask, 0), served.says(&lost, 1)), with);
}
