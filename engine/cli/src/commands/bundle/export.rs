//! A bundle made from the journal.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, rename};
use std::io::Write;
use std::path::{Path, PathBuf};

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::RunId;
use lifeboat_core::ports::Clock;
use lifeboat_core::state::RunState;
use lifeboat_core::{Digest, Error};
use lifeboat_evidence::facts::{Taken, learn, used};
use lifeboat_evidence::{Attachment, Material, Signer, Witness, make};
use lifeboat_store::ReadOnly;
use serde_json::json;

use super::keys;
use crate::clock::SystemClock;
use crate::commands::{evidence, runs};
use crate::exit::Exit;
use crate::screen::{put, put_json};
use crate::view::duration::bytes;
use crate::world::World;

/// Earlier runs that are asked about a recovery point: those before them are too old to tell of one in use.
const RUNS_ASKED_MAX: usize = 2_000;

const MADE_BY: &str = concat!("lifeboat ", env!("CARGO_PKG_VERSION"));

/// Makes the file.
///
/// # Errors
/// `LB0501` no such run; `LB0503`, `LB0602` its log is damaged; `LB1129` the key; `LB1130` it cannot be made; `LB1131` it
/// cannot be written, or is there already.
pub fn export(world: &World, run: &str, out: Option<&Path>, no_files: bool) -> Result<Exit, Error> {
    let journal = runs::journal(world)?;
    let run = runs::find(&journal, run)?;
    let state = journal.state(&run).map_err(|broken| broken.error)?;
    let stored = journal.read(&run)?;
    let events = stored.iter().map(|event| Event::decode(&event.bytes)).collect::<Result<Vec<_>, _>>()?;
    let (witness, files) = (witness(&journal, &state), if no_files { Vec::new() } else { files(world, &events) });
    let key = keys::engine(world)?;
    let material = Material { stored: &stored, witness: &witness, files: &files, made_by: MADE_BY };
    let bundle = make(&material, &Signer { key: &key, by: MADE_BY, at: SystemClock.now_ms() })?;
    let path = out.map_or_else(|| PathBuf::from(format!("{run}.evidence")), Path::to_path_buf);
    create(&path, &bundle)?;
    if world.screen.json {
        put_json(&json!({ "file": path, "run": run, "bytes": bundle.len(), "key": key.public() }))?;
        return Ok(Exit::Success);
    }
    put(&path.display().to_string());
    let size = bytes(u64::try_from(bundle.len()).unwrap_or(u64::MAX));
    world.screen.say(&format!("{size}, signed with {}", key.public()));
    if !state.status().is_final() {
        world.screen.say("note: the run has not ended; what happens after this is not in the bundle");
    }
    let (file, me) = (path.display(), World::program());
    world.screen.say(&format!("verify it anywhere: {me} evidence verify {file} --key {}", key.public()));
    Ok(Exit::Success)
}

/// What other runs tell of the recovery points that this one used.
pub fn witness(journal: &ReadOnly, state: &RunState) -> Witness {
    let wanted = used(state);
    if wanted.is_empty() {
        return Witness::default();
    }
    let mut known: BTreeMap<String, Taken> = BTreeMap::new();
    // In the order of their names runs are in the order of time.
    let earlier: Vec<RunId> = journal.known().into_iter().filter(|run| run < &state.run).collect();
    for run in earlier.iter().skip(earlier.len().saturating_sub(RUNS_ASKED_MAX)) {
        // A run whose log cannot be followed is no witness.
        if let Ok(other) = journal.state(run) {
            learn(&other, &mut known);
        }
    }
    Witness { snapshots: wanted.iter().filter_map(|name| known.remove(name)).collect() }
}

/// What people attached, as far as it is still kept.
fn files(world: &World, events: &[Event]) -> Vec<Attachment> {
    let named = events.iter().flat_map(|event| match &event.kind {
        EventKind::StepMarkedDone { evidence, .. } | EventKind::SuspectAttested { evidence, .. } => evidence.as_slice(),
        _ => &[],
    });
    let mut found: BTreeMap<Digest, Vec<u8>> = BTreeMap::new();
    for file in named {
        let read = std::fs::read(evidence::path(&world.data, &file.digest)).ok();
        match read.filter(|bytes| Digest::of(bytes) == file.digest) {
            Some(bytes) => drop(found.insert(file.digest.clone(), bytes)),
            None => world.screen.say(&format!("note: the attached file '{}' is gone; its digest stays", file.name)),
        }
    }
    found.into_iter().map(|(digest, bytes)| Attachment { digest, bytes }).collect()
}

fn failed(path: &Path, cause: &std::io::Error) -> Error {
    Error::new("LB1131", format!("'{}' cannot be written", path.display()))
        .with("cause", cause)
        .hint("--out names another file")
}

/// Writes a file that is not there yet.
fn create(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|cause| failed(path, &cause))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|cause| {
        // Half a bundle is none, and would stand in the way of the next try.
        let _ = std::fs::remove_file(path);
        failed(path, &cause)
    })
}

/// Writes a file in the place of the one that is there, whole or not at all.
///
/// # Errors
/// `LB1131` when it cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let half = PathBuf::from(name);
    let write = || {
        let mut file = File::create(&half)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        rename(&half, path)
    };
    write().map_err(|cause| {
        let _ = std::fs::remove_file(&half);
        failed(path, &cause)
    })
}
