//! What `lifeboat doctor` tells of a data folder.

use std::path::Path;

use lifeboat_core::Error;

use crate::examine::{self, Finding};
use crate::folder::Folder;
use crate::key::Key;
use crate::offline::{self, ReadOnly};
use crate::replay::{Damage, Quarantined};
use crate::segment;

/// The state of a data folder, found without changing it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Inspection {
    /// Whether the journal is encrypted.
    pub encrypted: bool,
    /// Segments of the journal.
    pub segments: u64,
    /// Good frames in them.
    pub frames: u64,
    /// Bytes of the segments, room allocated ahead included.
    pub bytes: u64,
    /// Runs.
    pub runs: u64,
    /// Documents.
    pub documents: u64,
    /// Bytes after the last good frame: a write that is under way now or was interrupted. The next opening cuts it off.
    pub torn: u64,
    /// Damage found in the journal.
    pub damage: Vec<Damage>,
    /// Runs that cannot be read.
    pub quarantined: Vec<Quarantined>,
    /// Whether the index is there. A copy of it is looked into, unless an engine is at work in the folder.
    pub state_present: bool,
    /// Bytes of the index.
    pub state_bytes: u64,
    /// All that is worth saying of it, with what it means and what can be done.
    pub findings: Vec<Finding>,
}

/// Reads the whole journal in a data folder and tells what is in it and what is wrong with it.
///
/// # Errors
/// `LB0605` unknown format, `LB0606` the system refused.
pub fn inspect(dir: &Path) -> Result<Inspection, Error> {
    inspect_with(dir, None)
}

/// The same of a journal that may be encrypted with this key.
///
/// # Errors
/// As [`inspect_and_read`].
pub fn inspect_with(dir: &Path, key: Option<&Key>) -> Result<Inspection, Error> {
    inspect_and_read(dir, key).map(|(found, _)| found)
}

/// [`inspect_with`], and the journal for reading: it is gone through once.
///
/// # Errors
/// As [`inspect`]; `LB0615` wrong key, `LB0616` no key, `LB0618` the key file is gone, `LB0620` half encrypted.
pub fn inspect_and_read(dir: &Path, key: Option<&Key>) -> Result<(Inspection, ReadOnly), Error> {
    let folder = Folder::open(dir, key)?;
    let mut replay = offline::load(&folder)?;
    let journal = offline::reading(&folder, &mut replay);
    let findings = examine::findings(&folder, &replay, &journal, false);
    let segments = segment::list(&folder.journal())?;
    let bytes = segments.iter().filter_map(|number| segment::path(&folder.journal(), *number).metadata().ok());
    let state = folder.state();
    let found = Inspection {
        encrypted: folder.seal.is_some(),
        segments: segments.len() as u64,
        frames: replay.frames,
        bytes: bytes.map(|file| file.len()).sum(),
        runs: replay.model.heads.len() as u64,
        documents: replay.model.documents.len() as u64,
        torn: replay.torn,
        quarantined: replay.quarantined(),
        damage: replay.damage,
        state_present: state.is_dir(),
        state_bytes: bytes_below(&state),
        findings,
    };
    Ok((found, journal))
}

pub(crate) fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let each = entries.flatten().map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => bytes_below(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    each.sum()
}
