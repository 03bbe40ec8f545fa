//! What the tests of the vault share: stores, a sink, trees, and stock restic.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cap_std::fs::Dir;
use lifeboat_core::Failure;
use lifeboat_core::ports::AttemptSink;
use lifeboat_host::ports::{BoxFuture, Object, ObjectStore, Secret, Vault};

pub const PASSWORD: &str = "a long and boring passphrase";

/// Objects as files in a folder.
pub struct FolderStore(pub PathBuf);

fn failure(key: &str, error: &std::io::Error) -> Failure {
    Failure::permanent(format!("{key}: {error}"))
}

impl ObjectStore for FolderStore {
    fn location(&self) -> String {
        format!("folder:{}", self.0.display())
    }
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Object>, Failure>> {
        Box::pin(async move {
            let mut found = Vec::new();
            let mut stack = vec![self.0.clone()];
            while let Some(dir) = stack.pop() {
                let Ok(entries) = std::fs::read_dir(&dir) else { continue };
                for entry in entries.flatten() {
                    let meta = entry.metadata().map_err(|error| failure(prefix, &error))?;
                    if meta.is_dir() {
                        stack.push(entry.path());
                        continue;
                    }
                    let key = entry.path().strip_prefix(&self.0).unwrap().to_string_lossy().into_owned();
                    if key.starts_with(prefix) {
                        found.push(Object { key, size: meta.len() });
                    }
                }
            }
            Ok(found)
        })
    }
    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Object>, Failure>> {
        Box::pin(async move {
            let meta = std::fs::metadata(self.0.join(key)).ok();
            Ok(meta.map(|meta| Object { key: key.to_owned(), size: meta.len() }))
        })
    }
    fn get<'a>(&'a self, key: &'a str, offset: u64, len: Option<u64>) -> BoxFuture<'a, Result<Bytes, Failure>> {
        use std::io::{Read, Seek};
        Box::pin(async move {
            let mut file = std::fs::File::open(self.0.join(key)).map_err(|error| failure(key, &error))?;
            file.seek(std::io::SeekFrom::Start(offset)).map_err(|error| failure(key, &error))?;
            let mut data = Vec::with_capacity(usize::try_from(len.unwrap_or(0)).unwrap());
            file.take(len.unwrap_or(u64::MAX)).read_to_end(&mut data).map_err(|error| failure(key, &error))?;
            Ok(data.into())
        })
    }
    fn put<'a>(&'a self, key: &'a str, data: Bytes) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let path = self.0.join(key);
            let write = || -> std::io::Result<()> {
                std::fs::create_dir_all(path.parent().unwrap())?;
                let part = path.with_extension("part");
                std::fs::write(&part, &data)?;
                std::fs::File::open(&part)?.sync_all()?;
                std::fs::rename(&part, &path)
            };
            write().map_err(|error| failure(key, &error))
        })
    }
    fn put_new<'a>(&'a self, key: &'a str, data: Bytes) -> BoxFuture<'a, Result<bool, Failure>> {
        Box::pin(async move {
            if self.0.join(key).exists() {
                return Ok(false);
            }
            self.put(key, data).await.map(|()| true)
        })
    }
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            match std::fs::remove_file(self.0.join(key)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failure(key, &error)),
                _ => Ok(()),
            }
        })
    }
}

/// Objects in memory, with faults on demand.
#[derive(Default)]
pub struct MemoryStore {
    pub objects: Mutex<BTreeMap<String, Bytes>>,
    /// The put with this number (from 1) of a key with `data/` fails as a temporary error.
    pub fail_put: AtomicU64,
    pub puts: AtomicU64,
    /// Set: what is to be new overwrites all the same, as some servers do it.
    pub no_conditions: AtomicBool,
    /// Set: gets of `data/` fail as temporary errors.
    pub fail_get: AtomicBool,
}

