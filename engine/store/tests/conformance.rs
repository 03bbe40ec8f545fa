//! One set of rules for every store: what holds for the one in memory holds for the one on disk, also over a reopening
//! and without its index.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::RunId;
use lifeboat_core::ports::{Append, Store, StoreError, chain};
use lifeboat_store::{EmbeddedStore, Key, MemoryStore, Options};

/// A store under test, and how to close and open it again.
trait Subject {
    fn store(&self) -> Arc<dyn Store>;
    /// Closes it and opens it again; what survives is up to the subject.
    fn reopen(&mut self);
}

struct Memory(Arc<MemoryStore>);

impl Subject for Memory {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0) as Arc<dyn Store>
    }
    fn reopen(&mut self) {}
}

struct Embedded {
    dir: tempfile::TempDir,
    store: Option<Arc<EmbeddedStore>>,
    without_state: bool,
    key: Option<Key>,
}

impl Embedded {
    fn new(without_state: bool, secret: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = secret.map(|secret| Key::new(secret.as_bytes().to_vec()));
        let store = Some(open(dir.path(), key.clone()));
        Self { dir, store, without_state, key }
    }
}

fn open(dir: &Path, key: Option<Key>) -> Arc<EmbeddedStore> {
    let options = Options { segment_bytes: 64 * 1024, key, ..Options::default() };
    Arc::new(EmbeddedStore::open(dir, options).unwrap().0)
}

impl Subject for Embedded {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(self.store.as_ref().unwrap()) as Arc<dyn Store>
    }
    fn reopen(&mut self) {
        let last = Arc::try_unwrap(self.store.take().unwrap());
        drop(last.expect("nobody else has the store"));
        if self.without_state {
            std::fs::remove_dir_all(self.dir.path().join("state")).unwrap();
        }
        self.store = Some(open(self.dir.path(), self.key.clone()));
    }
}

fn subjects() -> Vec<(&'static str, Box<dyn Subject>)> {
    vec![
        ("memory", Box::new(Memory(Arc::new(MemoryStore::new())))),
        ("embedded", Box::new(Embedded::new(false, None))),
        ("embedded, index deleted at each reopening", Box::new(Embedded::new(true, None))),
        ("encrypted", Box::new(Embedded::new(false, Some("a secret")))),
        ("encrypted, index deleted at each reopening", Box::new(Embedded::new(true, Some("a secret")))),
    ]
}

fn each<F: Future<Output = ()>>(check: impl Fn(Box<dyn Subject>) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (name, subject) in subjects() {
        println!("subject: {name}");
        runtime.block_on(check(subject));
    }
}

fn append(run: &RunId, expected: u64, epoch: u64, events: &[&str]) -> Append {
    let summary = format!("{{\"last\":{}}}", expected + events.len() as u64).into_bytes();
    let events = events.iter().map(|text| text.as_bytes().to_vec()).collect();
    Append { run: run.clone(), expected, epoch, events, summary }
}

#[test]
fn appends_are_read_back_in_order_with_their_chain() {
    each(|mut subject| async move {
        let run = RunId::new(1, 1);
        let store = subject.store();
        let head = store.append(append(&run, 0, 1, &["a", "b"])).await.unwrap();
        assert_eq!((head.seq, head.epoch, head.summary.as_slice()), (2, 1, b"{\"last\":2}".as_slice()));
        let head = store.append(append(&run, 2, 1, &["c"])).await.unwrap();
        drop(store);
        for _ in 0..3 {
            let store = subject.store();
            let all = store.read(&run, 0).await.unwrap();
            assert_eq!(
                all.iter().map(|e| (e.seq, e.bytes.as_slice())).collect::<Vec<_>>(),
                [(1, b"a".as_slice()), (2, b"b".as_slice()), (3, b"c".as_slice())]
            );
            let mut digest = [0; 32];
            for event in &all {
                digest = chain(&digest, &event.bytes);
                assert_eq!(event.chain, digest);
            }
            assert_eq!(head.chain, digest);
            for after in 0..5 {
                assert_eq!(store.read(&run, after).await.unwrap(), all.get(after as usize..).unwrap_or_default());
            }
            assert_eq!(store.head(&run).await.unwrap(), Some(head.clone()));
            drop((store, all));
            subject.reopen();
        }
    });
}

