//! The end of an engine that is asked to stop: nothing new begins, what is under way may come to its end for a while, and what
//! is left then is handed back as after a crash: the next engine probes it, and it costs the step no retry.

use lifeboat_core::Error;
use lifeboat_core::ids::RunId;

use crate::engine::Engine;

/// How far an engine is with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// It is at work.
    Open,
    /// Nothing new begins.
    Soon,
    /// What is under way is left.
    Now,
}

pub(crate) fn handed_back(run: &RunId) -> Error {
    Error::new("LB0502", format!("run '{run}' was handed back: the engine is being stopped"))
        .hint("nothing is lost; the next engine goes on with it")
}

impl Engine {
    /// Stops the engine: nothing new begins, and attempts that are under way have `grace_ms` to come to their end. The number of
    /// runs that still had attempts under way then; those are in doubt, and whoever takes the run up again asks about them
    /// first. After this the engine carries nothing out.
    pub async fn close(&self, grace_ms: u64) -> usize {
        let inner = &self.inner;
        inner.closing.send_replace(Closing::Soon);
        let until = inner.parts.clock.now_ms().saturating_add(grace_ms);
        tokio::select! {
            // Each actor keeps a receiver: when the last has ended, nobody listens any more.
            () = inner.closing.closed() => return 0,
            () = inner.parts.clock.sleep_until(until) => {}
        }
        let left = inner.closing.receiver_count();
        inner.closing.send_replace(Closing::Now);
        inner.closing.closed().await;
        left
    }

    /// Whether the engine is being stopped.
    pub fn is_closing(&self) -> bool {
        *self.inner.closing.borrow() != Closing::Open
    }
}
