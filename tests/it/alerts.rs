//! The example of `examples/service`, with the real binary: drills by the clock, an alert, an approval over the API, and `kill -9` in
//! between. Each run is told once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::background::Background;
use crate::bench::Bench;

struct Served {
    bench: Bench,
    child: Option<Background>,
}

/// Copies the example, with its folders and times those of a test.
fn example(bench: &Bench) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/service");
    fs::create_dir_all(bench.path("runbooks")).unwrap();
    let srv = bench.path("srv");
    for folder in ["live", "vault", "second", "drill"] {
        fs::create_dir_all(srv.join(folder)).unwrap();
    }
    fs::write(srv.join("live/orders.txt"), "one order\n").unwrap();
    for name in ["lifeboat.kdl", "alert.json", "runbooks/backup.kdl", "runbooks/orders.kdl"] {
        let text = fs::read_to_string(root.join(name)).unwrap();
        let text = text.replace("/srv/orders", srv.to_str().unwrap()).replace("127.0.0.1:7421", "127.0.0.1:0");
        assert!(name != "runbooks/orders.kdl" || text.contains("cron=\"0 * * * * *\""));
        bench.write(name, &text.replace("cron=\"0 * * * * *\"", "cron=\"*/3 * * * * *\""));
    }
}

impl Served {
    fn start(&mut self) {
        fs::remove_file(self.bench.path("background.log")).ok();
        self.child = Some(self.bench.start(&["serve"]));
        self.bench.wait_for("refused (GET");
    }

    fn kill(&mut self) {
        drop(self.child.take());
    }

    fn call(&self, method: &str, path: &str, token: &str, body: &str) -> Option<(u16, Value)> {
        let log = fs::read_to_string(self.bench.path("background.log")).unwrap();
        let address = log.split("http://").nth(1)?.split([';', '\u{1b}']).next()?.to_owned();
        let mut stream = TcpStream::connect(address).ok()?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).unwrap_or(Value::Null)))
    }

    fn token(&self, args: &[&str]) -> String {
        let all: Vec<&str> = ["token", "create"].iter().chain(args).copied().collect();
        self.bench.run(&all).expect(0).out.trim().to_owned()
    }

    fn runs(&self) -> Vec<Value> {
        self.bench.run(&["runs", "--json"]).expect(0).json().as_array().unwrap().clone()
    }

    /// The one failover of the orders, once it is in that state.
    fn failover(&self, status: &str) -> String {
        self.until(&format!("a failover that is {status}"), || {
            let found = self.runs();
            let mine = found
                .iter()
                .filter(|run| run["summary"]["mode"] == "failover" && run["summary"]["runbook"] == "orders");
            let mine: Vec<&Value> = mine.collect();
            assert!(mine.len() <= 1, "one incident, one run: {mine:?}");
            mine.iter().any(|run| run["summary"]["status"] == status)
        });
        let found = self.runs();
        let one =
            found.iter().find(|run| run["summary"]["mode"] == "failover" && run["summary"]["runbook"] == "orders");
        one.unwrap()["run"].as_str().unwrap().to_owned()
    }

    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let begin = Instant::now();
        while !holds() {
            let log = fs::read_to_string(self.bench.path("background.log")).unwrap_or_default();
            assert!(begin.elapsed() < Duration::from_secs(60), "{what} never comes\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn drills(&self) -> usize {
        let good = |run: &&Value| run["summary"]["mode"] == "drill" && run["summary"]["status"] == "succeeded";
        self.runs().iter().filter(good).count()
    }
}

