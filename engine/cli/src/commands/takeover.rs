//! `takeover`: goes on with a run in another mode. What is taken over and what runs is shown first, with the plan's fingerprint.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

use lifeboat_core::carry::{Fate, Handover, Left, Row, handover};
use lifeboat_core::event::{Event, EventKind, Said};
use lifeboat_core::grants::Operator;
use lifeboat_core::ids::Digest;
use lifeboat_core::plan::Plan;
use lifeboat_core::plugin::Catalog;
use lifeboat_core::state::RunState;
use lifeboat_core::{Error, RunId};
use lifeboat_runbook::SourceFile;
use lifeboat_runtime::Next;
use lifeboat_service::NewMode;
use serde::Serialize;

use crate::args_review::TakeoverArgs;
use crate::clock::utc;
use crate::commands::plan::{self, Compiled};
use crate::commands::run::to_rest;
use crate::commands::{show, through};
use crate::exit::Exit;
use crate::files;
use crate::live::Live;
use crate::screen::{Ink, note, put, put_json};
use crate::world::{World, said};

/// Goes on with a run in another mode.
///
/// # Errors
/// `LB1220` to `LB1227`; what the runbook, the service or the store has against it.
pub async fn takeover(world: &World, args: TakeoverArgs) -> Result<Exit, Error> {
    let said = said(args.said.by.as_deref(), &args.said.reason)?;
    let (state, events) = show::load(world, &args.run)?;
    let (host, operator) = world.host()?;
    let Some(compiled) = compile(world, &args, &state, &events, &host.catalog(), &operator)? else {
        return Ok(Exit::Refused);
    };
    let plan = &compiled.plan;
    if let Some(last) = events.last() {
        goes_on_already(&last.kind, plan)?;
    }
    let fingerprint = plan.fingerprint();
    looked_at(args.fingerprint.as_deref(), &fingerprint)?;
    if state.continued_as.is_none() && !shown(world, &state, plan, &args)? {
        return Ok(Exit::Refused);
    }
    if let Some(client) = through::service(world).await? {
        through::as_oneself(&client, &args.said).await?;
        let inputs = inputs(&args, &state)?;
        let new = NewMode { mode: plan.mode, inputs: Some(inputs), fingerprint: Some(fingerprint), reason: said.why };
        return through::take_over(world, &client, &state.run, &new).await;
    }
    begin(world, (&host, &operator), &state.run, compiled, said).await
}

async fn begin(
    world: &World,
    (host, operator): (&lifeboat_host::Host, &Operator),
    run: &RunId,
    compiled: Compiled,
    said: Said,
) -> Result<Exit, Error> {
    let engine = world.engine(host, operator)?;
    let live = Live::start(world.screen, &engine, &compiled.plan);
    let next = Next { plan: compiled.plan, runbook: compiled.text };
    match engine.take_over(run, None, next, said).await {
        Ok(handle) => {
            let name = world.screen.err(Ink::Bold, handle.run().as_str());
            world.screen.say(&format!("run {name} goes on with run {run} (stop it with Ctrl-C; nothing is lost)"));
            to_rest(world, handle, live).await
        }
        Err(error) => {
            live.finish().await;
            Err(error)
        }
    }
}

/// A run that another one goes on with is gone on with by the same plan, or not at all.
fn goes_on_already(last: &EventKind, plan: &Plan) -> Result<(), Error> {
    match last {
        EventKind::RunContinued { successor, fingerprint, .. } if *fingerprint != plan.fingerprint() => {
            Err(Error::new("LB1223", format!("run {successor} goes on with it already, by another plan"))
                .hint(format!("'lifeboat show {successor}' tells how that one is; it can be taken over, too")))
        }
        _ => Ok(()),
    }
}

fn looked_at(named: Option<&str>, is: &Digest) -> Result<(), Error> {
    match named {
        Some(named) if named != is.0 => Err(Error::new("LB1226", "the plan is not the one that was looked at")
            .with("named", named)
            .with("is", is)
            .hint("something changed: the runbook, a plugin, an input; look at it again without --fingerprint")),
        _ => Ok(()),
    }
}

fn inputs(args: &TakeoverArgs, state: &RunState) -> Result<BTreeMap<String, String>, Error> {
    let mut inputs = state.plan.given_inputs();
    inputs.extend(plan::inputs(&args.inputs)?);
    Ok(inputs)
}

/// The plan to go on by: of the runbook's file as it is now, or of the text that the run was made from.
fn compile(
    world: &World,
    args: &TakeoverArgs,
    state: &RunState,
    events: &[Event],
    catalog: &Catalog,
    operator: &Operator,
) -> Result<Option<Compiled>, Error> {
    let mode = plan::parse_mode(&args.mode)?;
    let stored = match events.first().map(|event| &event.kind) {
        Some(EventKind::RunCreated { runbook, .. }) => runbook.as_str(),
        _ => "",
    };
    let source = match &args.runbook {
        Some(file) => files::read_source(file)?,
        None if stored.starts_with("// file: ") => {
            return Err(Error::new("LB1227", "the runbook of this run is made of several files")
                .with("run", &state.run)
                .hint("name the first of them: --runbook FILE"));
        }
        None => SourceFile { name: format!("the runbook of {}", state.run), text: stored.to_owned() },
    };
    let Some(mut compiled) = plan::compile_source(world, &source, catalog, mode, &inputs(args, state)?)? else {
        return Ok(None);
    };
    plan::name_people(&mut compiled.plan, operator)?;
    if compiled.text != stored {
        world.screen.say("note: the text of the runbook has changed since the run was made");
    }
    Ok(Some(compiled))
}

