//! The operator's verbs: each is recorded with who and why, and the run goes on with it.

use std::path::PathBuf;

use lifeboat_core::Error;
use lifeboat_core::event::Said;
use lifeboat_core::grants::Operator;
use lifeboat_core::ids::{Digest, RunId, StepId};
use lifeboat_core::state::RunState;
use lifeboat_runtime::{Engine, Verb, all_at_rest, resume_all};

use crate::args::{RunVerb, SaidArgs, StepVerb};
use crate::commands::run::{go_on, stopped, tell, to_rest};
use crate::commands::{evidence, through};
use crate::exit::Exit;
use crate::live::Live;
use crate::world::{World, said};

/// The engine, and the run that a person means.
async fn take(world: &World, run: &str) -> Result<(Engine, RunId, Operator), Error> {
    // The run is looked up before anything is locked or started: a typing mistake costs nothing.
    let run = super::runs::find(&super::runs::journal(world)?, run)?;
    let (host, operator) = world.host()?;
    let engine = world.engine(&host, &operator)?;
    Ok((engine, run, operator))
}

async fn speak(world: &World, run: &str, verb: Verb, args: &SaidArgs) -> Result<Exit, Error> {
    let said = said(args.by.as_deref(), &args.reason)?;
    if let Some(client) = through::service(world).await? {
        return through::speak(world, &client, run, |_| verb, args).await;
    }
    let (engine, run, _) = take(world, run).await?;
    speak_to(world, &engine, &run, |_| verb, said).await
}

/// Speaks a verb, which may depend on what is known of the run.
async fn speak_to(
    world: &World,
    engine: &Engine,
    run: &RunId,
    verb: impl FnOnce(&RunState) -> Verb,
    said: Said,
) -> Result<Exit, Error> {
    let state = engine.load(run).await?.state;
    let live = Live::start(world.screen, engine, &state.plan);
    match engine.resume_saying(run, verb(&state), said).await {
        Ok(handle) => to_rest(world, handle, live).await,
        Err(error) => {
            live.finish().await;
            Err(error)
        }
    }
}

/// `retry` and `skip`.
///
/// # Errors
/// `LB0501`, `LB0502`, `LB0504`; the store's errors.
pub async fn on_step(world: &World, args: &StepVerb, verb: fn(StepId) -> Verb) -> Result<Exit, Error> {
    speak(world, &args.run, verb(StepId(args.step.clone())), &args.said).await
}

/// `deny`.
///
/// # Errors
/// As [`on_step`]; `LB0509` who does not have the role that is asked.
pub async fn deny(world: &World, args: &StepVerb) -> Result<Exit, Error> {
    let said = said(args.said.by.as_deref(), &args.said.reason)?;
    if let Some(client) = through::service(world).await? {
        let verb = Verb::Deny { step: StepId(args.step.clone()), roles: None };
        return through::speak(world, &client, &args.run, |_| verb, &args.said).await;
    }
    let (engine, run, operator) = take(world, &args.run).await?;
    let roles = operator.roles_of(&said.by);
    speak_to(world, &engine, &run, |_| Verb::Deny { step: StepId(args.step.clone()), roles }, said).await
}

/// `approve`.
///
/// # Errors
/// As [`on_step`]; `LB0506` when the fingerprint is not that of the run.
pub async fn approve(world: &World, args: &StepVerb, fingerprint: Option<String>) -> Result<Exit, Error> {
    let said = said(args.said.by.as_deref(), &args.said.reason)?;
    let verb = move |roles: Option<Vec<String>>| {
        move |state: &RunState| {
            let fingerprint = fingerprint.map_or_else(|| state.fingerprint.clone(), Digest);
            Verb::Approve { step: StepId(args.step.clone()), fingerprint, roles }
        }
    };
    if let Some(client) = through::service(world).await? {
        return through::speak(world, &client, &args.run, verb(None), &args.said).await;
    }
    let (engine, run, operator) = take(world, &args.run).await?;
    let verb = verb(operator.roles_of(&said.by));
    speak_to(world, &engine, &run, verb, said).await
}

/// `pause`, `unpause` and `abandon`.
///
/// # Errors
/// `LB0501`, `LB0502`; the store's errors.
pub async fn on_run(world: &World, args: &RunVerb, verb: Verb) -> Result<Exit, Error> {
    speak(world, &args.run, verb, &args.said).await
}

