//! `run` and `drill`: carry a runbook out, watched.

use std::io::{IsTerminal, Write};

use lifeboat_core::Error;
use lifeboat_core::event::Said;
use lifeboat_core::graph::PlanGraph;
use lifeboat_core::ids::RunId;
use lifeboat_core::plan::Plan;
use lifeboat_core::state::RunState;
use lifeboat_runtime::{Engine, Rest, RunHandle};
use lifeboat_service::NewRun;

use crate::args::{RunbookArgs, SaidArgs};
use crate::args_review::RunArgs;
use crate::commands::{measure, plan, report, saved, show, through};
use crate::exit::Exit;
use crate::live::Live;
use crate::past;
use crate::screen::{Ink, note, put, put_json};
use crate::view;
use crate::world::{World, said};

/// Runs a runbook, or a saved plan exactly as it is.
///
/// # Errors
/// As [`run`]; `LB1190` to `LB1192` when the saved plan or its plugins are not what was saved.
pub async fn either(world: &World, what: RunArgs, yes: bool, speaker: &SaidArgs) -> Result<Exit, Error> {
    let RunArgs { runbook, plan, fingerprint, mode, inputs } = what;
    match (plan, runbook) {
        (Some(file), _) => saved_plan(world, &file, fingerprint.as_deref(), yes, speaker).await,
        (None, Some(runbook)) => run(world, &RunbookArgs { runbook, mode, inputs }, yes, speaker).await,
        (None, None) => Err(Error::new("LB0902", "nothing is named that could be run").hint("name a runbook")),
    }
}

async fn saved_plan(
    world: &World,
    file: &std::path::Path,
    fingerprint: Option<&str>,
    yes: bool,
    speaker: &SaidArgs,
) -> Result<Exit, Error> {
    let said = said(speaker.by.as_deref(), &speaker.reason)?;
    let saved = saved::read(file)?;
    fingerprint.map_or(Ok(()), |wanted| saved.is(wanted))?;
    let (host, operator) = world.host()?;
    lifeboat_review::check_plugins(&saved.plan, &host.catalog())?;
    let graph = PlanGraph::new(&saved.plan)
        .map_err(|cause| Error::new("LB1190", "the plan is no graph").with("cause", cause))?;
    if !yes && !agreed(world, &saved.plan, &graph)? {
        world.screen.say("nothing was started");
        return Ok(Exit::Refused);
    }
    if let Some(client) = through::service(world).await? {
        through::as_oneself(&client, speaker).await?;
        let inputs = saved.plan.given_inputs();
        let (runbook, mode) = (saved.plan.runbook.clone(), saved.plan.mode);
        let new = NewRun { runbook, mode, inputs, fingerprint: Some(saved.fingerprint), reason: said.why };
        return through::start_named(world, &client, new).await;
    }
    begin(world, &world.engine(&host, &operator)?, saved.plan, saved.text, said).await
}

/// Rehearses a runbook. With `check`, the checks of the runbook are checked, too.
///
/// # Errors
/// As [`run`]; `LB1163` when there is nothing whose checks could be checked, or a service would carry it out.
pub async fn drill(world: &World, args: &RunbookArgs, check: bool, speaker: &SaidArgs) -> Result<Exit, Error> {
    if !check {
        return run(world, args, true, speaker).await;
    }
    let said = said(speaker.by.as_deref(), &speaker.reason)?;
    let (host, operator) = world.host()?;
    let Some(mut compiled) = plan::compile(world, args, &host.catalog(), &operator)? else { return Ok(Exit::Refused) };
    if through::service(world).await?.is_some() {
        return Err(Error::new("LB1163", "a service has the data folder, and the checks are checked without one only")
            .hint("give the drill a data folder of its own: --data DIR"));
    }
    if plan::check_the_checks(&mut compiled) == 0 {
        return Err(Error::new(
            "LB1163",
            "no step validates a folder that the drill restores, so there are no checks to check",
        )
        .hint("add a step 'validate' after the restore, on the same target"));
    }
    begin(world, &world.engine(&host, &operator)?, compiled.plan, compiled.text, said).await
}

/// Compiles, asks, runs.
///
/// # Errors
/// What a person has to be told before or while the run goes on.
pub async fn run(world: &World, args: &RunbookArgs, yes: bool, speaker: &SaidArgs) -> Result<Exit, Error> {
    let said = said(speaker.by.as_deref(), &speaker.reason)?;
    let (host, operator) = world.host()?;
    let Some(compiled) = plan::compile(world, args, &host.catalog(), &operator)? else { return Ok(Exit::Refused) };
    if !yes && !agreed(world, &compiled.plan, &compiled.graph)? {
        world.screen.say("nothing was started");
        return Ok(Exit::Refused);
    }
    if let Some(client) = through::service(world).await? {
        through::as_oneself(&client, speaker).await?;
        let new = NewRun {
            runbook: compiled.plan.runbook.clone(),
            mode: compiled.plan.mode,
            inputs: plan::inputs(&args.inputs)?,
            fingerprint: Some(compiled.plan.fingerprint()),
            reason: said.why,
        };
        return through::start(world, &client, &args.runbook, new).await;
    }
    begin(world, &world.engine(&host, &operator)?, compiled.plan, compiled.text, said).await
}

