//! Taking a snapshot, and what is told of one.

use std::os::fd::OwnedFd;

use lifeboat_core::Failure;
use lifeboat_host::ports::SnapshotInfo;
use rustic_core::repofile::SnapshotFile;
use rustic_core::{BackupOptions, ParentOptions, SnapshotGroupCriterion, SnapshotOptions};

use crate::lock::Lock;
use crate::node::recorded_path;
use crate::session::Session;
use crate::source::DirSource;

/// What to take and how to name it.
pub(crate) struct Request {
    pub(crate) source: OwnedFd,
    pub(crate) display: String,
    pub(crate) label: String,
    pub(crate) tags: Vec<String>,
}

/// Takes a snapshot. It is there as a whole or not at all.
pub(crate) fn take(session: &Session, request: Request) -> Result<SnapshotInfo, Failure> {
    let _lock = Lock::shared(&session.place, &session.cipher, &session.watch, true)?;
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
    let taken = repo.archive(&options, &source, snapshot, &[path]);
    let taken = taken.map_err(|cause| session.explain(&cause))?;
    // The snapshot is written through our backend, which refuses it when anything was noted; this is the second look.
    match session.watch.take_failure() {
        Some(failure) => Err(failure),
        None => Ok(info(&taken)),
    }
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
