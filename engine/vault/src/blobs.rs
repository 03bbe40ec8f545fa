//! Reading blobs: where they are, long ranges of packs at a time, by several threads, each blob proved by its digest.

use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use lifeboat_core::{Failure, FailureKind};
use rustic_core::{BlobId, FileType, IndexedFullStatus, PackedId, Repository};

use crate::backend::READS;
use crate::cipher::{Cipher, OVERHEAD, sha256};
use crate::error::{DAMAGED, fail};
use crate::session::Session;

/// At most so many bytes are asked of the store at once, but for a single blob that is larger. With the threads it
/// bounds the memory.
const RANGE: u32 = 8 << 20;
/// Blobs further apart than this are asked for apart: reading the gap would cost more than another call.
const GAP: u32 = 128 << 10;
/// At most so many threads read, whatever the number of cores: with the range it bounds the memory for sealed bytes at
/// 64 MiB.
const THREADS: usize = 8;
/// No blob is larger when it is unpacked; a tree of a folder with a million entries is about 400 MB.
const LARGEST: u32 = 1 << 30;

/// One blob in its pack.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) id: [u8; 32],
    pub(crate) pack: rustic_core::repofile::PackId,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    /// Its length when unpacked, if it is packed.
    pub(crate) unpacked: Option<u32>,
}

impl Blob {
    /// The key of its pack.
    pub(crate) fn key(&self) -> String {
        crate::backend::key(FileType::Pack, &self.pack)
    }

    /// Bytes of its content.
    pub(crate) fn size(&self) -> u32 {
        self.unpacked.unwrap_or_else(|| self.length.saturating_sub(OVERHEAD))
    }

    /// Where it ends in its pack.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }
}

/// Where a blob is, by the index.
pub(crate) fn locate<I: PackedId>(
    session: &Session,
    repo: &Repository<IndexedFullStatus>,
    id: &I,
) -> Result<Blob, Failure> {
    let blob_id: BlobId = (*id).into();
    let Ok(entry) = repo.get_index_entry(id) else {
        let place = session.place.store.location();
        return Err(fail(
            DAMAGED,
            format!("the index of {place} does not know {} {}", I::TYPE, blob_id.to_hex().as_str()),
        ));
    };
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(blob_id.to_hex().as_str().as_bytes().chunks(2)) {
        let text = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(text, 16).unwrap_or_default();
    }
    Ok(Blob {
        id: digest,
        pack: entry.pack,
        offset: entry.location.offset,
        length: entry.location.length,
        unpacked: entry.location.uncompressed_length.map(std::num::NonZero::get),
    })
}

/// Opens, unpacks and proves blobs; one for each thread.
pub(crate) struct Decoder {
    cipher: Cipher,
    unpacker: zstd::bulk::Decompressor<'static>,
}

impl Decoder {
    /// A decoder with the key of the repository.
    pub(crate) fn new(cipher: &Cipher) -> Result<Self, Failure> {
        let unpacker = zstd::bulk::Decompressor::new()
            .map_err(|cause| Failure::temporary(format!("no memory to unpack with: {cause}")))?;
        Ok(Self { cipher: cipher.clone(), unpacker })
    }

    /// The content of a sealed blob. The error ends a sentence that begins with the blob.
    pub(crate) fn plain<'a>(&mut self, sealed: &'a mut [u8], blob: &Blob) -> Result<Cow<'a, [u8]>, String> {
        let text = self.cipher.open(sealed).ok_or("was changed after it was written (its seal is broken)")?;
        let plain = match blob.unpacked {
            None => Cow::Borrowed(&*text),
            Some(size) if size > LARGEST => return Err(format!("claims an impossible size of {size} bytes")),
            Some(size) => {
                let size = usize::try_from(size).unwrap_or_default();
                let unpacked = self.unpacker.decompress(text, size);
                Cow::Owned(unpacked.map_err(|cause| format!("cannot be unpacked: {cause}"))?)
            }
        };
        if sha256(&plain) != blob.id {
            return Err("does not have the content that its name says".to_owned());
        }
        Ok(plain)
    }
}

/// Reads all these blobs and hands each one over, with its place in the list, on one of several threads. They are
/// sorted by pack and offset. A blob that is missing or damaged is handed over as the end of a sentence about it.
pub(crate) fn for_each<F>(session: &Session, blobs: &[Blob], take: F) -> Result<(), Failure>
where
    F: Fn(usize, Result<&[u8], String>) -> Result<(), Failure> + Sync,
{
    read_all(session, blobs, &|index, read: Result<(&[u8], &[u8]), String>| take(index, read.map(|(plain, _)| plain)))
}

/// As [`for_each`], but what is handed over is the sealed blob, whose content was proved. It may be stored elsewhere as
/// it is: its seal does not depend on the place.
pub(crate) fn for_each_sealed<F>(session: &Session, blobs: &[Blob], take: F) -> Result<(), Failure>
where
    F: Fn(usize, Result<&[u8], String>) -> Result<(), Failure> + Sync,
{
    read_all(session, blobs, &|index, read: Result<(&[u8], &[u8]), String>| take(index, read.map(|(_, sealed)| sealed)))
}

