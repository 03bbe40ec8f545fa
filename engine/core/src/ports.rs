//! The ports: what the engine needs of the world, as traits. Adapters live in other crates.
//!
//! The traits return boxed futures of the standard library, so that this crate knows no async runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::ids::{Digest, RunId, StepId};
use crate::outcome::{Failure, Outcome, ProbeAnswer};
use crate::plan::{Mode, Plan, Step};

/// A future that can be sent to another thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An event as it is stored: the exact bytes, and the digest that chains it to the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the run, from 1.
    pub seq: u64,
    /// The exact bytes: one JSON object.
    pub bytes: Vec<u8>,
    /// [`chain`] of the bytes and the chain of the event before.
    pub chain: [u8; 32],
}

/// The chain digest: BLAKE3 over the chain of the event before (32 zero bytes for the first) and the exact stored bytes.
pub fn chain(previous: &[u8; 32], bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous);
    hasher.update(bytes);
    *hasher.finalize().as_bytes()
}

/// The events of one scheduling round of one run. All of them are stored, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The run.
    pub run: RunId,
    /// The sequence number of the last event that the writer knows; 0 for a new run.
    pub expected: u64,
    /// The writer's epoch. A store that has seen a later one for this run refuses.
    pub epoch: u64,
    /// The events' bytes, in order; at least one.
    pub events: Vec<Vec<u8>>,
    /// What a list of runs shows (a JSON object of at most 4 KiB). It replaces the one before.
    pub summary: Vec<u8>,
}

/// What a store knows of a run without reading its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunHead {
    /// The run.
    pub run: RunId,
    /// The sequence number of its last event.
    pub seq: u64,
    /// The highest epoch that wrote to it.
    pub epoch: u64,
    /// The chain digest of its last event.
    pub chain: [u8; 32],
    /// The newest summary.
    pub summary: Vec<u8>,
}

/// A small document with a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// From 1; grows by one with each write.
    pub version: u64,
    /// At most 16 KiB.
    pub value: Vec<u8>,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote to the run first. Nothing was stored.
    #[error("run {run} is at event {actual}, not at {expected}")]
    Conflict {
        /// The run.
        run: RunId,
        /// What the writer took for the last event.
        expected: u64,
        /// What it is.
        actual: u64,
    },
    /// A writer with a later epoch owns the run. Nothing was stored.
    #[error("run {run} is owned by epoch {current}, this writer has {given}")]
    Fenced {
        /// The run.
        run: RunId,
        /// The writer's epoch.
        given: u64,
        /// The owner's epoch.
        current: u64,
    },
    /// The document has another version than expected. Nothing was stored.
    #[error("document {key} has version {actual}, not {expected}")]
    DocumentConflict {
        /// The key.
        key: String,
        /// What the writer took for its version; 0: none.
        expected: u64,
        /// What it is.
        actual: u64,
    },
    /// It is not known whether it was stored: read back before anything else.
    #[error("{0}")]
    Indeterminate(crate::Error),
    /// It was not stored, or could not be read.
    #[error("{0}")]
    Failed(crate::Error),
}

/// Where events are kept. An append is durable when it returns: it survives the loss of power.
pub trait Store: Send + Sync + 'static {
    /// Appends the events of one round. One flush, shared with whoever appends at the same time.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<RunHead, StoreError>>;
    /// The events of a run after the sequence number `after`, in order. Empty where there is no such run.
    fn read<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<Vec<StoredEvent>, StoreError>>;
    /// The head of a run.
    fn head<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunHead>, StoreError>>;
    /// The heads of all runs, in id order.
    fn list(&self) -> BoxFuture<'_, Result<Vec<RunHead>, StoreError>>;
    /// A small document.
    fn get_document<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Document>, StoreError>>;
    /// Writes a small document if it still has the version `expected` (0: it must not exist). The new version.
    fn put_document<'a>(
        &'a self,
        key: &'a str,
        expected: u64,
        value: Vec<u8>,
    ) -> BoxFuture<'a, Result<u64, StoreError>>;
    /// Takes the lease for `holder` until `now_ms + ttl_ms`, renews it, or says who has it. The epoch grows with each
    /// change of holder.
    fn acquire_lease<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        now_ms: u64,
        ttl_ms: u64,
    ) -> BoxFuture<'a, Result<Lease, StoreError>>;
    /// Gives a lease back, if `holder` has it.
    fn release_lease<'a>(&'a self, name: &'a str, holder: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Waits until the run has an event after the sequence number `after`, and returns its head. Never returns for a run
    /// that nobody writes to: put a time-out around it.
    fn watch<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<RunHead, StoreError>>;
}

