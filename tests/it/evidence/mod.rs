//! Evidence and reports of real runs, with the real binary: made here, verified on "another machine", looked at in a browser.

mod browser;
mod bundles;
mod reports;

use std::path::Path;
use std::process::Command;

use lifeboat_servers::{Tool, tool};
use serde_json::Value;

use crate::bench::Bench;

/// Another machine: an empty folder with nothing but a bundle, and no data folder anywhere.
pub struct Elsewhere {
    pub bench: Bench,
}

impl Elsewhere {
    pub fn with(bundle: &Path) -> Self {
        let elsewhere = Self { bench: Bench::bare() };
        std::fs::copy(bundle, elsewhere.bench.path("run.evidence")).unwrap();
        elsewhere
    }

    pub fn verify(&self, key: &str) -> (i32, Value) {
        let ran = self.bench.run(&["evidence", "verify", "run.evidence", "--key", key, "--json"]);
        (ran.code, ran.json())
    }

    /// Changes the bundle, and gives the codes of what is wrong then.
    pub fn after(&self, key: &str, change: impl Fn(&mut Vec<u8>)) -> Vec<String> {
        let path = self.bench.path("run.evidence");
        let good = std::fs::read(&path).unwrap();
        let mut bytes = good.clone();
        change(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let (code, answer) = self.verify(key);
        assert_eq!(code, 1, "{answer:#}");
        assert_eq!(answer["good"], false);
        std::fs::write(&path, &good).unwrap();
        answer["faults"].as_array().unwrap().iter().map(|fault| fault["code"].as_str().unwrap().to_owned()).collect()
    }
}

/// A run that asks ada, fails once for good, and is mended by hand with a file that shows it.
pub fn troubled(bench: &Bench) -> String {
    let steps = r#"approve "go" role="incident-commander" quorum=1
    snapshot "take" of="live" into="vault" after="go"
    verify "prove" snapshot="{{steps.take.snapshot}}" from="vault"
    restore "rebuild" snapshot="{{steps.prove.snapshot}}" from="vault" into="back"
    validate "smoke" target="back" after="rebuild" { expect "file" path="never" }"#;
    let file = bench.runbook("troubled", steps);
    bench.run(&["run", "-y", &file, "--as", "grace", "-r", "a <b>rehearsal</b>"]).expect(3);
    let run = bench.newest();
    bench.run(&["approve", &run, "go", "--as", "ada", "-r", "looks good | really"]).expect(1);
    bench.write("seen.txt", "it is there\n");
    bench
        .run(&[
            "mark-done",
            &run,
            "smoke",
            "--as",
            "ada",
            "-r",
            "looked by hand",
            "--outputs",
            OUTPUTS,
            "--evidence",
            "seen.txt",
        ])
        .expect(0);
    run
}

const OUTPUTS: &str = r#"{"checked": 1}"#;

/// The engine's public key.
pub fn key(bench: &Bench, data: &[&str]) -> String {
    bench.run(&[data, &["evidence", "key"]].concat()).expect(0).out.trim().to_owned()
}

/// The independent verifier: its exit status, and what it says.
pub fn independent(bundle: &Path, key: &str) -> (bool, String) {
    let python = tool(Tool::Evidence).unwrap();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/it/evidence/verify.py");
    let output = Command::new(python).args([program.as_ref(), bundle.as_os_str()]).arg(key).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
