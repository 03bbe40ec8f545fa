//! Bulk bytes through the host's pump (hashed, written to a new file, fsynced, renamed) beside a native copy with the same
//! digest, also with the hash on a second thread. The bar is 0.9 of native.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use bytes::Bytes;
use lifeboat_tests::bench::{heading, line, median, world};

const MIB: usize = 512;
const CHUNK: usize = 1024 * 1024;
const ROUNDS: usize = 7;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut data = vec![0; MIB * CHUNK];
    blake3::Hasher::new().update(b"pump").finalize_xof().fill(&mut data);
    let data = Bytes::from(data);
    let host = world::host(folder.path());
    let runtime = world::runtime();
    let store = world::object_store(&host, &folder.path().join("objects"));
    let (mut pumped, mut copied) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let pump = || {
            let start = Instant::now();
            runtime.block_on(store.put("large", data.clone())).unwrap();
            let rate = MIB as f64 / start.elapsed().as_secs_f64();
            // Freed outside of the measure: overwriting would pay for the file of the round before.
            runtime.block_on(store.delete("large")).unwrap();
            rate
        };
        // Each side is the first one in half of the rounds.
        if round % 2 == 0 {
            pumped.push(pump());
            copied.push(native(&folder.path().join("native"), &data));
        } else {
            copied.push(native(&folder.path().join("native"), &data));
            pumped.push(pump());
        }
    }
    heading(&format!("{MIB} MiB into a file, BLAKE3, fsync; median of {ROUNDS} rounds (higher is better)"));
    line("pump of the host", median(pumped), median(copied), "MiB/s", "native copy, hash on a second thread");
}

/// The same bytes written natively, with the hash beside the writing. MiB/s.
fn native(path: &Path, data: &Bytes) -> f64 {
    let start = Instant::now();
    let (send, receive) = mpsc::sync_channel::<Bytes>(4);
    let hash = std::thread::spawn(move || {
        let mut hasher = blake3::Hasher::new();
        for chunk in receive {
            hasher.update(&chunk);
        }
        hasher.finalize()
    });
    let mut file = std::fs::File::create(path).unwrap();
    for at in (0..data.len()).step_by(CHUNK) {
        let chunk = data.slice(at..data.len().min(at + CHUNK));
        send.send(chunk.clone()).unwrap();
        file.write_all(&chunk).unwrap();
    }
    drop(send);
    std::hint::black_box(hash.join().unwrap());
    file.sync_all().unwrap();
    let rate = MIB as f64 / start.elapsed().as_secs_f64();
    std::fs::remove_file(path).unwrap();
    rate
}
