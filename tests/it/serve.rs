//! The service as a person has it: the real binary serves, other commands go through it, and it is killed in between.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::background::Background;
use crate::bench::{Bench, attempts};

const ASKS: &str = r#"snapshot "take" of="live" into="vault"
    approve "go" role="incident-commander" after="take"
    wait "breathe" "50ms" { after "go" }"#;
const LONG: &str = r#"snapshot "take" of="live" into="vault"
    wait "long" "3s" { after "take" }
    verify "prove" snapshot="{{steps.take.snapshot}}" depth="index" after="long""#;

/// A bench with a service that knows these two runbooks.
struct Served {
    bench: Bench,
    child: Background,
}

fn start(bench: &Bench) -> Background {
    fs::remove_file(bench.path("background.log")).ok();
    let child = bench.start(&["serve"]);
    bench.wait_for("refused (GET");
    child
}

impl Served {
    fn new(more: &str) -> Self {
        let bench = Bench::new();
        let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
        let service = format!("service {{ listen \"127.0.0.1:0\"; runbooks \"books\"; {more} }}\n");
        bench.write("lifeboat.kdl", &format!("{operator}{service}"));
        fs::create_dir(bench.path("books")).unwrap();
        for (name, steps) in [("asks", ASKS), ("long", LONG)] {
            let file = bench.runbook(name, steps);
            fs::rename(bench.path(&file), bench.path("books").join(&file)).unwrap();
        }
        bench.write("books/bad.kdl", "runbook \"bad\" {\n");
        let child = start(&bench);
        Self { bench, child }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn get(&self, path: &str, token: &str) -> (u16, Value) {
        let log = fs::read_to_string(self.bench.path("background.log")).unwrap();
        let address = log.split("http://").nth(1).unwrap().split([';', '\u{1b}']).next().unwrap().to_owned();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

#[test]
fn commands_go_through_the_service_that_has_the_data_folder() {
    let mut served = Served::new("sole-approver #true");
    let bench = &served.bench;
    bench.run(&["run", "-y", "books/asks.kdl"]).expect(3).says("asks for").says("the service carries it out");
    let run = bench.newest();
    bench.run(&["approve", &run, "go", "--as", "somebody"]).expect(2).says("LB1067");
    bench.run(&["approve", &run, "go", "--fingerprint", "blake3:other"]).expect(2).says("LB0506");
    bench.run(&["pause", &run]).expect(3);
    bench.run(&["unpause", &run]).expect(3);
    bench.run(&["approve", &run, "go", "-r", "primary is gone"]).expect(0).says("succeeded");
    bench.run(&["approve", &run, "go"]).expect(2).says("LB0502");
    let events = bench.events();
    assert_eq!(attempts(&events, "take"), 1);
    let yes: Vec<&Value> = events.iter().filter(|event| event["event"] == "approved").collect();
    assert_eq!((yes.len(), &yes[0]["by"]), (1, &events[0]["by"]), "the name is the one that the system vouches for");

    let other = bench.runbook("other", ASKS);
    bench.run(&["run", "-y", &other]).expect(2).says("LB0601").says("does not know");
    bench.run(&["resume"]).expect(0).says("took up all runs");

    let token = bench.run(&["token", "create", "ada", "--role", "viewer"]).expect(0).says("not shown again").out;
    let token = token.trim();
    assert_eq!(served.get("/v1/me", token).1["name"], "ada");
    let books = served.get("/v1/runbooks", token).1;
    let good: Vec<&str> = books["runbooks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|book| book["good"] == true)
        .map(|book| book["name"].as_str().unwrap())
        .collect();
    assert_eq!(good, ["asks", "long"]);
    let plugins = served.get("/v1/plugins", token).1;
    assert!(plugins["plugins"].as_array().unwrap().iter().any(|plugin| plugin["description"]["name"] == "fs"));
    let id = served.get("/v1/me", token).1["known_by"].as_str().unwrap().replace("token ", "");
    bench.run(&["token", "ls"]).expect(0).says("ada").says(&id);
    bench.run(&["token", "revoke", &id]).expect(0);
    assert_eq!(served.get("/v1/me", token).0, 401);
    served.kill();
    // Without the service, the same commands take the folder themselves.
    let bench = &served.bench;
    bench.run(&["token", "ls"]).expect(0).says("revoked");
    bench.run(&["resume"]).expect(0).says("every run has ended");
}

#[test]
fn a_killed_service_goes_on_where_it_was_and_a_stopped_one_hands_back() {
    let mut served = Served::new("");
    let mut watching = served.bench.command(&["run", "-y", "books/long.kdl"]);
    let mut watching =
        Background::spawn(watching.stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null()));
    let begin = Instant::now();
    while !served.bench.run(&["events", "r-"]).out.contains("wait-started") {
        assert!(begin.elapsed() < Duration::from_secs(30), "the run never waits");
        std::thread::sleep(Duration::from_millis(50));
    }
    served.kill();
    assert_eq!(watching.wait().unwrap().code(), Some(4), "who watched is told that the service went away");
    served.child = start(&served.bench);
    served.bench.wait_for("1 run taken up again");
    let begin = Instant::now();
    while !served.bench.run(&["runs"]).out.contains("succeeded") {
        assert!(begin.elapsed() < Duration::from_secs(30), "the run never ends");
        std::thread::sleep(Duration::from_millis(50));
    }
    let events = served.bench.events();
    assert_eq!((attempts(&events, "take"), attempts(&events, "prove")), (1, 1), "each step once");

    rustix::process::kill_process(rustix::process::Pid::from_child(&served.child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    served.bench.wait_for("stopped; nothing is lost");
    assert!(!served.bench.path(".lifeboat/service.sock").exists());
}

#[test]
fn a_service_that_would_be_open_to_all_does_not_start() {
    let bench = Bench::new();
    bench.run(&["serve", "--listen", "0.0.0.0:0"]).expect(2).says("LB1050").says("plain #true");
    bench.write("lifeboat.kdl", "service { listen \"0.0.0.0:7421\" }\n");
    bench.run(&["serve"]).expect(2).says("LB1050");
    bench.write("lifeboat.kdl", "service { tls cert=\"none.pem\" key=\"none.pem\" }\n");
    bench.run(&["serve", "--listen", "127.0.0.1:0"]).expect(2).says("LB1051");
}

/// A saved plan goes through the service, too: where the service makes another plan of the runbook by now, it refuses.
#[test]
fn a_saved_plan_goes_through_the_service_or_is_refused() {
    let served = Served::new("");
    let bench = &served.bench;
    bench.run(&["plan", "books/long.kdl", "--save", "long.plan"]).expect(0);
    bench.run(&["run", "-y", "--plan", "long.plan"]).expect(0).says("the service carries it out").says("succeeded");
    let saved: Value = serde_json::from_str(&fs::read_to_string(bench.path("long.plan")).unwrap()).unwrap();
    assert_eq!(bench.events()[0]["fingerprint"], saved["fingerprint"]);
    let text = fs::read_to_string(bench.path("books/long.kdl")).unwrap();
    bench.write("books/long.kdl", &text.replace("3s", "4s"));
    bench.run(&["run", "-y", "--plan", "long.plan"]).expect(2).says("LB1057");
}
