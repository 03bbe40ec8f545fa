//! What `lifeboat doctor` says of a data folder: each finding with its place, what it means, and what can be done.

use std::fmt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use lifeboat_core::{Error, RunId};
use serde::Serialize;

use crate::check::{Break, Broken};
use crate::folder::Folder;
use crate::gaps::Gap;
use crate::index::Index;
use crate::offline::ReadOnly;
use crate::replay::{Damage, Replay};
use crate::{open, segment};

/// Above this the index is not copied and looked into: the next opening does so anyway.
const INDEX_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// sled's cache while its copy is looked into.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Something found in a data folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable word for it, such as `damaged-record`.
    pub kind: &'static str,
    /// Whether somebody has to do something about it.
    pub bad: bool,
    /// The segment's file name.
    pub segment: Option<String>,
    /// Where in it, in bytes.
    pub offset: Option<u64>,
    /// The run that it concerns.
    pub run: Option<RunId>,
    /// The sequence number of the first event of the run that is not good.
    pub event: Option<u64>,
    /// What is found.
    pub what: String,
    /// What it means.
    pub means: String,
    /// What can be done; empty where nothing has to be.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = self.run.as_ref().map(|run| format!("run {run}"));
        let event = self.event.map(|event| format!("event {event}"));
        let offset = self.offset.map(|offset| format!("byte {offset}"));
        let place: Vec<String> = [run, event, self.segment.clone(), offset].into_iter().flatten().collect();
        let place = if place.is_empty() { String::new() } else { format!("{}: ", place.join(", ")) };
        write!(f, "{place}{}", self.what)?;
        for (word, text) in [("means", &self.means), ("do", &self.remedy)] {
            if !text.is_empty() {
                write!(f, "\n      {word:<5} {text}")?;
            }
        }
        Ok(())
    }
}

/// All findings in a folder that was replayed, in the order of the journal; runs and index last. `ours`: this process has the lock.
pub(crate) fn findings(folder: &Folder, replay: &Replay, journal: &ReadOnly, ours: bool) -> Vec<Finding> {
    let mut all: Vec<Finding> = replay.damage.iter().map(damage).collect();
    all.extend(replay.settled.iter().map(settled));
    if replay.torn > 0 {
        all.push(torn(folder, replay));
    }
    for path in drafts(&folder.journal()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        all.push(Finding {
            kind: "unfinished-repair",
            segment: Some(name),
            what: "a draft that a repair left behind".to_owned(),
            means: "a repair was interrupted; nothing reads this file, and the segment that it was for is as before"
                .to_owned(),
            remedy: "'lifeboat doctor --repair' takes it away and does the repair".to_owned(),
            ..Finding::default()
        });
    }
    for run in journal.known() {
        if let Err(broken) = journal.state(&run) {
            all.push(broken_run(&broken, replay, journal));
        }
    }
    all.extend(index(folder, replay, ours));
    all
}

/// So many records, as the subject of a sentence about their loss.
pub(crate) fn lost(count: u64) -> String {
    if count == 1 { "1 record is lost".to_owned() } else { format!("{count} records are lost") }
}

fn damage(found: &Damage) -> Finding {
    let (kind, means) = match (found.missing, found.offset) {
        (0, _) => ("damaged-bytes", "no record was in these bytes".to_owned()),
        (count, offset) => {
            let text =
                format!("{}: events of runs, documents or leases; a run that is hit is in quarantine", lost(count));
            (if offset == 0 { "missing-records" } else { "damaged-record" }, text)
        }
    };
    Finding {
        kind,
        bad: true,
        segment: Some(found.segment.clone()),
        offset: Some(found.offset),
        what: found.reason.clone(),
        means,
        remedy: "check the disk; 'lifeboat doctor --repair' takes the broken bytes out and keeps a copy".to_owned(),
        ..Finding::default()
    }
}

fn settled(gap: &Gap) -> Finding {
    let (first, last) = (gap.lost.first, gap.lost.last);
    let records = if first == last { format!("record {first}") } else { format!("records {first} to {last}") };
    Finding {
        kind: "repaired",
        segment: Some(segment::name(gap.segment)),
        offset: Some(gap.offset),
        what: format!("here stood {records}, lost by damage before a repair"),
        means: "the repair took the broken bytes out; the copy that it made has them".to_owned(),
        ..Finding::default()
    }
}

fn torn(folder: &Folder, replay: &Replay) -> Finding {
    let last = segment::list(&folder.journal()).unwrap_or_default().last().copied();
    Finding {
        kind: "torn-tail",
        segment: last.map(segment::name),
        offset: Some(replay.end),
        what: format!("{} bytes of a write that was interrupted", replay.torn),
        means:
            "nobody was told that they are stored, so nothing is lost; an engine that is at work may be writing them"
                .to_owned(),
        remedy: "nothing: the next start cuts them off, and so does 'lifeboat doctor --repair'".to_owned(),
        ..Finding::default()
    }
}

