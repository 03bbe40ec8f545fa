//! Opening a data folder: locking it, reading what is there, cutting off what a crash left, mending the index.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use lifeboat_core::ports::RunHead;
use lifeboat_core::{Error, RunId};

use crate::errors;
use crate::folder::{Folder, Locked};
use crate::frame::{Record, Set};
use crate::index::{Index, Loaded};
use crate::key::Key;
use crate::model::Model;
use crate::replay::{Damage, Position, Quarantined, Replay};
use crate::scan::{Piece, scan};
use crate::segment::{self, Active};
use crate::writer::Next;

/// A moment at which a test can make the disk fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Before a segment is made.
    Create,
    /// Before a batch is written.
    Write,
    /// Before a batch is flushed.
    Flush,
    /// Before each change that a repair makes.
    Repair,
}

/// Makes the disk fail, for tests: called before each such operation, its error is taken for the system's.
pub type FaultHook = Arc<dyn Fn(Fault) -> io::Result<()> + Send + Sync>;

/// How a data folder is opened.
#[derive(Clone)]
pub struct Options {
    /// Bytes of a segment. A larger frame gets a larger segment of its own.
    pub segment_bytes: u64,
    /// Bytes of sled's cache.
    pub cache_bytes: u64,
    /// Encrypts a new store, and opens one that is encrypted. `None`: in the clear.
    pub key: Option<Key>,
    /// Makes the disk fail, for tests.
    pub fault: Option<FaultHook>,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 16 * 1024 * 1024, cache_bytes: 64 * 1024 * 1024, key: None, fault: None }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("segment_bytes", &self.segment_bytes)
            .field("cache_bytes", &self.cache_bytes)
            .field("key", &self.key)
            .field("fault", &self.fault.is_some())
            .finish()
    }
}

/// Why sled was built anew.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Rebuilt {
    /// The reason, for a person.
    pub reason: String,
    /// Frames read from the journal for it.
    pub frames: u64,
}

/// What opening found and did. All of it is worth telling a person; most of the time it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Opened {
    /// Whether the data folder was new.
    pub created: bool,
    /// sled was built anew from the journal.
    pub rebuilt: Option<Rebuilt>,
    /// Frames replayed on top of sled's state.
    pub replayed: u64,
    /// Bytes cut off at the end of the journal: a write that a crash interrupted and nobody was told of.
    pub truncated: u64,
    /// Damage found now. Damage found at earlier openings shows in `quarantined` and in `inspect`.
    pub damage: Vec<Damage>,
    /// Runs that cannot be read, from now and earlier.
    pub quarantined: Vec<Quarantined>,
    /// Runs that were found to be shorter in the journal than in the index. They are in `quarantined` too.
    pub short: Vec<RunId>,
}

/// Everything that the threads start from.
pub(crate) struct Parts {
    pub lock: Locked,
    pub folder: Folder,
    pub index: Index,
    pub model: Model,
    pub active: Option<Active>,
    pub next: Next,
    /// What the journal does not say of runs and has to, so that it is known without the index.
    pub marks: Vec<Record>,
}

/// Why an index cannot be used.
#[derive(Debug, Default)]
pub(crate) struct Unusable {
    /// The reason, for a person.
    pub reason: String,
    /// The runs that it knew, where it could be read.
    pub heads: Vec<RunHead>,
}

impl From<&str> for Unusable {
    fn from(reason: &str) -> Self {
        Self { reason: reason.to_owned(), heads: Vec::new() }
    }
}

impl From<String> for Unusable {
    fn from(reason: String) -> Self {
        Self { reason, heads: Vec::new() }
    }
}

/// Opens the folder.
pub(crate) fn open(dir: &Path, options: &Options) -> Result<(Parts, Opened), Error> {
    // An unknown format and a wrong key are refused before anything is changed.
    let mut folder = Folder::open(dir, options.key.as_ref())?;
    let known = folder.identity()?;
    if known.is_some() && options.key.is_some() && folder.seal.is_none() {
        return Err(errors::in_the_clear(dir));
    }
    folder.create()?;
    let lock = folder.lock()?;
    folder.identify(options.key.as_ref())?;
    open_locked(lock, folder, known.is_none(), options)
}

/// Opens the folder of which this process has the lock.
pub(crate) fn open_locked(
    lock: Locked,
    folder: Folder,
    new: bool,
    options: &Options,
) -> Result<(Parts, Opened), Error> {
    let segments = segment::list(&folder.journal())?;
    let mut opened = Opened { created: new && segments.is_empty(), ..Opened::default() };
    let identity = folder.identity()?.unwrap_or_default();
    let usable = open_index(&folder, &identity, options, &segments);
    let mut short = Vec::new();
    let (mut index, mut replay) = match usable {
        Ok((mut index, loaded)) => {
            let replay = replay(&folder, &segments, loaded, Some(&mut index))?;
            opened.replayed = replay.frames;
            (index, replay)
        }
        Err(Unusable { reason, heads }) => {
            discard_index(&folder)?;
            let fail = |cause: String| {
                let state = folder.state();
                Error::new("LB0606", "could not build the index in the data folder anew")
                    .with("path", state.display())
                    .with("cause", cause)
                    .hint("check that the disk has room and is healthy, then run the command again")
            };
            let (mut index, loaded) =
                Index::open(&folder.state(), &identity, options.cache_bytes, folder.seal.clone()).map_err(fail)?;
            let replay = replay(&folder, &segments, loaded, Some(&mut index))?;
            if !opened.created {
                opened.rebuilt = Some(Rebuilt { reason, frames: replay.frames });
            }
            short = replay.short(&heads);
            (index, replay)
        }
    };
    let mut marks = Vec::new();
    for (run, reason) in short {
        let head = replay.model.heads.get(&run).cloned();
        replay.model.quarantined.insert(run.clone(), reason.clone());
        marks.push(Record::Set(Set { run: run.clone(), head, quarantine: Some(reason) }));
        opened.short.push(run);
    }
    let (active, next_segment) = continue_at(&folder, &segments, &replay, options, &mut opened)?;
    opened.quarantined = replay.quarantined();
    opened.damage.clone_from(&replay.damage);
    let next = Next { segment: next_segment, frame: replay.next(), owner: replay.owner };
    finish_index(&mut index, &replay);
    Ok((Parts { lock, folder, index, model: replay.model, active, next, marks }, opened))
}

