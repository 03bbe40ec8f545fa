//! A backend of `rustic_core` over an object store, with the keys of restic's own layout.
//!
//! The library writes one pack after the other. Here a pack is sent beside others, as many as there is room for in
//! memory, and the library goes on; before an index file or a snapshot is written, all packs have arrived.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifeboat_core::Failure;
use lifeboat_host::ports::ObjectStore;
use rustic_core::{BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::cipher::{Cipher, hex, sha256};
use crate::making::Making;
use crate::watch::Watch;

/// So many bytes of packs may be on their way at once, in one vault, in MiB. A pack has 16 to 40 MiB in most vaults, so
/// that some go side by side; and it is the greater part of what a snapshot takes in memory.
const ROOM: u32 = 64;

/// How often something is read that is not what it has to be, before that is called damage.
pub(crate) const READS: u32 = 3;

/// How often it is asked whether a pack on its way is still wanted.
const ASK: Duration = Duration::from_millis(200);

/// An object store with the means to wait for it from a thread that is not a runtime's worker.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) handle: Handle,
    room: Arc<Semaphore>,
}

impl Place {
    /// A place, waited for on this runtime.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, handle: Handle) -> Self {
        Self { store, handle, room: Arc::new(Semaphore::new(ROOM as usize)) }
    }

    /// Sends an object beside others; returns when there is room for it. What goes wrong is noted by the watch.
    fn send(&self, watch: &Arc<Watch>, id: Id, key: String, data: Bytes) -> Result<(), Failure> {
        let mib = u32::try_from(data.len() >> 20).unwrap_or(ROOM).saturating_add(1).min(ROOM);
        let room = self.handle.block_on(Arc::clone(&self.room).acquire_many_owned(mib));
        let room = room.map_err(|_| Failure::temporary("the vault was closed"))?;
        watch.go_on()?;
        let (store, watch) = (Arc::clone(&self.store), Arc::clone(watch));
        self.handle.spawn(async move {
            // Dropped when the attempt is cancelled: it may wait for its turn on a slow line.
            let put = async {
                let mut put = store.put(&key, data.clone());
                loop {
                    if let Ok(done) = tokio::time::timeout(ASK, &mut put).await {
                        return done;
                    }
                    watch.go_on()?;
                }
            };
            match put.await {
                Ok(()) => watch.arrived(id, &data),
                Err(failure) => watch.note_failure(failure),
            }
            drop(room);
        });
        Ok(())
    }

    /// Waits until everything that was sent has arrived, or failed.
    pub(crate) fn settle(&self) {
        // All of the room is free at one moment. It is given out in the order in which it was asked for.
        drop(self.handle.block_on(self.room.acquire_many(ROOM)));
    }

    /// Bytes of an object.
    pub(crate) fn get(&self, key: &str, offset: u64, len: Option<u64>) -> Result<Bytes, Failure> {
        self.handle.block_on(self.store.get(key, offset, len))
    }

    /// An object whose name is the digest of its bytes. Bytes that are others are read again: they may have changed on the
    /// way. What is given back in the end may still be wrong, and the caller finds that it does not open.
    pub(crate) fn get_named(&self, key: &str) -> Result<Bytes, Failure> {
        let name = key.rsplit('/').next().unwrap_or_default();
        let mut tries = 0;
        loop {
            let data = self.get(key, 0, None)?;
            tries += 1;
            if tries >= READS || hex(&sha256(&data)) == name {
                return Ok(data);
            }
            tracing::warn!(key, "what was read is not what its name says; it is read again");
        }
    }

    /// A sealed object. Bytes that the key does not open are read again, as in [`Place::get_named`].
    pub(crate) fn get_sealed(&self, key: &str, cipher: &Cipher) -> Result<Bytes, Failure> {
        let mut tries = 0;
        loop {
            let data = self.get(key, 0, None)?;
            tries += 1;
            if tries >= READS || cipher.open(&mut data.to_vec()).is_some() {
                return Ok(data);
            }
            tracing::warn!(key, "what was read does not open; it is read again");
        }
    }

    /// Writes an object.
    pub(crate) fn put(&self, key: &str, data: Bytes) -> Result<(), Failure> {
        self.handle.block_on(self.store.put(key, data))
    }

    /// Writes a small object where there is nothing of that key; `false`: there is something, and it stays.
    pub(crate) fn put_new(&self, key: &str, data: Bytes) -> Result<bool, Failure> {
        self.handle.block_on(self.store.put_new(key, data))
    }

    /// The objects below a prefix: key and size.
    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, Failure> {
        let objects = self.handle.block_on(self.store.list(prefix))?;
        Ok(objects.into_iter().map(|object| (object.key, object.size)).collect())
    }

    /// The size of an object, if it is there.
    pub(crate) fn head(&self, key: &str) -> Result<Option<u64>, Failure> {
        Ok(self.handle.block_on(self.store.head(key))?.map(|object| object.size))
    }

    /// Deletes an object.
    pub(crate) fn delete(&self, key: &str) -> Result<(), Failure> {
        self.handle.block_on(self.store.delete(key))
    }
}

