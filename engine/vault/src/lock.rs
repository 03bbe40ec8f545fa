//! Locks in restic's format: shared ones while data is read or added, exclusive ones while it is deleted, so that stock
//! restic and other engines wait or refuse.
//!
//! A lock is a sealed JSON file below `locks/`, named by its own digest. It is renewed every few minutes; one that is
//! older than half an hour is stale, as for restic, and so is one of a process of this machine that is gone. A vault
//! that cannot be written to (a copy on read-only media) can still be read: then the missing lock is logged and nothing
//! more.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifeboat_core::{Failure, FailureKind};
use rustic_core::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::backend::Place;
use crate::cipher::{Cipher, hex, sha256};
use crate::error::{LOCKED, fail_hint};
use crate::session::Session;
use crate::watch::Watch;

/// How often a lock is renewed; restic's own figure.
const RENEW: Duration = Duration::from_secs(5 * 60);
/// How often it is looked whether the lock has to be renewed.
const LOOK: Duration = Duration::from_secs(30);
/// From this age on a lock is stale; restic's own figure.
const STALE: Duration = Duration::from_secs(30 * 60);
/// Who could not renew the lock for so long gives up, before others may take it for stale; restic's own figure.
const LOST: Duration = Duration::from_secs(22 * 60 + 30);
/// Between the writing of an exclusive lock and the second look, so that a lock written meanwhile is listed; restic's
/// own figure.
const SETTLE: Duration = Duration::from_millis(200);

/// The locks that this process holds, by their keys.
static HELD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn held() -> MutexGuard<'static, BTreeSet<String>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

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

/// A lock that is there, for people and scripts.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct LockInfo {
    /// Its name below `locks/`.
    pub id: String,
    /// The machine of its holder; empty where the lock cannot be read.
    pub host: String,
    /// The user of its holder.
    pub user: String,
    /// The process of its holder.
    pub pid: u32,
    /// When it was made or renewed, RFC 3339.
    pub time: String,
    /// Whether it keeps everybody else out.
    pub exclusive: bool,
    /// Why nobody holds it any more; `None` while somebody may.
    pub stale: Option<String>,
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
        watch: &Arc<Watch>,
        writing: bool,
    ) -> Result<Option<Self>, Failure> {
        refuse(place, cipher, false, None)?;
        let key = match write(place, cipher, false) {
            Ok(key) => key,
            Err(failure) if !writing => {
                watch.log("warn", &format!("the vault is read without a lock: {}", failure.message));
                return Ok(None);
            }
            Err(failure) => return Err(failure),
        };
        let lock = Self::hold(place, cipher, watch, key, false);
        // Whoever took an exclusive lock at the same moment looks again after writing it, as we do.
        refuse(place, cipher, false, None)?;
        Ok(Some(lock))
    }

    /// Takes an exclusive lock: nobody else has any.
    pub(crate) fn exclusive(session: &Session) -> Result<Self, Failure> {
        let (place, cipher) = (&session.place, &session.cipher);
        refuse(place, cipher, true, None)?;
        let key = write(place, cipher, true)?;
        let lock = Self::hold(place, cipher, &session.watch, key.clone(), true);
        std::thread::sleep(SETTLE);
        refuse(place, cipher, true, Some(&key))?;
        Ok(lock)
    }

    fn hold(place: &Place, cipher: &Cipher, watch: &Arc<Watch>, key: String, exclusive: bool) -> Self {
        held().insert(key.clone());
        let key = Arc::new(Mutex::new(Some(key)));
        let renewal =
            place.handle.spawn(renew(place.clone(), cipher.clone(), watch.clone(), Arc::clone(&key), exclusive));
        Self { place: place.clone(), key, renewal }
    }

    /// Whether the lock is still there: somebody may have removed it by force, or all of the vault with it. Asked before
    /// anything is deleted, and before a snapshot is called whole.
    pub(crate) fn still_held(&self) -> Result<(), Failure> {
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let there = match &key {
            Some(key) => self.place.head(key)?.is_some(),
            None => false,
        };
        // It is renewed from time to time: then it has another name by now.
        if there || key != *self.key.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(());
        }
        let message = format!("the lock of the vault at {} was removed by somebody", self.place.store.location());
        let mut failure = fail_hint(
            LOCKED,
            message,
            "nothing more is deleted or written; find out who removed it, or the whole vault, and try again",
        );
        failure.kind = FailureKind::Temporary;
        Err(failure)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewal.abort();
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(key) = key {
            held().remove(&key);
            // A lock that stays behind is stale once this process is gone, and 'vault unlock' removes it.
            if let Err(failure) = self.place.delete(&key) {
                tracing::warn!(key, "the lock of the vault could not be removed: {}", failure.message);
            }
        }
    }
}

