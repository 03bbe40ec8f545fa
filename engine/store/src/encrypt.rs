//! Encrypting a journal that is in the clear, and changing the secret of one that is encrypted.
//!
//! The journal is written anew beside the old one, and the folder says that it is encrypted when all of it is durable. What is
//! left then are two renamings, and whoever comes in between is told to let them be done.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_core::Error;

use crate::folder::Folder;
use crate::frame::{self, Place, Record};
use crate::key::{self, Key};
use crate::open::{self, Fault, Options};
use crate::replay::Replay;
use crate::rewrite::sync;
use crate::scan::{Piece, scan};
use crate::{errors, examine, offline, segment};

/// Encrypts the journal of a data folder with the key of `options`. The journal in the clear is kept beside it, in the folder
/// whose path is given back; it is for the caller to remove it. `stamp` is part of its name.
///
/// # Errors
/// `LB0601` another process has the folder, `LB0616` there is no key, `LB0619` there is no journal, it is damaged or encrypted
/// already, `LB0603` and `LB0606` of the system. What was interrupted goes on when it is called again.
pub fn encrypt(dir: &Path, stamp: &str, options: &Options) -> Result<PathBuf, Error> {
    let key = options.key.as_ref().ok_or_else(|| errors::no_key(dir))?;
    let mut folder = Folder::new(dir);
    let Some(identity) = folder.identity()? else {
        return Err(errors::not_to_encrypt(dir, "there is none; a new one is encrypted from the start"));
    };
    let _lock = folder.lock()?;
    let step = || {
        let failed = |cause| errors::io("encrypt the journal", dir, &cause);
        options.fault.as_ref().map_or(Ok(()), |fault| fault(Fault::Repair)).map_err(failed)
    };
    let draft = folder.draft();
    if folder.encrypted()? {
        if !draft.exists() {
            return Err(errors::not_to_encrypt(dir, "it is encrypted already"));
        }
        // All was written; the key is looked at all the same, for the caller means it to be the one.
        key::open(dir, &identity, key)?;
        return finish(&folder, stamp, &step);
    }
    let replay = whole(&folder)?;
    let fail = |cause| errors::io("write the encrypted journal", &draft, &cause);
    if draft.exists() {
        std::fs::remove_dir_all(&draft).map_err(fail)?;
    }
    step()?;
    std::fs::create_dir(&draft).map_err(fail)?;
    folder.seal = Some(Arc::new(key::make(dir, &identity, key)?));
    let (owners, mut previous) = (owners(&folder, &replay), 0);
    for number in segment::list(&folder.journal())? {
        step()?;
        let Some(bytes) = sealed(&folder, number, &owners, &mut previous)? else { continue };
        let path = segment::path(&draft, number);
        File::create(&path)
            .and_then(|mut file| {
                file.write_all(&bytes)?;
                file.sync_all()
            })
            .map_err(fail)?;
    }
    sync(&draft)?;
    sync(dir)?;
    step()?;
    folder.say(&identity, true)?;
    finish(&folder, stamp, &step)
}

/// What is broken is mended first: a repair knows the bytes as they were written. What the journal says of its runs now.
fn whole(folder: &Folder) -> Result<Replay, Error> {
    let replay = offline::load(folder)?;
    if let Some(damage) = replay.damage.first() {
        return Err(errors::not_to_encrypt(&folder.root, &damage.reason));
    }
    let known = examine::look(folder).ok().flatten().unwrap_or_default();
    match replay.short(&known).first() {
        Some((run, reason)) => Err(errors::not_to_encrypt(&folder.root, &format!("run {run}: {reason}"))),
        None => Ok(replay),
    }
}

/// The owners of frames, from their hash in the clear to the one with the key.
fn owners(folder: &Folder, replay: &Replay) -> BTreeMap<u64, u64> {
    let runs = replay.model.heads.keys().chain(replay.model.quarantined.keys());
    runs.map(|run| (frame::owner_of_run(run, None), frame::owner_of_run(run, folder.seal()))).collect()
}

/// A segment with its frames encrypted; `None` for one that never held any. `previous` is the owner of the frame before.
fn sealed(
    folder: &Folder,
    number: u64,
    owners: &BTreeMap<u64, u64>,
    previous: &mut u64,
) -> Result<Option<Vec<u8>>, Error> {
    let bytes = segment::load(&folder.journal(), number)?;
    let Some(first) = segment::first_frame(&bytes, number) else { return Ok(None) };
    let mut out = segment::header(number, first);
    for piece in scan(&bytes, usize::try_from(segment::HEADER).unwrap_or(usize::MAX)) {
        // What is not good is the torn end, which nobody was told of: all else was refused before.
        let Piece::Good { offset, header } = piece else { break };
        let end = offset.saturating_add(usize::try_from(header.frame_bytes()).unwrap_or(usize::MAX));
        let payload = bytes.get(offset + frame::HEADER..end).unwrap_or_default();
        let Ok(mut record) = frame::read(&header, payload, None) else { break };
        if let Record::Lost(lost) = &mut record {
            lost.owners.iter_mut().for_each(|owner| *owner = owners.get(owner).copied().unwrap_or(*owner));
        }
        let place = Place { number: header.number, batch: header.batch, previous: *previous };
        let large = || errors::not_to_encrypt(&folder.root, "a record is too large");
        *previous = frame::encode(&record, place, folder.seal(), &mut out).ok_or_else(large)?.owner;
    }
    Ok(Some(out))
}

/// The encrypted journal takes the place of the other one, whose index goes.
fn finish(folder: &Folder, stamp: &str, step: &impl Fn() -> Result<(), Error>) -> Result<PathBuf, Error> {
    let (root, journal, draft) = (&folder.root, folder.journal(), folder.draft());
    let fail = |cause| errors::io("put the encrypted journal in its place", root, &cause);
    let name = |more: &str| root.join(format!("journal.before-encryption-{stamp}{more}"));
    let names = std::iter::once(name("")).chain((2..1_000).map(|number| name(&format!("-{number}"))));
    let copy = names.into_iter().find(|path| !path.exists()).ok_or_else(|| errors::refused("a thousand copies"))?;
    step()?;
    // The index knows in the clear what the journal says.
    open::discard_index(folder)?;
    if journal.exists() {
        step()?;
        std::fs::rename(&journal, &copy).map_err(fail)?;
        sync(root)?;
    }
    step()?;
    std::fs::rename(&draft, &journal).map_err(fail)?;
    sync(root)?;
    Ok(copy)
}

/// Keeps the data key of an encrypted journal under another secret. Nothing else is written anew.
///
/// # Errors
/// `LB0601` another process has the folder, `LB0615` the old secret is not the one, `LB0619` the journal is not encrypted,
/// `LB0618`, `LB0603` and `LB0606` of the system. After an error one of the two secrets opens it, or both do.
pub fn rekey(dir: &Path, old: &Key, new: &Key) -> Result<(), Error> {
    let folder = Folder::new(dir);
    let identity = folder.identity()?.unwrap_or_default();
    if !folder.encrypted()? {
        return Err(errors::not_to_encrypt(dir, "it is in the clear, so there is no secret to change"));
    }
    let _lock = folder.lock()?;
    key::change(dir, &identity, old, new)
}
