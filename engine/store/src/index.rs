//! The index in sled: what makes opening fast, and nothing that the journal does not know.
//!
//! Everything of a batch goes into one sled batch with the place in the journal up to which the index is complete, and
//! with sums over what it should contain: an index that does not add up is thrown away. sled 0.34's known traps are
//! avoided: no periodic flush (it is not durable anyway), small values only, a bounded cache, and half-written snapshot
//! files, which make it unopenable, are removed before it is opened.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::RunId;
use lifeboat_core::ports::{Document, Lease, RunHead};
use sled::{Batch, Db};

use crate::frame::{Cursor, Set};
use crate::model::Model;
use crate::replay::{Location, Op, Position};
use crate::seal::Seal;

const POSITION: &[u8] = b"p";
/// How often sled's own lock is tried again, and how long between two: a second in all.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Sums over the index, written with each batch and compared at opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    runs: u64,
    events: u64,
    versions: u64,
}

impl Totals {
    /// The sums after a run was set. `before` is the sequence number that it had, if there was such a run.
    fn after(mut self, set: &Set, before: Option<u64>) -> Self {
        let now = set.head.as_ref().map(|head| head.seq);
        self.events = self.events.wrapping_sub(before.unwrap_or(0)).wrapping_add(now.unwrap_or(0));
        self.runs = self.runs.wrapping_sub(u64::from(before.is_some())).wrapping_add(u64::from(now.is_some()));
        self
    }
}

/// The index, open.
#[derive(Debug)]
pub(crate) struct Index {
    db: Db,
    identity: String,
    totals: Totals,
    seal: Option<Arc<Seal>>,
}

/// What an index held.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The state.
    pub model: Model,
    /// The frame up to which it is complete; `None` for an empty index.
    pub position: Option<Position>,
}

impl Index {
    /// Opens the index of the journal with that identity. Otherwise the reason why it cannot be used.
    pub fn open(
        dir: &Path,
        identity: &str,
        cache_bytes: u64,
        seal: Option<Arc<Seal>>,
    ) -> Result<(Self, Loaded), String> {
        remove_stale_snapshots(dir).map_err(|cause| cause.to_string())?;
        // sled panics on some damage where it should return an error.
        catch_unwind(AssertUnwindSafe(|| Self::open_unguarded(dir, identity, cache_bytes, seal)))
            .unwrap_or_else(|_| Err("sled panicked while it was opened".to_owned()))
    }

    fn open_unguarded(
        dir: &Path,
        identity: &str,
        cache_bytes: u64,
        seal: Option<Arc<Seal>>,
    ) -> Result<(Self, Loaded), String> {
        let config = sled::Config::new().path(dir).flush_every_ms(None).cache_capacity(cache_bytes);
        let mut opened = config.open();
        for _ in 0..LOCK_TRIES {
            if !matches!(&opened, Err(sled::Error::Io(cause)) if cause.to_string().contains("acquire lock")) {
                break;
            }
            // The data folder is ours, so this is the file of one that is going: a child between fork and exec has it.
            std::thread::sleep(LOCK_PAUSE);
            opened = config.open();
        }
        let db = opened.map_err(|cause| cause.to_string())?;
        let (loaded, totals) = load(&db, identity, seal.as_deref())?;
        Ok((Self { db, identity: identity.to_owned(), totals, seal }, loaded))
    }

    /// Takes changes, complete up to the frame at `position`.
    pub fn apply(&mut self, ops: &[Op], position: Position) -> Result<(), String> {
        let mut batch = Batch::default();
        let mut totals = self.totals;
        for (place, op) in ops.iter().enumerate() {
            match op {
                Op::Run(head, location) => {
                    totals.runs += u64::from(location.first == 1);
                    totals.events += location.last + 1 - location.first;
                    self.insert(
                        &mut batch,
                        self.location_key(&head.run, location.first),
                        "",
                        location_value(location),
                    )?;
                    self.insert(&mut batch, self.key(b'h', head.run.as_str()), head.run.as_str(), head_value(head))?;
                }
                Op::Set(set, before) => {
                    totals = totals.after(set, *before);
                    self.set(&mut batch, set, ops.get(..place).unwrap_or_default())?;
                }
                Op::Document(name, document, grew) => {
                    totals.versions = totals.versions.wrapping_add(*grew);
                    let mut value = document.version.to_le_bytes().to_vec();
                    value.extend_from_slice(&document.value);
                    self.insert(&mut batch, self.key(b'd', name), name, value)?;
                }
                Op::Lease(name, lease) => self.insert(&mut batch, self.key(b'e', name), name, lease_value(lease))?,
                Op::Quarantine(run, reason) => {
                    let name = run.as_str();
                    self.insert(&mut batch, self.key(b'q', name), name, reason.clone().into_bytes())?;
                }
            }
        }
        self.insert(&mut batch, POSITION.to_vec(), "", position_value(&self.identity, position, totals))?;
        guard(|| self.db.apply_batch(batch))?;
        self.totals = totals;
        Ok(())
    }

