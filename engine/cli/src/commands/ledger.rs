//! `ledger` and `cleanup`: what runs made, what of it is left, and how it is removed.

use lifeboat_core::Error;
use lifeboat_core::ledger::{left, lines};
use lifeboat_core::ports::Clock;
use lifeboat_core::state::{RunState, Summary};
use lifeboat_runtime::Verb;
use serde_json::{Value, json};

use crate::args::RunVerb;
use crate::clock::{SystemClock, utc};
use crate::commands::{runs, show, verbs};
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::view::plural;
use crate::world::World;

/// Prints the ledger of one run, or what is left of all runs.
///
/// # Errors
/// `LB0501` no such run; the store's errors.
pub fn ledger(world: &World, run: Option<&str>) -> Result<Exit, Error> {
    let states = match run {
        Some(run) => vec![show::load(world, run)?.0],
        None => with_leftovers(world)?,
    };
    if world.screen.json {
        put_json(&states.iter().map(page).collect::<Vec<_>>())?;
        return Ok(Exit::Success);
    }
    if states.is_empty() {
        world.screen.say("nothing of any run is left");
    }
    for state in &states {
        put(text(world, state).trim_end());
    }
    Ok(Exit::Success)
}

/// The runs of which something may still be there, oldest first.
fn with_leftovers(world: &World) -> Result<Vec<RunState>, Error> {
    if !world.data.exists() {
        return Ok(Vec::new());
    }
    let journal = runs::journal(world)?;
    let some = |run: &lifeboat_core::RunId| {
        let summary = serde_json::from_slice::<Summary>(&journal.head(run)?.summary).ok()?;
        (summary.left > 0).then_some(())
    };
    let found = journal.known().into_iter().filter(|run| some(run).is_some());
    found.map(|run| journal.state(&run).map_err(|broken| broken.error)).collect()
}

/// The ledger of a run as JSON.
fn page(state: &RunState) -> Value {
    let (left, all) = left(state);
    json!({
        "run": state.run,
        "runbook": state.plan.runbook,
        "status": state.status().as_str(),
        "owner": owner(state),
        "left": left,
        "made": all,
        "entries": lines(state),
    })
}

/// Who answers for what is left: the runbook's owner, and who started the run.
fn owner(state: &RunState) -> String {
    match &state.plan.owner {
        Some(owner) => format!("{owner}; started by {}", state.said.by),
        None => format!("started by {}", state.said.by),
    }
}

/// `0 of 3 left`.
pub fn count(state: &RunState) -> String {
    let (left, all) = left(state);
    format!("{left} of {all} left")
}

/// The ledger of a run for a person.
pub fn text(world: &World, state: &RunState) -> String {
    let (left, all) = left(state);
    let name = world.screen.out(Ink::Bold, state.run.as_str());
    let head = format!("run {name}  {}  {}: {}", state.plan.runbook, state.status().as_str(), count(state));
    if all == 0 {
        return format!("{head}; it makes nothing that somebody has to remove\n");
    }
    let mut text = format!("{head}  ({})\n", owner(state));
    let now = SystemClock.now_ms();
    for line in lines(state) {
        let ink = if line.state == "removed" { Ink::Green } else { Ink::Yellow };
        let word = world.screen.out(ink, line.state);
        let resource = line.resource;
        text.push_str(&format!("  {word:<9} {}: {}, {}", line.step, resource.what, resource.place));
        if line.state != "removed" {
            let over = if resource.expires_at < now { "overdue since" } else { "may stay until" };
            text.push_str(&format!("; {over} {} UTC", utc(resource.expires_at)));
        }
        text.push('\n');
        if let Some(failure) = line.failure {
            let code = failure.code.as_ref().map_or(String::new(), |code| format!("{code}: "));
            text.push_str(&format!("      {code}{}\n", failure.message));
            text.push_str(&failure.hint.as_ref().map_or(String::new(), |hint| format!("      help: {hint}\n")));
        }
    }
    if left > 0 && state.result.is_some() {
        text.push_str(&format!("  remove what is left: {} cleanup {}\n", world.me(), state.run));
    }
    text
}

/// Removes what a run left behind. The exit status says whether anything still is.
///
/// # Errors
/// `LB1150` when the run has not ended; `LB1151` when nothing is left; the store's errors.
pub async fn cleanup(world: &World, args: &RunVerb) -> Result<Exit, Error> {
    verbs::on_run(world, args, Verb::Cleanup).await?;
    let (state, _) = show::load(world, &args.run)?;
    let still = left(&state).0;
    if still > 0 {
        world.screen.say(&format!("{} could not be removed", plural(still as u64, "thing")));
        return Ok(Exit::RunFailed);
    }
    Ok(Exit::Success)
}
