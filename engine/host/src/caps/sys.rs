//! Log, progress, checkpoints, clock, randomness: lent to every guest.

use std::io::Read;
use std::time::Duration;

use lifeboat_core::limits::RANDOM_BYTES_MAX;
use lifeboat_core::ports::AttemptSink;

use crate::bindings::lifeboat::plugin::sys::{Host, Level};
use crate::fault::{Fault, Stop, from_failure};
use crate::guest::Guest;

impl Host for Guest {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.voice.log(level, &message);
        Ok(())
    }

    fn progress(&mut self, done: u64, total: Option<u64>, unit: String, note: String) -> wasmtime::Result<()> {
        self.voice.progress(done, total, &unit, &note);
        Ok(())
    }

    async fn checkpoint(&mut self, json: String) -> Result<(), Fault> {
        self.voice.checkpoint(&json).await.map_err(|failure| from_failure(failure).into())
    }

    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic_ns(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn random(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > RANDOM_BYTES_MAX {
            // The interface has no error here, and fewer bytes than asked for would be taken for all of them.
            let message = format!("it asked for {len} random bytes in one call; the limit is {RANDOM_BYTES_MAX}");
            return Err(Stop::Payload(message).into());
        }
        let mut bytes = vec![0; len];
        std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes))?;
        Ok(bytes)
    }

    async fn sleep_ms(&mut self, ms: u32) -> wasmtime::Result<()> {
        tokio::time::sleep(Duration::from_millis(u64::from(ms))).await;
        Ok(())
    }

    fn cancelled(&mut self) -> wasmtime::Result<bool> {
        Ok(self.voice.cancelled())
    }
}
