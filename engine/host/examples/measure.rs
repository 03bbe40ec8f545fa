//! Measures what a guest call and a pump cost on this machine: `cargo run --release -p lifeboat-host --example measure`.
//!
//! A figure stands beside what limits it: a call beside nothing but itself, a pump beside the same bytes written, hashed and
//! synced by native code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lifeboat_core::grants::{DirGrant, Grant, Operator};
use lifeboat_core::plan::{Mode, Target};
use lifeboat_host::{Host, HostOptions, OperatorSecrets};
use serde_json::json;

const CALLS: usize = 2_000;
const ROUNDS: usize = 5;
const PUMP_BYTES: usize = 512 * 1024 * 1024;

fn median(mut times: Vec<Duration>) -> (Duration, Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[0], times[times.len() - 1])
}

/// The fs plugin may do what it likes below that folder.
fn grant(root: &Path) -> Vec<Grant> {
    let dirs = vec![DirGrant { path: root.to_path_buf(), write: true }];
    vec![Grant { plugin: "fs".into(), target: None, dirs, hosts: Vec::new() }]
}

#[tokio::main]
async fn main() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("store");
    let operator = Operator { grants: grant(&root), ..Operator::default() };
    let wasm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist/fs.wasm");
    let options = HostOptions { cache_dir: Some(base.path().join("cache")), ..HostOptions::default() };
    let start = |name: &str| {
        let secrets = Arc::new(OperatorSecrets::new(&operator));
        let begin = Instant::now();
        let host = Host::new(options.clone(), operator.clone(), secrets).unwrap();
        let made = begin.elapsed();
        host.load_file(&wasm).unwrap();
        println!("{name}: host {made:.2?}, load fs.wasm {:.2?}", begin.elapsed() - made);
        host
    };
    drop(start("start, nothing compiled"));
    let host = start("start, compiled before ");

    let settings = json!({"root": root});
    let target = Target {
        name: "here".into(),
        plugin: "fs".into(),
        site: None,
        settings: settings.clone(),
        secrets: BTreeMap::new(),
        lock: None,
    };
    let store = host.object_store(&target, settings, Mode::Failover).unwrap();
    store.put("small", Bytes::from_static(b"x")).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let begin = Instant::now();
        store.head("small").await.unwrap();
        times.push(begin.elapsed());
    }
    let (mid, min, max) = median(times);
    println!(
        "guest call (turn, spawn, instantiate, open folder, stat, drop): median {mid:.1?} [{min:.1?} .. {max:.1?}]"
    );

    let data = Bytes::from((0..PUMP_BYTES).map(|i| (i / 7) as u8).collect::<Vec<_>>());
    let (mut pumped, mut native) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Overwriting would also pay for freeing the old file.
        store.delete("large").await.unwrap();
        let begin = Instant::now();
        store.put("large", data.clone()).await.unwrap();
        pumped.push(begin.elapsed());
        let begin = Instant::now();
        let path = root.join(format!("native-{round}"));
        let mut file = std::fs::File::create(&path).unwrap();
        let mut hasher = blake3::Hasher::new();
        for chunk in data.chunks(1024 * 1024) {
            hasher.update(chunk);
            file.write_all(chunk).unwrap();
        }
        std::hint::black_box(hasher.finalize());
        file.sync_all().unwrap();
        native.push(begin.elapsed());
        std::fs::remove_file(path).unwrap();
    }
    let rate = |time: Duration| PUMP_BYTES as f64 / 1e9 / time.as_secs_f64();
    let (pump, native) = (median(pumped).0, median(native).0);
    println!(
        "pump, hashed and synced: {:.2} GB/s; native, one thread, hashed and synced: {:.2} GB/s; ratio {:.2}",
        rate(pump),
        rate(native),
        native.as_secs_f64() / pump.as_secs_f64()
    );
}
