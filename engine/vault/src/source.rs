//! The source of a snapshot: a walk over a directory handle.
//!
//! Entries are looked at and opened by name below the handle of their folder, and links are never followed, so that
//! nothing outside can be read, whatever is swapped during the walk. An entry that cannot be read is noted as the
//! failure of the snapshot.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lifeboat_anomaly::{Sample, head::HEAD_BYTES, look};
use lifeboat_host::temp::is_temp;
use rustic_core::repofile::{Metadata, Node, NodeType};
use rustic_core::{ErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::error;
use crate::node::{Names, attributes, proc_path, set_attributes};
use crate::watch::Watch;

/// How a folder is opened below another one.
pub(crate) const OPEN_DIR: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What a walk handed over.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Plain files.
    pub(crate) files: AtomicU64,
    /// Links, pipes and devices.
    pub(crate) others: AtomicU64,
    /// Folders, with those above the root.
    pub(crate) folders: AtomicU64,
    /// What the beginnings of the files look like that were read: those that are new or changed.
    pub(crate) sample: Mutex<Sample>,
}

impl Seen {
    /// What was seen of the files that were read so far.
    pub(crate) fn sample(&self) -> Sample {
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A folder to be recorded under a path of its own.
pub(crate) struct DirSource {
    root: Arc<OwnedFd>,
    path: PathBuf,
    watch: Arc<Watch>,
    seen: Arc<Seen>,
}

impl DirSource {
    /// The folder behind the handle, recorded as `path`.
    pub(crate) fn new(root: OwnedFd, path: PathBuf, watch: Arc<Watch>) -> Self {
        Self { root: Arc::new(root), path, watch, seen: Arc::default() }
    }

    /// What the walk handed over so far.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }
}

impl ReadSource for DirSource {
    type Open = Opener;
    type Iter = Walk;

    fn size(&self) -> RusticResult<Option<u64>> {
        // A second, cheap walk beside the first one. What it cannot read is the first one's to tell.
        Ok(Some(tree_size(&self.root)))
    }

    fn entries(&self) -> Walk {
        Walk {
            watch: self.watch.clone(),
            seen: self.seen.clone(),
            names: Names::default(),
            ready: VecDeque::new(),
            stack: Vec::new(),
            start: Some((self.root.clone(), self.path.clone())),
        }
    }
}

/// Opens a file when its turn comes.
pub(crate) struct Opener {
    dir: Arc<OwnedFd>,
    name: OsString,
    path: PathBuf,
    watch: Arc<Watch>,
    seen: Arc<Seen>,
}

impl ReadSourceOpen for Opener {
    type Reader = SourceFile;

    fn open(self) -> RusticResult<SourceFile> {
        // Without NONBLOCK a pipe put in the place of the file would hold us for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.dir, &self.name, flags, Mode::empty()).map_err(std::io::Error::from);
        let checked = opened.and_then(|fd| {
            let stat = rustix::fs::fstat(&fd)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                return Ok(File::from(fd));
            }
            Err(std::io::Error::new(std::io::ErrorKind::NotFound, "it is no longer a plain file"))
        });
        match checked {
            Ok(file) => Ok(SourceFile { file, path: self.path, watch: self.watch, seen: self.seen, head: Vec::new() }),
            Err(cause) => Err(noted(&self.watch, error::io("read", &self.path, &cause))),
        }
    }
}

/// A file of the source. Its errors are noted with its path.
pub(crate) struct SourceFile {
    file: File,
    path: PathBuf,
    watch: Arc<Watch>,
    seen: Arc<Seen>,
    /// Its first bytes, as they were read.
    head: Vec<u8>,
}

impl Drop for SourceFile {
    fn drop(&mut self) {
        if let Some(found) = look(&self.head) {
            self.seen.sample.lock().unwrap_or_else(PoisonError::into_inner).count(found);
        }
    }
}

impl Read for SourceFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // Once one part has failed the snapshot cannot be made, and reading the rest would only take time.
        if self.watch.go_on().is_err() || self.watch.failure().is_some() {
            return Err(std::io::Error::other("the snapshot was given up"));
        }
        let count = self.file.read(buffer).inspect_err(|cause| {
            if cause.kind() != std::io::ErrorKind::Interrupted {
                self.watch.note_failure(error::io("read", &self.path, cause));
            }
        })?;
        let wanted = HEAD_BYTES.saturating_sub(self.head.len()).min(count);
        self.head.extend_from_slice(buffer.get(..wanted).unwrap_or_default());
        Ok(count)
    }
}

fn noted(watch: &Watch, failure: lifeboat_core::Failure) -> Box<RusticError> {
    let told = RusticError::new(ErrorKind::InputOutput, failure.message.replace('`', "'"));
    watch.note_failure(failure);
    told
}

/// The entries of a folder in the order of their names, each folder before what is in it.
pub(crate) struct Walk {
    watch: Arc<Watch>,
    seen: Arc<Seen>,
    names: Names,
    ready: VecDeque<ReadSourceEntry<Opener>>,
    stack: Vec<Level>,
    start: Option<(Arc<OwnedFd>, PathBuf)>,
}

struct Level {
    dir: Arc<OwnedFd>,
    path: PathBuf,
    names: std::vec::IntoIter<OsString>,
}

