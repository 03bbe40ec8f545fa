//! One call of a guest through the executor: a turn, a thread, an instance, the call, and all of it gone again.
//!
//! The bar is 100 us. Beside it stands what it costs to hand a task to another thread and wait for it, which every call
//! pays, and `head` of a store, which also opens the granted folder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use lifeboat_tests::bench::{Times, heading, line, line_times, world};

const CALLS: usize = 2_000;
const ROUNDS: usize = 5;
const BAR_US: f64 = 100.0;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = world::runtime();
    let start = Instant::now();
    drop(world::host(folder.path()));
    let cold = start.elapsed();
    let start = Instant::now();
    let host = world::host(folder.path());
    let warm = start.elapsed();
    let catalog = host.catalog();
    let elsewhere = tokio::runtime::Builder::new_multi_thread().event_interval(1).enable_all().build().unwrap();
    let there = elsewhere.handle().clone();

    let measured = runtime.block_on(async {
        let attempt = world::attempt_of(world::compile(&world::chain(1, folder.path()), &catalog)).await;
        let (executor, store) = (host.executor(), world::object_store(&host, &folder.path().join("objects")));
        store.put("small", Bytes::from_static(b"x")).await.unwrap();
        let work = async move {
            let (mut hops, mut calls, mut heads) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                for _ in 0..CALLS {
                    let start = Instant::now();
                    there.spawn(async {}).await.unwrap();
                    hops.push(start.elapsed());
                }
                for _ in 0..CALLS {
                    let attempt = attempt.clone();
                    let start = Instant::now();
                    world::call(&*executor, attempt).await;
                    calls.push(start.elapsed());
                }
                for _ in 0..CALLS {
                    let start = Instant::now();
                    store.head("small").await.unwrap();
                    heads.push(start.elapsed());
                }
            }
            [hops, calls, heads].map(Times::new)
        };
        tokio::spawn(work).await.unwrap()
    });
    let [hops, calls, heads] = measured;
    heading(&format!("guest calls one after the other, {} of each", CALLS * ROUNDS));
    line("step of a guest, median", calls.at(0.5), BAR_US, "us", "the bar");
    line_times("step of a guest", &calls, &hops, "a task handed to another thread");
    line_times("head of a store", &heads, &hops, "a task handed to another thread");
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    line("host with two plugins, compiled before", ms(warm), ms(cold), "ms", "the same, nothing compiled");
    elsewhere.shutdown_background();
}
