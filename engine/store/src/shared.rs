//! What readers and the writer share: the durable state, and who waits for it to change.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use lifeboat_core::RunId;
use lifeboat_core::ports::{Document, RunHead, StoreError};
use tokio::sync::Notify;

use crate::model::Model;
use crate::replay::{Location, Op};

/// The durable state behind a lock, held only for moments.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    inner: RwLock<Inner>,
}

/// The durable state.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    /// Heads, documents, leases.
    pub model: Model,
    /// Frames that the index may not have yet.
    pub recent: HashMap<RunId, Vec<Location>>,
    watchers: HashMap<RunId, Arc<Notify>>,
}

impl Shared {
    /// Starts from a state.
    pub fn new(model: Model) -> Self {
        Self { inner: RwLock::new(Inner { model, ..Inner::default() }) }
    }

    /// The state, for reading.
    pub fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // Nothing panics while it holds the lock; and the state is changed by whole records only.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for changing.
    pub fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes changes that are durable now, and wakes who waits for them.
    pub fn publish(&self, ops: &[Op]) {
        let mut woken = Vec::new();
        {
            let mut inner = self.write();
            for op in ops {
                inner.take(op, &mut woken);
            }
        }
        for notify in woken {
            notify.notify_waiters();
        }
    }

    /// Forgets the places that the index has now.
    pub fn indexed(&self, ops: &[Op]) {
        let mut inner = self.write();
        for op in ops {
            if let Op::Run(head, location) = op
                && let Some(recent) = inner.recent.get_mut(&head.run)
            {
                recent.retain(|other| other.first > location.first);
                if recent.is_empty() {
                    inner.recent.remove(&head.run);
                }
            }
        }
    }

    /// The head of a run.
    pub fn head(&self, run: &RunId) -> Result<Option<RunHead>, StoreError> {
        let inner = self.read();
        inner.model.check_quarantine(run).map_err(StoreError::Failed)?;
        Ok(inner.model.heads.get(run).cloned())
    }

    /// The heads of all runs.
    pub fn list(&self) -> Vec<RunHead> {
        self.read().model.heads.values().cloned().collect()
    }

    /// A document.
    pub fn document(&self, key: &str) -> Option<Document> {
        self.read().model.documents.get(key).cloned()
    }

    /// Waits until a run has an event after `after`.
    pub async fn watch(&self, run: &RunId, after: u64) -> Result<RunHead, StoreError> {
        loop {
            let notify = {
                let mut inner = self.write();
                inner.model.check_quarantine(run).map_err(StoreError::Failed)?;
                if let Some(head) = inner.model.heads.get(run).filter(|head| head.seq > after) {
                    return Ok(head.clone());
                }
                let notify = Arc::clone(inner.watchers.entry(run.clone()).or_default());
                // Registered under the lock: a change after this moment wakes it.
                notify.notified_owned()
            };
            notify.await;
        }
    }
}

impl Inner {
    fn take(&mut self, op: &Op, woken: &mut Vec<Arc<Notify>>) {
        match op {
            Op::Run(head, location) => {
                self.recent.entry(head.run.clone()).or_default().push(*location);
                woken.extend(self.watchers.remove(&head.run));
                self.model.heads.insert(head.run.clone(), head.clone());
            }
            Op::Document(key, document, _) => {
                self.model.documents.insert(key.clone(), document.clone());
            }
            Op::Lease(name, lease) => {
                self.model.leases.insert(name.clone(), lease.clone());
            }
            Op::Set(set, _) => {
                let end = set.head.as_ref().map_or(0, |head| head.seq);
                if let Some(recent) = self.recent.get_mut(&set.run) {
                    recent.retain(|location| location.first <= end);
                }
                self.model.set(&set.run, set.head.as_ref(), set.quarantine.as_ref());
            }
            Op::Quarantine(run, reason) => {
                self.model.quarantined.insert(run.clone(), reason.clone());
            }
        }
    }
}
