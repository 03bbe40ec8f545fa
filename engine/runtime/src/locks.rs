//! Locks on targets: two runs never act on one locked target at once.
//!
//! A run takes all of its locks at once, before it begins anything, and has them until it ends: so no two runs can wait for
//! each other. Who comes first gets them first. A lock is a small document that names its run, so that it outlives the
//! engine; a lock whose run has ended, or never came to be, is free, so that nothing hangs on a release that a crash
//! prevented. Where another run goes on with the one that it names, it is that one's.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lifeboat_core::event::HeldLock;
use lifeboat_core::ids::{Digest, RunId};
use lifeboat_core::ports::{Document, Store, StoreError};
use lifeboat_core::state::Summary;
use tokio::sync::watch;

/// The document that counts the takings of locks.
const FENCE: &str = "locks/fence";
/// How often a document that somebody else writes at the same time is tried again.
const TRIES: u32 = 64;

/// What came of the wish for locks.
pub(crate) enum Taking {
    /// All are taken, under this fence.
    Taken(u64),
    /// Other runs have some of them.
    Held(Vec<HeldLock>),
}

/// Whose a lock is.
enum Owned {
    ThisRun,
    AnotherRun(RunId),
    Nobody,
}

#[derive(Default)]
struct Queue {
    next: u64,
    /// Who waits, in the order of coming, with the names that are waited for.
    waiting: BTreeMap<u64, (RunId, Vec<String>)>,
    tickets: HashMap<RunId, u64>,
    /// The runs that go on by themselves in this engine.
    active: HashMap<RunId, bool>,
}

/// The locks of an engine's store.
pub(crate) struct Locks {
    store: Arc<dyn Store>,
    queue: Mutex<Queue>,
    /// One taking at a time: what is read is still so when it is written.
    taking: tokio::sync::Mutex<()>,
    changed: watch::Sender<u64>,
}

