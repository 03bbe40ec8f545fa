//! `snapshots`: what is in a vault.

use std::path::Path;
use std::sync::Arc;

use lifeboat_core::{Error, Failure};
use lifeboat_host::OperatorSecrets;
use lifeboat_host::ports::{ObjectStore, Secret, Secrets};
use serde_json::json;

use crate::args::RunbookArgs;
use crate::clock::utc;
use crate::commands::plan;
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::view::duration::bytes;
use crate::world::World;

/// A failure of a vault as an error for a person.
pub fn told(failure: Failure, vault: &str) -> Error {
    // What the store says itself has no code.
    let code = failure.code.map_or("LB0760".to_owned(), |code| code.0.into_owned());
    let mut error = Error::new("LB0760", failure.message).with("vault", vault);
    error.code = lifeboat_core::Code(code.into());
    error.hint = failure.hint;
    error
}

/// A store and the password of the vault in it.
pub type Place = (Arc<dyn ObjectStore>, Secret);

/// The store and the password of a vault that a runbook names; `None` when the runbook is refused.
///
/// # Errors
/// `LB0902` when the runbook has no such target, or it is no vault; what the operator file has against it.
pub fn place(world: &World, vault: &str, runbook: &Path, mode: &str) -> Result<Option<Place>, Error> {
    let (host, operator) = world.host()?;
    let args = RunbookArgs { runbook: runbook.to_owned(), mode: mode.to_owned(), inputs: Vec::new() };
    let Some(compiled) = plan::compile(world, &args, &host.catalog(), &operator)? else { return Ok(None) };
    let target = compiled.plan.targets.get(vault).ok_or_else(|| {
        let names: Vec<&str> = compiled.plan.targets.keys().map(String::as_str).collect();
        Error::new("LB0902", format!("the runbook has no target '{vault}'"))
            .hint(format!("its targets are: {}", names.join(", ")))
    })?;
    let secret = target.secrets.get("password").ok_or_else(|| {
        Error::new("LB0902", format!("target '{vault}' is no vault: it names no password"))
            .hint("a vault's target has a line: password secret=\"NAME\"")
    })?;
    let secrets = OperatorSecrets::new(&operator);
    let password = secrets.get(secret)?;
    let store = host.object_store(target, target.settings.clone(), compiled.plan.mode)?;
    Ok(Some((lifeboat_vault::slowed(store, target.upload_limit()), password)))
}

/// Lists the snapshots of a vault that a runbook names.
///
/// # Errors
/// `LB0902` when the runbook has no such target; what the vault or the operator file has against it.
pub async fn snapshots(world: &World, vault: &str, runbook: &Path, mode: &str) -> Result<Exit, Error> {
    let Some((store, password)) = place(world, vault, runbook, mode)? else { return Ok(Exit::Refused) };
    let opened = lifeboat_vault::open(store, password, false).await.map_err(|failure| told(failure, vault))?;
    let all = Arc::clone(&opened).snapshots(None).await.map_err(|failure| told(failure, vault))?;
    let doubts = Arc::clone(&opened).doubts(None).await.map_err(|failure| told(failure, vault))?;
    if world.screen.json {
        let rows: Vec<_> = all
            .iter()
            .map(|s| {
                json!({ "id": s.id, "time_ms": s.time_ms, "label": s.label, "tags": s.tags, "files": s.files,
                "bytes": s.bytes, "bytes_added": s.bytes_added, "parent": s.parent,
                "suspect": doubts.get(&s.id).cloned().unwrap_or_default() })
            })
            .collect();
        put_json(&rows)?;
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
        for reason in doubts.get(&snapshot.id).into_iter().flatten() {
            put(&format!("  {} {reason}", world.screen.out(Ink::Red, "suspect:")));
        }
    }
    Ok(Exit::Success)
}
