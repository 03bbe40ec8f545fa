//! What a plugin says of a step before anything is done: its preview and its readiness, asked of the host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use lifeboat_core::grants::{Grant, HostGrant, Operator, SecretSource};
use lifeboat_core::plan::*;
use lifeboat_core::ports::{Attempt, Direction};
use lifeboat_core::{Digest, RunId, StepId};
use lifeboat_host::{Finding, Host, HostOptions, OperatorSecrets};
use serde_json::{Value, json};

/// A host with one plugin, which may speak to that port, and has one secret in a file.
pub struct Foresight {
    host: Host,
    plugin: String,
    secret: (String, String),
}

impl Foresight {
    /// `file` is the plugin's below `plugins/dist`, `setting` that of the targets that holds the secret.
    pub fn new(plugin: &str, file: &str, port: u16, setting: &str, secret: &Path) -> Self {
        let hosts = vec![HostGrant { host: "127.0.0.1".into(), port, plain: true, ca: None, client: None }];
        let grant = Grant { plugin: plugin.into(), target: None, dirs: Vec::new(), hosts };
        let mut operator = Operator { grants: vec![grant], ..Operator::default() };
        operator.secrets.insert("secret".into(), SecretSource::File(secret.to_owned()));
        let cache_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
        let secrets = Arc::new(OperatorSecrets::new(&operator));
        let host = Host::new(HostOptions { cache_dir, ..HostOptions::default() }, operator, secrets).unwrap();
        host.load_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist").join(file)).unwrap();
        Self { host, plugin: plugin.to_owned(), secret: (setting.to_owned(), "secret".to_owned()) }
    }

    fn target(&self, name: &str, settings: &Value) -> Target {
        Target {
            name: name.into(),
            plugin: self.plugin.clone(),
            site: None,
            settings: settings.clone(),
            secrets: BTreeMap::from([self.secret.clone()]),
            lock: None,
        }
    }

    fn attempt(&self, kind: StepKind, args: &Value, targets: &[(&str, Value)]) -> Attempt {
        let known = self.host.catalog()[&self.plugin].clone();
        let described = known.description.kind(kind).unwrap();
        let uses = targets.iter().map(|(role, _)| TargetUse { role: (*role).into(), target: (*role).into() });
        let step = Step {
            id: StepId::from("s"),
            kind,
            effect: described.effect,
            plugin: Some(self.plugin.clone()),
            targets: uses.collect(),
            args: args.clone(),
            after: BTreeSet::new(),
            policy: Policy {
                timeout_ms: 30_000,
                heartbeat_ms: None,
                retry: Retry::default(),
                in_doubt: InDoubt::Probe,
            },
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
        let pin = PluginPin { version: known.description.version.clone(), digest: known.digest.clone() };
        let plan = Plan {
            format: PLAN_FORMAT,
            runbook: "test".into(),
            description: String::new(),
            owner: None,
            mode: Mode::Failover,
            objectives: Objectives::default(),
            inputs: BTreeMap::new(),
            targets: targets.iter().map(|(role, value)| ((*role).to_owned(), self.target(role, value))).collect(),
            plugins: BTreeMap::from([(self.plugin.clone(), pin)]),
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
            args: args.clone(),
            settings: targets.iter().map(|(role, value)| ((*role).to_owned(), value.clone())).collect(),
            checkpoint: None,
            outputs: None,
        }
    }

    /// The lines of a preview, and the findings.
    pub fn ask(&self, kind: StepKind, args: &Value, targets: &[(&str, Value)]) -> (String, Vec<Finding>) {
        let attempt = self.attempt(kind, args, targets);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let told = runtime.block_on(async {
            (self.host.preview(&attempt).await.unwrap().join("\n"), self.host.readiness(&attempt).await.unwrap())
        });
        runtime.shutdown_background();
        told
    }

    /// Of a snapshot of a target, kept in another.
    pub fn of_snapshot(&self, of: &Value, into: &Value) -> (String, Vec<Finding>) {
        self.ask(StepKind::Snapshot, &json!({}), &[("of", of.clone()), ("into", into.clone())])
    }
}

/// Whether one of the findings has that text and is as good or bad.
pub fn found(findings: &[Finding], ok: bool, text: &str) -> bool {
    findings.iter().any(|finding| finding.ok == ok && finding.message.contains(text))
}