#[test]
fn the_example_tells_each_run_once_over_kills() {
    let bench = Bench::new();
    example(&bench);
    bench.run(&["check", "runbooks", "lifeboat.kdl"]).expect(0);
    bench.run(&["run", "-y", "runbooks/backup.kdl"]).expect(0);
    let mut served = Served { bench, child: None };
    served.start();
    let sender = served.token(&["alertmanager", "--role", "sender", "--failover"]);
    let ada = served.token(&["ada", "--role", "approver", "--failover"]);
    served.until("the first drill", || served.drills() >= 1);
    let alert = fs::read_to_string(served.bench.path("alert.json")).unwrap();
    let hook = "/v1/hooks/alertmanager";
    let (status, said) = served.call("POST", hook, &sender, &alert).unwrap();
    assert_eq!(status, 200, "{said}");
    let words: Vec<&str> = said["verdicts"].as_array().unwrap().iter().map(|v| v["word"].as_str().unwrap()).collect();
    assert_eq!(words, ["opened", "started"]);
    // At once: whether the run was made already nobody knows.
    served.kill();
    served.start();
    let (status, said) = served.call("POST", hook, &sender, &alert).unwrap();
    assert_eq!((status, &said["verdicts"][0]["word"]), (200, &json!("repeated")));
    let run = served.failover("waiting");
    let view = served.call("GET", &format!("/v1/runs/{run}"), &ada, "").unwrap().1;
    assert_eq!((&view["started_by"], &view["asking"]), (&json!("lifeboat alerts"), &json!(["go"])));
    let yes = json!({ "fingerprint": view["fingerprint"], "reason": "the east is gone" }).to_string();
    let (status, said) = served.call("POST", &format!("/v1/runs/{run}/steps/go/approve"), &ada, &yes).unwrap();
    assert_eq!(status, 200, "{said}");
    served.kill();
    std::thread::sleep(Duration::from_secs(1));
    served.start();
    assert_eq!(served.failover("succeeded"), run);
    assert_eq!(fs::read_to_string(served.bench.path("srv/second/current/orders.txt")).unwrap(), "one order\n");
    let before = served.drills();
    served.until("two more drills", || served.drills() >= before + 2);
    let resolved = alert.replace("\"firing\"", "\"resolved\"").replace("0001-01-01T00:00:00Z", "2026-11-21T02:58:19Z");
    assert_eq!(served.call("POST", hook, &sender, &resolved).unwrap().0, 200);
    told_once(&served);
    // What is told through the service and from the folder is the same.
    let through = served.bench.run(&["alerts", "--json"]).expect(0).json();
    let words: Vec<&str> = through.as_array().unwrap().iter().map(|one| one["word"].as_str().unwrap()).collect();
    assert!(
        words.starts_with(&["opened", "started", "repeated"]) && words.ends_with(&["attached", "closed"]),
        "{words:?}"
    );
    served.bench.run(&["alerts"]).expect(0).says("its run starts").says(&run);
    served.bench.run(&["alerts", "--open"]).expect(0).says("no incident is open");
    served.bench.run(&["schedule", "ls"]).expect(0).says("orders/rehearsal").says("run r-");
    served.bench.run(&["schedule", "next", "-n", "3"]).expect(0).says("orders/rehearsal");
    served.kill();
    let folder = served.bench.run(&["alerts", "--json"]).expect(0).json();
    assert_eq!(folder, through);
    served.bench.run(&["schedule", "ls"]).expect(0).says("orders/rehearsal");
}

