//! From the journal to heads, documents and leases, with an eye on what is missing.
//!
//! Frames are numbered without gaps, and each says which frame was the first of its batch. So damage is told from a torn
//! tail exactly: frames that are missing before frames of a later batch were acknowledged (damage); frames that are
//! missing at the end, or before frames of their own, last batch, were not (a crash in the middle of a write).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lifeboat_core::ports::{Document, Lease, RunHead, chain};
use lifeboat_core::{Error, RunId};

use crate::frame::{self, Events, Header, Record, Set};
use crate::gaps::Gap;
use crate::model::Model;
use crate::scan::{Piece, scan};
use crate::seal::Seal;
use crate::segment;

/// Where the frame of an append is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// The segment.
    pub segment: u64,
    /// Where the frame starts in it, in bytes.
    pub offset: u64,
    /// Bytes of the frame.
    pub bytes: u64,
    /// The sequence number of its first event.
    pub first: u64,
    /// The sequence number of its last event.
    pub last: u64,
}

/// Where a frame is that everything before is known of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The segment.
    pub segment: u64,
    /// Where the frame starts in it, in bytes.
    pub offset: u64,
    /// The frame's number.
    pub number: u64,
}

/// A change of the state, as the index takes it.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A run has more events.
    Run(RunHead, Location),
    /// A document has a new value; by how much its version grew.
    Document(String, Document, u64),
    /// A lease changed.
    Lease(String, Lease),
    /// A run cannot be read.
    Quarantine(RunId, String),
    /// What is known of a run is something else now. With it, the sequence number that the run had, if there was one.
    Set(Set, Option<u64>),
}

/// A stretch of the journal that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Damage {
    /// The segment's file name.
    pub segment: String,
    /// Where it starts in the file, in bytes.
    pub offset: u64,
    /// Acknowledged frames (appends, documents, leases) that are lost.
    pub missing: u64,
    /// What is wrong.
    pub reason: String,
    /// The error `LB0602` for it.
    pub error: Error,
}

/// A run that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Quarantined {
    /// The run.
    pub run: RunId,
    /// The reason, for a person.
    pub reason: String,
    /// The sequence number of its last event that is known to be good; 0: none is.
    pub good: u64,
}

/// Bad bytes of which it is not yet known whether anything acknowledged was in them.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub segment: u64,
    pub offset: u64,
    pub reason: &'static str,
    pub header: Option<Header>,
}

/// The journal read so far.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// What it says.
    pub model: Model,
    /// Changes since they were last taken.
    pub ops: Vec<Op>,
    /// The last good frame.
    pub position: Option<Position>,
    /// Where the last good frame ends in the last segment; frames go on there.
    pub end: u64,
    /// Damage found.
    pub damage: Vec<Damage>,
    /// Frames read.
    pub frames: u64,
    /// Bytes of the last segment after its last good frame that are no zeros.
    pub torn: u64,
    /// Whether the last segment has a good header.
    pub last_usable: bool,
    /// The owner of the last good frame.
    pub owner: u64,
    /// Where frames are missing, and what a repair writes there.
    pub gaps: Vec<Gap>,
    /// Segments with bytes that are damage.
    pub touched: BTreeSet<u64>,
    /// Where runs that are in quarantine break: segment and byte. Only what was read now.
    pub broken: BTreeMap<RunId, (u64, u64)>,
    /// Losses that a repair has settled.
    pub settled: Vec<Gap>,
    /// Opens the frames of an encrypted journal.
    pub seal: Option<Arc<Seal>>,
    pub(crate) next: u64,
    pub(crate) pending: Vec<Pending>,
    /// Runs whose last events may be lost, and why; unless a later event of them is found.
    pub(crate) suspects: BTreeMap<RunId, String>,
}

impl Replay {
    /// Goes on after a position, from the state as it was there. The position's frame is known already.
    pub fn after(model: Model, position: Option<Position>, seal: Option<Arc<Seal>>) -> Self {
        let next = position.map_or(1, |position| position.number + 1);
        Self { model, position, next, seal, ..Self::default() }
    }

