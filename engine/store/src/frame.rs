//! Frames: how one record stands in the journal.
//!
//! A header of 52 bytes with its own checksum, then the payload with another. The header alone says how long the frame
//! is, whose it is and whose the one before was (a short hash of the run's or document's name) and which number it has, so that after a damaged
//! stretch the next good frame is found by its magic, missing frames are counted, and the owner of a frame with a
//! damaged payload is still known. All numbers are little endian.

use lifeboat_core::RunId;
use lifeboat_core::ports::{Lease, RunHead};

use crate::seal::{ADDED, Seal};

/// Bytes of a frame's header.
pub(crate) const HEADER: usize = 52;
/// What every frame starts with.
pub(crate) const MAGIC: [u8; 4] = *b"LBf1";

const KIND_EVENTS: u8 = 1;
const KIND_DOCUMENT: u8 = 2;
const KIND_LEASE: u8 = 3;
const KIND_LOST: u8 = 4;
const KIND_SET: u8 = 5;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// What the payload is.
    pub kind: u8,
    /// Bytes of the payload.
    pub length: u32,
    /// CRC32C of the payload.
    pub payload_crc: u32,
    /// The frame's number in the journal, from 1.
    pub number: u64,
    /// The number of the first frame that was flushed together with this one.
    pub batch: u64,
    /// A hash of the name of the run, document or lease.
    pub owner: u64,
    /// The owner of the frame before, so that a frame lost with its header is still somebody's; 0 for the first.
    pub previous: u64,
}

/// What a frame records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// One append to a run.
    Events(Events),
    /// A document has a new value.
    Document {
        /// Its key.
        key: String,
        /// Its new version.
        version: u64,
        /// Its new value.
        value: Vec<u8>,
    },
    /// A lease changed.
    Lease {
        /// Its name.
        name: String,
        /// Who has it now; an empty holder where it was given back.
        lease: Lease,
    },
    /// Frames that are gone for good. A repair writes it in their place; it has the number of the last of them.
    Lost(Lost),
    /// What is known of a run is something else from here on. A repair writes it, and an opening that found a run short.
    Set(Set),
}

/// Frames that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// Whose they were, as far as that is known.
    pub owners: Vec<u64>,
    /// Of how many it is not known whose they were.
    pub unknown: u64,
    /// What was wrong with them.
    pub reason: String,
}

/// A run cut back, let go on, or set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    /// The run.
    pub run: RunId,
    /// What is known of it now; `None`: there is no such run any more.
    pub head: Option<RunHead>,
    /// Why it is in quarantine, if it is.
    pub quarantine: Option<String>,
}

/// The events of one append, as they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Events {
    /// The run.
    pub run: RunId,
    /// The writer's epoch.
    pub epoch: u64,
    /// The sequence number of the first event.
    pub first: u64,
    /// The chain digest before the first event.
    pub before: [u8; 32],
    /// The chain digest after the last event.
    pub after: [u8; 32],
    /// The run's summary from now on.
    pub summary: Vec<u8>,
    /// The events' bytes.
    pub events: Vec<Vec<u8>>,
}

impl Events {
    /// The sequence number of the last event.
    pub fn last(&self) -> u64 {
        (self.first + self.events.len() as u64).saturating_sub(1)
    }
}

/// The hash by which a damaged frame's owner is recognised.
pub(crate) fn owner_of_run(run: &RunId, seal: Option<&Seal>) -> u64 {
    short_hash(KIND_EVENTS, run.as_str(), seal)
}

fn short_hash(kind: u8, name: &str, seal: Option<&Seal>) -> u64 {
    let hash = match seal {
        Some(seal) => seal.name(kind, name),
        None => {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&[kind]);
            hasher.update(name.as_bytes());
            *hasher.finalize().as_bytes()
        }
    };
    hash.iter().take(8).rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// Where a frame stands among the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Its number.
    pub number: u64,
    /// The number of the first frame of its batch.
    pub batch: u64,
    /// The owner of the frame before.
    pub previous: u64,
}

