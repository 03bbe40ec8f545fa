//! `measure` and `drills`: what a run measured, and how the drills of a runbook went.

use std::path::Path;

use lifeboat_core::Error;
use lifeboat_core::event::Event;
use lifeboat_core::measure::{Measured, measure};
use lifeboat_core::plan::Mode;
use lifeboat_core::ports::Clock;
use lifeboat_core::state::{RunState, RunStatus};
use lifeboat_core::verified::{Drill, Verdict, checks, is_caught, verdict, verification};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::RunbookArgs;
use crate::clock::{SystemClock, utc};
use crate::commands::{ledger, plan, runs, show};
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::view::duration::duration;
use crate::world::World;

/// Prints what a run measured.
///
/// # Errors
/// As [`show::load`].
pub fn print(world: &World, run: &str) -> Result<Exit, Error> {
    let (state, events) = show::load(world, run)?;
    let found = measure(&events)?;
    if world.screen.json {
        put_json(&found)?;
    } else {
        let name = world.screen.out(Ink::Bold, state.run.as_str());
        put(&format!("run {name}  {}  {}\n{}", state.plan.runbook, state.status().as_str(), lines(&state, &found)));
    }
    Ok(Exit::Success)
}

/// What a run measured, from the journal; `None` where it cannot be read now.
pub fn of(world: &World, run: &lifeboat_core::RunId) -> Option<Measured> {
    let stored = runs::journal(world).ok()?.read(run).ok()?;
    let events = stored.iter().map(|event| Event::decode(&event.bytes)).collect::<Result<Vec<_>, _>>().ok()?;
    measure(&events).ok()
}

/// What was measured, for a person.
fn lines(state: &RunState, found: &Measured) -> String {
    let mut text = String::new();
    let moments = [
        ("detected", found.detected_at),
        ("declared", Some(found.declared_at)),
        ("approved", found.approved_at),
        ("executed", found.executed_at),
        ("validated", found.validated_at),
        ("ended", found.ended_at),
    ];
    for (word, at) in moments {
        let at = at.map_or_else(|| "-".to_owned(), |at| format!("{} UTC", utc(at)));
        text.push_str(&format!("  {word:<10} {at}\n"));
    }
    text.push_str(&format!(
        "  RTA        {}{}\n",
        duration(found.rta_ms),
        against(found.rta_ms, state.plan.objectives.rto_ms)
    ));
    for (part, ms) in &found.parts {
        let share = (ms * 100).checked_div(found.rta_ms).unwrap_or(0);
        text.push_str(&format!("    {part:<10} {:>9}  {share:>3} %\n", duration(*ms)));
    }
    for wait in &found.waits {
        let what = wait.step.as_ref().map_or_else(|| "the run".to_owned(), |step| format!("step '{step}'"));
        let by = if wait.by.is_empty() { String::new() } else { format!(", ended by {}", wait.by.join(", ")) };
        text.push_str(&format!("  waited     {} for {} ({what}{by})\n", duration(wait.ms), wait.part.as_str()));
    }
    text.push_str(&losses(found, state.plan.objectives.rpo_ms));
    text.trim_end().to_owned()
}

/// The lines about data loss.
pub fn losses(found: &Measured, rpo_ms: Option<u64>) -> String {
    let Some(rpa) = found.rpa_ms else {
        return "  RPA        not known: no step restored a snapshot whose time is told, and no sentinel was found\n"
            .to_owned();
    };
    let mut text = format!("  RPA        {}{}\n", duration(rpa), against(rpa, rpo_ms));
    for loss in &found.losses {
        let basis = loss.basis.as_str();
        let at = utc(loss.point_at);
        text.push_str(&format!("    {}: {} lost, by the {basis} of {at} UTC\n", loss.target, duration(loss.lost_ms)));
    }
    text
}

fn against(ms: u64, objective: Option<u64>) -> String {
    match objective {
        Some(objective) if ms <= objective => format!(" of {}: within the objective", duration(objective)),
        Some(objective) => format!(" of {}: over the objective", duration(objective)),
        None => String::new(),
    }
}

/// The damages, for a person: the ones that nothing would notice.
pub fn check_lines(state: &RunState) -> String {
    let all = checks(state).count();
    if all == 0 {
        return String::new();
    }
    let text = |check: &Value, name: &str| check.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let missed: Vec<&Value> = checks(state).map(|(_, check)| check).filter(|check| !is_caught(check)).collect();
    let mut lines = format!("\n  checks     {} of {all} damages were noticed", all - missed.len());
    for check in missed {
        let (what, file, said) = (text(check, "corruption"), text(check, "file"), text(check, "said"));
        lines.push_str(&format!("\n    missed   {what} {file}: {said}"));
    }
    lines
}

