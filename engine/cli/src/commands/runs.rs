//! `runs`: the list, newest last. Reads the journal only, so it works while an engine is at work.

use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_core::state::Summary;
use lifeboat_store::{Broken, ReadOnly};
use serde::Serialize;
use serde_json::json;

use crate::clock::utc;
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::view::duration::duration;
use crate::world::World;

/// Opens the journal for reading.
///
/// # Errors
/// What the operator's file or the store has against it; `LB0501` with a hint when there is no data folder yet.
pub fn journal(world: &World) -> Result<ReadOnly, Error> {
    there(world)?;
    let options = world.store_options(&world.operator()?)?;
    lifeboat_store::read_only_with(&world.data, options.key.as_ref())
}

/// Makes sure that there is a data folder: to look something up, none is made.
///
/// # Errors
/// `LB0501` with a hint when there is none yet.
pub fn there(world: &World) -> Result<(), Error> {
    if world.data.exists() {
        return Ok(());
    }
    Err(Error::new("LB0501", format!("there is no data folder '{}'", world.data.display()))
        .hint("--data or LIFEBOAT_DATA names the folder; the first run makes it"))
}

/// The run that a person means.
///
/// # Errors
/// `LB0501` when there is no such run.
pub fn find(journal: &ReadOnly, text: &str) -> Result<RunId, Error> {
    World::find_run(text, &journal.known())
}

/// A run in the list.
#[derive(Serialize)]
struct Row {
    run: RunId,
    /// How many events of it are known to be good.
    events: u64,
    /// What it came to. Of a run in quarantine, as it was when it was last in order.
    summary: Option<Summary>,
    /// Why it cannot go on, if it cannot.
    quarantine: Option<Box<Broken>>,
}

impl Row {
    fn of(journal: &ReadOnly, run: RunId) -> Self {
        let head = journal.head(&run);
        let summary = head.and_then(|head| serde_json::from_slice::<Summary>(&head.summary).ok());
        let quarantine = journal.state(&run).err();
        let events = quarantine.as_ref().map_or_else(|| head.map_or(0, |head| head.seq), |broken| broken.good);
        Self { run, events, summary, quarantine }
    }

    fn text(&self, world: &World) -> String {
        let run = world.screen.out(Ink::Bold, self.run.as_str());
        if let Some(broken) = &self.quarantine {
            let name = self.summary.as_ref().map_or(String::new(), |summary| format!("  {}", summary.runbook));
            let word = world.screen.out(Ink::Red, "quarantine");
            return format!("{run}  in {word} after event {}: {}{name}", broken.good, broken.reason);
        }
        let Some(summary) = &self.summary else {
            return format!("{run}  (its summary cannot be read: 'lifeboat doctor' tells more)");
        };
        let took = summary.finished_at.unwrap_or(summary.updated_at).saturating_sub(summary.created_at);
        let line = |to: &Option<RunId>, word: &str| to.as_ref().map_or(String::new(), |to| format!("  {word} {to}"));
        let line = line(&summary.continues, "continues") + &line(&summary.continued_as, "continued as");
        format!(
            "{run}  {}  {:<12} {:<10} {:>2}/{:<2} steps  {:>8}  {}{line}",
            utc(summary.created_at),
            summary.status.as_str(),
            summary.mode.as_str(),
            summary.complete,
            summary.steps,
            duration(took),
            summary.runbook,
        )
    }
}

/// Lists runs. One that cannot go on is listed as such, with the reason.
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
    let rows: Vec<Row> = journal.known().into_iter().map(|run| Row::of(&journal, run)).collect();
    if world.screen.json {
        put_json(&rows)?;
        return Ok(Exit::Success);
    }
    if rows.is_empty() {
        world.screen.say("there are no runs yet");
    }
    for row in rows {
        put(&row.text(world));
    }
    Ok(Exit::Success)
}
