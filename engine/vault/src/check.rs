//! Proving a snapshot, and nothing but that snapshot.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use lifeboat_core::{Failure, FailureKind};
use lifeboat_host::ports::{CheckReport, Depth};
use rustic_core::repofile::{IndexFile, PackId, SnapshotFile};
use rustic_core::{DataId, IndexedFullStatus, Repository};

use crate::blobs::{self, Blob, locate};
use crate::error;
use crate::existing::{Found, look};
use crate::lock::Lock;
use crate::restore;
use crate::session::Session;
use crate::tree::{self, Listing, content};

/// So many problems are told one by one; after that only how many more there are.
const TOLD: usize = 100;

/// Proves a snapshot to a depth.
pub(crate) fn check(session: &Session, snapshot: &SnapshotFile, depth: Depth) -> Result<CheckReport, Failure> {
    let _lock = Lock::shared(&session.place, &session.cipher, &session.watch, false)?;
    let repo = session.indexed()?;
    let mut problems = Vec::new();
    let listing = tree::list(session, &repo, snapshot, |path, failure| {
        problems.push(format!("'{}': {}", path.display(), failure.message));
        Ok(())
    })?;
    let (files, bytes) = listing.totals();
    let mut checked = Checked::gather(session, &repo, &listing, &mut problems)?;
    checked.packs(session, &mut problems)?;
    if depth != Depth::Index {
        checked.content(session, &mut problems)?;
    }
    if depth == Depth::Restore && problems.is_empty() {
        restored(session, &repo, &listing, &mut problems)?;
    }
    if problems.len() > TOLD {
        let more = problems.len() - TOLD;
        problems.truncate(TOLD);
        problems.push(format!("and {more} more"));
    }
    Ok(CheckReport { files, bytes, problems })
}

/// The blobs of the files of a snapshot.
struct Checked<'a> {
    listing: &'a Listing,
    blobs: Vec<Blob>,
    /// For each blob the first file that has it.
    owners: Vec<usize>,
}

impl<'a> Checked<'a> {
    /// Finds every blob in the index.
    fn gather(
        session: &Session,
        repo: &Repository<IndexedFullStatus>,
        listing: &'a Listing,
        problems: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        let mut seen: HashMap<DataId, usize> = HashMap::new();
        let mut found: Vec<(Blob, usize)> = Vec::new();
        for (index, item) in listing.items.iter().enumerate().filter(|(_, item)| item.node.is_file()) {
            session.watch.go_on()?;
            let mut size = 0u64;
            for id in content(&item.node) {
                if let Some(known) = seen.get(id) {
                    size += found.get(*known).map_or(0, |(blob, _)| u64::from(blob.size()));
                    continue;
                }
                match locate(session, repo, id) {
                    Ok(blob) => {
                        size += u64::from(blob.size());
                        seen.insert(*id, found.len());
                        found.push((blob, index));
                    }
                    Err(failure) => problems.push(format!("'{}': {}", listing.path(item).display(), failure.message)),
                }
            }
            if size != item.node.meta.size && problems.is_empty() {
                // The file grew or shrank while the snapshot was taken: what was read is there, and whole.
                let path = listing.path(item);
                session.watch.log("info", &format!("'{}' changed while it was read", path.display()));
            }
        }
        found.sort_by_key(|(blob, _)| (blob.pack, blob.offset));
        let (blobs, owners) = found.into_iter().unzip();
        Ok(Self { listing, blobs, owners })
    }

    fn owner(&self, blob: usize) -> String {
        let item = self.owners.get(blob).and_then(|owner| self.listing.items.get(*owner));
        item.map_or_else(String::new, |item| self.listing.path(item).display().to_string())
    }

