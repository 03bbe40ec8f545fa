//! The names of files that are being written, and what becomes of those whose writer died.
//!
//! A file is written under a name of its own beside its place, and renamed when it is whole. A killed process leaves that name
//! behind. It is never taken for data: listings and snapshots pass over it. When something is next written to its
//! folder, it is removed, if nobody writes to it any more: whoever writes holds a lock (`flock`) on the file, and the kernel lets
//! go of it with the process. The times of files and the ids of processes tell nothing: both come again.

use std::collections::HashSet;
use std::fs::File;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use cap_std::fs::{Dir, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{FlockOperation, OFlags, flock};

use crate::bounds::ENTRIES_MAX;

const PREFIX: &str = ".lifeboat-";
const SUFFIX: &str = ".tmp";

/// Folders that are remembered as looked through. A process that writes to more of them looks again.
const FOLDERS_MAX: usize = 65_536;

/// When this process made its first name; what has a later one is not looked at.
static BEGUN: LazyLock<u128> = LazyLock::new(nanos);

/// A folder: device, inode, and when it was made, for an inode that is free is given to the next folder.
type Folder = (u64, u64, Option<SystemTime>);

/// The folders that this process has looked through.
static SWEPT: LazyLock<Mutex<HashSet<Folder>>> = LazyLock::new(Mutex::default);

fn nanos() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// A name that nobody has yet: process, time and number.
pub(crate) fn name(number: u64) -> String {
    let (pid, nanos) = (std::process::id(), nanos().max(*BEGUN));
    format!("{PREFIX}{pid:x}-{nanos:x}-{number:x}{SUFFIX}")
}

/// Whether it is exactly such a name. A name that is only much like it belongs to somebody else.
pub fn is_temp(name: &[u8]) -> bool {
    made_at(name).is_some()
}

/// The time in such a name, in nanoseconds since the Unix epoch.
fn made_at(name: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(name).ok()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let hex = |part: &str| {
        let plain = !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        plain.then(|| u128::from_str_radix(part, 16).ok()).flatten()
    };
    let mut parts = text.split('-');
    let (_pid, made, _number) = (hex(parts.next()?)?, hex(parts.next()?)?, hex(parts.next()?)?);
    parts.next().is_none().then_some(made)
}

/// Takes the lock of a file that was just made. `false`: a sweep came between, and the name is gone or about to go.
pub(crate) fn hold(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => false,
        // A file system without locks has no sweeps either.
        Err(_) => true,
        Ok(()) => file.metadata().is_ok_and(|meta| meta.nlink() > 0),
    }
}

/// Takes the lock of a file that has no name yet, so that nobody else can have it.
pub(crate) fn lock(file: &File) {
    if let Err(error) = flock(file, FlockOperation::NonBlockingLockExclusive) {
        // A file system without locks has no sweeps either.
        tracing::debug!(%error, "a file that is being written is not locked");
    }
}

/// Removes what dead writers left in a folder, once for each folder and process. What cannot be removed stays, unseen.
pub(crate) fn sweep(dir: &Dir) {
    let begun = *BEGUN;
    let Ok(meta) = dir.dir_metadata() else { return };
    {
        let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.len() >= FOLDERS_MAX {
            swept.clear();
        }
        if !swept.insert((meta.dev(), meta.ino(), meta.created().ok().map(cap_std::time::SystemTime::into_std))) {
            return;
        }
    }
    let Ok(entries) = dir.entries() else { return };
    for entry in entries.take(ENTRIES_MAX).flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if made_at(name.as_bytes()).is_some_and(|made| made < begun) {
            remove_if_dead(dir, &name);
        }
    }
}

fn remove_if_dead(dir: &Dir, name: &str) {
    let mut options = OpenOptions::new();
    // Neither a link nor a pipe is ours, whatever its name.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    let Ok(file) = dir.open_with(name, &options).map(cap_std::fs::File::into_std) else { return };
    if !file.metadata().is_ok_and(|meta| meta.is_file())
        || flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
    {
        return;
    }
    // The lock is ours until the file is closed: who made the file just now sees that its name has gone.
    match dir.remove_file(name) {
        Ok(()) => tracing::info!(%name, "removed what a dead process left"),
        Err(error) => tracing::warn!(%error, %name, "what a dead process left stays behind"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::FileSink;

    const DEAD: &str = ".lifeboat-1f-2-0.tmp";
    const ALIVE: &str = ".lifeboat-20-3-1.tmp";

    #[test]
    fn only_our_names_are_ours() {
        assert!(is_temp(name(0).as_bytes()) && is_temp(name(u64::MAX).as_bytes()) && is_temp(DEAD.as_bytes()));
        for other in [
            ".lifeboat-.tmp",
            ".lifeboat-notes.tmp",
            ".lifeboat-1-2.tmp",
            ".lifeboat-1-2-3-4.tmp",
            ".lifeboat-1-2-.tmp",
            ".lifeboat-1-+2-3.tmp",
            ".lifeboat-1-2-A.tmp",
            ".lifeboat-1-2-3.tmp.bak",
            "x.lifeboat-1-2-3.tmp",
            ".lifeboat-swap-1-2",
        ] {
            assert!(!is_temp(other.as_bytes()), "{other}");
        }
        assert!(!is_temp(b".lifeboat-1-2-\xff.tmp"));
    }

    #[test]
    fn what_dead_writers_left_goes_and_all_else_stays() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority()).unwrap();
        let at = |name: &str| temp.path().join(name);
        let outside = at("outside");
        let later = format!(".lifeboat-1-{:x}-0.tmp", nanos() + 60_000_000_000);
        for name in [DEAD, ALIVE, ".lifeboat-notes.tmp", "outside", &later] {
            std::fs::write(at(name), "x").unwrap();
        }
        std::fs::create_dir(at(".lifeboat-1-2-3.tmp")).unwrap();
        std::os::unix::fs::symlink(&outside, at(".lifeboat-1-2-4.tmp")).unwrap();
        // Another process writes to it: a lock is held by an open file, so that one of ours does as well.
        let writer = File::open(at(ALIVE)).unwrap();
        assert!(hold(&writer));

        let mut sink = FileSink::create(dir.try_clone().unwrap(), "data", false).unwrap();
        assert!(!at(DEAD).exists());
        sink.write(b"whole").unwrap();
        // A second writer neither sweeps again nor takes away what the first one is at.
        drop(FileSink::create(dir.try_clone().unwrap(), "other", false).unwrap());
        sink.commit().unwrap();
        let mut left: Vec<String> =
            std::fs::read_dir(temp.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        let mut want =
            [ALIVE, ".lifeboat-1-2-3.tmp", ".lifeboat-1-2-4.tmp", ".lifeboat-notes.tmp", "data", "outside", &later];
        want.sort_unstable();
        assert_eq!(left, want);
        assert_eq!(std::fs::read_to_string(at("data")).unwrap(), "whole");
    }

    #[test]
    fn who_was_swept_between_making_and_locking_makes_another() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join(DEAD);
        let made = File::create_new(&path).unwrap();
        let sweeper = File::open(&path).unwrap();
        flock(&sweeper, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(!hold(&made), "the sweeper is at it");
        std::fs::remove_file(&path).unwrap();
        drop(sweeper);
        assert!(!hold(&made), "the name has gone");
        assert!(hold(&File::create_new(&path).unwrap()));
    }
}
