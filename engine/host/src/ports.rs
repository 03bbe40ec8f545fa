//! The two ports of the host: what a vault needs of a plugin's `store`, and what a guest needs of a vault.
//!
//! The vault crate stands between them: it implements [`VaultProvider`] with an [`ObjectStore`] that the host makes out of
//! a plugin. Neither side knows the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use lifeboat_core::Failure;
pub use lifeboat_core::ports::{AttemptSink, BoxFuture};
pub use lifeboat_secrets::{Secret, Secrets};

/// An object in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Relative path with `/`.
    pub key: String,
    /// Bytes.
    pub size: u64,
}

/// One place for objects: a target, seen through the `store` export of its plugin. Every call is bounded as any guest
/// call is; bytes do not pass through guest memory.
pub trait ObjectStore: Send + Sync + 'static {
    /// Where it is, for people: `fs:/srv/vault`.
    fn location(&self) -> String;
    /// Every object whose key starts with the prefix.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Object>, Failure>>;
    /// The object, or `None`.
    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Object>, Failure>>;
    /// The bytes from the offset; all of the rest without a length.
    fn get<'a>(&'a self, key: &'a str, offset: u64, len: Option<u64>) -> BoxFuture<'a, Result<Bytes, Failure>>;
    /// All at once or not at all; overwrites; durable when it returns.
    fn put<'a>(&'a self, key: &'a str, data: Bytes) -> BoxFuture<'a, Result<(), Failure>>;
    /// A small object, only where there is nothing of that key, however many do it at once; `false`: there is something, and
    /// nothing was changed. A place that cannot hold that overwrites: who relies on it tries it out.
    fn put_new<'a>(&'a self, key: &'a str, data: Bytes) -> BoxFuture<'a, Result<bool, Failure>>;
    /// Deleting what is not there is done at once.
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>>;
}

/// A vault to be opened.
pub struct VaultTarget {
    /// The name of the target, for messages.
    pub name: String,
    /// The place.
    pub store: Arc<dyn ObjectStore>,
    /// The password of the repository.
    pub password: Secret,
    /// Whether to make the repository when there is none.
    pub create: bool,
    /// At most so many bytes a second are sent to it.
    pub upload_limit: Option<u64>,
}

/// What the vault crate gives to the host.
pub trait VaultProvider: Send + Sync + 'static {
    /// Opens a vault.
    fn open(&self, target: VaultTarget) -> BoxFuture<'_, Result<Arc<dyn Vault>, Failure>>;
}

/// How much of a snapshot is proved; see the `depth` of the WIT file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Names and trees.
    Index,
    /// Every byte read and hashed.
    Data,
    /// Restored to scratch, and compared.
    Restore,
}

/// A snapshot in a vault; the fields are those of the WIT file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SnapshotInfo {
    pub id: String,
    pub time_ms: u64,
    pub label: String,
    pub tags: Vec<String>,
    pub files: u64,
    pub bytes: u64,
    pub bytes_added: u64,
    pub parent: Option<String>,
}

/// The result of a check; the fields are those of the WIT file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CheckReport {
    pub files: u64,
    pub bytes: u64,
    pub problems: Vec<String>,
}

/// The result of a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RestoreReport {
    pub files: u64,
    pub bytes: u64,
}

/// An open vault. Folders are handed over as handles (`cap_std::fs::Dir`): the walk is native, and stays inside.
/// Every call reports progress to the sink and stops soon after `cancelled` turns true.
pub trait Vault: Send + Sync + 'static {
    /// For downcasts between vaults of one provider (`copy_to`).
    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync>;
    /// All that is below the folder; incremental on the newest snapshot with that label. `display` is the path that the
    /// snapshot records for people.
    fn snapshot(
        &self,
        source: Arc<cap_std::fs::Dir>,
        display: String,
        label: String,
        tags: Vec<String>,
        sink: Arc<dyn AttemptSink>,
    ) -> BoxFuture<'_, Result<SnapshotInfo, Failure>>;
    /// Newest last; with a tag: only those that have it.
    fn snapshots(&self, tag: Option<String>) -> BoxFuture<'_, Result<Vec<SnapshotInfo>, Failure>>;
    /// A full id, a unique beginning of one, or `latest`.
    fn find(&self, snapshot: String) -> BoxFuture<'_, Result<SnapshotInfo, Failure>>;
    /// Proves a snapshot.
    fn check(
        &self,
        snapshot: String,
        depth: Depth,
        sink: Arc<dyn AttemptSink>,
    ) -> BoxFuture<'_, Result<CheckReport, Failure>>;
    /// Restores; what is there already with the right content is left as it is. Files are durable when it returns.
    fn restore(
        &self,
        snapshot: String,
        into: Arc<cap_std::fs::Dir>,
        sink: Arc<dyn AttemptSink>,
    ) -> BoxFuture<'_, Result<RestoreReport, Failure>>;
    /// Copies a snapshot to another vault, only what is missing there.
    fn copy_to(
        &self,
        snapshot: String,
        other: Arc<dyn Vault>,
        tags: Vec<String>,
        sink: Arc<dyn AttemptSink>,
    ) -> BoxFuture<'_, Result<SnapshotInfo, Failure>>;
    /// Why snapshots look as if what they were taken of had been tampered with, by id, each held against the earlier ones of
    /// its label; those that do not are left out. All of them, or the one of that full id.
    fn doubts(&self, snapshot: Option<String>) -> BoxFuture<'_, Result<BTreeMap<String, Vec<String>>, Failure>>;
    /// Removes a snapshot from the list; its data is freed by a prune.
    fn forget(&self, snapshot: String) -> BoxFuture<'_, Result<(), Failure>>;
}
