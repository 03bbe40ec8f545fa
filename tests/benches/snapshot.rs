//! Snapshot, check of every byte, and restore through the plugin `fs`, beside stock restic on the same data. The bar is
//! 1.0: not slower than restic. Both write repositories of version 2 with its default compression.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use lifeboat_host::ports::{Depth, Secret};
use lifeboat_tests::bench::{heading, line, memory_kib, world};

const LARGE_MIB: usize = 384;
const SMALL_FILES: usize = 4_000;
const PHASES: [&str; 4] = ["first snapshot", "second snapshot, nothing new", "check of every byte", "restore"];

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let source = folder.path().join("source");
    make(&source);
    let theirs = restic(folder.path(), &source);
    let ours = world::runtime().block_on(lifeboat(folder.path(), &source));
    heading(&format!("{LARGE_MIB} MiB in one file and {SMALL_FILES} small files (lower is better)"));
    for ((phase, ours), theirs) in PHASES.iter().zip(ours).zip(theirs) {
        line(phase, ours, theirs, "s", "stock restic");
    }
    println!("peak memory of this process: {} MiB", memory_kib("VmHWM") / 1024);
}

fn make(source: &Path) {
    let mut random = blake3::Hasher::new().update(b"snapshot").finalize_xof();
    let mut chunk = vec![0; 1024 * 1024];
    std::fs::create_dir_all(source).unwrap();
    let mut large = std::fs::File::create(source.join("large")).unwrap();
    for _ in 0..LARGE_MIB {
        random.fill(&mut chunk);
        std::io::Write::write_all(&mut large, &chunk).unwrap();
    }
    for number in 0..SMALL_FILES {
        let folder = source.join(format!("d{:02}", number % 40));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(number.to_string()), format!("line {number}\n").repeat(400)).unwrap();
    }
    rustix::fs::sync();
}

async fn lifeboat(folder: &Path, source: &Path) -> Vec<f64> {
    let at = |path: &Path| {
        std::fs::create_dir_all(path).unwrap();
        Arc::new(Dir::open_ambient_dir(path, ambient_authority()).unwrap())
    };
    let host = world::host(folder);
    // Opened inside of each measure, as restic does: the key is derived from the password each time.
    let open = || {
        let store = world::object_store(&host, &folder.join("ours"));
        lifeboat_vault::open(store, Secret::new(b"bench".to_vec()), true)
    };
    drop(open().await.unwrap());
    let sink = || Arc::new(world::Deaf);
    let mut seconds = Vec::new();
    for _ in 0..2 {
        let start = Instant::now();
        let name = source.display().to_string();
        let vault = open().await.unwrap();
        vault.snapshot(at(source), name, "bench".into(), Vec::new(), sink()).await.unwrap();
        seconds.push(start.elapsed().as_secs_f64());
    }
    let start = Instant::now();
    let report = open().await.unwrap().check("latest".into(), Depth::Data, sink()).await.unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    seconds.push(start.elapsed().as_secs_f64());
    let start = Instant::now();
    open().await.unwrap().restore("latest".into(), at(&folder.join("ours-out")), sink()).await.unwrap();
    seconds.push(start.elapsed().as_secs_f64());
    seconds
}

fn restic(folder: &Path, source: &Path) -> Vec<f64> {
    let (repository, out) = (folder.join("theirs"), folder.join("theirs-out"));
    let run = |args: &[&str]| {
        let start = Instant::now();
        let mut command = Command::new("restic");
        command.arg("--no-cache").arg("-r").arg(&repository).args(args).env("RESTIC_PASSWORD", "bench");
        let output = command.output().expect("stock restic is needed: apt-get install restic");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Ours is durable when it returns; what restic wrote is made so inside its time.
        rustix::fs::sync();
        start.elapsed().as_secs_f64()
    };
    run(&["init", "--repository-version", "2"]);
    let source = source.to_str().unwrap();
    let restore = ["restore", "latest", "--target", out.to_str().unwrap()];
    vec![run(&["backup", source]), run(&["backup", source]), run(&["check", "--read-data"]), run(&restore)]
}
