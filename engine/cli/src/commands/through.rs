//! Verbs, when a service has the data folder: they go through it, and look as they do without.

use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_core::state::RunState;
use lifeboat_runtime::{Notice, Rest, Verb};
use lifeboat_service::client::{Client, Follow, Told};
use lifeboat_service::{NewMode, NewRun, RunView, RunbookView};

use crate::args::SaidArgs;
use crate::commands::run::tell;
use crate::commands::runs;
use crate::exit::Exit;
use crate::live::Lines;
use crate::world::World;

/// The service that has the data folder, if one has.
///
/// # Errors
/// `LB1066` one has, and does not answer.
pub async fn service(world: &World) -> Result<Option<Client>, Error> {
    Client::find(&world.data).await
}

/// The name that the service records is the one that the system vouches for.
///
/// # Errors
/// `LB1067` another one was given.
pub async fn as_oneself(client: &Client, said: &SaidArgs) -> Result<(), Error> {
    let Some(by) = &said.by else { return Ok(()) };
    let name = client.me().await?.name;
    if *by == name {
        return Ok(());
    }
    Err(Error::new("LB1067", format!("a service has the data folder, and records you as {name}, not as {by}"))
        .hint("leave --as out; somebody else says it with the own login, or with a token over the API"))
}

fn state(world: &World, run: &RunId) -> Result<RunState, Error> {
    runs::journal(world)?.state(run).map_err(|broken| broken.error)
}

/// Speaks a verb, which may depend on what is known of the run, and waits until the run rests.
///
/// # Errors
/// What the service refuses.
pub async fn speak(
    world: &World,
    client: &Client,
    run: &str,
    verb: impl FnOnce(&RunState) -> Verb,
    said: &SaidArgs,
) -> Result<Exit, Error> {
    as_oneself(client, said).await?;
    let run = runs::find(&runs::journal(world)?, run)?;
    let state = state(world, &run)?;
    let follow = client.follow(&run, state.seq).await?;
    let lines = Lines::new(world.screen, &state.plan);
    let view = client.say(&run, &verb(&state), &said.reason).await?;
    to_rest(world, &view, follow, lines).await
}

/// Has a run taken up again, or follows it where it goes on already.
///
/// # Errors
/// What the service refuses.
pub async fn resume(world: &World, client: &Client, run: Option<&str>) -> Result<Exit, Error> {
    let Some(run) = run else {
        world.screen.say("a service has the data folder: it took up all runs that can go on at its start");
        return Ok(Exit::Success);
    };
    let run = runs::find(&runs::journal(world)?, run)?;
    let state = state(world, &run)?;
    let follow = client.follow(&run, state.seq).await?;
    let view = client.resume(&run).await?;
    to_rest(world, &view, follow, Lines::new(world.screen, &state.plan)).await
}

/// The runbook that the service knows by the same file.
async fn known(client: &Client, file: &std::path::Path) -> Result<Option<RunbookView>, Error> {
    let whole = |path: &std::path::Path| path.canonicalize().ok();
    let Some(here) = whole(file) else { return Ok(None) };
    Ok(client.runbooks().await?.into_iter().find(|book| whole(book.file.as_ref()).as_ref() == Some(&here)))
}

/// The service that has the data folder, and the good runbook that it knows by that file; `None` where there is none of them.
///
/// # Errors
/// `LB1066` the service does not answer.
pub async fn who_knows(world: &World, file: &std::path::Path) -> Result<Option<(Client, RunbookView)>, Error> {
    let Some(client) = service(world).await? else { return Ok(None) };
    let book = known(&client, file).await?;
    Ok(book.filter(|book| book.good).map(|book| (client, book)))
}

/// Starts a run of a runbook that the service knows by the same file.
///
/// # Errors
/// `LB0601` it does not know it; what it refuses.
pub async fn start(world: &World, client: &Client, file: &std::path::Path, new: NewRun) -> Result<Exit, Error> {
    let Some(known) = known(client, file).await? else {
        let message = format!("a service has the data folder, and does not know '{}'", file.display());
        return Err(Error::new("LB0601", message)
            .hint("put the runbook into one of its folders ('service { runbooks \"DIR\" }'), or use another --data"));
    };
    start_named(world, client, NewRun { runbook: known.name, ..new }).await
}

/// Starts a run of a runbook that the service knows by that name. Where the service makes another plan of it than the one
/// whose fingerprint is given, it refuses.
///
/// # Errors
/// What it refuses.
pub async fn start_named(world: &World, client: &Client, new: NewRun) -> Result<Exit, Error> {
    let view = client.start(&new).await?;
    watch_new(world, client, &view, "").await
}

/// Goes on with a run in another mode.
///
/// # Errors
/// What the service refuses.
pub async fn take_over(world: &World, client: &Client, run: &RunId, new: &NewMode) -> Result<Exit, Error> {
    let view = client.take_over(run, new).await?;
    watch_new(world, client, &view, &format!(" goes on with run {run}")).await
}

/// Names a run that the service has just made, and shows what happens to it.
async fn watch_new(world: &World, client: &Client, view: &RunView, what: &str) -> Result<Exit, Error> {
    let (run, plan) = (&view.run, state(world, &view.run)?.plan);
    world.screen.say(&format!("run {run}{what} (the service carries it out; Ctrl-C only stops the watching)"));
    let follow = client.follow(run, 1).await?;
    to_rest(world, view, follow, Lines::new(world.screen, &plan)).await
}

/// Shows what happens until the run rests, and says what it came to.
async fn to_rest(world: &World, view: &RunView, mut follow: Follow, mut lines: Lines) -> Result<Exit, Error> {
    let run = &view.run;
    loop {
        let told = tokio::select! {
            told = follow.next() => told,
            _ = tokio::signal::ctrl_c() => {
                lines.end();
                world.screen.say(&format!("\nthe run goes on in the service; look at it with: {} show {run}", world.me()));
                std::process::exit(130);
            }
        };
        match told {
            None => {
                lines.end();
                return Err(Error::new("LB1066", "the service went away while the run was watched")
                    .with("run", run)
                    .hint("what was said is recorded; 'lifeboat show' tells how the run is"));
            }
            Some(Told::Event(seq, event)) => lines.show(&Notice::Event { run: run.clone(), seq, event }),
            Some(Told::Progress(now)) => lines.show(&Notice::Progress {
                run: run.clone(),
                step: now.step,
                done: now.done,
                total: now.total,
                unit: now.unit,
                note: now.note,
            }),
            Some(Told::Log(line)) => {
                let (step, level, message) = (line.step, line.level, line.message);
                lines.show(&Notice::Log { run: run.clone(), step, level, message });
            }
            // The rest that the verb ended is told, too.
            Some(Told::Rest(rest)) if rest.seq < view.events => {}
            Some(Told::Rest(rest)) => {
                lines.end();
                let state = state(world, run)?;
                return match rest.rest.as_str() {
                    "ended" => tell(world, run, Rest::Ended(state.into())),
                    "person" => tell(world, run, Rest::Person(state.into())),
                    _ => Err(Error::new("LB0502", format!("run {run} is not being carried out any more"))
                        .hint("GET /v1/runs/{run} of the service tells why")),
                };
            }
        }
    }
}
