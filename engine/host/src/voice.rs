//! The voice of one guest call: what it logs and reports goes through here to the attempt's sink, capped; and the way
//! back, the question whether to stop, is asked here.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lifeboat_core::limits::{CHECKPOINT_BYTES_MAX, LOG_LINES_PER_ATTEMPT_MAX};
use lifeboat_core::ports::{AttemptSink, BoxFuture};
use lifeboat_core::{Code, Failure};

use crate::bounds::PROGRESS_INTERVAL_MS;
use crate::fault::cut;

struct Pending {
    sent: Option<Instant>,
    /// The newest report that was not passed on yet.
    held: Option<(u64, Option<u64>, String, String)>,
}

/// A sink around the attempt's sink. Also given to vaults, so that their work stops with the call it is done for.
pub struct Voice {
    sink: Arc<dyn AttemptSink>,
    stopped: AtomicBool,
    lines: AtomicUsize,
    last_error: Mutex<Option<String>>,
    progress: Mutex<Pending>,
}

impl Voice {
    /// A voice that speaks to this sink.
    pub fn new(sink: Arc<dyn AttemptSink>) -> Arc<Self> {
        Arc::new(Self {
            sink,
            stopped: AtomicBool::new(false),
            lines: AtomicUsize::new(0),
            last_error: Mutex::new(None),
            progress: Mutex::new(Pending { sent: None, held: None }),
        })
    }

    /// Ends all native work that is still done for the call.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// The newest line of level `error`: the message of a panic, where the guest's hook logs one.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Passes on what is held back, and says how many lines were dropped.
    pub fn finish(&self) {
        let held = self.progress.lock().unwrap_or_else(PoisonError::into_inner).held.take();
        if let Some((done, total, unit, note)) = held {
            self.sink.progress(done, total, &unit, &note);
        }
        let dropped = self.lines.load(Ordering::Relaxed).saturating_sub(LOG_LINES_PER_ATTEMPT_MAX);
        if dropped > 0 {
            self.sink.log("warn", &format!("{dropped} more log lines of this attempt were dropped"));
        }
    }
}

impl AttemptSink for Voice {
    fn progress(&self, done: u64, total: Option<u64>, unit: &str, note: &str) {
        let mut pending = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let due = pending.sent.is_none_or(|at| at.elapsed() >= Duration::from_millis(PROGRESS_INTERVAL_MS));
        let (unit, note) = (cut(unit.to_owned()), cut(note.to_owned()));
        if due {
            pending.sent = Some(Instant::now());
            pending.held = None;
            drop(pending);
            self.sink.progress(done, total, &unit, &note);
        } else {
            pending.held = Some((done, total, unit, note));
        }
    }

    fn log(&self, level: &str, message: &str) {
        // Only so much is looked at as is kept, whatever the guest hands over.
        let message = cut(message.to_owned());
        if level == "error" {
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.clone());
        }
        if self.lines.fetch_add(1, Ordering::Relaxed) < LOG_LINES_PER_ATTEMPT_MAX {
            self.sink.log(level, &message);
        }
    }

    fn checkpoint<'a>(&'a self, json: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let too_much = |message: String| Failure { code: Some(Code::new("LB0708")), ..Failure::permanent(message) };
            if json.len() > CHECKPOINT_BYTES_MAX {
                let size = json.len();
                return Err(too_much(format!("a checkpoint of {size} bytes; the limit is {CHECKPOINT_BYTES_MAX}")));
            }
            if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(json) {
                return Err(too_much(format!("the checkpoint is no JSON: {error}")));
            }
            self.sink.checkpoint(json).await
        })
    }

    fn cancelled(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.sink.cancelled()
    }
}

/// A sink for calls that belong to no attempt: lines go to the host's own log.
pub struct Quiet;

impl AttemptSink for Quiet {
    fn progress(&self, _done: u64, _total: Option<u64>, _unit: &str, _note: &str) {}

    fn log(&self, level: &str, message: &str) {
        tracing::debug!(level, message, "a plugin says");
    }

    fn checkpoint<'a>(&'a self, _json: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async {
            Err(Failure::permanent("this call belongs to no attempt, so nothing can be kept for the next"))
        })
    }

    fn cancelled(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept {
        lines: Mutex<Vec<String>>,
        progress: Mutex<Vec<u64>>,
    }

    impl AttemptSink for Kept {
        fn progress(&self, done: u64, _: Option<u64>, _: &str, _: &str) {
            self.progress.lock().unwrap().push(done);
        }
        fn log(&self, _: &str, message: &str) {
            self.lines.lock().unwrap().push(message.to_owned());
        }
        fn checkpoint<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
            Box::pin(async { Ok(()) })
        }
        fn cancelled(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_flood_is_capped_and_counted_and_the_last_progress_arrives() {
        let kept = Arc::new(Kept::default());
        let voice = Voice::new(kept.clone());
        for number in 0..LOG_LINES_PER_ATTEMPT_MAX + 7 {
            voice.log("error", &format!("line {number}"));
            voice.progress(number as u64, None, "files", "");
        }
        voice.finish();
        let lines = kept.lines.lock().unwrap();
        assert_eq!(lines.len(), LOG_LINES_PER_ATTEMPT_MAX + 1);
        assert_eq!(lines.last().unwrap(), "7 more log lines of this attempt were dropped");
        assert_eq!(*kept.progress.lock().unwrap().last().unwrap(), LOG_LINES_PER_ATTEMPT_MAX as u64 + 6);
        assert_eq!(voice.last_error().unwrap(), format!("line {}", LOG_LINES_PER_ATTEMPT_MAX + 6));
    }

    #[tokio::test]
    async fn checkpoints_are_json_and_small() {
        let voice = Voice::new(Arc::new(Kept::default()));
        assert!(voice.checkpoint("{\"at\":1}").await.is_ok());
        assert!(voice.checkpoint("{").await.is_err());
        let large = format!("\"{}\"", "x".repeat(CHECKPOINT_BYTES_MAX));
        assert_eq!(voice.checkpoint(&large).await.unwrap_err().code, Some(Code::new("LB0708")));
    }
}
