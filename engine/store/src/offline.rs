//! Reading a journal from its files alone, beside a process that writes it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_core::ports::{RunHead, StoredEvent};
use lifeboat_core::{Error, RunId};

use crate::folder::Folder;
use crate::index::Loaded;
use crate::key::Key;
use crate::model::Model;
use crate::reader;
use crate::replay::{Damage, Location, Op, Quarantined, Replay};
use crate::seal::Seal;
use crate::{open, segment};

/// A journal as it was when it was read.
#[derive(Debug)]
pub struct ReadOnly {
    journal: PathBuf,
    seal: Option<Arc<Seal>>,
    model: Model,
    locations: HashMap<RunId, Vec<Location>>,
    damage: Vec<Damage>,
    quarantined: Vec<Quarantined>,
}

/// Reads the journal in a data folder without its lock and without changing anything. A folder that does not exist has
/// no runs.
///
/// # Errors
/// `LB0605` unknown format, `LB0606` the system refused.
pub fn read_only(dir: &Path) -> Result<ReadOnly, Error> {
    read_only_with(dir, None)
}

/// The same of a journal that may be encrypted with this key. One in the clear is read as it is.
///
/// # Errors
/// As [`read_only`]; `LB0615` wrong key, `LB0616` no key, `LB0618` the key file is gone, `LB0620` half encrypted.
pub fn read_only_with(dir: &Path, key: Option<&Key>) -> Result<ReadOnly, Error> {
    let folder = Folder::open(dir, key)?;
    let mut replay = load(&folder)?;
    Ok(reading(&folder, &mut replay))
}

/// What was replayed, for reading. The changes are taken out of the replay.
pub(crate) fn reading(folder: &Folder, replay: &mut Replay) -> ReadOnly {
    let mut locations: HashMap<RunId, Vec<Location>> = HashMap::new();
    for op in std::mem::take(&mut replay.ops) {
        match op {
            Op::Run(head, location) => locations.entry(head.run).or_default().push(location),
            Op::Set(set, _) => {
                let end = set.head.map_or(0, |head| head.seq);
                locations.entry(set.run).or_default().retain(|location| location.first <= end);
            }
            _ => {}
        }
    }
    let (model, damage, quarantined) = (replay.model.clone(), replay.damage.clone(), replay.quarantined());
    ReadOnly { journal: folder.journal(), seal: folder.seal.clone(), model, locations, damage, quarantined }
}

/// Replays a whole journal in memory.
pub(crate) fn load(folder: &Folder) -> Result<Replay, Error> {
    let segments = segment::list(&folder.journal())?;
    open::replay(folder, &segments, Loaded::default(), None)
}

impl ReadOnly {
    /// The heads of all runs, in id order.
    pub fn list(&self) -> Vec<RunHead> {
        self.model.heads.values().cloned().collect()
    }

    /// The head of a run.
    pub fn head(&self, run: &RunId) -> Option<&RunHead> {
        self.model.heads.get(run)
    }

    /// The ids of all runs, also of those of which nothing is left but that they are in quarantine.
    pub fn known(&self) -> Vec<RunId> {
        let all: BTreeSet<&RunId> = self.model.heads.keys().chain(self.model.quarantined.keys()).collect();
        all.into_iter().cloned().collect()
    }

    /// Why a run is in quarantine, and its last good event, if it is.
    pub(crate) fn quarantine(&self, run: &RunId) -> Option<(u64, &String)> {
        let reason = self.model.quarantined.get(run)?;
        Some((self.model.heads.get(run).map_or(0, |head| head.seq), reason))
    }

    /// The segment and byte of the frame with that event of a run.
    pub(crate) fn place(&self, run: &RunId, event: u64) -> Option<(u64, u64)> {
        let locations = self.locations.get(run)?;
        let holds = |location: &&Location| (location.first..=location.last).contains(&event);
        locations.iter().find(holds).map(|location| (location.segment, location.offset))
    }

    /// The places of a run's frames, in order.
    pub(crate) fn locations(&self, run: &RunId) -> &[Location] {
        self.locations.get(run).map_or(&[], Vec::as_slice)
    }

    /// The good events of a run, also where it is in quarantine.
    pub(crate) fn good(&self, run: &RunId) -> Result<Vec<StoredEvent>, Error> {
        let Some(head) = self.model.heads.get(run) else { return Ok(Vec::new()) };
        reader::events(&self.journal, run, self.locations(run), 0, (head.seq, head.chain), self.seal.as_deref())
    }

    /// All events of a run, in order. Empty where there is no such run.
    ///
    /// # Errors
    /// `LB0602` its part of the journal is damaged.
    pub fn read(&self, run: &RunId) -> Result<Vec<StoredEvent>, Error> {
        self.model.check_quarantine(run)?;
        self.good(run)
    }

    /// Damage found in the journal.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Runs that cannot be read.
    pub fn quarantined(&self) -> &[Quarantined] {
        &self.quarantined
    }
}
