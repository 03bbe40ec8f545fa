//! The demo's recovery, rehearsed by the clock of a service: it passes, then a byte of the vault turns, and it fails and says why. The
//! evidence of both verifies on another machine, nothing of either is left, and a service that is killed in the middle cleans up.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::background::Background;
use crate::bench::{Bench, Ran};
use crate::evidence::{Elsewhere, key};

const DATA: [&str; 4] = ["--data", "d/data", "--config", "d/lifeboat.kdl"];

struct Rehearsed {
    bench: Bench,
    service: Option<Background>,
}

impl Rehearsed {
    /// The demo's estate after its recovery, and a service that rehearses it every four seconds.
    fn new() -> Self {
        let bench = Bench::new();
        bench.run(&["demo", "--dir", "d", "--model-mib", "8"]).expect(0);
        let file = bench.path("d/runbooks/recover.kdl");
        let text = fs::read_to_string(&file).unwrap();
        let clock = "    on \"schedule\" name=\"rehearsal\" cron=\"*/4 * * * * *\" zone=\"UTC\" mode=\"drill\"\n";
        fs::write(&file, text.replace("    mode \"drill\" {", &format!("{clock}    mode \"drill\" {{"))).unwrap();
        let file = bench.path("d/lifeboat.kdl");
        let operator = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{operator}\nservice {{ listen \"127.0.0.1:0\"; runbooks \"runbooks\" }}\n")).unwrap();
        let mut rehearsed = Self { bench, service: None };
        rehearsed.serve();
        rehearsed
    }

    fn serve(&mut self) {
        fs::remove_file(self.bench.path("background.log")).ok();
        self.service = Some(self.bench.start(&[&DATA[..], &["serve"]].concat()));
        self.bench.wait_for("refused (GET");
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.bench.run(&[&DATA[..], args].concat())
    }

    /// The runs that the clock has started, newest first.
    fn drills(&self) -> Vec<Value> {
        let runs = self.run(&["runs", "--json"]).expect(0).json();
        runs.as_array().unwrap().iter().filter(|run| run["summary"]["mode"] == "drill").cloned().collect()
    }

    /// Waits for a drill in that state that is not one of these.
    fn drill(&self, status: &str, but: &[String]) -> String {
        let begin = Instant::now();
        loop {
            for run in self.drills() {
                let name = run["run"].as_str().unwrap().to_owned();
                if run["summary"]["status"] == status && !but.contains(&name) {
                    return name;
                }
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "no drill is {status}: {:#?}", self.drills());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn nothing_is_left(&self) {
        let left = fs::read_dir(self.bench.path("d/drill")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "a drill left something");
        self.run(&["ledger"]).expect(0).says("nothing of any run is left");
    }

    /// A file of the vault in which data is kept: the largest.
    fn pack(&self) -> PathBuf {
        let mut found: Vec<(u64, PathBuf)> = Vec::new();
        for folder in fs::read_dir(self.bench.path("d/remote-vault/data")).unwrap() {
            for file in fs::read_dir(folder.unwrap().path()).unwrap() {
                let file = file.unwrap();
                found.push((file.metadata().unwrap().len(), file.path()));
            }
        }
        found.into_iter().max().unwrap().1
    }
}

/// Turns one bit in the middle of a file, whatever may be written to it otherwise.
fn turn_a_bit(path: &std::path::Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_scheduled_drill_passes_and_fails_for_a_reason_and_its_evidence_verifies_elsewhere() {
    let mut rehearsed = Rehearsed::new();
    let passed = rehearsed.drill("succeeded", &[]);
    turn_a_bit(&rehearsed.pack());
    let failed = rehearsed.drill("failed", &[]);
    drop(rehearsed.service.take());
    rehearsed.run(&["resume"]);
    rehearsed.nothing_is_left();

    rehearsed.run(&["report", &passed]).expect(0).says("passed").says("0 of 2 left");
    let told = rehearsed.run(&["report", &failed]).expect(0);
    told.says("not passed: it failed at prove").says("its seal is broken").says("by schedule shop-recover/rehearsal");
    let drills = rehearsed.run(&["drills", "d/runbooks/recover.kdl"]).expect(0);
    drills.says(&passed).says(&failed).says("it failed at prove").says("its last drill did not pass");
    let page = |run: &str| rehearsed.run(&["report", run, "--format", "html"]).expect(0).out;
    assert!(page(&passed).contains("Drill passed") && page(&failed).contains("Drill failed"));

    let key = key(&rehearsed.bench, &DATA);
    for (run, status) in [(&passed, "succeeded"), (&failed, "failed")] {
        rehearsed.run(&["evidence", "export", run, "--out", &format!("{run}.evidence")]).expect(0);
        let elsewhere = Elsewhere::with(&rehearsed.bench.path(&format!("{run}.evidence")));
        let (code, answer) = elsewhere.verify(&key);
        assert_eq!((code, &answer["run"]["status"]), (0, &status.into()), "{answer:#}");
        let found = elsewhere.after(&key, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        assert!(!found.is_empty() && found.iter().all(|code| code.starts_with("LB112")), "{found:?}");
    }
}

#[test]
fn a_service_that_is_killed_in_the_middle_of_drills_leaves_nothing_of_them() {
    let mut rehearsed = Rehearsed::new();
    let mut known = Vec::new();
    for wait in [0, 120, 300] {
        // A drill that has just begun.
        let begin = Instant::now();
        while rehearsed.drills().iter().all(|run| known.contains(&run["run"])) {
            assert!(begin.elapsed() < Duration::from_secs(60), "no drill comes");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(wait));
        rehearsed.service.as_mut().unwrap().kill().unwrap();
        drop(rehearsed.service.take());
        known = rehearsed.drills().into_iter().map(|run| run["run"].clone()).collect();
        rehearsed.serve();
        for run in &known {
            let run = run.as_str().unwrap();
            let begin = Instant::now();
            while rehearsed.run(&["show", run, "--json"]).expect(0).json()["status"] != "succeeded" {
                assert!(begin.elapsed() < Duration::from_secs(60), "{run} never ends");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    drop(rehearsed.service.take());
    rehearsed.run(&["resume"]);
    rehearsed.nothing_is_left();
    assert!(known.len() >= 3, "{known:?}");
}
