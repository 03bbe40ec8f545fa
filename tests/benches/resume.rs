//! Ten thousand runs that a dead engine left: how long until all of them run again.
//!
//! Each has 20 steps and was cut off in its third. Running again means: the store is open, the log is read, the attempt in
//! doubt was asked about, and the next one is under way with its intent in the journal. The bar is 3 seconds.
//! The limit is what the disk and the decoder take for it alone: every log read and applied once, and one append a run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lifeboat_core::event::Said;
use lifeboat_core::outcome::ProbeAnswer;
use lifeboat_core::plan::{Plan, Step};
use lifeboat_core::ports::{Attempt, AttemptSink, BoxFuture, StepExecutor, Store};
use lifeboat_core::{Error, Outcome};
use lifeboat_runtime::{Engine, resume_all};
use lifeboat_store::{EmbeddedStore, Options};
use lifeboat_tests::bench::{heading, line, memory_kib, world};
use serde_json::{Value, json};
use tokio::sync::Notify;

const RUNS: usize = 10_000;
const STEPS: usize = 20;
/// The step that never comes back.
const CUT_OFF: &str = "s2";
const BAR_MS: f64 = 3_000.0;
/// Has this program take the runs up again.
const AGAIN: &str = "again";

/// Steps that are done at once, until one that never is.
#[derive(Default)]
struct Stuck {
    reached: AtomicUsize,
    all: Notify,
}

impl StepExecutor for Stuck {
    fn execute(&self, attempt: Attempt, _: Arc<dyn AttemptSink>) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            if attempt.step.as_str() == CUT_OFF {
                if self.reached.fetch_add(1, Ordering::Relaxed) + 1 == RUNS {
                    self.all.notify_one();
                }
                std::future::pending::<()>().await;
            }
            Outcome::Done { outputs: json!({ "note": "ok" }) }
        })
    }

    fn check_outputs(&self, _: &Plan, _: &Step, _: &Value) -> Result<(), Error> {
        Ok(())
    }

    fn probe(&self, _: Attempt, _: Arc<dyn AttemptSink>) -> BoxFuture<'_, ProbeAnswer> {
        Box::pin(async { ProbeAnswer::DidNotHappen })
    }
}

fn main() {
    // Each resuming is a process of its own, as after a crash.
    let words: Vec<String> = std::env::args().collect();
    if let [_, again, data] = words.as_slice()
        && again == AGAIN
    {
        let took = resume(Path::new(data));
        println!("{} {}", took.as_millis(), memory_kib("VmHWM"));
        return;
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = folder.path().join("data");
    let host = world::host(folder.path());
    let text = world::chain(STEPS, folder.path());
    let plan = world::compile(&text, &host.catalog());
    let made = leave(&data, &plan, &text);
    println!("{RUNS} runs made and brought to their third step in {:.1} s", made.as_secs_f64());

    let alone = limit(&data, folder.path());
    let (whole, memory) = again(&data);
    std::fs::remove_dir_all(data.join("state")).unwrap();
    let (rebuilt, _) = again(&data);
    heading(&format!("{RUNS} unfinished runs of {STEPS} steps, taken up again"));
    let alone = alone.as_secs_f64() * 1e3;
    line("open, read, probe, begin anew", whole, alone, "ms", "every log read once, one append a run");
    line("open, read, probe, begin anew", whole, BAR_MS, "ms", "the bar, not to be exceeded");
    line("the same, the index built anew first", rebuilt, BAR_MS, "ms", "the bar, not to be exceeded");
    println!("peak memory of the process that resumed them: {:.0} MiB", memory / 1024.0);
}

/// Makes the runs, waits until each is in its third step, and dies.
fn leave(data: &Path, plan: &Plan, text: &str) -> Duration {
    let begin = Instant::now();
    let runtime = world::runtime();
    runtime.block_on(async {
        let stuck = Arc::new(Stuck::default());
        let engine = open(data, stuck.clone());
        for _ in 0..RUNS {
            let said = Said { by: "bench".to_owned(), why: String::new() };
            drop(engine.submit(plan.clone(), text.to_owned(), said).await.unwrap());
        }
        stuck.all.notified().await;
    });
    // Nothing of a dead process goes on.
    runtime.shutdown_timeout(Duration::from_secs(60));
    begin.elapsed()
}

fn open(data: &Path, executor: Arc<dyn StepExecutor>) -> Engine {
    let (store, _) = EmbeddedStore::open(data, Options::default()).unwrap();
    world::engine(Arc::new(store), executor, RUNS)
}

/// Takes all runs up again in a new process: milliseconds, and its peak memory in KiB.
fn again(data: &Path) -> (f64, f64) {
    let output = Command::new(std::env::current_exe().unwrap()).arg(AGAIN).arg(data).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (ms, kib) = text.trim().split_once(' ').unwrap();
    (ms.parse().unwrap(), kib.parse().unwrap())
}

/// Takes all runs up again, as `lifeboat resume` does.
fn resume(data: &Path) -> Duration {
    let runtime = world::runtime();
    let took = runtime.block_on(async {
        let begin = Instant::now();
        let stuck = Arc::new(Stuck::default());
        let engine = open(data, stuck.clone());
        let unfinished = engine.unfinished().await.unwrap();
        assert_eq!(unfinished.len(), RUNS);
        // On a thread of the runtime, as all else.
        let work = async move { resume_all(&engine, unfinished.into_iter().map(|(run, _)| run).collect()).await };
        tokio::spawn(work).await.unwrap().into_iter().for_each(|taken| drop(taken.unwrap()));
        stuck.all.notified().await;
        begin.elapsed()
    });
    runtime.shutdown_timeout(Duration::from_secs(60));
    took
}

/// Every log read and applied once, and one append a run by as many writers at once, with nothing around it.
fn limit(data: &Path, folder: &Path) -> Duration {
    let runtime = world::runtime();
    let took = runtime.block_on(async {
        let engine = open(data, Arc::new(Stuck::default()));
        let unfinished = engine.unfinished().await.unwrap();
        let begin = Instant::now();
        for (run, _) in unfinished {
            drop(engine.load(&run).await.unwrap());
        }
        let read = begin.elapsed();
        let (store, _) = EmbeddedStore::open(&folder.join("appends"), Options::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let begin = Instant::now();
        world::append_all(&store, 1, RUNS, 1).await;
        read + begin.elapsed()
    });
    runtime.shutdown_timeout(Duration::from_secs(60));
    took
}
