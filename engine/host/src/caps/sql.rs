//! Questions to databases that are files. The answer comes from a copy: the file in the target is only read.

use std::time::Duration;

use lifeboat_core::ports::AttemptSink;
use wasmtime::component::Resource;

use crate::bindings::lifeboat::plugin::sql::Host;
use crate::bindings::lifeboat::plugin::types::ErrorKind;
use crate::bounds::QUERY_MS_MAX;
use crate::caps::dir::{Directory, checked};
use crate::fault::{Fault, guest_error};
use crate::guest::{Guest, blocking};
use crate::query::Copy;

impl Host for Guest {
    async fn query_sqlite(
        &mut self,
        at: Resource<Directory>,
        path: String,
        query: String,
    ) -> Result<Vec<Vec<String>>, Fault> {
        self.context.need("sql")?;
        let (at, path) = (self.directory(&at)?, checked(&path)?);
        let voice = self.voice.clone();
        let copy = blocking(move || Copy::make(&at.dir, &path, &*voice)).await?;
        let stop = copy.stopper();
        let voice = self.voice.clone();
        let limit = Duration::from_millis(QUERY_MS_MAX).min(self.limit.saturating_sub(self.started.elapsed()));
        // If this future is dropped, the guard interrupts the query on its thread.
        let guard = Interrupt(stop);
        let mut rows = std::pin::pin!(blocking(move || copy.query(&query)));
        let end = tokio::time::Instant::now() + limit;
        loop {
            tokio::select! {
                result = &mut rows => return result,
                () = tokio::time::sleep(Duration::from_millis(100)) => {
                    if voice.cancelled() {
                        guard.0.interrupt();
                        return Err(guest_error(ErrorKind::Cancelled, "the attempt was cancelled during a query").into());
                    }
                    if tokio::time::Instant::now() >= end {
                        guard.0.interrupt();
                        let message = format!("the query took longer than {} ms", limit.as_millis());
                        return Err(guest_error(ErrorKind::Permanent, message).into());
                    }
                }
            }
        }
    }
}

struct Interrupt(rusqlite::InterruptHandle);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}
