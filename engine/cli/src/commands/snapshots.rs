//! `snapshots`: what is in a vault.

use std::path::Path;

use lifeboat_core::{Error, Plan};

use crate::args::RunbookArgs;
use crate::clock::utc;
use crate::commands::plan;
use crate::exit::Exit;
use crate::looking::{Eyes, Place};
use crate::screen::{Ink, put, put_json};
use crate::view::duration::bytes;
use crate::world::World;

/// Who looks into the vaults of a runbook, and its plan; `None` when the runbook is refused.
fn eyes(world: &World, runbook: &Path, mode: &str) -> Result<Option<(Eyes, Plan)>, Error> {
    let (host, operator) = world.host()?;
    let args = RunbookArgs { runbook: runbook.to_owned(), mode: mode.to_owned(), inputs: Vec::new() };
    let compiled = plan::compile(world, &args, &host.catalog(), &operator)?;
    Ok(compiled.map(|compiled| (Eyes::new(host, operator), compiled.plan)))
}

/// The store and the password of a vault that a runbook names; `None` when the runbook is refused.
///
/// # Errors
/// `LB0902` when the runbook has no such target, or it is no vault; what the operator file has against it.
pub async fn place(world: &World, vault: &str, runbook: &Path, mode: &str) -> Result<Option<Place>, Error> {
    match eyes(world, runbook, mode)? {
        Some((eyes, plan)) => eyes.vault(&plan, vault).await.map(Some),
        None => Ok(None),
    }
}

/// Lists the snapshots of a vault that a runbook names.
///
/// # Errors
/// `LB0902` when the runbook has no such target; what the vault or the operator file has against it.
pub async fn snapshots(world: &World, vault: &str, runbook: &Path, mode: &str) -> Result<Exit, Error> {
    let Some((eyes, plan)) = eyes(world, runbook, mode)? else { return Ok(Exit::Refused) };
    let all = eyes.snapshots(&plan, vault).await?;
    if world.screen.json {
        put_json(&all)?;
        return Ok(Exit::Success);
    }
    if all.is_empty() {
        world.screen.say("the vault holds no snapshots");
    }
    for snapshot in all {
        put(&format!(
            "{}  {} UTC  {:>7} files  {:>10}  added {:>10}  {}",
            world.screen.out(Ink::Bold, snapshot.id.get(..12).unwrap_or(&snapshot.id)),
            utc(snapshot.time_ms),
            snapshot.files,
            bytes(snapshot.bytes),
            bytes(snapshot.bytes_added),
            snapshot.label,
        ));
        for reason in &snapshot.suspect {
            put(&format!("  {} {reason}", world.screen.out(Ink::Red, "suspect:")));
        }
    }
    Ok(Exit::Success)
}
