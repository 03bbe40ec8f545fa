//! The thread that brings the index up to date, behind the acknowledgements.
//!
//! It gathers for a moment, so that a thousand appends become one sled batch. When sled fails it stops: what it does not
//! have stays in memory, and the next opening replays or rebuilds.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::index::Index;
use crate::replay::{Op, Position};
use crate::shared::Shared;

/// How long it gathers. The price is replaying that much after a crash.
const GATHER: Duration = Duration::from_millis(50);
/// How often sled's buffers are handed to the system: a crash loses what came after in sled (never in the journal).
const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// Changes that may wait before the writer has to: it bounds memory when sled is slower than the journal.
const WAITING_MAX: usize = 200_000;

#[derive(Debug, Default)]
struct Waiting {
    ops: Vec<Op>,
    position: Option<Position>,
    closed: bool,
    broken: bool,
}

/// What waits to be indexed.
#[derive(Debug, Default)]
pub(crate) struct IndexQueue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    room: Condvar,
}

impl IndexQueue {
    /// Adds the changes of a batch that ends with the frame at `position`.
    pub fn push(&self, ops: Vec<Op>, position: Position) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.ops.len() > WAITING_MAX && !waiting.broken {
            waiting = self.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.broken {
            return;
        }
        let first = waiting.ops.is_empty();
        waiting.ops.extend(ops);
        waiting.position = Some(position);
        drop(waiting);
        if first {
            self.wake.notify_one();
        }
    }

    /// Nothing more will come.
    pub fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.wake.notify_all();
    }

    /// Works until the queue is closed.
    pub fn run(&self, index: &mut Index, shared: &Arc<Shared>) {
        let mut flushed = Instant::now();
        loop {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            while waiting.ops.is_empty() && !waiting.closed {
                waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if !waiting.closed {
                let gather = self.wake.wait_timeout_while(waiting, GATHER, |waiting| !waiting.closed);
                waiting = gather.unwrap_or_else(PoisonError::into_inner).0;
            }
            let (ops, position, closed) = (std::mem::take(&mut waiting.ops), waiting.position.take(), waiting.closed);
            drop(waiting);
            self.room.notify_all();
            let mut result = position.map_or(Ok(()), |position| index.apply(&ops, position));
            if result.is_ok() {
                shared.indexed(&ops);
                if closed || flushed.elapsed() >= FLUSH_EVERY {
                    result = index.flush();
                    flushed = Instant::now();
                }
            }
            if let Err(cause) = result {
                tracing::warn!(cause, "the index in state/ failed; it is rebuilt from the journal at the next opening");
                self.give_up();
                return;
            }
            if closed {
                return;
            }
        }
    }

    fn give_up(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.broken = true;
        waiting.ops = Vec::new();
        drop(waiting);
        self.room.notify_all();
    }
}
