//! Readers and writers: bytes that stay in the host. A guest holds a handle and says where they go; they move at native
//! speed, hashed on the way, and stop soon after the call they belong to has ended.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, mpsc};

use cap_std::fs::{Dir, OpenOptions};
use lifeboat_core::ports::AttemptSink;

use crate::bindings::lifeboat::plugin::bytes::Pumped;
use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::fault::{from_io, guest_error};
pub use crate::source::Source;
use crate::temp;

/// Bytes moved at once. Larger buffers measured no faster.
const CHUNK: usize = 1024 * 1024;
/// From this size on, one thread reads and hashes while another writes.
const TWO_THREADS: u64 = 8 * 1024 * 1024;
/// Buffers under way between the two.
const BUFFERS: usize = 4;

/// A reader as a guest holds it. The source is taken out while a thread works on it.
pub struct Reader(pub Option<Source>);

/// A writer as a guest holds it. The sink is taken out while a thread works on it.
pub struct Writer(pub Option<FileSink>);

/// A file that comes into being with its commit, whole. Until then it has no name where the file system can do that: a
/// process that dies leaves nothing in a person's folder. Elsewhere it has a temporary one. Dropped before its commit, it
/// leaves nothing behind.
pub struct FileSink {
    dir: Dir,
    /// `None` while the file has no name.
    temp: Option<String>,
    name: String,
    overwrite: bool,
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
    committed: bool,
}

impl FileSink {
    /// A new file beside where it will be. `dir` is the folder that will hold it, `name` a single name.
    pub fn create(dir: Dir, name: &str, overwrite: bool) -> Result<Self, GuestError> {
        if !overwrite && dir.symlink_metadata(name).is_ok() {
            return Err(guest_error(ErrorKind::AlreadyExists, format!("write '{name}': there is one already")));
        }
        temp::sweep(&dir);
        let (temp, file) = match nameless(&dir) {
            Some(file) => (None, file),
            None => {
                let opened = named(|temp| held(&dir, temp)).map_err(|error| from_io("write", name, &error));
                opened.map(|(temp, file)| (Some(temp), file))?
            }
        };
        let (name, hasher) = (name.to_owned(), blake3::Hasher::new());
        Ok(Self { dir, temp, name, overwrite, file, hasher, bytes: 0, committed: false })
    }

    fn write_all(&mut self, data: &[u8]) -> Result<(), GuestError> {
        if self.committed {
            return Err(guest_error(ErrorKind::Permanent, format!("write '{}': it is committed already", self.name)));
        }
        self.file.write_all(data).map_err(|error| from_io("write", &self.name, &error))?;
        self.bytes += data.len() as u64;
        Ok(())
    }

    /// Writes and hashes.
    pub fn write(&mut self, data: &[u8]) -> Result<(), GuestError> {
        self.write_all(data)?;
        self.hasher.update(data);
        Ok(())
    }

    /// Makes it durable, then visible, then makes that durable.
    pub fn commit(&mut self) -> Result<Pumped, GuestError> {
        use rustix::fs::{RenameFlags, renameat_with};
        let fail = |error: io::Error| from_io("write", &self.name, &error);
        if !self.committed {
            self.file.sync_all().map_err(fail)?;
            match &self.temp {
                None => self.give_name().map_err(fail)?,
                Some(temp) if self.overwrite => self.dir.rename(temp, &self.dir, &self.name).map_err(fail)?,
                Some(temp) => renameat_with(&self.dir, temp, &self.dir, &self.name, RenameFlags::NOREPLACE)
                    .map_err(|error| fail(error.into()))?,
            }
            self.committed = true;
            sync_dir(&self.dir).map_err(fail)?;
        }
        Ok(Pumped { bytes: self.bytes, digest: digest_text(&self.hasher) })
    }

