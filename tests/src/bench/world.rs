//! The parts put together: a host with the committed plugins, engines, plans, and executors that look on.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lifeboat_core::event::Said;
use lifeboat_core::grants::{DirGrant, Grant, Operator};
use lifeboat_core::outcome::ProbeAnswer;
use lifeboat_core::plan::{Mode, Plan, Step, Target};
use lifeboat_core::plugin::Catalog;
use lifeboat_core::ports::{Append, Attempt, AttemptSink, BoxFuture, Clock, Rng, StepExecutor, Store};
use lifeboat_core::state::RunStatus;
use lifeboat_core::{Error, Failure, Outcome, RunId};
use lifeboat_host::ports::ObjectStore;
use lifeboat_host::{Host, HostOptions, OperatorSecrets};
use lifeboat_runbook::SourceFile;
use lifeboat_runtime::{Engine, EngineParts, Rest};
use lifeboat_store::MemoryStore;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::WRITE_BYTES;

/// A host with the plugins of `plugins/dist`. They may change all that is below `folder`, which keeps them compiled.
pub fn host(folder: &Path) -> Host {
    let grant = |plugin: &str| Grant {
        plugin: plugin.to_owned(),
        target: None,
        dirs: vec![DirGrant { path: folder.to_owned(), write: true }],
        hosts: Vec::new(),
    };
    let operator = Operator { grants: vec![grant("fs"), grant("fixture")], ..Operator::default() };
    let options = HostOptions { cache_dir: Some(folder.join("compiled")), ..HostOptions::default() };
    let secrets = Arc::new(OperatorSecrets::new(&operator));
    let host = Host::new(options, operator, secrets).unwrap();
    for plugin in ["fs", "fixture"] {
        host.load_file(&root().join(format!("plugins/dist/{plugin}.wasm"))).unwrap();
    }
    host
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A folder as a place for objects, through the `store` of the plugin `fs`.
pub fn object_store(host: &Host, folder: &Path) -> Arc<dyn ObjectStore> {
    let settings = json!({ "root": folder });
    let target = Target {
        name: "place".to_owned(),
        plugin: "fs".to_owned(),
        site: None,
        settings: settings.clone(),
        secrets: BTreeMap::new(),
        lock: None,
    };
    host.object_store(&target, settings, Mode::Failover).unwrap()
}

/// A runbook of steps in a row, each a call of the plugin `fixture` that comes back at once.
pub fn chain(steps: usize, folder: &Path) -> String {
    let mut text = format!("runbook \"chain\" {{\n    target \"here\" plugin=\"fixture\" {{ root {folder:?} }}\n");
    for index in 0..steps {
        let after = index.checked_sub(1).map(|before| format!(" after=\"s{before}\"")).unwrap_or_default();
        writeln!(text, "    validate \"s{index}\" target=\"here\"{after} {{ misbehave \"ok\" }}").unwrap();
    }
    text + "}\n"
}

/// Compiles a runbook for the mode `failover`.
pub fn compile(text: &str, catalog: &Catalog) -> Plan {
    let source = SourceFile { name: "bench.kdl".to_owned(), text: text.to_owned() };
    match lifeboat_runbook::compile(&source, catalog, Mode::Failover, &BTreeMap::new()) {
        Ok((plan, _)) => plan,
        Err(mistakes) => panic!("{mistakes:?}"),
    }
}

/// An engine with the time and the randomness of this machine.
pub fn engine(store: Arc<dyn Store>, executor: Arc<dyn StepExecutor>, max_parallel: usize) -> Engine {
    let parts = EngineParts {
        store,
        executor,
        clock: Arc::new(WallClock),
        rng: Arc::new(SystemRng),
        max_parallel,
        version: "bench".to_owned(),
    };
    Engine::new(parts)
}

/// Carries a plan out, start to end. It has to succeed.
pub async fn carry_out(engine: &Engine, plan: Plan, text: String) {
    let said = Said { by: "bench".to_owned(), why: String::new() };
    match engine.submit(plan, text, said).await.unwrap().rest().await {
        Rest::Ended(state) if state.status() == RunStatus::Succeeded => {}
        other => panic!("the run did not succeed: {other:?}"),
    }
}

/// The attempt that an engine makes of the only step of a plan.
pub async fn attempt_of(plan: Plan) -> Attempt {
    let looking = Arc::new(LookOn::new(Arc::new(Nothing)));
    let store = Arc::new(MemoryStore::new());
    carry_out(&engine(store, looking.clone(), 1), plan, String::new()).await;
    looking.first.lock().unwrap().take().unwrap()
}

/// Steps that do nothing, natively: what is left is the engine.
pub struct Nothing;

impl StepExecutor for Nothing {
    fn execute(&self, _: Attempt, _: Arc<dyn AttemptSink>) -> BoxFuture<'_, Outcome> {
        Box::pin(async { Outcome::Done { outputs: json!({ "note": "ok" }) } })
    }

    fn check_outputs(&self, _: &Plan, _: &Step, _: &Value) -> Result<(), Error> {
        Ok(())
    }

    fn probe(&self, _: Attempt, _: Arc<dyn AttemptSink>) -> BoxFuture<'_, ProbeAnswer> {
        Box::pin(async { ProbeAnswer::DidNotHappen })
    }
}

