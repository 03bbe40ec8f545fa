//! Wall time of a vault beside stock restic, on the same data and the same disk.
//!
//! `cargo run --release -p lifeboat-vault --example vault_bench -- FOLDER [MIB]` makes the data in `FOLDER` (1024 MiB
//! unless told: one file with half of it, 10,000 small files with the rest), and removes it again. It needs `restic` on
//! PATH and about four times the size of the data. Both sides work without a cache, on files that are in memory
//! already.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::time::Instant;

use common::{dir, folder_vault, noise, restic, sink};
use lifeboat_host::ports::Depth;

/// How many small files there are, in folders of a hundred.
const SMALL_FILES: usize = 10_000;

/// One file with half of the bytes, and small files with the rest; every second one of these is text.
fn make_data(root: &Path, mib: usize) {
    std::fs::create_dir_all(root).unwrap();
    // In pieces, or the data would be in the figure for the memory.
    let mut database = std::fs::File::create(root.join("database")).unwrap();
    for piece in 0..mib / 2 {
        std::io::Write::write_all(&mut database, &noise(1 << 20, 1 << 32 | piece as u64)).unwrap();
    }
    let size = (mib << 19) / SMALL_FILES;
    for number in 0..SMALL_FILES {
        let folder = root.join(format!("d{:02}", number / 100));
        std::fs::create_dir_all(&folder).unwrap();
        let data = if number % 2 == 0 {
            noise(size, number as u64 + 2)
        } else {
            let mut lines: String = (0..size / 30).map(|line| format!("{number} {line} order shipped ok\n")).collect();
            lines.truncate(size);
            lines.into_bytes()
        };
        std::fs::write(folder.join(format!("f{number}")), data).unwrap();
    }
    rustix::fs::sync();
}

/// Runs one side of a phase; seconds.
fn timed<T>(what: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = what();
    (start.elapsed().as_secs_f64(), result)
}

/// The largest amount of memory that this process ever had, in MiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

async fn ours(root: &Path, source: &Path) -> Vec<f64> {
    let vault = folder_vault(&root.join("ours")).await;
    let mut seconds = Vec::new();
    for _ in 0..2 {
        let start = Instant::now();
        vault.snapshot(dir(source), source.display().to_string(), "x".into(), vec![], sink()).await.unwrap();
        seconds.push(start.elapsed().as_secs_f64());
    }
    let start = Instant::now();
    let report = vault.check("latest".into(), Depth::Data, sink()).await.unwrap();
    seconds.push(start.elapsed().as_secs_f64());
    assert_eq!((report.files, report.problems), (SMALL_FILES as u64 + 1, vec![]));
    for _ in 0..2 {
        let start = Instant::now();
        vault.restore("latest".into(), dir(&root.join("ours-out")), sink()).await.unwrap();
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds
}

fn theirs(root: &Path, source: &Path) -> Vec<f64> {
    let (repo, out) = (root.join("theirs"), root.join("theirs-out"));
    let (source, out) = (source.to_str().unwrap(), out.to_str().unwrap());
    restic(&repo, &["init", "--repository-version", "2"]);
    let phases: [&[&str]; 5] = [
        &["backup", source],
        &["backup", source],
        &["check", "--read-data"],
        &["restore", "latest", "--target", out],
        &["restore", "latest", "--target", out],
    ];
    phases.map(|args| timed(|| restic(&repo, args)).0).to_vec()
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let folder = args.next().expect("the folder to work in");
    let mib: usize = args.next().map_or(1024, |text| text.parse().expect("MiB"));
    let scratch = tempfile::Builder::new().prefix("vault-bench-").tempdir_in(folder).unwrap();
    let source = scratch.path().join("data");
    make_data(&source, mib);
    let ours = ours(scratch.path(), &source).await;
    let theirs = theirs(scratch.path(), &source);
    println!("{mib} MiB, {} files; seconds", SMALL_FILES + 1);
    println!("{:<36} {:>9} {:>9}", "", "lifeboat", "restic");
    let phases =
        ["first snapshot", "second snapshot, nothing new", "check of the data", "restore", "restore over the same"];
    for ((phase, ours), theirs) in phases.iter().zip(ours).zip(theirs) {
        println!("{phase:<36} {ours:>9.2} {theirs:>9.2}");
    }
    println!("peak memory of lifeboat: {} MiB", peak_memory());
    for side in ["ours", "theirs"] {
        let bytes: u64 = sizes(&scratch.path().join(side));
        println!("size of the repository ({side}): {} MiB", bytes >> 20);
    }
}

/// Bytes of all files below a folder.
fn sizes(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| if entry.path().is_dir() { sizes(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}
