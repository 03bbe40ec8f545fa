//! The events in a bundle: a line each, with number, chain digest and the exact bytes that were stored.

use lifeboat_core::Error;
use lifeboat_core::ports::{StoredEvent, chain};

use crate::hex;

/// An event as it stands in a bundle.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub seq: u64,
    pub chain: [u8; 32],
    pub bytes: &'a [u8],
}

/// Writes events.
///
/// # Errors
/// `LB1130` when one has a line break in it, which no event that the engine writes has.
pub fn write(stored: &[StoredEvent]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(stored.iter().map(|event| event.bytes.len() + 80).sum());
    for event in stored {
        if event.bytes.contains(&b'\n') {
            return Err(Error::new("LB1130", "an event has more than one line").with("event", event.seq));
        }
        out.extend_from_slice(format!("{} {} ", event.seq, hex::encode(&event.chain)).as_bytes());
        out.extend_from_slice(&event.bytes);
        out.push(b'\n');
    }
    Ok(out)
}

fn refused(seq: u64, message: impl Into<String>) -> Error {
    Error::new("LB1124", message).with("event", seq).hint("the events of this bundle are not those that were stored")
}

fn line(text: &[u8]) -> Option<Line<'_>> {
    let end = text.iter().take(21).position(|byte| *byte == b' ')?;
    let (seq, rest) = text.split_at_checked(end)?;
    let seq = std::str::from_utf8(seq).ok().filter(|text| !text.starts_with(['0', '+']))?.parse().ok()?;
    let (digits, rest) = rest.strip_prefix(b" ")?.split_at_checked(64)?;
    Some(Line { seq, chain: hex::decode(digits)?, bytes: rest.strip_prefix(b" ")? })
}

/// Reads events and follows their chain. No JSON is read.
///
/// # Errors
/// `LB1124` with the first event that is missing, out of its order, put in, or changed.
pub fn read(part: &[u8]) -> Result<Vec<Line<'_>>, Error> {
    let mut found: Vec<Line<'_>> = Vec::new();
    let Some(body) = part.strip_suffix(b"\n") else { return Err(refused(1, "the list of events is cut off")) };
    let mut before = [0; 32];
    for (place, text) in (1_u64..).zip(body.split(|byte| *byte == b'\n')) {
        let one = line(text).ok_or_else(|| refused(place, "a line of the events cannot be read"))?;
        match one.seq {
            seq if seq == place => {}
            seq if seq > place => {
                return Err(refused(place, format!("event {place} is missing: {seq} comes after it")));
            }
            seq => return Err(refused(place, format!("event {seq} stands in the place of event {place}"))),
        }
        before = chain(&before, one.bytes);
        if before != one.chain {
            let what = "does not fit its chain digest: it was changed, put in, or another one was left out before it";
            return Err(refused(place, format!("event {place} {what}")));
        }
        found.push(one);
    }
    Ok(found)
}
