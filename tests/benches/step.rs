//! Durable steps one after the other, each in the journal before the next begins, beside the machine's `fdatasync`.
//!
//! The chain is one run: the outcome of a step and the intent of the next share one append, so a step should cost one
//! `fdatasync` and one call of a guest. The bar is 1.3 times their sum.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_core::ports::{StepExecutor, Store};
use lifeboat_store::{EmbeddedStore, Options};
use lifeboat_tests::bench::{Times, fdatasync, heading, line, line_times, world};

const STEPS: usize = 2_000;
const ROUNDS: usize = 5;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = world::runtime();
    let _inside = runtime.enter();
    let host = world::host(folder.path());
    let text = world::chain(STEPS, folder.path());
    let plan = world::compile(&text, &host.catalog());
    let (store, _) = EmbeddedStore::open(&folder.path().join("data"), Options::default()).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let native = Arc::new(world::LookOn::new(Arc::new(world::Nothing)));
    let guest = Arc::new(world::LookOn::new(host.executor()));
    let attempt = runtime.block_on(world::attempt_of(world::compile(&world::chain(1, folder.path()), &host.catalog())));

    let (mut bare, mut calls, mut own, mut whole) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // In turns, so that a noisy neighbour disturbs all of them alike.
    for _ in 0..ROUNDS {
        bare.extend(fdatasync(&folder.path().join("bare"), STEPS));
        calls.extend(runtime.block_on(alone(host.executor(), &attempt)));
        for (executor, times) in [(&native, &mut own), (&guest, &mut whole)] {
            let engine = world::engine(Arc::clone(&store), executor.clone(), 64);
            let (plan, text) = (plan.clone(), text.clone());
            runtime.block_on(async {
                tokio::spawn(async move { world::carry_out(&engine, plan, text).await }).await.unwrap()
            });
            times.extend(Times::between(&executor.take()));
        }
    }
    let [bare, calls, own, whole] = [bare, calls, own, whole].map(Times::new);
    heading(&format!("durable steps one after the other, {ROUNDS} runs of {STEPS}"));
    line_times("step that does nothing, native", &own, &bare, "fdatasync");
    let sum = |share| bare.at(share) + calls.at(share);
    line("step that calls a guest, median", whole.at(0.5), sum(0.5), "us", "fdatasync + guest call; the bar is 1.3");
    line("step that calls a guest, p99", whole.at(0.99), sum(0.99), "us", "fdatasync + guest call");
    line("guest call alone, median", calls.at(0.5), sum(0.5), "us", "fdatasync + guest call");
}

/// Calls of the guest with no engine and no store.
async fn alone(executor: Arc<dyn StepExecutor>, attempt: &lifeboat_core::ports::Attempt) -> Vec<Duration> {
    let attempt = attempt.clone();
    let calls = async move {
        let mut times = Vec::new();
        for _ in 0..STEPS {
            let start = Instant::now();
            world::call(&*executor, attempt.clone()).await;
            times.push(start.elapsed());
        }
        times
    };
    tokio::spawn(calls).await.unwrap()
}
