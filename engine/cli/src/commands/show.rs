//! `show` and `events`: a run as it is, and all that happened to it.

use lifeboat_core::Error;
use lifeboat_core::event::Event;
use lifeboat_core::event::RunResult;
use lifeboat_core::plan::Step;
use lifeboat_core::state::{Locks, Phase, RunState, StepState};

use crate::clock::utc;
use crate::commands::{report, runs};
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::view::duration::duration;
use crate::world::World;

/// The state of a run, from the journal alone.
///
/// # Errors
/// `LB0501` no such run; `LB0503` its log cannot be followed; `LB0602` it is in quarantine; the store's errors.
pub fn load(world: &World, run: &str) -> Result<(RunState, Vec<Event>), Error> {
    let journal = runs::journal(world)?;
    let run = runs::find(&journal, run)?;
    let state = journal.state(&run).map_err(|broken| broken.error)?;
    let stored = journal.read(&run)?;
    let events = stored.iter().map(|event| Event::decode(&event.bytes)).collect::<Result<Vec<_>, _>>()?;
    Ok((state, events))
}

/// Shows a run.
///
/// # Errors
/// As [`load`].
pub fn show(world: &World, run: &str) -> Result<Exit, Error> {
    let (state, _) = load(world, run)?;
    if world.screen.json {
        put_json(&report::Report::of(&state))?;
    } else {
        put(&text(world, &state));
    }
    Ok(Exit::Success)
}

/// Prints the events of a run, exactly as they are stored.
///
/// # Errors
/// As [`load`], but for a log that cannot follow: its events are printed all the same.
pub fn events(world: &World, run: &str) -> Result<Exit, Error> {
    let journal = runs::journal(world)?;
    let run = runs::find(&journal, run)?;
    for event in journal.read(&run)? {
        put(&String::from_utf8_lossy(&event.bytes));
    }
    Ok(Exit::Success)
}

/// A run for a person: its steps, what it waits for, what to type.
pub fn text(world: &World, state: &RunState) -> String {
    let screen = &world.screen;
    let mut text = format!(
        "{} {}  {}  {}\n  made {} UTC by {}{}\n  plan {}\n",
        screen.out(Ink::Bold, "run"),
        screen.out(Ink::Bold, state.run.as_str()),
        state.plan.runbook,
        state.status().as_str(),
        utc(state.created_at),
        state.said.by,
        if state.said.why.is_empty() { String::new() } else { format!(": {}", state.said.why) },
        state.fingerprint,
    );
    let width = state.steps().map(|(step, _)| step.id.as_str().chars().count()).max().unwrap_or(0).min(28);
    for (step, now) in state.steps() {
        text.push_str(&line(world, step, now, width));
    }
    let needs = needs(world, state);
    if !needs.is_empty() {
        text.push_str(&format!("\n{}\n", screen.out(Ink::Yellow, "what it needs")));
        text.push_str(&needs);
    }
    text.trim_end().to_owned()
}

fn line(world: &World, step: &Step, now: &StepState, width: usize) -> String {
    let (mark, ink) = match &now.phase {
        Phase::Done => ("✓", Ink::Green),
        Phase::Failed { .. } | Phase::UndoFailed { .. } => ("✗", Ink::Red),
        Phase::Pending => ("·", Ink::Dim),
        Phase::Skipped { .. } | Phase::NotNeeded { .. } | Phase::Undone => ("↺", Ink::Dim),
        Phase::Running { .. } | Phase::Backoff { .. } | Phase::Timer { .. } => ("▸", Ink::Cyan),
        Phase::InDoubt { .. } | Phase::Asking { .. } | Phase::Approval { .. } => ("?", Ink::Yellow),
    };
    let took = match (now.started_at, now.finished_at) {
        (Some(start), Some(end)) => duration(end.saturating_sub(start)),
        _ => String::new(),
    };
    let tries = if now.attempts > 1 { format!("  {} attempts", now.attempts) } else { String::new() };
    let why = match &now.phase {
        Phase::Failed { failure } | Phase::UndoFailed { failure } => {
            let code = failure.code.as_ref().map_or(String::new(), |code| format!("{code}: "));
            let hint = failure.hint.as_ref().map_or(String::new(), |hint| format!("\n      help: {hint}"));
            format!("\n      {code}{}{hint}", failure.message.replace('\n', "\n      "))
        }
        Phase::InDoubt { reason, .. } | Phase::Asking { reason } => format!("\n      {reason}"),
        Phase::NotNeeded { because } => format!("  {because}"),
        Phase::Skipped { said } => format!("  by {}: {}", said.by, said.why),
        _ => String::new(),
    };
    let mark = world.screen.out(ink, mark);
    let line = format!(
        "  {mark} {:<width$}  {:<9} {:<11} {took:>8}{tries}{why}",
        step.id,
        step.kind.as_str(),
        now.phase.as_str()
    );
    format!("{}\n", line.trim_end())
}

/// What a waiting or stuck run needs, with the commands to type.
fn needs(world: &World, state: &RunState) -> String {
    let mut text = String::new();
    let me = world.me();
    let run = &state.run;
    if let Locks::Wanted { held } = &state.locks {
        for held in held {
            let (lock, holder) = (&held.lock, &held.holder);
            text.push_str(&format!(
                "  it waits for the lock '{lock}', which run {holder} has until it ends\n    {me} show {holder}\n    {me} resume {holder}\n  or, if that run is to give way:\n    {me} cancel {holder} --reason '…'\n    {me} abandon {holder} --reason '…'\n",
            ));
        }
    }
    if let Some(said) = &state.paused {
        let why = if said.why.is_empty() { String::new() } else { format!(": {}", said.why) };
        text.push_str(&format!("  {} paused it{why}\n    {me} unpause {run} --reason '…'\n", said.by));
    }
    for (step, now) in state.steps() {
        let id = &step.id;
        match &now.phase {
            _ if state.result.is_some_and(|result| result != RunResult::Failed) => {}
            Phase::Approval { given, expires_at } => {
                let asked = step.approval.as_ref();
                let role = asked.map_or("anybody", |approval| approval.role.as_str());
                let quorum = asked.map_or(1, |approval| approval.quorum);
                let until = expires_at.map_or(String::new(), |at| format!(", until {} UTC", utc(at)));
                text.push_str(&format!(
                    "  step '{id}' asks for {quorum} yes from {role} ({} so far{until})\n    {me} approve {run} {id} --as NAME --reason '…'\n    {me} deny {run} {id} --as NAME --reason '…'\n",
                    given.len(),
                ));
            }
            Phase::Asking { .. } => text.push_str(&format!(
                "  nobody knows whether step '{id}' happened: look, then\n    {me} retry {run} {id} --reason '…'\n  or, if it did happen, or you did it by hand:\n    {me} mark-done {run} {id} --outputs '{{…}}' --reason '…'\n  or go on without it:\n    {me} skip {run} {id} --reason '…'\n",
            )),
            Phase::UndoFailed { .. } => text.push_str(&format!(
                "  the undo of step '{id}' failed: mend it, then\n    {me} retry {run} {id}\n  or undo it by hand, then\n    {me} mark-done {run} {id} --reason '…'\n",
            )),
            Phase::Failed { .. } if !state.plan.on_failure.compensate => text.push_str(&format!(
                "  step '{id}' failed: mend the cause, then\n    {me} retry {run} {id}\n",
            )),
            _ => {}
        }
    }
    let at_work = matches!(state.status(), lifeboat_core::state::RunStatus::Running);
    if at_work {
        text.push_str(&format!("  if no engine is at work on it any more:\n    {me} resume {run}\n"));
    }
    text
}
