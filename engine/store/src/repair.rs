//! The repair of a data folder, on request: first a copy of the journal that is kept, then one durable step after another.
//!
//! Each step leaves a journal that opens, so a repair that was interrupted is done by the next one. Nothing of a run is
//! taken away unless it is named; what is cut off is kept in a file beside the copy.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use lifeboat_core::ports::{RunHead, StoredEvent};
use lifeboat_core::state::Summary;
use lifeboat_core::{Error, RunId};
use serde::Serialize;

use crate::check::follow;
use crate::embedded::EmbeddedStore;
use crate::examine::{self, Finding};
use crate::folder::Folder;
use crate::frame::{self, Events, Record, Set};
use crate::offline::{self, ReadOnly};
use crate::open::{self, Fault, Options};
use crate::replay::Replay;
use crate::rewrite::{Rewritten, rewrite, sync};
use crate::scan::{Piece, scan};
use crate::{errors, segment};

/// Room that a repair needs beside the copy and the segments that it writes anew: the index, and records of its own.
const ROOM_BYTES_MIN: u64 = 2 * 1024 * 1024;

/// What a repair is to do.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The time, as it stands in the copy's name: `20260131T235959Z`.
    pub stamp: String,
    /// Runs to cut back to their last good event.
    pub cut: Vec<RunId>,
    /// Takes so many bytes for what is free on the disk, for tests.
    pub free: Option<u64>,
}

/// A run that was cut back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// The run.
    pub run: RunId,
    /// The sequence number of its last event now; 0: the run is gone from the list.
    pub kept: u64,
    /// The sequence numbers of the events that were found behind it, and are cut off.
    pub lost: Vec<u64>,
    /// Where those events are kept, one JSON object a line. `None` where there were none.
    pub file: Option<PathBuf>,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// The copy of the journal as it was; `None` where there was nothing to do.
    pub copy: Option<PathBuf>,
    /// What was done, in order, for a person.
    pub done: Vec<String>,
    /// Runs that were cut back.
    pub cut: Vec<Cut>,
    /// What there is to say of the folder now.
    pub remaining: Vec<Finding>,
}

/// A run that will be cut back.
struct Plan {
    cut: Cut,
    records: Vec<Record>,
    kept: Vec<u8>,
}

/// Repairs a data folder. See [`Wish`] for what; without damage, nothing is changed and no copy made.
///
/// # Errors
/// `LB0601` another process has the folder, `LB0605` unknown format, `LB0606` the system refused, `LB0608` a run that is to
/// be cut has nothing wrong with it, `LB0609` no room for the copy. Nothing has been changed after the first and the last two.
pub fn repair(dir: &Path, wish: &Wish, options: &Options) -> Result<Repaired, Error> {
    let folder = Folder::open(dir, options.key.as_ref())?;
    let lock = folder.lock()?;
    let mut replay = offline::load(&folder)?;
    let journal = offline::reading(&folder, &mut replay);
    let found = examine::findings(&folder, &replay, &journal, true);
    let plans = wish.cut.iter().map(|run| plan(&folder, &journal, &found, run)).collect::<Result<Vec<_>, _>>()?;
    let mut repaired = Repaired::default();
    if plans.is_empty() && !found.iter().any(mendable) {
        repaired.remaining = found;
        return Ok(repaired);
    }
    room(&folder, &replay, wish.free)?;
    let step = || options.fault.as_ref().map_or(Ok(()), |fault| fault(Fault::Repair)).map_err(|c| failed(&folder, &c));
    let known = examine::look(&folder).ok().flatten().unwrap_or_default();
    let short = replay.short(&known);
    step()?;
    let copy = copy_journal(&folder, &wish.stamp, &step)?;
    repaired.done.push(format!("the journal as it was is kept in {}", copy.display()));
    for plan in plans.iter().filter(|plan| !plan.kept.is_empty()) {
        step()?;
        keep(&copy, plan)?;
    }
    step()?;
    open::discard_index(&folder)?;
    mend(&folder, &replay, &mut repaired.done, &step)?;
    step()?;
    let (mut parts, opened) = open::open_locked(lock, folder.clone(), false, options)?;
    parts.marks.extend(marks(&replay, &short, wish));
    let store = EmbeddedStore::start(parts, options.clone())?;
    if opened.truncated > 0 {
        repaired.done.push(format!("{} bytes of an interrupted write were cut off", opened.truncated));
    }
    let frames = opened.rebuilt.map_or(0, |rebuilt| rebuilt.frames);
    repaired.done.push(format!("the index was built anew from {frames} records"));
    for plan in plans {
        step()?;
        store.mark(plan.records)?;
        repaired.done.push(said(&plan.cut));
        let file = (!plan.kept.is_empty()).then(|| beside(&copy, &plan.cut.run));
        repaired.cut.push(Cut { file, ..plan.cut });
    }
    drop(store);
    repaired.copy = Some(copy);
    repaired.remaining = examine::examine(&folder, false)?;
    Ok(repaired)
}

