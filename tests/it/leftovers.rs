//! What a drill left and could not remove: a service tells of it when its time is over, and removes it once that is possible.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::background::Background;
use crate::bench::Bench;
use crate::http::{get, sink};

const RECOVER: &str = r#"
    target "vault" plugin="fs" site="second" { root "@DIR@/vault"; password secret="vault-password" }
    target "back" plugin="fs" site="second" { root "@DIR@/estate/back" }
    mode "drill" { target "back" { root "@DIR@/drill/{{run.id}}/back" }; keep "3s" }
    verify "prove" snapshot="latest" from="vault" depth="data"
    restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back"
    approve "go" role="sre" after="rebuild"
"#;

struct Left {
    bench: Bench,
    operator: String,
    token: String,
}

impl Left {
    /// A vault with a snapshot, and a drill that made its copy and waits.
    fn new(pager: u16) -> Self {
        let bench = Bench::new();
        let more = format!(
            r#"
service {{ listen "127.0.0.1:0"; runbooks "books"; leftovers "1s" }}
notify "pager" {{ webhook "http://127.0.0.1:{pager}/"; on "drill-failed" }}
"#
        );
        let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap() + &more;
        bench.write("lifeboat.kdl", &operator);
        fs::create_dir(bench.path("books")).unwrap();
        let take = bench.runbook("protect", r#"snapshot "take" of="live" into="vault""#);
        bench.run(&["run", "-y", &take]).expect(0);
        let nodes = RECOVER.replace("@DIR@", &bench.dir.path().display().to_string());
        bench.write("books/recover.kdl", &format!("runbook \"recover\" {{\n{nodes}\n}}\n"));
        bench.run(&["drill", "books/recover.kdl"]).expect(3);
        let token = bench.run(&["token", "create", "vi", "--role", "viewer"]).expect(0).out.trim().to_owned();
        Self { bench, operator, token }
    }

    /// Whether drills may write into their folder, as the operator's file says from now on.
    fn may_write(&self, may: bool) {
        let grant = r#"; dir "drill" write=#true"#;
        assert!(self.operator.contains(grant));
        let text = if may { self.operator.clone() } else { self.operator.replace(grant, "") };
        self.bench.write("lifeboat.kdl", &text);
    }

    fn serve(&self) -> Background {
        fs::remove_file(self.bench.path("background.log")).ok();
        let served = self.bench.start(&["serve"]);
        self.bench.wait_for("refused (GET");
        served
    }

    /// How much is left of drills, and how much of that too long, as Prometheus sees it.
    fn counted(&self) -> (u64, u64) {
        let (_, text) = get(&self.bench, &self.token, "/metrics");
        let number = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        (number("lifeboat_leftovers"), number("lifeboat_leftovers_overdue"))
    }

    fn copies(&self) -> usize {
        fs::read_dir(self.bench.path("drill")).unwrap().count()
    }

    /// Events of the run that have this in a field.
    fn events(&self, run: &str, field: &str, value: &str) -> Vec<Value> {
        let text = self.bench.run(&["events", run]).expect(0).out;
        let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.filter(|event| event[field] == value).collect()
    }
}

fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_a_drill_left_is_told_and_removed_once_that_is_possible() {
    let (pager, seen) = sink();
    let left = Left::new(pager);
    let run = left.bench.newest();
    left.may_write(false);
    left.bench.run(&["cancel", &run]).expect(1).says("1 of 1 left");
    assert_eq!(left.copies(), 1);

    // It is tried again, fails again, and is told when its time is over: once.
    let mut served = left.serve();
    let told = |text: &str| seen.lock().unwrap().iter().filter(|note| note.to_string().contains(text)).count();
    wait("nobody was told", || told("is still there") > 0);
    let tries = || left.events(&run, "event", "cleanup-started");
    wait("it was not tried again", || tries().iter().any(|event| event["by"] == "the service"));
    wait("it never ended", || left.events(&run, "event", "run-finished").len() > 1);
    wait("it is not counted", || left.counted() == (1, 1));
    assert_eq!(left.copies(), 1);
    assert_eq!(told("is still there"), 1, "{seen:?}");
    assert_eq!(told(&format!("lifeboat cleanup {run}")), 1, "with the command: {seen:?}");
    served.kill().unwrap();
    served.wait().unwrap();

    // The operator's file is mended.
    left.may_write(true);
    let mut served = left.serve();
    wait("it was not removed", || left.copies() == 0);
    wait("it is not counted", || left.counted() == (0, 0));
    served.kill().unwrap();
    served.wait().unwrap();
    left.bench.run(&["ledger"]).expect(0).says("nothing of any run is left");
    let ended = left.events(&run, "event", "run-finished");
    assert!(ended.iter().all(|event| event["result"] == "cancelled"), "{ended:?}");
}

#[test]
fn what_a_person_took_over_stays_until_its_time_is_over() {
    let (pager, _) = sink();
    let left = Left::new(pager);
    let run = left.bench.newest();
    left.bench.run(&["abandon", &run]).expect(1).says("1 of 1 left");
    let made = left.events(&run, "event", "resources-intended")[0]["at"].as_u64().unwrap();
    let mut served = left.serve();
    wait("it was not removed", || left.copies() == 0);
    served.kill().unwrap();
    served.wait().unwrap();
    let tried = left.events(&run, "event", "cleanup-started")[0]["at"].as_u64().unwrap();
    assert!(tried > made + 3_000, "it was tried {} ms after it was made", tried - made);
}
