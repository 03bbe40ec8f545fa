//! The embedded store: one process, one data folder.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use lifeboat_core::ports::{Append, BoxFuture, Document, Lease, RunHead, Store, StoreError, StoredEvent};
use lifeboat_core::{Error, RunId};
use tokio::sync::oneshot;

use crate::errors;
use crate::folder::Locked;
use crate::frame::Record;
use crate::index::Index;
use crate::indexer::IndexQueue;
use crate::open::{self, Opened, Options, Parts};
use crate::reader;
use crate::replay::Location;
use crate::seal::Seal;
use crate::shared::Shared;
use crate::writer::{Command, Queue, Reply, Writer};

/// A store in a folder of this machine. The folder belongs to it until it is dropped; dropping waits for what is under
/// way.
pub struct EmbeddedStore {
    reading: Arc<Reading>,
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
    // After the threads: the lock is given back when nothing writes any more.
    _lock: Locked,
}

/// What reading needs.
struct Reading {
    journal: PathBuf,
    seal: Option<Arc<Seal>>,
    index: Index,
    shared: Arc<Shared>,
}

impl EmbeddedStore {
    /// Opens the data folder, and makes it where it is missing. What was found and mended is told beside the store.
    ///
    /// # Errors
    /// `LB0601` another process has it, `LB0603` the disk is full, `LB0605` unknown format, `LB0606` the system refused;
    /// `LB0615` wrong key, `LB0616` no key, `LB0617` in the clear though there is a key, `LB0618` no key file, `LB0620` half encrypted.
    /// Damage is no error: it is in [`Opened`], and the runs that it does not touch go on.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Opened), Error> {
        let (parts, opened) = open::open(dir, &options)?;
        Ok((Self::start(parts, options)?, opened))
    }

    /// Starts the threads over what was opened.
    pub(crate) fn start(parts: Parts, options: Options) -> Result<Self, Error> {
        let Parts { lock, folder, index, model, active, next, marks } = parts;
        let shared = Arc::new(Shared::new(model));
        let waiting = Arc::new(IndexQueue::default());
        let queue = Arc::new(Queue::default());
        let reading = Arc::new(Reading {
            journal: folder.journal(),
            seal: folder.seal.clone(),
            index: index.reader(),
            shared: Arc::clone(&shared),
        });
        let mut writer =
            Writer::new(folder.journal(), options, Arc::clone(&shared), Arc::clone(&waiting), active, next);
        writer.seal.clone_from(&folder.seal);
        let mut store = Self { reading, queue: Arc::clone(&queue), threads: Vec::new(), _lock: lock };
        store.spawn("lifeboat-index", move || {
            let mut index = index;
            waiting.run(&mut index, &shared);
        })?;
        store.spawn("lifeboat-journal", move || writer.run(&queue))?;
        store.mark(marks)?;
        Ok(store)
    }

    /// Writes what is to be said of runs, durably.
    pub(crate) fn mark(&self, records: Vec<Record>) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        let (reply, answer) = std::sync::mpsc::channel();
        self.queue.push(Command::Mark(records, reply));
        match answer.recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(StoreError::Failed(error) | StoreError::Indeterminate(error))) => Err(error),
            Ok(Err(other)) => Err(errors::refused(&other.to_string())),
            Err(_) => Err(errors::closed()),
        }
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        let thread = thread.map_err(|cause| errors::io("start a thread", Path::new(name), &cause))?;
        self.threads.push(thread);
        Ok(())
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(command(reply));
        answer.await.unwrap_or_else(|_| Err(StoreError::Indeterminate(errors::closed())))
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").field("journal", &self.reading.journal).finish_non_exhaustive()
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.queue.close();
        // The writer closes the indexer's queue when it ends, so it is waited for first.
        while let Some(thread) = self.threads.pop() {
            let _ = thread.join();
        }
    }
}

impl Reading {
    fn events(&self, run: &RunId, after: u64) -> Result<Vec<StoredEvent>, Error> {
        // The recent places are taken before the index is read: what leaves them is in the index by then.
        let (head, recent) = {
            let inner = self.shared.read();
            inner.model.check_quarantine(run)?;
            let Some(head) = inner.model.heads.get(run) else { return Ok(Vec::new()) };
            ((head.seq, head.chain), inner.recent.get(run).cloned().unwrap_or_default())
        };
        if after >= head.0 {
            return Ok(Vec::new());
        }
        let mut locations: Vec<Location> = if recent.first().is_some_and(|location| location.first <= after + 1) {
            Vec::new()
        } else {
            self.index.locations(run, after).map_err(|cause| {
                Error::new("LB0606", "could not read the index in the data folder")
                    .with("cause", cause)
                    .hint("stop lifeboat and start it again: the index is rebuilt from the journal")
            })?
        };
        let known = locations.last().map_or(0, |location| location.last);
        locations.extend(recent.into_iter().filter(|location| location.first > known));
        reader::events(&self.journal, run, &locations, after, head, self.seal.as_deref())
    }
}

impl Store for EmbeddedStore {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<RunHead, StoreError>> {
        Box::pin(self.ask(|reply| Command::Append(append, reply)))
    }

    fn read<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<Vec<StoredEvent>, StoreError>> {
        Box::pin(async move {
            let (reading, run) = (Arc::clone(&self.reading), run.clone());
            let work = move || reading.events(&run, after).map_err(StoreError::Failed);
            match tokio::runtime::Handle::try_current() {
                Ok(handle) => {
                    handle.spawn_blocking(work).await.unwrap_or_else(|_| Err(StoreError::Failed(errors::closed())))
                }
                Err(_) => work(),
            }
        })
    }

    fn head<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunHead>, StoreError>> {
        Box::pin(async move { self.reading.shared.head(run) })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<RunHead>, StoreError>> {
        Box::pin(async move { Ok(self.reading.shared.list()) })
    }

    fn get_document<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Document>, StoreError>> {
        Box::pin(async move { Ok(self.reading.shared.document(key)) })
    }

    fn put_document<'a>(
        &'a self,
        key: &'a str,
        expected: u64,
        value: Vec<u8>,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(self.ask(move |reply| Command::Put(key.to_owned(), expected, value, reply)))
    }

    fn acquire_lease<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        now_ms: u64,
        ttl_ms: u64,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(self.ask(move |reply| Command::Acquire(name.to_owned(), holder.to_owned(), now_ms, ttl_ms, reply)))
    }

    fn release_lease<'a>(&'a self, name: &'a str, holder: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.ask(move |reply| Command::Release(name.to_owned(), holder.to_owned(), reply)))
    }

    fn watch<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<RunHead, StoreError>> {
        Box::pin(self.reading.shared.watch(run, after))
    }
}