/// Whether a repair without a cut does something about it.
fn mendable(finding: &Finding) -> bool {
    !matches!(
        finding.kind,
        "repaired" | "in-use" | "quarantined-run" | "unreadable-run" | "no-event" | "later-version" | "illegal-event"
    )
}

fn failed(folder: &Folder, cause: &std::io::Error) -> Error {
    errors::io("repair the data folder", &folder.root, cause)
}

/// What an index that was ahead knew, as records: it is gone now.
fn marks(replay: &Replay, short: &[(RunId, String)], wish: &Wish) -> Vec<Record> {
    let others = short.iter().filter(|(run, _)| !wish.cut.contains(run));
    let mark = |(run, reason): &(RunId, String)| {
        let head = replay.model.heads.get(run).cloned();
        Record::Set(Set { run: run.clone(), head, quarantine: Some(reason.clone()) })
    };
    others.map(mark).collect()
}

/// The broken bytes go, from the last segment to the first.
fn mend(
    folder: &Folder,
    replay: &Replay,
    done: &mut Vec<String>,
    step: &impl Fn() -> Result<(), Error>,
) -> Result<(), Error> {
    let journal = folder.journal();
    for draft in examine::drafts(&journal) {
        step()?;
        std::fs::remove_file(&draft).map_err(|cause| errors::io("remove a draft", &draft, &cause))?;
        done.push("the draft of an interrupted repair was removed".to_owned());
    }
    let segments = segment::list(&journal)?;
    for number in replay.touched.iter().rev().filter(|number| segments.contains(number)) {
        step()?;
        let name = segment::name(*number);
        let lost: u64 =
            replay.gaps.iter().filter(|gap| gap.segment == *number).map(|gap| 1 + gap.lost.last - gap.lost.first).sum();
        let text = match rewrite(folder, replay, *number, segments.last() == Some(number))? {
            Rewritten::Anew(_) if lost > 0 => {
                format!("{name} was written anew without its broken bytes; it says that {}", examine::lost(lost))
            }
            Rewritten::Anew(_) => format!("{name} was written anew without its broken bytes; no record is lost"),
            Rewritten::Removed => format!("{name} held no good record and was removed"),
            Rewritten::Left => continue,
        };
        done.push(text);
    }
    Ok(())
}

fn said(cut: &Cut) -> String {
    let lost = match cut.lost.as_slice() {
        [] => "nothing behind it was found".to_owned(),
        [one] => format!("event {one} was cut off"),
        [first, .., last] => format!("{} events, {first} to {last}, were cut off", cut.lost.len()),
    };
    match cut.kept {
        0 => format!("run {} was taken out: none of its events is good; {lost}", cut.run),
        kept => format!("run {} goes on after event {kept}; {lost}", cut.run),
    }
}

fn room(folder: &Folder, replay: &Replay, free: Option<u64>) -> Result<(), Error> {
    let journal = folder.journal();
    let bytes = |number: &u64| segment::path(&journal, *number).metadata().map_or(0, |data| data.len());
    let copied: u64 = segment::list(&journal)?.iter().map(bytes).sum();
    let need = ROOM_BYTES_MIN + copied + replay.touched.iter().map(bytes).sum::<u64>();
    let free = match free {
        Some(free) => free,
        None => {
            let found = rustix::fs::statvfs(&folder.root);
            let found = found.map_err(|cause| errors::io("ask for the free room", &folder.root, &cause.into()))?;
            found.f_bavail.saturating_mul(found.f_frsize)
        }
    };
    if free < need {
        return Err(errors::no_room(&folder.root, need, free));
    }
    Ok(())
}

/// Copies the journal's folder. Its name stands for a whole copy.
fn copy_journal(folder: &Folder, stamp: &str, step: &impl Fn() -> Result<(), Error>) -> Result<PathBuf, Error> {
    let name = |more: &str| folder.root.join(format!("journal.before-repair-{stamp}{more}"));
    let taken = |path: &PathBuf| path.exists();
    let target = std::iter::once(name("")).chain((2..1_000).map(|n| name(&format!("-{n}")))).find(|path| !taken(path));
    let target = target.ok_or_else(|| errors::refused("a thousand repairs in one second"))?;
    let draft = target.with_extension("partial");
    let fail = |cause: std::io::Error| errors::io("copy the journal", &draft, &cause);
    if draft.exists() {
        std::fs::remove_dir_all(&draft).map_err(fail)?;
    }
    std::fs::create_dir(&draft).map_err(fail)?;
    for entry in std::fs::read_dir(folder.journal()).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let to = draft.join(entry.file_name());
        std::fs::copy(entry.path(), &to).and_then(|_| File::open(&to)?.sync_all()).map_err(fail)?;
    }
    sync(&draft)?;
    step()?;
    std::fs::rename(&draft, &target).map_err(fail)?;
    sync(&folder.root)?;
    Ok(target)
}

