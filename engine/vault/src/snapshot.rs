//! Taking a snapshot, and what is told of one.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use lifeboat_core::{Failure, FailureKind};
use lifeboat_host::ports::SnapshotInfo;
use rustic_core::repofile::{SnapshotFile, SnapshotId};
use rustic_core::{BackupOptions, FileType, Id, ParentOptions, SnapshotGroupCriterion, SnapshotOptions};

use crate::backend::key;
use crate::cipher::{hex, sha256};
use crate::error::{IO, fail};
use crate::lock::Lock;
use crate::node::recorded_path;
use crate::resume;
use crate::session::Session;
use crate::source::{DirSource, Seen};

/// What to take and how to name it.
pub(crate) struct Request {
    pub(crate) source: OwnedFd,
    pub(crate) display: String,
    pub(crate) label: String,
    pub(crate) tags: Vec<String>,
}

/// Takes a snapshot. It is there as a whole or not at all.
pub(crate) fn take(session: &Session, request: Request) -> Result<SnapshotInfo, Failure> {
    let lock = Lock::shared(&session.place, &session.cipher, &session.watch, true)?;
    resume::take_over(session)?;
    // A bucket may vanish and be made anew meanwhile: then the lock is gone, and with it what was sent before.
    let taken = archive(session, request, || lock.as_ref().map_or(Ok(()), Lock::still_held));
    resume::end(session, taken)
}

fn archive(
    session: &Session,
    request: Request,
    is_whole: impl FnOnce() -> Result<(), Failure>,
) -> Result<SnapshotInfo, Failure> {
    let parent = session.snapshots()?.into_iter().rfind(|snapshot| snapshot.label == request.label);
    let options = SnapshotOptions::default().label(request.label);
    let mut snapshot = options.to_snapshot().map_err(|cause| session.explain(&cause))?;
    snapshot.program_version = format!("lifeboat {}", env!("CARGO_PKG_VERSION"));
    for tag in request.tags {
        snapshot.tags.add(tag);
    }
    // The parent is named by us: the library would look for one with the same host and path as well, and a vault may be
    // written from two sites.
    let none = SnapshotGroupCriterion::new().hostname(false).label(false).paths(false).tags(false);
    let parents = match &parent {
        Some(parent) => ParentOptions::default().group_by(none).parents(vec![parent.id.to_hex().as_str().to_owned()]),
        None => ParentOptions::default().force(true),
    };
    let path = recorded_path(&request.display);
    let source = DirSource::new(request.source, path.clone(), session.watch.clone());
    let repo = session.again()?.to_indexed_ids().map_err(|cause| session.explain(&cause))?;
    session.watch.begin("reading", 0);
    let options = BackupOptions::default().parent_opts(parents);
    session.watch.hold_snapshots();
    let taken = repo.archive(&options, &source, snapshot, &[path]);
    let mut taken = taken.map_err(|cause| session.explain(&cause))?;
    if let Some(failure) = session.watch.take_failure() {
        return Err(failure);
    }
    settle_counts(&mut taken, source.seen())?;
    taken.description = Some(source.seen().sample().words());
    session.watch.go_on()?;
    is_whole()?;
    save(session, &mut taken)?;
    Ok(info(&taken))
}

/// Compares what the library recorded with what the walk handed over: it drops an entry that it cannot use and goes on.
/// And it counts links and devices as files; stock restic and a restore do not, so that the total is set right.
fn settle_counts(taken: &mut SnapshotFile, seen: &Seen) -> Result<(), Failure> {
    let Some(summary) = taken.summary.as_mut() else {
        return Err(fail(IO, "the snapshot was taken without counts and cannot be proved whole"));
    };
    let files = seen.files.load(Ordering::Relaxed);
    let entries = files + seen.others.load(Ordering::Relaxed);
    // The tree of trees at the top has no folder.
    let folders = seen.folders.load(Ordering::Relaxed) + 1;
    if (summary.total_files_processed, summary.total_dirs_processed) != (entries, folders) {
        let mut failure = fail(
            IO,
            format!(
                "the snapshot is not whole: {entries} entries in {folders} folders were read, {} in {} recorded",
                summary.total_files_processed, summary.total_dirs_processed
            ),
        );
        failure.kind = FailureKind::Temporary;
        return Err(failure);
    }
    summary.total_files_processed = files;
    Ok(())
}

/// Writes the snapshot file, which makes the snapshot: everything that it needs is in the store by now.
fn save(session: &Session, snapshot: &mut SnapshotFile) -> Result<(), Failure> {
    snapshot.id = SnapshotId::default();
    let text = serde_json::to_vec(&*snapshot)
        .map_err(|cause| fail(IO, format!("the snapshot cannot be written as JSON: {cause}")))?;
    let data = session.cipher.seal(&text).ok_or_else(|| Failure::temporary("this machine gives no random bytes"))?;
    let id: Id = hex(&sha256(&data)).parse().map_err(|_| fail(IO, "the digest of the snapshot is not an id"))?;
    session.place.put(&key(FileType::Snapshot, &id), data.into())?;
    snapshot.id = id.into();
    Ok(())
}

/// What is told of a snapshot. Those of an old restic have no counts: these are zero here, and `find` fills them in.
pub(crate) fn info(snapshot: &SnapshotFile) -> SnapshotInfo {
    let summary = snapshot.summary.as_ref();
    SnapshotInfo {
        id: snapshot.id.to_hex().as_str().to_owned(),
        time_ms: u64::try_from(snapshot.time.timestamp().as_millisecond()).unwrap_or_default(),
        label: snapshot.label.clone(),
        tags: snapshot.tags.iter().cloned().collect(),
        files: summary.map_or(0, |summary| summary.total_files_processed),
        bytes: summary.map_or(0, |summary| summary.total_bytes_processed),
        bytes_added: summary.map_or(0, |summary| summary.data_added),
        parent: snapshot.parent.map(|id| id.to_hex().as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use rustic_core::repofile::SnapshotSummary;

    use super::*;

    #[test]
    fn a_snapshot_that_lacks_an_entry_is_refused_and_links_are_not_files() {
        let seen = Seen { files: 7.into(), others: 2.into(), folders: 3.into(), ..Seen::default() };
        let of = |entries, folders| {
            let mut taken = SnapshotOptions::default().to_snapshot().unwrap();
            let mut summary = SnapshotSummary::default();
            (summary.total_files_processed, summary.total_dirs_processed) = (entries, folders);
            taken.summary = Some(summary);
            taken
        };
        let mut whole = of(9, 4);
        settle_counts(&mut whole, &seen).unwrap();
        assert_eq!(info(&whole).files, 7);
        for (entries, folders) in [(8, 4), (9, 3)] {
            let failure = settle_counts(&mut of(entries, folders), &seen).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Temporary);
            assert!(failure.message.contains("not whole"), "{failure:?}");
        }
    }
}
