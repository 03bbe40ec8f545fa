//! `show` and `events`: a run as it is, and all that happened to it.

use lifeboat_core::Error;
use lifeboat_core::event::Event;
use lifeboat_core::plan::Step;
use lifeboat_core::ports::Clock;
use lifeboat_core::state::{ByHand, Phase, RunState, StepState};
use lifeboat_forecast::{Forecast, Question, reforecast};

use crate::clock::{SystemClock, utc};
use crate::commands::needs::needs;
use crate::commands::{report, runs};
use crate::exit::Exit;
use crate::past;
use crate::screen::{Ink, put, put_json};
use crate::view::duration::duration;
use crate::view::outlook;
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
    let (state, events) = load(world, run)?;
    let forecast = ahead(world, &state);
    if world.screen.json {
        let found = lifeboat_core::measure::measure(&events).ok();
        put_json(&report::Report::of(&state).measured(&state, found).with(forecast))?;
    } else {
        let ahead = forecast.as_ref().map_or_else(String::new, |found| format!("\n\n{}", outlook::ahead(found)));
        put(&format!("{}{ahead}", text(world, &state)));
    }
    Ok(Exit::Success)
}

/// What is ahead of a run that goes on, from what earlier runs of its runbook took. `None` where nothing is ahead, and where
/// nothing is known.
fn ahead(world: &World, state: &RunState) -> Option<Forecast> {
    if state.status().is_final() {
        return None;
    }
    let journal = runs::journal(world).ok()?;
    let history = past::in_journal(&journal, &state.plan.runbook, Some(&state.run));
    let (samples, threads) = (outlook::samples(state.plan.steps.len()), outlook::threads());
    let asked = Question { samples, threads, ..Question::default() };
    reforecast(state, SystemClock.now_ms(), &history, &asked).ok().filter(|found| found.p50.is_some())
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
    if let Some(earlier) = &state.continues {
        let (run, mode, events) = (&earlier.run, earlier.mode.as_str(), earlier.events);
        text.push_str(&format!("  continues  run {run}, a {mode}, after its event {events}\n"));
    }
    if let Some(next) = &state.continued_as {
        text.push_str(&format!("  continued  as run {next} ({} show {next})\n", world.me()));
    }
    let width = state.steps().map(|(step, _)| step.id.as_str().chars().count()).max().unwrap_or(0).min(28);
    for (step, now) in state.steps() {
        text.push_str(&line(world, step, now, width));
    }
    let (left, made) = lifeboat_core::ledger::left(state);
    if made > 0 {
        let which = format!("  ledger     {left} of {made} left ({} ledger {})\n", world.me(), state.run);
        text.push_str(&which);
    }
    let needs = needs(&world.me(), state);
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
        Phase::Suspect { .. } => ("!", Ink::Red),
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
        Phase::Suspect { from, because } => {
            let from: Vec<&str> = from.iter().map(|id| id.as_str()).collect();
            format!("\n      suspect by {}: {}", from.join(", "), because.join("; "))
        }
        Phase::NotNeeded { because } => format!("  {because}"),
        Phase::Skipped { said } => format!("  by {}: {}", said.by, said.why),
        _ => String::new(),
    };
    let hand = now.by_hand.as_ref().map_or(String::new(), |hand| by_hand("by hand, says", hand))
        + &now.attested.as_ref().map_or(String::new(), |hand| by_hand("may use what is suspect, says", hand));
    let hand = match (&now.carried, &now.begun_in) {
        (Some(from), _) => format!("  taken over from {}", from.run),
        (None, Some(run)) => format!("  begun in {run}"),
        (None, None) => String::new(),
    } + &hand;
    let mark = world.screen.out(ink, mark);
    let line = format!(
        "  {mark} {:<width$}  {:<9} {:<11} {took:>8}{tries}{why}{hand}",
        step.id,
        step.kind.as_str(),
        now.phase.as_str()
    );
    format!("{}\n", line.trim_end())
}

/// Who saw to a step, and where the files are that show it.
fn by_hand(how: &str, hand: &ByHand) -> String {
    let why = if hand.said.why.is_empty() { String::new() } else { format!(": {}", hand.said.why) };
    let mut text = format!("\n      {how} {}{why}", hand.said.by);
    for file in &hand.evidence {
        text.push_str(&format!("\n      evidence {}, {} bytes, {}", file.name, file.bytes, file.digest));
    }
    text
}
