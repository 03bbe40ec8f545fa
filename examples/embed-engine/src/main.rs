//! The engine embedded in a program of one's own: the steps are Rust closures, the run state is kept in memory.
//!
//! Three steps in a row, the second of which fails once and is tried again. Exit code 1 when the run does not end well.
//! Run it with `cargo run -p lifeboat-example-embed`.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifeboat_core::event::{EventKind, Said};
use lifeboat_core::outcome::{Failure, Outcome, ProbeAnswer};
use lifeboat_core::plan::{InDoubt, Objectives, OnFailure, PLAN_FORMAT, Policy, Retry};
use lifeboat_core::ports::{Attempt, AttemptSink, BoxFuture, Clock, Rng, StepExecutor};
use lifeboat_core::state::RunStatus;
use lifeboat_core::{Digest, Effect, Error, Mode, Plan, Step, StepId, StepKind};
use lifeboat_runtime::{Engine, EngineParts, Notice, Rest};
use lifeboat_store::MemoryStore;
use serde_json::{Value, json};

type Work = Box<dyn Fn(&Attempt) -> Outcome + Send + Sync>;

/// Carries steps out with closures, by the name of the step.
struct Closures(BTreeMap<&'static str, Work>);

impl StepExecutor for Closures {
    fn execute(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, Outcome> {
        sink.log("info", &format!("attempt {} with {}", attempt.number, attempt.args));
        let nobody = || Outcome::Failed { failure: Failure::permanent("nobody knows how to do this step") };
        Box::pin(async move { self.0.get(attempt.step.as_str()).map_or_else(nobody, |work| work(&attempt)) })
    }

    fn check_outputs(&self, _: &Plan, _: &Step, _: &Value) -> Result<(), lifeboat_core::Error> {
        // These closures declare no schema.
        Ok(())
    }

    fn probe(&self, _: Attempt, _: Arc<dyn AttemptSink>) -> BoxFuture<'_, ProbeAnswer> {
        // What these closures do ends with the process.
        Box::pin(async { ProbeAnswer::DidNotHappen })
    }
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

fn step(id: &str, kind: StepKind, effect: Effect, after: &[&str], args: Value) -> Step {
    let retry = Retry { count: 2, backoff_ms: 50, max_ms: 1_000, jitter: true };
    Step {
        id: StepId::from(id),
        kind,
        effect,
        plugin: None,
        targets: Vec::new(),
        args,
        after: after.iter().copied().map(StepId::from).collect::<BTreeSet<_>>(),
        policy: Policy { timeout_ms: 10_000, heartbeat_ms: None, retry, in_doubt: InDoubt::Probe },
        compensate: effect == Effect::Compensatable,
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
    }
}

fn plan() -> Plan {
    Plan {
        format: PLAN_FORMAT,
        runbook: "embedded".to_owned(),
        description: String::new(),
        owner: None,
        mode: Mode::Drill,
        objectives: Objectives::default(),
        inputs: BTreeMap::new(),
        targets: BTreeMap::new(),
        plugins: BTreeMap::new(),
        steps: vec![
            step("take", StepKind::Snapshot, Effect::Reversible, &[], json!({})),
            step(
                "rebuild",
                StepKind::Restore,
                Effect::Reversible,
                &["take"],
                json!({ "copy": "{{steps.take.snapshot}}" }),
            ),
            step("cutover", StepKind::Switch, Effect::Compensatable, &["rebuild"], json!({})),
        ],
        on_failure: OnFailure { compensate: true, notify: Vec::new() },
        max_parallel: 4,
        source: Digest::of(b"embedded"),
    }
}

fn work() -> Closures {
    let done = |outputs: Value| Outcome::Done { outputs };
    let busy = || Outcome::Failed { failure: Failure::temporary("the disk is busy") };
    let rebuild = move |attempt: &Attempt| if attempt.number == 1 { busy() } else { done(attempt.args.clone()) };
    Closures(BTreeMap::from([
        ("take", Box::new(move |_: &Attempt| done(json!({ "snapshot": "copy-1" }))) as Work),
        ("rebuild", Box::new(rebuild) as Work),
        ("cutover", Box::new(move |_: &Attempt| done(json!({}))) as Work),
    ]))
}

fn print(notice: &Notice) {
    match notice {
        Notice::Event { seq, event, .. } => match &event.kind {
            EventKind::RunCreated { run, fingerprint, .. } => {
                println!("{seq:>2}  {run} of plan {}", fingerprint.short())
            }
            EventKind::AttemptStarted { step, number, .. } => println!("{seq:>2}  {step}: attempt {number}"),
            EventKind::AttemptFinished { step, outcome, .. } => println!("{seq:>2}  {step}: {outcome:?}"),
            other => println!("{seq:>2}  {other:?}"),
        },
        Notice::Log { step, message, .. } => println!("    {step}: {message}"),
        Notice::Progress { .. } => {}
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let engine = Engine::new(EngineParts {
        store: Arc::new(MemoryStore::new()),
        executor: Arc::new(work()),
        clock: Arc::new(WallClock),
        rng: Arc::new(SystemRng),
        max_parallel: 16,
        version: concat!("embed-engine ", env!("CARGO_PKG_VERSION")).to_owned(),
    });
    let mut notices = engine.watch();
    let said = Said { by: "embed-engine".to_owned(), why: String::new() };
    let rest = engine.submit(plan(), String::new(), said).await?.rest().await;
    while let Ok(notice) = notices.try_recv() {
        print(&notice);
    }
    match rest {
        Rest::Ended(state) if state.status() == RunStatus::Succeeded => Ok(ExitCode::SUCCESS),
        Rest::Ended(_) | Rest::Person(_) => Ok(ExitCode::from(1)),
        Rest::Stopped(error) => Err(error),
    }
}
