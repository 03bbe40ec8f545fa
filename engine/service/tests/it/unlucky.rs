//! A store to whose writes something happens: what, the test says.

use std::sync::Arc;

use lifeboat_core::ids::RunId;
use lifeboat_core::ports::{Append, BoxFuture, Document, Lease, RunHead, Store, StoreError, StoredEvent};

/// What becomes of a write.
pub enum Fate {
    /// It is done.
    Done,
    /// It is not done.
    Lost(StoreError),
    /// It is done, and nobody hears of it.
    Unheard(StoreError),
}

/// A write that is about to be done.
pub enum Write<'a> {
    /// Events of a run.
    Events,
    /// A document: its key, and its bytes.
    Document(&'a str, &'a [u8]),
}

/// Decides on each write.
pub type Fates = Box<dyn Fn(&Write<'_>) -> Fate + Send + Sync>;

pub struct Unlucky {
    store: Arc<dyn Store>,
    fates: Fates,
}

impl Unlucky {
    pub fn around(store: Arc<dyn Store>, fates: Fates) -> Arc<dyn Store> {
        Arc::new(Self { store, fates })
    }
}

impl Store for Unlucky {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<RunHead, StoreError>> {
        let fate = (self.fates)(&Write::Events);
        Box::pin(async move {
            match fate {
                Fate::Done => self.store.append(append).await,
                Fate::Lost(error) => Err(error),
                Fate::Unheard(error) => self.store.append(append).await.and(Err(error)),
            }
        })
    }

    fn put_document<'a>(
        &'a self,
        key: &'a str,
        expected: u64,
        value: Vec<u8>,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        let fate = (self.fates)(&Write::Document(key, &value));
        Box::pin(async move {
            match fate {
                Fate::Done => self.store.put_document(key, expected, value).await,
                Fate::Lost(error) => Err(error),
                Fate::Unheard(error) => self.store.put_document(key, expected, value).await.and(Err(error)),
            }
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
