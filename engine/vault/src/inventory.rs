//! What is in a vault: its snapshots, its index, its packs. Nothing is passed over: what cannot be read is kept as such,
//! because whoever deletes has to know what was not seen.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use lifeboat_core::{Failure, FailureKind};
use rustic_core::repofile::{PackId, SnapshotFile, SnapshotId};

use crate::blobs::Blob;
use crate::error::{DAMAGED, fail};
use crate::format::{BlobEntry, Id, IndexFile, Kind, PackEntry, PackNames, pack_size};
use crate::pool;
use crate::session::Session;

/// A pack as the index has it.
pub(crate) struct Pack {
    pub(crate) id: Id,
    pub(crate) blobs: Vec<BlobEntry>,
    /// Bytes, by the index.
    pub(crate) size: u64,
    name: PackId,
}

impl Pack {
    pub(crate) fn new(entry: PackEntry) -> Result<Self, Failure> {
        let name = entry.id.hex().parse().map_err(|_| fail(DAMAGED, "the index names a pack that cannot be"))?;
        Ok(Self { id: entry.id, size: pack_size(&entry.blobs), blobs: entry.blobs, name })
    }

    /// One of its blobs, to be read.
    pub(crate) fn blob(&self, entry: &BlobEntry) -> Blob {
        Blob {
            id: entry.id.0,
            pack: self.name,
            offset: entry.offset,
            length: entry.length,
            unpacked: entry.uncompressed_length,
        }
    }
}

/// A file that cannot be read, and why.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    pub(crate) key: String,
    pub(crate) why: String,
}

/// The whole of a vault, but for the content of its packs.
pub(crate) struct Inventory {
    pub(crate) snapshots: Vec<SnapshotFile>,
    pub(crate) bad_snapshots: Vec<Unreadable>,
    pub(crate) index_files: Vec<String>,
    pub(crate) bad_index: Vec<Unreadable>,
    /// Packs of the index, each once, in the order of their names.
    pub(crate) packs: Vec<Pack>,
    /// Whether the index has a pack twice, or one that another program marked.
    pub(crate) untidy: bool,
    /// Packs that are there, with their sizes.
    pub(crate) there: BTreeMap<Id, u64>,
}

/// What is wrong with a pack of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is not there.
    Missing,
    /// It is there with so many bytes.
    Size(u64),
}

impl Inventory {
    /// Reads it all. The list of packs comes last: what was written meanwhile is then in no index, and not the other way.
    pub(crate) fn load(session: &Session) -> Result<Self, Failure> {
        let (snapshots, bad_snapshots) = snapshots(session)?;
        let mut found = Self {
            snapshots,
            bad_snapshots,
            index_files: Vec::new(),
            bad_index: Vec::new(),
            packs: Vec::new(),
            untidy: false,
            there: BTreeMap::new(),
        };
        let files = files(session, "index/")?;
        let mut packs: HashMap<Id, PackEntry> = HashMap::new();
        for (key, read) in read_all(session, &files, |text| serde_json::from_slice::<IndexFile>(text).ok())? {
            match read {
                Ok(file) => {
                    found.untidy |= !file.packs_to_delete.is_empty();
                    for entry in file.packs.into_iter().chain(file.packs_to_delete) {
                        found.untidy |= !merge(&mut packs, entry);
                    }
                    found.index_files.push(key);
                }
                Err(why) => found.bad_index.push(Unreadable { key, why }),
            }
        }
        found.packs = packs.into_values().map(Pack::new).collect::<Result<_, _>>()?;
        found.packs.sort_by_key(|pack| pack.id);
        found.there = session
            .place
            .list("data/")?
            .into_iter()
            .filter_map(|(key, size)| Some((Id::parse(key.rsplit('/').next()?)?, size)))
            .collect();
        Ok(found)
    }

    /// What is wrong with a pack, if anything.
    pub(crate) fn wrong(&self, pack: &Pack) -> Option<Wrong> {
        match self.there.get(&pack.id) {
            None => Some(Wrong::Missing),
            Some(size) if *size != pack.size => Some(Wrong::Size(*size)),
            Some(_) => None,
        }
    }

    /// Packs that are there and in no index, with their sizes.
    pub(crate) fn strays(&self) -> Vec<(Id, u64)> {
        let known = |id: &Id| self.packs.binary_search_by_key(id, |pack| pack.id).is_ok();
        self.there.iter().filter(|(id, _)| !known(id)).map(|(id, size)| (*id, *size)).collect()
    }

    /// Where each blob can be read: in the first pack, in this order, that has it. `passes` says whether a pack counts, and
    /// `reads` whether the blob with a number does.
    pub(crate) fn homes<'a>(
        &'a self,
        order: impl Iterator<Item = usize>,
        passes: impl Fn(&Pack) -> bool,
        reads: impl Fn(&Pack, u32) -> bool,
    ) -> Homes<'a> {
        let mut homes = Homes { packs: &self.packs, data: HashMap::new(), trees: HashMap::new() };
        for index in order {
            let Some(pack) = self.packs.get(index).filter(|pack| passes(pack)) else { continue };
            let at = u32::try_from(index).unwrap_or(u32::MAX);
            for (number, blob) in (0u32..).zip(&pack.blobs).filter(|(number, _)| reads(pack, *number)) {
                let map = if blob.kind == Kind::Tree { &mut homes.trees } else { &mut homes.data };
                map.entry(blob.id).or_insert((at, number));
            }
        }
        homes
    }
}

