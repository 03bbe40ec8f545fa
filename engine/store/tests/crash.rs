//! A process that appends is killed at random moments, again and again, on one data folder: nothing it was told is
//! stored may be missing afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::RunId;
use lifeboat_core::ports::{Append, Store};
use lifeboat_store::{EmbeddedStore, Options};

const DIR: &str = "LIFEBOAT_STORE_CRASH_DIR";
const WRITERS: u64 = 16;
const KILLS: u64 = 24;

fn options() -> Options {
    Options { segment_bytes: 256 * 1024, ..Options::default() }
}

/// The process that is killed. Started without the folder's name, as with all other tests, it has nothing to do and
/// checks just that.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else {
        assert!(std::env::var_os(DIR).is_none());
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (store, _) = EmbeddedStore::open(Path::new(&dir), options()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let writers = (0..WRITERS).map(|writer| tokio::spawn(write_for_ever(Arc::clone(&store), writer)));
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

async fn write_for_ever(store: Arc<dyn Store>, writer: u64) {
    let run = RunId::new(1, writer);
    let mut seq = store.head(&run).await.unwrap().map_or(0, |head| head.seq);
    loop {
        let events: Vec<Vec<u8>> = (1..=1 + seq % 3).map(|n| event(writer, seq + n)).collect();
        let append = Append { run: run.clone(), expected: seq, epoch: 1, events, summary: b"{}".to_vec() };
        seq = store.append(append).await.unwrap().seq;
        // One call, one line: lines of several writers do not mix, and a killed process leaves none behind unwritten.
        let line = format!("ack {writer} {seq}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
        std::io::stdout().lock().flush().unwrap();
    }
}

fn event(writer: u64, seq: u64) -> Vec<u8> {
    let length = usize::try_from(seq * 37 % 400).unwrap();
    format!("{{\"writer\":{writer},\"seq\":{seq},\"pad\":\"{}\"}}", "x".repeat(length)).into_bytes()
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: HashMap<u64, u64> = HashMap::new();
    let (mut told, mut torn) = (0, 0);
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            let acks = lines.filter_map(|line| {
                // The last line may be cut; a cut number would be a smaller one, which is acknowledged too.
                let mut words = line.strip_prefix("ack ")?.split(' ').map(|word| word.parse::<u64>().ok());
                Some((words.next()??, words.next()??))
            });
            acks.collect::<Vec<_>>()
        });
        // Deterministic and scattered: from within the opening to long after it.
        std::thread::sleep(Duration::from_millis(3 + kill * 7919 % 281));
        child.kill().unwrap();
        child.wait().unwrap();
        for (writer, seq) in reader.join().unwrap() {
            told += 1;
            let last = acknowledged.entry(writer).or_default();
            *last = seq.max(*last);
        }
        if kill % 5 == 4 {
            std::fs::remove_dir_all(dir.path().join("state")).ok();
        }
        torn += check(dir.path(), &acknowledged);
    }
    println!("{KILLS} kills, {told} acknowledgements, {torn} torn bytes cut off, nothing lost");
    assert!(told > KILLS, "the child hardly wrote anything: {told}");
}

fn check(dir: &Path, acknowledged: &HashMap<u64, u64>) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (store, opened) = EmbeddedStore::open(dir, options()).unwrap();
    assert_eq!((opened.damage, opened.quarantined), (Vec::new(), Vec::new()));
    let files = lifeboat_store::read_only(dir).unwrap();
    for (writer, seq) in acknowledged {
        let run = RunId::new(1, *writer);
        let events = runtime.block_on(store.read(&run, 0)).unwrap();
        assert!(events.len() as u64 >= *seq, "writer {writer}: {} of {seq}", events.len());
        for (at, stored) in (1..).zip(&events) {
            assert_eq!(stored.seq, at);
            assert_eq!(stored.bytes, event(*writer, at));
        }
        assert_eq!(files.read(&run).unwrap(), events);
    }
    opened.truncated
}
