//! A store that is timed: how long durable writes take is what a service lives on.

use std::sync::Arc;
use std::time::Instant;

use lifeboat_core::ids::RunId;
use lifeboat_core::ports::{Append, BoxFuture, Document, Lease, RunHead, Store, StoreError, StoredEvent};

use crate::metrics::Metrics;

/// Whether the store took it. That somebody else was first is no fault of the store.
fn taken<T>(result: &Result<T, StoreError>) -> bool {
    !matches!(result, Err(StoreError::Failed(_) | StoreError::Indeterminate(_)))
}

/// The store below, with its writes timed. The engine of a service has to write through it.
pub struct Measured {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl Measured {
    /// A store over another one.
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }
}

impl Store for Measured {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<RunHead, StoreError>> {
        Box::pin(async move {
            let start = Instant::now();
            let result = self.store.append(append).await;
            self.metrics.wrote(start.elapsed(), taken(&result));
            result
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
        Box::pin(async move {
            let start = Instant::now();
            let result = self.store.put_document(key, expected, value).await;
            self.metrics.wrote(start.elapsed(), taken(&result));
            result
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