/// Where blobs are.
pub(crate) struct Homes<'a> {
    packs: &'a [Pack],
    data: HashMap<Id, (u32, u32)>,
    trees: HashMap<Id, (u32, u32)>,
}

impl Homes<'_> {
    /// The place of a blob: its pack, and its number there.
    pub(crate) fn place(&self, kind: Kind, id: &Id) -> Option<(u32, u32)> {
        match kind {
            Kind::Data => self.data.get(id).copied(),
            Kind::Tree => self.trees.get(id).copied(),
        }
    }

    /// A blob, to be read.
    pub(crate) fn blob(&self, kind: Kind, id: &Id) -> Option<Blob> {
        let (pack, number) = self.place(kind, id)?;
        let pack = self.packs.get(pack as usize)?;
        pack.blobs.get(number as usize).map(|entry| pack.blob(entry))
    }
}

/// Adds a pack; false if it was there already.
fn merge(packs: &mut HashMap<Id, PackEntry>, entry: PackEntry) -> bool {
    match packs.entry(entry.id) {
        std::collections::hash_map::Entry::Vacant(place) => {
            place.insert(entry);
            true
        }
        std::collections::hash_map::Entry::Occupied(mut place) => {
            // Two that differ: the one with more blobs is whole, as a header lists them all.
            if place.get().blobs.len() < entry.blobs.len() {
                place.insert(entry);
            }
            false
        }
    }
}

/// The names of all packs of the index, without what is in them.
pub(crate) fn indexed_packs(session: &Session) -> Result<HashSet<Id>, Failure> {
    let files = files(session, "index/")?;
    let mut names = HashSet::new();
    for (key, read) in read_all(session, &files, |text| serde_json::from_slice::<PackNames>(text).ok())? {
        let file = read.map_err(|why| fail(DAMAGED, format!("{key} {why}")))?;
        names.extend(file.packs.iter().chain(&file.packs_to_delete).map(|pack| pack.id));
    }
    Ok(names)
}

/// The files of a folder that are named by an id; whatever else is there is not of the repository.
fn files(session: &Session, folder: &str) -> Result<Vec<String>, Failure> {
    let named = |key: &String| key.rsplit('/').next().is_some_and(|name| Id::parse(name).is_some());
    let mut keys: Vec<String> = session.place.list(folder)?.into_iter().map(|(key, _)| key).filter(named).collect();
    keys.sort();
    Ok(keys)
}

/// The snapshots, oldest first, and those that cannot be read.
pub(crate) fn snapshots(session: &Session) -> Result<(Vec<SnapshotFile>, Vec<Unreadable>), Failure> {
    let files = files(session, "snapshots/")?;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (key, read) in read_all(session, &files, |text| serde_json::from_slice::<SnapshotFile>(text).ok())? {
        let id: Option<SnapshotId> = key.rsplit('/').next().and_then(|name| name.parse().ok());
        match (read, id) {
            (Ok(mut snapshot), Some(id)) => {
                snapshot.id = id;
                good.push(snapshot);
            }
            (Err(why), _) => bad.push(Unreadable { key, why }),
            (Ok(_), None) => {}
        }
    }
    good.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.id.cmp(&b.id)));
    Ok((good, bad))
}

type Read<T> = (String, Result<T, String>);

/// Reads, proves, opens and parses files. What is damaged is given as such; a store that is away is a failure.
fn read_all<T: Send>(
    session: &Session,
    keys: &[String],
    parse: impl Fn(&[u8]) -> Option<T> + Sync,
) -> Result<Vec<Read<T>>, Failure> {
    let found: Mutex<Vec<Read<T>>> = Mutex::new(Vec::new());
    pool::each(&session.watch, keys, |_, key| {
        let read = read_one(session, key)?.and_then(|text| parse(&text).ok_or_else(|| "is not as it should be".into()));
        found.lock().unwrap_or_else(PoisonError::into_inner).push((key.clone(), read));
        Ok(())
    })?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// One file: its text, or the end of a sentence about it.
fn read_one(session: &Session, key: &str) -> Result<Result<Vec<u8>, String>, Failure> {
    let data = match session.place.get_named(key) {
        Ok(data) => data,
        Err(failure) if failure.kind == FailureKind::Permanent => {
            return Ok(Err(format!("cannot be read: {}", failure.message)));
        }
        Err(failure) => return Err(failure),
    };
    if key.rsplit('/').next() != Some(Id::of(&data).hex().as_str()) {
        return Ok(Err("does not have the content that its name says".to_owned()));
    }
    Ok(session.cipher.unseal_file(&data).ok_or_else(|| "was changed after it was written".to_owned()))
}
