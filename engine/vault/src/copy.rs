//! Copying a snapshot to another vault: only the blobs that are missing there.

use lifeboat_core::Failure;
use lifeboat_host::ports::{Depth, SnapshotInfo};
use rustic_core::repofile::{SnapshotFile, SnapshotId};

use crate::check;
use crate::error::{DAMAGED, fail_hint};
use crate::lock::Lock;
use crate::resume;
use crate::session::Session;
use crate::snapshot::info;

/// Copies a snapshot, with these tags added to its own. One that is there already is given back.
pub(crate) fn copy(
    from: &Session,
    to: &Session,
    snapshot: &SnapshotFile,
    tags: &[String],
) -> Result<SnapshotInfo, Failure> {
    let original = snapshot.original.unwrap_or(snapshot.id);
    let is_it = |there: &SnapshotFile| {
        let same = there.original == Some(original) || there.id == original;
        same && there.tree == snapshot.tree && tags.iter().all(|tag| there.tags.contains(tag))
    };
    if let Some(there) = to.snapshots()?.into_iter().rfind(is_it) {
        return Ok(info(&there));
    }
    // The library leaves out what the index of the source does not know; a copy with holes must not be made.
    let report = check::check(from, snapshot, Depth::Index)?;
    if let Some(problem) = report.problems.first() {
        return Err(fail_hint(
            DAMAGED,
            format!("the snapshot is damaged and is not copied: {problem}"),
            "verify it with depth \"data\" to see all of the damage",
        ));
    }
    let _read = Lock::shared(&from.place, &from.cipher, &from.watch, false)?;
    let write = Lock::shared(&to.place, &to.cipher, &to.watch, true)?;
    resume::take_over(to)?;
    let copied = transfer(from, to, snapshot, original, tags);
    resume::end(to, copied)?;
    if let Some(write) = write {
        write.still_held()?;
    }
    let there = to.snapshots()?.into_iter().rfind(is_it);
    there
        .map(|there| info(&there))
        .ok_or_else(|| Failure::temporary("the copied snapshot is not listed yet; try again"))
}

/// Sends what is missing, and the snapshot last.
fn transfer(
    from: &Session,
    to: &Session,
    snapshot: &SnapshotFile,
    original: SnapshotId,
    tags: &[String],
) -> Result<(), Failure> {
    let source = from.indexed()?;
    let target = to.again()?.to_indexed_ids().map_err(|cause| to.explain(&cause))?;
    let mut copied = snapshot.clone();
    copied.original = Some(original);
    for tag in tags {
        copied.tags.add(tag.clone());
    }
    to.watch.begin("copying", 0);
    source.copy(&target, [&copied]).map_err(|cause| {
        // Either side may have noted what went wrong; both share one watch.
        to.explain(&cause)
    })?;
    to.watch.take_failure().map_or(Ok(()), Err)
}