/// The verdict for a person, in one line.
pub fn verdict_line(world: &World, state: &RunState, found: &Measured) -> String {
    let verdict = verdict(state, found);
    let left = ledger::count(state);
    if verdict.passed {
        let word = world.screen.out(Ink::Green, "passed");
        return format!("  drill      {word}; {left}");
    }
    let word = world.screen.out(Ink::Red, "not passed");
    format!("  drill      {word}: {}; {left}", verdict.because.join("; "))
}

/// A drill in the list.
#[derive(Serialize)]
struct Row {
    run: lifeboat_core::RunId,
    at: u64,
    status: RunStatus,
    rta_ms: u64,
    rpa_ms: Option<u64>,
    left: usize,
    made: usize,
    #[serde(flatten)]
    verdict: Verdict,
}

/// The drills of a runbook, oldest first, with what counts for its verification.
fn past(world: &World, runbook: &str) -> Result<(Vec<Row>, Vec<Drill>), Error> {
    let (mut rows, mut drills) = (Vec::new(), Vec::new());
    if !world.data.exists() {
        return Ok((rows, drills));
    }
    let journal = runs::journal(world)?;
    for run in journal.known() {
        let Ok(state) = journal.state(&run) else { continue };
        if state.plan.runbook != runbook || state.plan.mode != Mode::Drill || !state.status().is_final() {
            continue;
        }
        let stored = journal.read(&run)?;
        let events = stored.iter().map(|event| Event::decode(&event.bytes)).collect::<Result<Vec<_>, _>>()?;
        let found = measure(&events)?;
        let (left, made) = lifeboat_core::ledger::left(&state);
        let verdict = verdict(&state, &found);
        let drill = Drill::of(&state, &found);
        let at = drill.at;
        drills.push(drill);
        let (rta_ms, rpa_ms, status) = (found.rta_ms, found.rpa_ms, state.status());
        rows.push(Row { run, at, status, rta_ms, rpa_ms, left, made, verdict });
    }
    Ok((rows, drills))
}

/// Lists the drills of a runbook and says whether it is verified.
///
/// # Errors
/// `LB0901` when the runbook cannot be read; the store's errors.
pub fn drills(world: &World, runbook: &Path, inputs: &[String]) -> Result<Exit, Error> {
    let (host, operator) = world.host()?;
    let args =
        RunbookArgs { runbook: runbook.to_owned(), mode: Mode::Drill.as_str().to_owned(), inputs: inputs.to_vec() };
    let Some(compiled) = plan::compile(world, &args, &host.catalog(), &operator)? else { return Ok(Exit::Refused) };
    let policy = compiled.verification;
    let (rows, drills) = past(world, &compiled.plan.runbook)?;
    let found = verification(policy, &drills, &compiled.plan.source, SystemClock.now_ms());
    if world.screen.json {
        put_json(
            &json!({ "runbook": compiled.plan.runbook, "verification": found, "policy": policy, "drills": rows }),
        )?;
        return Ok(Exit::Success);
    }
    for row in &rows {
        let verdict = if row.verdict.passed { "passed".to_owned() } else { row.verdict.because.join("; ") };
        let rpa = row.rpa_ms.map_or_else(|| "-".to_owned(), duration);
        let name = world.screen.out(Ink::Bold, row.run.as_str());
        put(&format!(
            "{name}  {}  RTA {:>8}  RPA {rpa:>8}  {} of {} left  {verdict}",
            utc(row.at),
            duration(row.rta_ms),
            row.left,
            row.made
        ));
    }
    if let Some(text) = trend(&rows) {
        put(&text);
    }
    put(&format!("{}: {}", compiled.plan.runbook, lifeboat_readiness::in_words(&found)));
    Ok(Exit::Success)
}

/// How the newest drill stands against those before it. One that did not pass has no time that could be held against theirs.
fn trend(rows: &[Row]) -> Option<String> {
    let (last, earlier) = rows.split_last().filter(|(last, _)| last.verdict.passed)?;
    let mut times: Vec<u64> = earlier.iter().filter(|row| row.verdict.passed).map(|row| row.rta_ms).collect();
    times.sort_unstable();
    let median = *times.get(times.len() / 2)?;
    let (word, by) =
        if last.rta_ms > median { ("longer", last.rta_ms - median) } else { ("shorter", median - last.rta_ms) };
    Some(format!("the last drill took {} {word} than the median of {} before it", duration(by), times.len()))
}
