//! A store that fails on demand and remembers on demand, around any other store: before a write, after it, or from some event on for ever.

use std::sync::Mutex;

use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_core::ports::{Append, BoxFuture, Document, Lease, RunHead, Store, StoreError, StoredEvent};

/// What happens to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and nothing was stored.
    Before,
    /// It was stored, and the writer is told that nobody knows: the answer was lost.
    After,
}

#[derive(Debug, Default)]
struct Plan {
    appends: u64,
    events: u64,
    faults: Vec<(u64, Fault)>,
    cut_after: Option<u64>,
    slow: u64,
    /// What was stored, where it is remembered.
    stored: Option<Vec<Append>>,
}

/// The wrapper.
#[derive(Debug)]
pub struct CrashStore<S> {
    inner: S,
    plan: Mutex<Plan>,
}

impl<S: Store> CrashStore<S> {
    /// Around this store; nothing fails yet.
    pub fn new(inner: S) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    /// The append of that number, counted from 1 over all runs, fails like this.
    #[must_use]
    pub fn fail(self, append: u64, fault: Fault) -> Self {
        self.plan.lock().unwrap().faults.push((append, fault));
        self
    }

    /// The append that would store more than `events` events in all fails, and so does every later one.
    #[must_use]
    pub fn cut_after(self, events: u64) -> Self {
        self.plan.lock().unwrap().cut_after = Some(events);
        self
    }

    /// Every append takes so many turns of the scheduler longer; simulated time goes on meanwhile.
    #[must_use]
    pub fn slow(self, turns: u64) -> Self {
        self.plan.lock().unwrap().slow = turns;
        self
    }

    /// What is stored is remembered, for [`CrashStore::take_stored`].
    #[must_use]
    pub fn remembering(self) -> Self {
        self.plan.lock().unwrap().stored = Some(Vec::new());
        self
    }

    /// The appends that were stored since the last call, in order.
    ///
    /// # Panics
    /// When the store was not [`CrashStore::remembering`].
    pub fn take_stored(&self) -> Vec<Append> {
        std::mem::take(self.plan.lock().unwrap().stored.as_mut().unwrap())
    }

    /// Stores it, and remembers it where that is wished.
    async fn store(&self, append: Append) -> Result<RunHead, StoreError> {
        let copy = self.plan.lock().unwrap().stored.is_some().then(|| append.clone());
        let head = self.inner.append(append).await?;
        if let (Some(stored), Some(copy)) = (&mut self.plan.lock().unwrap().stored, copy) {
            stored.push(copy);
        }
        Ok(head)
    }

    /// The store inside, which never fails.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn fault(&self, append: &Append) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap();
        plan.appends += 1;
        plan.events += u64::try_from(append.events.len()).unwrap();
        if plan.cut_after.is_some_and(|limit| plan.events > limit) {
            return Some(Fault::Before);
        }
        plan.faults.iter().find(|(number, _)| *number == plan.appends).map(|(_, fault)| *fault)
    }
}

impl<S: Store> Store for CrashStore<S> {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<RunHead, StoreError>> {
        let fault = self.fault(&append);
        let slow = self.plan.lock().unwrap().slow;
        Box::pin(async move {
            for _ in 0..slow {
                tokio::task::yield_now().await;
            }
            match fault {
                None => self.store(append).await,
                Some(Fault::Before) => Err(StoreError::Failed(Error::new("LB0602", "no space left on device"))),
                Some(Fault::After) => {
                    self.store(append).await?;
                    Err(StoreError::Indeterminate(Error::new("LB0603", "the answer was lost")))
                }
            }
        })
    }

    fn read<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<Vec<StoredEvent>, StoreError>> {
        self.inner.read(run, after)
    }

    fn head<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunHead>, StoreError>> {
        self.inner.head(run)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<RunHead>, StoreError>> {
        self.inner.list()
    }

    fn get_document<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Document>, StoreError>> {
        self.inner.get_document(key)
    }

    fn put_document<'a>(
        &'a self,
        key: &'a str,
        expected: u64,
        value: Vec<u8>,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.inner.put_document(key, expected, value)
    }

    fn acquire_lease<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        now_ms: u64,
        ttl_ms: u64,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.inner.acquire_lease(name, holder, now_ms, ttl_ms)
    }

    fn release_lease<'a>(&'a self, name: &'a str, holder: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        self.inner.release_lease(name, holder)
    }

    fn watch<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<RunHead, StoreError>> {
        self.inner.watch(run, after)
    }
}
