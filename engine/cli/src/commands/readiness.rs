//! `readiness`: whether a plan could be carried out now, without doing any of it. A service that has the data folder and knows the
//! runbook is asked: it is the one that would carry it out.

use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_core::ports::Clock;
use lifeboat_core::state::Summary;
use lifeboat_readiness::{Lesson, Past, Readiness, Row, worth_reading};
use lifeboat_service::NewReadiness;

use crate::args_drill::ReadinessArgs;
use crate::clock::SystemClock;
use crate::commands::{plan, runs, through};
use crate::exit::Exit;
use crate::looking::{Eyes, Sight};
use crate::screen::{Ink, put, put_json};
use crate::view::plural;
use crate::world::World;

/// Looks, and says what it found. The exit status is 1 where something is in the way.
///
/// # Errors
/// What keeps it from looking at all: a runbook or an operator's file that cannot be read; `LB1155` no target is at that site; what
/// a service refuses.
pub async fn readiness(world: &World, args: &ReadinessArgs) -> Result<Exit, Error> {
    let (host, operator) = world.host()?;
    let Some(compiled) = plan::compile(world, &args.runbook, &host.catalog(), &operator)? else {
        return Ok(Exit::Refused);
    };
    let fingerprint = compiled.plan.fingerprint();
    let found = match through::who_knows(world, &args.runbook.runbook).await? {
        Some((client, book)) => {
            let (mode, inputs) = (compiled.plan.mode, plan::inputs(&args.runbook.inputs)?);
            let new = NewReadiness { runbook: book.name, mode, inputs, site_lost: args.site_lost.clone() };
            client.look(&new).await?
        }
        None => here(world, &Eyes::new(host, operator), compiled, args.site_lost.clone()).await?,
    };
    if found.fingerprint != fingerprint {
        let word = world.screen.err(Ink::Yellow, "note");
        world.screen.say(&format!(
            "{word}: the service makes another plan of it: it has read plugins and the operator's file at its start"
        ));
    }
    show(world, &found)
}

/// Looks from here.
async fn here(
    world: &World,
    eyes: &Eyes,
    compiled: plan::Compiled,
    site_lost: Option<String>,
) -> Result<Readiness, Error> {
    let (plan, verification) = (Arc::new(compiled.plan), compiled.verification);
    let past = past(world, &plan.runbook)?;
    let sight = Sight { plan: &plan, verification, past: &past, site_lost: site_lost.as_deref(), limit: None };
    let rows = eyes.look(&sight).await?;
    Ok(Readiness::of(&plan, site_lost, rows, SystemClock.now_ms()))
}

/// What earlier runs say. A run whose log cannot be read says nothing; `runs` and `doctor` tell what is wrong with it.
fn past(world: &World, runbook: &str) -> Result<Past, Error> {
    let mut past = Past::default();
    if !world.data.exists() {
        return Ok(past);
    }
    let journal = runs::journal(world)?;
    let all: Vec<(RunId, Option<Summary>)> = journal
        .known()
        .into_iter()
        .map(|run| {
            let summary = journal.head(&run).and_then(|head| serde_json::from_slice(&head.summary).ok());
            (run, summary)
        })
        .collect();
    for run in worth_reading(all.iter().map(|(run, summary)| (run, summary.as_ref())), runbook) {
        let lesson = journal.read(&run).and_then(|stored| Lesson::of_stored(&stored));
        past.learn(&lesson.unwrap_or_default(), runbook);
    }
    Ok(past)
}

fn show(world: &World, found: &Readiness) -> Result<Exit, Error> {
    if world.screen.json {
        put_json(found)?;
    } else {
        found.rows.iter().for_each(|row| put(&line(world, row)));
        let lost = found.site_lost.as_ref().map_or(String::new(), |site| format!(", with site '{site}' lost"));
        let problems = u64::try_from(found.problems()).unwrap_or(u64::MAX);
        let state =
            if found.ready { "ready".to_owned() } else { format!("not ready: {}", plural(problems, "problem")) };
        put(&format!("{} in mode {}{lost}: {state}", found.runbook, found.mode.as_str()));
    }
    Ok(if found.ready { Exit::Success } else { Exit::RunFailed })
}

fn line(world: &World, row: &Row) -> String {
    let mark = if row.ok { world.screen.out(Ink::Green, "ok ") } else { world.screen.out(Ink::Red, "BAD") };
    let code = row.code.as_ref().map_or(String::new(), |code| format!("{code}: "));
    let mend = row.mend.as_ref().map_or(String::new(), |mend| format!("\n      mend: {mend}"));
    format!("{mark} {}: {code}{}{mend}", row.about, row.finding)
}