    /// A run is cut back, let go on or set aside: the places behind its end are forgotten, those of this batch too.
    fn set(&self, batch: &mut Batch, set: &Set, ops: &[Op]) -> Result<(), String> {
        let end = set.head.as_ref().map_or(0, |head| head.seq);
        for location in self.locations(&set.run, 0)?.iter().filter(|location| location.first > end) {
            batch.remove(self.location_key(&set.run, location.first));
        }
        for op in ops {
            if let Op::Run(head, location) = op
                && head.run == set.run
                && location.first > end
            {
                batch.remove(self.location_key(&set.run, location.first));
            }
        }
        let name = set.run.as_str();
        match &set.head {
            Some(head) => self.insert(batch, self.key(b'h', name), name, head_value(head))?,
            None => batch.remove(self.key(b'h', name)),
        }
        match &set.quarantine {
            Some(reason) => self.insert(batch, self.key(b'q', name), name, reason.clone().into_bytes())?,
            None => batch.remove(self.key(b'q', name)),
        }
        Ok(())
    }

    /// Where the events of a run after the sequence number `after` are, in order.
    pub fn locations(&self, run: &RunId, after: u64) -> Result<Vec<Location>, String> {
        // The frame that starts before `after` may reach beyond it.
        let prefix = self.location_prefix(run);
        let from = match guard(|| self.db.get_lt(self.location_key(run, after.saturating_add(2))))? {
            Some((found, _)) if found.starts_with(&prefix) => found.to_vec(),
            _ => prefix.clone(),
        };
        let mut locations = Vec::new();
        for item in self.db.range(from..) {
            let (found, value) = item.map_err(|cause| cause.to_string())?;
            if !found.starts_with(&prefix) {
                break;
            }
            let plain = plain(self.seal.as_deref(), &found, &value);
            let location = plain.and_then(|(_, value)| read_location(&value));
            locations.push(location.ok_or("the index has a malformed place")?);
        }
        Ok(locations)
    }

    /// Puts a value into the batch. Of an encrypted journal it is sealed, with its name.
    fn insert(&self, batch: &mut Batch, key: Vec<u8>, name: &str, value: Vec<u8>) -> Result<(), String> {
        let Some(seal) = &self.seal else {
            batch.insert(key, value);
            return Ok(());
        };
        let mut whole = u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        whole.extend_from_slice(name.as_bytes());
        whole.extend_from_slice(&value);
        let sealed = seal.value(&key, &whole).ok_or("a value cannot be sealed")?;
        batch.insert(key, sealed);
        Ok(())
    }

    fn key(&self, kind: u8, name: &str) -> Vec<u8> {
        let mut key = vec![kind];
        match &self.seal {
            Some(seal) => key.extend_from_slice(&seal.name(kind, name)),
            None => key.extend_from_slice(name.as_bytes()),
        }
        key
    }

    fn location_prefix(&self, run: &RunId) -> Vec<u8> {
        let mut prefix = self.key(b'l', run.as_str());
        // Names have no NUL, so no run's prefix starts another's; and hashes are all of one length.
        prefix.push(0);
        prefix
    }

    fn location_key(&self, run: &RunId, first: u64) -> Vec<u8> {
        let mut key = self.location_prefix(run);
        key.extend_from_slice(&first.to_be_bytes());
        key
    }

    /// Hands sled's buffers to the system.
    pub fn flush(&self) -> Result<(), String> {
        guard(|| self.db.flush()).map(drop)
    }

    /// A second handle for reading.
    pub fn reader(&self) -> Self {
        Self { db: self.db.clone(), identity: self.identity.clone(), totals: self.totals, seal: self.seal.clone() }
    }
}

/// Calls sled, which may panic on a damaged file.
fn guard<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| "sled panicked".to_owned())?.map_err(|cause| cause.to_string())
}

