//! The service dies at each write to its store, before it and after it; and the next one goes on with what is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_core::ports::{Append, BoxFuture, Document, Lease, RunHead, Store, StoreError, StoredEvent};
use lifeboat_testkit::World;
use serde_json::json;
use tempfile::TempDir;

use crate::alerts::{book, message, runs};
use crate::bench::{Bench, Wish, until};

/// A store that is lost at its n-th write: before it, or right after it.
struct Dying {
    store: Arc<dyn Store>,
    writes: Arc<AtomicU64>,
    dies_at: u64,
    after: bool,
}

impl Dying {
    fn lost() -> StoreError {
        StoreError::Indeterminate(Error::new("LB0603", "the disk is gone"))
    }

    /// Whether this write is done, and whether it is told.
    fn turn(&self) -> (bool, bool) {
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        (number < self.dies_at || (self.after && number == self.dies_at), number < self.dies_at)
    }
}

impl Store for Dying {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<RunHead, StoreError>> {
        let (done, told) = self.turn();
        Box::pin(async move {
            let result = if done { self.store.append(append).await } else { Err(Self::lost()) };
            if told { result } else { Err(Self::lost()) }
        })
    }

    fn read<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<Vec<StoredEvent>, StoreError>> {
        self.store.read(run, after)
    }

    fn head<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunHead>, StoreError>> {
        self.store.head(run)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<RunHead>, StoreError>> {
        self.store.list()
    }

    fn get_document<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Document>, StoreError>> {
        self.store.get_document(key)
    }

    fn put_document<'a>(
        &'a self,
        key: &'a str,
        expected: u64,
        value: Vec<u8>,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        let (done, told) = self.turn();
        Box::pin(async move {
            let result = if done { self.store.put_document(key, expected, value).await } else { Err(Self::lost()) };
            if told { result } else { Err(Self::lost()) }
        })
    }

    fn acquire_lease<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        now_ms: u64,
        ttl_ms: u64,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.store.acquire_lease(name, holder, now_ms, ttl_ms)
    }

    fn release_lease<'a>(&'a self, name: &'a str, holder: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.release_lease(name, holder)
    }

    fn watch<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<RunHead, StoreError>> {
        self.store.watch(run, after)
    }
}

type Around = Box<dyn Fn(Arc<dyn Store>) -> Arc<dyn Store>>;

fn dying(writes: &Arc<AtomicU64>, dies_at: u64, after: bool) -> Around {
    let writes = Arc::clone(writes);
    Box::new(move |store| Arc::new(Dying { store, writes: Arc::clone(&writes), dies_at, after }))
}

/// A folder in which the tokens were made that are used: these writes are not counted.
async fn prepared(books: &[(&'static str, String)]) -> (Arc<TempDir>, String) {
    let bench = Bench::with(Wish { books: books.to_vec(), ..Wish::default() }).await;
    let root = bench.admin().await;
    let (_, folder) = bench.stop().await;
    (folder, root)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_has_one_run_wherever_the_service_dies() {
    let mut lives = 0;
    for after in [false, true] {
        for dies_at in 1.. {
            let books = book("chain", &json!({}));
            let (folder, root) = prepared(&books).await;
            let (world, writes) = (World::new(), Arc::new(AtomicU64::new(0)));
            let body = message("east", &[("a", true, 1_700_000_000)]);
            let wish = |around| Wish {
                folder: Some(Arc::clone(&folder)),
                world: Some(world.clone()),
                around,
                ..Wish::default()
            };
            let bench = Bench::with(wish(Some(dying(&writes, dies_at, after)))).await;
            let answer = bench.post("/v1/hooks/alertmanager", &root, &body).await;
            let accepted = answer.status == 200;
            assert!(accepted || answer.status == 503, "{answer:?}");
            // As far as it gets.
            for _ in 0..60 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                if writes.load(Ordering::SeqCst) >= dies_at {
                    break;
                }
            }
            let died = writes.load(Ordering::SeqCst) >= dies_at;
            bench.stop().await;
            let bench = Bench::with(wish(None)).await;
            if !accepted {
                // Who got no answer sends it again.
                crate::alerts::words(&bench, &root, &body).await;
            }
            until(Duration::from_secs(20), || async {
                let found = runs(&bench, &root).await;
                let open = bench.get("/v1/incidents", &root).await.json["incidents"].clone();
                found.len() == 1 && found[0].1 == "succeeded" && open[0]["phase"] == "ended"
            })
            .await;
            let run = runs(&bench, &root).await[0].0.clone();
            assert!((0..3).all(|n| world.entry(&run, &format!("s{n}")).happened == 1), "at write {dies_at}");
            assert_eq!(crate::alerts::words(&bench, &root, &body).await, ["repeated"]);
            bench.stop().await;
            lives += 1;
            if !died {
                break;
            }
        }
    }
    println!("{lives} lives");
    assert!(lives > 12, "{lives}: the writes of the service were met");
}
