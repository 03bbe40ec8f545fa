//! Looking over a whole vault: every file of it, every snapshot, and if asked every byte.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use lifeboat_core::{Failure, FailureKind};
use rustic_core::repofile::SnapshotFile;
use serde::Serialize;

use crate::blobs::{self, Blob};
use crate::cipher::OVERHEAD;
use crate::format::{BlobEntry, HEADER_LENGTH, Id, PackEntry, header_of, pack_size, parse_header};
use crate::inventory::{Inventory, Pack, Wrong};
use crate::pool;
use crate::session::Session;
use crate::walk::{Walked, walk};

/// The end of a pack that is read at first: the header of most packs is in it.
const TAIL: u64 = 64 << 10;

/// A snapshot that cannot be restored as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DamagedSnapshot {
    /// Its id.
    pub id: String,
    /// When it was taken, in milliseconds since 1970.
    pub time_ms: u64,
    /// Its label.
    pub label: String,
    /// What is wrong with it; the first that was found.
    pub why: String,
    /// Whether a repair brings it back as a whole.
    pub mendable: bool,
}

/// What a look over a vault found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VaultReport {
    /// Snapshots that could be read.
    pub snapshots: u64,
    /// Packs that are there.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes that were read and hashed.
    pub bytes_read: u64,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
    /// Snapshots that are damaged by it.
    pub damaged: Vec<DamagedSnapshot>,
    /// What is not wrong, but good to know.
    pub notes: Vec<String>,
}

/// All that is known after a look.
pub(crate) struct Exam {
    pub(crate) inventory: Inventory,
    /// Packs of no index that can be read; they are in the inventory.
    pub(crate) strays: HashSet<Id>,
    /// Packs of no index that are none.
    pub(crate) no_packs: Vec<Id>,
    /// Packs whose header says something else than the index: what it says.
    pub(crate) corrected: HashMap<Id, Vec<BlobEntry>>,
    /// Blobs that cannot be read, with the end of a sentence about each: by pack, and number in it.
    pub(crate) bad: HashMap<Id, BTreeMap<u32, String>>,
    pub(crate) report: VaultReport,
}

/// Looks the vault over. `deep` reads every byte of every pack.
pub(crate) fn examine(session: &Session, deep: bool) -> Result<Exam, Failure> {
    let mut inventory = Inventory::load(session)?;
    let report = VaultReport {
        snapshots: inventory.snapshots.len() as u64,
        packs: inventory.there.len() as u64,
        bytes: inventory.there.values().sum(),
        ..VaultReport::default()
    };
    let (strays, no_packs) = adopt(session, &mut inventory)?;
    let (corrected, bad) = (HashMap::new(), HashMap::new());
    let mut exam = Exam { inventory, strays, no_packs, corrected, bad, report };
    exam.correct(session)?;
    exam.read(session, deep)?;
    exam.tell();
    exam.judge(session)?;
    Ok(exam)
}

/// Puts packs of no index into the inventory, by their own headers. Gives them, and those that have none.
fn adopt(session: &Session, inventory: &mut Inventory) -> Result<(HashSet<Id>, Vec<Id>), Failure> {
    let found = inventory.strays();
    let read: Mutex<Vec<(Id, Option<Vec<BlobEntry>>)>> = Mutex::default();
    pool::each(&session.watch, &found, |_, (id, size)| {
        let blobs = read_header(session, id, *size)?;
        read.lock().unwrap_or_else(PoisonError::into_inner).push((*id, blobs));
        Ok(())
    })?;
    let (mut strays, mut none) = (HashSet::new(), Vec::new());
    for (id, blobs) in read.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match blobs {
            Some(blobs) => {
                inventory.packs.push(Pack::new(PackEntry { id, blobs })?);
                strays.insert(id);
            }
            None => none.push(id),
        }
    }
    inventory.packs.sort_by_key(|pack| pack.id);
    none.sort_unstable();
    Ok((strays, none))
}