#[test]
fn a_wrong_expectation_stores_nothing_and_says_what_is_there() {
    each(|mut subject| async move {
        let run = RunId::new(1, 1);
        subject.store().append(append(&run, 0, 1, &["a", "b"])).await.unwrap();
        for _ in 0..2 {
            let store = subject.store();
            for expected in [0, 1, 3] {
                let refused = store.append(append(&run, expected, 1, &["x"])).await;
                assert_eq!(refused, Err(StoreError::Conflict { run: run.clone(), expected, actual: 2 }));
            }
            assert_eq!(store.read(&run, 0).await.unwrap().len(), 2);
            drop(store);
            subject.reopen();
        }
    });
}

#[test]
fn a_later_epoch_fences_off_an_earlier_one() {
    each(|mut subject| async move {
        let run = RunId::new(1, 1);
        subject.store().append(append(&run, 0, 3, &["a"])).await.unwrap();
        subject.store().append(append(&run, 1, 5, &["b"])).await.unwrap();
        subject.reopen();
        let store = subject.store();
        // Fencing is told before a conflict: whoever is fenced has nothing to read back.
        let refused = store.append(append(&run, 0, 4, &["x"])).await;
        assert_eq!(refused, Err(StoreError::Fenced { run: run.clone(), given: 4, current: 5 }));
        assert_eq!(store.append(append(&run, 2, 5, &["c"])).await.unwrap().seq, 3);
    });
}

#[test]
fn lists_all_runs_in_id_order() {
    each(|mut subject| async move {
        let store = subject.store();
        assert_eq!(store.list().await.unwrap(), []);
        assert_eq!(store.head(&RunId::new(1, 1)).await.unwrap(), None);
        assert_eq!(store.read(&RunId::new(1, 1), 0).await.unwrap(), []);
        for time in [5, 3, 9, 1] {
            store.append(append(&RunId::new(time, 7), 0, 1, &["a"])).await.unwrap();
        }
        let before = store.list().await.unwrap();
        assert_eq!(before.iter().map(|h| h.run.clone()).collect::<Vec<_>>(), [1, 3, 5, 9].map(|t| RunId::new(t, 7)));
        drop(store);
        subject.reopen();
        assert_eq!(subject.store().list().await.unwrap(), before);
    });
}

#[test]
fn documents_compare_their_version() {
    each(|mut subject| async move {
        let store = subject.store();
        assert_eq!(store.get_document("k").await.unwrap(), None);
        assert_eq!(store.put_document("k", 0, b"one".to_vec()).await, Ok(1));
        let refused = store.put_document("k", 0, b"two".to_vec()).await;
        assert_eq!(refused, Err(StoreError::DocumentConflict { key: "k".into(), expected: 0, actual: 1 }));
        assert_eq!(store.put_document("k", 1, b"two".to_vec()).await, Ok(2));
        drop(store);
        subject.reopen();
        let store = subject.store();
        let document = store.get_document("k").await.unwrap().unwrap();
        assert_eq!((document.version, document.value.as_slice()), (2, b"two".as_slice()));
        assert_eq!(store.put_document("k", 2, Vec::new()).await, Ok(3));
        let refused = store.put_document("other", 4, Vec::new()).await;
        assert_eq!(refused, Err(StoreError::DocumentConflict { key: "other".into(), expected: 4, actual: 0 }));
    });
}

#[test]
fn leases_change_hands_only_when_they_end() {
    each(|mut subject| async move {
        let store = subject.store();
        let first = store.acquire_lease("l", "a", 1_000, 500).await.unwrap();
        assert_eq!((first.holder.as_str(), first.epoch, first.expires_ms), ("a", 1, 1_500));
        assert_eq!(store.acquire_lease("l", "b", 1_499, 500).await.unwrap(), first);
        let renewed = store.acquire_lease("l", "a", 1_400, 500).await.unwrap();
        assert_eq!((renewed.epoch, renewed.expires_ms), (1, 1_900));
        drop(store);
        subject.reopen();
        let store = subject.store();
        assert_eq!(store.acquire_lease("l", "b", 1_899, 500).await.unwrap(), renewed);
        let taken = store.acquire_lease("l", "b", 1_900, 100).await.unwrap();
        assert_eq!((taken.holder.as_str(), taken.epoch), ("b", 2));
        // Who does not have it cannot give it back.
        store.release_lease("l", "a").await.unwrap();
        assert_eq!(store.acquire_lease("l", "a", 1_950, 100).await.unwrap(), taken);
        store.release_lease("l", "b").await.unwrap();
        drop(store);
        subject.reopen();
        let again = subject.store().acquire_lease("l", "b", 1_951, 100).await.unwrap();
        assert_eq!((again.holder.as_str(), again.epoch), ("b", 3));
    });
}