    /// The number of the next frame.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Reads one segment. `from` is where to start, after its header if `None`.
    pub fn segment(&mut self, number: u64, bytes: &[u8], from: Option<u64>, last: bool) {
        let first = segment::first_frame(bytes, number);
        self.last_usable = first.is_some();
        self.end = from.unwrap_or(segment::HEADER);
        match first {
            _ if from.is_some() => {}
            Some(first) if first > self.next => {
                self.lost(number, 0, first, None, "records are missing before this segment");
            }
            Some(_) => self.pending.clear(),
            None => self.pending.push(Pending {
                segment: number,
                offset: 0,
                reason: "the segment's header is wrong",
                header: None,
            }),
        }
        let start = usize::try_from(self.end).unwrap_or(usize::MAX);
        let pieces = scan(bytes, start);
        for (place, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Bad { offset, reason, header } => {
                    self.pending.push(Pending { segment: number, offset: *offset as u64, reason, header: *header })
                }
                Piece::Good { offset, header } => {
                    let torn = header.number > self.next && last && self.only_batch(pieces.get(place..), header.batch);
                    if torn {
                        break;
                    }
                    self.good(number, *offset, header, bytes);
                }
            }
        }
        if last {
            let used = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
            self.torn = (used as u64).saturating_sub(self.end);
            if self.last_usable {
                self.pending.clear();
            }
        }
    }

    /// Whether the missing frames and all that follow belong to one batch: the last one, which nobody was told of.
    fn only_batch(&self, rest: Option<&[Piece]>, batch: u64) -> bool {
        batch <= self.next
            && rest.unwrap_or_default().iter().all(|piece| match piece {
                Piece::Good { header, .. } => header.batch == batch,
                Piece::Bad { .. } => true,
            })
    }

    fn good(&mut self, segment: u64, offset: usize, header: &Header, bytes: &[u8]) {
        let length = header.frame_bytes();
        self.end = offset as u64 + length;
        self.owner = header.owner;
        if header.number < self.next {
            // The frame at which the index ends, or what a failed write left behind in a segment that was given up; the frame was written again later.
            return;
        }
        let payload =
            usize::try_from(length).ok().and_then(|length| bytes.get(offset + frame::HEADER..offset + length));
        let record = payload.ok_or(frame::SENSELESS);
        let record = record.and_then(|payload| frame::read(header, payload, self.seal.as_deref()));
        let place = (segment, offset as u64);
        match &record {
            // A repair has said what was here; nothing is missing that it does not name.
            Ok(Record::Lost(lost)) if lost.first <= self.next && lost.last == header.number => {}
            _ if header.number > self.next => {
                let reason = "records are missing before this one";
                self.lost(place.0, place.1, header.number, Some(header.previous), reason);
            }
            _ => self.harmed(),
        }
        self.pending.clear();
        self.next = header.number + 1;
        self.frames += 1;
        self.position = Some(Position { segment, offset: offset as u64, number: header.number });
        match record {
            Ok(record) => self.record(record, place, length),
            Err(reason) => self.senseless(place, header, reason),
        }
    }

    fn record(&mut self, record: Record, place: (u64, u64), bytes: u64) {
        match record {
            Record::Events(events) => {
                let (first, last) = (events.first, events.last());
                self.events(&events, Location { segment: place.0, offset: place.1, bytes, first, last });
            }
            Record::Document { key, version, value } => {
                let before = self.model.documents.get(&key).map_or(0, |document| document.version);
                let document = Document { version, value };
                self.model.documents.insert(key.clone(), document.clone());
                self.ops.push(Op::Document(key, document, version.wrapping_sub(before)));
            }
            Record::Lease { name, lease } => {
                self.model.leases.insert(name.clone(), lease.clone());
                self.ops.push(Op::Lease(name, lease));
            }
            Record::Lost(lost) => self.settled(lost, place),
            Record::Set(set) => {
                let before = self.model.heads.get(&set.run).map(|head| head.seq);
                self.model.set(&set.run, set.head.as_ref(), set.quarantine.as_ref());
                self.suspects.remove(&set.run);
                match &set.quarantine {
                    Some(_) => drop(self.broken.insert(set.run.clone(), place)),
                    None => drop(self.broken.remove(&set.run)),
                }
                self.ops.push(Op::Set(set, before));
            }
        }
    }

    /// Takes the events of a run, if they follow on what is known of it.
    fn events(&mut self, events: &Events, location: Location) {
        if self.model.quarantined.contains_key(&events.run) {
            return;
        }
        let (seq, epoch, before) =
            self.model.heads.get(&events.run).map_or((0, 0, [0; 32]), |head| (head.seq, head.epoch, head.chain));
        let reason = if events.first != seq + 1 {
            Some(format!("after event {seq} comes event {}: what was between is lost", events.first))
        } else if events.before != before || events.events.iter().fold(before, |p, b| chain(&p, b)) != events.after {
            Some(format!("the chain of digests breaks at event {}", events.first))
        } else if events.epoch < epoch {
            Some(format!("event {} was written with epoch {} after epoch {epoch}", events.first, events.epoch))
        } else {
            None
        };
        if let Some(reason) = reason {
            self.quarantine(events.run.clone(), reason, (location.segment, location.offset));
            return;
        }
        self.suspects.remove(&events.run);
        let head = RunHead {
            run: events.run.clone(),
            seq: events.last(),
            epoch: events.epoch,
            chain: events.after,
            summary: events.summary.clone(),
        };
        self.model.heads.insert(events.run.clone(), head.clone());
        self.ops.push(Op::Run(head, location));
    }

    /// Puts a run into quarantine: it breaks at this segment and byte.
    pub(crate) fn quarantine(&mut self, run: RunId, reason: String, place: (u64, u64)) {
        self.model.quarantined.insert(run.clone(), reason.clone());
        self.broken.insert(run.clone(), place);
        self.ops.push(Op::Quarantine(run, reason));
    }

    /// The runs in quarantine, with those of the past.
    pub fn quarantined(&self) -> Vec<Quarantined> {
        let all = self.model.quarantined.iter();
        let good = |run| self.model.heads.get(run).map_or(0, |head| head.seq);
        all.map(|(run, reason)| Quarantined { run: run.clone(), reason: reason.clone(), good: good(run) }).collect()
    }
}
