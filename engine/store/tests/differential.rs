//! Random operations on both stores at once: every answer must be the same, over reopenings and deletions of the index.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use lifeboat_core::RunId;
use lifeboat_core::ports::{Append, Store};
use lifeboat_store::{EmbeddedStore, Key, MemoryStore, Options, read_only_with};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

#[derive(Clone, Debug)]
enum Step {
    /// Run, by how much the expectation is off, epoch, lengths of the events.
    Append(u64, i64, u64, Vec<usize>),
    /// Run, after.
    Read(u64, u64),
    /// Key, by how much the expectation is off, length.
    Put(u8, i64, usize),
    /// Name, holder, now, time to live.
    Acquire(u8, u8, u64, u64),
    /// Name, holder.
    Release(u8, u8),
    List,
    Reopen,
    ReopenWithoutIndex,
}

fn step() -> impl Strategy<Value = Step> {
    let off = prop_oneof![6 => Just(0i64), 1 => -2i64..3];
    let lengths = prop::collection::vec(prop_oneof![9 => 0usize..400, 1 => 0usize..40_000], 0..4);
    prop_oneof![
        12 => (0u64..5, off.clone(), 1u64..4, lengths).prop_map(|(r, o, e, l)| Step::Append(r, o, e, l)),
        4 => (0u64..6, 0u64..20).prop_map(|(r, a)| Step::Read(r, a)),
        3 => (0u8..3, off, 0usize..17_000).prop_map(|(k, o, l)| Step::Put(k, o, l)),
        3 => (0u8..2, 0u8..3, 0u64..100, 0u64..50).prop_map(|(n, h, t, l)| Step::Acquire(n, h, t, l)),
        1 => (0u8..2, 0u8..3).prop_map(|(n, h)| Step::Release(n, h)),
        1 => Just(Step::List),
        1 => Just(Step::Reopen),
        1 => Just(Step::ReopenWithoutIndex),
    ]
}

fn open(dir: &Path, key: Option<&Key>) -> EmbeddedStore {
    let options = Options { segment_bytes: 64 * 1024, key: key.cloned(), ..Options::default() };
    let (store, opened) = EmbeddedStore::open(dir, options).unwrap();
    assert_eq!((opened.truncated, opened.damage, opened.quarantined), (0, Vec::new(), Vec::new()));
    store
}

async fn compare(memory: &MemoryStore, disk: &EmbeddedStore, at: usize, step: &Step) {
    match step {
        Step::Append(run, off, epoch, lengths) => {
            let run = RunId::new(1, *run);
            let seq = memory.head(&run).await.unwrap().map_or(0, |head| head.seq);
            let append = Append {
                run,
                expected: seq.saturating_add_signed(*off),
                epoch: *epoch,
                events: lengths.iter().map(|length| vec![at as u8; *length]).collect(),
                summary: format!("{{\"at\":{at}}}").into_bytes(),
            };
            assert_eq!(disk.append(append.clone()).await, memory.append(append).await);
        }
        Step::Read(run, after) => {
            let run = RunId::new(1, *run);
            assert_eq!(disk.read(&run, *after).await, memory.read(&run, *after).await);
            assert_eq!(disk.head(&run).await, memory.head(&run).await);
        }
        Step::Put(key, off, length) => {
            let key = format!("key/{key}");
            let version = memory.get_document(&key).await.unwrap().map_or(0, |document| document.version);
            let (expected, value) = (version.saturating_add_signed(*off), vec![at as u8; *length]);
            let ours = disk.put_document(&key, expected, value.clone()).await;
            assert_eq!(ours, memory.put_document(&key, expected, value).await);
            assert_eq!(disk.get_document(&key).await, memory.get_document(&key).await);
        }
        Step::Acquire(name, holder, now, ttl) => {
            let (name, holder) = (format!("lease/{name}"), format!("holder {holder}"));
            let ours = disk.acquire_lease(&name, &holder, *now, *ttl).await;
            assert_eq!(ours, memory.acquire_lease(&name, &holder, *now, *ttl).await);
        }
        Step::Release(name, holder) => {
            let (name, holder) = (format!("lease/{name}"), format!("holder {holder}"));
            assert_eq!(disk.release_lease(&name, &holder).await, memory.release_lease(&name, &holder).await);
        }
        Step::List => assert_eq!(disk.list().await, memory.list().await),
        Step::Reopen | Step::ReopenWithoutIndex => {}
    }
}

#[test]
fn both_stores_give_the_same_answers() {
    same_answers(48, None);
}

#[test]
fn so_does_an_encrypted_one() {
    same_answers(24, Some(&Key::new(b"a secret".to_vec())));
}

fn same_answers(cases: u32, key: Option<&Key>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let steps = prop::collection::vec(step(), 1..120);
    let outcome = TestRunner::new_with_rng(config, rng).run(&steps, |steps| {
        let dir = tempfile::tempdir().unwrap();
        let memory = MemoryStore::new();
        let mut disk = open(dir.path(), key);
        for (at, step) in steps.iter().enumerate() {
            runtime.block_on(compare(&memory, &disk, at, step));
            if matches!(step, Step::Reopen | Step::ReopenWithoutIndex) {
                drop(disk);
                if matches!(step, Step::ReopenWithoutIndex) {
                    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
                }
                disk = open(dir.path(), key);
            }
        }
        let files = read_only_with(dir.path(), key).unwrap();
        let heads = runtime.block_on(memory.list()).unwrap();
        assert_eq!(files.list(), heads);
        for head in heads {
            let events = runtime.block_on(memory.read(&head.run, 0)).unwrap();
            assert_eq!(runtime.block_on(disk.read(&head.run, 0)).unwrap(), events);
            assert_eq!(files.read(&head.run).unwrap(), events);
        }
        Ok(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}
