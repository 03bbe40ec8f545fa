//! The store under `cargo xtask campaign power`: `durable_writer write FOLDER WRITERS` appends to many runs at once until
//! it is stopped, and prints a line for each acknowledgement; `durable_writer check FOLDER FILE` opens the store again and
//! looks for all that those lines name.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lifeboat_core::RunId;
use lifeboat_core::ports::{Append, Store, chain};
use lifeboat_store::{EmbeddedStore, Options};

/// Bytes of events that are written as fast as they can be. The disk of the campaign is small and in memory: what comes after
/// is written at a walk, so that it is not full before the power goes.
const FAST_BYTES: u64 = 12 * 1024 * 1024;
const WALK: Duration = Duration::from_millis(50);

type Any = Box<dyn std::error::Error + Send + Sync>;

/// Small, so that segments are made and ended during a campaign.
fn options() -> Options {
    Options { segment_bytes: 512 * 1024, ..Options::default() }
}

fn main() -> Result<(), Any> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match words.as_slice() {
        ["write", folder, writers] => runtime.block_on(write(Path::new(folder), writers.parse()?)),
        ["check", folder, file] => runtime.block_on(check(Path::new(folder), &std::fs::read_to_string(file)?)),
        _ => Err("durable_writer write FOLDER WRITERS | durable_writer check FOLDER FILE".into()),
    }
}

fn run(writer: u64) -> RunId {
    RunId::new(1, writer)
}

/// What an event holds is known from its place, so that any change of it is found.
fn event(writer: u64, seq: u64) -> Vec<u8> {
    let length = (seq * 37 % 400) as usize;
    format!("{{\"writer\":{writer},\"seq\":{seq},\"pad\":\"{}\"}}", "x".repeat(length)).into_bytes()
}

fn document(writer: u64, version: u64) -> Vec<u8> {
    format!("document {writer} {version}").into_bytes()
}

async fn write(folder: &Path, writers: u64) -> Result<(), Any> {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(folder, options())?.0);
    let written = Arc::new(AtomicU64::new(0));
    let mut all = Vec::new();
    for writer in 0..writers {
        all.push(tokio::spawn(append_for_ever(Arc::clone(&store), Arc::clone(&written), writer)));
    }
    for writer in all {
        writer.await??;
    }
    Ok(())
}

async fn append_for_ever(store: Arc<dyn Store>, written: Arc<AtomicU64>, writer: u64) -> Result<(), Any> {
    let (run, key) = (run(writer), format!("document-{writer}"));
    let mut seq = store.head(&run).await?.map_or(0, |head| head.seq);
    let mut version = store.get_document(&key).await?.map_or(0, |document| document.version);
    loop {
        let events: Vec<Vec<u8>> = (1..=1 + seq % 3).map(|next| event(writer, seq + next)).collect();
        let bytes = events.iter().map(|event| event.len() as u64).sum();
        if written.fetch_add(bytes, Ordering::Relaxed) > FAST_BYTES {
            tokio::time::sleep(WALK).await;
        }
        let append = Append { run: run.clone(), expected: seq, epoch: 1, events, summary: b"{}".to_vec() };
        let head = store.append(append).await?;
        seq = head.seq;
        say(&format!("event {writer} {seq} {}\n", hex(&head.chain)))?;
        if seq % 5 == 0 {
            version = store.put_document(&key, version, document(writer, version + 1)).await?;
            say(&format!("document {writer} {version}\n"))?;
        }
    }
}

/// One call for one line: what is stopped leaves whole lines.
fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn check(folder: &Path, acknowledged: &str) -> Result<(), Any> {
    let (store, opened) = EmbeddedStore::open(folder, options())?;
    if !opened.damage.is_empty() || !opened.quarantined.is_empty() {
        return Err(format!("damage is seen where only an unfinished write was cut off: {opened:?}").into());
    }
    let mut events: HashMap<u64, Vec<(u64, &str)>> = HashMap::new();
    let mut documents: HashMap<u64, u64> = HashMap::new();
    for line in acknowledged.lines() {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["event", writer, seq, digest] => events.entry(writer.parse()?).or_default().push((seq.parse()?, digest)),
            ["document", writer, version] => {
                let last = documents.entry(writer.parse()?).or_default();
                *last = version.parse::<u64>()?.max(*last);
            }
            _ => return Err(format!("a line that says nothing: {line}").into()),
        }
    }
    for (writer, told) in &events {
        has_events(&store, *writer, told).await?;
    }
    for (writer, version) in &documents {
        let found = store.get_document(&format!("document-{writer}")).await?.ok_or("a document is lost")?;
        if found.version < *version || found.value != document(*writer, found.version) {
            return Err(format!("document {writer}: version {version} was acknowledged, {found:?} is there").into());
        }
    }
    // The store takes more, too.
    store.put_document("checked", 0, b"yes".to_vec()).await.map(drop).or_else(|error| match error {
        lifeboat_core::ports::StoreError::DocumentConflict { .. } => Ok(()),
        other => Err(other),
    })?;
    println!("runs {}", events.len());
    println!("rebuilt {}", u64::from(opened.rebuilt.is_some()));
    println!("torn {}", opened.truncated);
    Ok(())
}

async fn has_events(store: &EmbeddedStore, writer: u64, told: &[(u64, &str)]) -> Result<(), Any> {
    let stored = store.read(&run(writer), 0).await?;
    let mut digests = vec![[0; 32]];
    for (seq, found) in (1..).zip(&stored) {
        if found.seq != seq || found.bytes != event(writer, seq) {
            return Err(format!("writer {writer}: event {seq} is not what was written").into());
        }
        digests.push(chain(digests.last().unwrap_or(&[0; 32]), &found.bytes));
    }
    for (seq, digest) in told {
        let found = digests.get(*seq as usize).map(|digest| hex(digest));
        if found.as_deref() != Some(digest) {
            let count = stored.len();
            return Err(format!("writer {writer}: event {seq} was acknowledged as {digest}; {count} are there").into());
        }
    }
    Ok(())
}