#[test]
fn watching_returns_at_once_or_when_there_is_more() {
    each(|subject| async move {
        let (run, store) = (RunId::new(1, 1), subject.store());
        let (waiting, other) = (Arc::clone(&store), run.clone());
        let watcher = tokio::spawn(async move { waiting.watch(&other, 1).await });
        store.append(append(&run, 0, 1, &["a"])).await.unwrap();
        assert_eq!(store.watch(&run, 0).await.unwrap().seq, 1);
        let idle = tokio::time::timeout(Duration::from_millis(50), store.watch(&run, 1)).await;
        assert!(idle.is_err(), "returned without an event");
        assert!(!watcher.is_finished());
        store.append(append(&run, 1, 1, &["b", "c"])).await.unwrap();
        assert_eq!(watcher.await.unwrap().unwrap().seq, 3);
    });
}

#[test]
fn what_is_over_a_limit_is_refused_with_a_code() {
    each(|mut subject| async move {
        let (run, store) = (RunId::new(1, 1), subject.store());
        let code = |result: Result<(), StoreError>| match result {
            Err(StoreError::Failed(error)) => error.code.0.into_owned(),
            other => panic!("not refused: {other:?}"),
        };
        let mut wide = append(&run, 0, 1, &["a"]);
        wide.summary = vec![b' '; 4097];
        assert_eq!(code(store.append(wide).await.map(drop)), "LB0604");
        let mut large = append(&run, 0, 1, &["a"]);
        large.events = vec![vec![0; lifeboat_core::limits::EVENT_BYTES_MAX + 1]];
        assert_eq!(code(store.append(large).await.map(drop)), "LB0604");
        assert_eq!(code(store.append(append(&run, 0, 1, &[])).await.map(drop)), "LB0607");
        assert_eq!(code(store.put_document("k", 0, vec![0; 16 * 1024 + 1]).await.map(drop)), "LB0604");
        assert_eq!(code(store.put_document("", 0, Vec::new()).await.map(drop)), "LB0607");
        assert_eq!(store.put_document("k", 0, vec![7; 16 * 1024]).await, Ok(1));
        assert_eq!(store.list().await.unwrap(), []);
        // The largest event there may be, far larger than a segment.
        let largest = vec![b'e'; lifeboat_core::limits::EVENT_BYTES_MAX];
        let mut fits = append(&run, 0, 1, &["a"]);
        fits.events.push(largest.clone());
        store.append(fits).await.unwrap();
        store.append(append(&run, 2, 1, &["after"])).await.unwrap();
        drop(store);
        subject.reopen();
        let all = subject.store().read(&run, 0).await.unwrap();
        assert_eq!(all.len(), 3);
        assert!(all[1].bytes == largest);
    });
}

#[test]
fn many_writers_at_once_all_get_their_own_answer() {
    each(|mut subject| async move {
        let store = subject.store();
        let mut writers = Vec::new();
        for writer in 0..40u64 {
            let store = Arc::clone(&store);
            writers.push(tokio::spawn(async move {
                // Two writers share each run: for each number exactly one of them wins.
                let run = RunId::new(1, writer / 2);
                let mut won = 0;
                for expected in 0..50 {
                    match store.append(append(&run, expected, 1, &["e"])).await {
                        Ok(head) => {
                            assert_eq!(head.seq, expected + 1);
                            won += 1;
                        }
                        Err(StoreError::Conflict { actual, .. }) if actual > expected => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                won
            }));
        }
        let mut won = 0;
        for writer in writers {
            won += writer.await.unwrap();
        }
        assert_eq!(won, 20 * 50);
        drop(store);
        subject.reopen();
        let store = subject.store();
        for run in 0..20 {
            assert_eq!(store.read(&RunId::new(1, run), 0).await.unwrap().len(), 50);
        }
    });
}
