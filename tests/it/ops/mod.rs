//! What operators put around the service: scrapes, rules, traces, logs, units, pages; and calls that nobody means well.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::background::Background;
use crate::bench::Bench;

mod api;
mod logs;
mod metrics;
mod pages;
mod traces;
mod unit;

/// A service with a runbook or two.
struct Served {
    bench: Bench,
    child: Background,
}

/// Takes a snapshot, asks, and waits a moment.
const ASKS: &str = r#"modes "failover" "drill"
    snapshot "take" of="live" into="vault"
    approve "go" role="incident-commander" after="take"
    wait "breathe" "50ms" { after "go" }"#;
/// Takes a snapshot and proves it.
const GOOD: &str = r#"modes "failover" "drill"
    snapshot "take" of="live" into="vault"
    verify "prove" snapshot="{{steps.take.snapshot}}" depth="index""#;

/// A bench with these lines in the block `service`.
fn bench(more: &str) -> Bench {
    let bench = Bench::new();
    let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    // What is protected is looked at in drills, too.
    let operator = operator.replace("drill { grant \"fs\" { ", "drill { grant \"fs\" { dir \"estate\"; ");
    let service = format!("service {{ listen \"127.0.0.1:0\"; runbooks \"books\"; {more} }}\n");
    bench.write("lifeboat.kdl", &format!("{operator}{service}"));
    fs::create_dir(bench.path("books")).unwrap();
    for (name, steps) in [("asks", ASKS), ("good", GOOD)] {
        let file = bench.runbook(name, steps);
        fs::rename(bench.path(&file), bench.path("books").join(&file)).unwrap();
    }
    bench
}

impl Served {
    fn new(more: &str) -> Self {
        let bench = bench(more);
        let child = bench.start(&["serve"]);
        bench.wait_for("refused (GET");
        Self { bench, child }
    }

    fn address(&self) -> String {
        let log = fs::read_to_string(self.bench.path("background.log")).unwrap();
        log.split("serving on http://").nth(1).unwrap().split([';', '\u{1b}']).next().unwrap().to_owned()
    }

    fn get(&self, path: &str, token: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn token(&self, role: &str) -> String {
        let made = self.bench.run(&["token", "create", "ops", "--role", role, "--drill", "--failover"]).expect(0);
        made.out.trim().to_owned()
    }

    /// Stops the service as systemd does.
    fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

/// A file of the examples.
fn example(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    path.canonicalize().unwrap()
}

/// Runs a program that judges; what it says is told where it does not approve.
fn judged(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|cause| panic!("{command:?}: {cause}; 'cargo xtask test' installs it"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{text}");
    text
}
