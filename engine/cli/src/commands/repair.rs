//! `doctor --repair`: mends the data folder, after a copy of the journal was made.

use lifeboat_core::Error;
use lifeboat_core::ports::Clock;
use lifeboat_store::Wish;
use serde_json::json;

use crate::clock::{SystemClock, utc};
use crate::commands::doctor::{Row, exit};
use crate::commands::runs;
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::world::World;

/// The time, as it stands in the name of a copy.
pub fn stamp() -> String {
    utc(SystemClock.now_ms()).replace(['-', ':'], "").replace(' ', "T") + "Z"
}

/// Mends the data folder, cuts the runs back that are named, and says what was done and what remains.
///
/// # Errors
/// `LB0501` no such run; the store's errors. The folder is as it was where nothing else is said.
pub fn repair(world: &World, cut: &[String]) -> Result<Exit, Error> {
    let journal = runs::journal(world)?;
    let cut = cut.iter().map(|run| runs::find(&journal, run)).collect::<Result<Vec<_>, _>>()?;
    drop(journal);
    let wish = Wish { stamp: stamp(), cut, free: None };
    let repaired = lifeboat_store::repair(&world.data, &wish, &world.store_options(&world.operator()?)?)?;
    let rows: Vec<Row> = repaired.remaining.iter().map(Row::of).collect();
    if world.screen.json {
        put_json(&json!({
            "copy": repaired.copy,
            "done": repaired.done,
            "cut": repaired.cut,
            "remaining": rows,
        }))?;
        return Ok(exit(&rows));
    }
    if repaired.copy.is_none() {
        world.screen.say("there is nothing to repair, so nothing was changed");
    }
    for done in &repaired.done {
        put(&format!("{} {done}", world.screen.out(Ink::Green, "did")));
    }
    for cut in &repaired.cut {
        if let Some(file) = &cut.file {
            put(&format!(
                "{} the events cut off run {} are kept in {}",
                world.screen.out(Ink::Green, "did"),
                cut.run,
                file.display()
            ));
        }
    }
    rows.iter().for_each(|row| put(&row.text(world)));
    Ok(exit(&rows))
}
