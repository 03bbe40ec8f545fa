//! The rules of a store, apart from where it keeps its bytes.
//!
//! Both adapters ask the functions here what an append, a document or a lease becomes. A [`View`] looks at what is
//! durable through what is only planned, so that the writer can judge a whole batch before any of it is written.

use std::collections::BTreeMap;

use lifeboat_core::limits::EVENT_BYTES_MAX;
use lifeboat_core::ports::{Append, Document, Lease, RunHead, StoreError, chain};
use lifeboat_core::{Error, RunId};

use crate::errors;
use crate::frame::{Events, Record};

/// Bytes of a document. sled keeps values above it in files that it never deletes.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a run's summary: a list of 10,000 runs stays within 40 MiB.
pub(crate) const SUMMARY_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a key, a lease's name, a holder or a run id: they are keys of the index.
pub(crate) const NAME_BYTES_MAX: usize = 1024;
/// Bytes of all events of one append. One event of the largest size and a round of others fit.
pub(crate) const APPEND_BYTES_MAX: usize = 2 * EVENT_BYTES_MAX;

/// Heads, documents and leases.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// The runs.
    pub heads: BTreeMap<RunId, RunHead>,
    /// The documents.
    pub documents: BTreeMap<String, Document>,
    /// The leases, those given back included: their epoch must go on growing.
    pub leases: BTreeMap<String, Lease>,
    /// Runs that cannot be read, and why.
    pub quarantined: BTreeMap<RunId, String>,
}

impl Model {
    /// Takes a record as true. The caller has judged it.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Events(events) => {
                let head = RunHead {
                    run: events.run.clone(),
                    seq: events.last(),
                    epoch: events.epoch,
                    chain: events.after,
                    summary: events.summary.clone(),
                };
                self.heads.insert(events.run.clone(), head);
            }
            Record::Document { key, version, value } => {
                self.documents.insert(key.clone(), Document { version: *version, value: value.clone() });
            }
            Record::Lease { name, lease } => {
                self.leases.insert(name.clone(), lease.clone());
            }
            Record::Lost(_) => {}
            Record::Set(set) => self.set(&set.run, set.head.as_ref(), set.quarantine.as_ref()),
        }
    }

    /// What is known of a run is something else now.
    pub fn set(&mut self, run: &RunId, head: Option<&RunHead>, quarantine: Option<&String>) {
        match head {
            Some(head) => drop(self.heads.insert(run.clone(), head.clone())),
            None => drop(self.heads.remove(run)),
        }
        match quarantine {
            Some(reason) => drop(self.quarantined.insert(run.clone(), reason.clone())),
            None => drop(self.quarantined.remove(run)),
        }
    }

    /// An error if the run is in quarantine.
    pub fn check_quarantine(&self, run: &RunId) -> Result<(), Error> {
        match self.quarantined.get(run) {
            Some(reason) => Err(errors::quarantined(run, reason)),
            None => Ok(()),
        }
    }
}

/// What is durable, seen through what is planned.
pub(crate) struct View<'a> {
    /// What is durable.
    pub base: &'a Model,
    /// What is planned on top of it.
    pub over: &'a Model,
}