    /// Gives the nameless file its name. A name cannot be taken from another file in one step by a link, so it then has
    /// a temporary one for a moment.
    fn give_name(&self) -> io::Result<()> {
        match link(&self.file, &self.dir, &self.name) {
            Err(error) if self.overwrite && error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
        let (temp, ()) = named(|temp| link(&self.file, &self.dir, temp))?;
        self.dir.rename(&temp, &self.dir, &self.name).inspect_err(|_| discard(&self.dir, &temp))
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        if let (false, Some(temp)) = (self.committed, &self.temp) {
            discard(&self.dir, temp);
        }
    }
}

fn discard(dir: &Dir, temp: &str) {
    if let Err(error) = dir.remove_file(temp) {
        tracing::warn!(%error, name = temp, "a temporary file stays behind");
    }
}

/// Makes something under a temporary name that nothing else has.
fn named<T>(make: impl Fn(&str) -> io::Result<T>) -> io::Result<(String, T)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    loop {
        let temp = temp::name(COUNTER.fetch_add(1, Ordering::Relaxed));
        match make(&temp) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|made| (temp, made)),
        }
    }
}

/// A new file under a temporary name, locked. A sweep may come between the two: then there is no file, and another name has to be tried.
fn held(dir: &Dir, temp: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let file = dir.open_with(temp, &options)?.into_std();
    if temp::hold(&file) { Ok(file) } else { Err(io::ErrorKind::AlreadyExists.into()) }
}

/// A file without a name in that folder, locked for when it has a temporary one for a moment; `None` where the file system or the machine cannot give it one later.
fn nameless(dir: &Dir) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    static LINKS: LazyLock<bool> = LazyLock::new(|| std::path::Path::new("/proc/self/fd").exists());
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(dir, ".", flags, Mode::from_raw_mode(0o666)).ok().map(File::from);
    LINKS.then(open).flatten().inspect(temp::lock)
}

/// Gives a file a name that nothing has yet.
fn link(file: &File, dir: &Dir, name: &str) -> io::Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(rustix::fs::CWD, path, dir, name, rustix::fs::AtFlags::SYMLINK_FOLLOW)?)
}

/// Makes the entries of a folder durable.
pub fn sync_dir(dir: &Dir) -> io::Result<()> {
    dir.open(".")?.into_std().sync_all()
}

fn digest_text(hasher: &blake3::Hasher) -> String {
    format!("blake3:{}", hasher.finalize().to_hex())
}

/// Moves all that is left of the source into the sink (or nowhere), hashing it.
pub fn pump(source: &mut Source, sink: Option<&mut FileSink>, voice: &dyn AttemptSink) -> Result<Pumped, GuestError> {
    let total = source.left();
    let mut hasher = blake3::Hasher::new();
    let bytes = match sink {
        None => {
            let mut reader = Feed { source, hasher: &mut hasher };
            let mut buffer = vec![0; chunk_for(total)];
            let mut report = Report { done: 0, total, voice };
            loop {
                match reader.next(&mut buffer)? {
                    0 => break report.done,
                    count => report.moved(count)?,
                }
            }
        }
        Some(sink) => {
            let fresh = sink.bytes == 0;
            let bytes = match source {
                Source::Memory(data) if total >= TWO_THREADS => {
                    pump_memory(std::mem::take(data), &mut hasher, sink, fresh, voice)?
                }
                source => {
                    let mut reader = Feed { source, hasher: &mut hasher };
                    if total < TWO_THREADS {
                        pump_here(&mut reader, sink, fresh, total, voice)?
                    } else {
                        pump_beside(&mut reader, sink, fresh, total, voice)?
                    }
                }
            };
            if fresh {
                // The same bytes: their digest is known, and hashing them twice would halve the speed.
                sink.hasher = hasher.clone();
            }
            bytes
        }
    };
    Ok(Pumped { bytes, digest: digest_text(&hasher) })
}

fn chunk_for(total: u64) -> usize {
    usize::try_from(total).unwrap_or(CHUNK).clamp(4096, CHUNK)
}

struct Feed<'a> {
    source: &'a mut Source,
    hasher: &'a mut blake3::Hasher,
}