/// What is shown for scripts.
#[derive(Serialize)]
struct Shown<'a> {
    run: &'a RunId,
    from: lifeboat_core::Mode,
    mode: lifeboat_core::Mode,
    fingerprint: Digest,
    #[serde(flatten)]
    handover: &'a Handover,
}

/// Shows what is taken over and what runs. Whether a person agrees, or has agreed before.
fn shown(world: &World, state: &RunState, plan: &Plan, args: &TakeoverArgs) -> Result<bool, Error> {
    let found = handover(state, plan)?;
    let agreed = args.yes || args.fingerprint.is_some();
    let there = std::io::stdin().is_terminal() && !world.screen.json;
    let table = text(world, state, plan, &found);
    if agreed {
        note(&table);
        return Ok(true);
    }
    if there {
        note(&table);
        let mut err = std::io::stderr().lock();
        // A terminal that takes no text also gives no answer, and no answer is no.
        let _ = write!(err, "\nGo on as {} by this plan? [y/N] ", plan.mode.as_str()).and_then(|()| err.flush());
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(true);
        }
        world.screen.say("nothing was changed");
        return Ok(false);
    }
    if world.screen.json {
        let (run, from, mode, fingerprint) = (&state.run, state.plan.mode, plan.mode, plan.fingerprint());
        put_json(&Shown { run, from, mode, fingerprint, handover: &found })?;
    } else {
        put(&table);
    }
    let (run, mode) = (&state.run, plan.mode.as_str());
    let runbook = args.runbook.as_ref().map_or(String::new(), |file| format!(" --runbook {}", file.display()));
    let given: String = args.inputs.iter().map(|given| format!(" --input '{given}'")).collect();
    world.screen.say(&format!(
        "nothing was changed; go on with: {} takeover {run} --mode {mode}{runbook}{given} --fingerprint {}",
        world.me(),
        plan.fingerprint()
    ));
    Ok(false)
}

/// The table, for a person.
fn text(world: &World, state: &RunState, plan: &Plan, found: &Handover) -> String {
    let screen = &world.screen;
    let mut text = format!(
        "run {}  {}  {}, {}\n  goes on as {}, plan {}\n",
        screen.err(Ink::Bold, state.run.as_str()),
        state.plan.runbook,
        state.plan.mode.as_str(),
        state.status().as_str(),
        plan.mode.as_str(),
        plan.fingerprint()
    );
    let ids = found.steps.iter().map(|row| &row.step).chain(found.left.iter().map(|left| &left.step));
    let width = ids.map(|id| id.as_str().chars().count()).max().unwrap_or(0).min(28);
    for row in &found.steps {
        text.push_str(&line(world, state, row, width));
    }
    if !found.left.is_empty() {
        text.push_str("stays as it is, and is no part of the new plan:\n");
        found.left.iter().for_each(|left| text.push_str(&stays(left, width)));
    }
    if let Some(open) = found.open().next() {
        text.push_str(&format!(
            "what is in doubt ('{open}') is asked about first; what cannot be told, a person settles\n"
        ));
    }
    text.trim_end().to_owned()
}

fn line(world: &World, state: &RunState, row: &Row, width: usize) -> String {
    let (mark, ink) = match row.fate {
        Fate::Carried => ("✓", Ink::Green),
        Fate::Runs | Fate::GoesOn { .. } => ("·", Ink::Dim),
        Fate::Again { .. } => ("▸", Ink::Yellow),
        Fate::Open { .. } => ("?", Ink::Red),
    };
    let now = state.step(&row.step).map(|(_, now)| now);
    let more = match &row.fate {
        Fate::Carried => {
            let origin = now.and_then(|now| now.carried.as_ref());
            let at = now.and_then(|now| now.finished_at).or_else(|| origin?.done_at);
            at.map_or(String::new(), |at| format!("done {} UTC", utc(at)))
        }
        Fate::Again { because } => because.clone(),
        Fate::Open { phase } => (*phase).to_owned(),
        Fate::GoesOn { phase } if now.is_some_and(|now| now.checkpoint.is_some()) => {
            format!("was {phase}: it goes on from its last checkpoint")
        }
        Fate::GoesOn { phase } => format!("was {phase}: it is tried again"),
        Fate::Runs => {
            now.filter(|now| now.attempts > 0).map_or(String::new(), |now| format!("was {}", now.phase.as_str()))
        }
    };
    let mark = world.screen.err(ink, mark);
    let (kind, fate) = (row.kind.as_str(), row.fate.as_str());
    format!("{}\n", format!("  {mark} {:<width$}  {kind:<9} {fate:<13} {more}", row.step).trim_end())
}

fn stays(left: &Left, width: usize) -> String {
    let undone = if left.compensate { "  (nobody undoes it now)" } else { "" };
    format!("    {:<width$}  {:<9} {}{undone}\n", left.step, left.kind.as_str(), left.phase)
}
