//! Rooms: how much of all runs together is in memory and at work at once.
//!
//! A run that is made is durable at once, and waits outside of memory until there is room for its plan. Runs come in by the
//! order in which they were made, so none starves. A run that only waits (for a person, a time, a lock) gives its room to
//! others: what it takes in memory is little against what a plan at work takes.

use std::sync::Arc;

use lifeboat_core::limits::STEPS_AT_WORK_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The rooms of an engine.
pub(crate) struct Rooms {
    free: Arc<Semaphore>,
}

/// Room for one run; given back when dropped.
pub(crate) struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

/// A plan that is larger than all room there is comes in alone.
fn weight(steps: usize) -> u32 {
    u32::try_from(steps.clamp(1, STEPS_AT_WORK_MAX)).unwrap_or(u32::MAX)
}

impl Rooms {
    pub(crate) fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(STEPS_AT_WORK_MAX)) }
    }

    /// Room for a plan of so many steps, if there is some now and nobody waits for it.
    pub(crate) fn try_enter(&self, steps: usize) -> Option<Room> {
        let permit = Arc::clone(&self.free).try_acquire_many_owned(weight(steps)).ok()?;
        Some(Room { _permit: Some(permit) })
    }

    /// Room for a plan of so many steps, when its turn has come. The semaphore is fair and never closed.
    pub(crate) async fn enter(&self, steps: usize) -> Room {
        Room { _permit: Arc::clone(&self.free).acquire_many_owned(weight(steps)).await.ok() }
    }
}
