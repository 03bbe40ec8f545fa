//! One set of rules for every store: what holds for the one in memory holds for the one on disk, also over a reopening
//! and without its index.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::RunId;
use lifeboat_core::ports::{Append, Store, StoreError, chain};
use lifeboat_store::{EmbeddedStore, MemoryStore, Options};

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
}

impl Embedded {
    fn new(without_state: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(open(dir.path()));
        Self { dir, store, without_state }
    }
}

fn open(dir: &Path) -> Arc<EmbeddedStore> {
    let options = Options { segment_bytes: 64 * 1024, ..Options::default() };
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
        self.store = Some(open(self.dir.path()));
    }
}

fn subjects() -> Vec<(&'static str, Box<dyn Subject>)> {
    vec![
        ("memory", Box::new(Memory(Arc::new(MemoryStore::new())))),
        ("embedded", Box::new(Embedded::new(false))),
        ("embedded, index deleted at each reopening", Box::new(Embedded::new(true))),
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
            break_ref(&mut subject);
        }
    });
}

/// Reopens; the caller has dropped its handle.
fn break_ref(subject: &mut Box<dyn Subject>) {
    subject.reopen();
}