/// A store that is shared is one store.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<RunHead, StoreError>> {
        (**self).append(append)
    }

    fn read<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<Vec<StoredEvent>, StoreError>> {
        (**self).read(run, after)
    }

    fn head<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunHead>, StoreError>> {
        (**self).head(run)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<RunHead>, StoreError>> {
        (**self).list()
    }

    fn get_document<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Document>, StoreError>> {
        (**self).get_document(key)
    }

    fn put_document<'a>(
        &'a self,
        key: &'a str,
        expected: u64,
        value: Vec<u8>,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        (**self).put_document(key, expected, value)
    }

    fn acquire_lease<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        now_ms: u64,
        ttl_ms: u64,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        (**self).acquire_lease(name, holder, now_ms, ttl_ms)
    }

    fn release_lease<'a>(&'a self, name: &'a str, holder: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).release_lease(name, holder)
    }

    fn watch<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<RunHead, StoreError>> {
        (**self).watch(run, after)
    }
}

/// Who has a lease.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Lease {
    /// The holder; not the caller's name when somebody else has it.
    pub holder: String,
    /// Grows with each change of holder.
    pub epoch: u64,
    /// When it ends, in milliseconds since the Unix epoch.
    pub expires_ms: u64,
}

/// The time.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
    /// Ready when the time has come.
    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()>;
}

/// Randomness for ids and jitter.
pub trait Rng: Send + Sync + 'static {
    /// 64 random bits.
    fn next_u64(&self) -> u64;
}

/// Which way a step is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// `execute`.
    Forward,
    /// `compensate`.
    Undo,
    /// `cleanup`: what the run made is removed. See [`crate::ledger`].
    Cleanup,
}

/// One attempt, with all that an executor needs to know.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The run.
    pub run: RunId,
    /// Its plan: targets, plugins, mode.
    pub plan: Arc<Plan>,
    /// The step.
    pub step: StepId,
    /// Forward or undo.
    pub direction: Direction,
    /// From 1, counted over the step and direction.
    pub number: u32,
    /// Stable over all attempts of the step in this run, in both directions.
    pub key: Digest,
    /// The fencing token: see [`crate::fence`].
    pub token: u64,
    /// The mode of the run.
    pub mode: Mode,
    /// The arguments, with all references filled in.
    pub args: Value,
    /// The settings of each target it uses, by role, with all references filled in.
    pub settings: Vec<(String, Value)>,
    /// The last checkpoint of an earlier attempt.
    pub checkpoint: Option<Value>,
    /// For undo: the outputs of what is undone, where known.
    pub outputs: Option<Value>,
}

/// What an attempt tells while it is under way. All of it is a heartbeat.
pub trait AttemptSink: Send + Sync + 'static {
    /// How far it has come.
    fn progress(&self, done: u64, total: Option<u64>, unit: &str, note: &str);
    /// A line of its log; `level` is `debug`, `info`, `warn` or `error`.
    fn log(&self, level: &str, message: &str);
    /// A checkpoint, durable when the future is ready.
    fn checkpoint<'a>(&'a self, json: &'a str) -> BoxFuture<'a, Result<(), Failure>>;
    /// Whether the attempt was asked to stop.
    fn cancelled(&self) -> bool;
}

/// Carries out attempts. Dropping the future of an attempt ends it; what it did until then is unknown.
pub trait StepExecutor: Send + Sync + 'static {
    /// Does it (or undoes it, by the attempt's direction).
    fn execute(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, Outcome>;
    /// Whether a person may give these outputs for a step that the plugin did not carry out to its end: they fit the schema
    /// that the plugin declares.
    ///
    /// # Errors
    /// `LB0508` with what does not fit; the executor's own, when the plugin cannot be looked at.
    fn check_outputs(&self, plan: &Plan, step: &Step, outputs: &Value) -> Result<(), crate::Error>;
    /// Whether everything is there that the plan pins. A run whose plan is refused here is named and left as it is: none of
    /// its steps is begun, and none fails.
    ///
    /// # Errors
    /// `LB0701` a plugin is missing, `LB0702` it is not the one that the plan was made for.
    fn ready(&self, _plan: &Plan) -> Result<(), crate::Error> {
        Ok(())
    }
    /// Finds out whether an attempt with that key had its effect.
    fn probe(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, ProbeAnswer>;
}