/// Opens sled, if it is there and knows a place that is in the journal.
fn open_index(
    folder: &Folder,
    identity: &str,
    options: &Options,
    segments: &[u64],
) -> Result<(Index, Loaded), Unusable> {
    let missing = !folder.state().join("db").exists();
    if missing && !segments.is_empty() {
        return Err("it is missing".into());
    }
    let (index, loaded) = Index::open(&folder.state(), identity, options.cache_bytes, folder.seal.clone())?;
    match loaded.position {
        Some(position) if !stands_at(folder, position) => {
            let heads = loaded.model.heads.into_values().collect();
            Err(Unusable { reason: "it is ahead of the journal".to_owned(), heads })
        }
        None if !segments.is_empty() => Err("it is empty".into()),
        _ => Ok((index, loaded)),
    }
}

/// Whether the journal has the frame that the position names.
pub(crate) fn stands_at(folder: &Folder, position: Position) -> bool {
    let Ok(bytes) = segment::load(&folder.journal(), position.segment) else { return false };
    let start = usize::try_from(position.offset).unwrap_or(usize::MAX);
    let first = scan(&bytes, start).into_iter().next();
    matches!(first, Some(Piece::Good { offset, header }) if offset == start && header.number == position.number)
}

pub(crate) fn discard_index(folder: &Folder) -> Result<(), Error> {
    let state = folder.state();
    let removed = if state.is_dir() { std::fs::remove_dir_all(&state) } else { std::fs::remove_file(&state) };
    match removed {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(errors::io("remove the unusable index in the data folder", &state, &cause))
        }
        _ => Ok(()),
    }
}

/// Reads the journal from where the state ends. With an index, what is read goes into it segment by segment.
pub(crate) fn replay(
    folder: &Folder,
    segments: &[u64],
    loaded: Loaded,
    mut index: Option<&mut Index>,
) -> Result<Replay, Error> {
    let start = loaded.position;
    let mut replay = Replay::after(loaded.model, start, folder.seal.clone());
    for number in segments {
        let from = start.filter(|position| position.segment == *number).map(|position| position.offset);
        if start.is_some_and(|position| position.segment > *number) {
            continue;
        }
        let bytes = segment::load(&folder.journal(), *number)?;
        replay.segment(*number, &bytes, from, segments.last() == Some(number));
        index_ops(&mut replay, index.as_deref_mut())?;
    }
    replay.finish();
    index_ops(&mut replay, index)?;
    Ok(replay)
}

/// Puts what was replayed into the index.
fn index_ops(replay: &mut Replay, index: Option<&mut Index>) -> Result<(), Error> {
    let (Some(index), Some(position)) = (index, replay.position) else { return Ok(()) };
    if replay.ops.is_empty() {
        return Ok(());
    }
    let ops = std::mem::take(&mut replay.ops);
    index.apply(&ops, position).map_err(|cause| {
        Error::new("LB0606", "could not write the index in the data folder")
            .with("cause", cause)
            .hint("remove the folder 'state' in the data folder: it is rebuilt from the journal")
    })
}

/// Hands what was replayed to the system. A failure only means that it is replayed again.
fn finish_index(index: &mut Index, replay: &Replay) {
    if replay.frames > 0
        && let Err(cause) = index.flush()
    {
        tracing::warn!(cause, "the index in state/ could not be flushed");
    }
}

/// Finds where the next frame goes, and cuts off what a crash left behind the last one.
fn continue_at(
    folder: &Folder,
    segments: &[u64],
    replay: &Replay,
    options: &Options,
    opened: &mut Opened,
) -> Result<(Option<Active>, u64), Error> {
    let Some(last) = segments.last().copied() else { return Ok((None, 1)) };
    let journal = folder.journal();
    let path = segment::path(&journal, last);
    if !replay.last_usable {
        if replay.position.is_some_and(|position| position.segment == last) {
            return Ok((None, last + 1));
        }
        // A crash while the segment was made: it never held a frame.
        opened.truncated = replay.torn;
        std::fs::remove_file(&path).map_err(|cause| errors::io("remove an unfinished segment", &path, &cause))?;
        return Ok((None, last));
    }
    opened.truncated = replay.torn;
    let active = Active::reopen(&journal, last, replay.end, replay.torn > 0, options.segment_bytes)
        .map_err(|cause| errors::io("open the journal for writing", &path, &cause))?;
    Ok((Some(active), last + 1))
}