impl Feed<'_> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, GuestError> {
        let count = self.source.read(buffer).map_err(|error| from_io("read", &self.source.name(), &error))?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

struct Report<'a> {
    done: u64,
    total: u64,
    voice: &'a dyn AttemptSink,
}

impl Report<'_> {
    fn moved(&mut self, count: usize) -> Result<(), GuestError> {
        self.done += count as u64;
        if self.voice.cancelled() {
            return Err(guest_error(ErrorKind::Cancelled, "the attempt was cancelled while bytes were moved"));
        }
        // Small moves are over before anybody could look; the plugin reports those in its own units.
        if self.total >= TWO_THREADS {
            let total = (self.total != u64::MAX).then_some(self.total);
            self.voice.progress(self.done, total, "bytes", "");
        }
        Ok(())
    }
}

fn put(sink: &mut FileSink, data: &[u8], fresh: bool) -> Result<(), GuestError> {
    if fresh { sink.write_all(data) } else { sink.write(data) }
}

fn pump_here(
    reader: &mut Feed<'_>,
    sink: &mut FileSink,
    fresh: bool,
    total: u64,
    voice: &dyn AttemptSink,
) -> Result<u64, GuestError> {
    let mut buffer = vec![0; chunk_for(total)];
    let mut report = Report { done: 0, total, voice };
    loop {
        let count = reader.next(&mut buffer)?;
        if count == 0 {
            return Ok(report.done);
        }
        put(sink, buffer.get(..count).unwrap_or_default(), fresh)?;
        report.moved(count)?;
    }
}

/// One thread hashes, this one writes; nothing is copied in between.
fn pump_memory(
    data: bytes::Bytes,
    hasher: &mut blake3::Hasher,
    sink: &mut FileSink,
    fresh: bool,
    voice: &dyn AttemptSink,
) -> Result<u64, GuestError> {
    let mut report = Report { done: 0, total: data.len() as u64, voice };
    std::thread::scope(|scope| {
        let hashing = scope.spawn(|| hasher.update(&data).count());
        for chunk in data.chunks(CHUNK) {
            put(sink, chunk, fresh)?;
            report.moved(chunk.len())?;
        }
        match hashing.join() {
            Ok(_) => Ok(report.done),
            Err(_) => Err(guest_error(ErrorKind::Permanent, "the hashing thread died")),
        }
    })
}

