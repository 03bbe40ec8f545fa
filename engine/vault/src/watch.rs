//! What all parts of one operation share: the sink, the wish to stop, and the first thing that went wrong.
//!
//! `rustic_core` works on threads of its own and logs some errors instead of returning them. Whatever of ours fails is
//! therefore noted here first, and the note is looked at before anything is made final.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lifeboat_core::Failure;
use lifeboat_core::ports::{AttemptSink, BoxFuture};
use rustic_core::{Progress, ProgressBars, ProgressType, RusticProgress};

use crate::cipher::Cipher;
use crate::error;
use crate::format::{BlobEntry, Id, PackNames, header_of, parse_header};

/// How often the sink hears of progress at most: often enough for a bar, seldom enough for a journal.
const BEAT: Duration = Duration::from_millis(100);

/// What was written and is in no index yet.
#[derive(Default)]
struct Written {
    cipher: Option<Cipher>,
    packs: BTreeMap<Id, Vec<BlobEntry>>,
}

/// The shared state of one operation.
pub(crate) struct Watch {
    sink: Arc<dyn AttemptSink>,
    first: Mutex<Option<Failure>>,
    abandoned: AtomicBool,
    holds: AtomicBool,
    closed: AtomicBool,
    written: Mutex<Written>,
    done: AtomicU64,
    total: AtomicU64,
    note: Mutex<&'static str>,
    beat: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// A watch that reports to the sink.
    pub(crate) fn new(sink: Arc<dyn AttemptSink>) -> Arc<Self> {
        Arc::new(Self {
            sink,
            first: Mutex::new(None),
            abandoned: AtomicBool::new(false),
            holds: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            written: Mutex::default(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            note: Mutex::new(""),
            beat: Mutex::new(None),
        })
    }

    /// A watch for short calls that nobody follows.
    pub(crate) fn silent() -> Arc<Self> {
        Self::new(Arc::new(Silent))
    }

    /// Notes a failure; only the first one is kept, as the others follow from it.
    pub(crate) fn note_failure(&self, failure: Failure) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(failure);
    }

    /// Takes the noted failure out.
    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The noted failure, left where it is.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From here on the library's own snapshot file is not written: the operation writes the final one itself.
    pub(crate) fn hold_snapshots(&self) {
        self.holds.store(true, Ordering::Relaxed);
    }

    /// Whether snapshot files of the library are held back.
    pub(crate) fn holds_snapshots(&self) -> bool {
        self.holds.load(Ordering::Relaxed)
    }

    /// From here on it is kept in mind which packs are in no index: an operation that fails writes one for them, so that
    /// the next one need not send them again.
    pub(crate) fn keep_in_mind(&self, cipher: &Cipher) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).cipher = Some(cipher.clone());
    }

    /// A pack is in the store.
    pub(crate) fn arrived(&self, id: rustic_core::Id, data: &[u8]) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(cipher) = &written.cipher else { return };
        let blobs = header_of(data).and_then(|sealed| parse_header(cipher.open(&mut sealed.to_vec())?));
        if let (Some(id), Some(blobs)) = (Id::parse(id.to_hex().as_str()), blobs) {
            written.packs.insert(id, blobs);
        }
    }

    /// An index file is in the store.
    pub(crate) fn indexed(&self, sealed: &[u8]) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(cipher) = &written.cipher else { return };
        let file = cipher.unseal_file(sealed).and_then(|text| serde_json::from_slice::<PackNames>(&text).ok());
        for pack in file.into_iter().flat_map(|file| file.packs) {
            written.packs.remove(&pack.id);
        }
    }

    /// Takes the packs that are in no index.
    pub(crate) fn take_unindexed(&self) -> BTreeMap<Id, Vec<BlobEntry>> {
        std::mem::take(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner).packs)
    }

    /// The operation is over: nothing more is written for it.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// An error once the operation is over, was asked to stop, or has failed.
    pub(crate) fn open(&self) -> Result<(), Failure> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(error::cancelled());
        }
        self.failure().map_or_else(|| self.go_on(), Err)
    }

    /// Nobody waits for the operation any more: it stops at its next step.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// An error once the attempt was asked to stop.
    pub(crate) fn go_on(&self) -> Result<(), Failure> {
        if self.abandoned.load(Ordering::Relaxed) || self.sink.cancelled() {
            let failure = error::cancelled();
            self.note_failure(failure.clone());
            return Err(failure);
        }
        Ok(())
    }

    /// A new stretch of work of so many bytes (0: not known yet).
    pub(crate) fn begin(&self, note: &'static str, total: u64) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        self.report(true);
    }

    /// The size of the stretch became known.
    pub(crate) fn set_total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// So many bytes more are done.
    pub(crate) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        self.report(false);
    }

    /// The stretch is done: the last figure is told in any case.
    pub(crate) fn end(&self) {
        self.report(true);
    }

    /// A line for the log of the attempt.
    pub(crate) fn log(&self, level: &str, message: &str) {
        self.sink.log(level, message);
    }

    fn report(&self, always: bool) {
        {
            let Ok(mut beat) = self.beat.try_lock() else { return };
            let now = Instant::now();
            if !always && beat.is_some_and(|last| now.duration_since(last) < BEAT) {
                return;
            }
            *beat = Some(now);
        }
        let total = self.total.load(Ordering::Relaxed);
        let note = *self.note.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.done.load(Ordering::Relaxed);
        self.sink.progress(done, (total > 0).then_some(total.max(done)), "bytes", note);
    }
}

/// Nobody listens.
struct Silent;

impl AttemptSink for Silent {
    fn progress(&self, _: u64, _: Option<u64>, _: &str, _: &str) {}
    fn log(&self, _: &str, _: &str) {}
    fn checkpoint<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
    fn cancelled(&self) -> bool {
        false
    }
}

/// The library's progress bars, led to the watch. Only bars of bytes are shown: the others are over in a moment.
#[derive(Clone, Debug)]
pub(crate) struct Bars(pub(crate) Arc<Watch>);

impl ProgressBars for Bars {
    fn progress(&self, kind: ProgressType, _prefix: &str) -> Progress {
        match kind {
            ProgressType::Bytes => Progress::new(Bar(self.0.clone())),
            ProgressType::Spinner | ProgressType::Counter => Progress::hidden(),
        }
    }
}

#[derive(Debug)]
struct Bar(Arc<Watch>);

impl RusticProgress for Bar {
    fn is_hidden(&self) -> bool {
        false
    }
    fn set_length(&self, len: u64) {
        self.0.set_total(len);
    }
    fn set_title(&self, _title: &str) {}
    fn inc(&self, inc: u64) {
        self.0.add(inc);
    }
    fn finish(&self) {
        self.0.end();
    }
}
