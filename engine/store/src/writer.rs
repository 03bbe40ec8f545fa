//! The one thread that writes the journal.
//!
//! It takes everything that waits, judges each wish against the durable state and what it planned before in the same
//! batch, writes all frames at once, flushes once, and only then publishes the new state and answers. A failed flush
//! means that nobody knows what is on the disk, and asking again would be answered with a lie (the kernel reports such
//! an error once): the writer then refuses everything until the folder is opened anew and the journal read back.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use lifeboat_core::Error;
use lifeboat_core::ports::{Append, Lease, RunHead, StoreError};
use tokio::sync::oneshot;

use crate::errors;
use crate::frame::{self, Place, Record};
use crate::indexer::IndexQueue;
use crate::model::{Model, View};
use crate::open::{Fault, Options};
use crate::replay::{Location, Op, Position};
use crate::seal::Seal;
use crate::segment::{self, Active};
use crate::shared::Shared;

/// Bytes after which a batch is written though more waits: it bounds memory and the wait of the first in it.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An answer to whoever waits; it may have gone away.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// As [`Reply`], for who waits without a future.
pub(crate) type Told = std::sync::mpsc::Sender<Result<(), StoreError>>;

/// A wish.
#[derive(Debug)]
pub(crate) enum Command {
    /// Append events.
    Append(Append, Reply<RunHead>),
    /// Write a document.
    Put(String, u64, Vec<u8>, Reply<u64>),
    /// Take a lease: name, holder, now, time to live.
    Acquire(String, String, u64, u64, Reply<Lease>),
    /// Give a lease back: name, holder.
    Release(String, String, Reply<()>),
    /// Write these records, which nothing else knows of yet: what an opening or a repair says of runs.
    Mark(Vec<Record>, Told),
}

/// What waits for the writer.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<(VecDeque<Command>, bool)>,
    wake: Condvar,
}

impl Queue {
    /// Puts a wish into the queue; not after it was closed: the wish's sender is dropped then.
    pub fn push(&self, command: Command) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.1 {
            return;
        }
        let first = state.0.is_empty();
        state.0.push_back(command);
        drop(state);
        if first {
            self.wake.notify_one();
        }
    }

    /// No more wishes are taken; the writer ends when it has done those that wait.
    pub fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.wake.notify_all();
    }

    /// Everything that waits, or nothing once it is closed and empty.
    fn drain(&self) -> Option<VecDeque<Command>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if !state.0.is_empty() {
                return Some(std::mem::take(&mut state.0));
            }
            if state.1 {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Tells whoever asked how it went.
type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The writer's own state.
pub(crate) struct Writer {
    /// Where the segments are.
    pub journal: PathBuf,
    /// How it was opened.
    pub options: Options,
    /// What readers see.
    pub shared: Arc<Shared>,
    /// What waits to be indexed.
    pub index: Arc<IndexQueue>,
    /// The segment being written; `None` before the first append and after one was given up.
    pub active: Option<Active>,
    /// The number of the next segment.
    pub next_segment: u64,
    /// The number of the next frame.
    pub next_frame: u64,
    /// Why nothing is written any more.
    pub sealed: Option<String>,
    /// Encrypts what is written, where the journal is encrypted.
    pub seal: Option<Arc<Seal>>,
    /// The owner of the last durable frame.
    owner: u64,
    batch: Batch,
}

/// How the journal goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    /// The number of the next segment.
    pub segment: u64,
    /// The number of the next frame.
    pub frame: u64,
    /// The owner of the last frame.
    pub owner: u64,
}

/// What is planned and not yet written.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    over: Model,
    ops: Vec<Op>,
    last: Option<Position>,
    frames: u64,
    owner: Option<u64>,
    done: Vec<Done>,
}

/// Makes the data of a segment durable, up to `end`.
fn flush_data(active: &Active, _path: &Path, _end: u64) -> io::Result<()> {
    #[cfg(feature = "mutants")]
    if lifeboat_core::mutant::is(lifeboat_core::mutant::Mutant::FlushSkipped) {
        return Ok(());
    }
    active.file.sync_data()?;
    #[cfg(feature = "mutants")]
    crate::witness::note(_path, _end);
    Ok(())
}