/// One thread reads and hashes, this one writes. Buffers go round between them.
fn pump_beside(
    reader: &mut Feed<'_>,
    sink: &mut FileSink,
    fresh: bool,
    total: u64,
    voice: &dyn AttemptSink,
) -> Result<u64, GuestError> {
    let (full, filled) = mpsc::sync_channel::<(Vec<u8>, usize)>(BUFFERS);
    let (back, empty) = mpsc::channel::<Vec<u8>>();
    for _ in 0..BUFFERS {
        // Cannot fail: the receiver lives in this function.
        let _ = back.send(vec![0; CHUNK]);
    }
    std::thread::scope(|scope| {
        let feeding = scope.spawn(move || -> Result<(), GuestError> {
            while let Ok(mut buffer) = empty.recv() {
                let count = reader.next(&mut buffer)?;
                // The writer gave up: its error is the one that counts.
                if count == 0 || full.send((buffer, count)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let mut report = Report { done: 0, total, voice };
        let mut written = Ok(());
        for (buffer, count) in filled {
            written = put(sink, buffer.get(..count).unwrap_or_default(), fresh).and_then(|()| report.moved(count));
            if written.is_err() {
                break;
            }
            let _ = back.send(buffer);
        }
        drop(back);
        let fed = feeding.join().unwrap_or_else(|_| Err(guest_error(ErrorKind::Permanent, "the reading thread died")));
        written.and(fed).map(|()| report.done)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::Quiet;

    fn folder() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority()).unwrap();
        (temp, dir)
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 % 251) as u8).collect()
    }

    #[test]
    fn every_way_of_pumping_moves_the_same_bytes_with_the_same_digest() {
        let (temp, dir) = folder();
        for len in [0, 1, CHUNK, CHUNK + 1, TWO_THREADS as usize, 3 * TWO_THREADS as usize + 17] {
            let data = bytes(len);
            std::fs::write(temp.path().join("source"), &data).unwrap();
            let digest = format!("blake3:{}", blake3::hash(&data).to_hex());
            for memory in [false, true] {
                let mut source = match memory {
                    true => Source::Memory(bytes::Bytes::from(data.clone())),
                    false => Source::open(&dir, "source", 0, None).unwrap(),
                };
                let mut sink = FileSink::create(dir.try_clone().unwrap(), "sink", true).unwrap();
                let pumped = pump(&mut source, Some(&mut sink), &Quiet).unwrap();
                assert_eq!((pumped.bytes, &pumped.digest), (len as u64, &digest));
                let committed = sink.commit().unwrap();
                assert_eq!((committed.bytes, &committed.digest), (len as u64, &digest));
                assert!(std::fs::read(temp.path().join("sink")).unwrap() == data);
                assert_eq!(source.left(), 0);
            }
        }
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_writer_hashes_all_that_was_written_to_it() {
        let (_temp, dir) = folder();
        let mut sink = FileSink::create(dir.try_clone().unwrap(), "sink", false).unwrap();
        sink.write(b"head ").unwrap();
        pump(&mut Source::Memory(bytes::Bytes::from_static(b"body")), Some(&mut sink), &Quiet).unwrap();
        assert_eq!(sink.commit().unwrap().digest, format!("blake3:{}", blake3::hash(b"head body").to_hex()));
        assert!(sink.write(b"more").is_err());
        assert_eq!(FileSink::create(dir, "sink", false).map(|_| ()).unwrap_err().kind, ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_dropped_writer_leaves_nothing_and_a_late_rival_is_not_overwritten() {
        let (temp, dir) = folder();
        let mut sink = FileSink::create(dir.try_clone().unwrap(), "sink", false).unwrap();
        sink.write(b"x").unwrap();
        std::fs::write(temp.path().join("sink"), "rival").unwrap();
        assert_eq!(sink.commit().unwrap_err().kind, ErrorKind::AlreadyExists);
        drop(sink);
        assert_eq!(std::fs::read_to_string(temp.path().join("sink")).unwrap(), "rival");
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_written_has_no_name_yet() {
        let (temp, dir) = folder();
        for (overwrite, before) in [(false, None), (true, None), (true, Some("old"))] {
            if let Some(text) = before {
                std::fs::write(temp.path().join("sink"), text).unwrap();
            }
            let mut sink = FileSink::create(dir.try_clone().unwrap(), "sink", overwrite).unwrap();
            sink.write(b"new").unwrap();
            // A process that dies here leaves nothing, on the file systems that can do it.
            let there = usize::from(before.is_some()) + usize::from(sink.temp.is_some());
            assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), there);
            sink.commit().unwrap();
            drop(sink);
            assert_eq!(std::fs::read_to_string(temp.path().join("sink")).unwrap(), "new");
            assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
            std::fs::remove_file(temp.path().join("sink")).unwrap();
        }
    }

    #[test]
    fn ranges_are_exact_and_pipes_are_refused_at_once() {
        let (temp, dir) = folder();
        std::fs::write(temp.path().join("file"), b"0123456789").unwrap();
        let mut buffer = [0; 16];
        for (offset, len, want) in [(0, None, "0123456789"), (3, Some(4), "3456"), (8, Some(9), "89"), (99, None, "")] {
            let count = Source::open(&dir, "file", offset, len).unwrap().read(&mut buffer).unwrap();
            assert_eq!(&buffer[..count], want.as_bytes());
        }
        rustix::fs::mknodat(&dir, "pipe", rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(Source::open(&dir, "pipe", 0, None).is_err());
        assert!(Source::open(&dir, ".", 0, None).is_err());
    }
}