impl Iterator for Walk {
    type Item = RusticResult<ReadSourceEntry<Opener>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((root, path)) = self.start.take()
            && let Err(failure) = self.begin(&root, &path)
        {
            return Some(Err(noted(&self.watch, failure)));
        }
        if let Some(entry) = self.ready.pop_front() {
            return Some(Ok(self.counted(entry)));
        }
        loop {
            if self.watch.go_on().is_err() || self.watch.failure().is_some() {
                return None;
            }
            let level = self.stack.last_mut()?;
            let Some(name) = level.names.next() else {
                self.stack.pop();
                continue;
            };
            let (dir, path) = (level.dir.clone(), level.path.join(&name));
            match self.entry(&dir, name, path) {
                Ok(Some(entry)) => return Some(Ok(self.counted(entry))),
                Ok(None) => {}
                Err(failure) => return Some(Err(noted(&self.watch, failure))),
            }
        }
    }
}

impl Walk {
    fn counted(&self, entry: ReadSourceEntry<Opener>) -> ReadSourceEntry<Opener> {
        let count = match &entry.node.node_type {
            NodeType::File => &self.seen.files,
            NodeType::Dir => &self.seen.folders,
            _ => &self.seen.others,
        };
        count.fetch_add(1, Ordering::Relaxed);
        entry
    }

    /// Prepares the folders above the root, the root itself, and its names.
    fn begin(&mut self, root: &Arc<OwnedFd>, path: &Path) -> Result<(), lifeboat_core::Failure> {
        let stat = rustix::fs::fstat(root).map_err(|cause| error::io("read", path, &cause.into()))?;
        let meta = self.names.metadata(&stat);
        let ancestors: Vec<&Path> = path.ancestors().filter(|above| above.file_name().is_some()).collect();
        for above in ancestors.into_iter().rev() {
            let mut meta = meta.clone();
            if above != path {
                // The handle does not show what is above it. A time must be given: restic takes none for the year 1.
                meta.mode = Some((1 << 31) | 0o755);
                meta.inode = 0;
            }
            self.ready.push_back(directory(above, meta));
        }
        self.descend(root.clone(), path.to_path_buf())
    }

    fn descend(&mut self, dir: Arc<OwnedFd>, path: PathBuf) -> Result<(), lifeboat_core::Failure> {
        let names = list(&dir).map_err(|cause| error::io("list", &path, &cause))?;
        self.stack.push(Level { dir, path, names: names.into_iter() });
        Ok(())
    }

    fn entry(
        &mut self,
        dir: &Arc<OwnedFd>,
        name: OsString,
        path: PathBuf,
    ) -> Result<Option<ReadSourceEntry<Opener>>, lifeboat_core::Failure> {
        let told = |what: &'static str| {
            let path = path.clone();
            move |cause: std::io::Error| error::io(what, &path, &cause)
        };
        let stat = match rustix::fs::statat(&**dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It was deleted after the folder was listed: the same as deleted before.
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(cause) => return Err(told("read")(cause.into())),
        };
        let mut meta = self.names.metadata(&stat);
        let found = match attributes(&proc_path(dir, &name)) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(told("read the attributes of"))?,
        };
        set_attributes(&mut meta, &found);
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let opened = rustix::fs::openat(&**dir, &name, OPEN_DIR, Mode::empty());
                let opened = opened.map_err(|cause| told("open")(cause.into()))?;
                self.descend(Arc::new(opened), path.clone())?;
                return Ok(Some(directory(&path, meta)));
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&**dir, &name, Vec::new());
                let target = target.map_err(|cause| told("read")(cause.into()))?;
                NodeType::from_link(Path::new(OsStr::from_bytes(target.as_bytes())))
            }
            FileType::BlockDevice => NodeType::Dev { device: stat.st_rdev },
            FileType::CharacterDevice => NodeType::Chardev { device: stat.st_rdev },
            FileType::Fifo => NodeType::Fifo,
            // A socket is alive with its process only; stock restic leaves it out too.
            FileType::Socket | FileType::Unknown => return Ok(None),
            // What a dead writer left is no data; it would come back with every restore.
            FileType::RegularFile if is_temp(name.as_bytes()) => return Ok(None),
            FileType::RegularFile => NodeType::File,
        };
        let node = Node::new_node(&name, kind, meta);
        let open = node.is_file().then(|| Opener {
            dir: dir.clone(),
            name,
            path: path.clone(),
            watch: self.watch.clone(),
            seen: self.seen.clone(),
        });
        Ok(Some(ReadSourceEntry { path, node, open }))
    }
}

fn directory(path: &Path, meta: Metadata) -> ReadSourceEntry<Opener> {
    let node = Node::new_node(path.file_name().unwrap_or_default(), NodeType::Dir, meta);
    ReadSourceEntry { path: path.to_path_buf(), node, open: None }
}

/// The names in a folder, sorted by their bytes as restic sorts them.
pub(crate) fn list(dir: &OwnedFd) -> std::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The bytes of all plain files below a folder, as far as they can be seen.
fn tree_size(root: &OwnedFd) -> u64 {
    let Ok(root) = rustix::fs::openat(root, ".", OPEN_DIR, Mode::empty()) else { return 0 };
    let mut total = 0u64;
    let mut stack = vec![root];
    while let Some(dir) = stack.pop() {
        for name in list(&dir).unwrap_or_default() {
            let Ok(stat) = rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile if is_temp(name.as_bytes()) => {}
                FileType::RegularFile => total = total.saturating_add(u64::try_from(stat.st_size).unwrap_or_default()),
                FileType::Directory => stack.extend(rustix::fs::openat(&dir, &name, OPEN_DIR, Mode::empty()).ok()),
                _ => {}
            }
        }
    }
    total
}
