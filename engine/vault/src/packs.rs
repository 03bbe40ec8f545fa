//! Writing packs and index files.

use std::sync::{Mutex, PoisonError};

use lifeboat_core::Failure;

use crate::error::{DAMAGED, fail_hint};
use crate::format::{BlobEntry, Id, IndexFile, Kind, PackEntry, header};
use crate::session::Session;

/// A pack is written when it has so many bytes: restic's own figure. With the threads that read it bounds the memory.
const PACK: usize = 16 << 20;
/// An index file has at most so many blobs: restic's own figure.
const INDEX: usize = 50_000;

/// Collects sealed blobs into packs, from many threads.
pub(crate) struct PackWriter<'a> {
    session: &'a Session,
    open: Mutex<[Open; 2]>,
    done: Mutex<Vec<PackEntry>>,
}

/// A pack that is being filled.
#[derive(Default)]
struct Open {
    bytes: Vec<u8>,
    blobs: Vec<BlobEntry>,
}

impl<'a> PackWriter<'a> {
    pub(crate) fn new(session: &'a Session) -> Self {
        Self { session, open: Mutex::default(), done: Mutex::default() }
    }

    /// Adds a sealed blob. A pack that is full is written by the caller's thread; the others go on.
    pub(crate) fn add(&self, blob: &BlobEntry, sealed: &[u8]) -> Result<(), Failure> {
        let full = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let [data, trees] = &mut *open;
            let pack = if blob.kind == Kind::Tree { trees } else { data };
            let offset = u32::try_from(pack.bytes.len()).unwrap_or(u32::MAX);
            pack.bytes.extend_from_slice(sealed);
            pack.blobs.push(BlobEntry { offset, ..blob.clone() });
            (pack.bytes.len() >= PACK).then(|| std::mem::take(pack))
        };
        full.map_or(Ok(()), |pack| self.write(pack))
    }

    /// Writes what is left, and gives all packs that were written.
    pub(crate) fn finish(self) -> Result<Vec<PackEntry>, Failure> {
        let left = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        for pack in left.into_iter().filter(|pack| !pack.blobs.is_empty()) {
            self.write(pack)?;
        }
        let mut done = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|pack| pack.id);
        Ok(done)
    }

    fn write(&self, pack: Open) -> Result<(), Failure> {
        let Open { mut bytes, blobs } = pack;
        let sealed = self.session.cipher.seal(&header(&blobs)).ok_or_else(no_random)?;
        bytes.extend_from_slice(&sealed);
        bytes.extend_from_slice(&u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_le_bytes());
        let id = Id::of(&bytes);
        self.session.watch.go_on()?;
        put_proved(self.session, &id.pack_key(), bytes, id)?;
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push(PackEntry { id, blobs });
        Ok(())
    }
}

/// Writes an object and reads it back: what it replaces is deleted next, and a store may lie.
fn put_proved(session: &Session, key: &str, bytes: Vec<u8>, id: Id) -> Result<(), Failure> {
    let length = bytes.len();
    session.place.put(key, bytes.into())?;
    let back = session.place.get(key, 0, None)?;
    if back.len() == length && Id::of(&back) == id {
        return Ok(());
    }
    Err(fail_hint(
        DAMAGED,
        format!("{key} was written to {} and is not the same when it is read back", session.place.store.location()),
        "the store is not to be trusted; nothing was deleted",
    ))
}

/// Writes the index of these packs: the keys of its files.
pub(crate) fn write_index<'p>(
    session: &Session,
    packs: impl Iterator<Item = (Id, &'p [BlobEntry])>,
) -> Result<Vec<String>, Failure> {
    let mut keys = Vec::new();
    let mut file = IndexFile::default();
    let mut count = 0;
    for (id, blobs) in packs {
        file.packs.push(PackEntry { id, blobs: blobs.to_vec() });
        count += blobs.len();
        if count >= INDEX {
            keys.push(write_index_file(session, &std::mem::take(&mut file))?);
            count = 0;
        }
    }
    if !file.packs.is_empty() {
        keys.push(write_index_file(session, &file)?);
    }
    Ok(keys)
}

fn write_index_file(session: &Session, file: &IndexFile) -> Result<String, Failure> {
    let text = serde_json::to_vec(file).map_err(|cause| Failure::permanent(format!("an index is no JSON: {cause}")))?;
    let pack = session.repo.config().version >= 2;
    let data = session.cipher.seal_file(&text, pack).ok_or_else(no_random)?;
    let id = Id::of(&data);
    let key = format!("index/{}", id.hex());
    session.watch.go_on()?;
    put_proved(session, &key, data, id)?;
    Ok(key)
}

fn no_random() -> Failure {
    Failure::temporary("this machine gives no random bytes")
}
