//! The data folder: its lock, its format, and where things are in it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::Error;
use rustix::fs::FlockOperation;

use crate::key::{self, Key};
use crate::seal::{self, Seal};
use crate::{errors, segment};

/// The first line of the file `FORMAT`.
pub(crate) const FORMAT: &str = "lifeboat-store 1";
/// The same of a store that is encrypted: builds that know nothing of it refuse it.
const FORMAT_ENCRYPTED: &str = "lifeboat-store 2 encrypted";

/// How often the lock is tried again, and how long between two.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The paths in a data folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    /// The folder itself.
    pub root: PathBuf,
    /// Seals and opens what is in it, where it is encrypted.
    pub seal: Option<Arc<Seal>>,
}

/// A folder that this process has for itself until it is dropped.
#[derive(Debug)]
pub(crate) struct Locked {
    /// Closing the file gives the lock back.
    _file: File,
}

impl Folder {
    /// The paths below `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), seal: None }
    }

    /// The folder below `root`, with the key of its journal where that is encrypted. Nothing is made or changed.
    pub fn open(root: &Path, key: Option<&Key>) -> Result<Self, Error> {
        let mut folder = Self::new(root);
        match folder.identity()? {
            Some(identity) if folder.encrypted()? => {
                if folder.draft().exists() {
                    return Err(errors::half_encrypted(root));
                }
                let key = key.ok_or_else(|| errors::no_key(root))?;
                folder.seal = Some(Arc::new(key::open(root, &identity, key)?));
            }
            // Without this, what is encrypted would be taken for damage.
            None if key::paths(root).iter().any(|path| path.exists())
                && !segment::list(&folder.journal())?.is_empty() =>
            {
                return Err(errors::no_key_file(root));
            }
            _ => {}
        }
        Ok(folder)
    }

    /// What seals and opens what is in it.
    pub fn seal(&self) -> Option<&Seal> {
        self.seal.as_deref()
    }

    /// Where the journal is while it is being encrypted.
    pub fn draft(&self) -> PathBuf {
        self.root.join("journal.encrypted")
    }

    /// Whether the folder says that its journal is encrypted.
    pub fn encrypted(&self) -> Result<bool, Error> {
        Ok(self.first_line()?.is_some_and(|line| line == FORMAT_ENCRYPTED))
    }

    /// Where the segments are.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// Where sled is.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    fn format(&self) -> PathBuf {
        self.root.join("FORMAT")
    }

    /// Makes the folders where they are missing, and their names durable.
    pub fn create(&self) -> Result<(), Error> {
        let journal = self.journal();
        std::fs::create_dir_all(&journal).map_err(|cause| errors::io("make the data folder", &journal, &cause))?;
        for dir in [Some(self.root.as_path()), self.root.parent()].into_iter().flatten() {
            let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
            // The parent may be a folder that we may not read; then its own durability is not ours to give.
            if let Err(cause) = File::open(dir).and_then(|dir| dir.sync_all())
                && dir == self.root
            {
                return Err(errors::io("flush the data folder", dir, &cause));
            }
        }
        Ok(())
    }

    /// Takes the folder for this process. It is given back when the process ends, however it ends.
    pub fn lock(&self) -> Result<Locked, Error> {
        let path = self.root.join("lock");
        let fail = |cause: io::Error| errors::io("lock the data folder", &path, &cause);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(fail)?;
        let mut taken = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        for _ in 0..LOCK_TRIES {
            if taken != Err(rustix::io::Errno::WOULDBLOCK) {
                break;
            }
            // A doctor that looks, or a child between fork and exec, has it for a moment only.
            std::thread::sleep(LOCK_PAUSE);
            taken = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        }
        match taken {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(errors::locked(&self.root, pid));
            }
            Err(cause) => return Err(fail(cause.into())),
        }
        // The number only serves the other's error message: a full disk must not keep anybody from reading.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Locked { _file: file })
    }

    /// Whether another process has the folder now. Nothing is made or written.
    pub fn in_use(&self) -> bool {
        let Ok(file) = File::open(self.root.join("lock")) else { return false };
        matches!(rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared), Err(rustix::io::Errno::WOULDBLOCK))
    }

    fn text(&self) -> Result<Option<String>, Error> {
        let path = self.format();
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(errors::io("read the data folder's format", &path, &cause)),
        }
    }

    fn first_line(&self) -> Result<Option<String>, Error> {
        Ok(self.text()?.map(|text| text.lines().next().unwrap_or_default().to_owned()))
    }

    /// The journal's identity. `None` where the folder is new.
    pub fn identity(&self) -> Result<Option<String>, Error> {
        let Some(text) = self.text()? else { return Ok(None) };
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        if first != FORMAT && first != FORMAT_ENCRYPTED {
            let found: String = first.chars().take(80).collect();
            return Err(errors::format(&self.format(), &found));
        }
        Ok(Some(lines.next().unwrap_or_default().to_owned()))
    }

    /// Gives a new folder its identity, and with a key its data key. sled belongs to the journal with the same one.
    pub fn identify(&mut self, key: Option<&Key>) -> Result<(), Error> {
        if self.identity()?.is_some() {
            return Ok(());
        }
        let fail = |cause: io::Error| errors::io("write the data folder's format", &self.format(), &cause);
        let random: [u8; 16] = seal::random().map_err(fail)?;
        let identity = blake3::hash(&random).to_hex().chars().take(32).collect::<String>();
        // The key comes first: a folder that says that it is encrypted has one.
        if let Some(key) = key {
            self.seal = Some(Arc::new(key::make(&self.root, &identity, key)?));
        }
        self.say(&identity, key.is_some())
    }

    /// Writes what the folder says of itself.
    pub fn say(&self, identity: &str, encrypted: bool) -> Result<(), Error> {
        let path = self.format();
        let format = if encrypted { FORMAT_ENCRYPTED } else { FORMAT };
        let draft = self.root.join("FORMAT.new");
        File::create(&draft)
            .and_then(|mut file| {
                write!(file, "{format}\n{identity}\n")?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&draft, &path))
            .and_then(|()| File::open(&self.root)?.sync_all())
            .map_err(|cause| errors::io("write the data folder's format", &path, &cause))
    }
}