/// Writes what is cut off beside the copy.
fn keep(copy: &Path, plan: &Plan) -> Result<(), Error> {
    let path = beside(copy, &plan.cut.run);
    File::create(&path)
        .and_then(|mut file| {
            file.write_all(&plan.kept)?;
            file.sync_all()
        })
        .map_err(|cause| errors::io("keep the events that are cut off", &path, &cause))?;
    sync(path.parent().unwrap_or(copy))
}

fn beside(copy: &Path, run: &RunId) -> PathBuf {
    // A run's id comes from the journal: only what is harmless in a file's name goes into one.
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = run.as_str().chars().take(80).map(safe).collect();
    let mut text = copy.as_os_str().to_owned();
    text.push(format!(".{name}.jsonl"));
    PathBuf::from(text)
}

/// What cutting a run back comes to.
fn plan(folder: &Folder, journal: &ReadOnly, found: &[Finding], run: &RunId) -> Result<Plan, Error> {
    if !journal.known().contains(run) {
        return Err(Error::new("LB0501", format!("there is no run '{run}'"))
            .hint("'lifeboat runs' lists the runs of this data folder"));
    }
    if !found.iter().any(|finding| finding.bad && finding.run.as_ref() == Some(run)) {
        return Err(errors::whole(run));
    }
    let stored = journal.good(run)?;
    let good = follow(&stored).good;
    let head = journal.head(run).cloned();
    let boundary = journal.locations(run).iter().map(|place| place.last).filter(|last| *last <= good).max();
    let boundary = boundary.unwrap_or(0);
    let epoch = head.map_or(1, |head| head.epoch);
    let at = |seq: u64| head_at(run, &stored, seq, epoch);
    let mut records = vec![Record::Set(Set { run: run.clone(), head: at(boundary)?, quarantine: None })];
    if let (true, Some(end)) = (good > boundary, at(good)?) {
        // The good events of a round that is not good as a whole.
        let before = at(boundary)?.map_or([0; 32], |head| head.chain);
        let part = stored.iter().filter(|event| (boundary + 1..=good).contains(&event.seq));
        let events = part.map(|event| event.bytes.clone()).collect();
        let (first, after, summary) = (boundary + 1, end.chain, end.summary);
        records.push(Record::Events(Events { run: run.clone(), epoch, first, before, after, summary, events }));
    }
    let (lost, kept) = behind(folder, run, good)?;
    Ok(Plan { cut: Cut { run: run.clone(), kept: good, lost, file: None }, records, kept })
}

/// The head of a run as it was at an event; `None` for 0.
fn head_at(run: &RunId, stored: &[StoredEvent], seq: u64, epoch: u64) -> Result<Option<RunHead>, Error> {
    let part: Vec<StoredEvent> = stored.iter().filter(|event| event.seq <= seq).cloned().collect();
    let (Some(last), Some(state)) = (part.last(), follow(&part).state) else { return Ok(None) };
    let summary = serde_json::to_vec(&Summary::of(&state))
        .map_err(|cause| Error::new("LB0503", "a summary cannot be written as JSON").with("cause", cause))?;
    Ok(Some(RunHead { run: run.clone(), seq, epoch, chain: last.chain, summary }))
}

/// The events of a run after `good`, from every good frame of the journal: their numbers, and lines of JSON.
fn behind(folder: &Folder, run: &RunId, good: u64) -> Result<(Vec<u64>, Vec<u8>), Error> {
    let journal = folder.journal();
    let mut found: BTreeMap<(u64, u64, u64), String> = BTreeMap::new();
    for number in segment::list(&journal)? {
        let bytes = segment::load(&journal, number)?;
        for piece in scan(&bytes, usize::try_from(segment::HEADER).unwrap_or(usize::MAX)) {
            let Piece::Good { offset, header } = piece else { continue };
            let end = offset.saturating_add(usize::try_from(header.frame_bytes()).unwrap_or(usize::MAX));
            let payload = bytes.get(offset + frame::HEADER..end);
            match payload.and_then(|payload| frame::read(&header, payload, folder.seal()).ok()) {
                // What came before was cut off earlier, and kept then.
                Some(Record::Set(set)) if set.run == *run && set.quarantine.is_none() => found.clear(),
                Some(Record::Events(events)) if events.run == *run => {
                    for (seq, event) in (events.first..).zip(&events.events).filter(|(seq, _)| *seq > good) {
                        found.insert((seq, number, offset as u64), line(seq, number, offset, event));
                    }
                }
                _ => {}
            }
        }
    }
    let numbers = found.keys().map(|key| key.0).collect();
    Ok((numbers, found.into_values().collect::<String>().into_bytes()))
}

fn line(seq: u64, number: u64, offset: usize, event: &[u8]) -> String {
    let hex: String = event.iter().map(|byte| format!("{byte:02x}")).collect();
    let content = match std::str::from_utf8(event) {
        Ok(text) => serde_json::json!({ "seq": seq, "segment": segment::name(number), "offset": offset, "text": text }),
        Err(_) => serde_json::json!({ "seq": seq, "segment": segment::name(number), "offset": offset, "hex": hex }),
    };
    format!("{content}\n")
}