/// Appends a frame for `record` to `out`. Its header, or `None` if the payload does not fit into 32 bits.
/// With a seal the payload is encrypted, and bound to the rest of the header.
pub(crate) fn encode(record: &Record, at: Place, seal: Option<&Seal>, out: &mut Vec<u8>) -> Option<Header> {
    let Place { number, batch, previous } = at;
    let start = out.len();
    out.resize(start + HEADER, 0);
    let (kind, owner) = match record {
        Record::Events(events) => {
            put_events(out, events);
            (KIND_EVENTS, owner_of_run(&events.run, seal))
        }
        Record::Document { key, version, value } => {
            put_bytes(out, key.as_bytes());
            out.extend_from_slice(&version.to_le_bytes());
            put_bytes(out, value);
            (KIND_DOCUMENT, short_hash(KIND_DOCUMENT, key, seal))
        }
        Record::Lease { name, lease } => {
            put_bytes(out, name.as_bytes());
            put_bytes(out, lease.holder.as_bytes());
            out.extend_from_slice(&lease.epoch.to_le_bytes());
            out.extend_from_slice(&lease.expires_ms.to_le_bytes());
            (KIND_LEASE, short_hash(KIND_LEASE, name, seal))
        }
        Record::Lost(lost) => {
            put_lost(out, lost);
            (KIND_LOST, lost.owners.last().copied().unwrap_or_default())
        }
        Record::Set(set) => {
            put_set(out, set);
            (KIND_SET, owner_of_run(&set.run, seal))
        }
    };
    let plain = out.len() - start - HEADER;
    let Ok(length) = u32::try_from(plain + seal.map_or(0, |_| ADDED)) else {
        out.truncate(start);
        return None;
    };
    let mut header = Header { kind, length, payload_crc: 0, number, batch, owner, previous };
    if let Some(seal) = seal {
        seal.frame(&header.bound(), out, start + HEADER)?;
    }
    header.payload_crc = crc32c::crc32c(out.get(start + HEADER..)?);
    let bytes = header.to_bytes();
    out.get_mut(start..start + HEADER)?.copy_from_slice(&bytes);
    Some(header)
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // Lengths above 32 bits are refused by the limits long before they get here.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn put_events(out: &mut Vec<u8>, events: &Events) {
    put_bytes(out, events.run.as_str().as_bytes());
    out.extend_from_slice(&events.epoch.to_le_bytes());
    out.extend_from_slice(&events.first.to_le_bytes());
    out.extend_from_slice(&events.before);
    out.extend_from_slice(&events.after);
    put_bytes(out, &events.summary);
    out.extend_from_slice(&u32::try_from(events.events.len()).unwrap_or(u32::MAX).to_le_bytes());
    for event in &events.events {
        put_bytes(out, event);
    }
}

fn put_lost(out: &mut Vec<u8>, lost: &Lost) {
    for number in [lost.first, lost.last, lost.unknown] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    put_bytes(out, lost.reason.as_bytes());
    for owner in &lost.owners {
        out.extend_from_slice(&owner.to_le_bytes());
    }
}

fn put_set(out: &mut Vec<u8>, set: &Set) {
    put_bytes(out, set.run.as_str().as_bytes());
    put_bytes(out, set.quarantine.as_deref().unwrap_or_default().as_bytes());
    if let Some(head) = &set.head {
        out.extend_from_slice(&head.seq.to_le_bytes());
        out.extend_from_slice(&head.epoch.to_le_bytes());
        out.extend_from_slice(&head.chain);
        put_bytes(out, &head.summary);
    }
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER] {
        let mut out = Vec::with_capacity(HEADER);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[self.kind, 0, 0, 0]);
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&self.payload_crc.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.batch.to_le_bytes());
        out.extend_from_slice(&self.owner.to_le_bytes());
        out.extend_from_slice(&self.previous.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        let mut bytes = [0; HEADER];
        for (to, from) in bytes.iter_mut().zip(out) {
            *to = from;
        }
        bytes
    }

    /// Reads a header from the start of `bytes`, if there is a good one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (sealed, crc) = bytes.get(..HEADER)?.split_at_checked(HEADER - 4)?;
        if !sealed.starts_with(&MAGIC) || crc32c::crc32c(sealed) != Cursor(crc).u32()? {
            return None;
        }
        let mut cursor = Cursor(sealed.get(4..)?);
        let kind = cursor.take(4)?.first().copied()?;
        Some(Self {
            kind,
            length: cursor.u32()?,
            payload_crc: cursor.u32()?,
            number: cursor.u64()?,
            batch: cursor.u64()?,
            owner: cursor.u64()?,
            previous: cursor.u64()?,
        })
    }

    /// What a sealed payload is bound to: all of it but the sums.
    fn bound(&self) -> [u8; HEADER] {
        Self { payload_crc: 0, ..*self }.to_bytes()
    }

    /// Bytes of the whole frame.
    pub fn frame_bytes(&self) -> u64 {
        HEADER as u64 + u64::from(self.length)
    }
}

/// Why a frame whose checksums are good is none all the same.
pub(crate) const SENSELESS: &str = "a record makes no sense though its checksum is good";
/// The same, of an encrypted journal.
pub(crate) const UNSEALED: &str =
    "a record does not decrypt though its checksum is good: it was changed, or is not of this journal";

/// Reads the record of a frame whose checksums are good. Otherwise what is wrong with it all the same.
pub(crate) fn read(header: &Header, payload: &[u8], seal: Option<&Seal>) -> Result<Record, &'static str> {
    match seal {
        None => decode(header.kind, payload).ok_or(SENSELESS),
        Some(seal) => {
            let plain = seal.open_frame(&header.bound(), payload).ok_or(UNSEALED)?;
            decode(header.kind, &plain).ok_or(SENSELESS)
        }
    }
}

