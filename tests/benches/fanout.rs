//! Many runs at once: durable steps a second, and how many of them share one flush.
//!
//! The limits are measured here too: appends of the same size by as many writers straight to the store, and the same
//! calls of guests with no engine and no store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use lifeboat_core::plan::Plan;
use lifeboat_core::ports::{Attempt, StepExecutor, Store};
use lifeboat_store::{EmbeddedStore, Fault, Options};
use lifeboat_tests::bench::{heading, line, median, world};
use tokio::task::JoinSet;

const RUNS: usize = 256;
const STEPS: usize = 20;
const ROUNDS: usize = 5;
/// Five times what the best durable-execution server did on the reference machine.
const BAR: f64 = 18_000.0;
/// Attempts at once in the whole engine, where the operator says nothing.
const PARALLEL: usize = lifeboat_core::limits::PARALLEL_GLOBAL_DEFAULT as usize;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = world::runtime();
    let host = world::host(folder.path());
    let text = world::chain(STEPS, folder.path());
    let plan = world::compile(&text, &host.catalog());
    let (store, flushes) = open(&folder.path().join("data"));
    let attempt = runtime.block_on(world::attempt_of(world::compile(&world::chain(1, folder.path()), &host.catalog())));

    let mut rates: [Vec<f64>; 5] = Default::default();
    let [appends, calls, native, guest, shared] = &mut rates;
    for round in 0..ROUNDS {
        appends.push(rate(|| runtime.block_on(world::append_all(&store, round as u64, RUNS, STEPS))));
        calls.push(rate(|| runtime.block_on(call_all(host.executor(), &attempt))));
        native.push(rate(|| runtime.block_on(run_all(Arc::clone(&store), Arc::new(world::Nothing), &plan, &text))));
        let before = flushes.load(Ordering::Relaxed);
        guest.push(rate(|| runtime.block_on(run_all(Arc::clone(&store), host.executor(), &plan, &text))));
        shared.push((RUNS * STEPS) as f64 / (flushes.load(Ordering::Relaxed) - before) as f64);
    }
    let [appends, calls, native, guest, shared] = rates.map(median);
    // Guests and appends share the processors: a step needs a bit of both.
    let both = 1.0 / (1.0 / appends + 1.0 / calls);
    heading(&format!("{RUNS} runs at once, {STEPS} steps each, {PARALLEL} attempts at once"));
    line("steps that do nothing, native", native, appends, "/s", "appends alone, as many writers");
    line("steps that call a guest", guest, both, "/s", "one append and one guest call a step");
    line("steps that call a guest", guest, BAR, "/s", "the bar, to be exceeded");
    line("guest calls alone, as many at once", calls, BAR, "/s", "the bar, to be exceeded");
    line("steps a flush", shared, RUNS as f64, "", "all runs in one flush");
}

fn open(path: &Path) -> (Arc<dyn Store>, Arc<AtomicU64>) {
    let flushes = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&flushes);
    let hook = move |fault| {
        count.fetch_add(u64::from(fault == Fault::Flush), Ordering::Relaxed);
        Ok(())
    };
    let options = Options { fault: Some(Arc::new(hook)), ..Options::default() };
    (Arc::new(EmbeddedStore::open(path, options).unwrap().0), flushes)
}

/// Steps a second.
fn rate(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    (RUNS * STEPS) as f64 / start.elapsed().as_secs_f64()
}

async fn run_all(store: Arc<dyn Store>, executor: Arc<dyn StepExecutor>, plan: &Plan, text: &str) {
    let engine = world::engine(store, executor, PARALLEL);
    let mut runs = JoinSet::new();
    for _ in 0..RUNS {
        let (engine, plan, text) = (engine.clone(), plan.clone(), text.to_owned());
        runs.spawn(async move { world::carry_out(&engine, plan, text).await });
    }
    while let Some(ended) = runs.join_next().await {
        ended.unwrap();
    }
}

async fn call_all(executor: Arc<dyn StepExecutor>, attempt: &Attempt) {
    let mut callers = JoinSet::new();
    for _ in 0..RUNS {
        let (executor, attempt) = (Arc::clone(&executor), attempt.clone());
        callers.spawn(async move {
            for _ in 0..STEPS {
                world::call(&*executor, attempt.clone()).await;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
}
