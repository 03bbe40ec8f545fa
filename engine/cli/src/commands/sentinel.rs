//! `sentinel write`: timed tokens in protected data. The newest one that survives a recovery tells how much was lost.

use std::time::Duration;

use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_core::ports::{Clock, Rng};
use lifeboat_core::template;
use serde_json::json;

use crate::args::RunbookArgs;
use crate::args_drill::SentinelArgs;
use crate::clock::{SystemClock, SystemRng, utc};
use crate::commands::plan;
use crate::exit::Exit;
use crate::looking::of_vault;
use crate::screen::{put, put_json};
use crate::world::World;

/// Writes a sentinel, once or again and again.
///
/// # Errors
/// `LB0902` when the runbook has no such target, or the interval is none; `LB1154` when the target is no folder; what the
/// operator's file has against it.
pub async fn write(world: &World, args: &SentinelArgs) -> Result<Exit, Error> {
    let every = match &args.every {
        None => None,
        Some(text) => Some(lifeboat_runbook::parse_duration(text).map_err(|reason| {
            Error::new("LB0902", format!("'{text}' is no interval: {reason}")).hint("write --every 30s")
        })?),
    };
    let (host, operator) = world.host()?;
    let runbook = RunbookArgs { runbook: args.runbook.clone(), mode: args.mode.clone(), inputs: args.inputs.clone() };
    let Some(compiled) = plan::compile(world, &runbook, &host.catalog(), &operator)? else { return Ok(Exit::Refused) };
    let target = compiled.plan.targets.get(&args.target).ok_or_else(|| {
        let names: Vec<&str> = compiled.plan.targets.keys().map(String::as_str).collect();
        Error::new("LB0902", format!("the runbook has no target '{}'", args.target))
            .hint(format!("its targets are: {}", names.join(", ")))
    })?;
    let context = json!({ "run": { "id": RunId::new(0, 0), "mode": args.mode }, "inputs": compiled.plan.inputs });
    let settings = template::render_value(&target.settings, &context)?;
    loop {
        let at = SystemClock.now_ms();
        let token = format!("{:016x}{:016x}", SystemRng.next_u64(), SystemRng.next_u64());
        host.write_sentinel(target, &settings, compiled.plan.mode, at, &token)
            .await
            .map_err(|failure| of_vault(failure, &args.target))?;
        if world.screen.json {
            put_json(&json!({ "target": args.target, "at": at, "token": token }))?;
        } else {
            put(&format!("{}  {} UTC  {token}", args.target, utc(at)));
        }
        let Some(every) = every else { return Ok(Exit::Success) };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(every.max(1_000))) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Success),
        }
    }
}
