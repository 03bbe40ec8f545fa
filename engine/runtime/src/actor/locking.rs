//! The locks of an actor's run: taken before anything begins, given back at the end.

use lifeboat_core::Error;
use lifeboat_core::documents::told;
use lifeboat_core::event::EventKind;
use lifeboat_core::state::Locks;

use super::Actor;
use crate::locks::Taking;

impl Actor {
    /// Takes the run's locks before anything of it begins.
    pub(super) async fn lock(&mut self) -> Result<(), Error> {
        let anew = std::mem::take(&mut self.locks_anew) && self.state.locks == Locks::Held;
        if !self.state.wants_locks() && !anew {
            if matches!(self.state.locks, Locks::Wanted { .. }) {
                // A paused run lets the others pass.
                self.inner.locks.leave(&self.state.run);
            }
            return Ok(());
        }
        // What changes while the locks are looked at is looked at again.
        self.locks_changed.borrow_and_update();
        let names = self.state.lock_names.clone();
        match self.inner.locks.take(&self.state.run, &names).await.map_err(told)? {
            Taking::Taken(fence) => self.happen(EventKind::LocksTaken { locks: names, fence }),
            Taking::Held(held) if self.state.locks == (Locks::Wanted { held: held.clone() }) => Ok(()),
            Taking::Held(held) => self.happen(EventKind::LocksAwaited { held }),
        }
    }

    /// Gives the locks back once the end of the run is durable.
    pub(super) async fn unlock(&mut self) {
        if self.state.result.is_none() {
            self.released = false;
        } else if !self.released && !self.state.lock_names.is_empty() {
            self.released = true;
            match self.state.continued_as {
                // They are the other run's.
                Some(_) => self.inner.locks.leave(&self.state.run),
                None => self.inner.locks.release(&self.state.run, &self.state.lock_names).await,
            }
        }
    }

    /// Whether the locks that it waits for come free by themselves.
    pub(super) fn lock_comes_free(&self) -> bool {
        matches!(&self.state.locks, Locks::Wanted { held } if self.inner.locks.will_come_free(held))
    }
}
