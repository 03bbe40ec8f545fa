//! Reading events from the segments, and checking every digest on the way.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use lifeboat_core::ports::{StoredEvent, chain};
use lifeboat_core::{Error, RunId};

use crate::frame::{self, Events, HEADER, Header, Record};
use crate::replay::Location;
use crate::seal::Seal;
use crate::{errors, segment};

/// The events of `run` after the sequence number `after`, from the frames at `locations` (in order). `head` is the
/// sequence number and chain digest that the last one must have.
pub(crate) fn events(
    journal: &Path,
    run: &RunId,
    locations: &[Location],
    after: u64,
    head: (u64, [u8; 32]),
    seal: Option<&Seal>,
) -> Result<Vec<StoredEvent>, Error> {
    let mut files: HashMap<u64, File> = HashMap::new();
    let mut out = Vec::new();
    let mut known: Option<(u64, [u8; 32])> = None;
    for location in locations.iter().filter(|location| location.last > after && location.first <= head.0) {
        let file = match files.entry(location.segment) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let path = segment::path(journal, location.segment);
                let file = File::open(&path).map_err(|cause| {
                    if cause.kind() == std::io::ErrorKind::NotFound {
                        return errors::damaged(location.segment, 0, "the segment is missing").with("run", run);
                    }
                    errors::io("open a segment of the journal", &path, &cause)
                })?;
                entry.insert(file)
            }
        };
        let broken = |reason: &str| errors::damaged(location.segment, location.offset, reason).with("run", run);
        let frame = frame_at(file, location, seal).map_err(|reason| broken(&reason))?;
        if frame.run != *run || frame.first != location.first || frame.last() != location.last {
            return Err(broken("another frame stands there"));
        }
        let expected = known.map_or((location.first.min(after + 1), frame.before), |(seq, chain)| (seq + 1, chain));
        if (frame.first, frame.before) != expected {
            return Err(broken("events of the run are missing before it"));
        }
        let mut digest = frame.before;
        for (seq, bytes) in (frame.first..).zip(frame.events) {
            digest = chain(&digest, &bytes);
            if seq > after {
                out.push(StoredEvent { seq, bytes, chain: digest });
            }
        }
        if digest != frame.after {
            return Err(broken("the chain of digests breaks"));
        }
        known = Some((location.last, digest));
    }
    if after < head.0 && known != Some(head) {
        return Err(errors::quarantined(run, "its last events are missing or are others than the index says"));
    }
    Ok(out)
}

fn frame_at(file: &File, location: &Location, seal: Option<&Seal>) -> Result<Events, String> {
    let length = usize::try_from(location.bytes).map_err(|_| "a frame too large for this machine")?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, location.offset).map_err(|cause| cause.to_string())?;
    let header = Header::read(&bytes).ok_or("a frame's header is wrong")?;
    let payload = bytes.get(HEADER..).unwrap_or_default();
    if header.frame_bytes() != location.bytes || crc32c::crc32c(payload) != header.payload_crc {
        return Err("a payload's checksum is wrong".to_owned());
    }
    match frame::read(&header, payload, seal)? {
        Record::Events(events) => Ok(events),
        _ => Err("the frame holds no events".to_owned()),
    }
}
