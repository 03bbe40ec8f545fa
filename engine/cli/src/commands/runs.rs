//! `runs`: the list, newest last. Reads the journal only, so it works while an engine is at work.

use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_core::state::Summary;
use lifeboat_store::ReadOnly;
use serde_json::json;

use crate::clock::utc;
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::view::duration::duration;
use crate::world::World;

/// Opens the journal for reading.
///
/// # Errors
/// The store's errors; `LB0501` with a hint when there is no data folder yet.
pub fn journal(world: &World) -> Result<ReadOnly, Error> {
    if !world.data.exists() {
        return Err(Error::new("LB0501", format!("there is no data folder '{}'", world.data.display()))
            .hint("--data or LIFEBOAT_DATA names the folder; the first run makes it"));
    }
    lifeboat_store::read_only(&world.data)
}

/// The run that a person means.
///
/// # Errors
/// `LB0501` when there is no such run.
pub fn find(journal: &ReadOnly, text: &str) -> Result<RunId, Error> {
    let all: Vec<RunId> = journal.list().into_iter().map(|head| head.run).collect();
    World::find_run(text, &all)
}

/// Lists runs.
///
/// # Errors
/// The store's errors.
pub fn runs(world: &World) -> Result<Exit, Error> {
    if !world.data.exists() {
        if world.screen.json {
            put_json(&json!([]))?;
        } else {
            let folder = world.data.display();
            world
                .screen
                .say(&format!("there are no runs yet: there is no data folder '{folder}' (--data names another)"));
        }
        return Ok(Exit::Success);
    }
    let journal = journal(world)?;
    let mut rows = Vec::new();
    for head in journal.list() {
        let summary = serde_json::from_slice::<Summary>(&head.summary).ok();
        rows.push((head.run, head.seq, summary));
    }
    if world.screen.json {
        let all: Vec<_> =
            rows.iter().map(|(run, seq, summary)| json!({ "run": run, "events": seq, "summary": summary })).collect();
        put_json(&all)?;
        return Ok(Exit::Success);
    }
    if rows.is_empty() {
        world.screen.say("there are no runs yet");
    }
    for (run, _, summary) in rows {
        let Some(summary) = summary else {
            put(&format!("{run}  (its summary cannot be read: 'lifeboat doctor' tells more)"));
            continue;
        };
        let took = summary.finished_at.unwrap_or(summary.updated_at).saturating_sub(summary.created_at);
        put(&format!(
            "{}  {}  {:<12} {:<10} {:>2}/{:<2} steps  {:>8}  {}",
            world.screen.out(Ink::Bold, run.as_str()),
            utc(summary.created_at),
            summary.status.as_str(),
            summary.mode.as_str(),
            summary.complete,
            summary.steps,
            duration(took),
            summary.runbook,
        ));
    }
    for run in journal.quarantined() {
        put(&format!("{}  in quarantine: {}", run.run, run.reason));
    }
    Ok(Exit::Success)
}