impl View<'_> {
    fn head(&self, run: &RunId) -> Option<&RunHead> {
        self.over.heads.get(run).or_else(|| self.base.heads.get(run))
    }

    fn document_version(&self, key: &str) -> u64 {
        self.over.documents.get(key).or_else(|| self.base.documents.get(key)).map_or(0, |document| document.version)
    }

    fn lease(&self, name: &str) -> Option<&Lease> {
        self.over.leases.get(name).or_else(|| self.base.leases.get(name))
    }

    /// What an append becomes: the record to write.
    pub fn append(&self, append: Append) -> Result<Events, StoreError> {
        check_append(&append).map_err(StoreError::Failed)?;
        self.base.check_quarantine(&append.run).map_err(StoreError::Failed)?;
        let (seq, epoch, before) = self.head(&append.run).map_or((0, 0, [0; 32]), |h| (h.seq, h.epoch, h.chain));
        if append.epoch < epoch {
            return Err(StoreError::Fenced { run: append.run, given: append.epoch, current: epoch });
        }
        if append.expected != seq {
            return Err(StoreError::Conflict { run: append.run, expected: append.expected, actual: seq });
        }
        let after = append.events.iter().fold(before, |previous, bytes| chain(&previous, bytes));
        Ok(Events {
            run: append.run,
            epoch: append.epoch,
            first: seq + 1,
            before,
            after,
            summary: append.summary,
            events: append.events,
        })
    }

    /// What a document becomes, and its new version.
    pub fn put_document(&self, key: String, expected: u64, value: Vec<u8>) -> Result<(Record, u64), StoreError> {
        check_name("a document's key", &key).map_err(StoreError::Failed)?;
        if value.len() > DOCUMENT_BYTES_MAX {
            return Err(StoreError::Failed(
                errors::too_large("the document", value.len(), DOCUMENT_BYTES_MAX).with("document", &key),
            ));
        }
        let actual = self.document_version(&key);
        if actual != expected {
            return Err(StoreError::DocumentConflict { key, expected, actual });
        }
        let version = actual + 1;
        Ok((Record::Document { key, version, value }, version))
    }

    /// What a wish for a lease becomes: the record to write where it changes, and who has it then.
    pub fn acquire(&self, name: &str, holder: &str, now: u64, ttl: u64) -> Result<(Option<Record>, Lease), StoreError> {
        check_name("a lease's name", name).map_err(StoreError::Failed)?;
        check_name("a lease's holder", holder).map_err(StoreError::Failed)?;
        let expires_ms = now.saturating_add(ttl);
        let lease = match self.lease(name) {
            Some(lease) if lease.holder == holder => {
                Lease { holder: holder.to_owned(), epoch: lease.epoch, expires_ms }
            }
            Some(lease) if !lease.holder.is_empty() && lease.expires_ms > now => return Ok((None, lease.clone())),
            Some(lease) => Lease { holder: holder.to_owned(), epoch: lease.epoch + 1, expires_ms },
            None => Lease { holder: holder.to_owned(), epoch: 1, expires_ms },
        };
        Ok((Some(Record::Lease { name: name.to_owned(), lease: lease.clone() }), lease))
    }

    /// What giving a lease back becomes; nothing where the holder does not have it.
    pub fn release(&self, name: &str, holder: &str) -> Option<Record> {
        let lease = self.lease(name).filter(|lease| lease.holder == holder && !holder.is_empty())?;
        // The epoch stays on record, so that the next holder gets a higher one.
        let lease = Lease { holder: String::new(), epoch: lease.epoch, expires_ms: 0 };
        Some(Record::Lease { name: name.to_owned(), lease })
    }
}

fn check_append(append: &Append) -> Result<(), Error> {
    check_name("a run's id", append.run.as_str())?;
    if append.events.is_empty() {
        return Err(errors::refused("an append without events").with("run", &append.run));
    }
    if append.summary.len() > SUMMARY_BYTES_MAX {
        let error = errors::too_large("the summary of the run", append.summary.len(), SUMMARY_BYTES_MAX);
        return Err(error.with("run", &append.run));
    }
    let mut total = 0usize;
    for event in &append.events {
        if event.len() > EVENT_BYTES_MAX {
            return Err(errors::too_large("an event", event.len(), EVENT_BYTES_MAX).with("run", &append.run));
        }
        total = total.saturating_add(event.len());
    }
    if total > APPEND_BYTES_MAX {
        return Err(errors::too_large("the events of one round", total, APPEND_BYTES_MAX).with("run", &append.run));
    }
    Ok(())
}

fn check_name(what: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() || name.contains('\0') {
        return Err(errors::refused(&format!("{what} is empty or has a NUL in it")));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(errors::too_large(what, name.len(), NAME_BYTES_MAX));
    }
    Ok(())
}
