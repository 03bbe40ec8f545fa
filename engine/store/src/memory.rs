//! A store without a disk: the same rules, for tests, checks and simulated runs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError, RwLock};

use lifeboat_core::RunId;
use lifeboat_core::ports::{Append, BoxFuture, Document, Lease, RunHead, Store, StoreError, StoredEvent, chain};

use crate::frame::Record;
use crate::model::{Model, View};
use crate::replay::{Location, Op};
use crate::shared::Shared;

/// A store in memory. What it holds ends with it.
#[derive(Debug, Default)]
pub struct MemoryStore {
    shared: Shared,
    events: RwLock<HashMap<RunId, Vec<StoredEvent>>>,
    /// One writer at a time, as the other adapters have it.
    writing: Mutex<VecDeque<StoreError>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a write fail that is still to come: the first call is for the next write, the second for the one after it.
    /// Nothing is stored by a failing write.
    pub fn fail_next_write(&self, error: StoreError) {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner).push_back(error);
    }

    fn write<T>(
        &self,
        judge: impl FnOnce(&View<'_>) -> Result<(Option<Record>, T), StoreError>,
    ) -> Result<T, StoreError> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = writing.pop_front() {
            return Err(error);
        }
        let (record, value) = {
            let shared = self.shared.read();
            judge(&View { base: &shared.model, over: &Model::default() })?
        };
        match record {
            Some(Record::Events(events)) => {
                let mut all = self.events.write().unwrap_or_else(PoisonError::into_inner);
                let stored = all.entry(events.run.clone()).or_default();
                let mut digest = events.before;
                let last = events.last();
                for (seq, bytes) in (events.first..).zip(events.events) {
                    digest = chain(&digest, &bytes);
                    stored.push(StoredEvent { seq, bytes, chain: digest });
                }
                drop(all);
                let head =
                    RunHead { run: events.run, seq: last, epoch: events.epoch, chain: digest, summary: events.summary };
                let nowhere = Location { segment: 0, offset: 0, bytes: 0, first: events.first, last };
                let ops = [Op::Run(head, nowhere)];
                self.shared.publish(&ops);
                self.shared.indexed(&ops);
            }
            Some(Record::Document { key, version, value }) => {
                self.shared.publish(&[Op::Document(key, Document { version, value }, 1)]);
            }
            Some(Record::Lease { name, lease }) => self.shared.publish(&[Op::Lease(name, lease)]),
            Some(Record::Lost(_) | Record::Set(_)) | None => {}
        }
        Ok(value)
    }
}

impl Store for MemoryStore {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<RunHead, StoreError>> {
        Box::pin(async move {
            self.write(|view| {
                let events = view.append(append)?;
                let (run, seq, epoch, chain) = (events.run.clone(), events.last(), events.epoch, events.after);
                let head = RunHead { run, seq, epoch, chain, summary: events.summary.clone() };
                Ok((Some(Record::Events(events)), head))
            })
        })
    }

    fn read<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<Vec<StoredEvent>, StoreError>> {
        Box::pin(async move {
            let all = self.events.read().unwrap_or_else(PoisonError::into_inner);
            let stored = all.get(run).map_or(&[][..], Vec::as_slice);
            Ok(stored.iter().filter(|event| event.seq > after).cloned().collect())
        })
    }

    fn head<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunHead>, StoreError>> {
        Box::pin(async move { self.shared.head(run) })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<RunHead>, StoreError>> {
        Box::pin(async move { Ok(self.shared.list()) })
    }

    fn get_document<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Document>, StoreError>> {
        Box::pin(async move { Ok(self.shared.document(key)) })
    }

    fn put_document<'a>(
        &'a self,
        key: &'a str,
        expected: u64,
        value: Vec<u8>,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            self.write(|view| view.put_document(key.to_owned(), expected, value).map(|(r, version)| (Some(r), version)))
        })
    }

    fn acquire_lease<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        now_ms: u64,
        ttl_ms: u64,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async move { self.write(|view| view.acquire(name, holder, now_ms, ttl_ms)) })
    }

    fn release_lease<'a>(&'a self, name: &'a str, holder: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.write(|view| Ok((view.release(name, holder), ()))) })
    }

    fn watch<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<RunHead, StoreError>> {
        Box::pin(self.shared.watch(run, after))
    }
}
