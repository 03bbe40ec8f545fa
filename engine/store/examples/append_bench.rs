//! How fast appends are, beside the machine's own `fdatasync` in the same run: `append_bench [folder]`.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_core::RunId;
use lifeboat_core::ports::{Append, Store};
use lifeboat_store::{EmbeddedStore, Options};

const SEQUENTIAL: usize = 5_000;
const WRITERS: u64 = 256;
const EACH: u64 = 2_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).map_or_else(|| PathBuf::from("append-bench-data"), PathBuf::from);
    std::fs::create_dir_all(&dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (store, _) = EmbeddedStore::open(&dir.join("data"), Options::default())?;
    let store: Arc<dyn Store> = Arc::new(store);
    // Alternating, so that a noisy neighbour hits both.
    for round in 0..3 {
        let bare = bare(&dir.join("bare"))?;
        let ours = runtime.block_on(sequential(Arc::clone(&store), round))?;
        let (one, other) = (mean(&bare), mean(&ours));
        println!("sequential: bare {}  append {}  ratio of means {:.2}", show(bare), show(ours), other / one);
    }
    for round in 0..3 {
        let start = Instant::now();
        runtime.block_on(concurrent(Arc::clone(&store), 100 + round))?;
        let rate = (WRITERS * EACH) as f64 / start.elapsed().as_secs_f64();
        println!("{WRITERS} writers: {rate:.0} appends/s");
    }
    Ok(())
}

fn bare(path: &Path) -> std::io::Result<Vec<Duration>> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 16 << 20)?;
    file.sync_all()?;
    let bytes = [b'x'; 300];
    let mut times = Vec::new();
    for place in 0..SEQUENTIAL {
        let start = Instant::now();
        file.write_all_at(&bytes, (place * bytes.len()) as u64)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    Ok(times)
}

async fn sequential(store: Arc<dyn Store>, round: u64) -> Result<Vec<Duration>, lifeboat_core::ports::StoreError> {
    let run = RunId::new(round, 0);
    let mut times = Vec::new();
    for expected in 0..SEQUENTIAL as u64 {
        let append = append(&run, expected);
        let start = Instant::now();
        store.append(append).await?;
        times.push(start.elapsed());
    }
    Ok(times)
}

async fn concurrent(store: Arc<dyn Store>, round: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.push(tokio::spawn(async move {
            let run = RunId::new(round, writer);
            for expected in 0..EACH {
                store.append(append(&run, expected)).await?;
            }
            Ok::<(), lifeboat_core::ports::StoreError>(())
        }));
    }
    for writer in writers {
        writer.await??;
    }
    Ok(())
}

/// An append whose frame has about 300 bytes.
fn append(run: &RunId, expected: u64) -> Append {
    Append {
        run: run.clone(),
        expected,
        epoch: 1,
        events: vec![vec![b'e'; 100]],
        summary: b"{\"state\":\"running\"}".to_vec(),
    }
}

fn mean(times: &[Duration]) -> f64 {
    times.iter().map(Duration::as_secs_f64).sum::<f64>() / times.len() as f64
}

fn show(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    format!("mean {:.1} us p50 {:.1} p99 {:.1}", mean(&times) * 1e6, at(50), at(99))
}
