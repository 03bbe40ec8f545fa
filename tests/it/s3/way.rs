//! A bench whose vault is in a bucket behind a proxy on which things go wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lifeboat_servers::{Access, Proxy};

use super::{bench, heavy, make_bucket, restic, runbook, target};
use crate::bench::{Bench, Ran, attempts, tree};

/// What a site does with its vault; no step is tried again.
pub const RECOVER: &str = r#"snapshot "take" of="live" into="vault"
    verify "prove" snapshot="{{steps.take.snapshot}}" depth="data"
    restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back""#;

/// As [`RECOVER`]; what may pass is tried again.
pub const PATIENT: &str = r#"snapshot "take" of="live" into="vault" { retry 6 backoff="200ms" max="1s" }
    verify "prove" snapshot="{{steps.take.snapshot}}" depth="data" { retry 6 backoff="200ms" max="1s" }
    restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back" { retry 6 backoff="200ms" max="1s" }"#;

pub struct Way {
    pub bench: Bench,
    pub proxy: Proxy,
    /// The server itself.
    pub direct: Access,
    /// The server, behind the proxy.
    pub proxied: Access,
    pub bucket: String,
}

impl Way {
    /// A site with so many MiB of data, and a bucket of its own.
    pub fn new(direct: &Access, mib: usize) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let proxy = Proxy::start(&direct.endpoint).unwrap();
        let proxied = Access { endpoint: proxy.endpoint(), ..direct.clone() };
        let bench = bench(&[&proxied]);
        // A test has no minutes.
        let operator = std::fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
        bench.write("lifeboat.kdl", &format!("{operator}http idle=\"1s\" answer=\"2s\" pause=\"300ms\" sends=4\n"));
        let bucket = format!("way-{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        make_bucket(direct, &bucket, false);
        heavy(&bench, mib);
        Self { bench, proxy, direct: direct.clone(), proxied, bucket }
    }

    /// A runbook of these steps over the vault.
    pub fn file(&self, name: &str, steps: &str) -> String {
        self.file_with(name, "", steps)
    }

    /// As [`Way::file`], with more settings of the vault.
    pub fn file_with(&self, name: &str, more: &str, steps: &str) -> String {
        let more = format!("prefix \"vault\"; password secret=\"vault-password\"; {more}");
        let vault = target("vault", &self.proxied, 0, &self.bucket, &more);
        runbook(&self.bench, name, &vault, steps)
    }

    pub fn run(&self, file: &str) -> Ran {
        self.bench.run(&["run", "-y", file])
    }

    /// Tries a failed step of the newest run again.
    pub fn retry(&self, step: &str) -> Ran {
        self.bench.run(&["retry", &self.bench.newest(), step])
    }

    /// Waits until a request of that kind came by, so often.
    pub fn wait_for(&self, request: &str, times: usize) {
        let start = Instant::now();
        let came = || self.proxy.seen().iter().filter(|line| line.contains(request)).count();
        while came() < times {
            assert!(start.elapsed() < Duration::from_secs(30), "'{request}' never came: {:?}", self.proxy.seen());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What the background's run said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.bench.path("background.log")).unwrap()
    }

    /// How often a step of the newest run was begun.
    pub fn attempts(&self, step: &str) -> usize {
        attempts(&self.bench.events(), step)
    }

    /// The ids of the snapshots that are there.
    pub fn snapshots(&self, file: &str) -> usize {
        let all = self.bench.run(&["snapshots", "vault", "--runbook", file, "--json"]).expect(0).json();
        all.as_array().unwrap().len()
    }

    /// Stock restic's judgement of the vault.
    pub fn check(&self) {
        let place = format!("{}/vault", self.bucket);
        let said = restic(&self.bench, &self.direct, &place, &["check", "--read-data"]);
        assert!(said.contains("no errors were found"), "{said}");
    }

    /// What was restored is what there was, byte for byte; restic finds nothing wrong; there is one snapshot and no lock.
    pub fn whole(&self, file: &str) {
        assert!(tree(&self.bench.path("estate/live")) == tree(&self.bench.path("estate/back")), "not the same");
        self.proxy.heal();
        assert_eq!(self.snapshots(file), 1, "one snapshot, however often it was tried");
        self.check();
        let locks = super::told(&self.direct, &["lsf", &format!(":s3:{}/vault/locks", self.bucket)]);
        assert_eq!(locks, "", "a lock stays");
    }
}