/// Makes a run and waits for its rest.
async fn begin(world: &World, engine: &Engine, plan: Plan, text: String, said: Said) -> Result<Exit, Error> {
    let live = Live::start(world.screen, engine, &plan);
    let handle = engine.submit(plan, text, said).await?;
    world.screen.say(&format!(
        "run {} (stop it with Ctrl-C; nothing is lost, 'lifeboat resume' goes on)",
        world.screen.err(Ink::Bold, handle.run().as_str())
    ));
    to_rest(world, handle, live).await
}

/// Shows the plan to a person and asks. Without a person there, `--yes` has to say it.
fn agreed(world: &World, plan: &Plan, graph: &lifeboat_core::graph::PlanGraph) -> Result<bool, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::new("LB0902", "nobody is there to be asked")
            .hint("look at it with 'lifeboat plan', then give --yes to start it"));
    }
    let outlook = view::Outlook::of(plan, &past::of(world, &plan.runbook));
    note(view::plan_text::render(plan, graph, &outlook, world.screen.colour_err).trim_end());
    let mut err = std::io::stderr().lock();
    // A terminal that takes no text also gives no answer, and no answer is no.
    let _ = write!(err, "\nRun this plan in mode {}? [y/N] ", plan.mode.as_str()).and_then(|()| err.flush());
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Waits until the run rests, and says what it came to.
///
/// # Errors
/// What made its actor stop.
pub async fn to_rest(world: &World, mut handle: RunHandle, live: Live) -> Result<Exit, Error> {
    let rest = tokio::select! {
        rest = handle.rest() => rest,
        _ = tokio::signal::ctrl_c() => stopped(world, live, handle.run().as_str()).await,
    };
    live.finish().await;
    tell(world, handle.run(), rest)
}

/// Leaves everything as it is. What is under way is in doubt from here on, and is probed by the resume; nothing waits for a
/// clean end.
pub async fn stopped(world: &World, live: Live, run: &str) -> ! {
    live.finish().await;
    world.screen.say(format!("\nstopped; go on with: {} resume {run}", world.me()).trim_end());
    std::process::exit(130);
}

/// Says where a run rests.
///
/// # Errors
/// What made its actor stop.
pub fn tell(world: &World, run: &RunId, rest: Rest) -> Result<Exit, Error> {
    match rest {
        Rest::Stopped(error) => Err(error.with("run", run)),
        Rest::Ended(state) => ended(world, &state),
        Rest::Person(state) => {
            if world.screen.json {
                put_json(&report::Report::of(&state))?;
            } else {
                put(&show::text(world, &state));
            }
            Ok(Exit::Waits)
        }
    }
}

fn ended(world: &World, state: &RunState) -> Result<Exit, Error> {
    let measured = measure::of(world, &state.run);
    let found = report::Report::of(state).measured(state, measured.clone());
    let exit = found.exit();
    if world.screen.json {
        put_json(&found)?;
    } else {
        put(&report::closing(world, state, measured.as_ref()));
    }
    Ok(exit)
}

/// Takes a run up again and waits for its rest.
///
/// # Errors
/// As [`Engine::resume`] and [`to_rest`].
pub async fn go_on(world: &World, engine: &Engine, state: &RunState) -> Result<Exit, Error> {
    let live = Live::start(world.screen, engine, &state.plan);
    let handle = engine.resume(&state.run).await?;
    to_rest(world, handle, live).await
}

impl World {
    /// The program as it was called: what a person has to type again.
    pub fn program() -> String {
        std::env::args().next().unwrap_or_else(|| "lifeboat".to_owned())
    }

    /// The program with the flags that have to be repeated so that the next command means the same folders.
    pub fn me(&self) -> String {
        let mut text = Self::program();
        // What comes from the surroundings is there for the next command, too.
        let set = |name: &str, path: &std::path::Path| std::env::var_os(name).is_some_and(|value| value == path);
        if self.data.as_os_str() != ".lifeboat" && !set("LIFEBOAT_DATA", &self.data) {
            text.push_str(&format!(" --data {}", self.data.display()));
        }
        match &self.config {
            Some(config) if config.as_os_str() != "lifeboat.kdl" && !set("LIFEBOAT_CONFIG", config) => {
                text.push_str(&format!(" --config {}", config.display()));
            }
            _ => {}
        }
        text
    }
}