impl Writer {
    /// A writer that goes on after what was replayed.
    pub fn new(
        journal: PathBuf,
        options: Options,
        shared: Arc<Shared>,
        index: Arc<IndexQueue>,
        active: Option<Active>,
        next: Next,
    ) -> Self {
        let Next { segment: next_segment, frame: next_frame, owner } = next;
        let batch = Batch::default();
        Self {
            journal,
            options,
            shared,
            index,
            active,
            next_segment,
            next_frame,
            sealed: None,
            seal: None,
            owner,
            batch,
        }
    }

    /// Works until the queue is closed.
    pub fn run(mut self, queue: &Queue) {
        while let Some(commands) = queue.drain() {
            for command in commands {
                self.take(command);
                if self.batch.bytes.len() >= BATCH_BYTES_MAX {
                    // Whoever is in the batch is told; the thread goes on.
                    let _ = self.flush();
                }
            }
            let _ = self.flush();
        }
        self.index.close();
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Append(append, reply) => {
                let planned = self.plan(|view| view.append(append)).map(|events| {
                    let (run, seq, epoch, chain) = (events.run.clone(), events.last(), events.epoch, events.after);
                    let head = RunHead { run, seq, epoch, chain, summary: events.summary.clone() };
                    (Some(Record::Events(events)), head)
                });
                self.settle(planned, reply);
            }
            Command::Put(key, expected, value, reply) => {
                let planned = self.plan(|view| view.put_document(key, expected, value));
                self.settle(planned.map(|(record, version)| (Some(record), version)), reply);
            }
            Command::Acquire(name, holder, now, ttl, reply) => {
                let planned = self.plan(|view| view.acquire(&name, &holder, now, ttl));
                self.settle(planned, reply);
            }
            Command::Release(name, holder, reply) => {
                let planned = self.plan(|view| Ok((view.release(&name, &holder), ())));
                self.settle(planned, reply);
            }
            Command::Mark(records, reply) => self.mark(records, reply),
        }
    }

    fn mark(&mut self, records: Vec<Record>, told: Told) {
        let mut written = self.plan(|_| Ok(()));
        for record in records {
            written = written.and_then(|()| self.put(record));
        }
        self.batch.done.push(Box::new(move |result| drop(told.send(written.and(result)))));
    }

    fn plan<T>(&self, judge: impl FnOnce(&View<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(reason) = &self.sealed {
            return Err(StoreError::Failed(errors::sealed(reason)));
        }
        let shared = self.shared.read();
        judge(&View { base: &shared.model, over: &self.batch.over })
    }

    /// Puts a record into the batch; the answer leaves when the batch is durable.
    fn settle<T: Send + 'static>(&mut self, planned: Result<(Option<Record>, T), StoreError>, reply: Reply<T>) {
        let (record, value) = match planned {
            Ok(planned) => planned,
            Err(error) => {
                // A refusal may rest on what is planned in this batch, so it waits for it too.
                self.batch.done.push(Box::new(move |result| drop(reply.send(result.and(Err(error))))));
                return;
            }
        };
        let written = record.map_or(Ok(()), |record| self.put(record));
        let early = written.err();
        self.batch.done.push(Box::new(move |result| {
            let result = early.map_or(result, Err);
            drop(reply.send(result.map(|()| value)));
        }));
    }

    /// Encodes a record into the batch, in the segment where it has room.
    fn put(&mut self, record: Record) -> Result<(), StoreError> {
        let start = self.batch.bytes.len();
        let number = self.next_frame + self.batch.frames;
        let too_large = || StoreError::Failed(errors::refused("a record of more than 4 GiB"));
        let previous = self.batch.owner.unwrap_or(self.owner);
        let place = Place { number, batch: self.next_frame, previous };
        let mut header =
            frame::encode(&record, place, self.seal.as_deref(), &mut self.batch.bytes).ok_or_else(too_large)?;
        let bytes = header.frame_bytes();
        let fits = self.active.as_ref().is_some_and(|active| active.fits(start as u64 + bytes));
        let mut start = start;
        if !fits {
            // What was planned before ends its segment; this record opens the next one, in a batch of its own.
            self.batch.bytes.truncate(start);
            // If that fails, so does this one: it was judged on top of it.
            self.flush()?;
            self.roll(bytes).map_err(StoreError::Failed)?;
            start = 0;
            let place = Place { number: self.next_frame, batch: self.next_frame, previous: self.owner };
            header =
                frame::encode(&record, place, self.seal.as_deref(), &mut self.batch.bytes).ok_or_else(too_large)?;
        }
        let number = self.next_frame + self.batch.frames;
        let Some(active) = &self.active else {
            return Err(StoreError::Failed(errors::refused("no segment is open")));
        };
        let (segment, offset) = (active.number, active.end + start as u64);
        self.batch.frames += 1;
        self.batch.owner = Some(header.owner);
        self.batch.last = Some(Position { segment, offset, number });
        self.batch.over.apply(&record);
        let op = self.op(record, segment, offset, bytes);
        self.batch.ops.extend(op);
        Ok(())
    }

    fn op(&self, record: Record, segment: u64, offset: u64, bytes: u64) -> Option<Op> {
        let op = match record {
            Record::Events(events) => {
                let (first, last) = (events.first, events.last());
                let head = RunHead {
                    run: events.run,
                    seq: last,
                    epoch: events.epoch,
                    chain: events.after,
                    summary: events.summary,
                };
                Op::Run(head, Location { segment, offset, bytes, first, last })
            }
            Record::Document { key, version, value } => {
                Op::Document(key, lifeboat_core::ports::Document { version, value }, 1)
            }
            Record::Lease { name, lease } => Op::Lease(name, lease),
            Record::Set(set) => {
                let before = self.shared.read().model.heads.get(&set.run).map(|head| head.seq);
                Op::Set(set, before)
            }
            // A repair writes it into a segment, where it changes nothing but what is missing.
            Record::Lost(_) => return None,
        };
        Some(op)
    }

    /// Ends the segment and opens the next, with room for a frame of `need` bytes.
    fn roll(&mut self, need: u64) -> Result<(), Error> {
        if let Some(active) = self.active.take() {
            // The room that was not used is given back; if that fails it is only room.
            let _ = active.file.set_len(active.end);
        }
        let number = self.next_segment;
        let created = self
            .fault(Fault::Create)
            .and_then(|()| Active::create(&self.journal, number, self.next_frame, self.options.segment_bytes, need));
        let path = segment::path(&self.journal, number);
        let active = created.map_err(|cause| errors::io("make a segment of the journal", &path, &cause))?;
        self.next_segment += 1;
        self.active = Some(active);
        Ok(())
    }

    fn fault(&self, what: Fault) -> io::Result<()> {
        self.options.fault.as_ref().map_or(Ok(()), |fault| fault(what))
    }

    /// Writes and flushes the batch, publishes it, and answers everybody in it.
    fn flush(&mut self) -> Result<(), StoreError> {
        let batch = std::mem::take(&mut self.batch);
        let result = if batch.bytes.is_empty() { Ok(()) } else { self.write(&batch.bytes) };
        if result.is_ok() && !batch.ops.is_empty() {
            self.next_frame += batch.frames;
            self.owner = batch.owner.unwrap_or(self.owner);
            self.shared.publish(&batch.ops);
        }
        for done in batch.done {
            done(result.clone());
        }
        if let (Ok(()), Some(last)) = (&result, batch.last) {
            self.index.push(batch.ops, last);
        }
        self.batch.bytes = batch.bytes;
        self.batch.bytes.clear();
        self.batch.bytes.shrink_to(BATCH_BYTES_MAX);
        result
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let Some(active) = &self.active else { return Err(StoreError::Failed(errors::refused("no segment is open"))) };
        let (start, path) = (active.end, segment::path(&self.journal, active.number));
        if let Err(cause) = self.fault(Fault::Write).and_then(|()| active.file.write_all_at(bytes, start)) {
            // What was written of it is cut off, durably, so that it can never be read back as acknowledged.
            if let Err(second) = active.file.set_len(start).and_then(|()| active.file.sync_all()) {
                self.seal(&format!("{cause}; then: {second}"));
                return Err(StoreError::Indeterminate(errors::io("write to the journal", &path, &cause)));
            }
            // The next write opens a new segment, when there is room again.
            self.active = None;
            return Err(StoreError::Failed(errors::io("write to the journal", &path, &cause)));
        }
        if let Err(cause) =
            self.fault(Fault::Flush).and_then(|()| flush_data(active, &path, start + bytes.len() as u64))
        {
            self.seal(&cause.to_string());
            return Err(StoreError::Indeterminate(errors::io("flush the journal", &path, &cause)));
        }
        if let Some(active) = &mut self.active {
            active.end += bytes.len() as u64;
        }
        Ok(())
    }

    fn seal(&mut self, reason: &str) {
        tracing::error!(reason, "the journal takes no more writes");
        self.sealed = Some(reason.to_owned());
        self.active = None;
    }
}
