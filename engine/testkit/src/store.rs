//! A store in memory that keeps the rules of the port and counts what was asked of it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use lifeboat_core::Error;
use lifeboat_core::event::Event;
use lifeboat_core::ids::RunId;
use lifeboat_core::ports::{Append, BoxFuture, Document, Lease, RunHead, Store, StoreError, StoredEvent, chain};
use tokio::sync::watch;

#[derive(Clone, Debug)]
struct Run {
    events: Vec<StoredEvent>,
    epoch: u64,
    summary: Vec<u8>,
}

impl Run {
    fn head(&self, run: &RunId) -> RunHead {
        let last = self.events.last();
        RunHead {
            run: run.clone(),
            seq: last.map_or(0, |event| event.seq),
            epoch: self.epoch,
            chain: last.map_or([0; 32], |event| event.chain),
            summary: self.summary.clone(),
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    runs: BTreeMap<RunId, Run>,
    documents: BTreeMap<String, Document>,
    leases: BTreeMap<String, Lease>,
    appends: u64,
}

/// The simulated store. An append takes one turn of the scheduler, so that others get between.
#[derive(Debug)]
pub struct SimStore {
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
}

impl Default for SimStore {
    fn default() -> Self {
        Self { inner: Mutex::default(), changed: watch::channel(0).0 }
    }
}

impl SimStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many appends were acknowledged.
    pub fn appends(&self) -> u64 {
        self.inner.lock().unwrap().appends
    }

    /// The events of a run, decoded.
    pub fn events(&self, run: &RunId) -> Vec<Event> {
        let inner = self.inner.lock().unwrap();
        let stored = inner.runs.get(run).map(|run| run.events.as_slice()).unwrap_or_default();
        stored.iter().map(|event| Event::decode(&event.bytes).unwrap()).collect()
    }

    /// A fresh store with all that is in this one: what an engine left that goes on writing to this one.
    pub fn copy(&self) -> Self {
        let fresh = Self::new();
        let (runs, documents) = {
            let inner = self.inner.lock().unwrap();
            (inner.runs.clone(), inner.documents.clone())
        };
        let mut inner = fresh.inner.lock().unwrap();
        (inner.runs, inner.documents) = (runs, documents);
        drop(inner);
        fresh
    }

    /// A fresh store with the first `count` events of a run, as if the engine had died right after them.
    pub fn prefix(&self, run: &RunId, count: usize) -> Self {
        let mut copy = self.inner.lock().unwrap().runs[run].clone();
        copy.events.truncate(count);
        let fresh = Self::new();
        fresh.inner.lock().unwrap().runs.insert(run.clone(), copy);
        fresh
    }

    /// Puts other bytes in the place of a stored event: a damaged log.
    pub fn damage(&self, run: &RunId, seq: u64, bytes: &[u8]) {
        let mut inner = self.inner.lock().unwrap();
        let events = &mut inner.runs.get_mut(run).unwrap().events;
        events.iter_mut().find(|event| event.seq == seq).unwrap().bytes = bytes.to_vec();
    }

    fn write(&self, append: Append) -> Result<RunHead, StoreError> {
        let mut inner = self.inner.lock().unwrap();
        let Append { run: id, expected, epoch, events, summary } = append;
        if events.is_empty() {
            return Err(StoreError::Failed(Error::new("LB0602", "an append without events")));
        }
        let (actual, current) = inner.runs.get(&id).map_or((0, 0), |run| (run.head(&id).seq, run.epoch));
        if epoch < current {
            return Err(StoreError::Fenced { run: id, given: epoch, current });
        }
        if expected != actual {
            return Err(StoreError::Conflict { run: id, expected, actual });
        }
        let empty = || Run { events: Vec::new(), epoch: 0, summary: Vec::new() };
        let run = inner.runs.entry(id.clone()).or_insert_with(empty);
        (run.epoch, run.summary) = (epoch, summary);
        let mut head = run.head(&id);
        for bytes in events {
            head.seq += 1;
            head.chain = chain(&head.chain, &bytes);
            run.events.push(StoredEvent { seq: head.seq, bytes, chain: head.chain });
        }
        inner.appends += 1;
        let appends = inner.appends;
        drop(inner);
        self.changed.send_replace(appends);
        Ok(head)
    }
}

impl Store for SimStore {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<RunHead, StoreError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.write(append)
        })
    }

    fn read<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<Vec<StoredEvent>, StoreError>> {
        let inner = self.inner.lock().unwrap();
        let events = inner.runs.get(run).map(|run| run.events.clone()).unwrap_or_default();
        Box::pin(async move { Ok(events.into_iter().filter(|event| event.seq > after).collect()) })
    }

    fn head<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunHead>, StoreError>> {
        let head = self.inner.lock().unwrap().runs.get(run).map(|found| found.head(run));
        Box::pin(async move { Ok(head) })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<RunHead>, StoreError>> {
        let heads = self.inner.lock().unwrap().runs.iter().map(|(id, run)| run.head(id)).collect();
        Box::pin(async move { Ok(heads) })
    }

    fn get_document<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Document>, StoreError>> {
        let found = self.inner.lock().unwrap().documents.get(key).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn put_document<'a>(
        &'a self,
        key: &'a str,
        expected: u64,
        value: Vec<u8>,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        let mut inner = self.inner.lock().unwrap();
        let actual = inner.documents.get(key).map_or(0, |document| document.version);
        let written = if actual == expected {
            inner.documents.insert(key.to_owned(), Document { version: actual + 1, value });
            Ok(actual + 1)
        } else {
            Err(StoreError::DocumentConflict { key: key.to_owned(), expected, actual })
        };
        Box::pin(async move { written })
    }

    fn acquire_lease<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        now_ms: u64,
        ttl_ms: u64,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        let mut inner = self.inner.lock().unwrap();
        let fresh = || Lease { holder: String::new(), epoch: 0, expires_ms: 0 };
        let lease = inner.leases.entry(name.to_owned()).or_insert_with(fresh);
        let mine = lease.holder == holder;
        if mine || lease.expires_ms <= now_ms {
            let epoch = if mine { lease.epoch } else { lease.epoch + 1 };
            *lease = Lease { holder: holder.to_owned(), epoch, expires_ms: now_ms + ttl_ms };
        }
        let lease = lease.clone();
        Box::pin(async move { Ok(lease) })
    }

    fn release_lease<'a>(&'a self, name: &'a str, holder: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        let mut inner = self.inner.lock().unwrap();
        if let Some(lease) = inner.leases.get_mut(name).filter(|lease| lease.holder == holder) {
            // The epoch stays, so that the next holder gets a later one.
            (lease.holder, lease.expires_ms) = (String::new(), 0);
        }
        Box::pin(async { Ok(()) })
    }

    fn watch<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<RunHead, StoreError>> {
        let mut changed = self.changed.subscribe();
        Box::pin(async move {
            loop {
                let head = self.inner.lock().unwrap().runs.get(run).map(|found| found.head(run));
                if let Some(head) = head.filter(|head| head.seq > after) {
                    return Ok(head);
                }
                if changed.changed().await.is_err() {
                    return Err(StoreError::Failed(Error::new("LB0602", "the store is gone")));
                }
            }
        })
    }
}
