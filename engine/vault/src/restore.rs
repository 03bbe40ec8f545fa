//! Restoring a snapshot into a directory handle.
//!
//! First the folders, then what is there already is compared by content, then the missing blobs are read pack by pack
//! and written where they belong; a file gets its metadata when its last blob is in. So a restore that was cut off goes
//! on where it was: what is right is not read from the vault again. Files that the snapshot does not have are left
//! alone.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use lifeboat_core::Failure;
use lifeboat_host::ports::RestoreReport;
use rustic_core::repofile::{NodeType, SnapshotFile};
use rustic_core::{DataId, IndexedFullStatus, Repository};
use rustix::fs::{AtFlags, FileType, Mode};

use crate::blobs::{self, Blob, locate};
use crate::dirs::{Dirs, clear, open_to_write};
use crate::error::{self, DAMAGED, fail};
use crate::existing::{Found, look};
use crate::lock::Lock;
use crate::meta;
use crate::node::permissions_from_go;
use crate::session::Session;
use crate::tree::{self, Item, Listing, content};

/// Restores what is below the recorded path of a snapshot.
pub(crate) fn restore(session: &Session, snapshot: &SnapshotFile, into: OwnedFd) -> Result<RestoreReport, Failure> {
    let _lock = Lock::shared(&session.place, &session.cipher, &session.watch, false)?;
    let repo = session.indexed()?;
    let listing = tree::list(session, &repo, snapshot, |path, failure| {
        Err(fail(DAMAGED, format!("'{}' of the snapshot: {}", path.display(), failure.message)))
    })?;
    into_dir(session, &repo, &listing, into)
}

/// Restores a listing.
pub(crate) fn into_dir(
    session: &Session,
    repo: &Repository<IndexedFullStatus>,
    listing: &Listing,
    into: OwnedFd,
) -> Result<RestoreReport, Failure> {
    let (files, bytes) = listing.totals();
    session.watch.begin("restoring", bytes);
    let mut plan = Plan::new(session, repo, listing, into);
    plan.dirs.make_all()?;
    for index in 0..listing.items.len() {
        session.watch.go_on()?;
        plan.prepare(index)?;
    }
    plan.write()?;
    plan.link()?;
    plan.finish_folders()?;
    // One call for the whole file system: a sync for each file is many times slower, and this one also covers folders.
    rustix::fs::syncfs(plan.dirs.root()).map_err(|cause| error::io("sync", Path::new("."), &cause.into()))?;
    session.watch.end();
    Ok(RestoreReport { files, bytes })
}

/// A blob that is missing, and where it goes: item and offset.
struct Wanted {
    blob: Blob,
    places: Vec<(usize, u64)>,
}

struct Plan<'a> {
    session: &'a Session,
    repo: &'a Repository<IndexedFullStatus>,
    listing: &'a Listing,
    dirs: Dirs<'a>,
    /// How many blobs each item still waits for.
    left: Vec<AtomicUsize>,
    wanted: Vec<Wanted>,
    known: HashMap<DataId, usize>,
    /// The first name of each file that has several, by device and inode.
    firsts: HashMap<(u64, u64), usize>,
    /// The other names: item, and the item that it is the same file as.
    links: Vec<(usize, usize)>,
}

impl<'a> Plan<'a> {
    fn new(session: &'a Session, repo: &'a Repository<IndexedFullStatus>, listing: &'a Listing, into: OwnedFd) -> Self {
        Self {
            session,
            repo,
            listing,
            dirs: Dirs::new(into, listing),
            left: listing.items.iter().map(|_| AtomicUsize::new(0)).collect(),
            wanted: Vec::new(),
            known: HashMap::new(),
            firsts: HashMap::new(),
            links: Vec::new(),
        }
    }

