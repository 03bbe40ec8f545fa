//! Shared locks in restic's format, so that a stock `restic prune` does not remove what we are reading or writing.
//!
//! A lock is a sealed JSON file below `locks/`, named by its own digest. It is renewed every few minutes; one that is
//! older than half an hour is stale, as for restic. We take shared locks only: nothing here deletes data. A vault that
//! cannot be written to (a copy on read-only media) can still be read: then the missing lock is logged and nothing
//! more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lifeboat_core::{Failure, FailureKind};
use rustic_core::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::backend::Place;
use crate::cipher::{Cipher, hex, sha256};
use crate::error::{IO, fail_hint};
use crate::watch::Watch;

/// How often a lock is renewed; restic's own figure.
const RENEW: Duration = Duration::from_secs(5 * 60);
/// From this age on a lock is stale; restic's own figure.
const STALE: Duration = Duration::from_secs(30 * 60);

/// What a lock file says.
#[derive(Debug, Serialize, Deserialize)]
struct LockFile {
    time: String,
    #[serde(default)]
    exclusive: bool,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
}

/// A lock that is held; it is given back on drop.
pub(crate) struct Lock {
    place: Place,
    key: Arc<Mutex<Option<String>>>,
    renewal: tokio::task::JoinHandle<()>,
}

impl Lock {
    /// Takes a shared lock. `writing` says whether the operation writes: then a lock that cannot be made is an error.
    pub(crate) fn shared(
        place: &Place,
        cipher: &Cipher,
        watch: &Watch,
        writing: bool,
    ) -> Result<Option<Self>, Failure> {
        refuse_exclusive(place, cipher)?;
        let key = match write(place, cipher) {
            Ok(key) => key,
            Err(failure) if !writing => {
                watch.log("warn", &format!("the vault is read without a lock: {}", failure.message));
                return Ok(None);
            }
            Err(failure) => return Err(failure),
        };
        let key = Arc::new(Mutex::new(Some(key)));
        let renewal = place.handle.spawn(renew(place.clone(), cipher.clone(), key.clone()));
        let lock = Self { place: place.clone(), key, renewal };
        // Whoever took an exclusive lock at the same moment looks again after writing it, as we do.
        refuse_exclusive(place, cipher)?;
        Ok(Some(lock))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewal.abort();
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(key) = key {
            // A lock that stays behind is stale after half an hour, and `restic unlock` removes it.
            if let Err(failure) = self.place.delete(&key) {
                tracing::warn!(key, "the lock of the vault could not be removed: {}", failure.message);
            }
        }
    }
}

/// Writes a new lock again and again and removes the one before.
async fn renew(place: Place, cipher: Cipher, key: Arc<Mutex<Option<String>>>) {
    loop {
        tokio::time::sleep(RENEW).await;
        let Some((fresh, data)) = sealed(&cipher) else { continue };
        if place.store.put(&fresh, data).await.is_err() {
            continue;
        }
        let old = key.lock().unwrap_or_else(PoisonError::into_inner).replace(fresh);
        if let Some(old) = old
            && let Err(failure) = place.store.delete(&old).await
        {
            tracing::warn!(old, "a renewed lock of the vault could not be removed: {}", failure.message);
        }
    }
}

fn write(place: &Place, cipher: &Cipher) -> Result<String, Failure> {
    let (key, data) = sealed(cipher).ok_or_else(|| Failure::temporary("this machine gives no random bytes"))?;
    place.put(&key, data)?;
    Ok(key)
}

/// A lock of this process, now: its key and its bytes.
fn sealed(cipher: &Cipher) -> Option<(String, bytes::Bytes)> {
    let file = LockFile {
        time: Timestamp::now().to_string(),
        exclusive: false,
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        username: crate::node::user_name(rustix::process::getuid().as_raw()).unwrap_or_default(),
        pid: std::process::id(),
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
    };
    let data = cipher.seal(&serde_json::to_vec(&file).ok()?)?;
    Some((format!("locks/{}", hex(&sha256(&data))), data.into()))
}

/// An exclusive lock that is not stale means that somebody may be deleting data at this moment.
fn refuse_exclusive(place: &Place, cipher: &Cipher) -> Result<(), Failure> {
    for (key, _) in place.list("locks/")? {
        // A lock that vanishes between the list and the read was given back.
        let Ok(data) = place.get(&key, 0, None) else { continue };
        let Some(file) = read(cipher, &data) else { continue };
        if file.exclusive && !is_stale(&file) {
            let mut failure = fail_hint(
                IO,
                format!(
                    "the vault at {} is locked by {}@{} (process {}) since {}",
                    place.store.location(),
                    file.username,
                    file.hostname,
                    file.pid,
                    file.time
                ),
                "wait until its prune or repair is done; if that process is dead, 'restic unlock' removes the lock",
            );
            failure.kind = FailureKind::Temporary;
            return Err(failure);
        }
    }
    Ok(())
}

fn read(cipher: &Cipher, data: &[u8]) -> Option<LockFile> {
    let mut data = data.to_vec();
    let text = cipher.open(&mut data)?;
    match text.first()? {
        b'{' => serde_json::from_slice(text).ok(),
        // A leading 2 says that zstd follows.
        2 => serde_json::from_slice(&zstd::bulk::decompress(text.get(1..)?, 1 << 20).ok()?).ok(),
        _ => None,
    }
}

fn is_stale(file: &LockFile) -> bool {
    let Ok(time) = file.time.parse::<Timestamp>() else { return false };
    let age = Timestamp::now().as_second().saturating_sub(time.as_second());
    age > i64::try_from(STALE.as_secs()).unwrap_or(i64::MAX)
}