impl MemoryStore {
    /// Changes one byte in the middle of every object below a prefix; how many there were.
    pub fn corrupt(&self, prefix: &str) -> usize {
        let mut objects = self.objects.lock().unwrap();
        let mut count = 0;
        for (_, data) in objects.iter_mut().filter(|(key, _)| key.starts_with(prefix)) {
            let mut copy = data.to_vec();
            let middle = copy.len() / 2;
            copy[middle] ^= 0x40;
            *data = copy.into();
            count += 1;
        }
        count
    }

    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.objects.lock().unwrap().keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }
}

impl ObjectStore for MemoryStore {
    fn location(&self) -> String {
        "memory".to_owned()
    }
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Object>, Failure>> {
        Box::pin(async move {
            let objects = self.objects.lock().unwrap();
            let found = objects.iter().filter(|(key, _)| key.starts_with(prefix));
            Ok(found.map(|(key, data)| Object { key: key.clone(), size: data.len() as u64 }).collect())
        })
    }
    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Object>, Failure>> {
        Box::pin(async move {
            let objects = self.objects.lock().unwrap();
            Ok(objects.get(key).map(|data| Object { key: key.to_owned(), size: data.len() as u64 }))
        })
    }
    fn get<'a>(&'a self, key: &'a str, offset: u64, len: Option<u64>) -> BoxFuture<'a, Result<Bytes, Failure>> {
        Box::pin(async move {
            if key.starts_with("data/") && self.fail_get.load(Ordering::Relaxed) {
                return Err(Failure::temporary("the store is away"));
            }
            let objects = self.objects.lock().unwrap();
            let data = objects.get(key).ok_or_else(|| Failure::permanent(format!("no object {key}")))?;
            let from = usize::try_from(offset).unwrap().min(data.len());
            let to = len.map_or(data.len(), |len| (from + usize::try_from(len).unwrap()).min(data.len()));
            Ok(data.slice(from..to))
        })
    }
    fn put<'a>(&'a self, key: &'a str, data: Bytes) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            if key.starts_with("data/") {
                let number = self.puts.fetch_add(1, Ordering::Relaxed) + 1;
                if number == self.fail_put.load(Ordering::Relaxed) {
                    return Err(Failure::temporary("the store is throttled"));
                }
            }
            self.objects.lock().unwrap().insert(key.to_owned(), data);
            Ok(())
        })
    }
    fn put_new<'a>(&'a self, key: &'a str, data: Bytes) -> BoxFuture<'a, Result<bool, Failure>> {
        Box::pin(async move {
            let mut objects = self.objects.lock().unwrap();
            if objects.contains_key(key) && !self.no_conditions.load(Ordering::Relaxed) {
                return Ok(false);
            }
            objects.insert(key.to_owned(), data);
            Ok(true)
        })
    }
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            self.objects.lock().unwrap().remove(key);
            Ok(())
        })
    }
}

/// Listens, and asks to stop once so many bytes were told, or once it was asked so many times.
#[derive(Default)]
pub struct TestSink {
    pub stop_after: Option<u64>,
    pub stop_at_ask: Option<u64>,
    pub asks: AtomicU64,
    pub done: AtomicU64,
    pub calls: AtomicU64,
    pub logs: Mutex<Vec<String>>,
}