/// The key of a file of a repository.
pub(crate) fn key(kind: FileType, id: &Id) -> String {
    let hex = id.to_hex();
    match kind {
        FileType::Config => "config".to_owned(),
        FileType::Pack => format!("data/{}/{}", hex.as_str().get(..2).unwrap_or_default(), hex.as_str()),
        FileType::Index | FileType::Key | FileType::Snapshot => format!("{}/{}", kind.dirname(), hex.as_str()),
    }
}

/// The backend of one operation.
pub(crate) struct ObjectBackend {
    pub(crate) place: Place,
    pub(crate) watch: Arc<Watch>,
    /// The key of the repository, once it is known: it proves what is read in parts.
    pub(crate) cipher: Option<Cipher>,
    /// Who else makes this repository.
    pub(crate) making: Making,
}

impl std::fmt::Debug for ObjectBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ObjectBackend({})", self.place.store.location())
    }
}

impl ObjectBackend {
    /// Notes the failure, so that it is told as it is, and gives the library an error of its own kind.
    fn told<T>(&self, key: &str, result: Result<T, Failure>) -> RusticResult<T> {
        result.map_err(|failure| {
            let error = RusticError::new(ErrorKind::Backend, format!("{key}: {}", failure.message.replace('`', "'")));
            self.watch.note_failure(failure);
            error
        })
    }
}

impl ReadBackend for ObjectBackend {
    fn location(&self) -> String {
        self.place.store.location()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        if kind == FileType::Config {
            let size = self.told("config", self.place.head("config"))?;
            return Ok(size.map(|size| (Id::default(), fits(size))).into_iter().collect());
        }
        let prefix = format!("{}/", kind.dirname());
        let listed = self.told(&prefix, self.watch.go_on().and_then(|()| self.place.list(&prefix)))?;
        // Whatever is not named by an id is not of the repository: a half-written file of a store, for one.
        Ok(listed
            .into_iter()
            .filter_map(|(key, size)| {
                let name = key.rsplit('/').next().unwrap_or_default();
                (name.len() == 64).then(|| name.parse::<Id>().ok()).flatten().map(|id| (id, fits(size)))
            })
            .collect())
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        let key = key(kind, id);
        let read = || match (kind, &self.cipher) {
            (FileType::Config, Some(cipher)) => self.place.get_sealed(&key, cipher),
            // No key is known so far that could tell.
            (FileType::Config, None) => self.place.get(&key, 0, None),
            _ => self.place.get_named(&key),
        };
        self.told(&key, self.watch.go_on().and_then(|()| read()))
    }

    fn read_partial(&self, kind: FileType, id: &Id, _: bool, offset: u32, length: u32) -> RusticResult<Bytes> {
        let key = key(kind, id);
        let part = || self.place.get(&key, u64::from(offset), Some(u64::from(length)));
        let opens = |data: &Bytes| self.cipher.as_ref().is_none_or(|cipher| cipher.open(&mut data.to_vec()).is_some());
        let read = self
            .watch
            .go_on()
            .and_then(|()| part())
            // The library asks for one sealed blob at a time. Where it does not, this costs one more reading.
            .and_then(|data| if opens(&data) { Ok(data) } else { part() })
            .and_then(|data| {
                if data.len() == length as usize {
                    return Ok(data);
                }
                Err(crate::error::fail(
                    crate::error::DAMAGED,
                    format!("{key} ends at byte {} of {}", u64::from(offset) + data.len() as u64, offset + length),
                ))
            });
        self.told(&key, read)
    }

    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        key(kind, id)
    }
}

impl WriteBackend for ObjectBackend {
    fn write_bytes(&self, kind: FileType, id: &Id, _: bool, content: BytesList) -> RusticResult<()> {
        let key = key(kind, id);
        if kind == FileType::Pack {
            // The library's threads may outlive the operation, and the lock with it.
            let sent = self.watch.open().and_then(|()| self.place.send(&self.watch, *id, key.clone(), joined(content)));
            return self.told(&key, sent);
        }
        self.place.settle();
        if let Some(failure) = self.watch.failure() {
            // A pack did not arrive, or something of the source was not read and the library went on without it: nothing
            // that names it is written.
            return self.told(&key, Err(failure));
        }
        if kind == FileType::Snapshot && self.watch.holds_snapshots() {
            return Ok(());
        }
        let data = joined(content);
        let written = self.watch.open().and_then(|()| match kind {
            FileType::Key => self.making.key(&self.place, &key, &data),
            FileType::Config => self.making.config(&self.place, &data),
            _ => self.place.put(&key, data.clone()),
        });
        if written.is_ok() && kind == FileType::Index {
            self.watch.indexed(&data);
        }
        self.told(&key, written)
    }

    fn remove(&self, kind: FileType, id: &Id, _: bool) -> RusticResult<()> {
        let key = key(kind, id);
        self.told(&key, self.place.delete(&key))
    }
}

/// One buffer; without a copy where there is only one part.
fn joined(content: BytesList) -> Bytes {
    let size = content.size();
    let mut parts = content.into_vec();
    if parts.len() == 1 {
        return parts.pop().unwrap_or_default();
    }
    let mut whole = Vec::with_capacity(size);
    for part in parts {
        whole.extend_from_slice(&part);
    }
    whole.into()
}

/// Sizes of repository files are below 4 GiB by the format; a larger one is wrong in any case and compares unequal.
fn fits(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
