//! What earlier runs of a runbook took, from the journal. It is looked up and never asked for: without it there is a forecast,
//! too, and it says what it does not know.

use lifeboat_core::event::Event;
use lifeboat_core::ids::RunId;
use lifeboat_core::state::Summary;
use lifeboat_forecast::History;
use lifeboat_store::ReadOnly;

use crate::commands::runs;
use crate::world::World;

/// The newest runs say most of what is now; more than these say little else.
const RUNS_MAX: usize = 50;

/// What the runs of a runbook took, in any mode.
pub fn of(world: &World, runbook: &str) -> History {
    if !world.data.exists() {
        return History::new();
    }
    match runs::journal(world) {
        Ok(journal) => in_journal(&journal, runbook, None),
        Err(error) => {
            world.screen.say(&format!("note: earlier runs are not taken into account: {}", error.message));
            History::new()
        }
    }
}

/// The same from a journal that is open already, without one run: what is forecast is no witness of itself.
pub fn in_journal(journal: &ReadOnly, runbook: &str, except: Option<&RunId>) -> History {
    let named = |run: &RunId| {
        let summary = serde_json::from_slice::<Summary>(&journal.head(run)?.summary).ok()?;
        (summary.runbook == runbook && Some(run) != except).then_some(summary.created_at)
    };
    let mut found: Vec<(u64, RunId)> =
        journal.known().into_iter().filter_map(|run| Some((named(&run)?, run))).collect();
    found.sort();
    let mut history = History::new();
    for (_, run) in found.iter().rev().take(RUNS_MAX).rev() {
        // A run whose log cannot be read teaches nothing; `runs` and `doctor` say what is wrong with it.
        let Ok(stored) = journal.read(run) else { continue };
        let events: Result<Vec<Event>, _> = stored.iter().map(|event| Event::decode(&event.bytes)).collect();
        if let Ok(events) = events {
            history.learn(&events);
        }
    }
    history
}