fn key(lock: &str) -> String {
    // A name may be a path of any length; a key may not.
    format!("locks/{}", Digest::of(lock.as_bytes()).short())
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Owner {
    lock: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<RunId>,
}

fn owner_of(document: Option<&Document>) -> Option<RunId> {
    serde_json::from_slice::<Owner>(&document?.value).ok()?.run
}

impl Locks {
    pub(crate) fn new(store: Arc<dyn Store>) -> Arc<Self> {
        let (changed, _) = watch::channel(0);
        Arc::new(Self { store, queue: Mutex::default(), taking: tokio::sync::Mutex::new(()), changed })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told whenever a lock may have become free, or a run came to rest or went on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn change(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// A run goes on by itself in this engine, or rests, or (`None`) is not carried on here any more.
    pub(crate) fn note(&self, run: &RunId, active: Option<bool>) {
        let mut queue = self.queue();
        let before = match active {
            Some(active) => queue.active.insert(run.clone(), active),
            None => queue.active.remove(run),
        };
        drop(queue);
        if active.is_none() {
            self.leave(run);
        }
        if before != active {
            self.change();
        }
    }

    /// Whether one of these holders goes on by itself in this engine, so that its locks will come free.
    pub(crate) fn will_come_free(&self, held: &[HeldLock]) -> bool {
        let queue = self.queue();
        held.iter().all(|held| queue.active.get(&held.holder) == Some(&true))
    }

    /// Takes all of these locks, or none.
    pub(crate) async fn take(&self, run: &RunId, names: &[String]) -> Result<Taking, StoreError> {
        let _one = self.taking.lock().await;
        let (mut held, mut free, mut own) = (Vec::new(), Vec::new(), 0);
        for name in names {
            let document = self.store.get_document(&key(name)).await?;
            match self.owner(document.as_ref(), run).await? {
                Owned::AnotherRun(holder) => held.push(HeldLock { lock: name.clone(), holder }),
                Owned::ThisRun => {
                    own += 1;
                    free.push((name, document));
                }
                Owned::Nobody => free.push((name, document)),
            }
        }
        if held.is_empty() && own == 0 {
            // Who has some already, from before a crash or from the run that it goes on with, stands in no queue: the others wait for it.
            held = self.before(run, names);
        } else if !held.is_empty() {
            self.before(run, names);
        }
        if !held.is_empty() {
            return Ok(Taking::Held(held));
        }
        for (name, document) in free {
            self.write(name, document, Some(run)).await?;
        }
        let fence = self.next_fence().await?;
        let mut queue = self.queue();
        let ticket = queue.tickets.remove(run);
        ticket.and_then(|ticket| queue.waiting.remove(&ticket));
        Ok(Taking::Taken(fence))
    }

    /// Which of these locks are in the hands of runs other than this one.
    pub(crate) async fn held_by_others(&self, run: &RunId, names: &[String]) -> Result<Vec<HeldLock>, StoreError> {
        let mut held = Vec::new();
        for name in names {
            let document = self.store.get_document(&key(name)).await?;
            if let Owned::AnotherRun(holder) = self.owner(document.as_ref(), run).await? {
                held.push(HeldLock { lock: name.clone(), holder });
            }
        }
        Ok(held)
    }

    /// Who came earlier and waits for one of these names. The run gets its place in the queue.
    fn before(&self, run: &RunId, names: &[String]) -> Vec<HeldLock> {
        let mut queue = self.queue();
        let ticket = queue.tickets.get(run).copied().unwrap_or_else(|| {
            queue.next += 1;
            let ticket = queue.next;
            queue.tickets.insert(run.clone(), ticket);
            queue.waiting.insert(ticket, (run.clone(), names.to_vec()));
            ticket
        });
        let earlier = queue.waiting.range(..ticket);
        earlier
            .filter_map(|(_, (holder, wanted))| {
                let lock = names.iter().find(|name| wanted.contains(name))?;
                Some(HeldLock { lock: lock.clone(), holder: holder.clone() })
            })
            .collect()
    }

    /// Whose this lock is, as `run` sees it. What a run had that another one goes on with is that one's, also before it is made.
    async fn owner(&self, document: Option<&Document>, run: &RunId) -> Result<Owned, StoreError> {
        let Some(mut holder) = owner_of(document) else { return Ok(Owned::Nobody) };
        let mut handed_on = false;
        loop {
            if holder == *run {
                return Ok(Owned::ThisRun);
            }
            #[cfg(feature = "mutants")]
            if lifeboat_core::mutant::is(lifeboat_core::mutant::Mutant::LockNotReleased) {
                return Ok(Owned::AnotherRun(holder));
            }
            let head = self.store.head(&holder).await?;
            let summary = head.and_then(|head| serde_json::from_slice::<Summary>(&head.summary).ok());
            match summary {
                Some(Summary { continued_as: Some(successor), .. }) => {
                    handed_on = true;
                    holder = successor;
                }
                Some(summary) if !summary.status.is_final() => return Ok(Owned::AnotherRun(holder)),
                None if handed_on => return Ok(Owned::AnotherRun(holder)),
                _ => return Ok(Owned::Nobody),
            }
        }
    }

    async fn write(&self, name: &str, document: Option<Document>, run: Option<&RunId>) -> Result<(), StoreError> {
        let owner = Owner { lock: name.chars().take(1_000).collect(), run: run.cloned() };
        let value = serde_json::to_vec(&owner).map_err(unwritable)?;
        let version = document.map_or(0, |document| document.version);
        self.store.put_document(&key(name), version, value).await.map(drop)
    }

    async fn next_fence(&self) -> Result<u64, StoreError> {
        let mut tries = 0;
        loop {
            let document = self.store.get_document(FENCE).await?;
            let last = document.as_ref().and_then(|document| serde_json::from_slice::<u64>(&document.value).ok());
            let next = last.unwrap_or(0) + 1;
            let value = serde_json::to_vec(&next).map_err(unwritable)?;
            match self.store.put_document(FENCE, document.map_or(0, |document| document.version), value).await {
                Ok(_) => return Ok(next),
                Err(StoreError::DocumentConflict { .. }) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The run does not wait any more.
    pub(crate) fn leave(&self, run: &RunId) {
        let mut queue = self.queue();
        let ticket = queue.tickets.remove(run);
        let left = ticket.and_then(|ticket| queue.waiting.remove(&ticket)).is_some();
        drop(queue);
        if left {
            self.change();
        }
    }

    /// Gives the locks of a run back that has ended. What cannot be given back is free all the same: its run has ended.
    pub(crate) async fn release(&self, run: &RunId, names: &[String]) {
        self.leave(run);
        #[cfg(feature = "mutants")]
        if lifeboat_core::mutant::is(lifeboat_core::mutant::Mutant::LockNotReleased) {
            return;
        }
        for name in names {
            let document = self.store.get_document(&key(name)).await.ok().flatten();
            if owner_of(document.as_ref()).as_ref() == Some(run)
                && let Err(error) = self.write(name, document, None).await
            {
                tracing::debug!(%run, lock = name, "the lock is not given back, and free all the same: {error}");
            }
        }
        self.change();
    }
}

fn unwritable(cause: serde_json::Error) -> StoreError {
    StoreError::Failed(lifeboat_core::Error::new("LB0503", "a lock cannot be written as JSON").with("cause", cause))
}