/// A crash while sled writes a snapshot leaves one that it cannot read back.
fn remove_stale_snapshots(dir: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(cause),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("snap.") && name.to_string_lossy().ends_with(".generating") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn load(db: &Db, identity: &str, seal: Option<&Seal>) -> Result<(Loaded, Totals), String> {
    let Some(value) = db.get(POSITION).map_err(|cause| cause.to_string())? else {
        return if db.is_empty() {
            Ok((Loaded::default(), Totals::default()))
        } else {
            Err("it does not say how far it is complete".to_owned())
        };
    };
    let (_, value) = plain(seal, POSITION, &value).ok_or("its position does not decrypt")?;
    let (found, position, totals) = read_position(&value).ok_or("its position is malformed")?;
    if found != identity {
        return Err("it belongs to another journal".to_owned());
    }
    let (model, counted) = load_model(db, seal)?;
    if counted != totals {
        return Err("its sums do not add up".to_owned());
    }
    Ok((Loaded { model, position: Some(position) }, totals))
}

fn load_model(db: &Db, seal: Option<&Seal>) -> Result<(Model, Totals), String> {
    let mut model = Model::default();
    let mut totals = Totals::default();
    for kind in [b'h', b'd', b'e', b'q'] {
        for item in db.scan_prefix([kind]) {
            let (found, value) = item.map_err(|cause| cause.to_string())?;
            let (name, value) = plain(seal, &found, &value).ok_or("it has a value that does not decrypt")?;
            let name = name.or_else(|| found.get(1..).and_then(|name| String::from_utf8(name.to_vec()).ok()));
            let name = name.ok_or("it has a malformed key")?;
            read_entry(&mut model, &mut totals, kind, name, &value).ok_or("it has a malformed value")?;
        }
    }
    Ok((model, totals))
}

fn read_entry(model: &mut Model, totals: &mut Totals, kind: u8, name: String, value: &[u8]) -> Option<()> {
    let mut cursor = Cursor(value);
    match kind {
        b'h' => {
            let run = RunId(name);
            let (seq, epoch, chain) = (cursor.u64()?, cursor.u64()?, cursor.array()?);
            totals.runs += 1;
            totals.events += seq;
            let head = RunHead { run: run.clone(), seq, epoch, chain, summary: cursor.0.to_vec() };
            model.heads.insert(run, head);
        }
        b'd' => {
            let version = cursor.u64()?;
            totals.versions = totals.versions.wrapping_add(version);
            model.documents.insert(name, Document { version, value: cursor.0.to_vec() });
        }
        b'e' => {
            let lease = Lease { holder: cursor.text()?, epoch: cursor.u64()?, expires_ms: cursor.u64()? };
            model.leases.insert(name, lease);
        }
        _ => {
            model.quarantined.insert(RunId(name), String::from_utf8_lossy(value).into_owned());
        }
    }
    Some(())
}

/// A value as it was before it was sealed, with its name where that is not in the key.
fn plain<'a>(seal: Option<&Seal>, key: &[u8], value: &'a [u8]) -> Option<(Option<String>, Cow<'a, [u8]>)> {
    let Some(seal) = seal else { return Some((None, Cow::Borrowed(value))) };
    let whole = seal.open_value(key, value)?;
    let mut cursor = Cursor(&whole);
    let name = cursor.text()?;
    Some((Some(name), Cow::Owned(cursor.0.to_vec())))
}

fn numbers(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn location_value(l: &Location) -> Vec<u8> {
    numbers(&[l.segment, l.offset, l.bytes, l.first, l.last])
}

fn read_location(value: &[u8]) -> Option<Location> {
    let mut cursor = Cursor(value);
    Some(Location {
        segment: cursor.u64()?,
        offset: cursor.u64()?,
        bytes: cursor.u64()?,
        first: cursor.u64()?,
        last: cursor.u64()?,
    })
}

fn head_value(head: &RunHead) -> Vec<u8> {
    let mut value = numbers(&[head.seq, head.epoch]);
    value.extend_from_slice(&head.chain);
    value.extend_from_slice(&head.summary);
    value
}

fn lease_value(lease: &Lease) -> Vec<u8> {
    let mut value = u32::try_from(lease.holder.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    value.extend_from_slice(lease.holder.as_bytes());
    value.extend_from_slice(&numbers(&[lease.epoch, lease.expires_ms]));
    value
}

fn position_value(identity: &str, position: Position, totals: Totals) -> Vec<u8> {
    let mut value =
        numbers(&[position.segment, position.offset, position.number, totals.runs, totals.events, totals.versions]);
    value.extend_from_slice(identity.as_bytes());
    value
}

fn read_position(value: &[u8]) -> Option<(String, Position, Totals)> {
    let mut cursor = Cursor(value);
    let position = Position { segment: cursor.u64()?, offset: cursor.u64()?, number: cursor.u64()? };
    let totals = Totals { runs: cursor.u64()?, events: cursor.u64()?, versions: cursor.u64()? };
    Some((String::from_utf8(cursor.0.to_vec()).ok()?, position, totals))
}
