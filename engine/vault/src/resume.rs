//! Going on where another attempt was cut off: packs that are in the store are not sent again.
//!
//! Packs are used once an index names them, and the library writes its index late. So an attempt that fails writes one for
//! the packs that have arrived. One that was killed cannot; but its lock stays behind, and whoever finds the lock of
//! somebody who may be dead looks for packs of no index, proves their headers, and writes the index for them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use lifeboat_core::Failure;

use crate::exam::read_header;
use crate::format::{BlobEntry, Id};
use crate::inventory::indexed_packs;
use crate::lock;
use crate::packs::write_index;
use crate::pool;
use crate::session::Session;

/// Takes over what the dead left. Asked for while a shared lock is held, so that nobody deletes meanwhile.
pub(crate) fn take_over(session: &Session) -> Result<(), Failure> {
    session.watch.keep_in_mind(&session.cipher);
    let (dead, stale) = lock::of_the_dead(&session.place, &session.cipher)?;
    if dead == 0 {
        return Ok(());
    }
    let known = indexed_packs(session)?;
    let listed = session.place.list("data/")?.into_iter();
    let named = listed.filter_map(|(key, size)| Some((Id::parse(key.rsplit('/').next()?)?, size)));
    let strays: Vec<(Id, u64)> = named.filter(|(id, _)| !known.contains(id)).collect();
    let found: Mutex<BTreeMap<Id, Vec<BlobEntry>>> = Mutex::default();
    pool::each(&session.watch, &strays, |_, (id, size)| {
        if let Some(blobs) = read_header(session, id, *size)? {
            found.lock().unwrap_or_else(PoisonError::into_inner).insert(*id, blobs);
        }
        Ok(())
    })?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !found.is_empty() {
        write_index(session, found.iter().map(|(id, blobs)| (*id, blobs.as_slice())))?;
        let message = format!("{} packs of an attempt that was cut off are used and not sent again", found.len());
        session.watch.log("info", &message);
    }
    // They have told what they had to tell. One that is not surely stale stays.
    for key in stale {
        session.place.delete(&key)?;
    }
    Ok(())
}

/// Ends an operation that wrote: waits for what is on its way, and if it failed, writes the index of what has arrived.
pub(crate) fn end<T>(session: &Session, result: Result<T, Failure>) -> Result<T, Failure> {
    session.watch.close();
    session.place.settle();
    if result.is_ok() {
        return result;
    }
    let arrived = session.watch.take_unindexed();
    // It may have been asked to stop, or the store may be away: then the next one sends them again, and nothing is lost.
    if !arrived.is_empty()
        && let Err(failure) = write_arrived(session, &arrived)
    {
        tracing::info!("no index could be written for {} packs: {}", arrived.len(), failure.message);
    }
    result
}

/// By a session of its own: the one that failed does nothing more.
fn write_arrived(session: &Session, arrived: &BTreeMap<Id, Vec<BlobEntry>>) -> Result<(), Failure> {
    let session = Session::open(&session.place, &session.repo.key(), crate::watch::Watch::silent())?;
    write_index(&session, arrived.iter().map(|(id, blobs)| (*id, blobs.as_slice())))?;
    Ok(())
}
