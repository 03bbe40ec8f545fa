//! Storage over the network: the built binary with a vault in a bucket beside stock restic with its repository in another,
//! and an object from one region to another beside stock rclone. The same data, the same server, the same machine, and
//! restic's own format, compression and encryption on both sides. The bars: at least as fast as restic at no more memory, and
//! at least 0.9 of rclone's speed.
//!
//! It takes about a quarter of an hour and 16 GiB of disk. What is restored is compared, outside of the times. With the variable
//! `LIFEBOAT_BENCH` only that part is run: `large`, `small`, `memory` or `transfer`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod storage {
    pub mod data;
    pub mod lifeboat;
    pub mod measure;
    pub mod peers;
}

use std::path::{Path, PathBuf};

use lifeboat_servers::{Access, Kind, Server};
use storage::measure::{Measured, compare};
use storage::{data, lifeboat, peers};

const PHASES: [&str; 4] = ["first snapshot", "second, 1 % changed", "check of every byte", "restore"];

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let only = std::env::var("LIFEBOAT_BENCH").ok();
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if wanted("large") {
        vaults(&folder.path().join("large"), "one file of 4 GiB", data::large, data::change_large);
    }
    if wanted("small") {
        vaults(&folder.path().join("small"), "100,000 small files", data::small, data::change_small);
    }
    if wanted("memory") {
        memory(&folder.path().join("memory"));
    }
    if wanted("transfer") {
        transfer(&folder.path().join("transfer"));
    }
}

/// A region of its own for each: nobody's server is the fuller one.
fn region(folder: &Path, bucket: &str) -> Server {
    let server = Server::start(Kind::S3, folder).unwrap();
    peers::make_bucket(server.access(), bucket);
    server
}

fn vaults(folder: &Path, what: &str, make: fn(&Path), change: fn(&Path)) {
    let source = folder.join("source");
    type Tool = fn(&Path, &Access, &Path, &dyn Fn()) -> (Vec<Measured>, PathBuf);
    let tools: [(&str, Tool); 2] = [("lifeboat", lifeboat::vault), ("restic", peers::restic)];
    let results = tools.map(|(name, tool)| {
        let place = folder.join(name);
        let server = region(&place.join("server"), "bench");
        make(&source);
        let (measured, restored) = tool(&place, server.access(), &source, &|| change(&source));
        data::same(&source, &restored);
        drop(server);
        std::fs::remove_dir_all(&place).unwrap();
        std::fs::remove_dir_all(&source).unwrap();
        measured
    });
    compare(&format!("{what}, into a bucket"), "restic", &PHASES, &results);
}

/// What a snapshot holds in memory must not grow with what it is of.
fn memory(folder: &Path) {
    let (place, source) = (folder.join("lifeboat"), folder.join("source"));
    let server = region(&place.join("server"), "bench");
    data::huge(&source);
    let measured = lifeboat::snapshot(&place, server.access(), &source);
    println!("\nsnapshot of 20 GiB into a bucket: {:.1} s, peak {} MiB (bar: 512)", measured.seconds, measured.peak);
    std::fs::remove_dir_all(folder).unwrap();
}

fn transfer(folder: &Path) {
    let (here, there) = (region(&folder.join("here"), "bench"), region(&folder.join("there"), "bench"));
    let source = folder.join("source");
    data::object(&source);
    peers::rclone(here.access(), &["copy", source.to_str().unwrap(), ":s3:bench/data"]);
    std::fs::remove_dir_all(&source).unwrap();
    let ours = lifeboat::transfer(&folder.join("ours"), here.access(), there.access());
    let theirs = peers::transfer(here.access(), there.access());
    compare("2 GiB in 33 objects from one region to another", "rclone", &["transfer"], &[vec![ours], vec![theirs]]);
}