    fn item(&self, index: usize) -> Result<&'a Item, Failure> {
        self.listing.items.get(index).ok_or_else(|| fail(DAMAGED, "the listing of the snapshot is inconsistent"))
    }

    /// Compares what is there; makes links and special files; notes which blobs a file lacks.
    fn prepare(&mut self, index: usize) -> Result<(), Failure> {
        let item = self.item(index)?;
        if !item.node.is_file() {
            return self.special(item);
        }
        let meta = &item.node.meta;
        if meta.links > 1 && meta.inode != 0 {
            let first = *self.firsts.entry((meta.device_id, meta.inode)).or_insert(index);
            if first != index && self.item(first)?.node.content == item.node.content {
                self.links.push((index, first));
                return Ok(());
            }
        }
        self.file(index, item)
    }

    fn file(&mut self, index: usize, item: &Item) -> Result<(), Failure> {
        let path = self.listing.path(item);
        let blobs = content(&item.node)
            .iter()
            .map(|id| locate(self.session, self.repo, id))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|failure| fail(DAMAGED, format!("'{}': {}", path.display(), failure.message)))?;
        let dir = self.dirs.open(item.folder)?;
        let found = look(&dir, &item.name, &blobs.iter().collect::<Vec<_>>(), &self.session.watch)?;
        let size: u64 = blobs.iter().map(|blob| u64::from(blob.size())).sum();
        let right = match found {
            Found::File { right, length, links } if links <= item.node.meta.links.max(1) => {
                if length > size {
                    let file = open_to_write(&dir, &item.name, &path)?;
                    file.set_len(size).map_err(|cause| error::io("write", &path, &cause))?;
                }
                right
            }
            Found::Nothing => Vec::new(),
            // Another name of the file may be outside of the destination: it is replaced, not written to.
            Found::Other | Found::File { .. } => {
                clear(&dir, &item.name, &path)?;
                Vec::new()
            }
        };
        if blobs.is_empty() {
            open_to_write(&dir, &item.name, &path)?;
        }
        let mut offset = 0;
        let mut lacking = 0;
        for (place, (blob, id)) in blobs.into_iter().zip(content(&item.node)).enumerate() {
            let length = u64::from(blob.size());
            if right.get(place).copied().unwrap_or(false) {
                self.session.watch.add(length);
            } else {
                lacking += 1;
                self.want(*id, blob, (index, offset));
            }
            offset += length;
        }
        if lacking == 0 {
            return self.finish(item, &path, &dir);
        }
        if let Some(left) = self.left.get(index) {
            left.store(lacking, Ordering::Relaxed);
        }
        Ok(())
    }

    fn want(&mut self, id: DataId, blob: Blob, place: (usize, u64)) {
        let next = self.wanted.len();
        let known = *self.known.entry(id).or_insert(next);
        match self.wanted.get_mut(known) {
            Some(wanted) => wanted.places.push(place),
            None => self.wanted.push(Wanted { blob, places: vec![place] }),
        }
    }

    /// Reads the missing blobs and writes them where they belong.
    fn write(&mut self) -> Result<(), Failure> {
        self.known = HashMap::new();
        self.wanted.sort_by_key(|wanted| (wanted.blob.pack, wanted.blob.offset));
        let (blobs, places): (Vec<Blob>, Vec<Vec<(usize, u64)>>) =
            std::mem::take(&mut self.wanted).into_iter().map(|wanted| (wanted.blob, wanted.places)).unzip();
        let this = &*self;
        blobs::for_each(self.session, &blobs, |index, read| {
            for (item, offset) in places.get(index).map(Vec::as_slice).unwrap_or_default() {
                let item_index = *item;
                let item = this.item(item_index)?;
                let path = this.listing.path(item);
                let data = match &read {
                    Ok(data) => *data,
                    Err(cause) => {
                        let message = format!("'{}' cannot be restored: a blob of it {cause}", path.display());
                        return Err(error::fail_hint(
                            DAMAGED,
                            message,
                            "restore an earlier snapshot, or a copy of this one from another vault",
                        ));
                    }
                };
                this.put(item_index, item, &path, data, *offset)?;
            }
            Ok(())
        })
    }

    fn put(&self, index: usize, item: &Item, path: &Path, data: &[u8], offset: u64) -> Result<(), Failure> {
        let dir = self.dirs.open(item.folder)?;
        let file = open_to_write(&dir, &item.name, path)?;
        file.write_all_at(data, offset).map_err(|cause| error::io("write", path, &cause))?;
        drop(file);
        self.session.watch.add(u64::try_from(data.len()).unwrap_or_default());
        // Whoever brings the last blob sees the writes of the others: they counted down after they wrote.
        if self.left.get(index).is_some_and(|left| left.fetch_sub(1, Ordering::AcqRel) == 1) {
            self.finish(item, path, &dir)?;
        }
        Ok(())
    }

    fn finish(&self, item: &Item, path: &Path, dir: &OwnedFd) -> Result<(), Failure> {
        meta::apply(dir, &item.name, path, &item.node.meta, item.node.is_symlink(), &self.session.watch)
    }

    /// A link, a pipe or a device.
    fn special(&self, item: &Item) -> Result<(), Failure> {
        let path = self.listing.path(item);
        let dir = self.dirs.open(item.folder)?;
        let device = match &item.node.node_type {
            NodeType::Symlink { .. } => {
                let target = item.node.node_type.to_link();
                let there = rustix::fs::readlinkat(&*dir, &item.name, Vec::new());
                if !there.is_ok_and(|there| there.as_bytes() == target.as_os_str().as_encoded_bytes()) {
                    clear(&dir, &item.name, &path)?;
                    rustix::fs::symlinkat(target, &*dir, &item.name)
                        .map_err(|cause| error::io("make the link", &path, &cause.into()))?;
                }
                return self.finish(item, &path, &dir);
            }
            NodeType::Fifo => (FileType::Fifo, 0),
            NodeType::Dev { device } => (FileType::BlockDevice, *device),
            NodeType::Chardev { device } => (FileType::CharacterDevice, *device),
            // A socket belongs to its process. Folders and files are not handled here.
            NodeType::Socket | NodeType::Dir | NodeType::File => return Ok(()),
        };
        clear(&dir, &item.name, &path)?;
        let mode = Mode::from_raw_mode(permissions_from_go(item.node.meta.mode.unwrap_or(0o600)));
        rustix::fs::mknodat(&*dir, &item.name, device.0, mode, device.1)
            .map_err(|cause| error::io("make the device", &path, &cause.into()))?;
        self.finish(item, &path, &dir)
    }

    /// The further names of files that have several.
    fn link(&self) -> Result<(), Failure> {
        for (index, first) in &self.links {
            self.session.watch.go_on()?;
            let (item, first) = (self.item(*index)?, self.item(*first)?);
            let path = self.listing.path(item);
            let (from, to) = (self.dirs.open(first.folder)?, self.dirs.open(item.folder)?);
            let inode = |dir: &OwnedFd, name: &std::ffi::OsStr| {
                rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| (stat.st_dev, stat.st_ino)).ok()
            };
            if inode(&from, &first.name) != inode(&to, &item.name) {
                clear(&to, &item.name, &path)?;
                rustix::fs::linkat(&*from, &first.name, &*to, &item.name, AtFlags::empty())
                    .map_err(|cause| error::io("link", &path, &cause.into()))?;
            }
            self.session.watch.add(item.node.meta.size);
        }
        Ok(())
    }

    /// Folders last, the deepest first: writing into one changes its time.
    fn finish_folders(&self) -> Result<(), Failure> {
        for (index, folder) in self.listing.folders.iter().enumerate().skip(1).rev() {
            let Some(meta) = &folder.meta else { continue };
            let parent = self.dirs.open(folder.parent)?;
            let path = self.listing.folder_path(index);
            meta::apply(&parent, &folder.name, &path, meta, false, &self.session.watch)?;
        }
        match self.listing.folders.first().and_then(|root| root.meta.as_ref()) {
            Some(meta) => meta::apply(
                self.dirs.root(),
                std::ffi::OsStr::new("."),
                Path::new("."),
                meta,
                false,
                &self.session.watch,
            ),
            None => Ok(()),
        }
    }
}