impl AttemptSink for TestSink {
    fn progress(&self, done: u64, _: Option<u64>, _: &str, _: &str) {
        self.done.store(done, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
    fn log(&self, level: &str, message: &str) {
        self.logs.lock().unwrap().push(format!("{level}: {message}"));
    }
    fn checkpoint<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
    fn cancelled(&self) -> bool {
        let asks = self.asks.fetch_add(1, Ordering::Relaxed) + 1;
        self.stop_at_ask.is_some_and(|limit| asks >= limit)
            || self.stop_after.is_some_and(|limit| self.done.load(Ordering::Relaxed) >= limit)
    }
}

pub fn sink() -> Arc<TestSink> {
    Arc::new(TestSink::default())
}

pub fn dir(path: &Path) -> Arc<Dir> {
    std::fs::create_dir_all(path).unwrap();
    Arc::new(Dir::open_ambient_dir(path, cap_std::ambient_authority()).unwrap())
}

pub async fn folder_vault(path: &Path) -> Arc<dyn Vault> {
    open(Arc::new(FolderStore(path.to_owned()))).await
}

pub async fn open(store: Arc<dyn ObjectStore>) -> Arc<dyn Vault> {
    lifeboat_vault::open(store, Secret::new(PASSWORD.into()), true).await.unwrap()
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut data = Vec::with_capacity(len + 8);
    while data.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data.extend_from_slice(&state.to_le_bytes());
    }
    data.truncate(len);
    data
}

/// A tree with everything that a tree may have.
pub fn make_tree(root: &Path) {
    std::fs::create_dir_all(root.join("a/b/c")).unwrap();
    std::fs::create_dir_all(root.join("empty folder")).unwrap();
    std::fs::write(root.join("big.bin"), noise(20 << 20, 7)).unwrap();
    std::fs::write(root.join("a/text.txt"), "one line\n".repeat(5000)).unwrap();
    std::fs::write(root.join("a.txt"), "sorts between a and a/").unwrap();
    std::fs::write(root.join("a/b/empty"), "").unwrap();
    std::fs::write(root.join("a/b/c/Grüße \u{1F6DF} \"quoted\" \\ back"), "unicode").unwrap();
    std::fs::write(root.join("a/b/c/same"), noise(3 << 20, 7)).unwrap();
    std::fs::write(root.join("script"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(root.join("script"), std::fs::Permissions::from_mode(0o4751)).unwrap();
    std::fs::set_permissions(root.join("a/b"), std::fs::Permissions::from_mode(0o711)).unwrap();
    let not_text = std::ffi::OsStr::from_bytes(b"not \xff\xfe text");
    std::fs::write(root.join("a").join(not_text), "a name that is not UTF-8").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), rustix::fs::FileType::Fifo, 0o640.into(), 0).unwrap();
    // Where the file system has no such attributes there is nothing to compare, which is the same on both sides.
    let _ = rustix::fs::setxattr(root.join("a.txt"), "user.note", b"\0seen\xff", rustix::fs::XattrFlags::empty());
    std::os::unix::fs::symlink("../script", root.join("a/link")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at all", root.join("dangling")).unwrap();
    std::fs::hard_link(root.join("script"), root.join("a/b/second name")).unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_234_567_890, 123_456_789);
    std::fs::File::open(root.join("a/text.txt")).unwrap().set_modified(old).unwrap();
    std::fs::File::open(root.join("a/b/c")).unwrap().set_modified(old).unwrap();
}

/// Every entry with kind, mode, time, owner and content, for comparison.
pub fn describe(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut stack = vec![root.to_owned()];
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let content = if meta.is_symlink() {
                format!("-> {}", std::fs::read_link(&path).unwrap().display())
            } else if meta.is_dir() {
                stack.push(path.clone());
                "folder".to_owned()
            } else if meta.file_type().is_fifo() {
                "pipe".to_owned()
            } else {
                let data = std::fs::read(&path).unwrap();
                let mut note = [0; 64];
                let note = rustix::fs::lgetxattr(&path, "user.note", &mut note).map(|length| note[..length].to_vec());
                let digest = lifeboat_core::Digest::of(&data);
                format!("{} bytes {digest:?} links {} note {note:?}", data.len(), meta.nlink())
            };
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            let times = format!("{}.{}", meta.mtime(), meta.mtime_nsec());
            found.insert(name, format!("{:o} {} {}:{} {content}", meta.mode(), times, meta.uid(), meta.gid()));
        }
    }
    found
}

pub fn assert_same_tree(left: &Path, right: &Path) {
    let (left, right) = (describe(left), describe(right));
    for (name, entry) in &left {
        assert_eq!(Some(entry), right.get(name), "{name} differs");
    }
    assert_eq!(left.len(), right.len(), "there is more than there should be: {right:?}");
}

/// Stock restic on a repository in a folder; its output.
pub fn restic(repository: &Path, args: &[&str]) -> String {
    let output = Command::new("restic")
        .args(["--no-cache", "-r"])
        .arg(repository)
        .args(args)
        .env("RESTIC_PASSWORD", PASSWORD)
        .output()
        .expect("restic is needed for this test: 'apt-get install restic', or put it on PATH");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "restic {args:?}: {text}");
    text
}