/// The blobs of a pack of so many bytes by its own header; `None` where it has none that fits.
pub(crate) fn read_header(session: &Session, id: &Id, size: u64) -> Result<Option<Vec<BlobEntry>>, Failure> {
    let key = id.pack_key();
    let end = |bytes: u64| match session.place.get(&key, size.saturating_sub(bytes), Some(bytes.min(size))) {
        Ok(data) => Ok(Some(data)),
        Err(failure) if failure.kind == FailureKind::Permanent => Ok(None),
        Err(failure) => Err(failure),
    };
    let Some(mut tail) = end(TAIL)? else { return Ok(None) };
    let length = |tail: &[u8]| {
        let last = tail.len().checked_sub(4)?;
        Some(u64::from(u32::from_le_bytes(tail.get(last..)?.try_into().ok()?)))
    };
    let Some(length) = length(&tail) else { return Ok(None) };
    let whole = length + HEADER_LENGTH;
    if length <= u64::from(OVERHEAD) || whole > size {
        return Ok(None);
    }
    if whole > tail.len() as u64 {
        match end(whole)? {
            Some(more) if more.len() as u64 == whole => tail = more,
            _ => return Ok(None),
        }
    }
    let Some(sealed) = header_of(&tail) else { return Ok(None) };
    let mut sealed = sealed.to_vec();
    let blobs = session.cipher.open(&mut sealed).and_then(|text| parse_header(text));
    Ok(blobs.filter(|blobs| pack_size(blobs) == size))
}

impl Exam {
    /// Whether a blob can be read, as far as it was tried.
    pub(crate) fn good(&self, pack: &Pack, number: u32) -> bool {
        self.bad.get(&pack.id).is_none_or(|bad| !bad.contains_key(&number))
    }

    /// A pack of another size than the index says: its header may know better.
    fn correct(&mut self, session: &Session) -> Result<(), Failure> {
        for pack in &mut self.inventory.packs {
            let Some(size) = self.inventory.there.get(&pack.id).filter(|size| **size != pack.size) else { continue };
            if let Some(blobs) = read_header(session, &pack.id, *size)? {
                self.corrected.insert(pack.id, pack.blobs.clone());
                *pack = Pack::new(PackEntry { id: pack.id, blobs })?;
            }
        }
        Ok(())
    }

    /// Reads what is to be read: all packs, or only those that cannot be whole.
    fn read(&mut self, session: &Session, deep: bool) -> Result<(), Failure> {
        let mut found: Vec<(Blob, Id, u32)> = Vec::new();
        for pack in &self.inventory.packs {
            let read = match self.inventory.wrong(pack) {
                Some(Wrong::Missing) => false,
                Some(Wrong::Size(_)) => true,
                None => deep,
            };
            if read {
                found.extend((0u32..).zip(&pack.blobs).map(|(number, blob)| (pack.blob(blob), pack.id, number)));
            }
        }
        found.sort_by_key(|(blob, ..)| (blob.pack, blob.offset));
        let total: u64 = found.iter().map(|(blob, ..)| u64::from(blob.length)).sum();
        let (blobs, places): (Vec<Blob>, Vec<(Id, u32)>) =
            found.into_iter().map(|(blob, pack, number)| (blob, (pack, number))).unzip();
        session.watch.begin("checking", total);
        let bad: Mutex<HashMap<Id, BTreeMap<u32, String>>> = Mutex::default();
        blobs::for_each_sealed(session, &blobs, |index, read| {
            match (read, places.get(index)) {
                (Ok(sealed), _) => session.watch.add(sealed.len() as u64),
                (Err(why), Some((pack, number))) => {
                    let mut bad = bad.lock().unwrap_or_else(PoisonError::into_inner);
                    bad.entry(*pack).or_default().insert(*number, why);
                }
                (Err(_), None) => {}
            }
            Ok(())
        })?;
        session.watch.end();
        self.bad = bad.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.report.bytes_read = total;
        if deep {
            self.headers(session)?;
        }
        Ok(())
    }

    /// Proves that the header of each pack says what the index says: an index is built anew from them.
    fn headers(&mut self, session: &Session) -> Result<(), Failure> {
        let other: Mutex<Vec<Id>> = Mutex::default();
        pool::each(&session.watch, &self.inventory.packs, |_, pack| {
            let known = self.strays.contains(&pack.id) || self.corrected.contains_key(&pack.id);
            if known || self.inventory.wrong(pack).is_some() {
                return Ok(());
            }
            let sorted = |mut blobs: Vec<BlobEntry>| {
                blobs.sort_by_key(|blob| blob.offset);
                blobs
            };
            let header = read_header(session, &pack.id, pack.size)?.map(sorted);
            if header.as_ref() != Some(&sorted(pack.blobs.clone())) {
                other.lock().unwrap_or_else(PoisonError::into_inner).push(pack.id);
            }
            Ok(())
        })?;
        let mut other = other.into_inner().unwrap_or_else(PoisonError::into_inner);
        other.sort_unstable();
        for id in other {
            self.report.problems.push(format!("{}: its header is not what the index says", id.pack_key()));
            self.bad.entry(id).or_default();
        }
        Ok(())
    }

