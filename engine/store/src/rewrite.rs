//! A segment without its broken bytes: good frames as they are, and a record of what is lost in the place of what is not.
//!
//! Segments are written anew from the last to the first. So the record of what is lost is in place before the broken
//! bytes of earlier segments go, and a crash between two leaves a journal that says the same.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use lifeboat_core::Error;

use crate::errors;
use crate::folder::Folder;
use crate::frame::{self, Place, Record};
use crate::gaps::Gap;
use crate::replay::Replay;
use crate::scan::{Piece, scan};
use crate::seal::Seal;
use crate::segment;

/// What was done to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rewritten {
    /// It has its good frames only, and so many bytes less (or more).
    Anew(i64),
    /// It had no good frame and is gone.
    Removed,
    /// It holds nothing good, and the next opening makes it new.
    Left,
}

/// Writes the segment `number` anew. Its name stands for the old or the new one at any moment.
pub(crate) fn rewrite(folder: &Folder, replay: &Replay, number: u64, last: bool) -> Result<Rewritten, Error> {
    let journal = folder.journal();
    let bytes = segment::load(&journal, number)?;
    let gaps: Vec<&Gap> = replay.gaps.iter().filter(|gap| gap.segment == number).collect();
    let mut out = Vec::new();
    let mut first = gaps.iter().find(|gap| gap.offset == 0).map(|gap| gap.lost.first);
    let mut owner = 0;
    let own = segment::first_frame(&bytes, number);
    for gap in gaps.iter().filter(|gap| gap.offset == 0) {
        put(gap, folder.seal(), &mut owner, &mut out);
    }
    let start = usize::try_from(segment::HEADER).unwrap_or(usize::MAX);
    for piece in scan(&bytes, start) {
        let Piece::Good { offset, header } = piece else { continue };
        let at = offset as u64;
        if last && at >= replay.end {
            break;
        }
        let here: Vec<&&Gap> = gaps.iter().filter(|gap| gap.offset == at).collect();
        for gap in &here {
            first = first.or(own).or(Some(gap.lost.first));
            put(gap, folder.seal(), &mut owner, &mut out);
        }
        if here.iter().any(|gap| (gap.lost.first..=gap.lost.last).contains(&header.number)) {
            continue;
        }
        first = first.or(own).or(Some(header.number));
        let end = usize::try_from(at + header.frame_bytes()).unwrap_or(usize::MAX);
        out.extend_from_slice(bytes.get(offset..end).unwrap_or_default());
        owner = header.owner;
    }
    let path = segment::path(&journal, number);
    let Some(first) = first.filter(|_| !out.is_empty()) else {
        if last {
            return Ok(Rewritten::Left);
        }
        std::fs::remove_file(&path).map_err(|cause| errors::io("remove a segment without records", &path, &cause))?;
        sync(&journal)?;
        return Ok(Rewritten::Removed);
    };
    let mut whole = segment::header(number, first);
    whole.extend_from_slice(&out);
    let draft = journal.join(format!("{}.new", segment::name(number)));
    File::create(&draft)
        .and_then(|mut file| {
            file.write_all(&whole)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&draft, &path))
        .map_err(|cause| errors::io("write a segment anew", &draft, &cause))?;
    sync(&journal)?;
    let difference = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    Ok(Rewritten::Anew(difference(bytes.len()) - difference(whole.len())))
}

fn put(gap: &Gap, seal: Option<&Seal>, owner: &mut u64, out: &mut Vec<u8>) {
    // It has a batch of its own, so that it is never taken for a part of the write that a crash interrupted.
    let place = Place { number: gap.lost.last, batch: gap.lost.last, previous: *owner };
    if let Some(header) = frame::encode(&Record::Lost(gap.lost.clone()), place, seal, out) {
        *owner = header.owner;
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|cause| errors::io("flush a folder", dir, &cause))
}
