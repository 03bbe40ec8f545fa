//! Places: how many attempts of all runs may be under way at once, and who gets the next one.
//!
//! A run keeps the place of an attempt that ended for what follows in the same round, so that a chain needs one append a
//! step and not two. When other runs queue, it keeps it only for a while: else a wide run of long steps would hold every
//! place until its end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a run may hand a place on to its own next steps while other runs queue.
const KEEP_MS: u64 = 100;

/// All places of an engine.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    queue: AtomicUsize,
}

/// One place; given back when dropped.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    since: u64,
}

/// A turn in the queue for a place. It is kept over rounds: who drops it goes to the end of the queue.
pub(crate) struct Turn {
    places: Arc<Places>,
    permit: Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>,
}

impl Places {
    pub(crate) fn new(count: usize) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        Arc::new(Self { free, queue: AtomicUsize::new(0) })
    }

    /// A place, if one is free and nobody queues for it.
    pub(crate) fn take(&self, now: u64) -> Option<Place> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Place { _permit: permit, since: now })
    }

    pub(crate) fn queue(self: &Arc<Self>) -> Turn {
        self.queue.fetch_add(1, Ordering::AcqRel);
        let free = Arc::clone(&self.free);
        // The semaphore is never closed.
        Turn { places: Arc::clone(self), permit: Box::pin(async move { free.acquire_owned().await.ok() }) }
    }

    /// The place, unless it is time that somebody else gets it.
    pub(crate) fn keep(&self, place: Place, now: u64) -> Option<Place> {
        let others = self.queue.load(Ordering::Acquire) > 0;
        let long = now.saturating_sub(place.since) >= KEEP_MS;
        (!others || !long).then_some(place)
    }
}

impl Turn {
    /// Ready when it is this one's turn.
    pub(crate) async fn come(&mut self, now: impl Fn() -> u64) -> Option<Place> {
        let permit = self.permit.as_mut().await?;
        Some(Place { _permit: permit, since: now() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.places.queue.fetch_sub(1, Ordering::AcqRel);
    }
}
