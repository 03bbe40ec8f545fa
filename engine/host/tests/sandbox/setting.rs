//! One host for all tests, with the plugins of `plugins/dist`, and attempts made by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use lifeboat_core::grants::{DirGrant, Grant, HostGrant, Operator, SecretSource};
use lifeboat_core::plan::*;
use lifeboat_core::ports::{Attempt, AttemptSink, BoxFuture, Direction};
use lifeboat_core::{Digest, Failure, Outcome, RunId, StepId};
use lifeboat_host::{Host, HostOptions, OperatorSecrets};
use serde_json::{Value, json};

/// A sink that keeps what it is told.
#[derive(Debug, Default)]
pub struct Heard {
    pub logs: Mutex<Vec<(String, String)>>,
    pub progress: AtomicUsize,
    pub checkpoints: Mutex<Vec<String>>,
    pub cancelled: AtomicBool,
}

impl AttemptSink for Heard {
    fn progress(&self, _: u64, _: Option<u64>, _: &str, _: &str) {
        self.progress.fetch_add(1, Ordering::SeqCst);
    }
    fn log(&self, level: &str, message: &str) {
        self.logs.lock().unwrap().push((level.to_owned(), message.to_owned()));
    }
    fn checkpoint<'a>(&'a self, json: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        self.checkpoints.lock().unwrap().push(json.to_owned());
        Box::pin(async { Ok(()) })
    }
    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }
}

pub struct Setting {
    pub host: Host,
    base: PathBuf,
    /// Of a server that the fixture may reach, outside drills and in them.
    pub port: u16,
}

pub fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist").join(name)
}

/// The host. Below `rw` everything may be changed, below `ro` only read, below `drill` only drills may act, and `out` is not
/// granted at all.
pub fn setting() -> &'static Setting {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    SETTING.get_or_init(|| {
        let base = tempfile::tempdir().unwrap().keep();
        let port = crate::http::serve();
        let grant = |plugin: &str, folder: &str, write| Grant {
            plugin: plugin.into(),
            target: None,
            dirs: vec![DirGrant { path: base.join(folder), write }],
            hosts: vec![HostGrant { host: "127.0.0.1".into(), port, plain: true, ca: None, client: None }],
        };
        for folder in ["rw", "ro", "drill", "out"] {
            std::fs::create_dir(base.join(folder)).unwrap();
        }
        std::fs::write(base.join("out/secret"), "not for guests").unwrap();
        let mut operator = Operator {
            grants: vec![grant("fixture", "rw", true), grant("fixture", "ro", false), grant("fs", "rw", true)],
            drill_grants: vec![grant("fixture", "drill", true)],
            ..Operator::default()
        };
        operator.secrets.insert("pw".into(), SecretSource::Env("PATH".into()));
        let secrets = Arc::new(OperatorSecrets::new(&operator));
        let options = HostOptions { cache_dir: Some(base.join("cache")), max_instances: 64, ..HostOptions::default() };
        let host = Host::new(options, operator, secrets).unwrap();
        host.load_file(&dist("fixture.wasm")).unwrap();
        host.load_file(&dist("fs.wasm")).unwrap();
        Setting { host, base, port }
    })
}

impl Setting {
    /// A new empty folder inside one of the granted ones.
    pub fn folder(&self, inside: &str) -> PathBuf {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let path = self.base.join(inside).join(COUNT.fetch_add(1, Ordering::SeqCst).to_string());
        std::fs::create_dir(&path).unwrap();
        path
    }

    pub fn outside(&self) -> PathBuf {
        self.base.join("out")
    }

    pub fn target(&self, plugin: &str, root: &Path) -> Target {
        Target {
            name: "orders".into(),
            plugin: plugin.into(),
            site: None,
            settings: json!({"root": root}),
            secrets: BTreeMap::new(),
            lock: None,
        }
    }

    /// An attempt of a one-step plan of the fixture.
    pub fn attempt(&self, kind: StepKind, args: Value, root: &Path, timeout_ms: u64) -> Attempt {
        let known = self.host.catalog()["fixture"].clone();
        let effect = known.description.kind(kind).unwrap().effect;
        let target = self.target("fixture", root);
        let settings = target.settings.clone();
        let step = Step {
            id: StepId::from("s"),
            kind,
            effect,
            plugin: Some("fixture".into()),
            targets: vec![TargetUse { role: "target".into(), target: "orders".into() }],
            args: args.clone(),
            after: BTreeSet::new(),
            policy: Policy { timeout_ms, heartbeat_ms: None, retry: Retry::default(), in_doubt: InDoubt::Probe },
            compensate: false,
            undo: None,
            when: Vec::new(),
            fan: None,
            estimate_ms: None,
            capabilities: Vec::new(),
            approval: None,
            wait_ms: None,
            makes: Vec::new(),
            corruptions: Vec::new(),
            waivers: Vec::new(),
            scan: false,
            line: 1,
        };
        let pin = PluginPin { version: known.description.version, digest: known.digest };
        let plan = Plan {
            format: PLAN_FORMAT,
            runbook: "test".into(),
            description: String::new(),
            owner: None,
            mode: Mode::Failover,
            objectives: Objectives::default(),
            inputs: BTreeMap::new(),
            targets: BTreeMap::from([("orders".to_owned(), target)]),
            plugins: BTreeMap::from([("fixture".to_owned(), pin)]),
            steps: vec![step],
            on_failure: OnFailure::default(),
            max_parallel: 1,
            source: Digest::of(b""),
        };
        Attempt {
            run: RunId::new(1, 1),
            plan: Arc::new(plan),
            step: StepId::from("s"),
            direction: Direction::Forward,
            number: 1,
            key: Digest::of(b"key"),
            token: 1,
            mode: Mode::Failover,
            args,
            settings: vec![("target".into(), settings)],
            checkpoint: None,
            outputs: None,
        }
    }

    pub async fn run(&self, attempt: Attempt) -> (Outcome, Arc<Heard>) {
        let heard = Arc::new(Heard::default());
        let outcome = self.host.executor().execute(attempt, heard.clone()).await;
        (outcome, heard)
    }
}

/// The failure, or a panic that shows what it was instead.
pub fn failure(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed { failure } => failure,
        other => panic!("not a failure: {other:?}"),
    }
}