    /// Puts what is wrong with files into words.
    fn tell(&mut self) {
        let Self { inventory, report, .. } = self;
        for bad in inventory.bad_snapshots.iter().chain(&inventory.bad_index) {
            report.problems.push(format!("{} {}", bad.key, bad.why));
        }
        for pack in &inventory.packs {
            let key = pack.id.pack_key();
            match inventory.wrong(pack) {
                Some(Wrong::Missing) => report.problems.push(format!("{key} is missing")),
                Some(Wrong::Size(size)) => {
                    report.problems.push(format!("{key} has {size} bytes and not {}", pack.size));
                }
                None if self.corrected.contains_key(&pack.id) => {
                    report.problems.push(format!("the index does not say what is in {key}"));
                }
                None => {}
            }
            if let Some(bad) = self.bad.get(&pack.id)
                && let Some((_, why)) = bad.first_key_value()
            {
                report.problems.push(format!("{} of {} blobs are damaged: one {why}", bad.len(), pack.blobs.len()));
            }
        }
        let bytes = |ids: &mut dyn Iterator<Item = &Id>| ids.filter_map(|id| inventory.there.get(id)).sum::<u64>();
        if !self.strays.is_empty() {
            report.notes.push(format!(
                "{} packs ({} bytes) are in no index: a snapshot was interrupted, or an index file is lost",
                self.strays.len(),
                bytes(&mut self.strays.iter()),
            ));
        }
        for id in &self.no_packs {
            report.notes.push(format!("{} is in no index, and it is no pack", id.pack_key()));
        }
    }

    /// Which snapshots are damaged, now and after a repair.
    fn judge(&mut self, session: &Session) -> Result<(), Failure> {
        let all = 0..self.inventory.packs.len();
        let roots: Vec<Id> = self.inventory.snapshots.iter().filter_map(root).collect();
        let usual = |pack: &Pack| {
            self.inventory.wrong(pack).is_none()
                && !self.strays.contains(&pack.id)
                && !self.corrected.contains_key(&pack.id)
        };
        let homes = self.inventory.homes(all.clone(), usual, |pack, number| self.good(pack, number));
        let now = walk(session, &homes, &roots)?;
        drop(homes);
        if now.broken.is_empty() {
            return Ok(());
        }
        let there = |pack: &Pack| self.inventory.there.contains_key(&pack.id);
        let homes = self.inventory.homes(all, there, |pack, number| self.good(pack, number));
        let mended = walk(session, &homes, &roots)?;
        drop(homes);
        let (tainted, lost) = (now.tainted(), mended.tainted());
        for snapshot in &self.inventory.snapshots {
            let Some(tree) = root(snapshot).filter(|tree| tainted.contains(tree)) else { continue };
            let mendable = !lost.contains(&tree);
            let why = if mendable { reason(&now, tree) } else { reason(&mended, tree) };
            self.report.damaged.push(DamagedSnapshot {
                id: snapshot.id.to_hex().as_str().to_owned(),
                time_ms: u64::try_from(snapshot.time.timestamp().as_millisecond()).unwrap_or_default(),
                label: snapshot.label.clone(),
                why,
                mendable,
            });
        }
        Ok(())
    }
}

/// The tree of a snapshot.
pub(crate) fn root(snapshot: &SnapshotFile) -> Option<Id> {
    Id::parse(snapshot.tree.to_hex().as_str())
}

/// The first damage below a tree.
fn reason(walked: &Walked, tree: Id) -> String {
    let mut seen = HashSet::from([tree]);
    let mut open = vec![tree];
    while let Some(tree) = open.pop() {
        if let Some(why) = walked.broken.get(&tree) {
            return why.clone();
        }
        let below = walked.trees.get(&tree).into_iter().flatten();
        open.extend(below.filter(|child| seen.insert(**child)));
    }
    "a part of it is lost".to_owned()
}