/// Takes the content of a blob and its sealed form.
type Take<'a> = dyn Fn(usize, Result<(&[u8], &[u8]), String>) -> Result<(), Failure> + Sync + 'a;

fn read_all(session: &Session, blobs: &[Blob], take: &Take<'_>) -> Result<(), Failure> {
    let ranges = ranges(blobs);
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<Failure>> = Mutex::new(None);
    let work = || -> Result<(), Failure> {
        let mut decoder = Decoder::new(&session.cipher)?;
        loop {
            session.watch.go_on()?;
            if failed.lock().is_ok_and(|failed| failed.is_some()) {
                return Ok(());
            }
            let Some(range) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) else { return Ok(()) };
            read_range(session, blobs, range.clone(), &mut decoder, take)?;
        }
    };
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    // Twice the cores: while one waits for the store another one unpacks.
    let threads = (cores * 2).clamp(2, THREADS).min(ranges.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                if let Err(failure) = work()
                    && let Ok(mut failed) = failed.lock()
                {
                    failed.get_or_insert(failure);
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// Neighbours in one pack, up to the largest range.
fn ranges(blobs: &[Blob]) -> Vec<std::ops::Range<usize>> {
    let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
    let mut open: Option<(usize, &Blob, u64)> = None;
    for (index, blob) in blobs.iter().enumerate() {
        open = match open {
            Some((start, first, end))
                if first.pack == blob.pack
                    && u64::from(blob.offset) <= end + u64::from(GAP)
                    && blob.end() <= u64::from(first.offset) + u64::from(RANGE) =>
            {
                Some((start, first, end.max(blob.end())))
            }
            Some((start, ..)) => {
                ranges.push(start..index);
                Some((index, blob, blob.end()))
            }
            None => Some((index, blob, blob.end())),
        };
    }
    if let Some((start, ..)) = open {
        ranges.push(start..blobs.len());
    }
    ranges
}

fn read_range(
    session: &Session,
    blobs: &[Blob],
    range: std::ops::Range<usize>,
    decoder: &mut Decoder,
    take: &Take<'_>,
) -> Result<(), Failure> {
    let first = range.start;
    let blobs = blobs.get(range).unwrap_or_default();
    let (Some(start), Some(end)) = (blobs.first(), blobs.iter().map(Blob::end).max()) else { return Ok(()) };
    let (key, offset) = (start.key(), u64::from(start.offset));
    let mut opened = Vec::new();
    let data = match session.place.get(&key, offset, Some(end - offset)) {
        Ok(data) => data,
        Err(failure) if failure.kind == FailureKind::Permanent => {
            for index in 0..blobs.len() {
                take(first + index, Err(format!("cannot be read from {key}: {}", failure.message)))?;
            }
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    for (index, blob) in blobs.iter().enumerate() {
        session.watch.go_on()?;
        let from = usize::try_from(u64::from(blob.offset) - offset).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(blob.length).unwrap_or(usize::MAX));
        let Some(sealed) = data.get(from..to) else {
            take(first + index, Err(format!("is cut off: {key} ends before byte {}", blob.end())))?;
            continue;
        };
        // Opened in a copy: it is no larger than one blob, and the sealed form may be what is asked for.
        opened.clear();
        opened.extend_from_slice(sealed);
        let cause = match decoder.plain(&mut opened, blob) {
            Ok(plain) => {
                take(first + index, Ok((&plain, sealed)))?;
                continue;
            }
            Err(cause) => cause,
        };
        // It may have changed on the way here, and not in the store: only what is wrong each time is called damaged.
        match again(session, &key, blob, decoder)? {
            Some((plain, sealed)) => take(first + index, Ok((&plain, &sealed)))?,
            None => take(first + index, Err(format!("in {key} {cause}")))?,
        }
    }
    Ok(())
}

/// A blob that did not open, read again by itself: its content and its sealed form, where it is good now.
pub(crate) fn again(
    session: &Session,
    key: &str,
    blob: &Blob,
    decoder: &mut Decoder,
) -> Result<Option<(Vec<u8>, Bytes)>, Failure> {
    for _ in 1..READS {
        let sealed = match session.place.get(key, u64::from(blob.offset), Some(u64::from(blob.length))) {
            Err(failure) if failure.kind != FailureKind::Permanent => return Err(failure),
            other => other.unwrap_or_default(),
        };
        let mut opened = sealed.to_vec();
        if let Ok(plain) = decoder.plain(&mut opened, blob) {
            let plain = plain.into_owned();
            session.watch.log("warn", &format!("a part of {key} was changed on its way here, and was read again"));
            return Ok(Some((plain, sealed)));
        }
    }
    Ok(None)
}