fn broken_run(broken: &Broken, replay: &Replay, journal: &ReadOnly) -> Finding {
    let (kind, means) = match broken.kind {
        Break::Quarantined => {
            ("quarantined-run", "it is in quarantine: nothing is done in it, and the other runs go on")
        }
        Break::Unreadable => ("unreadable-run", "its events cannot be read; the other runs go on"),
        Break::NoEvent => {
            ("no-event", "these bytes were stored as they are, and are no event; the run does not go on, the others do")
        }
        Break::LaterVersion => {
            ("later-version", "a later Lifeboat wrote it; the run does not go on with this one, the others do")
        }
        Break::Illegal => {
            ("illegal-event", "it contradicts the events before it; the run does not go on, the others do")
        }
    };
    let place = match broken.kind {
        Break::Quarantined => replay.broken.get(&broken.run).copied(),
        _ => journal.place(&broken.run, broken.good + 1),
    };
    let cut = format!(
        "'lifeboat doctor --repair --cut {}' lets it go on after event {}, where what it did later may be done again",
        broken.run, broken.good
    );
    let remedy = match (broken.kind, broken.good) {
        (Break::LaterVersion, _) => format!("use the Lifeboat that wrote it, or a later one; or {cut}"),
        (_, 0) => {
            format!("'lifeboat doctor --repair --cut {}' takes it out, and keeps its events in a file", broken.run)
        }
        _ => format!("bring the data folder back from a copy; or {cut}"),
    };
    Finding {
        kind,
        bad: true,
        segment: place.map(|place| segment::name(place.0)),
        offset: place.map(|place| place.1),
        run: Some(broken.run.clone()),
        event: Some(broken.good + 1),
        what: broken.reason.clone(),
        means: means.to_owned(),
        remedy,
    }
}

/// Drafts of segments that a repair did not put in place.
pub(crate) fn drafts(journal: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(journal).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut drafts: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with(".seg.new")).collect();
    drafts.sort();
    drafts
}

fn index(folder: &Folder, replay: &Replay, ours: bool) -> Vec<Finding> {
    let note = |kind, what: String| Finding {
        kind,
        what,
        means: "the index only makes starting fast: nothing is lost".to_owned(),
        remedy: "nothing: the next start builds it anew from the journal, and so does 'lifeboat doctor --repair'"
            .to_owned(),
        ..Finding::default()
    };
    let state = folder.state();
    if replay.position.is_none() && !state.exists() {
        return Vec::new();
    }
    if !state.join("db").exists() {
        return vec![note("index-missing", "the index in the folder 'state' is missing".to_owned())];
    }
    if !ours && folder.in_use() {
        let what = "an engine is at work in this folder, so the index was not looked into".to_owned();
        return vec![Finding { kind: "in-use", what, ..Finding::default() }];
    }
    match look(folder) {
        Err(reason) => {
            vec![note("index-unusable", format!("the index in the folder 'state' cannot be used: {reason}"))]
        }
        Ok(None) => Vec::new(),
        Ok(Some(heads)) => {
            let ahead = note("index-ahead", "the index in the folder 'state' is ahead of the journal".to_owned());
            let short = replay.short(&heads).into_iter().map(|(run, reason)| Finding {
                kind: "short-run",
                bad: true,
                event: Some(1 + replay.model.heads.get(&run).map_or(0, |head| head.seq)),
                what: reason,
                means: "events that were stored are gone: the next start puts the run into quarantine, the others go on".to_owned(),
                remedy: format!("bring the data folder back from a copy; or 'lifeboat doctor --repair --cut {run}' lets it go on without them, where what it did later may be done again"),
                run: Some(run),
                ..Finding::default()
            });
            short.chain([ahead]).collect()
        }
    }
}

/// Opens a copy of the index: sled writes to what it opens. The heads that it knows, where it is ahead of the journal.
pub(crate) fn look(folder: &Folder) -> Result<Option<Vec<lifeboat_core::ports::RunHead>>, String> {
    let state = folder.state();
    if crate::inspect::bytes_below(&state) > INDEX_BYTES_MAX {
        return Ok(None);
    }
    let identity = folder.identity().map_err(|error| error.message)?.unwrap_or_default();
    let scratch = Scratch::new().map_err(|cause| format!("no room to look into it: {cause}"))?;
    copy_flat(&state, &scratch.0).map_err(|cause| cause.to_string())?;
    let (index, loaded) = Index::open(&scratch.0, &identity, CACHE_BYTES, folder.seal.clone())?;
    drop(index);
    match loaded.position {
        None => Err("it is empty".to_owned()),
        Some(position) if open::stands_at(folder, position) => Ok(None),
        Some(_) => Ok(Some(loaded.model.heads.into_values().collect())),
    }
}

fn copy_flat(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&target)?;
            copy_flat(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A folder of our own among the system's temporary files, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let base = std::env::temp_dir();
        let mut tried = 0;
        loop {
            let path = base.join(format!("lifeboat-doctor-{}-{tried}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists && tried < 1_000 => tried += 1,
                Err(cause) => return Err(cause),
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is a copy of what can be built anew; the system clears it away.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Everything found in a data folder.
///
/// # Errors
/// `LB0605` unknown format, `LB0606` the system refused.
pub(crate) fn examine(folder: &Folder, ours: bool) -> Result<Vec<Finding>, Error> {
    let mut replay = crate::offline::load(folder)?;
    let journal = crate::offline::reading(folder, &mut replay);
    Ok(findings(folder, &replay, &journal, ours))
}