/// Each due time is one decision, each run is of one due time, and each step of each run was carried out once.
fn told_once(served: &Served) {
    let shown = served.bench.run(&["schedule", "ls", "--json"]).expect(0).json();
    let decided = shown[0]["decided"].as_array().unwrap().clone();
    let mut due = BTreeSet::new();
    let mut made = BTreeMap::new();
    for one in decided.iter().filter(|one| one["decision"] == "fire") {
        assert!(due.insert(one["due_ms"].as_u64().unwrap()), "a due time twice: {decided:?}");
        if let Some(run) = one["made"].as_str() {
            assert!(made.insert(run.to_owned(), one["due_ms"].clone()).is_none(), "a run twice: {decided:?}");
        }
    }
    let all = served.runs();
    let drills: Vec<&Value> = all.iter().filter(|run| run["summary"]["mode"] == "drill").collect();
    let names: BTreeSet<&str> = drills.iter().map(|run| run["run"].as_str().unwrap()).collect();
    assert!(made.keys().all(|run| names.contains(run.as_str())), "{names:?}, {decided:?}");
    // The last one may have been made since; and of what was decided long ago nothing is kept here.
    assert!(drills.len() <= made.len() + 1 || decided.len() >= 40, "{} drills, {decided:?}", drills.len());
    for run in &all {
        let name = run["run"].as_str().unwrap();
        if run["summary"]["status"] != "succeeded" {
            continue;
        }
        let text = served.bench.run(&["events", name]).expect(0).out;
        let done = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut steps = BTreeMap::new();
        // What a drill made is removed by attempts of the same steps.
        let forward = done.filter(|event| event["direction"] != "cleanup");
        for event in forward.filter(|event| event["event"] == "attempt-finished" && event["outcome"] == "done") {
            *steps.entry(event["step"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
        assert!(steps.values().all(|count| *count == 1), "{name}: {steps:?}");
    }
}

const VERIFIED: &str = r#"runbook "recover" {
    description "as it was"
    modes "failover" "drill"
    objectives rto="15m" rpo="1d"
    verification every="7d"
    target "vault" plugin="fs" site="second" { root "@DIR@/vault"; password secret="vault-password" }
    target "back" plugin="fs" site="second" { root "@DIR@/estate/back" }
    mode "drill" { target "back" { root "@DIR@/drill/{{run.id}}/back" } }
    on "alert" source="am" mode="failover" { match "severity" "critical"; budget 9 within="1d" }
    verify "prove" snapshot="latest" from="vault" depth="data"
    restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back"
    validate "smoke" target="back" after="rebuild" { expect "count" min=40 }
}
"#;

/// An alert of a group that nobody heard of before.
fn alert(group: &str) -> String {
    let alert = json!({
        "status": "firing", "labels": { "alertname": group, "severity": "critical" }, "annotations": {},
        "startsAt": "2026-11-21T01:58:19.25Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": group,
    });
    json!({ "version": "4", "status": "firing", "groupKey": group, "alerts": [alert] }).to_string()
}

#[test]
fn alerts_start_it_only_while_its_drills_say_that_it_works() {
    let bench = Bench::new();
    let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    let more = "service { listen \"127.0.0.1:0\"; runbooks \"books\" }\nhook \"am\" kind=\"alertmanager\"\n\
                automatic \"recover\" verified=#true\n";
    bench.write("lifeboat.kdl", &format!("{operator}{more}"));
    fs::create_dir(bench.path("books")).unwrap();
    let text = VERIFIED.replace("@DIR@", &bench.dir.path().display().to_string());
    bench.write("books/recover.kdl", &text);
    let take = bench.runbook("protect", r#"snapshot "take" of="live" into="vault""#);
    bench.run(&["run", "-y", &take]).expect(0);
    let mut served = Served { bench, child: None };
    served.start();
    let sender = served.token(&["alertmanager", "--role", "sender", "--failover"]);
    let fire = |group: &str| {
        let (status, said) = served.call("POST", "/v1/hooks/am", &sender, &alert(group)).unwrap();
        assert_eq!(status, 200, "{said}");
    };
    let refused = |count: usize| {
        let what = format!("{count} starts that are refused");
        served.until(&what, || served.bench.run(&["alerts"]).expect(0).out.matches("LB1153").count() == count);
    };
    let failovers = || {
        let runs = served.runs();
        let mine = runs.iter().filter(|run| run["summary"]["runbook"] == "recover");
        mine.filter(|run| run["summary"]["mode"] == "failover").count()
    };
    fire("before any drill");
    refused(1);
    served.bench.run(&["drill", "books/recover.kdl"]).expect(0);
    fire("verified");
    served.until("a failover that succeeded", || {
        served.runs().iter().any(|run| {
            run["summary"]["mode"] == "failover"
                && run["summary"]["status"] == "succeeded"
                && run["summary"]["runbook"] == "recover"
        })
    });
    assert_eq!(failovers(), 1);
    // What runs now is not what was rehearsed.
    served.bench.write("books/recover.kdl", &text.replace("as it was", "as it is"));
    let viewer = served.token(&["vi", "--role", "viewer"]);
    served.until("the runbook as it is", || {
        let list = served.call("GET", "/v1/runbooks", &viewer, "").unwrap().1;
        list["runbooks"].as_array().unwrap().iter().any(|view| view["description"] == "as it is")
    });
    fire("changed");
    refused(2);
    assert_eq!(failovers(), 1);
}
