//! Every error of the store, in one place, so that codes and hints stay consistent.

use std::io;
use std::path::Path;

use lifeboat_core::{Error, RunId};

/// The words for an operation on a path that the system refused.
pub(crate) fn io(what: &str, path: &Path, cause: &io::Error) -> Error {
    if is_full(cause) {
        return full(path, cause);
    }
    Error::new("LB0606", format!("could not {what}"))
        .with("path", path.display())
        .with("cause", cause)
        .hint("check that the data folder is writable and that its disk is healthy, then run the command again")
}

/// The disk has no room.
pub(crate) fn full(path: &Path, cause: &io::Error) -> Error {
    Error::new("LB0603", "the disk with the data folder is full, nothing was stored")
        .with("path", path.display())
        .with("cause", cause)
        .hint("free some space and run the command again; what was acknowledged before is safe")
}

/// Whether an error says that there is no room: no space, over quota, or over the size limit of files.
pub(crate) fn is_full(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Another process has the data folder.
pub(crate) fn locked(dir: &Path, pid: Option<u32>) -> Error {
    let who = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    Error::new("LB0601", format!("the data folder is in use by {who}"))
        .with("path", dir.display())
        .hint("wait until it has ended, stop it, or name another folder with --data; reading runs works meanwhile")
}

/// The folder was written by a version that this one does not know.
pub(crate) fn format(path: &Path, found: &str) -> Error {
    Error::new("LB0605", "the data folder has a format that this version does not know")
        .with("path", path.display())
        .with("found", found)
        .with("known", crate::folder::FORMAT)
        .hint("use the version of lifeboat that wrote it, or name another folder with --data")
}

/// Something in the journal is not what was written.
pub(crate) fn damaged(segment: u64, offset: u64, reason: &str) -> Error {
    Error::new("LB0602", "the journal is damaged")
        .with("segment", crate::segment::name(segment))
        .with("offset", offset)
        .with("reason", reason)
        .hint("the other runs go on; check the disk; 'lifeboat doctor' tells what is damaged and what can be done")
}

/// A run is not readable because of damage.
pub(crate) fn quarantined(run: &RunId, reason: &str) -> Error {
    Error::new("LB0602", format!("run {run} is in quarantine: its part of the journal is damaged"))
        .with("run", run)
        .with("reason", reason)
        .hint("the other runs go on; 'lifeboat doctor' tells what is damaged and what can be done")
}

/// Something is larger than a named limit.
pub(crate) fn too_large(what: &str, bytes: usize, limit: usize) -> Error {
    Error::new("LB0604", format!("{what} has {bytes} bytes, the limit is {limit}"))
        .hint("put the data into a file or a vault and store its name instead")
}

/// A request that no correct caller makes.
pub(crate) fn refused(what: &str) -> Error {
    Error::new("LB0607", format!("the store refused a request: {what}"))
        .hint("this is a defect of the engine: please report it with this text")
}

/// A run that is to be cut back is whole.
pub(crate) fn whole(run: &RunId) -> Error {
    Error::new("LB0608", format!("run {run} has nothing wrong with it, so there is nothing to cut off"))
        .with("run", run)
        .hint("'lifeboat doctor' names the runs that can be cut back; 'lifeboat cancel' ends a run that is whole")
}

/// The copy that a repair makes first does not fit on the disk.
pub(crate) fn no_room(dir: &Path, need: u64, free: u64) -> Error {
    Error::new("LB0609", "there is no room for the copy of the journal that a repair makes first")
        .with("path", dir.display())
        .with("needed", format!("{need} bytes"))
        .with("free", format!("{free} bytes"))
        .hint("free some space on that disk and repair again; nothing was changed")
}

/// The writer does not trust the disk any more.
pub(crate) fn sealed(reason: &str) -> Error {
    Error::new("LB0606", "the store takes no more writes since the disk failed").with("cause", reason).hint(
        "stop lifeboat, check the disk, and start it again: what was acknowledged before is read back from the journal",
    )
}

/// The store was closed while somebody still waited.
pub(crate) fn closed() -> Error {
    Error::new("LB0606", "the store was closed before the write was acknowledged")
        .hint("open the data folder again and read the run back")
}

/// The journal is encrypted, and no secret is named for it.
pub(crate) fn no_key(dir: &Path) -> Error {
    Error::new("LB0616", "the journal is encrypted, and the operator's file names no secret for it")
        .with("path", dir.display())
        .hint("add to lifeboat.kdl: journal encrypt=\"SECRET\", with the secret that it was encrypted with")
}

/// The secret does not open the journal.
pub(crate) fn wrong_key(dir: &Path) -> Error {
    Error::new("LB0615", "the secret does not open the journal; nothing was changed")
        .with("path", dir.display())
        .hint("name the right secret in 'journal encrypt'; where the secret was changed, 'lifeboat journal rekey --from OLD' takes the new one")
}

/// The journal is in the clear, though it is to be encrypted.
pub(crate) fn in_the_clear(dir: &Path) -> Error {
    Error::new("LB0617", "the journal is not encrypted, though the operator's file wants it to be; nothing was stored")
        .with("path", dir.display())
        .hint("'lifeboat journal encrypt' encrypts it and keeps a copy; it can be read as it is")
}

/// The key file of an encrypted journal is gone or damaged.
pub(crate) fn no_key_file(dir: &Path) -> Error {
    Error::new("LB0618", "the key of the encrypted journal is missing or damaged")
        .with("path", dir.display())
        .hint("bring the files FORMAT, KEY and KEY.copy back from a copy of the data folder: without them nothing can be read")
}

/// A journal that cannot be encrypted as it is.
pub(crate) fn not_to_encrypt(dir: &Path, reason: &str) -> Error {
    Error::new("LB0619", format!("the journal cannot be encrypted: {reason}; nothing was changed"))
        .with("path", dir.display())
        .hint("'lifeboat doctor' tells what is wrong with it and what can be done")
}

/// Encrypting was interrupted.
pub(crate) fn half_encrypted(dir: &Path) -> Error {
    Error::new("LB0620", "encrypting the journal was interrupted")
        .with("path", dir.display())
        .hint("run 'lifeboat journal encrypt' again: it goes on where it was")
}
