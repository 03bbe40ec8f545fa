//! The folders of a destination, reached from its handle one name at a time and without following links.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lifeboat_core::Failure;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{self, IO, fail_hint};
use crate::source::OPEN_DIR;
use crate::tree::Listing;

/// At most so many folders are kept open.
const KEPT: usize = 128;

/// The destination of a restore.
pub(crate) struct Dirs<'a> {
    listing: &'a Listing,
    root: Arc<OwnedFd>,
    open: Mutex<HashMap<usize, Arc<OwnedFd>>>,
}

impl<'a> Dirs<'a> {
    /// The destination behind a handle, with the folders of a listing.
    pub(crate) fn new(root: OwnedFd, listing: &'a Listing) -> Self {
        Self { listing, root: Arc::new(root), open: Mutex::new(HashMap::new()) }
    }

    /// The handle of the destination itself.
    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// The handle of a folder that is there.
    pub(crate) fn open(&self, folder: usize) -> Result<Arc<OwnedFd>, Failure> {
        if folder == 0 {
            return Ok(self.root.clone());
        }
        if let Some(kept) = self.kept().get(&folder) {
            return Ok(kept.clone());
        }
        // From the folder up to the first one that is open, and down again.
        let mut missing = vec![folder];
        let mut at = folder;
        let mut dir = loop {
            at = self.listing.folders.get(at).map_or(0, |folder| folder.parent);
            if at == 0 {
                break self.root.clone();
            }
            if let Some(kept) = self.kept().get(&at) {
                break kept.clone();
            }
            missing.push(at);
        };
        for folder in missing.into_iter().rev() {
            let Some(entry) = self.listing.folders.get(folder) else { break };
            let opened = rustix::fs::openat(&*dir, &entry.name, OPEN_DIR, Mode::empty())
                .map_err(|cause| self.in_the_way(folder, cause))?;
            dir = Arc::new(opened);
            let mut kept = self.kept();
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(folder, dir.clone());
        }
        Ok(dir)
    }

    /// Makes every folder that is missing. A link or a file in the place of one is refused: behind a link is not ours.
    pub(crate) fn make_all(&self) -> Result<(), Failure> {
        for (index, folder) in self.listing.folders.iter().enumerate().skip(1) {
            let parent = self.open(folder.parent)?;
            match rustix::fs::mkdirat(&*parent, &folder.name, Mode::from_raw_mode(0o700)) {
                Ok(()) => {}
                Err(Errno::EXIST) => {
                    self.open(index)?;
                }
                Err(cause) => {
                    return Err(error::io("make the folder", &self.listing.folder_path(index), &cause.into()));
                }
            }
        }
        Ok(())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Arc<OwnedFd>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_the_way(&self, folder: usize, cause: Errno) -> Failure {
        let path = self.listing.folder_path(folder);
        if cause != Errno::LOOP && cause != Errno::NOTDIR {
            return error::io("open the folder", &path, &cause.into());
        }
        fail_hint(
            IO,
            format!("'{}' of the destination is a link or a file, where the snapshot has a folder", path.display()),
            "move it away, or restore into an empty folder: nothing is written through links",
        )
    }
}

/// Removes what is in the place of a file or a link, if it is not a folder.
pub(crate) fn clear(dir: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), Failure> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Err(fail_hint(
            IO,
            format!("'{}' of the destination is a folder, where the snapshot has a file", path.display()),
            "move it away, or restore into an empty folder: a restore removes no folders",
        )),
        Err(cause) => Err(error::io("replace", path, &cause.into())),
    }
}

/// Opens a plain file in a folder to write; made where it is missing, never through a link.
pub(crate) fn open_to_write(dir: &OwnedFd, name: &OsStr, path: &Path) -> Result<File, Failure> {
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600))
        .map(File::from)
        .map_err(|cause| error::io("write", path, &cause.into()))
}
