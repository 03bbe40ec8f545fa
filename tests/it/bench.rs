//! A folder of its own with a small estate, and the binary run in an environment that holds nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::background::Background;

/// A test's own world.
pub struct Bench {
    pub dir: tempfile::TempDir,
}

/// What a command came to.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same, after a look at the exit status.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|cause| panic!("{cause}\n{}\n{}", self.out, self.err))
    }

    /// Requires a text in either stream.
    pub fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "no '{text}' in\n{}\n{}", self.out, self.err);
        self
    }
}

/// The operator file of every bench: the folders below it, and a password.
const OPERATOR: &str = r#"
secret "vault-password" file="password"
grant "fs" { dir "estate" write=#true; dir "vault" write=#true }
drill { grant "fs" { dir "vault" write=#true; dir "drill" write=#true } }
"#;

impl Bench {
    pub fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["estate/live/db", "estate/live/files", "estate/back", "vault", "drill"] {
            fs::create_dir_all(bench.path(folder)).unwrap();
        }
        bench.write("password", "correct horse\n");
        bench.write("lifeboat.kdl", OPERATOR);
        for number in 0..40 {
            bench.write(&format!("estate/live/files/{number}.txt"), &format!("file {number}\n").repeat(number + 1));
        }
        bench.write("estate/live/db/empty.dat", "");
        bench
    }

    /// A folder with nothing in it: another machine.
    pub fn bare() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A runbook with targets `live`, `vault` and `back`, and these steps.
    pub fn runbook(&self, name: &str, steps: &str) -> String {
        let dir = self.dir.path().display();
        let text = format!(
            r#"runbook "{name}" {{
    objectives rto="15m" rpo="5m" mtpd="4h"
    target "live" plugin="fs" site="primary" {{ root "{dir}/estate/live" }}
    target "vault" plugin="fs" site="second" {{ root "{dir}/vault"; password secret="vault-password" }}
    target "back" plugin="fs" site="second" {{ root "{dir}/estate/back" }}
    {steps}
}}
"#
        );
        let file = format!("{name}.kdl");
        self.write(&file, &text);
        file
    }

    /// The binary with these arguments, in this folder, with nothing else around it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.dir.path())
            .env("USER", "tester")
            // Compiled plugins are shared by all tests: they are the same, and compiling them is most of a start.
            .env("LIFEBOAT_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"))
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    /// The binary in the background; its lines go to a file.
    pub fn start(&self, args: &[&str]) -> Background {
        let log = fs::File::create(self.path("background.log")).unwrap();
        Background::spawn(self.command(args).stdout(log.try_clone().unwrap()).stderr(log))
    }

    /// Waits until the background's log has that text.
    pub fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !fs::read_to_string(self.path("background.log")).unwrap_or_default().contains(text) {
            assert!(start.elapsed() < Duration::from_secs(60), "'{text}' never came");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The newest run's id.
    pub fn newest(&self) -> String {
        let runs = self.run(&["runs", "--json"]).expect(0).json();
        runs.as_array().and_then(|all| all.last()).unwrap()["run"].as_str().unwrap().to_owned()
    }

    /// The events of the newest run.
    pub fn events(&self) -> Vec<Value> {
        let text = self.run(&["events", &self.newest()]).expect(0).out;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Every file below, with its content.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// How often a step's forward attempts began.
pub fn attempts(events: &[Value], step: &str) -> usize {
    events.iter().filter(|event| event["event"] == "attempt-started" && event["step"] == step).count()
}
