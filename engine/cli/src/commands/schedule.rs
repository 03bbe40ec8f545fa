//! `schedule`: what runbooks say of when they run, and what is due next. Nothing is started here.

use std::path::PathBuf;

use lifeboat_core::Error;
use lifeboat_core::plan::Mode;
use lifeboat_core::ports::Clock;
use lifeboat_runbook::{ScheduleDef, Severity, Trigger};
use serde::Serialize;
use serde_json::json;

use crate::clock::SystemClock;
use crate::commands::check::{is_operator, print};
use crate::exit::Exit;
use crate::files;
use crate::screen::{Ink, put, put_json};
use crate::view::duration::duration;
use crate::view::plural;
use crate::world::World;

/// A schedule with where it comes from.
struct Found {
    runbook: String,
    file: PathBuf,
    schedule: ScheduleDef,
}

/// A due time of one of several schedules.
#[derive(Serialize)]
pub struct Due {
    /// The schedule.
    pub schedule: String,
    /// The mode of its runs.
    pub mode: Mode,
    /// When, in milliseconds since the Unix epoch.
    pub due_ms: u64,
    /// The same on the clock of its zone.
    pub local: String,
    /// Why nothing will be started then.
    pub blackout: Option<String>,
}

/// Lists the schedules of runbooks, each with its next due time.
///
/// # Errors
/// A file that cannot be read, or plugins that cannot be loaded.
pub fn list(world: &World, paths: &[PathBuf]) -> Result<Exit, Error> {
    let (all, refused) = find(world, paths)?;
    let now = SystemClock.now_ms();
    let mut rows = Vec::new();
    for found in &all {
        let next = due(found, now, 1)?.into_iter().next();
        let spec = &found.schedule.spec;
        if world.screen.json {
            rows.push(json!({
                "schedule": name(found),
                "runbook": found.runbook,
                "file": found.file,
                "mode": found.schedule.mode,
                "spec": spec,
                "next": next,
            }));
            continue;
        }
        let title = world.screen.out(Ink::Bold, &name(found));
        put(&format!("{title}  {}  {}  {}", found.schedule.mode.as_str(), spec.cron, spec.zone));
        let jitter = match spec.jitter_ms {
            0 => String::new(),
            most => format!(", put off by up to {}", duration(most)),
        };
        put(&format!("  overlap {}, missed {}{jitter}", spec.overlap.as_str(), spec.missed.as_str()));
        put(&match next {
            Some(next) => format!("  next {}", line(world, &next)),
            None => "  it is never due again".to_owned(),
        });
    }
    if world.screen.json {
        put_json(&rows)?;
    }
    Ok(said(world, &all, refused))
}

/// Prints what is due next, over all schedules, in the order of time.
///
/// # Errors
/// As [`list`].
pub fn next(world: &World, paths: &[PathBuf], count: usize) -> Result<Exit, Error> {
    let (all, refused) = find(world, paths)?;
    let now = SystemClock.now_ms();
    let mut rows = Vec::new();
    for found in &all {
        rows.extend(due(found, now, count)?);
    }
    print_next(world, rows, count)?;
    Ok(said(world, &all, refused))
}

/// Prints due times in their order.
///
/// # Errors
/// What cannot be written as JSON.
pub fn print_next(world: &World, mut rows: Vec<Due>, count: usize) -> Result<(), Error> {
    rows.sort_by(|one, other| (one.due_ms, &one.schedule).cmp(&(other.due_ms, &other.schedule)));
    rows.truncate(count);
    if world.screen.json {
        return put_json(&rows);
    }
    for row in &rows {
        put(&format!("{}  {}  {}", line(world, row), row.mode.as_str(), row.schedule));
    }
    Ok(())
}

fn name(found: &Found) -> String {
    format!("{}/{}", found.runbook, found.schedule.name.text)
}

/// A due time in words.
pub fn line(world: &World, due: &Due) -> String {
    match &due.blackout {
        Some(reason) => {
            format!("{}  {}", due.local, world.screen.out(Ink::Yellow, &format!("starts nothing: blackout, {reason}")))
        }
        None => due.local.clone(),
    }
}

fn due(found: &Found, now_ms: u64, count: usize) -> Result<Vec<Due>, Error> {
    let rule = found.schedule.rule(&found.runbook).map_err(|refused| {
        Error::new(refused.code, refused.message).hint(refused.help).with("schedule", name(found))
    })?;
    let mode = found.schedule.mode;
    let all = rule.next(now_ms, count).into_iter();
    Ok(all
        .map(|at| Due { schedule: name(found), mode, due_ms: at.due_ms, local: at.local, blackout: at.blackout })
        .collect())
}

/// The schedules of all files that are in order, and how many files are not: what is wrong with one takes nothing from the others.
fn find(world: &World, paths: &[PathBuf]) -> Result<(Vec<Found>, usize), Error> {
    let catalog = world.catalog()?;
    let (mut all, mut refused) = (Vec::new(), 0);
    for file in files::kdl_files(paths)?.into_iter().filter(|path| !is_operator(path)) {
        let checked = lifeboat_runbook::check_with(&files::read_source(&file)?, &files::Disk, &catalog);
        // A file without a runbook is a part of another one.
        let Some(runbook) = checked.runbook else { continue };
        let errors: Vec<_> =
            checked.diagnostics.into_iter().filter(|found| found.severity == Severity::Error).collect();
        if !errors.is_empty() {
            refused += 1;
            print(&world.screen, &errors);
            continue;
        }
        for trigger in runbook.triggers {
            if let Trigger::Schedule(schedule) = trigger {
                all.push(Found { runbook: runbook.name.clone(), file: file.clone(), schedule });
            }
        }
    }
    Ok((all, refused))
}

fn said(world: &World, all: &[Found], refused: usize) -> Exit {
    if refused > 0 {
        world.screen.say(&format!("left out because of mistakes: {}", plural(refused as u64, "runbook")));
        return Exit::Refused;
    }
    if all.is_empty() {
        world.screen.say("no runbook here has a schedule: on \"schedule\" cron=\"0 0 3 * * Sun\" makes one");
    }
    Exit::Success
}