/// `mark-done`. The files are kept before the word is spoken, so that the record never names a file that is not there.
///
/// # Errors
/// `LB0901` when a file cannot be read or kept; `LB0508` when the outputs do not fit; as [`on_step`].
pub async fn mark_done(world: &World, args: &StepVerb, outputs: &str, files: &[PathBuf]) -> Result<Exit, Error> {
    let outputs = evidence::outputs(outputs)?;
    let said = said(args.said.by.as_deref(), &args.said.reason)?;
    let keep = || files.iter().map(|path| evidence::keep(&world.data, path)).collect::<Result<Vec<_>, _>>();
    let step = StepId(args.step.clone());
    if let Some(client) = through::service(world).await? {
        through::as_oneself(&client, &args.said).await?;
        let verb = Verb::MarkDone { step, outputs, evidence: keep()? };
        return through::speak(world, &client, &args.run, |_| verb, &args.said).await;
    }
    let (engine, run, _) = take(world, &args.run).await?;
    let verb = Verb::MarkDone { step, outputs, evidence: keep()? };
    speak_to(world, &engine, &run, |_| verb, said).await
}

/// `attest`. The files are kept first, as for [`mark_done`].
///
/// # Errors
/// `LB0901` when a file cannot be read or kept; `LB1195` when the step is not held; as [`on_step`].
pub async fn attest(world: &World, args: &StepVerb, files: &[PathBuf]) -> Result<Exit, Error> {
    let said = said(args.said.by.as_deref(), &args.said.reason)?;
    let keep = || files.iter().map(|path| evidence::keep(&world.data, path)).collect::<Result<Vec<_>, _>>();
    let step = StepId(args.step.clone());
    if let Some(client) = through::service(world).await? {
        through::as_oneself(&client, &args.said).await?;
        let verb = Verb::Attest { step, evidence: keep()? };
        return through::speak(world, &client, &args.run, |_| verb, &args.said).await;
    }
    let (engine, run, _) = take(world, &args.run).await?;
    let verb = Verb::Attest { step, evidence: keep()? };
    speak_to(world, &engine, &run, |_| verb, said).await
}

/// `cancel`.
///
/// # Errors
/// `LB0501`, `LB0502`; the store's errors.
pub async fn cancel(world: &World, run: &str, compensate: bool, said: &SaidArgs) -> Result<Exit, Error> {
    speak(world, run, Verb::Cancel { compensate }, said).await
}

/// `resume`: one run, or all that have not ended.
///
/// # Errors
/// `LB0501`; the store's errors. A run that cannot be taken up is named, and the others go on.
pub async fn resume(world: &World, run: Option<&str>) -> Result<Exit, Error> {
    if let Some(client) = through::service(world).await? {
        return through::resume(world, &client, run).await;
    }
    if let Some(run) = run {
        let (engine, run, _) = take(world, run).await?;
        let state = engine.load(&run).await?.state;
        return go_on(world, &engine, &state).await;
    }
    super::runs::there(world)?;
    let (host, operator) = world.host()?;
    let (engine, opened) = world.open(&host, &operator)?;
    let quarantined = opened.quarantined.len();
    let unfinished = engine.unfinished().await?;
    if unfinished.is_empty() {
        if quarantined > 0 {
            let runs = if quarantined == 1 { "1 run is" } else { &format!("{quarantined} runs are") };
            world
                .screen
                .say(&format!("{runs} in quarantine and cannot go on; 'lifeboat doctor' tells what can be done"));
            return Ok(Exit::RunFailed);
        }
        world.screen.say("every run has ended");
        return Ok(Exit::Success);
    }
    if let [(only, _)] = unfinished.as_slice() {
        // What is wrong with one run is told as it is with many.
        let gone_on = async { go_on(world, &engine, &engine.load(only).await?.state).await };
        return Ok(gone_on.await.unwrap_or_else(|error| {
            world.screen.error(&error);
            Exit::RunFailed
        }));
    }
    let live = Live::all(world.screen, &engine);
    let (mut handles, mut errors) = (Vec::new(), Vec::new());
    for taken in resume_all(&engine, unfinished.into_iter().map(|(run, _)| run).collect()).await {
        match taken {
            Ok(handle) => handles.push(handle),
            Err(error) => errors.push(error),
        }
    }
    let rests = tokio::select! {
        rests = all_at_rest(&mut handles) => rests,
        _ = tokio::signal::ctrl_c() => stopped(world, live, "").await,
    };
    live.finish().await;
    let mut worst = if errors.is_empty() { Exit::Success } else { Exit::RunFailed };
    errors.iter().for_each(|error| world.screen.error(error));
    for (handle, rest) in handles.iter().zip(rests) {
        let exit = tell(world, handle.run(), rest).unwrap_or_else(|error| {
            world.screen.error(&error);
            Exit::RunFailed
        });
        // A failed run outweighs a waiting one, which outweighs success.
        worst = match (worst, exit) {
            (Exit::RunFailed, _) | (_, Exit::RunFailed) => Exit::RunFailed,
            (Exit::Waits, _) | (_, Exit::Waits) => Exit::Waits,
            _ => Exit::Success,
        };
    }
    Ok(worst)
}
