//! What the host lends to a guest, under short names. Each of it is bounded by the operator's grants.

use crate::bindings::storage::lifeboat::plugin as wit;

pub use wit::bytes::{Pumped, Reader, Writer, digest, from_list, pump};
pub use wit::dir::{Directory, Entry, EntryKind};
pub use wit::sys::{Level, cancelled, monotonic_ns, now_ms, random, sleep_ms};
pub use wit::types::{Error, ErrorKind, Outcome, ProbeAnswer, Target};
pub use wit::vault::{CheckReport, Depth, Repository, RestoreReport, SnapshotInfo};

/// The rows of a query that only reads, over a copy of the SQLite database file at that path.
///
/// # Errors
/// What the database says of the file or of the query.
pub fn query_sqlite(at: &Directory, path: &str, query: &str) -> Result<Vec<Vec<String>>, Error> {
    wit::sql::query_sqlite(at, path, query)
}

/// The folder that is the `root` of the target of that role.
///
/// # Errors
/// `refused` where no grant covers it; `not-found` where it is not there.
pub fn open_dir(role: &str) -> Result<Directory, Error> {
    wit::dir::open(role)
}

/// The vault that is the target of that role, made at first use when `create` is set.
///
/// # Errors
/// `not-found` where there is none; `refused` where the capability was not declared.
pub fn open_vault(role: &str, create: bool) -> Result<Repository, Error> {
    wit::vault::open(role, create)
}

/// A line for the run's log. It is also a heartbeat.
pub fn log(level: Level, message: &str) {
    wit::sys::log(level, message);
}

/// How far the attempt has come. It is also the heartbeat: what is silent for too long is taken for dead.
pub fn progress(done: u64, total: Option<u64>, unit: &str, note: &str) {
    wit::sys::progress(done, total, unit, note);
}

/// A fact that the next attempt and the undo get back, durable when this returns.
///
/// # Errors
/// When it cannot be stored, or is no fit for JSON.
pub fn checkpoint<T: serde::Serialize>(fact: &T) -> Result<(), Error> {
    let json = serde_json::to_string(fact).map_err(|error| Error {
        kind: ErrorKind::Permanent,
        message: format!("the checkpoint is no JSON: {error}"),
        hint: None,
    })?;
    wit::sys::checkpoint(&json)
}