/// Writes a new lock again and again and removes the one before.
async fn renew(place: Place, cipher: Cipher, watch: Arc<Watch>, key: Arc<Mutex<Option<String>>>, exclusive: bool) {
    // By the wall clock: others judge by it, and a machine that slept has a lock that is older than its own timers say.
    let mut last = Timestamp::now();
    let age = |last: Timestamp| Duration::try_from(Timestamp::now().duration_since(last)).unwrap_or_default();
    loop {
        tokio::time::sleep(LOOK).await;
        if age(last) >= LOST {
            watch.note_failure(Failure::temporary("the lock of the vault could not be renewed in time"));
            watch.abandon();
            return;
        }
        if age(last) < RENEW {
            continue;
        }
        let Some((fresh, data)) = sealed(&cipher, exclusive) else { continue };
        if place.store.put(&fresh, data).await.is_err() {
            continue;
        }
        last = Timestamp::now();
        held().insert(fresh.clone());
        let old = key.lock().unwrap_or_else(PoisonError::into_inner).replace(fresh);
        let Some(old) = old else { continue };
        held().remove(&old);
        if let Err(failure) = place.store.delete(&old).await {
            tracing::warn!(old, "a renewed lock of the vault could not be removed: {}", failure.message);
        }
    }
}

fn write(place: &Place, cipher: &Cipher, exclusive: bool) -> Result<String, Failure> {
    let (key, data) =
        sealed(cipher, exclusive).ok_or_else(|| Failure::temporary("this machine gives no random bytes"))?;
    place.put(&key, data)?;
    Ok(key)
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A lock of this process, now: its key and its bytes.
fn sealed(cipher: &Cipher, exclusive: bool) -> Option<(String, bytes::Bytes)> {
    let file = LockFile {
        time: Timestamp::now().to_string(),
        exclusive,
        hostname: host_name(),
        username: crate::node::user_name(rustix::process::getuid().as_raw()).unwrap_or_default(),
        pid: std::process::id(),
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
    };
    let data = cipher.seal(&serde_json::to_vec(&file).ok()?)?;
    Some((format!("locks/{}", hex(&sha256(&data))), data.into()))
}

/// Refuses if somebody has a lock that does not go with the one that is wanted. `own` is not counted.
fn refuse(place: &Place, cipher: &Cipher, exclusive: bool, own: Option<&str>) -> Result<(), Failure> {
    for (key, file) in all(place, cipher)? {
        // One that cannot be read is nobody's that we could wait for; 'vault unlock' tells of it.
        let Some(file) = file else { continue };
        if own == Some(key.as_str()) || !(exclusive || file.exclusive) || stale(&file).is_some() {
            continue;
        }
        let kind = if file.exclusive { "exclusively" } else { "for reading or writing" };
        let mut failure = fail_hint(
            LOCKED,
            format!(
                "the vault at {} is locked {kind} by {}@{} (process {}) since {}",
                place.store.location(),
                file.username,
                file.hostname,
                file.pid,
                file.time
            ),
            "wait until it is done; if that process is dead, 'lifeboat vault unlock' removes its lock",
        );
        failure.kind = FailureKind::Temporary;
        return Err(failure);
    }
    Ok(())
}

/// All locks, with what they say where that can be read.
fn all(place: &Place, cipher: &Cipher) -> Result<Vec<(String, Option<LockFile>)>, Failure> {
    let mut found = Vec::new();
    for (key, _) in place.list("locks/")? {
        match place.get_named(&key) {
            Ok(data) => {
                let file = cipher.unseal_file(&data).and_then(|text| serde_json::from_slice(&text).ok());
                found.push((key, file));
            }
            // A lock that vanishes between the list and the read was given back.
            Err(failure) if failure.kind == FailureKind::Permanent => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(found)
}

/// Why nobody holds the lock any more.
fn stale(file: &LockFile) -> Option<String> {
    let time = file.time.parse::<Timestamp>().ok()?;
    let age = Timestamp::now().as_second().saturating_sub(time.as_second());
    if age > i64::try_from(STALE.as_secs()).unwrap_or(i64::MAX) {
        return Some(format!("not renewed for {} minutes", age / 60));
    }
    if file.hostname != host_name() {
        return None;
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(file.pid).ok()?)?;
    match rustix::process::test_kill_process(pid) {
        Err(rustix::io::Errno::SRCH) => Some(format!("there is no process {} on this machine", file.pid)),
        _ => None,
    }
}

/// The locks of those who may have died in the middle of their work: all but those of this process, and of others of this
/// machine that are alive. Those that are stale for sure come with their keys.
pub(crate) fn of_the_dead(place: &Place, cipher: &Cipher) -> Result<(usize, Vec<String>), Failure> {
    let mut found = all(place, cipher)?;
    found.retain(|(key, _)| !held().contains(key));
    // A process that was started anew, in a container for one, may have the number of the one before it.
    let alive =
        |file: &LockFile| stale(file).is_none() && file.hostname == host_name() && file.pid != std::process::id();
    found.retain(|(_, file)| file.as_ref().is_some_and(|file| !alive(file)));
    let stale = found.iter().filter(|(_, file)| file.as_ref().is_some_and(|file| stale(file).is_some()));
    Ok((found.len(), stale.map(|(key, _)| key.clone()).collect()))
}

/// Every lock, for people.
pub(crate) fn list(session: &Session) -> Result<Vec<LockInfo>, Failure> {
    let told = |(key, file): (String, Option<LockFile>)| {
        let id = key.rsplit('/').next().unwrap_or_default().to_owned();
        match file {
            Some(file) => LockInfo {
                stale: stale(&file),
                id,
                host: file.hostname,
                user: file.username,
                pid: file.pid,
                time: file.time,
                exclusive: file.exclusive,
            },
            None => LockInfo {
                id,
                host: String::new(),
                user: String::new(),
                pid: 0,
                time: String::new(),
                exclusive: false,
                stale: None,
            },
        }
    };
    Ok(all(&session.place, &session.cipher)?.into_iter().map(told).collect())
}

/// Removes the stale locks; gives every lock that was found.
pub(crate) fn unlock(session: &Session) -> Result<Vec<LockInfo>, Failure> {
    let found = list(session)?;
    for lock in found.iter().filter(|lock| lock.stale.is_some()) {
        session.place.delete(&format!("locks/{}", lock.id))?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_stale_when_it_is_old_or_its_process_is_gone() {
        let ago =
            |minutes: i64| Timestamp::from_second(Timestamp::now().as_second() - minutes * 60).unwrap().to_string();
        let lock = |minutes, host: String, pid| LockFile {
            time: ago(minutes),
            exclusive: true,
            hostname: host,
            username: String::new(),
            pid,
            uid: 0,
            gid: 0,
        };
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let elsewhere = || "another.example".to_owned();
        assert_eq!(stale(&lock(29, elsewhere(), child.id())), None, "who knows the processes of another machine");
        assert!(stale(&lock(31, elsewhere(), 1)).unwrap().contains("31 minutes"));
        assert_eq!(stale(&lock(0, host_name(), std::process::id())), None);
        assert!(stale(&lock(0, host_name(), child.id())).unwrap().contains("no process"));
        assert_eq!(stale(&LockFile { time: "no time".into(), ..lock(99, elsewhere(), 1) }), None);
    }
}