    /// Whether every pack that is needed is there with the size that the index gives it. The blobs of packs that are
    /// not are taken out: there is nothing to read.
    fn packs(&mut self, session: &Session, problems: &mut Vec<String>) -> Result<(), Failure> {
        let expected = pack_sizes(session)?;
        let there: HashMap<String, u64> = session.place.list("data/")?.into_iter().collect();
        let mut bad: BTreeMap<PackId, (String, usize, usize)> = BTreeMap::new();
        for (index, blob) in self.blobs.iter().enumerate() {
            if let Some((_, _, count)) = bad.get_mut(&blob.pack) {
                *count += 1;
                continue;
            }
            let key = blob.key();
            let wrong = match (there.get(&key), expected.get(&blob.pack)) {
                (None, _) => Some(format!("{key} is missing")),
                (Some(size), Some(right)) if size != right => Some(format!("{key} has {size} bytes and not {right}")),
                (Some(size), _) if *size < blob.end() => Some(format!("{key} has {size} bytes and is cut off")),
                _ => None,
            };
            if let Some(wrong) = wrong {
                bad.insert(blob.pack, (wrong, index, 0));
            }
        }
        for (wrong, first, more) in bad.values() {
            let others = if *more > 0 { format!(" and {more} more parts of files") } else { String::new() };
            problems.push(format!("{wrong}: needed by '{}'{others}", self.owner(*first)));
        }
        // A pack of another size may still be read; one that is missing may not.
        let kept = |blob: &Blob| there.contains_key(&blob.key());
        let (blobs, owners) = std::mem::take(&mut self.blobs)
            .into_iter()
            .zip(std::mem::take(&mut self.owners))
            .filter(|(blob, _)| kept(blob))
            .unzip();
        (self.blobs, self.owners) = (blobs, owners);
        Ok(())
    }

    /// Reads and hashes every blob.
    fn content(&self, session: &Session, problems: &mut Vec<String>) -> Result<(), Failure> {
        session.watch.begin("verifying", self.blobs.iter().map(|blob| u64::from(blob.size())).sum());
        let wrong: Mutex<BTreeMap<usize, String>> = Mutex::new(BTreeMap::new());
        blobs::for_each(session, &self.blobs, |index, read| {
            match read {
                Ok(data) => session.watch.add(u64::try_from(data.len()).unwrap_or_default()),
                Err(cause) => {
                    let problem = format!("'{}': a blob of it {cause}", self.owner(index));
                    if let Ok(mut wrong) = wrong.lock() {
                        wrong.insert(index, problem);
                    }
                }
            }
            Ok(())
        })?;
        session.watch.end();
        problems.extend(wrong.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).into_values());
        Ok(())
    }
}

/// The size of each pack, by the index.
fn pack_sizes(session: &Session) -> Result<HashMap<PackId, u64>, Failure> {
    let mut sizes = HashMap::new();
    let files = session.repo.stream_files::<IndexFile>().map_err(|cause| session.explain(&cause))?;
    for file in files {
        let (_, index) = file.map_err(|cause| session.explain(&cause))?;
        for pack in index.packs.iter().chain(&index.packs_to_delete) {
            sizes.insert(pack.id, u64::from(pack.pack_size()));
        }
    }
    Ok(sizes)
}

/// Restores to scratch and compares every file by content.
fn restored(
    session: &Session,
    repo: &Repository<IndexedFullStatus>,
    listing: &Listing,
    problems: &mut Vec<String>,
) -> Result<(), Failure> {
    let scratch = tempfile::Builder::new()
        .prefix("lifeboat-verify-")
        .tempdir()
        .map_err(|cause| error::io("make", &std::env::temp_dir(), &cause))?;
    let open = || -> Result<OwnedFd, Failure> {
        let opened = std::fs::File::open(scratch.path()).map(OwnedFd::from);
        opened.map_err(|cause| error::io("open", scratch.path(), &cause))
    };
    match restore::into_dir(session, repo, listing, open()?) {
        Ok(_) => {}
        Err(failure) if failure.kind == FailureKind::Permanent => {
            problems.push(failure.message);
            return Ok(());
        }
        Err(failure) => return Err(failure),
    }
    let dirs = crate::dirs::Dirs::new(open()?, listing);
    for item in listing.files() {
        session.watch.go_on()?;
        let blobs = content(&item.node).iter().map(|id| locate(session, repo, id)).collect::<Result<Vec<_>, _>>()?;
        let size: u64 = blobs.iter().map(|blob| u64::from(blob.size())).sum();
        let dir = dirs.open(item.folder)?;
        let found = look(&dir, &item.name, &blobs.iter().collect::<Vec<_>>(), &session.watch)?;
        if !matches!(found, Found::File { right, length, .. } if length == size && right.iter().all(|right| *right)) {
            problems.push(format!("'{}' is not the same after a restore", listing.path(item).display()));
        }
    }
    Ok(())
}