fn decode(kind: u8, payload: &[u8]) -> Option<Record> {
    let mut cursor = Cursor(payload);
    let record = match kind {
        KIND_EVENTS => Record::Events(take_events(&mut cursor)?),
        KIND_DOCUMENT => {
            Record::Document { key: cursor.text()?, version: cursor.u64()?, value: cursor.bytes()?.to_vec() }
        }
        KIND_LEASE => Record::Lease {
            name: cursor.text()?,
            lease: Lease { holder: cursor.text()?, epoch: cursor.u64()?, expires_ms: cursor.u64()? },
        },
        KIND_LOST => Record::Lost(take_lost(&mut cursor)?),
        KIND_SET => Record::Set(take_set(&mut cursor)?),
        _ => return None,
    };
    cursor.0.is_empty().then_some(record)
}

fn take_lost(cursor: &mut Cursor<'_>) -> Option<Lost> {
    let (first, last, unknown) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    let reason = cursor.text()?;
    let mut owners = Vec::new();
    while !cursor.0.is_empty() {
        owners.push(cursor.u64()?);
    }
    (first <= last).then_some(Lost { first, last, owners, unknown, reason })
}

fn take_set(cursor: &mut Cursor<'_>) -> Option<Set> {
    let (run, reason) = (RunId(cursor.text()?), cursor.text()?);
    let head = if cursor.0.is_empty() {
        None
    } else {
        let (seq, epoch, chain) = (cursor.u64()?, cursor.u64()?, cursor.array()?);
        Some(RunHead { run: run.clone(), seq, epoch, chain, summary: cursor.bytes()?.to_vec() })
    };
    Some(Set { run, head, quarantine: (!reason.is_empty()).then_some(reason) })
}

fn take_events(cursor: &mut Cursor<'_>) -> Option<Events> {
    let run = RunId(cursor.text()?);
    let (epoch, first) = (cursor.u64()?, cursor.u64()?);
    let (before, after) = (cursor.array()?, cursor.array()?);
    let summary = cursor.bytes()?.to_vec();
    let count = cursor.u32()?;
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(cursor.bytes()?.to_vec());
    }
    (first >= 1 && !events.is_empty()).then_some(Events { run, epoch, first, before, after, summary, events })
}

/// Takes numbers and texts off the front of a slice.
pub(crate) struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    /// A fixed number of bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.array()?))
    }

    /// A number of 64 bits.
    pub fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.array()?))
    }

    /// Bytes with their length before them.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length)
    }

    /// A text with its length before it.
    pub fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        Record::Events(Events {
            run: RunId::new(1, 2),
            epoch: 3,
            first: 4,
            before: [5; 32],
            after: [6; 32],
            summary: b"{}".to_vec(),
            events: vec![b"{\"a\":1}".to_vec(), Vec::new()],
        })
    }

    #[test]
    fn frames_read_back() {
        let lease = Lease { holder: "a".into(), epoch: 1, expires_ms: 2 };
        let document = Record::Document { key: "k".into(), version: 7, value: vec![0, 255] };
        let run = RunId::new(1, 2);
        let head = RunHead { run: run.clone(), seq: 1, epoch: 2, chain: [3; 32], summary: b"{}".to_vec() };
        let lost = Lost { first: 3, last: 9, owners: vec![4, 5], unknown: 5, reason: "r".into() };
        let others = [
            Record::Lost(lost),
            Record::Set(Set { run: run.clone(), head: Some(head), quarantine: None }),
            Record::Set(Set { run, head: None, quarantine: Some("q".into()) }),
        ];
        let records = [sample(), document, Record::Lease { name: "n".into(), lease }];
        for record in records.into_iter().chain(others) {
            let mut bytes = vec![9];
            let place = Place { number: 11, batch: 10, previous: 3 };
            let written = encode(&record, place, None, &mut bytes).unwrap();
            let header = Header::read(&bytes[1..]).unwrap();
            assert_eq!((header, header.frame_bytes()), (written, bytes.len() as u64 - 1));
            assert_eq!(decode(header.kind, &bytes[1 + HEADER..]), Some(record));
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_header_is_seen() {
        let mut bytes = Vec::new();
        encode(&sample(), Place { number: 1, batch: 1, previous: 0 }, None, &mut bytes).unwrap();
        for bit in 0..HEADER * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::read(&other), None, "bit {bit}");
        }
    }

    #[test]
    fn short_payloads_are_refused_and_never_panic() {
        let mut bytes = Vec::new();
        encode(&sample(), Place { number: 1, batch: 1, previous: 0 }, None, &mut bytes).unwrap();
        for end in HEADER..bytes.len() {
            assert_eq!(decode(KIND_EVENTS, &bytes[HEADER..end]), None);
        }
    }
}