/// Notes when each attempt began, and keeps the first one.
pub struct LookOn {
    inner: Arc<dyn StepExecutor>,
    stamps: Mutex<Vec<Instant>>,
    first: Mutex<Option<Attempt>>,
}

impl LookOn {
    /// Looks on while `inner` does the work.
    pub fn new(inner: Arc<dyn StepExecutor>) -> Self {
        Self { inner, stamps: Mutex::default(), first: Mutex::default() }
    }

    /// When the attempts began, since the last call.
    pub fn take(&self) -> Vec<Instant> {
        std::mem::take(&mut *self.stamps.lock().unwrap())
    }
}

impl StepExecutor for LookOn {
    fn execute(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, Outcome> {
        self.stamps.lock().unwrap().push(Instant::now());
        let mut first = self.first.lock().unwrap();
        if first.is_none() {
            *first = Some(attempt.clone());
        }
        drop(first);
        self.inner.execute(attempt, sink)
    }

    fn check_outputs(&self, plan: &Plan, step: &Step, outputs: &Value) -> Result<(), Error> {
        self.inner.check_outputs(plan, step, outputs)
    }

    fn probe(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, ProbeAnswer> {
        self.inner.probe(attempt, sink)
    }
}

/// Appends of about the size of a step's straight to the store: as many runs at once, one append of each after the other.
/// `round` keeps the runs of several calls apart.
pub async fn append_all(store: &Arc<dyn Store>, round: u64, runs: usize, appends: usize) {
    let mut writers = JoinSet::new();
    for writer in 0..runs as u64 {
        let store = Arc::clone(store);
        writers.spawn(async move {
            let run = RunId::new(round, writer);
            for expected in 0..appends as u64 {
                let events = vec![vec![b'e'; WRITE_BYTES]];
                let summary = b"{}".to_vec();
                store.append(Append { run: run.clone(), expected, epoch: 1, events, summary }).await.unwrap();
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
}

/// A sink that forgets.
pub struct Deaf;

impl AttemptSink for Deaf {
    fn progress(&self, _: u64, _: Option<u64>, _: &str, _: &str) {}
    fn log(&self, _: &str, _: &str) {}
    fn checkpoint<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
    fn cancelled(&self) -> bool {
        false
    }
}

/// One attempt, carried out without an engine. It has to be done.
pub async fn call(executor: &dyn StepExecutor, attempt: Attempt) {
    let outcome = executor.execute(attempt, Arc::new(Deaf)).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
}

/// A runtime as the binary has it.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

struct WallClock;

impl Clock for WallClock {
    fn now_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }

    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(self.now_ms()))))
    }
}

struct SystemRng;

impl Rng for SystemRng {
    fn next_u64(&self) -> u64 {
        RandomState::new().hash_one(0)
    }
}
